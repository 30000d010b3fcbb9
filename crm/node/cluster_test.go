package node

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"systole/crm/cib"
	"systole/crm/controller"
	"systole/crm/fencing"
	"systole/crm/lease"
	"systole/crm/scheduler"
	"systole/crm/store"
	"systole/integration/sim/fabric"
	"systole/resources"
)

// The clusters of these tests are complete nodes in virtual time on a network in
// memory; only the agents are toys.

type testCluster struct {
	t     *testing.T
	net   *fabric.Network
	born  time.Time
	nodes map[string]*testNode
	world *world
}

// testNode is one machine. Its disk survives a crash of the daemon and a power
// cut; what it keeps in /run survives only the daemon.
type testNode struct {
	c      *testCluster
	name   string
	disk   *store.Memory
	state  *memoryState
	kept   *memoryKeeper
	fabric *fabric.Node
	kernel *kernelGuard
	// exclusive resources have no guard here.
	exclusive atomic.Bool
	*Node
	stop  context.CancelFunc
	ended chan error
	cause chan string // Stop was called
}

// world is what runs where, and everything agents were asked to do.
type world struct {
	mu     sync.Mutex
	active map[string]map[string]bool // resource → nodes
	calls  []string                   // "start r a"
	twice  []string                   // moments with a resource active twice
	slow   time.Duration              // every start and stop takes this long
	failOn map[string]resources.Code  // "start r a" → code
	meta   string                     // metadata of every agent
}

