// Package command is what the replicated log holds: entries, their encoding,
// and what each does to the CIB.
//
// [Apply] is deterministic. Time, user and origin were stamped by the proposer;
// nothing here reads a clock, draws a number or depends on the order of a map,
// so every node that applies the same log has the same CIB, byte for byte.
package command

import (
	"time"

	"systole/crm/cib"
	"systole/crm/exit"
)

// Kind says which part of an entry is filled in.
type Kind string

// The kinds of entries.
const (
	KindCIB     Kind = "cib"     // Change: operations on the document
	KindResult  Kind = "result"  // Results: outcomes of operations of one node
	KindNode    Kind = "node"    // Node: a node's state as the DC sees it
	KindAttrs   Kind = "attrs"   // Attrs: transient attributes of one node
	KindCleanup Kind = "cleanup" // Cleanup: forget operation history and failures
)

// Entry is one entry of the log.
type Entry struct {
	Kind Kind `json:"kind"`
	// Time is when it was proposed, by the proposer's wall clock.
	Time time.Time `json:"time"`
	// User asked for it, with Client (a program) on the node Origin.
	User   string `json:"user,omitempty"`
	Client string `json:"client,omitempty"`
	Origin string `json:"origin,omitempty"`
	// Ignorable entries are skipped by a node too old to know their kind; any
	// other unknown entry stops it.
	Ignorable bool `json:"ignorable,omitempty"`

	Change  *Change  `json:"change,omitempty"`
	Results []Result `json:"results,omitempty"`
	Node    *Node    `json:"node,omitempty"`
	Attrs   *Attrs   `json:"attrs,omitempty"`
	Cleanup *Cleanup `json:"cleanup,omitempty"`
}

// Change is a list of CIB operations, done all or none.
type Change struct {
	Ops []Op `json:"ops"`
	// Expected makes it a compare-and-set: nothing happens when the CIB has another version.
	Expected *cib.Version `json:"expected,omitempty"`
}

// Op is one [cib.Op] as the log writes it: Data is XML text.
type Op struct {
	Kind        cib.OpKind `json:"op"`
	Section     string     `json:"section,omitempty"`
	XPath       string     `json:"xpath,omitempty"`
	Data        string     `json:"data,omitempty"`
	AllowCreate bool       `json:"allow_create,omitempty"`
}

// Failure says what a result does to the resource's failcount.
type Failure string

// What a result counts as. The proposer decides: it knows what was expected,
// on-fail and start-failure-is-fatal.
const (
	NotFailed   Failure = ""         // no failure: only the history is written
	Counted     Failure = "count"    // failcount + 1, last-failure now
	Fatal       Failure = "infinity" // failcount INFINITY, last-failure now
	HistoryOnly Failure = "history"  // failed, kept as last_failure, not counted (on-fail=ignore, a failed probe)
)

// Result is the outcome of one operation of one node (executor.Report, with
// what the DC adds). It becomes an lrm_rsc_op.
type Result struct {
	Node string `json:"node"` // name
	// Incarnation and Call name the result: a second entry with the same pair, or
	// a call below the last one applied for the incarnation, changes nothing. An
	// empty incarnation is never a repetition.
	Incarnation string `json:"incarnation,omitempty"`
	Call        int    `json:"call"`

	Resource string `json:"resource"` // lrm_resource id: anonymous clones without ":N"
	Class    string `json:"class,omitempty"`
	Provider string `json:"provider,omitempty"`
	Type     string `json:"type,omitempty"`

	Operation  string `json:"operation"`
	IntervalMS int64  `json:"interval_ms,omitempty"`
	RC         int    `json:"rc"`
	Status     int    `json:"status"` // op-status
	Reason     string `json:"reason,omitempty"`
	// Key is the transition key ("action:transition:expected-rc:uuid"). The
	// transition-magic is made of Status, RC and Key.
	Key string `json:"key,omitempty"`

	LastChange time.Time `json:"last_change,omitzero"` // last-rc-change, in whole seconds
	ExecMS     int64     `json:"exec_ms,omitempty"`
	QueueMS    int64     `json:"queue_ms,omitempty"`

	// Extra are further attributes of the lrm_rsc_op, written as given and in
	// name order: op-digest, op-force-restart, op-restart-digest,
	// op-secure-params, op-secure-digest, migrate_source, migrate_target, …
	Extra map[string]string `json:"extra,omitempty"`

	Failure Failure `json:"failure,omitempty"`
}

