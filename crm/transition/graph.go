// Package transition holds the cluster's plan as a value: the transition graph
// that the scheduler makes, its texts (XML, DOT, JSON), the keys by which results find
// their action again, and the progress machine [Run] that says which actions may go
// next. The simulator and the DC's controller drive the same machine.
//
// The package is pure: no clock (callers pass now), no goroutine, no I/O beyond an
// io.Writer handed in. A [Graph] is immutable once built and may be shared freely; a
// [Run] belongs to one goroutine.
package transition

import (
	"slices"
	"strings"
	"time"

	"systole/crm/cib"
	"systole/resources"
)

// ActionID numbers an action inside one graph, from 1, in order of creation; 0 is no action.
type ActionID int

// Kind says who carries an action out.
type Kind uint8

// The kinds of action, with the name of their element in the XML graph.
const (
	KindResource Kind = iota + 1 // rsc_op: an executor runs a resource agent
	KindPseudo                   // pseudo_event: nobody; it only orders others
	KindCluster                  // crm_event: the cluster itself: fencing, shutdown, clearing a fail count
)

// String is the element name in the XML graph.
func (k Kind) String() string {
	switch k {
	case KindResource:
		return "rsc_op"
	case KindPseudo:
		return "pseudo_event"
	case KindCluster:
		return "crm_event"
	}
	return "unknown"
}

// The tasks that are not operations of an agent (resources.Action has those).
const (
	TaskFence          = "stonith"         // CRM_meta_stonith_action says which: reboot, off, on
	TaskShutdown       = "do_shutdown"     // ask the node to leave
	TaskClearFailCount = "clear_failcount" // forget the resource's failures on the node
	TaskDelete         = "delete"          // forget the resource's history on the node (lrm_delete)
	TaskCancel         = "cancel"          // end a recurring operation
)

// Resource is the resource an action works on, as the executor must know it.
type Resource struct {
	// ID is the name in the node's history: the instance name ("db:1") for unique
	// clones, the name without number for anonymous ones.
	ID string
	// LongID is the instance name with its number where ID is without; else "".
	LongID string
	Class  string
	// Provider is "" for every class but ocf.
	Provider string
	Type     string
}

// Name is the instance the scheduler spoke of: LongID where there is one, else ID.
func (r Resource) Name() string {
	if r.LongID != "" {
		return r.LongID
	}
	return r.ID
}

// Agent is the colon form of the resource's agent: "ocf:heartbeat:IPaddr2".
func (r Resource) Agent() string {
	return resources.AgentID{Class: resources.Class(r.Class), Provider: r.Provider, Type: r.Type}.String()
}

// Action is one step of a transition. It is immutable once its graph is built.
type Action struct {
	ID   ActionID
	Kind Kind
	// Task is the operation: "start", "monitor", "stonith", "clear_failcount", "stopped"…
	Task string
	// Key is operation_key, RESOURCE_TASK_INTERVALMS for resource operations, with the
	// name the node's history uses.
	Key string
	// InternalKey is the key with the instance number, where it differs from Key; else "".
	InternalKey string
	// Node and NodeID name the node the action happens on or to; both "" for most pseudo-actions.
	Node   string
	NodeID string
	// Router is the cluster node that carries the action out for a remote or guest node; else "".
	Router string
	// ShutdownLock is the time (seconds since the epoch, as text) of a shutdown lock to be recorded; else "".
	ShutdownLock string
	// Resource is nil for pseudo-actions and for cluster actions on a node.
	Resource *Resource
	// Attributes are the operation's parameters and CRM_meta_* facts, sorted by name.
	Attributes []cib.Attr
	// Downed are the ids of the nodes this action takes down.
	Downed []string
}

// Attribute is the value of one attribute, "" without it.
func (a *Action) Attribute(name string) string {
	i, found := slices.BinarySearchFunc(a.Attributes, name, func(at cib.Attr, n string) int {
		return strings.Compare(at.Name, n)
	})
	if !found {
		return ""
	}
	return a.Attributes[i].Value
}

// Meta is the value of CRM_meta_NAME, "" without it.
func (a *Action) Meta(name string) string { return a.Attribute("CRM_meta_" + name) }

// UniqueKey tells apart actions on different instances of a clone: InternalKey where there is one, else Key.
func (a *Action) UniqueKey() string {
	if a.InternalKey != "" {
		return a.InternalKey
	}
	return a.Key
}

// Synapse is one action with what must have happened before it. (Pacemaker's synapses
// may hold several actions and never do.)
type Synapse struct {
	Action *Action
	// Inputs are the actions that must be confirmed first, in the order the XML graph names them.
	Inputs []ActionID
	// Priority lets a synapse go on after an abort of lower priority; 0 for most.
	Priority int
}

// Options are the facts about the whole graph that its executor needs. Times are kept
// as the CIB writes them ("60s", "2min") so that the XML graph repeats them; see [Graph.ClusterDelay].
type Options struct {
	ClusterDelay       string // property cluster-delay
	FencingTimeout     string // property stonith-timeout (fencing-timeout)
	FailedStopOffset   string // always INFINITY
	FailedStartOffset  string // INFINITY, or 1 with start-failure-is-fatal=false
	BatchLimit         int    // property batch-limit: actions in flight in the cluster; 0 or less: no bound
	MigrationLimit     int    // property migration-limit: migrations in flight on one node; less than 0: no bound
	TransitionID       int    // number of this graph within its maker's life; a result with another number is stale
	RecheckBy          int64  // seconds since the epoch when the plan may change by itself; 0: never
	MigrationLimitText string // as configured; "" when it is not, and then the XML graph leaves it out
}

// Graph is a complete plan. Synapses stand in the order of the XML graph, which is also
// the order in which the progress machine looks at them.
type Graph struct {
	Options
	Synapses []Synapse
	// Drawing is the plan for people (DOT): with what cannot run and every ordering.
	Drawing Drawing
}

// Action finds an action by number, nil when the graph does not run it.
func (g *Graph) Action(id ActionID) *Action {
	for i := range g.Synapses {
		if g.Synapses[i].Action.ID == id {
			return g.Synapses[i].Action
		}
	}
	return nil
}

// Empty tells whether there is nothing to do.
func (g *Graph) Empty() bool { return len(g.Synapses) == 0 }

// Drawing is a plan as its picture shows it: also the actions that are wanted and
// cannot be run, and the orderings between all of them.
type Drawing struct {
	Actions []DrawnAction
	Edges   []DrawnEdge
}

// DrawnAction is one node of the picture. Name is [DrawnName] of its key and node.
type DrawnAction struct {
	Name     string
	Executed bool // solid and green; otherwise dashed and red: wanted, cannot be run
	Optional bool // dashed and blue: not wanted (crm_simulate -a)
	Pseudo   bool // orange text
}

// DrawnEdge is one ordering between two drawn actions, by name; solid where both will happen.
type DrawnEdge struct {
	From, To string
	Solid    bool
}

// DrawnName is the label of an action: "KEY NODE", or the bare key without a node.
func DrawnName(key, node string) string {
	if node == "" {
		return key
	}
	return key + " " + node
}

// OpKey is RESOURCE_TASK_INTERVAL, with the interval in milliseconds.
func OpKey(resource, task string, interval time.Duration) string {
	return resource + "_" + task + "_" + millis(interval)
}
