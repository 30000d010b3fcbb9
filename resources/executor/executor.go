// Package executor is the LRM: it runs agents on this node. Operations of one
// resource run one after the other, those of different resources side by side;
// recurring monitors keep their own schedule; every outcome is reported.
//
// [Executor.Run] owns everything in one goroutine: a pure machine (machine.go)
// decides, the loop performs. Each running operation and watch has a goroutine
// of its own and so has delivery; Run ends after all of them. It never decides
// that a resource should be recovered, and it calls no start that was not
// ordered. Processes belong to the agents; this package starts none, so it runs
// complete under testing/synctest.
//
// What is active here is kept in a [Store]. A new executor adopts from it: it
// probes what was recorded, resumes recurring monitors and delivers what was
// not delivered. See DESIGN.md for the rules and their reasons.
package executor

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"systole/resources"
)

// Config is what an executor needs from its caller.
type Config struct {
	// Node is this node's name. Incarnation is unique to this run of the daemon.
	Node        string
	Incarnation string
	// Lookup finds the agent; its error becomes a "not installed" result.
	Lookup func(resources.AgentID) (resources.Agent, error)
	// Sink records reports, in order, called by one goroutine at a time. The
	// whole batch (at most MaxBatch) is delivered again after an error, until it
	// succeeds. It may be as slow as it must.
	Sink func(context.Context, []Report) error
	// Lease is the right to run resources; nil means always.
	Lease resources.Lease
	// State survives a restart of the daemon, not a boot; nil keeps nothing.
	State Store
	// Parallel bounds operations in flight; 0 means DefaultParallel. Stops by
	// policy are not counted.
	Parallel int
	// Log; nil discards.
	Log *slog.Logger
}

// Bounds.
const (
	// DefaultParallel operations at once: agents wait more than they compute.
	DefaultParallel = 16
	// MaxUndelivered reports are kept. At this number orders are refused with
	// ErrBusy and recurring monitors pause; nothing is ever dropped. Operations
	// already accepted and policy stops still add theirs.
	MaxUndelivered = 1024
	// MaxBatch is the most reports one call of the sink gets.
	MaxBatch = 64
	// MaxText bounds Output and Reason in a report, in bytes.
	MaxText = 2048
)

// Executor runs operations on this node. All methods are safe for concurrent
// use and return ErrClosed while Run is not running.
type Executor struct {
	cfg    Config
	log    *slog.Logger
	calls  chan call
	active atomic.Pointer[[]Active]
	closed chan struct{} // closed when Run has ended
}

// call is something the owner does for a method; ended is closed when the record is saved.
type call struct {
	do    func(m *machine, now time.Time)
	ended chan struct{}
}

// New makes an executor; nothing happens before Run.
func New(cfg Config) *Executor {
	cfg.Parallel = cmp.Or(cfg.Parallel, DefaultParallel)
	return &Executor{
		cfg: cfg, log: cmp.Or(cfg.Log, slog.New(slog.DiscardHandler)),
		calls: make(chan call), closed: make(chan struct{}),
	}
}

// Execute accepts an order or refuses it. The outcome comes as a report; it
// does not wait for the operation. What was accepted is on record before.
func (e *Executor) Execute(ctx context.Context, o Order) error {
	var refused error
	err := e.ask(ctx, func(m *machine, now time.Time) { refused = m.submit(o, e.leased(), now) })
	return cmp.Or(err, refused)
}

// Try runs one operation that a human asked for, in its turn among those of the resource and under
// the same conditions as an order, and returns its result, of which there is no report: the cluster
// finds out by its own monitors. Recurring operations go on. ctx bounds the waiting,
// not the operation.
func (e *Executor) Try(ctx context.Context, op resources.Op) (resources.Result, error) {
	var refused error
	ended := make(chan resources.Result, 1)
	if err := e.ask(ctx, func(m *machine, now time.Time) {
		refused = m.try(op, e.leased(), now, func(r resources.Result) { ended <- r })
	}); err != nil {
		return resources.Result{}, err
	}
	if refused != nil {
		return resources.Result{}, refused
	}
	select {
	case res := <-ended:
		return res, nil
	case <-ctx.Done():
		return resources.Result{}, context.Cause(ctx)
	case <-e.closed:
		return resources.Result{}, ErrClosed
	}
}

// StopAll stops every resource that is or may be active, newest start first,
// one after the other, each with its own stop timeout, and goes on after a
// failure. Waiting orders are dropped, operations in flight other than stops
// are interrupted. It returns when all are done (joined errors name those
// that are not known to be stopped) or ctx is done (the stops go on).
func (e *Executor) StopAll(ctx context.Context, reason string) error {
	return e.policy(ctx, reason, false)
}

// DemoteAll demotes what is promoted and stops everything that is not an
// instance of a promotable clone (no-quorum-policy demote), as StopAll does.
func (e *Executor) DemoteAll(ctx context.Context, reason string) error {
	return e.policy(ctx, reason, true)
}

func (e *Executor) policy(ctx context.Context, reason string, demote bool) error {
	e.log.Warn("stopping by policy", "reason", reason, "demote", demote)
	done := make(chan error, 1)
	if err := e.ask(ctx, func(m *machine, now time.Time) {
		m.stopAll(reason, demote, now, func(err error) { done <- err })
	}); err != nil {
		return err
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-e.closed:
		return ErrClosed
	}
}

// Freeze refuses starts and promotes until Thaw; stops and monitors go on.
func (e *Executor) Freeze(ctx context.Context) error { return e.freeze(ctx, true) }

// Thaw ends Freeze.
func (e *Executor) Thaw(ctx context.Context) error { return e.freeze(ctx, false) }

func (e *Executor) freeze(ctx context.Context, frozen bool) error {
	return e.ask(ctx, func(m *machine, _ time.Time) { m.frozen = frozen })
}

// Active lists what is or may be active, in the order of start. It is a
// snapshot, empty before Run has read the state.
func (e *Executor) Active() []Active {
	if as := e.active.Load(); as != nil {
		return slices.Clone(*as)
	}
	return nil
}

// Settled waits until nothing is in flight or waiting and every report is
// delivered (for a planned restart, and for tests).
func (e *Executor) Settled(ctx context.Context) error {
	done := make(chan struct{})
	if err := e.ask(ctx, func(m *machine, _ time.Time) {
		m.idle = append(m.idle, func() { close(done) })
	}); err != nil {
		return err
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-e.closed:
		return ErrClosed
	}
}

// ask has the owner run do and waits until it has, with the record saved.
func (e *Executor) ask(ctx context.Context, do func(*machine, time.Time)) error {
	c := call{do: do, ended: make(chan struct{})}
	select {
	case e.calls <- c:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-e.closed:
		return ErrClosed
	}
	select {
	case <-c.ended:
		return nil
	case <-e.closed:
		return ErrClosed
	}
}

func (e *Executor) leased() bool { return e.cfg.Lease == nil || e.cfg.Lease.Remaining() > 0 }
