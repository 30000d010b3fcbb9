package api

import "time"

// Op is one verb on the CIB, named as cibadmin names it.
type Op string

// The verbs. A Proposal applies all of its operations or none.
const (
	OpCreate  Op = "create"
	OpModify  Op = "modify"
	OpReplace Op = "replace"
	OpDelete  Op = "delete"
	OpErase   Op = "erase"
	OpBump    Op = "bump"
	OpPatch   Op = "patch"   // XML is a <diff format="2">
	OpUpgrade Op = "upgrade" // to the newest schema
)

// CIBOperation is one change. Exactly one of Section and XPath may say where it
// acts; with neither it acts on the whole document, and elements find their
// place by their own name and id.
type CIBOperation struct {
	Op      Op     `json:"op"`
	Section string `json:"section,omitempty"` // "resources", "crm_config", "status", …
	XPath   string `json:"xpath,omitempty"`
	XML     string `json:"xml,omitempty"`
	// AllowCreate makes modify create what is missing (cibadmin --allow-create).
	AllowCreate bool `json:"allow_create,omitempty"`
	// All makes delete take every match of XPath (cibadmin --force with -D).
	All bool `json:"all,omitempty"`
}

// Proposal asks for one committed entry. The daemon stamps time, user and
// origin; a client cannot.
type Proposal struct {
	Operations []CIBOperation `json:"operations"`
	// ExpectVersion is "admin_epoch.epoch.num_updates"; when set, the entry is
	// refused with code 103 if the CIB has another. Two numbers expect only
	// the configuration's version, whatever the status has become.
	ExpectVersion string `json:"expect_version,omitempty"`
	// Comment says why, for the history.
	Comment string `json:"comment,omitempty"`
	// Origin is the tool: "cibadmin", "crm configure".
	Origin string `json:"origin,omitempty"`
	// DryRun validates and answers without proposing.
	DryRun bool `json:"dry_run,omitempty"`
}

// ProposeReply is the outcome of a committed (or refused) entry.
type ProposeReply struct {
	// Code is the exit status of the field's table: 0, 103 old version, 105 no
	// such object, 108 exists, 78 invalid…
	Code    int    `json:"code"`
	Message string `json:"message,omitempty"` // one sentence when Code is not 0
	Output  string `json:"output,omitempty"`  // XML some operations answer with
	Version string `json:"version,omitempty"` // after the entry
	Index   uint64 `json:"index,omitempty"`
}

// CIBReply is a read of the CIB.
type CIBReply struct {
	XML     string `json:"xml"`
	Version string `json:"version"` // admin_epoch.epoch.num_updates
	Index   uint64 `json:"index"`   // raft index of the newest entry in it
	// Linearizable is false for a local read, which may be old.
	Linearizable bool `json:"linearizable"`
}

// Status is what the answering node knows of the cluster. Facts that are in
// the CIB are not repeated here.
type Status struct {
	Cluster string `json:"cluster"`
	Node    string `json:"node"` // the answering node
	NodeID  string `json:"node_id"`
	Version string `json:"version"` // of the program
	// DC is empty while there is none; then Quorum is false too.
	DC     string `json:"dc"`
	Term   uint64 `json:"term"`
	Quorum bool   `json:"quorum"`
	Index  uint64 `json:"index"` // applied here
	Uptime Millis `json:"uptime_ms"`

	// Lease of this node: how long it may still run resources; 0 when ended.
	LeaseRemaining Millis `json:"lease_remaining_ms"`
	// RestartGrant is how long the node may still be away under a restart
	// grant; 0 without one.
	RestartGrant Millis `json:"restart_grant_ms,omitempty"`

	Nodes      []NodeStatus     `json:"nodes"` // sorted by name
	Transition TransitionStatus `json:"transition"`
	// Warnings are complete sentences with their remedy.
	Warnings []string `json:"warnings,omitempty"`
}

