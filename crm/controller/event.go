package controller

import (
	"systole/crm/cib"
	"systole/crm/transition"
)

// Event is something that happened. The concrete types are all below.
type Event interface{ event() }

// Elected: this node leads, has passed a barrier and holds the DC lease.
type Elected struct {
	Term uint64
	// UUID is unique to this office; it ends up in the transition keys.
	UUID string
	CIB  *cib.CIB
	// Index is the raft index CIB belongs to.
	Index uint64
}

// Deposed: the lease or the leadership is gone. Everything in flight is forgotten.
type Deposed struct{ Cause string }

// CIBChanged is the newest committed CIB; the driver may skip older ones.
type CIBChanged struct {
	CIB   *cib.CIB
	Index uint64
}

// NodeReady: the node beats and has acknowledged the term.
type NodeReady struct {
	Node        string
	Incarnation string
	// Policy is the no-quorum-policy it acts on when its lease ends, GiveUp how
	// long its stops may take, Restart how long it may be away (durations, "" is none).
	Policy, GiveUp, Restart string
}

// NodeRecord: the node promises something new, or asks for a restart grant; it
// is to be committed before the DC relies on it.
type NodeRecord struct {
	Node, Incarnation, Policy, GiveUp, Restart string
}

// NodeLost: nothing was heard from the node for the detection time. No proof of anything.
type NodeLost struct{ Node string }

// NodeProven: the node's lease and the give-up bound are over; what it ran is silent.
type NodeProven struct{ Node string }

// NodeLeft: the node said good-bye with everything stopped.
type NodeLeft struct{ Node string }

// OrderRefused: the node did not take an order, which therefore had no effect.
type OrderRefused struct {
	Transition int
	Action     transition.ActionID
	Reason     string
}

// Done: an operation that leaves no trace in the CIB has ended: a notification, or one
// that the node's own policy put an end to, which has a Reason and failed.
type Done struct {
	Key    transition.Key
	Reason string
}

// FenceDone is the outcome of a fencing that was asked for here, or by hand
// (Action 0). Only OK is proof.
type FenceDone struct {
	Target     string
	Transition int
	Action     transition.ActionID
	OK         bool
	On         bool // the target was switched on (unfencing), not off
	Reason     string
}

// Proposed is the outcome of a proposal; refused ones have a Reason.
type Proposed struct {
	ID     int
	OK     bool
	Reason string
}

// Reconsider asks for a new plan although nothing in the CIB changed.
type Reconsider struct{ Cause string }

// Tick: the time given by Wake has come.
type Tick struct{}

func (Elected) event()      {}
func (Deposed) event()      {}
func (CIBChanged) event()   {}
func (NodeReady) event()    {}
func (NodeRecord) event()   {}
func (NodeLost) event()     {}
func (NodeProven) event()   {}
func (NodeLeft) event()     {}
func (OrderRefused) event() {}
func (Done) event()         {}
func (FenceDone) event()    {}
func (Proposed) event()     {}
func (Reconsider) event()   {}
func (Tick) event()         {}
