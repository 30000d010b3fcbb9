package scheduler

import (
	"cmp"
	"slices"
	"strings"

	"systole/crm/status"
)

// notifyData is what agents are told in notifications around one task of a clone.
type notifyData struct {
	*notification
	active, inactive, promoted, unpromoted  []notifyEntry
	starting, stopping, promoting, demoting []notifyEntry
	values                                  [][2]string
}

// notifyEntry is an instance and where it is active or acted upon.
type notifyEntry struct {
	res  status.ResID
	node status.NodeID
}

// createNotifications makes the notify actions of a clone's instances.
func (r *run) createNotifications(clone status.ResID) {
	n := r.res[clone].notify
	if n == nil {
		return
	}
	for _, kind := range []*notification{n.start, n.stop, n.promote, n.demote} {
		if kind == nil {
			continue
		}
		d := &notifyData{notification: kind}
		r.collectNotifyData(clone, true, d)
		r.notifyValues(clone, d)
		r.notifyInstances(clone, d)
	}
}

// notificationsAfterFencing tells the other instances of a clone that one has stopped because its node was fenced.
func (r *run) notificationsAfterFencing(stop actionID, id status.ResID, fence actionID) {
	n := r.notify(id, "stop", noAction, fence)
	if n == nil {
		return
	}
	d := &notifyData{notification: n}
	r.collectNotifyData(id, false, d)
	d.add("notify_stop_resource", r.rsc(id).ID)
	d.add("notify_stop_uname", r.s.Nodes[r.actions[stop].node].Name)
	r.notifyInstances(r.top(id), d)
}

func (d *notifyData) add(name, value string) { d.values = append(d.values, [2]string{name, value}) }

func (r *run) collectNotifyData(id status.ResID, activity bool, d *notifyData) {
	if kids := r.res[id].children; len(kids) > 0 {
		for _, c := range kids {
			r.collectNotifyData(c, activity, d)
		}
		return
	}
	e := notifyEntry{id, status.NoNode}
	if on := r.rsc(id).Active; len(on) > 0 {
		e.node = on[0]
	}
	switch r.res[id].role {
	case status.RoleStopped:
		d.inactive = append(d.inactive, e)
	case status.RoleStarted:
		d.active = append(d.active, e)
	case status.RoleUnpromoted:
		d.unpromoted = append(d.unpromoted, e)
		d.active = append(d.active, e)
	case status.RolePromoted:
		d.promoted = append(d.promoted, e)
		d.active = append(d.active, e)
	}
	if !activity {
		return
	}
	for _, k := range r.res[id].actions {
		a := &r.actions[k]
		if a.is(optional) || a.node == status.NoNode {
			continue
		}
		if !(a.task == "stop" && r.nodes[a.node].unclean) && !a.is(runnable) {
			continue
		}
		e := notifyEntry{id, a.node}
		switch a.task {
		case "start":
			d.starting = append(d.starting, e)
		case "stop":
			d.stopping = append(d.stopping, e)
		case "promote":
			d.promoting = append(d.promoting, e)
		case "demote":
			d.demoting = append(d.demoting, e)
		}
	}
}

// notifyValues are what every notification tells; a notification is required if its own task happens.
func (r *run) notifyValues(clone status.ResID, d *notifyData) {
	for _, list := range []struct {
		names   []string
		entries []notifyEntry
	}{
		{[]string{"stop"}, d.stopping}, {[]string{"start"}, d.starting}, {[]string{"demote"}, d.demoting}, {[]string{"promote"}, d.promoting},
		{[]string{"active"}, d.active}, {[]string{"unpromoted", "slave"}, d.unpromoted}, {[]string{"promoted", "master"}, d.promoted},
	} {
		resources, nodes := r.notifyNames(list.entries, true)
		for _, name := range list.names {
			d.add("notify_"+name+"_resource", resources)
			d.add("notify_"+name+"_uname", nodes)
		}
		if len(list.entries) > 0 && list.names[0] == d.task {
			for _, a := range []actionID{d.pre, d.preDone, d.post, d.postDone} {
				r.actions[a].flags &^= optional
			}
		}
	}
	inactive, _ := r.notifyNames(d.inactive, false)
	d.add("notify_inactive_resource", inactive)

	var available, all, hosts []string
	t := r.allowed(clone)
	for _, n := range r.s.NodesByName {
		name := r.s.Nodes[n].Name
		all = append(all, name)
		hosts = append(hosts, r.hostName(n))
		if t[n].present {
			available = append(available, name)
		}
	}
	d.add("notify_available_uname", words(available))
	if r.rsc(clone).Meta["container-attribute-target"] == "host" {
		d.add("notify_all_hosts", words(hosts))
	}
	d.add("notify_all_uname", words(all))
}

// hostName is a node's name or, of a guest whose container is active, its host's.
func (r *run) hostName(n status.NodeID) string {
	if node := &r.s.Nodes[n]; node.Kind == status.Guest {
		if host := r.s.CurrentNode(r.rsc(node.Connection).Container); host != status.NoNode {
			n = host
		}
	}
	return r.s.Nodes[n].Name
}

