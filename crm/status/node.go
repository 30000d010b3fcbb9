package status

import (
	"slices"
	"strings"

	"systole/crm/cib"
	"systole/crm/model"
)

// nodeStates reads the node_state entries: first what they say about the nodes themselves.
func (u *unpacker) nodeStates() {
	for _, e := range childrenOf(u.s.Source.Child("status")) {
		switch e.Name() {
		case "tickets":
			for t := range e.Each("ticket_state") {
				u.ticket(t)
			}
		case "node_state":
			if n := u.nodeOf(e); n != nil {
				u.nodeState(n, e)
			}
		}
	}
	slices.SortFunc(u.s.Tickets, func(a, b Ticket) int { return strings.Compare(a.ID, b.ID) })
}

// nodeOf finds the node of a node_state entry, by id or by name.
func (u *unpacker) nodeOf(state *cib.Element) *Node {
	id, name := state.ID(), state.Get("uname")
	if id == "" || name == "" {
		return nil
	}
	for i := range u.s.Nodes {
		if strings.EqualFold(u.s.Nodes[i].ID, id) {
			return &u.s.Nodes[i]
		}
	}
	if n, ok := u.s.Node(name); ok {
		return n
	}
	return nil
}

func (u *unpacker) ticket(e *cib.Element) {
	if e.ID() == "" {
		return
	}
	t := Ticket{ID: e.ID(), Attributes: map[string]string{}}
	for _, a := range e.Attrs() {
		if a.Name != "id" {
			t.Attributes[a.Name] = a.Value
		}
	}
	t.Granted, t.Standby, t.LastGranted = True(t.Attributes["granted"]), True(t.Attributes["standby"]), t.Attributes["last-granted"]
	u.s.Tickets = append(u.s.Tickets, t)
}

func (u *unpacker) nodeState(n *Node, state *cib.Element) {
	n.State = state
	if n.IsRemote() {
		// Whether a remote node is online shows only when its connection's history has been read.
		n.RemoteWasFenced = number(state.Get("node_fenced"), 0) != 0
		return
	}
	n.Feature = state.Get("crm_feature_set")
	u.transientAttributes(n, state)
	n.Unclean, n.Unseen = false, false
	u.online(n, state)
	if !u.s.Quorum && n.Online && u.s.Options.NoQuorum == NoQuorumFence {
		u.fence(n, "cluster does not have quorum", false)
	}
}

func (u *unpacker) transientAttributes(n *Node, state *cib.Element) {
	u.nodeAttributes(n, model.Sets(state.Child("transient_attributes"), "instance_attributes"), true)
	capacity := map[string]int{}
	u.values2ints(capacity, model.Sets(state.Child("transient_attributes"), "utilization"))
	for name, value := range capacity {
		if _, configured := n.Utilization[name]; !configured {
			n.Utilization[name] = value
		}
	}
	if f := n.Attributes["#feature-set"]; f != "" {
		n.Feature = f
	}
	// A witness votes and refuses every order: nothing is started or looked for there.
	witness := True(n.Attributes["witness"])
	n.DiscoveryOff = n.DiscoveryOff || witness
	n.Standby = n.Standby || witness || True(n.Attributes["standby"])
	n.Maintenance = n.Maintenance || True(n.Attributes["maintenance"])
}

// online decides whether a cluster node is a member that can run resources, and whether it is unclean.
func (u *unpacker) online(n *Node, state *cib.Element) {
	if s := n.Attributes["shutdown"]; s != "" && s != "0" {
		n.Shutdown = true
	} else {
		n.Expected = strings.EqualFold(state.Get("expected"), "member")
	}
	switch {
	case n.Kind == Ping:
		n.Unclean = false
	case True(state.Get("unproven")):
		n.Unproven = true
		u.fence(n, "node was lost, and nothing proves that it has stopped", true)
	case u.s.Options.Fencing:
		n.Online = u.onlineWithFencing(n, state)
	default:
		n.Online = u.onlineWithoutFencing(n, state)
	}
	if !n.Online || n.Shutdown {
		n.Score = minusInfinity
	}
}

// memberSince is when the node became a member (seconds since the epoch; the present for old entries that only say
// yes), 0 if it is none, -1 if nothing is known.
func (u *unpacker) memberSince(state *cib.Element) int64 {
	text, set := state.Lookup("in_ccm")
	if !set {
		return -1
	}
	if yes, ok := Truth(text); ok {
		if yes {
			return u.s.Now.Unix()
		}
		return 0
	}
	return number(text, -1)
}

// onlineSince is when the node's daemon became reachable (1 for old entries that only say online), 0 if it is not.
func onlineSince(state *cib.Element) int64 {
	switch text := strings.ToLower(state.Get("crmd")); text {
	case "", "offline":
		return 0
	case "online":
		return 1
	default:
		return max(number(text, 0), 0)
	}
}

func (u *unpacker) onlineWithoutFencing(n *Node, state *cib.Element) bool {
	switch {
	case u.memberSince(state) <= 0:
	case onlineSince(state) > 0:
		return strings.EqualFold(state.Get("join"), "member")
	case n.Expected:
		u.fence(n, "peer is unexpectedly down", false)
	}
	return false
}

