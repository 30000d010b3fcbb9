package scheduler

import (
	"strconv"

	"systole/crm/cib"
	"systole/crm/status"
)

// configurationChanges plans what it takes for resources to run as they are configured now: restarts, reloads, and
// recurring operations to be ended or scheduled again.
func (r *run) configurationChanges() {
	for _, n := range r.s.NodesByName {
		node := &r.s.Nodes[n]
		if !node.Maintenance && !r.nodeUsable(n) {
			continue
		}
		for e := range node.State.Path("lrm", "lrm_resources").Each("lrm_resource") {
			if len(e.Children()) == 0 {
				continue
			}
			for _, id := range r.matching(e.ID()) {
				if r.isPrimitive(id) {
					r.historyChanges(e, id, n)
				}
			}
		}
	}
}

// matching are the primitives whose history an entry may be: all instances of an anonymous clone share a name.
func (r *run) matching(name string) []status.ResID {
	if r.byName == nil {
		r.byName = map[string][]status.ResID{}
		for _, id := range r.rootOrder {
			r.indexNames(id)
		}
	}
	return r.byName[name]
}

func (r *run) indexNames(id status.ResID) {
	rsc := r.rsc(id)
	names := []string{rsc.ID}
	if rsc.HistoryID != "" && rsc.HistoryID != rsc.ID {
		names = append(names, rsc.HistoryID)
	}
	if !rsc.Unique && rsc.BaseID != rsc.ID && rsc.BaseID != rsc.HistoryID {
		names = append(names, rsc.BaseID)
	}
	for _, n := range names {
		r.byName[n] = append(r.byName[n], id)
	}
	for _, c := range rsc.Children {
		r.indexNames(c)
	}
}

func (r *run) historyChanges(e *cib.Element, id status.ResID, n status.NodeID) {
	rsc := r.rsc(id)
	if rsc.Orphan {
		if !r.anonymousClone(r.top(id)) {
			r.cleanUp(id, n, true)
		}
		return
	}
	active := rsc.ActiveOn(n)
	if r.agentChanged(e, id, n, active) {
		r.cleanUp(id, n, true)
	}
	if !active {
		return
	}
	var ops []*cib.Element
	for op := range e.Each("lrm_rsc_op") {
		ops = append(ops, op)
	}
	status.SortOps(ops)
	start, stop := status.ActiveOps(ops)
	if start < stop {
		return
	}
	for i, op := range ops {
		if i < start {
			continue
		}
		task, ms := op.Get("operation"), historyInterval(op)
		switch {
		case ms > 0 && (rsc.Maintenance || r.s.Nodes[n].Maintenance):
			r.scheduleCancel(id, op, task, ms, n, "maintenance mode")
		case ms > 0, task == "monitor", task == "start", task == "promote", task == "migrate_from":
			if r.ev.NeedsRemoteName(id) {
				r.deferred = append(r.deferred, status.DeferredCheck{Res: id, Node: n, Op: op})
			} else if r.operationChanged(op, id, n) {
				r.clearIfFailed(id, n)
			}
		}
	}
}

func (r *run) clearIfFailed(id status.ResID, n status.NodeID) {
	if count, _ := r.ev.FailCount(id, n, true, false, nil); count != 0 {
		r.clearFailCount(id, n, "action definition changed")
	}
}

func historyInterval(op *cib.Element) uint32 {
	ms, err := strconv.ParseUint(op.Get("interval"), 10, 32)
	if err != nil {
		return 0
	}
	return uint32(ms)
}

// agentChanged restarts a resource that is now run by another agent than its history says.
func (r *run) agentChanged(e *cib.Element, id status.ResID, n status.NodeID, active bool) bool {
	c := r.rsc(id).Config
	if e.Get("type") == c.Type && e.Get("provider") == c.Provider && e.Get("class") == c.Class {
		return false
	}
	if active {
		r.action(spec{res: id, node: n, task: "stop", required: true})
		r.res[id].startPending = true
	}
	return true
}

