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
	"systole/crm/score"
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
	// Nodes are all nodes: configured ones in document order, then those that resources imply.
	Nodes []Node
	// NodesByName are the same in the order in which the field lists nodes (digits as numbers).
	NodesByName []NodeID
	// Resources are all resources; parents come before their children.
	Resources []Resource
	// Roots are the top-level resources in scheduling order: by falling priority, then document
	// order, then orphans as found. Listing keeps document order.
	Roots, Listing []ResID
	// Tickets are by ticket id, sorted.
	Tickets []Ticket
	// Failures are the failed operations worth showing, in the order found.
	Failures []Failure
	// Quorum is whether the partition has it; DC the node that had that office, NoNode if unknown.
	Quorum bool
	DC     NodeID
	// Blocked and Disabled count the primitives that may not act because of failure, or are disabled by target-role.
	Blocked, Disabled int
	// Instances is how many primitives there are to count those against.
	Instances int
	// HaveFencing is whether any fencing device (or a watchdog) exists, HaveRemotes any remote or guest node,
	// Unfencing whether any resource asks for unfencing.
	HaveFencing, HaveRemotes, Unfencing bool
	// RecheckBy is the next moment at which the same CIB may read differently; zero if never. OptionsRecheckBy is that of
	// the cluster options alone, which the field's graphs leave out.
	RecheckBy, OptionsRecheckBy time.Time
	// Expired are recurring operations whose failure failure-timeout has let expire: they must be scheduled again.
	Expired []*cib.Element
	// DeferredChecks are comparisons of parameters that must wait for the placement of a bundle's container.
	DeferredChecks []DeferredCheck
	// Wants are the actions and bans the history itself calls for, in the order found.
	Wants []Want
	// Problems are sentences about things ignored.
	Problems []string

	nodeByName map[string]NodeID
	resByID    map[string]ResID
	byHistory  map[string]ResID // resources by the name their operations are recorded under
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
	RemoteReset              bool // a guest or remote node that must be reset before it is used again
	RemoteWasFenced          bool
	RemoteMaintenance        bool
	IsDC                     bool
	DiscoveryOff             bool // resource-discovery-enabled=false
	Unpacked                 bool // its history has been read
	// UncleanReason says why the node is unclean, "" if it is not or nobody said.
	UncleanReason string
	// Attributes are the permanent and transient node attributes together.
	Attributes map[string]string
	// Utilization is the node's capacity by name.
	Utilization map[string]int
	Connection  ResID   // the connection resource of a remote or guest node
	Active      []ResID // primitives active here, in the order found
	// Score is the node's default score for every resource; BundleOnly that no resource but its bundle's may use it.
	Score      int32
	BundleOnly bool
	// BundleOnlyFrom is the first resource read after that was known: the field's scores show it.
	BundleOnlyFrom ResID
	// ConfigScore is the default score before the node's state was known.
	ConfigScore int32
	// Priority is the sum of the priorities of what runs here (priority-fencing-delay).
	Priority int32
	// State is the node_state entry, nil without one.
	State *cib.Element
	// Feature is the feature set the node last announced.
	Feature string
}

