package sim

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"systole/crm/cib"
	"systole/crm/controller"
	"systole/crm/node"
	"systole/crm/scheduler"
	"systole/crm/store"
	"systole/integration/sim/fabric"
	"systole/resources"
)

// machine is one computer. Its disk survives everything, what lies in /run a restart
// of the daemon only, and what its agents started until it is powered off.
type machine struct {
	c    *cluster
	name string
	rate float64 // of its clock
	disk *store.Memory

	// guarded by world.mu
	on    bool
	boot  int
	guard *kernelGuard

	run struct { // gone with the power
		state runState
		kept  runKeeper
	}

	mu     sync.Mutex // guards the daemon; never held while waiting
	daemon *daemon
	ending int       // daemons not gone yet
	due    time.Time // when the machine or its daemon comes back; zero is not planned
}

// daemon is one run of systoled.
type daemon struct {
	*node.Node
	fabric *fabric.Node
	stop   context.CancelFunc
	ended  chan error
}

func (m *machine) addr() string { return m.name + ":1" }

// clock is the machine's own.
func (m *machine) clock() time.Duration {
	return time.Hour + time.Duration(float64(time.Since(m.c.born))*m.rate)
}

// up is the running daemon, nil without one.
func (m *machine) up() *daemon {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.daemon
}

// powerOn boots the machine with its daemon.
func (m *machine) powerOn(first *cib.CIB) {
	m.run.state, m.run.kept = runState{}, runKeeper{}
	w := m.c.world
	w.mu.Lock()
	m.on = true
	m.boot++
	m.guard.open = false
	w.mu.Unlock()
	m.start(first)
}

// powerOff cuts the power: nobody is told.
func (m *machine) powerOff() {
	w := m.c.world
	w.mu.Lock()
	m.on, m.guard.open = false, false
	m.guard.timer.Stop()
	for _, on := range w.runs {
		delete(on, m.name)
	}
	w.mu.Unlock()
	m.c.trace.add(m.name, "power off")
	m.end(false)
}

// kill ends the daemon alone; what runs goes on running, and the kernel tells peers.
func (m *machine) kill() {
	m.c.trace.add(m.name, "daemon killed")
	m.end(true)
}

// end ends the daemon. Its machine may come back as soon as every goroutine of it is
// gone: what a dead process can no longer write must not reach the disk either.
func (m *machine) end(politely bool) {
	m.mu.Lock()
	d := m.daemon
	m.daemon = nil
	if d != nil {
		m.ending++
	}
	m.mu.Unlock()
	if d == nil {
		return
	}
	if politely {
		d.fabric.Close()
	} else {
		m.c.net.PowerOff(m.addr())
	}
	m.disk.Hang(false)
	d.stop()
	<-d.ended
	m.mu.Lock()
	m.ending--
	m.mu.Unlock()
}

// start starts the daemon on a machine that is on.
func (m *machine) start(first *cib.CIB) {
	m.disk.Hang(false)
	c := m.c
	f := c.net.Attach(m.addr(), m.name)
	sc := store.Config{Memory: m.disk, Incarnation: "1", Bootstrap: first}
	if c.breaks != nil {
		c.breaks(&sc)
	}
	nc := node.Config{
		Name: m.name, Cluster: "sim", Fabric: f, Clock: m.clock, Timing: c.timing, Planner: plan,
		Log:   slog.New(&listener{m: m}),
		Store: sc, Peers: c.addresses,
		Lookup:   func(resources.AgentID) (resources.Agent, error) { return agent{c.world, m}, nil },
		Harmless: func(a resources.AgentID) bool { return a.Type == "Address" },
		Fencer:   fencer{c.world}, Guard: m.guard,
		Suicide: func(string) { go m.powerOff() },
		State:   &m.run.state, Right: &m.run.kept,
		Stop: func(cause string) { c.trace.add(m.name, "asked to stop: %s", cause) },
	}
	if b := c.opts.breakN; b != nil {
		b(&nc)
	}
	n, err := node.New(nc)
	if err != nil {
		c.fail("%s does not start: %v", m.name, err)
		f.Close()
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	d := &daemon{Node: n, fabric: f, stop: cancel, ended: make(chan error, 1)}
	go func() { d.ended <- n.Run(ctx) }()
	m.mu.Lock()
	m.daemon, m.due = d, time.Time{}
	m.mu.Unlock()
}

// plan is the scheduler, as the daemon asks it.
func plan(c *cib.CIB, now time.Time) (controller.Plan, error) {
	r := scheduler.Schedule(c.Root(), now, scheduler.Options{})
	return controller.Plan{Graph: r.Graph, RecheckBy: r.RecheckBy}, nil
}

// runState and runKeeper are files in /run.
type runState struct {
	mu sync.Mutex
	b  []byte
}

func (s *runState) Load() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b, nil
}

func (s *runState) Save(b []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.b = b
	return nil
}

type runKeeper struct {
	mu   sync.Mutex
	kept node.Kept
	ok   bool
}

func (k *runKeeper) Load() (node.Kept, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.kept, k.ok
}

func (k *runKeeper) Save(kept node.Kept) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.kept, k.ok = kept, true
	return nil
}

// listener reads the daemon's log: for the trace, and to count what was decided.
type listener struct {
	m     *machine
	attrs []slog.Attr
}

func (l *listener) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }
func (l *listener) WithGroup(string) slog.Handler                    { return l }
func (l *listener) WithAttrs(a []slog.Attr) slog.Handler {
	return &listener{l.m, append(l.attrs[:len(l.attrs):len(l.attrs)], a...)}
}

func (l *listener) Handle(_ context.Context, r slog.Record) error {
	line := r.Message
	part := false
	show := func(a slog.Attr) bool {
		part = part || a.Key == "part"
		line += " " + a.String()
		return true
	}
	for _, a := range l.attrs {
		show(a)
	}
	r.Attrs(show)
	if !part { // raft's own lines are too many
		l.m.c.trace.add(l.m.name, "%s", line)
	}
	switch r.Message {
	case "loss proven: what the node ran is silent":
		l.m.c.world.note("proofs")
	case "DC":
		r.Attrs(func(a slog.Attr) bool {
			if a.Key == "active" && a.Value.Bool() {
				l.m.c.world.note("DC changes")
			}
			return true
		})
	}
	return nil
}
