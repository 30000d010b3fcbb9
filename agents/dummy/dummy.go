// Package dummy is the agents ocf:systole:Dummy, Stateful and Delay: resources
// that do nothing but remember that they run. They are for tests, examples and
// simulations.
//
// What runs is in a state file for each instance (or in memory, for virtual
// nodes), so it outlives the daemon and not a boot.
package dummy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"systole/resources"
)

// Config is what the agents need of the node.
type Config struct {
	// Dir is for state files; "" keeps the state in memory.
	Dir string
	// Score sets the promotion score of Stateful's instances; nil leaves it.
	Score func(ctx context.Context, op resources.Op, score int) error
}

// Agent is one of the three. It is safe for concurrent use.
type Agent struct {
	cfg    Config
	meta   *resources.Metadata
	states states
}

// New makes the agent of a type: "Dummy", "Stateful" or "Delay".
func New(typ string, cfg Config) *Agent {
	for _, m := range all {
		if m.Name == typ {
			a := &Agent{cfg: cfg, meta: m}
			if cfg.Dir == "" {
				a.states = &memory{m: map[string]string{}}
			} else {
				a.states = files(cfg.Dir)
			}
			return a
		}
	}
	panic("no dummy agent of type " + typ)
}

// states keeps what runs: "started" or "promoted" by file name, "" for nothing.
type states interface {
	get(name string) (string, error)
	set(name, state string) error
}

// MetaData is the OCF document.
func (a *Agent) MetaData(context.Context) ([]byte, error) { return a.meta.XML(), nil }

const (
	started  = "started"
	promoted = "promoted"
)

// Execute runs one operation.
func (a *Agent) Execute(ctx context.Context, op resources.Op) resources.Result {
	v, err := a.meta.Resolve(op.Params)
	if err != nil {
		return resources.Result{Code: resources.ErrConfigured, Reason: err.Error()}
	}
	if op.Action != "status" && !a.meta.Offers(string(op.Action)) {
		return resources.Result{Code: resources.ErrUnimplemented, Reason: fmt.Sprintf("%s has no action %s", a.meta.Name, op.Action)}
	}
	if err := sleep(ctx, a.pause(v, op)); err != nil {
		return resources.Result{Status: resources.StatusTimeout, Code: resources.ErrGeneric, Reason: err.Error()}
	}
	name := cmp.Or(v.String("state"), a.meta.Name+"-"+strings.ReplaceAll(cmp.Or(op.Instance, op.Resource), "/", "_")+".state")
	state, err := a.states.get(name)
	if err != nil {
		return failed(err)
	}
	if a.meta.Name == "Dummy" && op.Action == resources.ActionStart && v.String("fail_start_on") != "" && v.String("fail_start_on") == op.Node {
		return resources.Result{Code: resources.ErrGeneric, Reason: "told to fail on " + op.Node}
	}
	return a.act(ctx, op, name, state)
}

func (a *Agent) act(ctx context.Context, op resources.Op, name, state string) resources.Result {
	next, score := state, 0
	switch op.Action {
	case resources.ActionMonitor, "status":
		return resources.Result{Code: codes[state]}
	case resources.ActionStart, resources.ActionMigrateFrom:
		if state == "" {
			next = started
		}
		score = scoreStarted
	case resources.ActionStop:
		next, score = "", scoreNone
	case resources.ActionMigrateTo:
		if state == "" {
			return resources.Result{Code: resources.NotRunning}
		}
		next = ""
	case resources.ActionPromote:
		if state == "" {
			return resources.Result{Code: resources.NotRunning}
		}
		next, score = promoted, scorePromoted
	case resources.ActionDemote:
		if state == "" {
			return resources.Result{Code: resources.NotRunning}
		}
		next, score = started, scoreStarted
	default: // notify, reload, validate-all: nothing to do
		return resources.Result{}
	}
	if err := a.states.set(name, next); err != nil {
		return failed(err)
	}
	if a.cfg.Score != nil && score != 0 && a.meta == &statefulMeta {
		if err := a.cfg.Score(ctx, op, score); err != nil {
			return resources.Result{Output: fmt.Sprintf("promotion score not set: %v", err)}
		}
	}
	return resources.Result{}
}

// The promotion scores of Pacemaker's Stateful; scoreNone takes it away.
const (
	scoreNone     = -1
	scoreStarted  = 5
	scorePromoted = 10
)

var codes = map[string]resources.Code{"": resources.NotRunning, started: resources.OK, promoted: resources.RunningPromoted}

func failed(err error) resources.Result {
	return resources.Result{Code: resources.ErrGeneric, Reason: err.Error()}
}

// pause is how long the operation is to take.
func (a *Agent) pause(v resources.Values, op resources.Op) time.Duration {
	if a.meta != &delayMeta {
		return v.Duration("op_sleep")
	}
	switch op.Action {
	case resources.ActionStart:
		return v.Duration("startdelay")
	case resources.ActionStop:
		return v.Duration("stopdelay")
	case resources.ActionMonitor:
		if !op.IsProbe() {
			return v.Duration("mondelay")
		}
	}
	return 0
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// files keeps states in files of a directory, or where their absolute name says.
type files string

func (d files) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(string(d), name)
}

func (d files) get(name string) (string, error) {
	b, err := os.ReadFile(d.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	if state := strings.TrimSpace(string(b)); state == promoted {
		return promoted, nil
	}
	return started, nil // an empty file, as touch makes it, is a running resource too
}

func (d files) set(name, state string) error {
	if state == "" {
		if err := os.Remove(d.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(d.path(name)), 0o755); err != nil {
		return err
	}
	return os.WriteFile(d.path(name), []byte(state+"\n"), 0o644)
}

// memory keeps states of a virtual node.
type memory struct {
	mu sync.Mutex
	m  map[string]string
}

func (s *memory) get(name string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.m[name], nil
}

func (s *memory) set(name, state string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.m[name] = state
	return nil
}
