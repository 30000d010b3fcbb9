package cluster

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"systole/crm/api"
	"systole/crm/transport"
)

// world is a cluster with real directories, certificates and loopback ports;
// only raft and the CIB are played, by the members map.
type world struct {
	t  *testing.T
	mu sync.Mutex
	// dc and members are what every node's Host tells.
	dc      string
	members map[string]Member
	nodes   map[string]*testNode
	skew    time.Duration // of every clock
	unknown bool          // hosts know nothing of the cluster, and wait
	done    []string      // what hosts were told to do, in order
}

// testNode is one node: directory, fabric, server and its handlers.
type testNode struct {
	world  *world
	name   string
	dir    *Dir
	fabric *transport.Secure
	server *Server
	log    *bytes.Buffer
	stop   func()
}

func newWorld(t *testing.T) *world {
	return &world{t: t, members: map[string]Member{}, nodes: map[string]*testNode{}}
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Now().Add(w.skew)
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.skew += d
}

// freeAddr is a loopback address with a port that was free a moment ago.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// begin makes a cluster of node n1 and starts it.
func (w *world) begin() *testNode {
	w.t.Helper()
	path := w.t.TempDir()
	if _, err := Init(InitOptions{Dir: path, Cluster: "test", Node: "n1", Addr: freeAddr(w.t), User: "tester", Now: w.now()}); err != nil {
		w.t.Fatal(err)
	}
	w.dc = "n1"
	n := w.start(path)
	w.set("n1", func(m *Member) { m.Voter = true })
	return n
}

// join makes node name join through another one and starts it.
func (w *world) join(name string, through *testNode) *testNode {
	w.t.Helper()
	path, err := w.tryJoin(name, through, through.token())
	if err != nil {
		w.t.Fatal(err)
	}
	return w.start(path)
}

func (w *world) tryJoin(name string, through *testNode, token string, change ...func(*JoinOptions)) (dir string, err error) {
	o := JoinOptions{Dir: w.t.TempDir(), Host: through.fabric.Addr(), Token: token, Node: name, Addr: freeAddr(w.t), Version: "1.0", User: "tester", Now: w.now}
	for _, c := range change {
		c(&o)
	}
	_, err = Join(w.t.Context(), o)
	return o.Dir, err
}

// set changes a member as the CIB and raft would.
func (w *world) set(name string, change func(*Member)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	m := w.members[name]
	m.Name = name
	change(&m)
	w.members[name] = m
}

