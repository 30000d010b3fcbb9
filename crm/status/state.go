package status

import (
	"strings"

	"systole/crm/model"
)

// applyState puts together what the whole history of the resource on the node means.
func (h *history) applyState() {
	u, rsc, node := h.unpacker, h.rsc(), h.on()
	if rsc.Role != RoleUnknown {
		for r := h.res; r != NoRes; r = u.s.Resources[r].Parent {
			u.s.Resources[r].Known.add(h.node)
			if u.s.Resources[r].Unique {
				break
			}
		}
	}
	if rsc.Role > RoleStopped && !node.Online && !node.Maintenance && rsc.Managed {
		h.activeOnLostNode()
		node = h.on()
	}
	reaction := h.onFail
	if node.Unclean {
		reaction = OnFailIgnore // fencing will take care of it
	}
	h.react(reaction)
	rsc = h.rsc()
	if rsc.Failed && rsc.RemoteConnection {
		if n, ok := u.s.Node(rsc.ID); ok && n.Unclean {
			n.Unseen = false // reconnecting will not do: it has to be fenced
		}
	}
	switch {
	case rsc.Role > RoleStopped:
		u.addActive(h.res, h.node, h.onFail != OnFailIgnore)
		rsc = h.rsc()
		switch reaction {
		case OnFailIgnore:
		case OnFailDemote, OnFailBlock:
			rsc.Failed = true
		default:
			rsc.Failed, rsc.StopIfFailed = true, true
		}
	case rsc.HistoryID != "" && strings.Contains(rsc.HistoryID, ":"):
		rsc.HistoryID = "" // stopped: an old history's instance number means nothing
	case u.stopWanted[h.res]:
		u.want(Want{Kind: WantOptionalStop, Res: h.res, Node: h.node})
	}
	rsc = h.rsc()
	if rsc.Role == RoleStopped && rsc.PartialSource == h.node && rsc.PartialTarget != NoNode && len(rsc.Active) > 0 {
		// The stop on the migration's source does not mean that it is stopped on the target.
		rsc.Role = RoleStarted
	}
}

// activeOnLostNode has the node fenced on which a managed resource is active although it is not online.
func (h *history) activeOnLostNode() {
	rsc, node := h.rsc(), h.on()
	reason := rsc.ID + " is thought to be active there"
	switch {
	case node.Kind == Guest:
		rsc.Failed, rsc.StopIfFailed = true, true
	case !h.s.Options.Fencing:
		return
	case node.Kind == Remote && node.Connection != NoRes && !h.s.Resources[node.Connection].Failed:
		// Unseen: it is fenced only if the connection cannot be established from elsewhere.
		node.Unseen = true
		reason = rsc.ID + " is active there (fencing will be revoked if remote connection can be re-established elsewhere)"
	}
	h.fence(node, reason, false)
}

// react does what on-fail asks for.
func (h *history) react(reaction OnFail) {
	u, rsc, node := h.unpacker, h.rsc(), h.on()
	switch reaction {
	case OnFailIgnore:
	case OnFailDemote:
		rsc.Failed = true
		u.want(Want{Kind: WantDemote, Res: h.res, Node: h.node})
	case OnFailFence:
		u.fence(node, rsc.ID+" failed there", false)
	case OnFailStandby:
		node.Standby, node.StandbyOnFail = true, true
	case OnFailBlock:
		rsc.Managed, rsc.Blocked = false, true
	case OnFailBan:
		u.ban(h.res, h.node, "failed here with on-fail=migrate")
	case OnFailStop:
		u.setNextRole(rsc, RoleStopped, "on-fail=stop")
	case OnFailRestart:
		if rsc.Role > RoleStopped {
			rsc.Failed, rsc.StopIfFailed = true, true
			u.wantStop(h.res, h.node)
		}
	case OnFailRestartContainer:
		rsc.Failed, rsc.StopIfFailed = true, true
		switch {
		case rsc.Container != NoRes && u.s.Bundled(h.res):
			// The connection may run elsewhere than the container, whose node is not known yet.
			u.stopLater = append([]ResID{rsc.Container}, u.stopLater...)
		case rsc.Container != NoRes:
			u.wantStop(rsc.Container, h.node)
		case rsc.Role > RoleStopped:
			u.wantStop(h.res, h.node)
		}
	case OnFailResetRemote:
		h.resetRemote()
	}
}

func (h *history) resetRemote() {
	u, rsc := h.unpacker, h.rsc()
	rsc.Failed, rsc.StopIfFailed = true, true
	if u.s.Options.Fencing && rsc.RemoteConnection {
		if n, ok := u.s.Node(rsc.ID); ok && n.Kind == Remote && !n.RemoteWasFenced {
			u.fence(n, "remote connection is unrecoverable", false)
		}
	}
	rsc = h.rsc()
	if rsc.Role > RoleStopped {
		u.wantStop(h.res, h.node)
	}
	if rsc.ReconnectInterval != 0 {
		u.setNextRole(rsc, RoleStopped, "remote reset")
	}
}

// addActive notes that a resource, and so what it is part of, is active on a node.
func (u *unpacker) addActive(r ResID, n NodeID, failed bool) {
	rsc, node := &u.s.Resources[r], &u.s.Nodes[n]
	if rsc.ActiveOn(n) {
		return
	}
	rsc.Active = append(rsc.Active, n)
	if rsc.Kind == model.Primitive {
		node.Active = append(node.Active, r)
		u.addPriority(rsc, node, failed)
		if node.Maintenance {
			rsc.Managed, rsc.Maintenance = false, true
		}
	}
	if !rsc.Managed {
		u.prefer(r, n, infinity, "unmanaged and active here")
		for p := rsc.Parent; p != NoRes; p = u.s.Resources[p].Parent {
			u.s.Resources[p].Active = append(u.s.Resources[p].Active, n)
		}
		return
	}
	if u.multiplyActive(rsc) {
		switch rsc.MultipleActive {
		case StopOnly:
			u.want(Want{Kind: WantBanAll, Res: r, Node: NoNode, Reason: "active on several nodes with multiple-active=stop_only"})
		case BlockMultiple:
			rsc.Managed, rsc.Blocked = false, true
			u.blockSiblings(rsc)
		}
	}
	if rsc.Parent != NoRes {
		u.addActive(rsc.Parent, n, false)
	}
}

func (u *unpacker) blockSiblings(rsc *Resource) {
	if rsc.Parent == NoRes {
		return
	}
	p := &u.s.Resources[rsc.Parent]
	if p.MultipleActive != BlockMultiple || p.Kind != model.Group && p.Kind != model.Bundle {
		return
	}
	for _, c := range p.Children {
		u.s.Resources[c].Managed, u.s.Resources[c].Blocked = false, true
	}
}

func (u *unpacker) multiplyActive(rsc *Resource) bool {
	if rsc.Kind != model.Primitive {
		return false
	}
	_, all, clean := u.s.ActiveNode(rsc.Index)
	if rsc.NeedsFencing {
		return all > 1
	}
	return clean > 1
}

// addPriority counts a healthy resource's priority for its node (and a guest's for its host), for priority-fencing-delay.
func (u *unpacker) addPriority(rsc *Resource, node *Node, failed bool) {
	if rsc.Priority == 0 || failed {
		return
	}
	p := rsc.Priority
	if rsc.Role == RolePromoted {
		p++
	}
	node.Priority += p
	if node.Connection != NoRes && u.s.Resources[node.Connection].Container != NoRes {
		for _, host := range u.s.Resources[u.s.Resources[node.Connection].Container].Active {
			u.s.Nodes[host].Priority += p
		}
	}
}
