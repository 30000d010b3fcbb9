package executor

import (
	"errors"
	"time"

	"systole/resources"
)

// Reasons an order is refused. A refused order had no effect and gets no report.
var (
	// ErrLease: the node's lease has ended, so nothing may be started or promoted here.
	ErrLease = errors.New("the node lease has ended: nothing may be started here until the DC grants a new one")
	// ErrFrozen: Freeze is in force (no-quorum-policy freeze).
	ErrFrozen = errors.New("this node is frozen: what runs stays, nothing is started")
	// ErrStopping: a StopAll or DemoteAll is under way.
	ErrStopping = errors.New("this node is stopping its resources by policy")
	// ErrBusy: MaxUndelivered results wait for the log; try again when some are committed.
	ErrBusy = errors.New("too many results wait to be recorded: try again")
	// ErrClosed: Run has not begun or has ended.
	ErrClosed = errors.New("the executor is not running")
	// ErrInvalid: the order names no resource, no action or a negative time.
	ErrInvalid = errors.New("the order is not complete")
)

// Order asks for one operation on this node. Key is opaque here; two orders
// for a resource with the same non-empty key are one order, so a sender that
// saw no answer may repeat it.
type Order struct {
	// Op is what to do. ActionCancel ends the recurring operation with this
	// Interval and the action Op.Meta["operation"] (default monitor).
	Op resources.Op
	// Key is the transition key of the action; it comes back in the report.
	Key string
	// Extra is opaque and comes back in the report too: digests and the like.
	Extra map[string]string
	// StopTimeout is the configured timeout of the resource's stop, remembered
	// for a stop by policy; 0 leaves what was known (else DefaultTimeout).
	StopTimeout time.Duration
	// StartDelay puts off the first run of a recurring operation.
	StartDelay time.Duration
	// Origin, if set, makes a recurring operation run at Origin + n·Interval.
	Origin time.Time
}

// Report is one result for the log. Incarnation and Call name it: a report
// delivered twice (after a lost answer or a restart) carries the same pair.
// Calls rise by one in the order of reports, across incarnations too; each
// reported result of a recurring operation has its own.
type Report struct {
	Incarnation string
	Call        int
	Key         string
	Extra       map[string]string
	Op          resources.Op
	// Result; for a one-shot operation StatusCancelled means it was never begun
	// or, begun, was ended by policy, and a policy stop follows. For a recurring
	// one it confirms that it is cancelled.
	Result resources.Result
	// Cause says why this node acted by itself; it is empty for what was ordered.
	// The key is empty then: a stop by policy, or a probe after a restart that
	// did not find what was recorded.
	Cause  string
	Queued time.Time // accepted
	Began  time.Time // last-run; zero if never begun
	Ended  time.Time // last-rc-change for a result that differs from the one before
}

// Active is one resource that is, or may be, active here.
type Active struct {
	ID         string // Op.Instance, or Op.Resource when that is empty
	Op         resources.Op
	Role       Role
	Recurring  []time.Duration // intervals of its recurring operations
	InFlight   resources.Action
	LastResult resources.Result
}
