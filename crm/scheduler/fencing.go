package scheduler

import (
	"sort"
	"strconv"
	"strings"

	"systole/crm/status"
)

// canFence is [status.Status.CanFence] for the nodes as they are known by now.
func (r *run) canFence(n status.NodeID) bool {
	node := &r.s.Nodes[n]
	if node.Kind == status.Guest {
		c := r.rsc(node.Connection).Container
		if c == status.NoRes {
			return false
		}
		for _, host := range r.rsc(c).Active {
			if !r.nodes[host].online && !r.canFence(host) {
				return false
			}
		}
		return true
	}
	switch {
	case !r.s.Options.Fencing, !r.s.HaveFencing:
		return false
	case r.s.Quorum, r.s.Options.NoQuorum == status.NoQuorumIgnore:
		return true
	case node.Kind == status.Remote && r.s.Options.FenceRemoteNoQuorum:
		return true
	}
	return r.nodes[n].online
}

// fenceNode marks a node as one that must be fenced.
func (r *run) fenceNode(n status.NodeID, reason string, priorityDelay bool) {
	node, st := &r.s.Nodes[n], &r.nodes[n]
	switch {
	case node.Kind == status.Guest:
		c := r.rsc(node.Connection).Container
		if c != status.NoRes && !r.res[c].failed && r.res[c].managed {
			st.reset = true
			r.res[c].failed, r.res[c].stopIfFailed = true, true
		}
	case node.Kind == status.Remote && node.Connection != status.NoRes && r.rsc(node.Connection).OrphanFiller &&
		r.rsc(node.Connection).Container == status.NoRes:
		r.res[node.Connection].failed, r.res[node.Connection].stopIfFailed = true, true
	case node.Kind == status.Remote:
		if node.Connection == status.NoRes || r.res[node.Connection].managed {
			st.reset = true
		}
		st.unclean = true
		r.refresh(n)
		r.fenceAction(n, "", false, reason, false)
	case !st.unclean:
		st.unclean = true
		r.refresh(n)
		r.fenceAction(n, "", false, reason, priorityDelay)
	}
}

// fenceAction finds or makes the action that fences a node; "" is the cluster's fencing action.
func (r *run) fenceAction(n status.NodeID, op string, required bool, reason string, priorityDelay bool) actionID {
	if op == "" {
		op = r.s.Options.FenceAction
	}
	node := &r.s.Nodes[n]
	key := "stonith-" + node.Name + "-" + op
	id, known := r.single[key]
	if !known {
		id = r.nodeAction(key, "stonith", n)
		a := &r.actions[id]
		a.set("on_node", node.Name)
		a.set("on_node_uuid", node.ID)
		a.set("stonith_action", op)
		if r.s.Unfencing && r.unfencingDigests(id, n) {
			required = true
		}
	}
	a := &r.actions[id]
	if r.s.Options.PriorityFencingDelay > 0 && (priorityDelay || a.extra["priority-fencing-delay"] != "") {
		a.set("priority-fencing-delay", strconv.Itoa(r.fencingDelay(n)))
	}
	if required && r.canFence(n) {
		a.flags &^= optional
		a.because(reason, false)
	} else if reason != "" {
		a.because(reason, false)
	}
	return id
}

// fencingDelay is by how many seconds a node's fencing is to be delayed, so that of two halves the one with the more
// important resources survives.
func (r *run) fencingDelay(n status.NodeID) int {
	if r.s.Nodes[n].Kind != status.Member || r.nodes[n].online {
		return 0
	}
	members, online := 0, 0
	var top, low int32
	for i := range r.s.Nodes {
		node := &r.s.Nodes[i]
		if node.Kind != status.Member {
			continue
		}
		members++
		if r.nodes[i].online {
			online++
		}
		if members == 1 {
			top, low = node.Priority, node.Priority
		}
		top, low = max(top, node.Priority), min(low, node.Priority)
	}
	if online > members/2 || low == top || r.s.Nodes[n].Priority < top {
		return 0
	}
	return int(r.s.Options.PriorityFencingDelay.Seconds())
}

// unfencingDigests notes the fingerprints of the devices that unfence, and reports whether one has changed since the node
// was unfenced.
func (r *run) unfencingDigests(id actionID, n status.NodeID) bool {
	changed := false
	var all, secure strings.Builder
	devices := r.unfencingDevices()
	for i := len(devices) - 1; i >= 0; i-- {
		d := devices[i]
		agent := r.rsc(d).Config.Type
		params := map[string]string{}
		hidden := map[string]string{}
		for k, v := range r.ev.Params(d, n) {
			params[k] = v
			switch k {
			case "passwd", "password", "user", "provides", "stonith-timeout":
			default:
				if !strings.HasPrefix(k, "pcmk_") { // these are ours, not the agent's
					hidden[k] = v
				}
			}
		}
		digest, digestSecure := status.DigestOf(params), status.DigestOf(hidden)
		key := r.rsc(d).ID + ":" + agent + ":"
		had := r.s.Nodes[n].Attributes["#digests-all"]
		if had != "" && !strings.Contains(had, key+digest) &&
			!(r.opts.Sanitized && strings.Contains(r.s.Nodes[n].Attributes["#digests-secure"], key+digestSecure)) {
			changed = true
			r.notices = append(r.notices, "notice: Unfencing node "+r.s.Nodes[n].Name+" because the definition of "+r.rsc(d).ID+" changed")
		}
		all.WriteString(key + digest + ",")
		secure.WriteString(key + digestSecure + ",")
	}
	r.actions[id].set("digests-all", all.String())
	r.actions[id].set("digests-secure", secure.String())
	return changed
}