// IsRemote tells whether the node is reached through a connection resource (remote or guest).
func (n *Node) IsRemote() bool { return n.Kind == Remote || n.Kind == Guest }

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
	// ID is the instance's name ("web:0"); BaseID what the CIB calls it ("web"); HistoryID the name
	// operations are recorded under where that differs from ID, else "".
	ID, BaseID, HistoryID string
	Kind                  model.Kind
	Parent                ResID
	Children              []ResID
	Config                *model.Resource
	// Instance is the instance number as text ("0"), "" for what is no clone instance.
	Instance string

	// What the effective meta attributes say.
	Meta               map[string]string
	Priority           int32
	Stickiness         int32
	MigrationThreshold int32 // Infinity: failures never move it
	FailureTimeout     time.Duration
	ReconnectInterval  time.Duration
	MultipleActive     MultipleActive
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
	FenceDevice        bool
	RemoteConnection   bool
	NestedRemotes      bool // a bundle's connection, which may run on a remote node
	ReplicaContainer   bool
	ExclusiveDiscovery bool // a bundle's member: only on its own node
	Internal           bool // made by a bundle or a guest, not configured
	Utilization        map[string]int
	ExternalIP         string // of a bundle's member
	NodesThen          int    // how many nodes existed when the resource was made: those it may use by default
	// Clone is set for clones, Bundle for bundles.
	Clone  *CloneOptions
	Bundle *BundleState

	// What the history says.
	Role           Role
	NextRole       Role // as far as target-role and failures decide it; RoleUnknown: open
	NextRoleReason string
	Active         []NodeID // where it is active, in the order found
	Known          NodeSet  // where its state is known
	Orphan         bool     // in the history, not in the configuration
	OrphanFiller   bool     // an orphan that lived in a container
	Failed         bool
	StopIfFailed   bool // recovery of the failure needs a stop
	FailureIgnored bool
	Blocked        bool // must be left alone because of a failure
	StartPending   bool
	Locked         NodeID // the node a shutdown lock holds it for, NoNode without one
	LockSince      time.Time
	// PendingTask is the operation in progress ("start"), PendingNode where; "" if none.
	PendingTask string
	PendingNode NodeID
	// PartialSource and PartialTarget are the ends of a live migration that did not finish.
	PartialSource, PartialTarget NodeID
	// Dangling are the sources of migrations whose stop is still missing, latest first.
	Dangling []NodeID
	// Container is the resource this one lives in, Fillers those living in this one.
	Container ResID
	Fillers   []ResID
}

// HistoryName is the name operations are recorded under.
func (r *Resource) HistoryName() string {
	if r.HistoryID != "" {
		return r.HistoryID
	}
	return r.ID
}

// IsActive tells whether the resource is active anywhere.
func (r *Resource) IsActive() bool { return len(r.Active) > 0 }

// ActiveOn tells whether the resource is active on the node.
func (r *Resource) ActiveOn(n NodeID) bool {
	for _, a := range r.Active {
		if a == n {
			return true
		}
	}
	return false
}

// NodeSet is a set of nodes.
type NodeSet []uint64

// Has tells whether the node is in the set.
func (s NodeSet) Has(n NodeID) bool { return int(n>>6) < len(s) && s[n>>6]&(1<<(n&63)) != 0 }