// NodeStatus is one node as the answering node sees it now.
type NodeStatus struct {
	Name    string `json:"name"`
	ID      string `json:"id"`
	Address string `json:"address"`
	Online  bool   `json:"online"` // the DC hears its beats; on other nodes, what the CIB says
	Voter   bool   `json:"voter"`
	Witness bool   `json:"witness,omitempty"`
	// Gossip is memberlist's opinion: "alive", "suspect", "dead", "left", "". Shown, never acted on.
	Gossip string `json:"gossip,omitempty"`
	// LastBeat is how long ago the DC last heard it; -1 when unknown here.
	LastBeat Millis `json:"last_beat_ms"`
	// Stalled is for how long it has beaten without following the log; the DC's word.
	Stalled Millis `json:"stalled_ms,omitempty"`
	Version string `json:"version,omitempty"`
	// CertificateExpires is zero when not known here.
	CertificateExpires time.Time `json:"certificate_expires,omitzero"`
}

// TransitionState is what the DC does now.
type TransitionState string

// The states. Only the DC knows them; another node asks it.
const (
	TransitionNoDC    TransitionState = "no-dc"
	TransitionWaiting TransitionState = "waiting" // for acknowledgements of a new term, or proof of a loss
	TransitionRunning TransitionState = "running"
	TransitionIdle    TransitionState = "idle"
)

// TransitionStatus describes the running or last transition.
type TransitionStatus struct {
	State   TransitionState `json:"state"`
	ID      int             `json:"id"`
	Trigger string          `json:"trigger,omitempty"` // why it was planned
	// Pending are the actions in flight, as "RSC_op_interval on NODE".
	Pending []string `json:"pending,omitempty"`
	// Waiting names what a waiting DC waits for.
	Waiting []string `json:"waiting,omitempty"`
	Input   string   `json:"input,omitempty"` // name of the saved scheduler input
}

// Millis is a duration in milliseconds, as JSON has no durations.
type Millis float64

// FromDuration converts.
func FromDuration(d time.Duration) Millis { return Millis(d.Seconds() * 1000) }

// Duration converts back.
func (m Millis) Duration() time.Duration {
	return time.Duration(float64(m) * float64(time.Millisecond))
}

// Event is one committed change, or a change of the DC's state. Events
// coalesce: a slow reader sees fewer of them, never an old one last.
type Event struct {
	Index      uint64 `json:"index"`
	Version    string `json:"version"`
	DC         string `json:"dc"`
	Quorum     bool   `json:"quorum"`
	Transition string `json:"transition"` // a TransitionState
}

// Settled answers a wait: what the DC last saw.
type Settled struct {
	Settled bool     `json:"settled"`
	Index   uint64   `json:"index"`
	Pending []string `json:"pending,omitempty"` // when the time was over before
}

// AttrUpdate changes one attribute of a node, as attrd_updater does.
type AttrUpdate struct {
	Node string `json:"node,omitempty"` // empty: the answering node
	Name string `json:"name"`
	// Value nil deletes. "value++" and "value+=N" count.
	Value *string `json:"value,omitempty"`
	// Dampen nil leaves the attribute's dampening as it is; with a value it is set.
	Dampen *Millis `json:"dampen_ms,omitempty"`
	// DampenOnly sets the dampening and leaves the value (attrd_updater -Y).
	DampenOnly bool `json:"dampen_only,omitempty"`
	// Private attributes are never written to the CIB.
	Private bool `json:"private,omitempty"`
	// Set is the id of the attribute set; empty is "status-<node id>".
	Set string `json:"set,omitempty"`
}

// Attr is one transient attribute.
type Attr struct {
	Node  string `json:"node"`
	Name  string `json:"name"`
	Value string `json:"value"`
}

// ResourceVerb is what to do with a resource's history.
type ResourceVerb string

// The verbs of crm_resource that are not plain CIB edits.
const (
	ResourceCleanup ResourceVerb = "cleanup" // forget failures
	ResourceRefresh ResourceVerb = "refresh" // forget all history and probe again
	ResourceReprobe ResourceVerb = "reprobe"
	ResourceFail    ResourceVerb = "fail" // record a failure by hand
)

// ResourceRequest names what to forget. Empty Resource and Node mean all.
type ResourceRequest struct {
	Verb     ResourceVerb `json:"verb"`
	Resource string       `json:"resource,omitempty"`
	Node     string       `json:"node,omitempty"`
	// Operation and Interval restrict cleanup to one operation's failures.
	Operation string `json:"operation,omitempty"`
	Interval  Millis `json:"interval_ms,omitempty"`
	// Force takes only the named resource, not the group or clone it is in.
	Force bool `json:"force,omitempty"`
}