func (r *run) unfencingDevices() []status.ResID {
	var out []status.ResID
	for _, id := range r.rootOrder {
		out = r.collectUnfencing(id, out)
	}
	return out
}

func (r *run) collectUnfencing(id status.ResID, out []status.ResID) []status.ResID {
	if kids := r.res[id].children; len(kids) > 0 {
		for _, c := range kids {
			out = r.collectUnfencing(c, out)
		}
		return out
	}
	rsc := r.rsc(id)
	if rsc.FenceDevice && (rsc.NeedsUnfencing || strings.EqualFold(rsc.Meta["provides"], "unfencing")) {
		out = append(out, id)
	}
	return out
}

func (r *run) unfenced(n status.NodeID) bool {
	v := r.s.Nodes[n].Attributes["#node-unfenced"]
	return v != "" && v != "0"
}

// triggerUnfencing has a node unfenced (or all nodes a device may serve) because of a reason.
func (r *run) triggerUnfencing(id status.ResID, n status.NodeID, reason string) {
	if !r.s.Unfencing || id != status.NoRes && !r.rsc(id).FenceDevice {
		return
	}
	usable := func(n status.NodeID) bool { return r.nodes[n].online && !r.nodes[n].unclean && !r.nodes[n].shutdown }
	if n != status.NoNode && usable(n) {
		r.fenceAction(n, "on", true, reason, false)
		return
	}
	if id == status.NoRes {
		return
	}
	for _, m := range r.allowedByName(id) {
		if usable(m) {
			r.triggerUnfencing(id, m, reason)
		}
	}
}

// orderVsUnfence has an action wait for the unfencing of its node, where the resource wants that.
func (r *run) orderVsUnfence(id status.ResID, n status.NodeID, a actionID, flags orderFlags) {
	rsc := r.rsc(id)
	if !(rsc.FenceDevice && r.s.Unfencing) && !rsc.NeedsUnfencing {
		return
	}
	r.link(r.fenceAction(n, "on", false, "", false), a, flags)
	if !r.unfenced(n) {
		r.triggerUnfencing(status.NoRes, n, "required by "+rsc.ID+" "+r.actions[a].task)
	}
}

// orderRestartVsUnfence has a resource stopped before and started after its node is unfenced.
func (r *run) orderRestartVsUnfence(id status.ResID, n status.NodeID) {
	u := r.fenceAction(n, "on", false, "", false)
	r.actionAfter(id, "stop", u, orderOptional|sameNode)
	r.actionBefore(u, id, "start", impliesThenOnNode|sameNode)
}

// fencingAndShutdowns plans the fencing of unclean nodes and the shutdown of nodes that want to leave.
func (r *run) fencingAndShutdowns() {
	managed := false
	for _, id := range r.rootOrder {
		managed = managed || r.flagDeep(id, func(s *resSheet) bool { return s.managed })
	}
	dcDown := noAction
	var fencing, shutdowns []actionID
	for _, n := range r.s.NodesByName {
		node, st := &r.s.Nodes[n], &r.nodes[n]
		if node.Kind == status.Guest {
			if st.reset && managed && r.canFence(n) {
				r.fenceGuest(n)
			}
			continue
		}
		switch {
		case st.unclean && managed && r.canFence(n):
			a := r.fenceAction(n, "", true, "node is unclean", false)
			r.orderVsFence(a)
			if node.IsDC {
				dcDown = a
			} else {
				if !r.s.Options.ConcurrentFencing && len(fencing) > 0 {
					r.link(fencing[len(fencing)-1], a, orderOptional)
				}
				fencing = append(fencing, a)
			}
		case st.online && st.shutdown && !node.IsRemote():
			a := r.shutdownAction(n)
			if node.IsDC {
				dcDown = a
			} else {
				shutdowns = append(shutdowns, a)
			}
		}
	}
	if dcDown == noAction {
		return
	}
	if r.actions[dcDown].task == "do_shutdown" {
		for i := len(shutdowns) - 1; i >= 0; i-- {
			r.link(shutdowns[i], dcDown, orderOptional)
		}
	}
	if r.s.Options.ConcurrentFencing {
		for i := len(fencing) - 1; i >= 0; i-- {
			r.link(fencing[i], dcDown, orderOptional)
		}
	} else if len(fencing) > 0 {
		r.link(fencing[len(fencing)-1], dcDown, orderOptional)
	}
}

