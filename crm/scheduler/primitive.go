package scheduler

import (
	"systole/crm/status"
)

// nextStep is the role that comes next on the way from one role to another.
var nextStep = [5][5]status.Role{
	status.RoleUnknown:    {status.RoleUnknown, status.RoleStopped, status.RoleStopped, status.RoleStopped, status.RoleStopped},
	status.RoleStopped:    {status.RoleStopped, status.RoleStopped, status.RoleStarted, status.RoleUnpromoted, status.RoleUnpromoted},
	status.RoleStarted:    {status.RoleStopped, status.RoleStopped, status.RoleStarted, status.RoleUnpromoted, status.RolePromoted},
	status.RoleUnpromoted: {status.RoleStopped, status.RoleStopped, status.RoleStopped, status.RoleUnpromoted, status.RolePromoted},
	status.RolePromoted:   {status.RoleStopped, status.RoleUnpromoted, status.RoleUnpromoted, status.RoleUnpromoted, status.RolePromoted},
}

// step plans what one change of role takes. It reports false where nothing has to be done and the way ends.
func (r *run) step(id status.ResID, from, to status.Role, n status.NodeID, required bool) bool {
	switch {
	case from == to, from == status.RoleStarted && to == status.RoleUnpromoted:
		return false
	case to == status.RoleStopped || from == status.RoleUnpromoted && to == status.RoleStarted:
		if from == status.RolePromoted {
			r.demote(id, required)
		} else {
			r.stop(id, required)
		}
	case from == status.RoleStopped:
		r.startOn(id, n, required)
	case from == status.RolePromoted:
		r.demote(id, required)
	case to == status.RolePromoted:
		r.promote(id, n, required)
	default:
		return false
	}
	return true
}

// createPrimitive plans what takes a primitive from what and where it is to what and where it will be.
func (r *run) createPrimitive(id status.ResID) {
	rsc, st := r.rsc(id), &r.res[id]
	if st.next == status.RoleUnknown {
		if st.node == status.NoNode {
			r.setNext(id, status.RoleStopped, "assignment")
		} else {
			r.setNext(id, status.RoleStarted, "assignment")
		}
	}
	current, all, clean := r.activeNode(id)
	for _, n := range rsc.Dangling {
		r.abortMigration(id, n)
	}
	moving, migrate, needStop, needPromote := false, false, false, false
	if current != status.NoNode && st.node != status.NoNode && current != st.node && st.next >= status.RoleStarted {
		moving, needStop = true, true
		migrate = r.canMigrate(id, current)
	}
	multiple := false
	switch {
	case st.partialSource != status.NoNode && st.partialTarget != status.NoNode && migrate && all == 2 &&
		current == st.partialSource && st.node == st.partialTarget:
		// The migration that was under way goes on.
	case st.partialSource != status.NoNode || st.partialTarget != status.NoNode:
		needStop, migrate = true, false
		st.partialSource, st.partialTarget = status.NoNode, status.NoNode
	case rsc.NeedsFencing:
		multiple = all > 1
	default:
		// What can start before fencing is complete does not count as active on unclean nodes.
		multiple = clean > 1
	}
	st.stopUnexpected = false
	if multiple {
		switch rsc.MultipleActive {
		case status.StopStart:
			needStop = true
		case status.StopUnexpected:
			needStop, st.stopUnexpected = true, true
		}
	}
	if rsc.StartPending {
		a := r.start(id, st.node)
		r.actions[a].flags |= printed
	}
	switch {
	case moving:
	case st.failed:
		if st.stopIfFailed {
			needStop = true
		} else if st.next == status.RolePromoted {
			needPromote = true
		}
	case st.blocked:
		needStop = true
	case st.role > status.RoleStarted && current != status.NoNode && st.node != status.NoNode:
		if a := r.start(id, st.node); !r.actions[a].is(optional) {
			needStop = true
		}
	}
	r.planRestart(id, current, needStop, needPromote)
	for role := st.role; role != st.next; {
		next := nextStep[role][st.next]
		if !r.step(id, role, next, st.node, true) {
			break
		}
		role = next
	}
	r.createRecurring(id)
	if migrate {
		r.createMigration(id, current)
	}
}

// activeNode is where a resource should be taken to be active, and on how many nodes it is.
func (r *run) activeNode(id status.ResID) (status.NodeID, int, int) { return r.s.ActiveNode(id) }

// planRestart plans the way down to stopped and back up to the present role; the actions are required only if needed.
func (r *run) planRestart(id status.ResID, current status.NodeID, needStop, needPromote bool) {
	st := &r.res[id]
	st.restarting = true
	role := st.role
	for role != status.RoleStopped {
		next := nextStep[role][status.RoleStopped]
		if !r.step(id, role, next, current, needStop) {
			break
		}
		role = next
	}
	for st.role <= st.next && role != st.role && !st.blocked {
		next := nextStep[role][st.role]
		required := needStop || next == status.RolePromoted && needPromote
		if !r.step(id, role, next, st.node, required) {
			break
		}
		role = next
	}
	st.restarting = false
}

