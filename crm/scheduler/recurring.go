package scheduler

import (
	"strconv"

	"systole/crm/model"
	"systole/crm/status"
)

// createRecurring plans a resource's recurring operations: those of its next role where it will be, and those of the role
// Stopped where it will not be.
func (r *run) createRecurring(id status.ResID) {
	rsc, st := r.rsc(id), &r.res[id]
	if st.blocked || rsc.Maintenance || rsc.Config == nil {
		return
	}
	start := noAction
	if st.node != status.NoNode && !r.s.Nodes[st.node].Maintenance && (st.next != status.RoleStopped || !st.managed) {
		start = r.start(id, st.node)
	}
	for i := range rsc.Config.Ops {
		op := &rsc.Config.Ops[i]
		ms, ok := r.recurringInterval(rsc.Config, op)
		if !ok {
			continue
		}
		role := status.ParseRole(op.Source.Get("role"))
		if role != status.RoleStopped && start != noAction {
			r.recurringActive(id, start, op, ms, role)
		}
		if role == status.RoleStopped && rsc.Unique {
			r.recurringStopped(id, op, ms)
		}
	}
}

// recurringInterval is the interval of an operation that recurs; false for one that does not, cannot, is disabled or is defined twice.
func (r *run) recurringInterval(c *model.Resource, op *model.Op) (uint32, bool) {
	ms := intervalOf(op)
	if ms == 0 || op.ID == "" {
		return 0, false
	}
	switch op.Name {
	case "stop", "start", "demote", "promote", "reload-agent", "migrate_to", "migrate_from":
		return 0, false
	}
	same := 0
	for i := range c.Ops {
		if c.Ops[i].Name == op.Name && intervalOf(&c.Ops[i]) == ms && c.Ops[i].ID != "" {
			same++
		}
	}
	return ms, same == 1 && status.FindOp(c, op.Name, ms, false) != nil
}

func intervalOf(op *model.Op) uint32 {
	ms, ok := status.Millis(op.Interval)
	if !ok || ms < 0 {
		return 0
	}
	return uint32(ms)
}

func (r *run) recurringActive(id status.ResID, start actionID, op *model.Op, ms uint32, role status.Role) {
	st := &r.res[id]
	isOptional := r.recurringOptional(id, start, op, ms)
	if role != status.RoleUnknown && st.next != role || op.Source.Get("role") == "" && st.next == status.RolePromoted {
		if isOptional { // it is running, for a role the resource will not have
			r.cancelRecurring(id, op, ms)
		}
		return
	}
	mon := r.action(spec{res: id, node: st.node, task: op.Name, interval: ms, required: !isOptional})
	a := &r.actions[mon]
	if !r.actions[start].is(runnable) || st.node == status.NoNode || !r.nodes[st.node].online || r.nodes[st.node].unclean {
		a.flags &^= runnable
	}
	if st.next == status.RolePromoted {
		a.set("op_target_rc", "8")
	}
	if st.node != status.NoNode && !st.managed {
		return
	}
	r.actionAfter(id, "start", mon, impliesThen|runnableFirst)
	r.actionAfter(id, "reload-agent", mon, impliesThen|runnableFirst)
	if st.next == status.RolePromoted {
		r.actionAfter(id, "promote", mon, orderOptional|runnableFirst)
	} else if st.role == status.RolePromoted {
		r.actionAfter(id, "demote", mon, orderOptional|runnableFirst)
	}
}

func (r *run) recurringOptional(id status.ResID, start actionID, op *model.Op, ms uint32) bool {
	n := r.res[id].node
	if n == status.NoNode || !r.actions[start].is(optional) {
		return false
	}
	found := r.findOn(id, op.Name, ms, n)
	for _, a := range found {
		if r.actions[a].is(reschedule) {
			return false
		}
	}
	return len(found) > 0
}

func (r *run) cancelRecurring(id status.ResID, op *model.Op, ms uint32) {
	st := &r.res[id]
	c := r.cancel(id, op.Name, ms, st.node)
	after := ""
	switch {
	case st.role == status.RolePromoted:
		after = "demote"
	case st.role == status.RoleUnknown || st.role == status.RoleStopped:
	case st.next == status.RolePromoted:
		after = "promote"
	case st.next == status.RoleStopped:
		after = "stop"
	}
	if after != "" {
		r.actionBefore(c, id, after, runnableFirst)
	}
}

// cancel ends a recurring operation on a node.
func (r *run) cancel(id status.ResID, task string, ms uint32, n status.NodeID) actionID {
	a := r.action(spec{res: id, node: n, task: "cancel", keyTask: task, interval: ms, required: true})
	act := &r.actions[a]
	act.task, act.cancels = "cancel", task
	act.set("operation", task)
	act.set("interval", strconv.FormatUint(uint64(ms), 10))
	return a
}

func (r *run) recurringStopped(id status.ResID, op *model.Op, ms uint32) {
	st := &r.res[id]
	for _, n := range r.s.NodesByName {
		if n == st.node {
			r.cancelIfRunning(id, op, ms, n)
			continue
		}
		isOptional := len(r.findOn(id, op.Name, ms, n)) > 0
		mon := r.action(spec{res: id, node: n, task: op.Name, interval: ms, required: !isOptional})
		r.actions[mon].set("op_target_rc", "7")
		if st.managed {
			for _, p := range r.findKey(id, "monitor", 0, n) {
				r.link(p, mon, runnableFirst)
			}
		}
		for _, stop := range r.findOn(id, "stop", 0, n) {
			s, m := &r.actions[stop], &r.actions[mon]
			if !s.is(optional) && !m.is(optional) && !st.managed {
				m.flags |= optional
			}
			if !s.is(runnable) {
				m.flags &^= runnable
			}
			if st.managed {
				r.newOrdering(ordering{first: r.endOf(stop), then: r.endOf(mon), flags: impliesThen | runnableFirst})
			}
		}
		if !r.nodes[n].online || r.nodes[n].unclean {
			r.actions[mon].flags &^= runnable
		}
	}
}

func (r *run) cancelIfRunning(id status.ResID, op *model.Op, ms uint32, n status.NodeID) {
	if len(r.findOn(id, op.Name, ms, n)) == 0 {
		return
	}
	c := r.cancel(id, op.Name, ms, n)
	if next := r.res[id].next; next == status.RoleStarted || next == status.RoleUnpromoted {
		r.actionBefore(c, id, "start", runnableFirst)
	}
}