func (r *run) shutdownAction(n status.NodeID) actionID {
	id := r.nodeAction("do_shutdown-"+r.s.Nodes[n].Name, "do_shutdown", n)
	r.actions[id].flags &^= optional
	for k := len(r.actions) - 1; k >= 0; k-- {
		a := &r.actions[k]
		if a.node != n || a.task != "stop" || r.rsc(a.res).Maintenance || r.s.Nodes[n].Maintenance ||
			!r.res[a.res].managed && !r.res[a.res].blocked {
			continue
		}
		a.flags &^= optional
		r.newOrdering(ordering{first: r.endOf(actionID(k)), then: end{res: status.NoRes, action: id}, flags: orderOptional | runnableFirst})
	}
	r.actions[id].set("op_no_wait", "true")
	return id
}

// orderVsFence orders all resources' actions around a fencing: what it implies, and what has to wait for it.
func (r *run) orderVsFence(fence actionID) {
	for _, id := range r.rootOrder {
		r.orderResourceVsFence(id, fence)
	}
}

func (r *run) orderResourceVsFence(id status.ResID, fence actionID) {
	if kids := r.res[id].children; len(kids) > 0 {
		for _, c := range kids {
			r.orderResourceVsFence(c, fence)
		}
		return
	}
	if !r.res[id].managed {
		return
	}
	r.startsVsFence(id, fence)
	r.stopsVsFence(id, fence)
}

func (r *run) knownOn(id status.ResID, n status.NodeID) bool {
	if r.rsc(id).Known.Has(n) {
		return true
	}
	p := r.parent(id)
	return r.isPrimitive(id) && r.anonymousClone(p) && r.rsc(p).Known.Has(n)
}

func (r *run) startsVsFence(id status.ResID, fence actionID) {
	target := r.actions[fence].node
	list := r.res[id].actions
	for k := len(list) - 1; k >= 0; k-- {
		a := &r.actions[list[k]]
		switch a.needs {
		case needsFencing:
			r.link(fence, list[k], orderOptional)
		case needsQuorum:
			// Not knowing whether it runs on the node that is fenced, wait until it cannot.
			if a.task == "start" && r.allowed(id)[target].present && !r.knownOn(id, target) {
				r.link(fence, list[k], orderOptional|runnableFirst)
			}
		}
	}
}

func (r *run) stopsVsFence(id status.ResID, fence actionID) {
	target := r.actions[fence].node
	rsc := r.rsc(id)
	implicit := rsc.NeedsFencing || r.s.Nodes[target].Kind == status.Guest
	stops := r.findKey(id, "stop", 0, target)
	parentStop := noAction
	if len(stops) > 0 && implicit {
		parentStop = r.findTask(r.top(id), "stop", status.NoNode)
	}
	for _, a := range stops {
		r.actions[a].flags |= pseudo | runnable
		if implicit {
			if !r.s.Bundled(id) {
				r.link(fence, a, preserved)
			}
			r.link(fence, parentStop, preserved)
		}
		if rsc.Notify {
			r.notificationsAfterFencing(a, id, fence)
		}
	}
	for _, a := range r.findKey(id, "demote", 0, target) {
		act := &r.actions[a]
		n := act.node
		if n != status.NoNode && r.nodes[n].online && !r.nodes[n].unclean && !r.res[id].failed {
			continue
		}
		act.flags |= pseudo | runnable
		if !r.s.Bundled(id) && implicit {
			r.link(fence, a, preserved|orderOptional)
		}
	}
}

// fenceGuest makes the pseudo-action that stands for a guest's being down: the recovery of its container does the fencing.
func (r *run) fenceGuest(n status.NodeID) {
	conn := r.s.Nodes[n].Connection
	container := r.rsc(conn).Container
	stop, op := noAction, "off"
	if container != status.NoRes {
		stop = r.findTask(container, "stop", status.NoNode)
		if r.findTask(container, "start", status.NoNode) != noAction {
			op = "reboot"
		}
	}
	fence := r.fenceAction(n, op, true, "guest is unclean", false)
	r.actions[fence].flags |= pseudo | runnable
	switch {
	case stop != noAction && r.actions[stop].is(pseudo):
		host := r.fenceAction(r.actions[stop].node, "", true, "", false)
		r.link(host, fence, runnableFirst|impliesThen)
	case stop != noAction:
		r.link(stop, fence, runnableFirst|impliesThen)
	default:
		if stop = r.findTask(conn, "stop", status.NoNode); stop != noAction {
			r.link(stop, fence, orderOptional)
		}
	}
	r.orderVsFence(fence)
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
