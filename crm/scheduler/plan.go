package scheduler

import (
	"systole/crm/cib"
	"systole/crm/status"
)

// ActionID numbers the actions of one plan, in order of creation, from 1. It is
// the id of the action in the transition graph and in the transition keys.
type ActionID int32

// Plan is every action considered, those that will not happen included, with the
// orderings between them.
type Plan struct {
	// Actions are in order of creation: Actions[i].ID == i+1.
	Actions []Action
	// GraphOrder is the order of the synapses in the graph: only actions that are part of it.
	GraphOrder []ActionID
	// Inputs of an action are Actions[i].Inputs.

	// Changes is the summary by resource and node, in the order printed.
	Changes []Change
}

// ActionKind says how an action is carried out.
type ActionKind uint8

// The kinds of action. They are the element names in the graph: rsc_op, crm_event, pseudo_event.
const (
	ResourceOp ActionKind = iota
	ClusterEvent
	PseudoEvent
)

// Action is one action of a plan.
type Action struct {
	ID   ActionID
	Kind ActionKind
	// Key is the operation key, RSC_TASK_INTERVAL, or e.g. "stonith-NODE-reboot", "do_shutdown-NODE".
	Key string
	// Task is start, stop, monitor, promote, demote, notify, migrate_to, migrate_from, stonith,
	// do_shutdown, clear_failcount, cancel, lrm_delete, reload-agent…, or a pseudo task such as running.
	Task           string
	IntervalMillis uint32
	Resource       status.ResID
	Node           status.NodeID
	// RouterNode is the cluster node an action for a remote node is sent through, NoNode for none.
	RouterNode status.NodeID

	Optional bool // nothing needs it
	Runnable bool
	Pseudo   bool
	Printed  bool // always part of the graph
	Dumped   bool // is part of the graph

	// Reason says why the action is required, or why it cannot run.
	Reason   string
	Priority int
	// XML is the element as it stands in the graph's action_set (rsc_op, crm_event or pseudo_event), nil if
	// the action is not in the graph.
	XML *cib.Element
	// Inputs are the actions that must be finished first, in the order of the graph.
	Inputs []Input
}

// Input is one ordering: the action must wait for Action.
type Input struct {
	Action ActionID
	// InGraph says the ordering is an input of the synapse; Dashed is its style in the DOT text when false… the
	// DOT text has it only if Shown.
	InGraph, Shown bool
}

// Verb is what a Change does.
type Verb string

// Change is one line of the transition summary.
type Change struct {
	// Verb is Start, Stop, Move, Restart, Recover, Reload, Promote, Demote, Re-promote, Migrate, or Fence.
	Verb Verb
	// Subject is the resource's (or, for Fence, the node's) name.
	Subject  string
	Resource status.ResID
	// Detail is what stands in parentheses: "node1 -> node2", "Stopped -> Promoted node1"; for Fence the operation.
	Detail string
	// Reason stands after "due to"; for Fence it is quoted. "" for none.
	Reason  string
	Blocked bool
}
