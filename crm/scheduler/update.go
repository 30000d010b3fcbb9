package scheduler

import (
	"slices"
	"strings"

	"systole/crm/model"
	"systole/crm/status"
)

// changes say which side of an ordering an update has changed.
type changes uint8

const (
	changedFirst changes = 1 << iota
	changedThen
)

// update lets everything an action waits for bear on it, and it on them, until nothing changes any more.
func (r *run) update(then actionID) {
	var changed changes
	last := r.actions[then].flags
	if r.actions[then].is(requiresAny) {
		a := &r.actions[then]
		a.runnableBefore = 0
		a.requiredBefore = max(a.requiredBefore, 1)
		a.flags &^= runnable
	}
	for k := len(r.actions[then].before) - 1; k >= 0; k-- {
		changed = r.updatePair(then, k, changed)
	}
	if r.actions[then].is(requiresAny) {
		if last == r.actions[then].flags {
			changed &^= changedThen
		} else {
			changed |= changedThen
		}
	}
	if changed&changedThen == 0 {
		return
	}
	if last&runnable != 0 && !r.actions[then].is(runnable) {
		r.blockDependents(then)
	}
	r.update(then)
	for k := len(r.actions[then].after) - 1; k >= 0; k-- {
		r.update(r.actions[then].after[k].action)
	}
}

// updatePair applies one of the orderings in which the action comes second.
func (r *run) updatePair(then actionID, k int, changed changes) changes {
	l := r.actions[then].before[k]
	first := l.action
	firstNode, thenNode := r.effectiveNode(first), r.effectiveNode(then)
	if l.flags&sameNode != 0 && firstNode != status.NoNode && thenNode != status.NoNode && firstNode != thenNode {
		r.actions[then].before[k].flags = orderNone
		return changed
	}
	changed &^= changedFirst
	if r.actions[first].res != status.NoRes && l.flags&cancelsFirst != 0 && !r.actions[then].is(optional) {
		r.actions[first].flags |= optional
		if r.actions[first].task == "reload-agent" {
			r.res[r.actions[first].res].reload = false
		}
	}
	a, b := r.actions[first].res, r.actions[then].res
	if a != status.NoRes && b != status.NoRes && a != b && !r.isParent(b, a) {
		first = r.completion(first)
	}
	if first == l.action {
		firstFlags := r.flagsForOrdering(first, thenNode)
		thenFlags := r.flagsForOrdering(then, firstNode)
		changed |= r.applyFlags(first, then, firstFlags, thenFlags, k)
	} else if r.link(first, then, l.flags) {
		changed |= changedThen
		r.actions[then].before[k].flags = orderNone
	}
	if changed&changedFirst != 0 {
		for j := len(r.actions[first].after) - 1; j >= 0; j-- {
			r.update(r.actions[first].after[j].action)
		}
		r.update(first)
	}
	return changed
}

// effectiveNode is where an action happens; a group's start happens where the group will be.
func (r *run) effectiveNode(id actionID) status.NodeID {
	a := &r.actions[id]
	if a.res != status.NoRes && r.rsc(a.res).Kind == model.Group && a.task == "start" {
		return r.nextNode(a.res)
	}
	return a.node
}

// completion is what has to be waited for instead of an action of a group, clone or bundle: that all its members have done it.
func (r *run) completion(id actionID) actionID {
	a := &r.actions[id]
	if r.isPrimitive(a.res) {
		return id
	}
	keyTask := a.keyTask
	if !strings.Contains(keyTask, "notify") && a.interval == 0 {
		done := map[string]string{"start": "running", "stop": "stopped", "promote": "promoted", "demote": "demoted",
			"running": "running", "stopped": "stopped", "promoted": "promoted", "demoted": "demoted"}[keyTask]
		if done != "" {
			keyTask = done
			p := r.parent(a.res)
			if r.rsc(a.res).Notify && (p == status.NoRes || r.isClone(a.res) && r.rsc(p).Kind == model.Bundle) {
				keyTask = "confirmed-post_notify_" + done
			}
		}
	}
	if found := r.findKeyTask(a.res, keyTask); found != noAction {
		return found
	}
	return id
}

