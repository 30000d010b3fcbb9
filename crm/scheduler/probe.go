package scheduler

import (
	"slices"

	"systole/crm/model"
	"systole/crm/status"
)

// scheduleProbes plans to find out what is not known about resources on nodes.
func (r *run) scheduleProbes() {
	for _, n := range r.s.NodesByName {
		st, node := &r.nodes[n], &r.s.Nodes[n]
		if !st.online {
			if r.failedRemote(n) {
				r.fenceNode(n, "the connection is unrecoverable", false)
			}
			continue
		}
		if st.unclean || node.DiscoveryOff {
			continue
		}
		if probed, set := node.Attributes["probe_complete"]; set && !status.True(probed) {
			a := r.nodeAction("probe_complete-"+node.Name, "probe_complete", n)
			r.actions[a].flags &^= optional
			r.actions[a].set("op_no_wait", "true")
			continue
		}
		for _, id := range r.rootOrder {
			r.probe(id, n)
		}
	}
}

// probe plans the probes of a resource on a node, and reports whether there are any.
func (r *run) probe(id status.ResID, n status.NodeID) bool {
	switch r.rsc(id).Kind {
	case model.Primitive:
		return r.probePrimitive(id, n)
	case model.Clone:
		return r.probeClone(id, n)
	case model.Bundle:
		return r.probeBundle(id, n)
	}
	return r.probeAll(r.res[id].children, n)
}

func (r *run) probeAll(ids []status.ResID, n status.NodeID) bool {
	any := false
	for _, id := range ids {
		any = r.probe(id, n) || any
	}
	return any
}

// probeClone probes each instance of a unique clone, and of an anonymous one that which is known or will be on the node.
func (r *run) probeClone(id status.ResID, n status.NodeID) bool {
	slices.SortStableFunc(r.res[id].children, r.compareNumbers)
	if r.res[id].exclusive {
		if c := r.allowed(id)[n]; !c.present || c.mode != probeExclusive {
			// Not to be discovered here, so it does not matter what is: take it off the table.
			r.allowed(id)[n] = cell{}
			return false
		}
	}
	kids := r.res[id].children
	if r.rsc(id).Unique {
		return r.probeAll(kids, n)
	}
	child := status.NoRes
	if i := slices.IndexFunc(kids, func(i status.ResID) bool { return r.instanceKnown(i, n) }); i >= 0 {
		child = kids[i]
	} else if i := slices.IndexFunc(kids, func(i status.ResID) bool { return r.nextNode(i) == n }); i >= 0 {
		child = kids[i]
	} else if len(kids) > 0 {
		child = kids[0]
	}
	return child != status.NoRes && r.probe(child, n)
}

// instanceKnown tells whether the state of an instance, or of a member of it, is known on a node.
func (r *run) instanceKnown(i status.ResID, n status.NodeID) bool {
	if kids := r.res[i].children; len(kids) > 0 {
		return slices.ContainsFunc(kids, func(c status.ResID) bool { return r.instanceKnown(c, n) })
	}
	return r.rsc(i).Known.Has(n)
}

func (r *run) probeBundle(id status.ResID, n status.NodeID) bool {
	any := false
	b := r.rsc(id).Bundle
	for _, rep := range b.Replicas {
		if rep.IP != status.NoRes {
			any = r.probe(rep.IP, n) || any
		}
		if rep.Member != status.NoRes && rep.Node == n {
			any = r.probe(rep.Member, n) || any
		}
		if r.probe(rep.Container, n) {
			any = true
			// While it is not known where this container runs no other replica may start: it could be the same container.
			for _, other := range b.Replicas {
				if other.Container != rep.Container && b.PerHost == 1 {
					for _, p := range r.findKey(rep.Container, "monitor", 0, n) {
						r.actionBefore(p, other.Container, "start", orderOptional|sameNode)
					}
				}
			}
		}
		if rep.Remote != status.NoRes && r.probe(rep.Remote, n) {
			any = true
			// The connection's probe makes sense only once the container is up; where it is known to be down, nothing runs.
			for _, p := range r.findKey(rep.Remote, "monitor", 0, n) {
				r.newOrdering(ordering{first: end{res: rep.Container, task: "start", action: noAction}, then: r.endOf(p), flags: probeFirst})
			}
		}
	}
	return any
}

func (r *run) probePrimitive(id status.ResID, n status.NodeID) bool {
	rsc := r.rsc(id)
	top := r.top(id)
	node := &r.s.Nodes[n]
	if node.IsRemote() && (rsc.FenceDevice || rsc.RemoteConnection || node.Kind == status.Guest && r.guestIn(id) != status.NoRes) {
		return false
	}
	if rsc.Container != status.NoRes && !rsc.RemoteConnection || rsc.Orphan || rsc.Known.Has(n) {
		return false
	}
	allowed := r.allowed(id)[n]
	if (r.res[id].exclusive || r.res[top].exclusive) && (!allowed.present || allowed.mode != probeExclusive) {
		return false
	}
	mode := allowed.mode
	if !allowed.present && node.BundleOnly {
		mode = probeNever
	}
	if mode == probeNever {
		return false
	}
	if node.Kind == status.Guest {
		guest := r.rsc(node.Connection).Container
		if r.res[guest].role == status.RoleStopped {
			// The guest is down, so nothing runs there; but whether it is down may have to be probed.
			if at := r.res[guest].node; at != status.NoNode && !r.rsc(guest).Known.Has(at) {
				r.order(guest, "monitor", top, "start", orderOptional)
			}
			return false
		}
		if r.guestWillStop(n, guest) {
			r.order(guest, "stop", top, "start", orderOptional)
			return false
		}
	}
	p := r.action(spec{res: id, node: n, task: "monitor", required: true})
	r.actions[p].flags &^= optional
	r.orderVsUnfence(id, n, p, orderOptional)
	if !rsc.ActiveOn(n) {
		r.actions[p].set("op_target_rc", "7")
	} else if r.res[id].role == status.RolePromoted {
		r.actions[p].set("op_target_rc", "8")
	}
	if rsc.FenceDevice && r.s.Unfencing || !r.isClone(top) {
		top = id
	}
	flags := orderOptional
	if !r.actions[p].is(runnable) && !r.rsc(top).IsActive() {
		flags |= runnableFirst
	}
	r.actionBefore(p, top, "start", flags)
	r.actionBefore(p, top, "reload-agent", orderOptional)
	return true
}