func (s *NodeSet) add(n NodeID) {
	for int(n>>6) >= len(*s) {
		*s = append(*s, 0)
	}
	(*s)[n>>6] |= 1 << (n & 63)
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

// CloneOptions are a clone's numbers.
type CloneOptions struct {
	Max, NodeMax                 int
	PromotedMax, PromotedNodeMax int
	Ordered, Interleave          bool
	// Member is the configured resource that is cloned.
	Member *model.Resource
}

// BundleState says what a bundle expands to.
type BundleState struct {
	PerHost, PromotedMax int
	Image                string
	// Member is the implied clone of the bundled primitive, NoRes without one.
	Member   ResID
	Replicas []Replica
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
	LastGranted      string
	Attributes       map[string]string
}

// Failure is one failed operation as crm_mon lists it.
type Failure struct {
	Op   *cib.Element
	Node NodeID
	Res  ResID
}

// DeferredCheck is a comparison of parameters to be made after placement.
type DeferredCheck struct {
	Res  ResID
	Node NodeID
	Op   *cib.Element
	// LastFailure: only whether a failure's parameters have changed.
	LastFailure bool
}

// WantKind is what a piece of history calls for.
type WantKind uint8

// The kinds of want, in no order.
const (
	WantStop         WantKind = iota // stop the resource on the node
	WantDemote                       // demote it there
	WantRecurring                    // a recurring operation is active there
	WantClear                        // clear its fail count there
	WantClearAfter                   // the same, after fencing the remote node it connects
	WantForget                       // delete its history there
	WantFence                        // fence the node, if something else needs it
	WantOptionalStop                 // any stop wanted there so far is unnecessary
	WantScore                        // add Score to the resource on the node, or everywhere without one
	WantBanAll                       // forget all scores and ban it everywhere
)

// Want is one thing the history calls for. The scheduler turns it into actions and scores.
type Want struct {
	Kind           WantKind
	Res            ResID
	Node           NodeID
	Task           string
	IntervalMillis uint32
	Score          int32
	Reason         string
	PriorityDelay  bool // WantFence: consider priority-fencing-delay
	NodeScore      int32
}

// Node finds a node by name.
func (s *Status) Node(name string) (*Node, bool) {
	id, ok := s.nodeByName[name]
	if !ok {
		return nil, false
	}
	return &s.Nodes[id], true
}

// Resource finds a resource by its exact id.
func (s *Status) Resource(id string) (*Resource, bool) {
	r, ok := s.resByID[id]
	if !ok {
		return nil, false
	}
	return &s.Resources[r], true
}

// Top is the topmost ancestor of a resource, not counting bundles: the clone or group it is in, or itself.
func (s *Status) Top(r ResID) ResID {
	for {
		p := s.Resources[r].Parent
		if p == NoRes || s.Resources[p].Kind == model.Bundle {
			return r
		}
		r = p
	}
}

// Bundled tells whether the resource lives inside a bundle.
func (s *Status) Bundled(r ResID) bool {
	top := s.Top(r)
	return s.Resources[top].Parent != NoRes
}

// CurrentNode is where the resource is active: the best of several such nodes (see [Status.ActiveNode]).
func (s *Status) CurrentNode(r ResID) NodeID {
	n, _, _ := s.ActiveNode(r)
	return n
}

// ActiveNode is the node on which a resource should be taken to be active, with the numbers of all such nodes and of
// those that are online and clean. Of several nodes the source of a partial migration comes first; then, for what
// does not require fencing, a clean one.
func (s *Status) ActiveNode(r ResID) (node NodeID, all, clean int) {
	rsc := &s.Resources[r]
	node = NoNode
	switch rsc.Kind {
	case model.Primitive:
		for _, n := range rsc.Active {
			node = s.countActive(rsc, n, node, &all, &clean)
		}
	case model.Bundle:
		var seen NodeSet
		for _, rep := range rsc.Bundle.Replicas {
			for _, n := range s.Resources[rep.Container].Active {
				if !seen.Has(n) {
					seen.add(n)
					node = s.countActive(rsc, n, node, &all, &clean)
				}
			}
		}
	default:
		var seen NodeSet
		for _, c := range rsc.Children {
			for _, n := range s.activeNodes(c) {
				if !seen.Has(n) {
					seen.add(n)
					node = s.countActive(rsc, n, node, &all, &clean)
				}
			}
		}
	}
	return node, all, clean
}

func (s *Status) activeNodes(r ResID) []NodeID { return s.Resources[r].Active }

func (s *Status) countActive(rsc *Resource, n, best NodeID, all, clean *int) NodeID {
	*all++
	happy := s.Nodes[n].Online && !s.Nodes[n].Unclean
	if happy {
		*clean++
	}
	switch {
	case rsc.PartialSource != NoNode && n == rsc.PartialSource:
		return n
	case best == NoNode:
		return n
	case rsc.PartialSource != NoNode && best == rsc.PartialSource:
		return best
	case !rsc.NeedsFencing && happy && !(s.Nodes[best].Online && !s.Nodes[best].Unclean):
		return n
	}
	return best
}

const (
	infinity      = int32(score.Infinity)
	minusInfinity = int32(score.MinusInfinity)
)

// ByHistoryName finds the instance whose operations are recorded under a name other than its own.
func (s *Status) ByHistoryName(name string) (ResID, bool) {
	r, ok := s.byHistory[name]
	return r, ok
}