// ResourceReply lists what was done, in order of node then resource.
type ResourceReply struct {
	Done []ResourceOnNode `json:"done"`
}

// ResourceOnNode is a pair.
type ResourceOnNode struct {
	Resource string `json:"resource"`
	Node     string `json:"node"`
}

// ForceRequest runs an agent's action on the answering node at once, past the
// cluster (crm_resource --force-*, --validate). Dangerous but for monitor,
// meta-data and validate-all.
type ForceRequest struct {
	Resource string            `json:"resource,omitempty"` // a configured one, or Agent and Params
	Agent    string            `json:"agent,omitempty"`
	Params   map[string]string `json:"params,omitempty"`
	Action   string            `json:"action"`
	Level    int               `json:"level,omitempty"` // OCF_CHECK_LEVEL
	Timeout  Millis            `json:"timeout_ms,omitempty"`
}

// ForceReply is the agent's answer.
type ForceReply struct {
	Code   int    `json:"code"` // OCF return code
	Status int    `json:"status"`
	Reason string `json:"reason,omitempty"`
	Output string `json:"output,omitempty"`
}

// FenceRequest asks to fence a node.
type FenceRequest struct {
	Target    string `json:"target"`
	Action    string `json:"action,omitempty"` // "reboot" (default), "off", "on"
	Timeout   Millis `json:"timeout_ms,omitempty"`
	Delay     Millis `json:"delay_ms,omitempty"`
	Tolerance Millis `json:"tolerance_ms,omitempty"` // a success this recent will do
	Reason    string `json:"reason,omitempty"`
}

// FenceEvent is one fencing, asked for or done.
type FenceEvent struct {
	Target    string    `json:"target"`
	Action    string    `json:"action"`
	State     string    `json:"state"`              // "pending", "success", "failed"
	Delegate  string    `json:"delegate,omitempty"` // the node that ran the device, "a human" after a confirmation
	Client    string    `json:"client,omitempty"`
	Origin    string    `json:"origin,omitempty"`
	Reason    string    `json:"reason,omitempty"`
	Requested time.Time `json:"requested"`
	Completed time.Time `json:"completed,omitzero"`
}

// FenceDevice is a configured device.
type FenceDevice struct {
	Name  string `json:"name"`
	Agent string `json:"agent"`
	// Targets are the nodes it is known to fence; empty when it must be asked.
	Targets []string `json:"targets,omitempty"`
	// Level is its topology level for the asked target, 0 without topology.
	Level int `json:"level,omitempty"`
}

// Timing shows what the derivation made of detect-within, and what was measured here.
type Timing struct {
	DetectWithin Millis             `json:"detect_within_ms"`
	Derived      []TimingValue      `json:"derived"`
	Measured     []TimingValue      `json:"measured"`
	Inequalities []TimingInequality `json:"inequalities"`
	// Realtime says how the process is scheduled and locked, in one sentence.
	Realtime string `json:"realtime"`
	// Smallest is the smallest detect-within that the measurements allow.
	Smallest Millis `json:"smallest_detect_within_ms"`
}

// TimingValue is a named duration: "beat", "lease", "node-lease", "round trip p99", …
type TimingValue struct {
	Name  string `json:"name"`
	Value Millis `json:"value_ms"`
}

// TimingInequality is one of I1–I11 with its numbers put in.
type TimingInequality struct {
	Name    string `json:"name"`
	Text    string `json:"text"`
	Holds   bool   `json:"holds"`
	Warning bool   `json:"warning,omitempty"` // broken, but only advice
}

// Change is one configuration change in the history, newest first.
type Change struct {
	Version string    `json:"version"`
	Index   uint64    `json:"index"`
	Time    time.Time `json:"time"`
	User    string    `json:"user"`
	Origin  string    `json:"origin"` // "crm configure on a"
	Comment string    `json:"comment,omitempty"`
}

// InputFile is one saved scheduler input.
type InputFile struct {
	Name string    `json:"name"`
	Size int64     `json:"size"`
	Time time.Time `json:"time"`
}
