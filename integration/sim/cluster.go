package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"systole/crm/cib"
	"systole/crm/lease"
	"systole/crm/node"
	"systole/crm/store"
	"systole/integration/sim/fabric"
)

// Options of one run.
type Options struct {
	Seed  uint64
	Nodes int           // 0 draws 3 … 5
	Time  time.Duration // of the first phase; 0 is one minute

	breaks func(*store.Config) // a mutant's store
	breakN func(*node.Config)  // a mutant's node
	timing func(*lease.Timing) // a mutant's timing
	only   func(fault) bool    // the faults to use, nil for all
}

// Report is what happened in one run.
type Report struct {
	Nodes    int
	Fencing  bool
	Faults   int
	Counts   map[string]int
	Problems []string // broken promises; the run stops being interesting after the first
	Trace    string   // the last events, if there are problems
}

// cluster is one simulated cluster.
type cluster struct {
	opts     Options
	rng      *rand.Rand // the run's own draws
	born     time.Time
	net      *fabric.Network
	world    *world
	trace    *trace
	timing   lease.Timing
	breaks   func(*store.Config)
	names    []string
	machines map[string]*machine
	fencing  bool
	rscs     []string
	register register
	quiet    atomic.Bool // the clients wait

	mu       sync.Mutex
	problems []string
}

// Run simulates one seed. It must be called in a testing/synctest bubble.
func Run(o Options) Report {
	if o.Time == 0 {
		o.Time = time.Minute
	}
	c := newCluster(o)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	c.form(ctx)
	wg.Go(func() { c.watch(ctx) })
	wg.Go(func() { c.revive(ctx) })
	clients, stop := context.WithCancel(ctx)
	var asking sync.WaitGroup
	for id := range 3 {
		asking.Go(func() { c.client(clients, id) })
	}
	faults := c.storm(ctx)
	c.heal(ctx)
	c.converge(ctx)
	stop()
	asking.Wait()
	c.finish(ctx)
	cancel()
	wg.Wait()
	for _, m := range c.machines {
		m.end(false)
		m.guard.timer.Stop()
	}
	r := Report{Nodes: len(c.names), Fencing: c.fencing, Faults: faults, Counts: c.world.count, Problems: c.problems}
	if len(r.Problems) > 0 {
		r.Trace = c.trace.String()
	}
	return r
}

// current is the trace of the run under way, for whoever finds it stuck.
var current atomic.Pointer[trace]

func newCluster(o Options) *cluster {
	rng := rand.New(rand.NewPCG(o.Seed, 0x5157))
	c := &cluster{
		opts: o, rng: rng, born: time.Now(), net: fabric.New(o.Seed), timing: lease.Default(), breaks: o.breaks,
		machines: make(map[string]*machine), fencing: rng.IntN(2) == 0,
	}
	if o.timing != nil {
		o.timing(&c.timing)
	}
	c.trace = &trace{born: c.born}
	current.Store(c.trace)
	c.world = &world{
		born: c.born, fail: c.fail, trace: c.trace, rng: rand.New(rand.NewPCG(o.Seed, 0xa9e7)),
		machines: c.machines, runs: make(map[string]map[string]bool), last: make(map[string]string), single: make(map[string]bool), count: make(map[string]int),
	}
	n := o.Nodes
	if n == 0 {
		n = 3 + rng.IntN(3)
	}
	for i := range n {
		name := string(rune('a' + i))
		m := &machine{c: c, name: name, rate: 0.91 + 0.18*rng.Float64(), disk: store.NewMemory()}
		m.guard = &kernelGuard{w: c.world, m: m}
		m.guard.timer = time.AfterFunc(time.Hour, m.guard.fall)
		c.names = append(c.names, name)
		c.machines[name] = m
	}
	c.rscs = []string{"ip1", "ip2", "ip3"}
	if c.fencing {
		// Without fencing, only what a kernel guard silences may run: nothing else
		// stops when a daemon is killed.
		c.rscs = append(c.rscs, "fs1", "db1")
	}
	for _, r := range c.rscs {
		c.world.single[r] = true
	}
	return c
}

// fail notes a broken promise.
func (c *cluster) fail(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	c.trace.add("***", "%s", text)
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.problems) < 10 {
		c.problems = append(c.problems, fmt.Sprintf("at %.3f s: %s", time.Since(c.born).Seconds(), text))
	}
}

func (c *cluster) failed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.problems) > 0
}

func (c *cluster) addresses() map[string]string {
	out := make(map[string]string)
	for _, n := range c.names {
		out[n] = n + ":1"
	}
	return out
}