// flagsForOrdering are an action's flags as far as an ordering with an action on a node is concerned.
func (r *run) flagsForOrdering(id actionID, n status.NodeID) actionFlags {
	a := &r.actions[id]
	if a.res == status.NoRes {
		return a.flags
	}
	flags := r.flagsOf(id, status.NoNode)
	if n == status.NoNode || !r.isClone(a.res) {
		return flags
	}
	any := flags & runnable
	return r.flagsOf(id, n) | any
}

// flagsOf are an action's flags: of a group's, clone's or bundle's they follow from its members'.
func (r *run) flagsOf(id actionID, n status.NodeID) actionFlags {
	a := &r.actions[id]
	switch r.rsc(a.res).Kind {
	case model.Group:
		return r.groupFlags(id, n)
	case model.Clone:
		return r.collectiveFlags(id, r.res[a.res].children, n)
	case model.Bundle:
		return r.bundleFlags(id, n)
	}
	return a.flags
}

// memberTask is the task of a collective's members behind the collective's own: "start" for "running".
func (r *run) memberTask(collective status.ResID, keyTask string) string {
	if i := strings.Index(keyTask, "_notify_"); i >= 0 {
		keyTask = keyTask[i+len("_notify_"):]
	}
	kids := r.res[collective].children
	if len(kids) == 0 || !r.isPrimitive(kids[0]) {
		return keyTask
	}
	return atomicTask(keyTask)
}

func atomicTask(task string) string {
	switch task {
	case "running":
		return "start"
	case "stopped":
		return "stop"
	case "promoted":
		return "promote"
	case "demoted":
		return "demote"
	}
	return task
}

func (r *run) groupFlags(id actionID, n status.NodeID) actionFlags {
	of, groupTask := r.actions[id].res, r.actions[id].task
	flags := optional | runnable | pseudo
	task := atomicTask(groupTask)
	for _, m := range r.res[of].children {
		found := r.findTask(m, task, n)
		if found == noAction {
			if task != "stop" && task != "demote" {
				flags &^= runnable
			}
			continue
		}
		f := r.flagsOf(found, n)
		if flags&optional != 0 && f&optional == 0 {
			flags &^= optional
			r.actions[id].flags &^= optional
		}
		if task != groupTask && flags&runnable != 0 && f&runnable == 0 {
			flags &^= runnable
			r.actions[id].flags &^= runnable
		}
	}
	return flags
}

func (r *run) collectiveFlags(id actionID, instances []status.ResID, n status.NodeID) actionFlags {
	a := &r.actions[id]
	flags := optional | runnable | pseudo
	task := r.memberTask(a.res, a.keyTask)
	any := false
	for _, i := range instances {
		on := status.NoNode
		if r.isPrimitive(i) {
			on = n
		}
		found := r.findTask(i, task, on)
		if found == noAction {
			continue
		}
		f := r.flagsOf(found, n)
		if flags&optional != 0 && f&optional == 0 {
			flags &^= optional
			r.actions[id].flags &^= optional
		}
		any = any || f&runnable != 0
	}
	if !any {
		flags &^= runnable
		if n == status.NoNode {
			r.actions[id].flags &^= runnable
		}
	}
	return flags
}

// bundleFlags takes promotions from the bundled clone and everything else from the containers.
func (r *run) bundleFlags(id actionID, n status.NodeID) actionFlags {
	a := &r.actions[id]
	b := r.rsc(a.res).Bundle
	containers := r.containers(a.res)
	if b.Member != status.NoRes {
		task := atomicTask(a.task)
		if a.task == "notify" || a.task == "notified" {
			task = r.memberTask(a.res, a.keyTask)
		}
		if task == "promote" || task == "demote" {
			return r.collectiveFlags(id, r.res[b.Member].children, n)
		}
	}
	return r.collectiveFlags(id, containers, n)
}

