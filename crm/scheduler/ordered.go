package scheduler

import (
	"slices"
	"strings"

	"systole/crm/model"
	"systole/crm/status"
)

// updateOrdered updates two ordered actions, as the kind of the resource demands.
func (r *run) updateOrdered(res status.ResID, first, then actionID, n status.NodeID, flags, filter actionFlags, order orderFlags) changes {
	switch r.rsc(res).Kind {
	case model.Group:
		return r.updateGroup(res, first, then, n, flags, filter, order)
	case model.Clone, model.Bundle:
		return r.updateCollective(first, then, n, flags, filter, order)
	}
	return r.updateSimple(first, then, flags, filter, order)
}

// clearBecause takes a flag from an action because of another, and says so.
func (r *run) clearBecause(id actionID, f actionFlags, cause actionID) {
	a, c := &r.actions[id], &r.actions[cause]
	if a.flags&f == 0 {
		return
	}
	a.flags &^= f
	if a.res == c.res {
		return
	}
	word := map[actionFlags]string{runnable: "unrunnable", migratable: "unmigrateable", optional: "required"}[f]
	if c.res != status.NoRes {
		word += " " + r.rsc(c.res).ID
	}
	a.because(word+" "+c.task, f == migratable)
}

func (r *run) updateSimple(first, then actionID, flags, filter actionFlags, order orderFlags) changes {
	a, b := &r.actions[first], &r.actions[then]
	firstWas, thenWas := a.flags, b.flags
	if order&stopsThenIfStuck != 0 {
		r.asymmetric(first, then)
	}
	if order&impliesFirst != 0 && thenWas&optional == 0 {
		if filter&optional != 0 && flags&optional == 0 && firstWas&optional != 0 {
			r.clearBecause(first, optional, then)
		}
		if flags&migratable != 0 && !b.is(migratable) {
			r.clearBecause(first, migratable, then)
		}
	}
	if order&promotedImpliesFirst != 0 && b.res != status.NoRes && r.res[b.res].role == status.RolePromoted &&
		filter&optional != 0 && !b.is(optional) {
		r.clearBecause(first, optional, then)
		if a.is(migratable) && !b.is(migratable) {
			r.clearBecause(first, migratable, then)
		}
	}
	if order&impliesFirstMigratable != 0 && filter&optional != 0 {
		if !b.is(migratable | runnable) {
			r.clearBecause(first, runnable, then)
		}
		if !b.is(optional) {
			r.clearBecause(first, optional, then)
		}
	}
	if order&pseudoFirst != 0 && filter&optional != 0 && !a.is(runnable) {
		r.clearBecause(then, migratable, first)
		b.flags &^= pseudo
	}
	if order&runnableFirst != 0 && filter&runnable != 0 && b.is(runnable) && flags&runnable == 0 {
		r.clearBecause(then, runnable, first)
		r.clearBecause(then, migratable, first)
	}
	if order&impliesThen != 0 && filter&optional != 0 && b.is(optional) && flags&optional == 0 && !a.is(migratable) {
		r.clearBecause(then, optional, first)
	}
	if order&restartsThen != 0 {
		r.restartOrdering(first, then, filter)
	}
	var changed changes
	if thenWas != b.flags {
		changed |= changedThen
		if b.res != status.NoRes && r.parent(b.res) != status.NoRes {
			r.update(then)
		}
	}
	if firstWas != r.actions[first].flags {
		changed |= changedFirst
	}
	return changed
}

// asymmetric keeps an action from running when what it is ordered after cannot, unless it has happened already.
func (r *run) asymmetric(first, then actionID) {
	a, b := &r.actions[first], &r.actions[then]
	if b.res == status.NoRes || a.is(runnable) {
		return
	}
	if b.is(optional) {
		role := r.state(b.res, true)
		if role == status.RoleStopped && b.task == "stop" {
			return
		}
		active := r.rsc(b.res).Active
		if role >= status.RoleStarted && b.task == "start" && len(active) == 1 && active[0] == b.node {
			return
		}
	}
	r.clearBecause(then, optional, first)
	r.clearBecause(then, runnable, first)
}

// restartOrdering ties the stop and the start of a restart together.
func (r *run) restartOrdering(first, then actionID, filter actionFlags) {
	a, b := &r.actions[first], &r.actions[then]
	cause := filter&optional != 0 && !b.is(optional) ||
		filter&runnable != 0 && !b.is(runnable) && r.res[b.res].managed && a.res == b.res
	if !cause {
		return
	}
	if a.is(runnable) {
		r.clearBecause(first, optional, then)
	}
	if !b.is(optional) {
		r.clearBecause(first, optional, then)
	}
	if !b.is(migratable) {
		r.clearBecause(first, migratable, then)
	}
	if !a.is(optional) && !a.is(runnable) {
		r.clearBecause(then, runnable, first)
	}
}

func (r *run) updateGroup(group status.ResID, first, then actionID, n status.NodeID, flags, filter actionFlags, order orderFlags) changes {
	changed := r.updateSimple(first, then, flags, filter, order)
	if r.actions[then].res != group {
		return changed
	}
	task := r.actions[then].task
	for _, m := range r.res[group].children {
		if found := r.findTask(m, task, n); found != noAction {
			changed |= r.updateOrdered(m, first, found, n, flags, filter, order)
		}
	}
	return changed
}

