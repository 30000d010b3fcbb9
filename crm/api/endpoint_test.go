package api

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// node answers for one node name; all others are away.
type node struct {
	name    string
	handler http.Handler
}

func (n node) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host != n.name {
		return nil, errors.New("no route")
	}
	rec := httptest.NewRecorder()
	n.handler.ServeHTTP(rec, r)
	return rec.Result(), nil
}

// What an endpoint answers or refuses is what the asking node gets.
func TestAskNode(t *testing.T) {
	type count struct{ N int }
	mux := http.NewServeMux()
	mux.Handle("/twice", Endpoint(100, func(_ context.Context, in count) (count, error) {
		switch in.N {
		case 0:
			return count{}, &Error{Code: CodeNoSuch, Message: "nothing is no count"}
		case 1:
			return count{}, errors.New("broken")
		}
		return count{2 * in.N}, nil
	}))
	mux.HandleFunc("/odd", func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(`"hush"`)) })
	peers := &http.Client{Transport: node{"b", mux}}
	for _, c := range []struct {
		node, path string
		in         any
		want       int
		wrong      string
		code       int
	}{
		{"b", "/twice", count{4}, 8, "", 0},
		{"b", "/twice", count{0}, 0, "nothing is no count", CodeNoSuch},
		{"b", "/twice", count{1}, 0, "broken", CodeError},
		{"b", "/twice", map[string]int{"M": 1}, 0, `unknown field "M"`, CodeUsage},
		{"b", "/twice", strings.Repeat("x", 200), 0, "request body", CodeUsage},
		{"b", "/never", count{4}, 0, "node b answers 404 Not Found: it may run another release", CodeProtocol},
		{"b", "/odd", count{4}, 0, "the answer of node b cannot be read: it may run another release", CodeProtocol},
		{"c", "/twice", count{4}, 0, "node c does not answer: no route", CodeError},
		{"b", "/twice", make(chan int), 0, "ask b: ", CodeError},
	} {
		var got count
		err := AskNode(t.Context(), peers, c.node, c.path, 100, c.in, &got)
		switch {
		case c.wrong == "" && (err != nil || got.N != c.want):
			t.Errorf("%s%s: %v, %v, want %d", c.node, c.path, got, err, c.want)
		case c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong) || strings.Contains(err.Error(), "hush") || ExitCode(err) != c.code):
			t.Errorf("%s%s: %v (%d), want %q (%d)", c.node, c.path, err, ExitCode(err), c.wrong, c.code)
		}
	}
	if err := AskNode(t.Context(), peers, "b", "/odd", 100, count{}, nil); err != nil {
		t.Errorf("an answer nobody wants: %v", err)
	}
}

// Members of the daemon's group are told to be root; root and other nodes are let through.
func TestRootOnly(t *testing.T) {
	h := RootOnly("open the safe", Endpoint(100, func(context.Context, struct{}) (string, error) { return "gold", nil }))
	for _, c := range []struct {
		peer Peer
		want string
	}{
		{Peer{UID: 0, User: "root"}, "gold"},
		{Peer{UID: -1, Node: "b"}, "gold"},
		{Peer{UID: 54321, User: "operator"}, "user operator may not open the safe: run as root"},
	} {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("{}"))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r.WithContext(WithPeer(r.Context(), c.peer)))
		if !strings.Contains(w.Body.String(), c.want) || (w.Code == http.StatusOK) != (c.want == "gold") {
			t.Errorf("%+v: %d %s, want %q", c.peer, w.Code, w.Body, c.want)
		}
	}
}

// Whoever asks a server to end hears that it will.
func TestAfterAnswer(t *testing.T) {
	var server *httptest.Server
	server = httptest.NewServer(Endpoint(100, func(ctx context.Context, _ struct{}) (string, error) {
		AfterAnswer(ctx, server.CloseClientConnections)
		return "good night", nil
	}))
	defer server.Close()
	resp, err := http.Post(server.URL, "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var got string
	if err := ReadAnswer("the server", resp, 100, &got); err != nil || got != "good night" {
		t.Errorf("answer %q, %v", got, err)
	}
	done := false
	if AfterAnswer(t.Context(), func() { done = true }); !done {
		t.Error("outside an endpoint nothing was done")
	}
}
