// Package status interprets a CIB at one moment: which nodes are usable, which
// resource instances exist, where each is active, in what role, and what failed.
//
// [Unpack] is a pure function of the CIB and the time. Its result is immutable
// and dense: nodes and resources are numbered, and every table is a slice
// indexed by those numbers.
package status

import (
	"time"

	"systole/crm/cib"
	"systole/crm/model"
)

// NodeID numbers the nodes of one Status; NoNode is none.
type NodeID int32

// NoNode is the absence of a node.
const NoNode NodeID = -1

// ResID numbers the resources (collectives, members and instances) of one Status; NoRes is none.
type ResID int32

// NoRes is the absence of a resource.
const NoRes ResID = -1

// Status is the state of a cluster at a moment.
type Status struct {
	Source  *cib.Element
	Config  *model.Config
	Now     time.Time
	Options Options
	// Nodes are all nodes, in the order in which the configuration (then remote connections,
	// then state entries) names them.
	Nodes []Node
	// NodesByName are the same, sorted by name as the field sorts them (digits as numbers).
	NodesByName []NodeID
	// Resources are all resources; parents come before their children.
	Resources []Resource
	// Roots are the top-level resources, configured ones in document order, then orphans as found.
	Roots []ResID
	// Tickets are by ticket id, sorted.
	Tickets []Ticket
	// Failures are the failed operations worth showing, in the order found.
	Failures []Failure
	// Quorum is whether the partition has it; DC the node that had that office, NoNode if unknown.
	Quorum bool
	DC     NodeID
	// Blocked and Disabled count the primitives that may not act because of failure, or are disabled by target-role.
	Blocked, Disabled int
	// RecheckBy is the next moment at which the same CIB may read differently; zero if never.
	RecheckBy time.Time
	// Problems are sentences about things ignored.
	Problems []string

	nodeByName map[string]NodeID
	resByID    map[string][]ResID
}

// NodeKind is what sort of node this is.
type NodeKind uint8

// The kinds of node.
const (
	Member NodeKind = iota // runs the daemon itself
	Remote                 // reached through an ocf:pacemaker:remote connection resource
	Guest                  // a remote node inside a resource (remote-node meta attribute or bundle container)
	Ping                   // an old kind that only answers pings: never used
)

// Node is one node's state.
type Node struct {
	Index NodeID
	// ID is the XML id; for remote and guest nodes the same as Name.
	ID, Name string
	Kind     NodeKind

	Online, Unclean, Pending bool
	Standby, StandbyOnFail   bool
	Maintenance, Shutdown    bool
	Unseen                   bool // never seen by the cluster
	Expected                 bool // expected to be a member
	Unproven                 bool // lost, without proof that nothing runs there any more
	RemoteRequiresReset      bool
	RemoteWasFenced          bool
	RemoteMaintenance        bool
	Fencing, Unfencing       bool
	IsDC                     bool
	DiscoveryOff             bool // resource-discovery-enabled=false
	// UncleanReason says why the node is unclean, "" if it is not or nobody said.
	UncleanReason string
	// Attributes are the permanent and transient node attributes together.
	Attributes map[string]string
	// Utilization is the node's capacity by name.
	Utilization map[string]int
	// Digests are the attributes' #digests-all and #digests-secure, "" if absent.
	Connection ResID   // the connection resource of a remote or guest node
	Active     []ResID // primitives active here, in the order found
	// Health is the combined health score and HealthState "green", "yellow" or "red".
	Health int
	// Score is the node's default score for every resource.
	Score int32
	// State is the node_state entry, nil without one.
	State *cib.Element
	// Feature is the feature set the node last announced.
	Feature string
}

// Role is the role of a resource instance.
type Role uint8

// The roles. Started is what a resource without roles has when active.
const (
	RoleUnknown Role = iota
	RoleStopped
	RoleStarted
	RoleUnpromoted
	RolePromoted
)

var roleNames = [...]string{"Unknown", "Stopped", "Started", "Unpromoted", "Promoted"}

// String is the role's present-day name.
func (r Role) String() string { return roleNames[r] }