// firstCIB has all nodes and resources.
func (c *cluster) firstCIB() *cib.CIB {
	var b strings.Builder
	fmt.Fprintf(&b, `<cib validate-with="pacemaker-3.7" epoch="1" num_updates="0" admin_epoch="0"><configuration><crm_config><cluster_property_set id="o">`)
	for i, nv := range [][2]string{{"stonith-enabled", fmt.Sprint(c.fencing)}, {"no-quorum-policy", "stop"}, {"start-failure-is-fatal", "false"}, {"dc-deadtime", "2s"}, {"stonith-timeout", "5s"}} {
		fmt.Fprintf(&b, `<nvpair id="o-%d" name="%s" value="%s"/>`, i, nv[0], nv[1])
	}
	b.WriteString(`</cluster_property_set></crm_config><nodes>`)
	for i, n := range c.names {
		fmt.Fprintf(&b, `<node id="%d" uname="%s"/>`, i+1, n)
	}
	b.WriteString(`</nodes><resources>`)
	if c.fencing {
		b.WriteString(`<primitive id="pdu" class="stonith" type="fence_sim"><instance_attributes id="pdu-ia"><nvpair id="pdu-hl" name="pcmk_host_list" value="` + strings.Join(c.names, " ") + `"/></instance_attributes></primitive>`)
	}
	for _, r := range c.rscs {
		kind := "Disk"
		if guarded(r) {
			kind = "Address"
		}
		fmt.Fprintf(&b, `<primitive id="%[1]s" class="ocf" provider="sim" type="%[2]s"><operations><op id="%[1]s-m" name="monitor" interval="3s" timeout="5s"/><op id="%[1]s-s" name="start" interval="0" timeout="5s"/><op id="%[1]s-t" name="stop" interval="0" timeout="5s"/></operations></primitive>`, r, kind)
	}
	b.WriteString(`</resources><constraints/></configuration><status/></cib>`)
	first, err := cib.ParseCIB([]byte(b.String()))
	if err != nil {
		panic(err)
	}
	return first
}

// form boots the machines and makes all of them voters.
func (c *cluster) form(ctx context.Context) {
	for i, n := range c.names {
		m := c.machines[n]
		if i == 0 {
			m.powerOn(c.firstCIB())
		} else {
			m.powerOn(nil)
		}
		dc := c.dcWithin(30 * time.Second)
		if dc == nil {
			c.fail("the cluster does not form")
			return
		}
		if i == 0 {
			continue
		}
		id := m.up().Store().ID()
		for _, do := range []func() error{
			func() error { return dc.up().Store().AddNonvoter(ctx, id, m.addr()) },
			func() error { return dc.up().Store().Promote(ctx, id) },
		} {
			if err := do(); err != nil {
				c.fail("join %s: %v", n, err)
			}
		}
	}
	if !c.until(30*time.Second, c.served) {
		c.fail("the services do not start: %s", c.describe())
	}
}

// dc is the machine whose daemon is the DC, nil without one.
func (c *cluster) dc() *machine {
	for _, n := range c.names {
		if d := c.machines[n].up(); d != nil && d.Store().DC().Active {
			return c.machines[n]
		}
	}
	return nil
}

func (c *cluster) dcWithin(limit time.Duration) (dc *machine) {
	c.until(limit, func() bool {
		dc = c.dc()
		return dc != nil
	})
	return dc
}

// until waits for a condition, looking at it every few milliseconds.
func (c *cluster) until(limit time.Duration, cond func() bool) bool {
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if cond() {
			return true
		}
	}
	return false
}

// served says that every resource is active on one machine.
func (c *cluster) served() bool {
	return !slices.ContainsFunc(c.rscs, func(r string) bool { return len(c.world.where(r)) != 1 })
}

func (c *cluster) describe() string {
	var b strings.Builder
	for _, n := range c.names {
		m := c.machines[n]
		d := m.up()
		if d == nil {
			fmt.Fprintf(&b, "\n  %s: no daemon, on %v", n, m.on)
			continue
		}
		dc, st, ctl := d.Store().DC(), d.Store().Stats(), d.Controller()
		fmt.Fprintf(&b, "\n  %s: %s term %d, DC %v, index %d, lease %v, controller %v", n, st.State, st.Term, dc.Active, st.Applied, d.Remaining(), ctl.State)
	}
	for _, r := range c.rscs {
		fmt.Fprintf(&b, "\n  %s on %v", r, c.world.where(r))
	}
	if dc := c.dc(); dc != nil {
		fmt.Fprintf(&b, "\n%s", dc.up().CIB().Status())
	}
	return b.String()
}
