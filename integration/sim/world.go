package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"systole/crm/fencing"
	"systole/resources"
)

// world is what really runs where, and who is heard for which address. It belongs to
// nobody's daemon: only agents, the kernel guard, fencing and power cuts change it.
type world struct {
	born  time.Time
	fail  func(format string, args ...any)
	trace *trace

	mu       sync.Mutex
	rng      *rand.Rand
	machines map[string]*machine
	runs     map[string]map[string]bool // resource → machines on which its agent started it
	last     map[string]string          // resource → where it was started last
	single   map[string]bool            // may be active on one machine only
	slow     time.Duration              // the longest an agent takes
	flaky    float64                    // how often an operation fails
	fence    fenceMood
	count    map[string]int
}

// fenceMood is what the fencing devices do today.
type fenceMood struct {
	fails float64
	slow  time.Duration
}

// guarded says whether a resource sits behind the kernel guard: it is an address.
func guarded(rsc string) bool { return strings.HasPrefix(rsc, "ip") }

// heard says whether a resource on a machine has an effect on the world now. The lock is held.
func (w *world) heard(rsc string, m *machine) bool {
	return w.runs[rsc][m.name] && m.on && (!guarded(rsc) || m.guard.open)
}

// holders are the machines on which a resource has an effect. The lock is held.
func (w *world) holders(rsc string) []string {
	var out []string
	for name := range w.runs[rsc] {
		if w.heard(rsc, w.machines[name]) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// where is holders for those without the lock.
func (w *world) where(rsc string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.holders(rsc)
}

// exclusive is checked after every change of the world. The lock is held.
func (w *world) exclusive(rsc, cause string) {
	if !w.single[rsc] {
		return // a fencing device: any number of machines may use it
	}
	if on := w.holders(rsc); len(on) > 1 {
		w.fail("%s is active on %v (%s)", rsc, on, cause)
	}
}

// agent is the agent of all resources on one machine.
type agent struct {
	w *world
	m *machine
}

func (a agent) MetaData(context.Context) ([]byte, error) { return nil, nil }

// Execute implements resources.Agent.
func (a agent) Execute(ctx context.Context, op resources.Op) resources.Result {
	w := a.w
	w.mu.Lock()
	took := time.Duration(w.rng.Int64N(int64(w.slow) + 1))
	failed := w.rng.Float64() < w.flaky
	boot := a.m.boot
	w.mu.Unlock()
	if op.Action == resources.ActionStart || op.Action == resources.ActionStop {
		select {
		case <-time.After(took):
		case <-ctx.Done():
			return resources.Result{Status: resources.StatusTimeout, Code: resources.ErrGeneric, Reason: "too slow"}
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if !a.m.on || a.m.boot != boot {
		return resources.Result{Status: resources.StatusError, Code: resources.ErrGeneric, Reason: "the machine is off"}
	}
	on := w.runs[op.Resource]
	if on == nil {
		on = make(map[string]bool)
		w.runs[op.Resource] = on
	}
	switch op.Action {
	case resources.ActionStart:
		if op.Agent.Class == resources.ClassStonith {
			on[a.m.name] = true
			break
		}
		if failed {
			return resources.Result{Code: resources.ErrGeneric, Reason: "flaky"}
		}
		w.start(op.Resource, a.m)
	case resources.ActionStop:
		if on[a.m.name] {
			w.trace.add(a.m.name, "stop %s", op.Resource)
		}
		delete(on, a.m.name)
	case resources.ActionMonitor:
		if !on[a.m.name] {
			return resources.Result{Code: resources.NotRunning}
		}
		if failed && op.Interval > 0 {
			return resources.Result{Code: resources.ErrGeneric, Reason: "flaky"}
		}
	}
	return resources.Result{}
}

// start makes a resource run, and asks whether that was allowed. The lock is held.
func (w *world) start(rsc string, m *machine) {
	on := w.runs[rsc]
	if on[m.name] {
		return // adopted
	}
	for other := range on {
		if o := w.machines[other]; other != m.name && w.heard(rsc, o) {
			w.fail("%s starts on %s before any proof: it was not stopped on %s, which is on", rsc, m.name, other)
		}
	}
	w.trace.add(m.name, "start %s", rsc)
	w.count["starts"]++
	if old := w.last[rsc]; old != "" && old != m.name {
		w.count["moves"]++
		if on[old] {
			w.count["moves past a fallen guard"]++
		}
	}
	w.last[rsc] = m.name
	on[m.name] = true
	w.exclusive(rsc, "started on "+m.name)
}

// kernelGuard silences a machine's addresses when its lease ends, whatever the daemon
// does. It counts on the machine's clock, as a kernel does.
type kernelGuard struct {
	w     *world
	m     *machine
	open  bool
	timer *time.Timer
}

// Renew implements node.Guard.
func (g *kernelGuard) Renew(remaining time.Duration) {
	g.w.mu.Lock()
	defer g.w.mu.Unlock()
	if !g.m.on {
		return
	}
	g.open = remaining > 0
	g.timer.Reset(time.Duration(float64(remaining) / g.m.rate))
	if g.open {
		for rsc := range g.w.runs {
			g.w.exclusive(rsc, "guard renewed on "+g.m.name)
		}
	}
}

func (g *kernelGuard) fall() {
	g.w.mu.Lock()
	defer g.w.mu.Unlock()
	if g.open {
		g.w.trace.add(g.m.name, "guard falls")
	}
	g.open = false
}

// fencer is a machine's way to the fencing devices.
type fencer struct{ w *world }

// Fence implements node.Fencer: it cuts the target's power, and gives it back for a reboot.
func (f fencer) Fence(ctx context.Context, c fencing.Call) resources.Result {
	w := f.w
	switch c.Action {
	case "off", "reboot":
	case "status":
		w.mu.Lock()
		defer w.mu.Unlock()
		if m := w.machines[c.Target]; m == nil || !m.on {
			return resources.Result{Code: 2} // off (fence agent API)
		}
		return resources.Result{}
	default:
		return resources.Result{}
	}
	w.mu.Lock()
	mood := w.fence
	failed := w.rng.Float64() < mood.fails
	took := 100*time.Millisecond + time.Duration(w.rng.Int64N(int64(mood.slow)+1))
	target := w.machines[c.Target]
	w.mu.Unlock()
	select {
	case <-time.After(took):
	case <-ctx.Done():
		return resources.Result{Status: resources.StatusTimeout, Code: resources.ErrGeneric}
	}
	if failed || target == nil {
		w.note("fencing failed")
		return resources.Result{Code: resources.ErrGeneric, Reason: "the device does not answer"}
	}
	w.trace.add(c.Target, "fenced")
	w.note("fenced")
	target.powerOff()
	if c.Action == "reboot" {
		target.comeBack(time.Now().Add(2 * time.Second))
	}
	return resources.Result{}
}

func (w *world) note(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.count[what]++
}

// trace keeps the last events, to be shown when something fails.
type trace struct {
	born time.Time
	mu   sync.Mutex
	ring []string
	n    int
}

const traceLines = 400

func (t *trace) add(node, format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	line := fmt.Sprintf("%9.3f %-3s %s", time.Since(t.born).Seconds(), node, fmt.Sprintf(format, args...))
	if len(t.ring) < traceLines {
		t.ring = append(t.ring, line)
	} else {
		t.ring[t.n%traceLines] = line
	}
	t.n++
}

func (t *trace) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	from := 0
	if t.n > traceLines {
		from = t.n % traceLines
	}
	return strings.Join(slices.Concat(t.ring[from:], t.ring[:from]), "\n")
}