// expectedHere tells whether a node is the one of several on which a resource may stay active (multiple-active=stop_unexpected).
func (r *run) expectedHere(id status.ResID, n status.NodeID) bool {
	st := &r.res[id]
	return st.stopUnexpected && st.restarting && st.next > status.RoleStopped && st.node == n
}

func (r *run) stop(id status.ResID, required bool) {
	rsc, st := r.rsc(id), &r.res[id]
	for _, n := range rsc.Active {
		if r.expectedHere(id, n) {
			continue
		}
		if st.partialTarget != status.NoNode {
			if n == st.partialTarget && n == st.node {
				continue
			}
			required = true
		}
		a := r.action(spec{res: id, node: n, task: "stop", required: required})
		act := &r.actions[a]
		if st.node == status.NoNode {
			act.because("node availability", true)
		} else if st.restarting && st.stopUnexpected {
			act.because("being multiply active", true)
		}
		if !st.managed {
			act.flags &^= runnable
		}
		if r.s.Options.RemoveAfterStop {
			r.cleanUp(id, n, required)
		}
		if rsc.NeedsUnfencing {
			r.link(a, r.fenceAction(n, "on", false, "", false), impliesFirst)
		}
	}
}

func (r *run) startOn(id status.ResID, n status.NodeID, required bool) {
	a := r.start(id, n)
	r.orderVsUnfence(id, n, a, impliesThen)
	if r.actions[a].is(runnable) && required {
		r.actions[a].flags &^= optional
	}
	if r.expectedHere(id, n) {
		r.actions[a].flags |= pseudo
	}
}

func (r *run) promote(id status.ResID, n status.NodeID, required bool) {
	for _, a := range r.findOn(id, "start", 0, n) {
		if !r.actions[a].is(runnable) {
			for _, p := range r.findOn(id, "promote", 0, n) {
				r.actions[p].flags &^= runnable
			}
			return
		}
	}
	a := r.action(spec{res: id, node: n, task: "promote", required: required})
	if r.expectedHere(id, n) {
		r.actions[a].flags |= pseudo
	}
}

func (r *run) demote(id status.ResID, required bool) {
	for _, n := range r.rsc(id).Active {
		if !r.expectedHere(id, n) {
			r.action(spec{res: id, node: n, task: "demote", required: required})
		}
	}
}

// cleanUp forgets a resource's history on a node, between its stop and its start.
func (r *run) cleanUp(id status.ResID, n status.NodeID, required bool) {
	if r.res[id].failed || r.nodes[n].unclean || !r.nodes[n].online {
		return
	}
	flags := impliesThen
	if required {
		flags = orderOptional
	}
	r.action(spec{res: id, node: n, task: "delete", required: required})
	r.order(id, "stop", id, "delete", flags)
	r.order(id, "delete", id, "start", flags)
}

// abortMigration stops a resource on the source of a migration that left it there.
func (r *run) abortMigration(id status.ResID, n status.NodeID) {
	a := r.action(spec{res: id, node: n, task: "stop", required: true})
	r.actions[a].flags |= dangling
	if r.s.Options.RemoveAfterStop {
		r.cleanUp(id, n, true)
	}
}

func (r *run) canMigrate(id status.ResID, current status.NodeID) bool {
	st := &r.res[id]
	return st.allowMigrate && st.managed && !st.failed && !r.rsc(id).StartPending && current != status.NoNode &&
		!r.nodes[current].unclean && st.node != status.NoNode && !r.nodes[st.node].unclean
}

// createMigration plans a live migration beside the stop and start it may replace.
func (r *run) createMigration(id status.ResID, current status.NodeID) {
	st := &r.res[id]
	start := r.start(id, st.node)
	stop := r.action(spec{res: id, node: current, task: "stop"})
	partial := st.partialTarget != status.NoNode
	to := noAction
	if !partial {
		to = r.action(spec{res: id, node: current, task: "migrate_to"})
	}
	from := r.action(spec{res: id, node: st.node, task: "migrate_from"})
	r.actions[start].flags |= migratable | pseudo
	r.actions[stop].flags |= migratable
	r.actions[from].flags |= migratable
	if !partial {
		r.actions[to].flags |= migratable
		r.actions[to].needs = r.actions[start].needs
		r.order(id, "monitor", id, "migrate_to", orderOptional)
		r.order(id, "migrate_to", id, "migrate_from", orderOptional|impliesFirstMigratable)
	} else {
		r.actions[from].needs = r.actions[start].needs
		r.order(id, "monitor", id, "migrate_from", orderOptional)
	}
	r.order(id, "migrate_from", id, "stop", orderOptional|impliesFirstMigratable)
	r.order(id, "migrate_from", id, "start", orderOptional|impliesFirstMigratable|pseudoFirst)
	for _, a := range []actionID{to, from} {
		if a != noAction {
			r.actions[a].set("migrate_source", r.s.Nodes[current].Name)
			r.actions[a].set("migrate_target", r.s.Nodes[st.node].Name)
		}
	}
	if to != noAction && !r.rsc(id).RemoteConnection {
		r.actions[to].set("record-pending", "true") // the source may be lost while it runs
	}
}
