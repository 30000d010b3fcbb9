package scheduler

import "systole/crm/status"

// notification holds the pseudo-actions around one task of a clone that notifies its instances.
type notification struct {
	task                         string
	pre, preDone, post, postDone actionID
}

// notifications are those of a clone, by task.
type notifications struct {
	start, stop, promote, demote *notification
}

// cloneNotifications makes the notifications around a clone's start and stop.
func (r *run) cloneNotifications(id status.ResID, start, started, stop, stopped actionID) {
	n := r.notificationsOf(id)
	if n.start == nil {
		n.start = r.notify(id, "start", start, started)
	}
	if n.stop == nil {
		n.stop = r.notify(id, "stop", stop, stopped)
		if n.start != nil && n.stop != nil {
			r.link(n.stop.postDone, n.start.pre, orderOptional)
		}
	}
}

func (r *run) notificationsOf(id status.ResID) *notifications {
	st := &r.res[id]
	if st.notify == nil {
		st.notify = &notifications{}
	}
	return st.notify
}

// promotableNotifications makes a promotable clone's pseudo-actions and the notifications around them.
func (r *run) promotableNotifications(id status.ResID, promoting, demoting bool) {
	n := r.notificationsOf(id)
	promote := r.resourcePseudo(id, "promote", promoting, true)
	promoted := r.resourcePseudo(id, "promoted", promoting, true)
	r.actions[promoted].priority = infinity
	if n.promote == nil {
		n.promote = r.notify(id, "promote", promote, promoted)
		if n.promote != nil {
			r.link(n.start.postDone, n.promote.pre, orderOptional)
			r.link(n.stop.postDone, n.promote.pre, orderOptional)
		}
	}
	demote := r.resourcePseudo(id, "demote", demoting, true)
	demoted := r.resourcePseudo(id, "demoted", demoting, true)
	r.actions[demoted].priority = infinity
	if n.demote == nil {
		n.demote = r.notify(id, "demote", demote, demoted)
		if n.demote != nil {
			r.link(n.demote.postDone, n.promote.pre, orderOptional)
			r.link(n.demote.postDone, n.start.pre, orderOptional)
			r.link(n.demote.postDone, n.stop.pre, orderOptional)
		}
	}
}

// notify makes the pseudo-actions before an action (unless there is none) and after its completion; nil if the resource
// does not notify.
func (r *run) notify(id status.ResID, task string, action, complete actionID) *notification {
	if !r.rsc(id).Notify {
		return nil
	}
	n := &notification{task: task, pre: noAction, preDone: noAction}
	if action != noAction {
		n.pre = r.notifyPseudo(id, "notify", "pre", action, task)
		r.actions[n.pre].flags |= runnable
		n.preDone = r.notifyPseudo(id, "notified", "confirmed-pre", action, task)
		r.actions[n.preDone].flags |= runnable
		r.link(n.pre, n.preDone, orderOptional)
		r.link(n.preDone, action, orderOptional)
	}
	n.post = r.notifyPseudo(id, "notify", "post", complete, task)
	n.postDone = r.notifyPseudo(id, "notified", "confirmed-post", complete, task)
	for _, a := range []actionID{n.post, n.postDone} {
		r.actions[a].priority = infinity
		if r.actions[complete].is(runnable) {
			r.actions[a].flags |= runnable
		} else {
			r.actions[a].flags &^= runnable
		}
	}
	r.link(complete, n.post, impliesThen)
	r.link(n.post, n.postDone, impliesThen)
	if action != noAction {
		r.link(n.preDone, n.post, orderOptional)
	}
	return n
}

func (r *run) notifyPseudo(id status.ResID, task, kind string, of actionID, operation string) actionID {
	a := r.action(spec{res: id, node: status.NoNode, task: task, keyTask: kind + "_notify_" + r.actions[of].task,
		required: !r.actions[of].is(optional)})
	act := &r.actions[a]
	act.flags |= pseudo
	act.set("notify_key_type", kind)
	act.set("notify_key_operation", r.actions[of].task)
	side := "pre"
	if kind == "post" || kind == "confirmed-post" {
		side = "post"
	}
	act.set("notify_type", side)
	act.set("notify_operation", operation)
	return a
}