// applyFlags does what one ordering's flags ask for.
func (r *run) applyFlags(first, then actionID, firstFlags, thenFlags actionFlags, k int) changes {
	var changed changes
	order := &r.actions[then].before[k]
	flags := order.flags
	n := r.actions[then].node
	res := r.actions[then].res
	if flags&impliesThenOnNode != 0 {
		flags = flags&^impliesThenOnNode | impliesThen
		order.flags = flags
		n = r.actions[first].node
	}
	has := func(f orderFlags) bool { return flags&f != 0 }
	if has(impliesThen) {
		if res != status.NoRes {
			changed |= r.updateOrdered(res, first, then, n, firstFlags&optional, optional, impliesThen)
		} else if firstFlags&optional == 0 && r.actions[then].is(optional) {
			r.actions[then].flags &^= optional
			changed |= changedThen
		}
	}
	if has(restartsThen) && res != status.NoRes {
		changed |= r.updateOrdered(res, first, then, n, firstFlags, optional|runnable, restartsThen)
	}
	if has(impliesFirst) {
		if of := r.actions[first].res; of != status.NoRes {
			changed |= r.updateOrdered(of, first, then, n, firstFlags, optional, impliesFirst)
		} else if firstFlags&optional == 0 && r.actions[first].is(runnable) {
			r.actions[first].flags &^= runnable
			changed |= changedFirst
		}
	}
	if has(promotedImpliesFirst) && res != status.NoRes {
		changed |= r.updateOrdered(res, first, then, n, firstFlags&optional, optional, promotedImpliesFirst)
	}
	if has(oneOrMore) {
		if res != status.NoRes {
			changed |= r.updateOrdered(res, first, then, n, firstFlags, runnable, oneOrMore)
		} else if firstFlags&runnable != 0 {
			a := &r.actions[then]
			a.runnableBefore++
			if a.runnableBefore >= a.requiredBefore && !a.is(runnable) {
				a.flags |= runnable
				changed |= changedThen
			}
		}
	}
	if has(probeFirst) && res != status.NoRes {
		if firstFlags&runnable == 0 && r.rsc(r.actions[first].res).IsActive() {
			r.actions[then].before[k].flags = orderNone
		} else {
			changed |= r.updateOrdered(res, first, then, n, firstFlags, runnable, runnableFirst)
		}
	}
	if has(runnableFirst) {
		if res != status.NoRes {
			changed |= r.updateOrdered(res, first, then, n, firstFlags, runnable, runnableFirst)
		} else if firstFlags&runnable == 0 && r.actions[then].is(runnable) {
			r.actions[then].flags &^= runnable
			changed |= changedThen
		}
	}
	for _, f := range []struct {
		flag   orderFlags
		filter actionFlags
	}{{impliesFirstMigratable, optional}, {pseudoFirst, optional}, {orderOptional, runnable}, {stopsThenIfStuck, runnable}} {
		if has(f.flag) && res != status.NoRes {
			changed |= r.updateOrdered(res, first, then, n, firstFlags, f.filter, f.flag)
		}
	}
	if r.actions[first].is(runnable) && has(printThen) && firstFlags&optional == 0 {
		r.actions[then].flags |= printed
	}
	if has(printFirst) && thenFlags&optional == 0 {
		r.actions[first].flags |= printed
	}
	if of := r.actions[first].res; has(impliesThen|impliesFirst|restartsThen) && of != status.NoRes && !r.res[of].managed &&
		r.res[of].blocked && !r.actions[first].is(runnable) && r.actions[first].task == "stop" && r.actions[then].is(runnable) {
		r.actions[then].flags &^= runnable
		changed |= changedThen
	}
	return changed
}

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