// operationChanged plans what a change of one operation's configuration calls for, and reports whether there was one.
func (r *run) operationChanged(op *cib.Element, id status.ResID, n status.NodeID) bool {
	task, ms := op.Get("operation"), historyInterval(op)
	rsc := r.rsc(id)
	if ms > 0 {
		if status.FindOp(rsc.Config, task, ms, false) == nil {
			if r.s.Options.CancelOrphanActions {
				r.scheduleCancel(id, op, task, ms, n, "orphan")
			}
			return true
		}
	} else if task == "monitor" || task == "migrate_from" || task == "promote" {
		task = "start"
	}
	d := r.ev.CompareDigests(id, n, op)
	if r.opts.Sanitized && d.Change != status.Unchanged && d.SecureUnchanged {
		r.notices = append(r.notices, "Only 'private' parameters to "+readable(ms)+"-interval "+task+" for "+rsc.ID+" on "+
			r.s.Nodes[n].Name+" changed: "+op.Get("transition-magic"))
		return false
	}
	switch d.Change {
	case status.NeedRestart:
		r.forceRestart(id, task, ms, n)
	case status.Changed, status.Unknown:
		_, reloads := op.Lookup("op-restart-digest")
		switch {
		case ms > 0:
			r.triggerUnfencing(id, n, "Device parameters changed (reschedule)")
			a := r.action(spec{res: id, node: n, task: task, interval: ms})
			r.actions[a].flags |= reschedule
		case reloads:
			r.triggerUnfencing(id, n, "Device parameters changed (reload)")
			r.scheduleReload(id, n)
		default:
			r.forceRestart(id, task, ms, n)
		}
	default:
		return false
	}
	return true
}

func readable(ms uint32) string {
	if ms%1000 != 0 {
		return strconv.Itoa(int(ms)) + "ms"
	}
	return strconv.Itoa(int(ms/1000)) + "s"
}

func (r *run) forceRestart(id status.ResID, task string, ms uint32, n status.NodeID) {
	a := r.action(spec{res: id, node: status.NoNode, task: task, interval: ms, required: true})
	r.actions[a].because("resource definition change", true)
	r.triggerUnfencing(id, n, "Device parameters changed")
}

func (r *run) scheduleReload(id status.ResID, n status.NodeID) {
	st := &r.res[id]
	if !st.managed || st.failed {
		return
	}
	if r.rsc(id).StartPending {
		r.action(spec{res: id, node: n, task: "stop", required: true})
		return
	}
	st.reload = true
	a := r.action(spec{res: id, node: n, task: "reload-agent", required: true})
	r.actions[a].because("resource definition change", false)
	r.actionBefore(a, id, "stop", orderOptional|cancelsFirst)
	r.actionBefore(a, id, "demote", orderOptional|cancelsFirst)
}

func (r *run) scheduleCancel(id status.ResID, op *cib.Element, task string, ms uint32, n status.NodeID, reason string) {
	c := r.cancel(id, task, ms, n)
	r.actions[c].set("call-id", op.Get("call-id"))
	r.actions[c].because(reason, false)
	r.actionAfter(id, "stop", c, orderOptional)
}

// deferredChecks makes the comparisons that had to wait for the placement of containers.
func (r *run) deferredChecks() {
	checks := append(append([]status.DeferredCheck(nil), r.s.DeferredChecks...), r.deferred...)
	for _, c := range checks {
		if !c.LastFailure {
			if r.operationChanged(c.Op, c.Res, c.Node) {
				r.clearIfFailed(c.Res, c.Node)
			}
			continue
		}
		if d := r.ev.CompareDigests(c.Res, c.Node, c.Op).Change; d == status.Changed || d == status.NeedRestart {
			r.clearFailCount(c.Res, c.Node, "resource parameters have changed")
		}
	}
}