// words joins names; agents expect a blank for none.
func words(names []string) string {
	if len(names) == 0 {
		return " "
	}
	return strings.Join(names, " ")
}

func (r *run) notifyNames(entries []notifyEntry, placed bool) (resources, nodes string) {
	slices.SortStableFunc(entries, func(a, b notifyEntry) int {
		if c := strings.Compare(r.rsc(a.res).ID, r.rsc(b.res).ID); c != 0 {
			return c
		}
		if a.node == status.NoNode || b.node == status.NoNode {
			return cmp.Compare(b.node, a.node)
		}
		return strings.Compare(r.s.Nodes[a.node].ID, r.s.Nodes[b.node].ID)
	})
	var names, places []string
	last := status.NoRes
	for _, e := range entries {
		if placed && e.node == status.NoNode || e.res == last {
			continue
		}
		last = e.res
		names = append(names, r.rsc(e.res).ID)
		if placed {
			places = append(places, r.s.Nodes[e.node].Name)
		}
	}
	return words(names), words(places)
}

// notifyInstances tells the actions of a clone's instances what notifications tell, and makes the notify actions.
func (r *run) notifyInstances(id status.ResID, d *notifyData) {
	if kids := r.res[id].children; len(kids) > 0 {
		for _, c := range kids {
			r.notifyInstances(c, d)
		}
		return
	}
	st := &r.res[id]
	for _, k := range st.actions {
		a := &r.actions[k]
		if a.is(optional) || a.node == status.NoNode {
			continue
		}
		switch a.task {
		case "start", "stop", "promote", "demote":
			r.setAll(k, d.values)
		}
	}
	switch {
	case d.task == "start" && len(d.starting) == 0,
		d.task == "promote" && len(d.promoting) == 0,
		d.task == "demote" && len(d.demoting) == 0:
		return
	case d.task == "stop" || d.task == "demote":
		if st.role != status.RoleStopped {
			r.notifyStop(id, d)
		}
	case st.next != status.RoleStopped:
		r.notifyStart(id, d)
	}
}

func (r *run) setAll(a actionID, values [][2]string) {
	for _, v := range values {
		r.actions[a].set(v[0], v[1])
	}
}

func (r *run) notifyStop(id status.ResID, d *notifyData) {
	stop := r.firstTask(id, "stop")
	for _, n := range r.rsc(id).Active {
		if stop != nil && stop.is(pseudo) && (r.nodes[n].unclean || r.nodes[n].reset) {
			continue // nobody is there any more to be told
		}
		r.notifyAction(id, n, d.pre, d.preDone, d)
		if d.task == "demote" || stop == nil || stop.is(optional) {
			r.postNotifyAction(id, n, d)
		}
	}
}

func (r *run) notifyStart(id status.ResID, d *notifyData) {
	start := r.firstTask(id, "start")
	if start != nil && start.node != status.NoNode && r.s.Nodes[start.node].Connection != status.NoRes {
		connect := r.firstTask(r.s.Nodes[start.node].Connection, "start")
		if connect != nil && !connect.is(runnable) {
			return
		}
	}
	n := r.res[id].node
	if n == status.NoNode {
		return
	}
	if d.task != "start" || start == nil || start.is(optional) {
		r.notifyAction(id, n, d.pre, d.preDone, d)
	}
	r.postNotifyAction(id, n, d)
}

// firstTask is a resource's first action with a task, nil without one.
func (r *run) firstTask(id status.ResID, task string) *action {
	for _, k := range r.res[id].actions {
		if r.actions[k].task == task {
			return &r.actions[k]
		}
	}
	return nil
}

// notifyAction makes one instance's notify action between a notification's pseudo-actions; noAction if there is none to make.
func (r *run) notifyAction(id status.ResID, n status.NodeID, of, done actionID, d *notifyData) actionID {
	if of == noAction || done == noAction || !r.nodes[n].online || !r.actions[of].is(runnable) {
		return noAction
	}
	kind, task := r.actions[of].metaValue("notify_type"), r.actions[of].metaValue("notify_operation")
	k := r.action(spec{res: id, node: n, task: r.actions[of].task, keyTask: kind + "_notify_" + task, required: !r.actions[of].is(optional)})
	a, pseudo := &r.actions[k], &r.actions[of]
	for name, value := range pseudo.meta.Values {
		if a.metaValue(name) == "" {
			a.set(name, value)
		}
	}
	for name, value := range pseudo.extra {
		if a.metaValue(name) == "" {
			a.set(name, value)
		}
	}
	r.setAll(k, d.values)
	r.link(of, k, orderOptional)
	r.link(k, done, orderOptional)
	return k
}

// postNotifyAction makes an instance's notify action after a task; recurring operations wait until all have been told.
func (r *run) postNotifyAction(id status.ResID, n status.NodeID, d *notifyData) {
	if a := r.notifyAction(id, n, d.post, d.postDone, d); a != noAction {
		r.actions[a].priority = infinity
	}
	if d.postDone == noAction {
		return
	}
	for _, k := range r.res[id].actions {
		if r.actions[k].interval > 0 && r.actions[k].task != "cancel" {
			r.link(d.postDone, k, orderOptional)
		}
	}
}
