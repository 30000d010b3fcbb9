package store

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"systole/crm/cib"
	"systole/crm/command"
	"systole/crm/lease"
	"systole/crm/transport"
	"systole/integration/sim/fabric"
)

// The clusters of these tests run in virtual time, on a network in memory.

// cluster is some stores on one network.
type cluster struct {
	t     *testing.T
	net   *fabric.Network
	rules rules
	born  time.Time
	nodes map[string]*node

	mu sync.Mutex // guards who is up; never held while waiting, or virtual time stands still
}

// node is one machine: its disk survives a crash.
type node struct {
	c      *cluster
	name   string
	memory *Memory
	*Store
	fabric *fabric.Node
	stop   context.CancelFunc
	ended  chan error
	rate   float64 // of its clock
	life   string  // incarnation of a new store
	timing *lease.Timing
}

func newCluster(t *testing.T, r rules) *cluster {
	return &cluster{t: t, net: fabric.New(1), rules: r, born: time.Now(), nodes: make(map[string]*node)}
}

// grow starts n nodes a, b, c … that all vote.
func grow(t *testing.T, n int, r rules) *cluster {
	t.Helper()
	c := newCluster(t, r)
	for i := range n {
		name := string(rune('a' + i))
		nd := c.add(name)
		if i == 0 {
			nd.start(testCIB())
			c.dc()
			continue
		}
		nd.start(nil)
		c.join(nd)
	}
	t.Cleanup(c.end)
	return c
}

func testCIB() *cib.CIB {
	c, err := cib.ParseCIB([]byte(`<cib validate-with="pacemaker-3.7" epoch="1" num_updates="0" admin_epoch="0"><configuration><crm_config/><nodes/><resources/><constraints/></configuration><status/></cib>`))
	if err != nil {
		panic(err)
	}
	return c
}

func (c *cluster) add(name string) *node {
	n := &node{c: c, name: name, memory: NewMemory(), rate: 1, life: "1"}
	c.nodes[name] = n
	return n
}

// join makes the node a voter.
func (c *cluster) join(n *node) {
	c.t.Helper()
	dc := c.dc()
	for _, do := range []func() error{
		func() error { return dc.AddNonvoter(c.t.Context(), n.ID(), n.addr()) },
		func() error { return dc.Promote(c.t.Context(), n.ID()) },
	} {
		if err := do(); err != nil {
			c.t.Fatal(err)
		}
	}
	c.settle()
}

func (n *node) addr() string { return n.name + ":1" }

func (n *node) clock() time.Duration {
	return time.Hour + time.Duration(float64(time.Since(n.c.born))*n.rate)
}

func (n *node) config() Config {
	timing := lease.Default()
	if n.timing != nil {
		timing = *n.timing
	}
	return Config{
		Memory: n.memory, Node: n.name, Incarnation: n.life, Fabric: n.fabric,
		Timing: timing, Clock: n.clock, Log: testLog(n.name), rules: n.c.rules,
	}
}

func testLogger() *slog.Logger { return slog.New(slog.DiscardHandler) }

// testLog shows the log with SYSTOLE_TEST_LOG=1.
func testLog(node string) *slog.Logger {
	if os.Getenv("SYSTOLE_TEST_LOG") == "" {
		return nil
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})).With("node", node)
}

