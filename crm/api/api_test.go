package api

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// played is a Backend that answers from what the test gives it.
type played struct {
	Backend
	peer    Peer
	propose func(Proposal) (ProposeReply, error)
	events  []Event
}

func (p *played) Propose(ctx context.Context, in Proposal) (ProposeReply, error) {
	p.peer = PeerFrom(ctx)
	return p.propose(in)
}

func (p *played) Watch(context.Context, uint64) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		for _, e := range p.events {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func (p *played) Settle(_ context.Context, d time.Duration) (Settled, error) {
	return Settled{Settled: true, Index: uint64(d)}, nil
}

func (p *played) AgentMeta(context.Context, string) ([]byte, error) { return []byte("<a/>"), nil }

// serve starts a server on a unix socket and returns a client of it.
func serve(t *testing.T, b Backend, a Access) *Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "api.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: Handler{Backend: b, Access: a, Log: slog.New(slog.DiscardHandler)}.Routes(), ConnContext: ConnContext}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(l) }()
	t.Cleanup(func() { srv.Close(); <-done })
	c := NewClient(path)
	t.Cleanup(c.Close)
	return c
}

func everybody() Access { return Access{UID: os.Getuid()} }

func TestRequestsAndAnswers(t *testing.T) {
	b := &played{
		propose: func(p Proposal) (ProposeReply, error) {
			return ProposeReply{Version: p.Operations[0].XML, Index: 7}, nil
		},
		events: []Event{{Index: 1}, {Index: 2}},
	}
	c := serve(t, b, everybody())
	r, err := c.Propose(t.Context(), Proposal{Operations: []CIBOperation{{Op: OpModify, XML: "<x a='é'/>"}}})
	if err != nil || r.Version != "<x a='é'/>" || r.Index != 7 {
		t.Errorf("propose: %+v, %v", r, err)
	}
	if b.peer.UID != os.Getuid() {
		t.Errorf("peer %+v, want uid %d", b.peer, os.Getuid())
	}
	if s, err := c.Settle(t.Context(), 3*time.Second); err != nil || s.Index != uint64(3*time.Second) {
		t.Errorf("settle: %+v, %v", s, err)
	}
	if m, err := c.AgentMeta(t.Context(), "x"); err != nil || string(m) != "<a/>" {
		t.Errorf("metadata: %q, %v", m, err)
	}
	var seen []uint64
	for e, err := range c.Watch(t.Context(), 0) {
		if err != nil {
			break
		}
		seen = append(seen, e.Index)
	}
	if len(seen) != 2 {
		t.Errorf("watched %v", seen)
	}
}

func TestErrorsKeepTheirCode(t *testing.T) {
	for _, want := range []error{
		&Error{Code: CodeQuorum, Message: "no quorum"},
		&Error{Code: CodeOld, Message: "version 1.2.3"},
		errors.New("some failure"),
		context.DeadlineExceeded,
	} {
		c := serve(t, &played{propose: func(Proposal) (ProposeReply, error) { return ProposeReply{}, want }}, everybody())
		_, err := c.Propose(t.Context(), Proposal{})
		code := CodeError
		if e, ok := errors.AsType[*Error](want); ok {
			code = e.Code
		}
		if errors.Is(want, context.DeadlineExceeded) {
			code = CodeTimeout
		}
		if err == nil || err.Error() != want.Error() || ExitCode(err) != code {
			t.Errorf("got %v with code %d, want %v with %d", err, ExitCode(err), want, code)
		}
	}
}

func TestStrangersAreRefused(t *testing.T) {
	if os.Getuid() == 0 {
		if (Access{UID: 0}).Allows(Peer{UID: 12345, GID: 12345}) || (Access{}).Allows(Peer{UID: -1}) {
			t.Error("a stranger is allowed")
		}
		return // root is always allowed on a real socket
	}
	c := serve(t, &played{}, Access{UID: os.Getuid() + 1})
	if _, err := c.Propose(t.Context(), Proposal{}); ExitCode(err) != CodePrivilege {
		t.Errorf("got %v", err)
	}
}

// Access lists that nobody evaluates are no leave to do everything.
func TestAccessListsShutOut(t *testing.T) {
	group, err := user.LookupGroupId("0")
	if err != nil {
		t.Skipf("the group of root has no name here: %v", err)
	}
	inForce := true
	h := Handler{Backend: &played{}, Log: slog.New(slog.DiscardHandler),
		Access: Access{UID: 1, Group: group.Name, Lists: func() bool { return inForce }}}.Routes()
	status := func(p Peer) int {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(WithPeer(t.Context(), p), http.MethodGet, "/nothing", nil))
		return w.Code
	}
	member := Peer{User: "alice", UID: 12345, GID: 0}
	for _, tt := range []struct {
		peer Peer
		want int
	}{
		{member, httpStatus(CodePrivilege)},
		{Peer{User: "root", UID: 0}, http.StatusNotFound},
		{Peer{User: "hacluster", UID: 12346, GID: 0}, http.StatusNotFound},
		{Peer{UID: -1, GID: -1, Node: "b"}, http.StatusNotFound},
	} {
		if got := status(tt.peer); got != tt.want {
			t.Errorf("%+v: status %d, want %d", tt.peer, got, tt.want)
		}
	}
	inForce = false
	if got := status(member); got != http.StatusNotFound {
		t.Errorf("a member of the group without lists: status %d", got)
	}
}

func TestStoppedDaemon(t *testing.T) {
	c := NewClient(filepath.Join(t.TempDir(), "none.sock"))
	_, err := c.Status(t.Context())
	if ExitCode(err) != CodeNotConnected || !strings.Contains(err.Error(), "is it running?") {
		t.Errorf("got %v", err)
	}
}

func TestUnknownFieldsAreRefused(t *testing.T) {
	for _, body := range []string{`{"operations":[],"expect":"1"}`, `{} {}`, `[`, ``} {
		if _, err := Decode[Proposal](strings.NewReader(body)); ExitCode(err) != CodeUsage {
			t.Errorf("body %q: got %v", body, err)
		}
	}
}

func FuzzDecodeProposal(f *testing.F) {
	f.Add(`{"operations":[{"op":"create","section":"resources","xml":"<primitive id=\"a\"/>"}],"expect_version":"1.2.3"}`)
	f.Add(`{"operations":null}`)
	f.Fuzz(func(t *testing.T, body string) {
		if p, err := Decode[Proposal](strings.NewReader(body)); err == nil && len(p.Operations) > len(body) {
			t.Error("more operations than bytes")
		}
	})
}