// start runs what is in a directory, and lets it into the cluster.
func (w *world) start(path string) *testNode {
	w.t.Helper()
	dir, err := OpenDir(path)
	if err != nil {
		w.t.Fatal(err)
	}
	id := dir.Identity()
	n := &testNode{world: w, name: id.Node, dir: dir, log: &bytes.Buffer{}}
	log := slog.New(slog.NewTextHandler(n.log, nil))
	if n.fabric, err = transport.Open(transport.Options{Bind: id.Addr, Credentials: dir.Credentials(), Log: slog.New(slog.NewTextHandler(io.Discard, nil))}); err != nil {
		w.t.Fatal(err)
	}
	peers := transport.RoundTripper(n.fabric, transport.ProtoRPC, n.resolve)
	n.server = NewServer(ServerOptions{Dir: dir, Host: (*testHost)(n), Reload: n.fabric.Reload, Peers: &http.Client{Transport: peers}, Now: w.now, Log: log})
	mux := http.NewServeMux()
	mux.Handle(PeerPrefix, n.server.PeerHandler())
	quiet := slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	rpc := &http.Server{Handler: mux, ConnContext: transport.ConnContext, ErrorLog: quiet}
	joins := &http.Server{Handler: n.server.JoinHandler(), ErrorLog: quiet}
	go rpc.Serve(n.fabric.Listener(transport.ProtoRPC))
	go joins.Serve(n.fabric.Listener(transport.ProtoJoin))
	n.stop = sync.OnceFunc(func() {
		peers.CloseIdleConnections()
		n.fabric.Close()
		rpc.Close()
		joins.Close()
	})
	w.t.Cleanup(n.stop)
	w.mu.Lock()
	w.nodes[n.name] = n
	w.mu.Unlock()
	if id.Bootstrap {
		w.set(n.name, func(m *Member) { m.Addr, m.RaftID, m.Online = id.Addr, "n1/1", true })
		return n
	}
	if err := n.server.Enter(w.t.Context(), Entrant{Name: id.Node, Addr: id.Addr, RaftID: id.Node + "/" + id.ID, Protocol: Protocol, Witness: id.Witness}); err != nil {
		w.t.Fatal(err)
	}
	if err := n.server.keep(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	return n
}

func (n *testNode) resolve(node string) (string, bool) {
	for _, m := range slices.Concat(n.dir.Members(), n.world.list()) {
		if m.Name == node {
			return m.Addr, true
		}
	}
	return "", false
}

func (n *testNode) token() string {
	n.world.t.Helper()
	r, err := n.server.token(n.world.t.Context(), TokenRequest{})
	if err != nil {
		n.world.t.Fatal(err)
	}
	return r.Token
}

// reaches says how a dial from one node to another ends.
func (n *testNode) reaches(other *testNode) error {
	c, err := n.fabric.Dial(n.world.t.Context(), other.fabric.Addr(), other.name, transport.ProtoRPC)
	if err != nil {
		return err
	}
	return c.Close()
}

func (w *world) list() []Member {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []Member
	for _, m := range w.members {
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b Member) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// testHost is a node's Host.
type testHost testNode

func (h *testHost) note(format string, args ...any) {
	h.world.mu.Lock()
	defer h.world.mu.Unlock()
	h.world.done = append(h.world.done, h.name+" "+fmt.Sprintf(format, args...))
}

func (h *testHost) DC() (string, bool) {
	h.world.mu.Lock()
	defer h.world.mu.Unlock()
	if _, member := h.world.members[h.name]; !member {
		return "", false // raft tells it nothing any more
	}
	return h.world.dc, h.world.dc == h.name
}
func (h *testHost) Members(ctx context.Context) ([]Member, error) {
	h.world.mu.Lock()
	unknown := h.world.unknown
	h.world.mu.Unlock()
	if unknown {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return h.world.list(), nil
}
func (h *testHost) CIB(context.Context) ([]byte, error) {
	return []byte(`<cib validate-with="pacemaker-3.9" admin_epoch="0" epoch="7" num_updates="3"><configuration><crm_config/><nodes><node id="1" uname="n1"/><node id="2" uname="n2"><instance_attributes id="i"/></node></nodes><resources><primitive id="vip" class="ocf" provider="systole" type="IPaddr2"/></resources><constraints/></configuration><status><node_state id="1"/></status></cib>`), nil
}
func (h *testHost) Drain(context.Context) error { h.note("drain"); return nil }
func (h *testHost) HandOver(context.Context) error {
	h.note("hand over")
	h.world.mu.Lock()
	defer h.world.mu.Unlock()
	for name := range h.world.members {
		if name != h.name {
			h.world.dc = name
		}
	}
	return nil
}
func (h *testHost) Stop(cause string) { h.note("stop: %s", cause) }
func (h *testHost) Admit(_ context.Context, e Entrant) error {
	h.note("admit %s", e.Name)
	h.world.set(e.Name, func(m *Member) { m.Addr, m.RaftID, m.Witness, m.Online = e.Addr, e.RaftID, e.Witness, true })
	return nil
}
func (h *testHost) Remove(_ context.Context, name string) error {
	h.note("remove %s", name)
	h.world.mu.Lock()
	defer h.world.mu.Unlock()
	delete(h.world.members, name)
	return nil
}

// wantRefusal checks an error's exit status and words.
func wantRefusal(t *testing.T, err error, code int, words ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("nothing was refused; want code %d, %q", code, words)
		return
	}
	e, ok := errors.AsType[*api.Error](err)
	if !ok || e.Code != code {
		t.Errorf("got %v (%T), want code %d", err, err, code)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q does not say %q", err, w)
		}
	}
}
