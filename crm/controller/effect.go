package controller

import (
	"time"

	"systole/crm/cib"
	"systole/crm/transition"
	"systole/resources"
)

// Effect is something the driver must do. The concrete types are all below.
type Effect interface{ effect() }

// Propose asks for one committed entry; the driver answers with [Proposed].
// Proposals are committed in the order in which they were returned.
type Propose struct {
	ID     int
	Change Change
}

// Change is what an entry changes. The concrete types are [NodeState],
// [Pending], [CancelPending], [ForgetFailures], [ForgetHistory] and [Office].
type Change interface{ change() }

// NodeState writes what the DC knows of a node.
type NodeState struct {
	Node, NodeID  string
	InCCM, Online bool
	// Expected is whether the node should be a member; a member lost while
	// expected is unclean.
	Expected bool
	// Unproven marks a lost node that may still be running something.
	Unproven bool
	// Forget drops its operation history: it must be probed again.
	Forget bool
	// Gone also drops its transient attributes: nothing of it is left.
	Gone bool
	// Restarted says that another run of the daemon is there: if the earlier one
	// wished to leave, that wish is over.
	Restarted bool
	// Incarnation, Policy, GiveUp and Restart are the node's own promises; "" leaves the old ones.
	Incarnation, Policy, GiveUp, Restart string
}

// Pending records operations that are about to be ordered.
type Pending struct{ Orders []Order }

// ForgetFailures clears fail counts of a resource on a node; with an operation
// only that operation's.
type ForgetFailures struct {
	Node, NodeID, Resource, Operation string
	Interval                          time.Duration
}

// CancelPending takes back the record of an operation that is not going to give
// a result: it was refused, or its DC is gone. The resource is probed again there,
// and the probe waits for whatever the node may still be doing.
type CancelPending struct {
	Node, Resource, Operation string
	Interval                  time.Duration
	Key                       string // transition key
}

// ForgetHistory drops the history of a resource on a node.
type ForgetHistory struct{ Node, NodeID, Resource string }

// Office records who is DC.
type Office struct{ Node, NodeID string }

func (NodeState) change()      {}
func (Pending) change()        {}
func (CancelPending) change()  {}
func (ForgetFailures) change() {}
func (ForgetHistory) change()  {}
func (Office) change()         {}

// Order sends an operation to a node. The driver repeats it until it is
// accepted, refused ([OrderRefused]) or the node is lost.
type Order struct {
	Node, NodeID string
	Term         uint64
	Transition   int
	Action       transition.ActionID
	Key          transition.Key
	// Shutdown asks the node to leave; there is no operation then.
	Shutdown bool
	Op       resources.Op
	// Attributes are the graph's, for what Op does not carry.
	Attributes []cib.Attr
}

// Fence asks for a node to be fenced; the driver answers with [FenceDone].
type Fence struct {
	Target, TargetID string
	Action           string // "reboot", "off", "on"
	Transition       int
	ID               transition.ActionID
	Timeout, Delay   time.Duration
	Reason           string
}

// SaveInput keeps what a plan was made from, for replay.
type SaveInput struct {
	Transition int
	CIB        *cib.CIB
	Now        time.Time
}

// Decided tells that a plan was made or a transition ended, for the log and
// the phase times.
type Decided struct {
	Level   Level
	Message string
	Facts   []any // pairs of key and value, in slog's manner
}

// Level of a Decided.
type Level int

// The levels: Debug for what changes nothing, Info for decisions, Warn for what goes wrong and is being handled.
const (
	Debug Level = iota
	Info
	Warn
)

func (Propose) effect()   {}
func (Order) effect()     {}
func (Fence) effect()     {}
func (SaveInput) effect() {}
func (Decided) effect()   {}
