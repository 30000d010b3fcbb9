package executor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"systole/resources"
)

// world is a node's virtual services: what runs, and how the agent behaves. It
// outlives executors as services outlive the daemon.
type world struct {
	t     *testing.T
	mu    sync.Mutex
	up    map[string]resources.Code   // what a monitor answers; absent: not running
	slow  map[string]time.Duration    // by "op rsc"
	fail  map[string]resources.Result // by "op rsc"
	deaf  map[string]bool             // by "op rsc": does not heed its context
	log   []string                    // "+start a", "-start a": begun and ended
	fatal map[string]bool             // operations that must not happen
	watch chan string                 // what to notice
	lease leaseFake
	// the log of the cluster
	committed []Report
	refuse    error // what the sink answers
}

type leaseFake struct {
	mu   sync.Mutex
	gone bool
}

func (l *leaseFake) Remaining() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.gone {
		return 0
	}
	return time.Second
}

func (l *leaseFake) end(gone bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gone = gone
}

func newWorld(t *testing.T) *world {
	return &world{
		t: t, up: map[string]resources.Code{}, slow: map[string]time.Duration{},
		fail: map[string]resources.Result{}, deaf: map[string]bool{}, fatal: map[string]bool{}, watch: make(chan string),
	}
}

func (w *world) MetaData(context.Context) ([]byte, error) { return nil, nil }

func (w *world) Execute(ctx context.Context, op resources.Op) resources.Result {
	name := string(op.Action) + " " + op.Resource
	w.mu.Lock()
	if w.fatal[string(op.Action)] {
		w.t.Errorf("%s was called and must not be", name)
	}
	w.log = append(w.log, "+"+name)
	slow, fail, failing, deaf := w.slow[name], resources.Result{}, false, w.deaf[name]
	if r, ok := w.fail[name]; ok {
		fail, failing = r, true
	}
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		w.log = append(w.log, "-"+name)
		w.mu.Unlock()
	}()
	if deaf {
		time.Sleep(slow)
	} else if slow > 0 {
		select {
		case <-time.After(slow):
		case <-ctx.Done():
			return resources.Result{Status: resources.StatusError, Code: resources.ErrGeneric}
		}
	}
	if failing {
		return fail
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch op.Action {
	case resources.ActionStart, resources.ActionDemote:
		w.up[op.Resource] = resources.OK
	case resources.ActionPromote:
		w.up[op.Resource] = resources.RunningPromoted
	case resources.ActionStop:
		delete(w.up, op.Resource)
	case resources.ActionMonitor:
		code, ok := w.up[op.Resource]
		if !ok {
			code = resources.NotRunning
		}
		return resources.Result{Code: code}
	}
	return resources.Result{}
}

func (w *world) Watch(ctx context.Context, op resources.Op) bool {
	for {
		select {
		case id := <-w.watch:
			if id == op.Resource {
				return true
			}
		case <-ctx.Done():
			return false
		}
	}
}

func (w *world) sink(_ context.Context, rs []Report) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.refuse != nil {
		return w.refuse
	}
	w.committed = append(w.committed, rs...)
	return nil
}

// set changes the world while the executor runs.
func (w *world) set(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

// took returns and clears the log.
func (w *world) took() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	log := w.log
	w.log = nil
	return log
}

// told returns and clears the committed reports, as "call op rsc code status".
func (w *world) told() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var lines []string
	for _, r := range w.committed {
		lines = append(lines, fmt.Sprintf("%d %s %s rc=%d status=%d", r.Call, r.Op.Action, r.Op.Resource, r.Result.Code, r.Result.Status))
	}
	w.committed = nil
	return lines
}

// sorted is for what happens side by side.
func sorted(s []string) []string {
	slices.Sort(s)
	return s
}

type memory struct{ data []byte }

func (m *memory) Load() ([]byte, error) { return m.data, nil }
func (m *memory) Save(b []byte) error   { m.data = slices.Clone(b); return nil }

// node is one running executor on the world.
type node struct {
	*Executor
	w    *world
	stop func()
}

func (w *world) boot(incarnation string, state Store, parallel int) *node {
	e := New(Config{
		Node: "a", Incarnation: incarnation, State: state, Parallel: parallel, Lease: &w.lease, Sink: w.sink,
		Lookup: func(id resources.AgentID) (resources.Agent, error) {
			if id.Type == "Missing" {
				return nil, errors.New("agent ocf:x:Missing is not installed")
			}
			return w, nil
		},
	})
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	n := &node{Executor: e, w: w}
	n.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("Run: %v", err)
		}
	})
	w.t.Cleanup(n.stop)
	return n
}

// op parses "start a" or "monitor a 10s".
func op(s string) resources.Op {
	f := strings.Fields(s)
	o := resources.Op{Resource: f[1], Action: resources.Action(f[0]), Timeout: 5 * time.Second}
	if len(f) > 2 {
		o.Interval, _ = time.ParseDuration(f[2])
	}
	return o
}

func (n *node) order(specs ...string) {
	n.w.t.Helper()
	for _, s := range specs {
		if err := n.Execute(n.w.t.Context(), Order{Op: op(s)}); err != nil {
			n.w.t.Errorf("order %q: %v", s, err)
		}
	}
}

func want(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\ngot  %s\nwant %s", what, strings.Join(got, " | "), strings.Join(want, " | "))
	}
}

func bubble(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, newWorld(t)) })
}