func (w *world) Execute(ctx context.Context, op resources.Op) resources.Result {
	call := fmt.Sprintf("%s %s %s", op.Action, op.Resource, op.Node)
	if op.Action == resources.ActionStart || op.Action == resources.ActionStop {
		if !sleep(ctx, w.slow) {
			return resources.Result{Status: resources.StatusTimeout, Code: resources.ErrGeneric}
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if op.Interval == 0 {
		w.calls = append(w.calls, call)
	}
	if code, ok := w.failOn[call]; ok {
		return resources.Result{Code: code}
	}
	on := w.active[op.Resource]
	if on == nil {
		on = map[string]bool{}
		w.active[op.Resource] = on
	}
	switch op.Action {
	case resources.ActionStart:
		on[op.Node] = true
		if len(on) > 1 {
			w.twice = append(w.twice, call)
		}
	case resources.ActionStop:
		delete(on, op.Node)
	case resources.ActionMonitor:
		if !on[op.Node] {
			return resources.Result{Code: resources.NotRunning}
		}
	}
	return resources.Result{}
}

// Fence implements Fencer: it switches a machine off.
func (w *world) Fence(_ context.Context, c fencing.Call) resources.Result {
	if c.Action == "status" {
		return resources.Result{Code: 2} // off
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	call := "fence " + c.Target
	w.calls = append(w.calls, call)
	if code, ok := w.failOn[call]; ok {
		return resources.Result{Code: code}
	}
	for _, on := range w.active {
		delete(on, c.Target)
	}
	return resources.Result{}
}

func (w *world) MetaData(context.Context) ([]byte, error) { return []byte(w.meta), nil }

// off ends everything on a machine, as a power cut does.
func (w *world) off(node string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, on := range w.active {
		delete(on, node)
	}
}

func (w *world) where(rsc string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []string
	for n := range w.active[rsc] {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}

func (w *world) count(call string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, c := range w.calls {
		if c == call {
			n++
		}
	}
	return n
}

type memoryState struct{ b []byte }

func (m *memoryState) Load() ([]byte, error) { return m.b, nil }
func (m *memoryState) Save(b []byte) error   { m.b = b; return nil }

type memoryKeeper struct {
	kept Kept
	ok   bool
}

func (m *memoryKeeper) Load() (Kept, bool) { return m.kept, m.ok }
func (m *memoryKeeper) Save(k Kept) error  { m.kept, m.ok = k, true; return nil }

// grow starts n nodes a, b, c … with resources r1, r2 …
func grow(t *testing.T, n, rsc int, options ...string) *testCluster {
	t.Helper()
	c := &testCluster{t: t, net: fabric.New(1), born: time.Now(), nodes: map[string]*testNode{},
		world: &world{active: map[string]map[string]bool{}, failOn: map[string]resources.Code{}}}
	var names []string
	for i := range n {
		names = append(names, string(rune('a'+i)))
	}
	t.Cleanup(c.end)
	for i, name := range names {
		nd := &testNode{c: c, name: name, disk: store.NewMemory()}
		c.nodes[name] = nd
		if i == 0 {
			nd.start(testCIB(names, rsc, options))
			c.until("a leads", func() bool { return nd.Store().DC().Active })
			continue
		}
		nd.start(nil)
		if err := c.nodes["a"].Store().AddNonvoter(t.Context(), nd.Store().ID(), nd.addr()); err != nil {
			t.Fatal(err)
		}
		if err := c.nodes["a"].Store().Promote(t.Context(), nd.Store().ID()); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func testCIB(nodes []string, rsc int, options []string) *cib.CIB {
	var b strings.Builder
	b.WriteString(`<cib validate-with="pacemaker-3.7" epoch="1" num_updates="0" admin_epoch="0"><configuration><crm_config><cluster_property_set id="o">`)
	for i := 0; i+1 < len(options); i += 2 {
		fmt.Fprintf(&b, `<nvpair id="o-%s" name="%s" value="%s"/>`, options[i], options[i], options[i+1])
	}
	b.WriteString(`</cluster_property_set></crm_config><nodes>`)
	for i, n := range nodes {
		fmt.Fprintf(&b, `<node id="%d" uname="%s"/>`, i+1, n)
	}
	b.WriteString(`</nodes><resources>`)
	if !slices.Equal(options, noFencing) {
		b.WriteString(`<primitive id="power" class="stonith" type="fence_toy"><instance_attributes id="power-i"><nvpair id="power-i-c" name="pcmk_host_check" value="none"/></instance_attributes></primitive>`)
	}
	for i := range rsc {
		b.WriteString(toy(i + 1))
	}
	b.WriteString(`</resources><constraints/><rsc_defaults><meta_attributes id="d"><nvpair id="d-s" name="resource-stickiness" value="100"/></meta_attributes></rsc_defaults></configuration><status/></cib>`)
	c, err := cib.ParseCIB([]byte(b.String()))
	if err != nil {
		panic(err)
	}
	return c
}

// toy is a primitive that is watched.
func toy(i int) string {
	return fmt.Sprintf(`<primitive id="r%d" class="ocf" provider="test" type="Toy"><operations><op id="r%d-m" name="monitor" interval="10s" timeout="20s"/></operations></primitive>`, i, i)
}

// plan is the scheduler.
func plan(c *cib.CIB, now time.Time) (controller.Plan, error) {
	r := scheduler.Schedule(c.Root(), now, scheduler.Options{})
	return controller.Plan{Graph: r.Graph, RecheckBy: r.RecheckBy}, nil
}

// lastOp is the newest one-shot operation a node's history has, nil without one.
func lastOp(c *cib.CIB, node, rsc string) *cib.Element {
	for s := range c.Status().Each("node_state") {
		if s.Get("uname") != node {
			continue
		}
		for h := range s.Child("lrm").Child("lrm_resources").Each("lrm_resource") {
			for op := range h.Each("lrm_rsc_op") {
				if op.ID() == rsc+"_last_0" {
					return op
				}
			}
		}
	}
	return nil
}

func (n *testNode) addr() string { return n.name + ":1" }

// start boots the machine (a fresh /run) with its daemon.
func (n *testNode) start(bootstrap *cib.CIB) {
	n.state, n.kept = &memoryState{}, &memoryKeeper{}
	n.daemon(bootstrap)
}

// daemon starts the daemon alone.
func (n *testNode) daemon(bootstrap *cib.CIB) {
	t := n.c.t
	t.Helper()
	n.fabric = n.c.net.Attach(n.addr(), n.name)
	n.cause = make(chan string, 1)
	peers := map[string]string{}
	for _, p := range n.c.nodes {
		peers[p.name] = p.addr()
	}
	log := slog.New(slog.DiscardHandler)
	if os.Getenv("SYSTOLE_TEST_LOG") != "" {
		log = slog.New(slog.NewTextHandler(os.Stderr, nil)).With("node", n.name)
	}
	nd, err := New(Config{
		Name: n.name, Fabric: n.fabric, Timing: lease.Default(), Planner: plan, Log: log,
		Clock: func() time.Duration { return time.Hour + time.Since(n.c.born) },
		Store: store.Config{Memory: n.disk, Incarnation: "1", Bootstrap: bootstrap}, Peers: func() map[string]string { return peers },
		Lookup:   func(resources.AgentID) (resources.Agent, error) { return n.c.world, nil },
		Harmless: func(resources.AgentID) bool { return !n.exclusive.Load() }, Fencer: n.c.world,
		State: n.state, Right: n.kept, Guard: n.guard(),
		Stop: func(cause string) {
			select {
			case n.cause <- cause:
			default:
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	n.Node = nd
	ctx, cancel := context.WithCancel(context.Background())
	n.stop, n.ended = cancel, make(chan error, 1)
	go func() { n.ended <- nd.Run(ctx) }()
}

// kernelGuard is what the kernel does for an address: it falls silent when the
// lease ends, whether or not the daemon lives.
type kernelGuard struct {
	mu    sync.Mutex
	timer *time.Timer
}

func (g *kernelGuard) Renew(remaining time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.timer.Reset(remaining)
}

func (n *testNode) guard() Guard {
	if n.kernel == nil {
		n.kernel = &kernelGuard{timer: time.AfterFunc(time.Hour, func() { n.c.world.off(n.name) })}
	}
	return n.kernel
}

// kill ends the daemon without a word (kill -9): what runs goes on running.
func (n *testNode) kill() {
	n.c.net.PowerOff(n.addr())
	n.halt()
}

// powerOff ends the machine.
func (n *testNode) powerOff() {
	n.c.world.off(n.name)
	n.kill()
	n.c.world.off(n.name)
}

func (n *testNode) halt() {
	if n.stop == nil {
		return
	}
	n.stop()
	<-n.ended
	n.stop = nil
	n.fabric.Close()
}

func (c *testCluster) end() {
	for _, n := range c.nodes {
		n.halt()
		if n.kernel != nil {
			n.kernel.timer.Stop()
		}
	}
}

// holder is the node a resource runs on, and it is not the DC.
func (c *testCluster) holder(rsc string) *testNode {
	c.t.Helper()
	c.until(rsc+" runs on one node", func() bool { return len(c.world.where(rsc)) == 1 && c.settled() })
	n := c.nodes[c.world.where(rsc)[0]]
	if n != c.dc() {
		return n
	}
	if err := n.Store().HandOver(c.t.Context()); err != nil {
		c.t.Fatal(err)
	}
	c.until("another DC", func() bool { return c.dc() != nil && c.dc() != n && c.settled() })
	return n
}

// until waits in virtual time for a condition, at most a minute.
func (c *testCluster) until(what string, cond func() bool) time.Duration {
	c.t.Helper()
	began := time.Now()
	for !cond() {
		if time.Since(began) > time.Minute {
			c.t.Fatalf("not within a minute: %s\n%s", what, c.dump())
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
	}
	return time.Since(began)
}

func (c *testCluster) dump() string {
	var b strings.Builder
	for _, name := range []string{"a", "b", "c"} {
		if n := c.nodes[name]; n != nil && n.stop != nil {
			fmt.Fprintf(&b, "%s: dc %+v controller %+v lease %v\n", name, n.Store().DC(), n.Controller(), n.Remaining())
			if n.Store().DC().Active {
				b.WriteString(n.CIB().String())
			}
		}
	}
	fmt.Fprintf(&b, "active: %v\ncalls: %v\n", c.world.active, c.world.calls)
	return b.String()
}

// dc is the present DC; nil without one.
func (c *testCluster) dc() *testNode {
	for _, n := range c.nodes {
		if n.stop != nil && n.Store().DC().Active {
			return n
		}
	}
	return nil
}

func (c *testCluster) settled() bool {
	d := c.dc()
	return d != nil && d.Controller().Settled() && d.Controller().Index >= d.Store().Snapshot().Index
}

// runsOn waits until a resource is active on one node and the cluster is settled.
func (c *testCluster) runsOn(rsc, node string) {
	c.t.Helper()
	c.until(rsc+" on "+node, func() bool { return slices.Equal(c.world.where(rsc), []string{node}) && c.settled() })
}

// never fails when something was active twice.
func (c *testCluster) neverTwice() {
	c.t.Helper()
	if len(c.world.twice) > 0 {
		c.t.Errorf("active twice at: %v", c.world.twice)
	}
}