func (r *run) updateCollective(first, then actionID, n status.NodeID, flags, filter actionFlags, order orderFlags) changes {
	res := r.actions[then].res
	if res == status.NoRes {
		return 0
	}
	if r.canInterleave(first, then) {
		return r.updateInterleaved(first, then, n, filter, order)
	}
	changed := r.updateSimple(first, then, flags, filter, order)
	task := r.actions[then].task
	for _, i := range r.instancesOf(res) {
		found := r.findTask(i, task, n)
		if found == noAction || r.flagsOf(found, n)&runnable == 0 {
			continue
		}
		c := r.updateOrdered(i, first, found, n, flags, filter, order)
		if c&changedThen != 0 {
			for k := len(r.actions[found].after) - 1; k >= 0; k-- {
				r.update(r.actions[found].after[k].action)
			}
		}
		changed |= c
	}
	return changed
}

// instancesOf are a clone's instances, a bundle's containers, and nothing for other resources.
func (r *run) instancesOf(id status.ResID) []status.ResID {
	switch r.rsc(id).Kind {
	case model.Bundle:
		return r.containers(id)
	case model.Clone, model.Group:
		return r.res[id].children
	}
	return nil
}

// canInterleave tells whether two ordered actions are each other's by instance.
func (r *run) canInterleave(first, then actionID) bool {
	a, b := r.actions[first].res, r.actions[then].res
	if a == status.NoRes || b == status.NoRes || a == b || r.rsc(a).Kind < model.Clone || r.rsc(b).Kind < model.Clone {
		return false
	}
	by := b
	if k := r.actions[then].keyTask; strings.HasSuffix(k, "stop") || strings.HasSuffix(k, "demote") {
		by = a
	}
	return status.True(r.rsc(by).Meta["interleave"])
}

func (r *run) updateInterleaved(first, then actionID, n status.NodeID, filter actionFlags, order orderFlags) changes {
	var changed changes
	a, b := r.actions[first].res, r.actions[then].res
	task := r.memberTask(a, r.actions[first].keyTask)
	k := r.actions[first].keyTask
	current := strings.HasSuffix(k, "stopped") || strings.HasSuffix(k, "demoted")
	for _, i := range slices.Clone(r.instancesOf(b)) {
		partner := r.compatibleInstance(i, a, status.RoleUnknown, current)
		if partner == status.NoRes {
			if !current && order&(runnableFirst|impliesThen) != 0 && r.assign1(i, status.NoNode, true, true) {
				changed |= changedThen
			}
			continue
		}
		x := r.instanceAction(first, partner, task, n, true)
		if x == noAction {
			continue
		}
		y := r.instanceAction(then, i, r.actions[then].task, n, false)
		if y == noAction {
			continue
		}
		if r.link(x, y, order) {
			changed |= changedFirst | changedThen
		}
		changed |= r.updateOrdered(i, x, y, n, r.flagsOf(x, n), filter, order)
	}
	return changed
}

// instanceAction is the action of one instance behind a collective's. Of a bundle's replica it is that of what runs in
// the container where the service counts, and of the container where that does.
func (r *run) instanceAction(of actionID, i status.ResID, task string, n status.NodeID, first bool) actionID {
	t := r.actions[of].task
	inside := first && t != "stop" && t != "stopped" ||
		!first && (t == "promote" || t == "promoted" || t == "demote" || t == "demoted")
	if inside {
		if m := r.replicaMember(i); m != status.NoRes {
			i, n = m, status.NoNode
		}
	}
	return r.findTask(i, task, n)
}

// blockDependents keeps what must be with a resource from starting (or being promoted) when that resource cannot.
func (r *run) blockDependents(id actionID) {
	a := &r.actions[id]
	if a.is(runnable) || a.task != "start" && a.task != "promote" || a.res == status.NoRes {
		return
	}
	whole := r.top(a.res)
	if p := r.parent(whole); p != status.NoRes {
		whole = p
	}
	for _, c := range r.res[whole].children {
		found := r.findTask(c, a.task, status.NoNode)
		if found == noAction || r.actions[found].is(runnable) {
			return
		}
	}
	cause, start := a.res, a.task == "start"
	for _, c := range r.withThis(whole) {
		if c.score < infinity || !start && c.primaryRole != status.RolePromoted {
			continue
		}
		task := "start"
		if c.dependentRole == status.RolePromoted {
			task = "promote"
		}
		r.blockTask(c.dependent, task, cause)
	}
}

func (r *run) blockTask(id status.ResID, task string, cause status.ResID) {
	for _, a := range slices.Backward(r.res[id].actions) {
		act := &r.actions[a]
		if act.is(runnable) && act.task == task {
			act.flags &^= runnable
			act.because("colocation with "+r.rsc(cause).ID, false)
			r.blockDependents(a)
			r.update(a)
		}
	}
	for _, c := range r.res[id].children {
		r.blockTask(c, task, cause)
	}
}
