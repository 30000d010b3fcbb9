package scheduler

import (
	"slices"

	"systole/crm/status"
)

// holdForUnproven keeps back what might run twice. Without fencing nothing stops what a lost node may still be running;
// until the node's lease has run out, or somebody says that it is down, what may be active there starts nowhere else, and
// where an instance may be promoted there, no other is promoted.
func (r *run) holdForUnproven() {
	if r.s.Options.Fencing {
		return // the node is fenced, and everything waits for that
	}
	for _, i := range r.s.NodesByName {
		n := &r.s.Nodes[i]
		if !n.Unproven {
			continue
		}
		for id := range r.res {
			if r.isPrimitive(status.ResID(id)) {
				r.holdPrimitive(status.ResID(id), n)
			}
		}
	}
}

func (r *run) holdPrimitive(id status.ResID, lost *status.Node) {
	for _, k := range r.res[id].actions {
		a := &r.actions[k]
		if a.needs == needsNothing || a.node == lost.Index || a.node == status.NoNode {
			continue
		}
		switch {
		case a.task == "start" && r.mayRunOn(id, lost.Index):
			r.hold(k, r.rsc(id).ID+" may be active on lost node "+lost.Name)
		case a.task == "promote" && r.res[id].role != status.RolePromoted && r.mayBePromotedOn(id, lost.Index):
			r.hold(k, "an instance may be promoted on lost node "+lost.Name)
		}
	}
}

func (r *run) hold(k actionID, reason string) {
	a := &r.actions[k]
	a.flags &^= runnable
	a.because(reason, !a.held)
	a.held = true
}

// mayRunOn tells whether a resource may be active on a lost node although it is active nowhere else. Any number of
// instances of an anonymous clone may run, as long as each is somewhere else.
func (r *run) mayRunOn(id status.ResID, lost status.NodeID) bool {
	rsc := r.rsc(id)
	if slices.ContainsFunc(rsc.Active, func(n status.NodeID) bool { return r.nodes[n].online && !r.nodes[n].unclean }) {
		return false
	}
	if rsc.ActiveOn(lost) {
		return true
	}
	return !r.anonymousClone(r.top(id)) && r.unknownOn(id, lost)
}

// unknownOn tells whether a resource could be on a node and nobody has looked.
func (r *run) unknownOn(id status.ResID, n status.NodeID) bool {
	return r.allowed(id)[n].present && !r.knownOn(id, n)
}

// mayBePromotedOn tells whether an instance of a promotable clone may be promoted on a lost node.
func (r *run) mayBePromotedOn(id status.ResID, lost status.NodeID) bool {
	top := r.top(id)
	_, known := r.anonymousOn(top, r.rsc(id).BaseID, lost)
	if !known && r.unknownOn(id, lost) {
		return true
	}
	for _, i := range r.res[top].children {
		m := r.memberNamed(i, r.rsc(id).BaseID)
		if m == status.NoRes || m == id || !r.rsc(m).ActiveOn(lost) {
			continue
		}
		if r.res[m].role == status.RolePromoted || r.rsc(m).PendingTask == "promote" {
			return true
		}
	}
	return false
}

// leaveOnLostNodes gives no place to instances of an anonymous clone that may be active on an unproven node, but counts
// them: others start where these would otherwise move to in vain. It returns their number.
func (r *run) leaveOnLostNodes(clone status.ResID, instances []status.ResID, perNode int) int {
	if r.s.Options.Fencing || !r.anonymousClone(clone) {
		return 0
	}
	left := 0
	for _, i := range instances {
		if r.res[i].provisional && r.activeOnLost(i) {
			r.ban(i, status.NoNode, "may be active on a lost node")
			r.assignInstance(i, status.NoNode, perNode)
			left++
		}
	}
	return left
}

func (r *run) activeOnLost(i status.ResID) bool {
	return slices.ContainsFunc(r.rsc(i).Active, func(n status.NodeID) bool { return r.s.Nodes[n].Unproven }) ||
		slices.ContainsFunc(r.res[i].children, r.activeOnLost)
}