func (u *unpacker) onlineWithFencing(n *Node, state *cib.Element) bool {
	join, expected := state.Get("join"), state.Get("expected")
	member, online := u.memberSince(state), onlineSince(state)
	terminate, isBool := Truth(n.Attributes["terminate"])
	if !isBool {
		terminate = number(n.Attributes["terminate"], 0) > 0
	}
	switch {
	case n.Shutdown: // a dead peer cannot be shut down
		return online > 0
	case member < 0:
		u.fence(n, "peer has not been seen by the cluster", false)
		return false
	case join == "banned":
		u.fence(n, "peer failed Pacemaker membership criteria", false)
	case terminate:
		if member <= 0 && online <= 0 && join == "down" {
			return false // it was just fenced
		}
		u.fence(n, "fencing was requested", false)
	case expected == "" || expected == "down":
		switch {
		case u.pendingTooLong(member, online):
			u.fence(n, "peer pending timed out on joining the process group", false)
		case member > 0 || online > 0:
			n.Standby, n.Pending = true, true
		}
	case member <= 0:
		u.fence(n, "peer is no longer part of the cluster", true)
	case online <= 0:
		u.fence(n, "peer process is no longer available", false)
	case join == "member":
	case join == "pending" || join == "down":
		n.Standby, n.Pending = true, true
	default:
		u.fence(n, "peer was in an unknown state", false)
	}
	return member > 0
}

func (u *unpacker) pendingTooLong(member, online int64) bool {
	limit := int64(u.s.Options.NodePendingTimeout.Seconds())
	if limit <= 0 || member <= 0 || online > 0 {
		return false
	}
	if u.s.Now.Unix() >= member+limit {
		return true
	}
	u.recheckBy(unix(member + limit))
	return false
}

// CanFence tells whether a node can be fenced: it is a guest whose container's nodes can, or fencing is enabled, some
// device exists and the partition is allowed to fence.
func (s *Status) CanFence(n NodeID) bool {
	node := &s.Nodes[n]
	if node.Kind == Guest {
		c := s.Resources[node.Connection].Container
		if c == NoRes {
			return false
		}
		for _, host := range s.Resources[c].Active {
			if h := &s.Nodes[host]; !h.Online && !s.CanFence(host) {
				return false
			}
		}
		return true
	}
	switch {
	case !s.Options.Fencing, !s.HaveFencing:
		return false
	case s.Quorum, s.Options.NoQuorum == NoQuorumIgnore:
		return true
	case node.Kind == Remote && s.Options.FenceRemoteNoQuorum:
		return true
	}
	return node.Online
}

// fence marks a node as one that must be fenced, or (a guest) its container as one that must be recovered.
func (u *unpacker) fence(n *Node, reason string, priorityDelay bool) {
	switch {
	case n.Kind == Guest:
		c := &u.s.Resources[u.s.Resources[n.Connection].Container]
		if !c.Failed && c.Managed {
			n.RemoteReset = true
			c.Failed, c.StopIfFailed = true, true
		}
	case n.Kind == Remote && n.Connection != NoRes && u.s.Resources[n.Connection].OrphanFiller && u.s.Resources[n.Connection].Container == NoRes:
		u.s.Resources[n.Connection].Failed, u.s.Resources[n.Connection].StopIfFailed = true, true
	case n.Kind == Remote:
		if n.Connection == NoRes || u.s.Resources[n.Connection].Managed {
			n.RemoteReset = true
		}
		u.markUnclean(n, reason)
		u.want(Want{Kind: WantFence, Res: NoRes, Node: n.Index, Reason: reason})
	case !n.Unclean:
		u.markUnclean(n, reason)
		u.want(Want{Kind: WantFence, Res: NoRes, Node: n.Index, Reason: reason, PriorityDelay: priorityDelay})
	}
}

func (u *unpacker) markUnclean(n *Node, reason string) {
	n.Unclean = true
	if n.UncleanReason == "" {
		n.UncleanReason = reason
	}
}

// remoteOnline decides whether a remote or guest node is online: its connection says so.
func (u *unpacker) remoteOnline(n *Node) {
	if n.Connection == NoRes {
		n.Online = false
		return
	}
	rsc := &u.s.Resources[n.Connection]
	var container *Resource
	var host *Node
	if rsc.Container != NoRes {
		container = &u.s.Resources[rsc.Container]
		if len(rsc.Active) == 1 {
			host = &u.s.Nodes[rsc.Active[0]]
		}
	}
	if rsc.Role == RoleStarted {
		n.Online = true
		if rsc.NextRole == RoleStopped {
			n.Shutdown = true
		}
	}
	switch {
	case container != nil && container.Failed:
		n.Online, n.RemoteReset = false, true
	case rsc.Failed:
		n.Online = false
	case rsc.Role == RoleStopped || container != nil && container.Role == RoleStopped:
		n.Online, n.RemoteReset = false, false
	case host != nil && !host.Online && host.Unclean:
		n.Online, n.RemoteReset = false, true
	}
}

func (u *unpacker) remoteAttributes(n *Node, state *cib.Element) {
	n.RemoteMaintenance = number(state.Get("node_in_maintenance"), 0) != 0
	if !n.RemoteReset {
		n.Unclean, n.Unseen = false, false
	}
	u.transientAttributes(n, state)
	if s := n.Attributes["shutdown"]; s != "" && s != "0" {
		n.Shutdown = true
	}
	if n.Connection != NoRes && !u.s.Resources[n.Connection].Managed {
		n.Maintenance = true
	}
	if d, set := n.Attributes["resource-discovery-enabled"]; set && !True(d) && (n.Kind == Guest || u.s.Options.Fencing) {
		n.DiscoveryOff = true
	}
}