// start boots the machine.
func (n *node) start(bootstrap *cib.CIB) {
	n.c.t.Helper()
	f := n.c.net.Attach(n.addr(), n.name)
	n.c.mu.Lock()
	n.fabric = f
	n.c.mu.Unlock()
	cfg := n.config()
	cfg.Bootstrap = bootstrap
	s, err := Open(cfg)
	if err != nil {
		n.c.t.Fatalf("open %s: %v", n.name, err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	n.c.mu.Lock()
	n.Store, n.stop, n.ended = s, stop, ended
	n.c.mu.Unlock()
	go func() { ended <- s.Run(ctx) }()
	go renewing(s)
	go func() { // what crm/node does
		for d := range f.Datagrams(transport.ChannelBeat) {
			messages, err := lease.Decode(d.Payload)
			if err != nil {
				continue
			}
			for _, m := range messages {
				switch m := m.(type) {
				case lease.Renew:
					if answer, ok := s.Promise(m); ok {
						f.Send(d.From, transport.ChannelBeat, lease.Encode(answer))
					}
				case lease.Renewed:
					s.Promised(m)
				}
			}
		}
	}()
}

// renewing asks for the promises at every beat, as crm/node does.
func renewing(s *Store) {
	beat := time.NewTicker(s.cfg.Timing.Beat)
	defer beat.Stop()
	for {
		select {
		case <-s.done:
			return
		case <-beat.C:
			s.Renew()
		}
	}
}

// crash cuts the power: nobody is told, the disk keeps what was written.
func (n *node) crash() {
	n = n.c.nodes[n.name] // not a copy
	n.c.mu.Lock()
	n.Store = nil
	n.c.mu.Unlock()
	n.c.net.PowerOff(n.addr())
	n.memory.Hang(false)
	n.stop()
	<-n.ended
}

func (n *node) reboot() {
	n.c.t.Helper()
	n.c.nodes[n.name].start(nil)
}

// end stops everything, so that no goroutine outlives the test.
func (c *cluster) end() {
	for _, n := range c.running() {
		n.crash()
	}
	synctest.Wait()
}

// running are the nodes that are up, by name.
func (c *cluster) running() []*node {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []*node
	for _, n := range c.nodes {
		if n.Store != nil {
			up := *n // as it is now
			out = append(out, &up)
		}
	}
	slices.SortFunc(out, func(a, b *node) int { return cmp.Compare(a.name, b.name) })
	return out
}

// leased are the nodes that hold a valid DC lease now.
func (c *cluster) leased() []*node {
	var out []*node
	for _, n := range c.running() {
		if n.LeaseEnd(n.raft.CurrentTerm()) > n.clock() {
			out = append(out, n)
		}
	}
	return out
}

// dc waits for the one DC.
func (c *cluster) dc() *node { c.t.Helper(); return c.dcWithin(10 * time.Second) }

func (c *cluster) dcWithin(limit time.Duration) *node {
	c.t.Helper()
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(time.Millisecond) {
		for _, n := range c.running() {
			if n.DC().Active {
				return n
			}
		}
	}
	c.t.Fatalf("no DC within %v:\n%s", limit, c.describe())
	return nil
}

// settle waits until every running node has applied what the DC has.
func (c *cluster) settle() {
	c.t.Helper()
	dc := c.dc()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		want := dc.Snapshot().Index
		if !slices.ContainsFunc(c.running(), func(n *node) bool { return n.Snapshot().Index < want }) {
			return
		}
		if time.Now().After(end) {
			c.t.Fatalf("the nodes did not catch up with index %d:\n%s", want, c.describe())
		}
	}
}

func (c *cluster) describe() string {
	out := ""
	for _, n := range c.running() {
		st := n.Stats()
		out += fmt.Sprintf("%s: %s term %d last %d applied %d bound to %q for %v, dc %+v\n", n.name, st.State, st.Term, st.LastIndex, st.Applied, st.PromisedTo, st.Promise, n.DC())
	}
	return out
}

// set is an entry that gives one cluster option a value.
func set(name, value string) command.Entry {
	return command.Entry{
		Kind: command.KindCIB, Time: time.Unix(1700000000, 0).UTC(), User: "tester", Client: "test", Origin: "a",
		Change: &command.Change{Ops: []command.Op{{
			Kind: cib.OpModify, Section: "crm_config", AllowCreate: true,
			Data: fmt.Sprintf(`<cluster_property_set id="o"><nvpair id="o-%s" name="%s" value="%s"/></cluster_property_set>`, name, name, value),
		}}},
	}
}

// value reads an option that set wrote.
func value(c *cib.CIB, name string) string {
	if e := c.FindID("o-" + name); e != nil {
		return e.Get("value")
	}
	return ""
}

func (n *node) must(e command.Entry) command.Reply {
	n.c.t.Helper()
	r, err := n.Propose(n.c.t.Context(), e)
	if err == nil {
		err = r.Err()
	}
	if err != nil {
		n.c.t.Fatalf("propose at %s: %v", n.name, err)
	}
	return r
}

// sameCIB checks that nodes with equal index have equal bytes.
func (c *cluster) sameCIB() {
	c.t.Helper()
	byIndex := make(map[uint64]string)
	for _, n := range c.running() {
		s := n.Snapshot()
		if old, ok := byIndex[s.Index]; ok && old != s.CIB.String() {
			c.t.Fatalf("index %d: two CIBs:\n%s\n%s", s.Index, old, s.CIB)
		}
		byIndex[s.Index] = s.CIB.String()
	}
}