// Resource is one resource as the scheduler sees it: a primitive, a group, a clone, a clone's
// instance, a bundle or one of the resources a bundle implies.
type Resource struct {
	Index ResID
	// ID is the instance's name ("web:0"); BaseID what the CIB calls it ("web");
	// HistoryID the name operations are recorded under.
	ID, BaseID, HistoryID string
	Kind                  model.Kind
	Parent                ResID
	Children              []ResID
	Config                *model.Resource

	Class, Provider, Type string

	// What the effective meta attributes say.
	Meta               map[string]string
	Priority           int32
	Stickiness         int32
	MigrationThreshold int32 // 0: failures never move it
	FailureTimeout     time.Duration
	MultipleActive     MultipleActive
	TargetRole         Role // RoleUnknown if none is set
	Managed            bool
	Maintenance        bool
	Critical           bool
	AllowMigrate       bool
	Notify             bool
	Unique             bool
	Promotable         bool
	NeedsQuorum        bool
	NeedsFencing       bool
	NeedsUnfencing     bool
	IsFenceDevice      bool
	Internal           bool // made by a bundle, not configured
	RestartOnDependent bool // restart-type=restart
	// Clone is set for clones (and groups never); Bundle for bundles.
	Clone  *CloneOptions
	Bundle *BundleState

	// What the history says.
	Role            Role
	Active          []NodeID // where it is active, in the order found
	Known           []KnownAt
	Orphan          bool // in the history, not in the configuration
	OrphanContainer ResID
	Failed          bool
	FailureIgnored  bool
	Blocked         bool // must be left alone because of a failure
	StopUnexpected  bool
	StartPending    bool
	Locked          NodeID // the node a shutdown lock holds it for, NoNode without one
	LockSince       time.Time
	// Pending is the operation in progress as crm_mon names it ("Starting"), PendingNode where; "" if none.
	PendingTask string
	PendingNode NodeID
	// PartialSource and PartialTarget are the ends of a live migration that did not finish.
	PartialSource, PartialTarget NodeID
	// RemoteNode is the node this resource is the connection of; Container the resource its node lives in.
	RemoteNode NodeID
	Container  ResID
	Fillers    []ResID // guests living in this container
	// LastPromotionScore etc. are in the node attributes.
}

// MultipleActive is what to do with a resource found active on several nodes.
type MultipleActive uint8

// The policies of meta attribute multiple-active.
const (
	StopStart MultipleActive = iota
	StopOnly
	BlockMultiple
	StopUnexpected
)

// KnownAt says that the state of a resource on a node has been probed.
type KnownAt struct {
	Node NodeID
}

// CloneOptions are a clone's numbers.
type CloneOptions struct {
	Max, NodeMax, Min            int
	PromotedMax, PromotedNodeMax int
	Ordered, Interleave          bool
}

// BundleState says what a bundle expands to.
type BundleState struct {
	Replicas, PerHost, PromotedMax int
	// Image is the container image.
	Image   string
	Replica []Replica
}

// Replica is one replica of a bundle: the resources that make it; NoRes for an absent one.
type Replica struct {
	Offset                        int
	Container, IP, Remote, Member ResID
	IPAddr                        string
	// Node is the guest node, NoNode without one.
	Node NodeID
}

// Ticket is a cluster ticket.
type Ticket struct {
	ID               string
	Granted, Standby bool
	LastGranted      time.Time
	Attributes       map[string]string
}

// Failure is one failed operation as crm_mon lists it.
type Failure struct {
	Op   *cib.Element
	Node NodeID
	Res  ResID
}

// Node finds a node by name.
func (s *Status) Node(name string) (*Node, bool) {
	id, ok := s.nodeByName[name]
	if !ok {
		return nil, false
	}
	return &s.Nodes[id], true
}

// Resource finds a resource by instance id or, for anonymous clones, by base id (the first instance then).
func (s *Status) Resource(id string) (*Resource, bool) {
	ids := s.resByID[id]
	if len(ids) == 0 {
		return nil, false
	}
	return &s.Resources[ids[0]], true
}
