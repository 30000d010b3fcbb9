// Package scheduler decides what should happen in a cluster: given a CIB and a
// moment, where each resource belongs and which actions, in which order, take the
// cluster there.
//
// It is one pure function, [Schedule]: no clock, no randomness, no I/O, no
// goroutine. The same input gives byte for byte the same result on any node.
package scheduler

import (
	"time"

	"systole/crm/cib"
	"systole/crm/status"
	"systole/crm/transition"
)

// Options are facts about the run that the CIB does not hold.
type Options struct {
	// Sanitized tells that hidden parameters may have been masked in the CIB, as reports do: a change in only those counts as none.
	Sanitized bool
	// TransitionID numbers the graph within its maker's life.
	TransitionID int
}

// Result is everything one scheduling run found out. It is immutable.
type Result struct {
	Status    *status.Status
	Placement *Placement
	Plan      *Plan
	Graph     *transition.Graph
	// RecheckBy is the next moment at which the same CIB may lead to another plan; zero if never.
	RecheckBy time.Time
	// Notices are sentences for whoever simulates: what was noticed on the way and decided silently.
	Notices []string

	options Options
}

// Schedule decides what should happen for a CIB at a moment.
func Schedule(root *cib.Element, now time.Time, options Options) *Result {
	return ScheduleStatus(status.Unpack(root, now), options)
}

// ScheduleStatus is Schedule for a CIB already read.
func ScheduleStatus(s *status.Status, options Options) *Result {
	r := newRun(s, options, nil)
	r.schedule()
	return r.result()
}

// schedule decides everything, stage by stage.
func (r *run) schedule() {
	r.wantedByHistory()
	r.nodeHealth()
	r.unpackConstraints()
	r.applyNodeCriteria()
	r.internalConstraints()
	r.configurationChanges()
	r.assignResources()
	r.createActions()
	r.holdForUnproven()
	r.orderRemoteConnections()
	r.fencingAndShutdowns()
	r.applyOrderings()
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
	// or [PromotionScore] for promotion scores.
	Stage    string
	Resource status.ResID
	// Node is NoNode for an inactive instance's promotion score.
	Node  status.NodeID
	Score int32
}

// PromotionScore is the stage of the records of promotion scores.
const PromotionScore = "promotion score"

// CapacityRecord is one line of crm_simulate -U.
type CapacityRecord struct {
	// What is "Original", "Remaining" (Resource is NoRes then) or "pcmk__assign_resource".
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

// Plan is every action considered, those that will not happen included, and the summary.
type Plan struct {
	// Actions are in order of creation; an action's ID is its index plus one.
	Actions []Action
	// Changes is the transition summary, in the order printed.
	Changes []Change
}

// Action is one action considered.
type Action struct {
	ID             transition.ActionID
	Key, Task      string
	IntervalMillis uint32
	Resource       status.ResID  // NoRes for actions on nodes
	Node           status.NodeID // NoNode for most pseudo-actions
	Optional       bool          // nothing needs it
	Runnable       bool
	Pseudo         bool
	InGraph        bool
	// Reason says why the action is required, or why it cannot run; "" if nobody said.
	Reason string
	// Before are the actions that must be finished first.
	Before []transition.ActionID
}

// Change is one line of the transition summary.
type Change struct {
	// Verb is Start, Stop, Move, Restart, Recover, Reload, Promote, Demote, Re-promote, Migrate or Fence (reboot)…
	Verb string
	// Subject is the resource's name or, for actions on nodes, the node's.
	Subject  string
	Resource status.ResID
	// Detail is what stands in parentheses: "node1 -> node2", "Stopped -> Promoted node1"; "" for actions on nodes.
	Detail string
	// Reason stands after "due to"; for actions on nodes it is quoted. "" for none.
	Reason  string
	Blocked bool
}
