// Package scheduler decides what should happen in a cluster: given a CIB and a
// moment, where each resource belongs and which actions, in which order, take the
// cluster there.
//
// It is one pure function, [Schedule]: no clock, no randomness, no I/O, no
// goroutine. The same input gives byte for byte the same result on any node.
package scheduler

import (
	"systole/crm/status"
)

// Result is everything one scheduling run found out. It is immutable.
type Result struct {
	Status    *status.Status
	Placement *Placement
	Plan      *Plan
}

// Placement says where every primitive will be and in which role.
type Placement struct {
	// Node is indexed by ResID: the node assigned to a primitive, NoNode if none.
	Node []status.NodeID
	// Role is indexed by ResID: the role it is to have there.
	Role []status.Role
	// Scores are the records of every score considered, in the order in which they were.
	Scores []ScoreRecord
	// Capacities are the utilization lines of the run, in order (crm_simulate -U).
	Capacities []CapacityRecord
}

// ScoreRecord is one line of crm_simulate -s: what a stage made of a resource on a node.
type ScoreRecord struct {
	// Stage is the field's name of the place: "pcmk__primitive_assign", "pcmk__clone_assign"…
	// or "promotion" for promotion scores.
	Stage    string
	Resource status.ResID
	// Node is NoNode for an inactive instance's promotion score.
	Node  status.NodeID
	Score int32
}

// CapacityRecord is one line of crm_simulate -U.
type CapacityRecord struct {
	// What is "Original", "Remaining" (Resource is NoRes then) or "pcmk__assign_resource utilization".
	What     string
	Resource status.ResID
	Node     status.NodeID
	Values   []Capacity
}

// Capacity is one utilization value.
type Capacity struct {
	Name  string
	Value int
}
