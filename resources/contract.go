// Package resources is the contract between the cluster and the programs that
// run services: what an operation is, what an agent must do with it and what a
// result means. It follows the OCF Resource Agent API 1.1.
//
// It is pure: it imports nothing of this project, starts nothing, reads no
// clock. The executor beside it (resources/executor) owns processes and timers;
// the packages under agents implement [Agent].
package resources

import (
	"context"
	"time"
)

// Class of a resource agent.
type Class string

// The classes known to the executor (Pacemaker Explained, "Resource classes").
const (
	ClassOCF     Class = "ocf"
	ClassLSB     Class = "lsb"
	ClassSystemd Class = "systemd"
	ClassService Class = "service"
	ClassStonith Class = "stonith"
)

// AgentID names an agent, as in ocf:systole:IPaddr2. Provider is empty for
// every class but ocf.
type AgentID struct {
	Class    Class
	Provider string
	Type     string
}

// String gives the colon form used in crm text: "ocf:heartbeat:Dummy", "systemd:nginx".
func (a AgentID) String() string {
	if a.Provider == "" {
		return string(a.Class) + ":" + a.Type
	}
	return string(a.Class) + ":" + a.Provider + ":" + a.Type
}

// Action is the verb an agent is called with (OCF RA API 1.1, "Actions").
type Action string

// The actions of the contract. ActionCancel never reaches an agent: it ends a
// recurring monitor in the executor.
const (
	ActionStart       Action = "start"
	ActionStop        Action = "stop"
	ActionMonitor     Action = "monitor"
	ActionPromote     Action = "promote"
	ActionDemote      Action = "demote"
	ActionNotify      Action = "notify"
	ActionMigrateTo   Action = "migrate_to"
	ActionMigrateFrom Action = "migrate_from"
	ActionReload      Action = "reload"
	ActionReloadAgent Action = "reload-agent"
	ActionValidateAll Action = "validate-all"
	ActionMetaData    Action = "meta-data"
	ActionCancel      Action = "cancel"
)

// Op is one operation on one resource instance on this node. It is immutable
// once handed to an agent.
type Op struct {
	// Resource is the CIB id of the instance, with ":N" for a clone instance.
	Resource string
	// Instance is OCF_RESOURCE_INSTANCE: the bare id for anonymous clones.
	Instance string
	Agent    AgentID
	Action   Action
	// Interval is 0 for one-shot operations; a monitor with 0 is a probe.
	Interval time.Duration
	// Timeout bounds the whole operation; 0 means DefaultTimeout.
	Timeout time.Duration
	// Params are the configured instance attributes, without defaults.
	Params map[string]string
	// Meta are the CRM_meta_* facts, by name without prefix, "-" already "_":
	// "timeout", "interval", "role", "on_node", "clone", "notify_type"…
	Meta map[string]string
	// CheckLevel is OCF_CHECK_LEVEL (0 when not configured).
	CheckLevel int
	// Node is the name of the node that runs the operation.
	Node string
}

// DefaultTimeout is Pacemaker's default-action-timeout (20 s).
const DefaultTimeout = 20 * time.Second

// IsProbe tells a one-shot monitor from a recurring one (ocf_is_probe).
func (o Op) IsProbe() bool { return o.Action == ActionMonitor && o.Interval == 0 }

// Code is an OCF exit code (OCF RA API 1.1, "Return codes"; 190 and 191 from
// its degraded extension; 193 is Pacemaker's "no result yet").
type Code int

// The OCF return codes.
const (
	OK               Code = 0
	ErrGeneric       Code = 1
	ErrArgs          Code = 2
	ErrUnimplemented Code = 3
	ErrPerm          Code = 4
	ErrInstalled     Code = 5
	ErrConfigured    Code = 6
	NotRunning       Code = 7
	RunningPromoted  Code = 8
	FailedPromoted   Code = 9
	Degraded         Code = 190
	DegradedPromoted Code = 191
	CodeNone         Code = 193
)

// Status says how the execution itself ended, whatever the agent answered. The
// numbers are Pacemaker's op-status values as they stand in lrm_rsc_op.
type Status int

// Values of op-status (Pacemaker, enum pcmk_exec_status).
const (
	StatusUnknown       Status = -2
	StatusPending       Status = -1
	StatusDone          Status = 0
	StatusCancelled     Status = 1
	StatusTimeout       Status = 2
	StatusNotSupported  Status = 3
	StatusError         Status = 4
	StatusErrorHard     Status = 5
	StatusErrorFatal    Status = 6
	StatusNotInstalled  Status = 7
	StatusNotConnected  Status = 8
	StatusInvalid       Status = 9
	StatusNoFenceDevice Status = 10
	StatusNoSecrets     Status = 11
)

// Result is what came of an operation. "Not running" is a result (Code
// [NotRunning]), not an error; failing to find out is [StatusError] or
// [StatusTimeout], and never means "stopped".
type Result struct {
	Code   Code
	Status Status
	// Reason is the agent's one-line explanation (ocf-exit-reason), shown to people.
	Reason string
	// Output is bounded combined output, for the log only.
	Output string
	// Stdout is bounded standard output: metadata, and lists of fence agents.
	Stdout []byte
}

// Agent runs operations of one agent type. Implementations are safe for
// concurrent use by different resources; the executor never runs two
// operations of one resource at once. Execute returns before ctx's deadline or
// soon after ctx is done, with everything it started ended. It adopts what is
// already there: start of a running service and stop of a stopped one succeed.
type Agent interface {
	// MetaData is the agent's OCF metadata document (XML).
	MetaData(ctx context.Context) ([]byte, error)
	Execute(ctx context.Context, op Op) Result
}

// Watcher is implemented by agents that notice a failure faster than any
// monitor interval (a pidfd, a netlink subscription). Watch blocks until the
// service watched seems gone (true) or ctx is done (false); true makes the
// executor run the resource's recurring monitor at once. It never decides by
// itself that the resource has failed.
type Watcher interface {
	Watch(ctx context.Context, op Op) (noticed bool)
}

// Lease is this node's right to run cluster resources, as agents may ask it.
// Remaining is 0 once the right has ended.
type Lease interface {
	Remaining() time.Duration
}

// AddressGuard makes an address fall silent when the node's lease ends, even if
// this process hangs or is killed (design: kernel-held leases). Protect is
// called before the address is added. Leaving is called before it is removed: from
// then on the guard touches it no more. Release is called after it was removed:
// what is still queued in its name must not be sent any more. Free, instead of
// Release, leaves the address alone at once: this node goes on using it in
// another way (the real server of an LVS site).
type AddressGuard interface {
	Protect(ctx context.Context, device, addr string) error
	Leaving(ctx context.Context, device, addr string) error
	Release(ctx context.Context, device, addr string) error
	Free(ctx context.Context, device, addr string) error
}
