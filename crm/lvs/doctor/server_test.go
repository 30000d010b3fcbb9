package doctor

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"systole/crm/api"
	"systole/crm/cluster"
)

// wire hands requests to a node's handler, as the fabric does.
type wire struct{ nodes map[string]http.Handler }

func (w wire) RoundTrip(r *http.Request) (*http.Response, error) {
	h, ok := w.nodes[r.URL.Host]
	if !ok {
		return nil, errors.New("it does not answer")
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec.Result(), nil
}

// All nodes are asked at once; one that does not answer, or runs a release
// without a doctor, is named.
func TestEveryNodeIsAsked(t *testing.T) {
	w := wire{map[string]http.Handler{"old": http.NotFoundHandler()}}
	server := func(node string) *Server {
		return NewServer(ServerOptions{Node: node, Peers: &http.Client{Transport: w}, Members: func() []cluster.Member {
			return []cluster.Member{{Name: "b"}, {Name: "a"}, {Name: "gone"}, {Name: "old"}, {Name: "w", Witness: true}}
		}})
	}
	w.nodes["b"] = server("b").PeerHandler()
	ask := func(uid int, body string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodPost, AdminPrefix+pathFacts, strings.NewReader(body))
		rec := httptest.NewRecorder()
		server("a").AdminHandler().ServeHTTP(rec, r.WithContext(api.WithPeer(r.Context(), api.Peer{UID: uid})))
		return rec
	}
	if got := ask(1000, "{}"); got.Code != http.StatusConflict || !strings.Contains(got.Body.String(), "run as root") {
		t.Errorf("not root: %d %s", got.Code, got.Body)
	}
	if got := ask(0, "[]"); got.Code != http.StatusConflict || !strings.Contains(got.Body.String(), "request body") {
		t.Errorf("not questions: %d %s", got.Code, got.Body)
	}
	if got := ask(0, "{}"); got.Code != http.StatusOK || !strings.Contains(got.Body.String(), `"settings"`) {
		t.Errorf("facts: %d %s", got.Code, got.Body)
	}
	all, err := server("a").everyone(t.Context(), Questions{})
	if err != nil || len(all) != 4 {
		t.Fatalf("%d nodes, %v", len(all), err)
	}
	for i, want := range []struct {
		node, err string
		links     bool
	}{{"a", "", true}, {"b", "", true}, {"gone", "does not answer", false}, {"old", "another release", false}} {
		if f := all[i]; f.Node != want.node || !strings.Contains(f.Error, want.err) || (len(f.Links) > 0) != want.links {
			t.Errorf("%d: %+v, want %+v", i, f, want)
		}
	}
}