func (r *run) guestWillStop(n status.NodeID, guest status.ResID) bool {
	st := &r.res[guest]
	return r.nodes[n].reset || r.nodes[n].unclean || st.failed || st.next == status.RoleStopped ||
		st.role > status.RoleStopped && st.node != status.NoNode && !r.rsc(guest).ActiveOn(st.node)
}

// orderProbes has probes done before what could disturb what they probe.
func (r *run) orderProbes() {
	for _, id := range r.rootOrder {
		r.probesBeforeRestarts(id)
	}
	r.probesBeforeStops()
}

func (r *run) probesBeforeRestarts(id status.ResID) {
	if !r.isPrimitive(id) {
		for _, c := range r.res[id].children {
			r.probesBeforeRestarts(c)
		}
		return
	}
	for _, p := range r.findKey(id, "monitor", 0, status.NoNode) {
		after := r.actions[p].after
		for k := len(after) - 1; k >= 0; k-- {
			var visited []actionID
			r.probeBeforeRestart(p, r.actions[p].after[k].action, &visited)
			for _, v := range visited {
				r.actions[v].flags &^= tracking
			}
		}
	}
}

// probeBeforeRestart follows what comes after a probe, and puts the probe before the stops (or demotes) of the restarts on the way.
func (r *run) probeBeforeRestart(probe, after actionID, visited *[]actionID) {
	a := &r.actions[after]
	if a.is(tracking) {
		return
	}
	a.flags |= tracking
	*visited = append(*visited, after)
	of := r.actions[probe].res
	if a.res != status.NoRes && r.isPrimitive(a.res) && a.res != of {
		undo := map[string]string{"start": "stop", "promote": "demote"}[a.task]
		if undo != "" {
			for _, t := range r.findKey(a.res, undo, 0, status.NoNode) {
				if !r.actions[t].is(pseudo) {
					r.link(probe, t, orderOptional)
				}
			}
		}
	}
	interleave, partner := false, status.NoRes
	if res := r.actions[after].res; res != status.NoRes && r.rsc(res).Kind > model.Group {
		interleave = status.True(r.rsc(res).Meta["interleave"])
		if interleave {
			partner = r.compatibleInstance(of, res, status.RoleUnknown, false)
		}
	}
	for k := len(r.actions[after].after) - 1; k >= 0; k-- {
		l := r.actions[after].after[k]
		if l.flags&impliesThen == 0 {
			res, next := r.actions[after].res, r.actions[l.action].res
			if res == status.NoRes || r.isPrimitive(res) || r.parent(of) == res || next == status.NoRes ||
				r.rsc(next).Kind > model.Group || res != r.parent(next) {
				continue
			}
			if r.rsc(res).Kind > model.Group && interleave && (partner == status.NoRes || partner != next) {
				continue
			}
		}
		r.probeBeforeRestart(probe, l.action, visited)
	}
}

// probesBeforeStops gives "stop this, then that" its counterpart "probe this, then that": a probe may find that a stop is needed.
func (r *run) probesBeforeStops() {
	for _, o := range r.orderings {
		if o.flags == orderNone || o.first.res == status.NoRes || o.first.res == o.then.res {
			continue
		}
		if o.first.action != noAction {
			if r.actions[o.first.action].task != "stop" {
				continue
			}
		} else if o.first.task != "stop" || o.first.interval != 0 {
			continue
		}
		if o.then.res != status.NoRes && r.rsc(o.first.res).Container == o.then.res {
			task := o.then.task
			if o.then.action != noAction {
				task = r.actions[o.then.action].task
			}
			if task == "stop" {
				continue
			}
		}
		flags := orderOptional | o.flags&(ifNotMigrating|sameNode)
		if o.flags == orderApart || o.flags == orderLoad {
			flags = o.flags
		}
		probes := r.findKey(o.first.res, "monitor", 0, status.NoNode)
		if len(probes) == 0 {
			continue
		}
		var thens []actionID
		if o.then.action != noAction {
			thens = []actionID{o.then.action}
		} else if o.then.res != status.NoRes {
			thens = r.findKey(o.then.res, o.then.task, o.then.interval, status.NoNode)
		}
		for _, p := range probes {
			for _, t := range thens {
				if r.probeFirst(p, t) {
					r.link(p, t, flags)
				}
			}
		}
	}
}

func (r *run) probeFirst(probe, then actionID) bool {
	p, t := &r.actions[probe], &r.actions[then]
	same := p.node == t.node && p.node != status.NoNode
	if t.task == "stonith" && same && t.metaValue("stonith_action") == "on" {
		return false // probes come after unfencing
	}
	return t.task != "do_shutdown" || p.node == status.NoNode || t.node == status.NoNode || same
}