// Names of node_state attributes beyond Pacemaker's.
const (
	AttrUnproven     = "unproven"         // "true": lost, and not yet proved to run nothing
	AttrPolicy       = "no-quorum-policy" // the last policy the node acknowledged
	AttrRestartGrant = "restart-grant"    // until when the daemon may be away (RFC 3339)
)

// Node changes what the DC says of a node (its node_state).
type Node struct {
	Name string `json:"name"`
	// ID is the node's id, used when the node_state is new; "" takes it from the
	// configuration, or else the name.
	ID string `json:"id,omitempty"`
	// Set are attributes of the node_state to write: in_ccm, crmd, join,
	// expected, unproven, no-quorum-policy, restart-grant… An empty value removes.
	Set map[string]string `json:"set,omitempty"`
	// Incarnation of the node, when it has joined: from here its results are taken.
	// Setting join to member takes those of all incarnations known.
	Incarnation string `json:"incarnation,omitempty"`
	// Clear is the consequence of proof that the node runs nothing: operation
	// history and transient attributes go, and results of the incarnations known so far are
	// ignored until Incarnation says that one has joined.
	Clear bool `json:"clear,omitempty"`
	// Forget removes the node_state altogether (the node has left for good).
	Forget bool `json:"forget,omitempty"`
}

// Attrs changes transient attributes of one node. They are merged one by one.
type Attrs struct {
	Node    string       `json:"node"`
	ID      string       `json:"id,omitempty"` // as in [Node]
	Changes []AttrChange `json:"changes"`
}

// AttrChange sets, raises or deletes one attribute.
type AttrChange struct {
	Name   string `json:"name"`
	Value  string `json:"value,omitempty"`
	Delete bool   `json:"delete,omitempty"`
	// Add, if not 0, is added to the number that is there (0 when there is none);
	// the sum saturates as a score does. Value is ignored then.
	Add int `json:"add,omitempty"`
	// Set names the instance_attributes id; "" is status-<node id>.
	Set string `json:"set,omitempty"`
}

// Cleanup forgets operation history and the failures counted with it.
type Cleanup struct {
	Node string `json:"node,omitempty"` // "" is every node
	// Resource whose history goes, "" for every resource.
	Resource string `json:"resource,omitempty"`
	// Operation and IntervalMS restrict it to one operation's failures, as
	// crm_resource -C -n OP -I MS does; the history goes only when that operation has a failure.
	Operation  string `json:"operation,omitempty"`
	IntervalMS int64  `json:"interval_ms,omitempty"`
	// FailedOnly leaves the history of resources without a failure (cleanup); without it
	// everything goes (refresh).
	FailedOnly bool `json:"failed_only,omitempty"`
	// FailuresOnly clears failcounts and leaves the history (crm_failcount -D).
	FailuresOnly bool `json:"failures_only,omitempty"`
}

// Reply is what came of an entry. All but the wording of Msg is the same on every node.
type Reply struct {
	Code    exit.Code   `json:"code"`
	Msg     string      `json:"msg,omitempty"` // why not, when Code is not OK
	Version cib.Version `json:"version"`       // of the CIB afterwards
	Changed bool        `json:"changed,omitempty"`
	// Duplicates counts results that had been applied before.
	Duplicates int `json:"duplicates,omitempty"`
}

// Err is the reply as an error that carries its code; nil when all went well.
func (r Reply) Err() error {
	if r.Code == exit.OK {
		return nil
	}
	return exit.Errorf(r.Code, "%s", r.Msg)
}
