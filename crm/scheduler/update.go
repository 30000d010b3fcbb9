package scheduler

import (
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
