package scheduler

import (
	"slices"
	"strings"

	"systole/crm/model"
	"systole/crm/status"
)

// assignResources chooses a node for every resource: connections to remote nodes first, because what runs behind them
// depends on them, then all others by priority.
func (r *run) assignResources() {
	if r.utilizationCounts() {
		r.sortForUtilization()
		r.showCapacities("Original")
	}
	if r.s.HaveRemotes {
		for _, id := range r.rootOrder {
			if r.rsc(id).RemoteConnection {
				r.assign(id, r.res[id].partialTarget, true)
			}
		}
	}
	for _, id := range r.rootOrder {
		if !r.rsc(id).RemoteConnection {
			r.assign(id, status.NoNode, true)
		}
	}
	if r.utilizationCounts() {
		r.showCapacities("Remaining")
	}
}

// assign chooses a node for a resource, preferring one if all else is equal; it returns the node of what stands on one. A
// resource that finds none is stopped only if stopIfFail is set: an early try may be repeated.
func (r *run) assign(id status.ResID, prefer status.NodeID, stopIfFail bool) status.NodeID {
	switch r.rsc(id).Kind {
	case model.Group:
		return r.assignGroup(id, prefer, stopIfFail)
	case model.Clone:
		r.assignClone(id, prefer, stopIfFail)
		return status.NoNode
	case model.Bundle:
		r.assignBundle(id, prefer, stopIfFail)
		return status.NoNode
	}
	return r.assignPrimitive(id, prefer, stopIfFail)
}

func (r *run) assignPrimitive(id status.ResID, prefer status.NodeID, stopIfFail bool) status.NodeID {
	st := &r.res[id]
	if p := r.parent(id); p != status.NoRes && !r.res[p].assigning {
		r.assign(p, prefer, stopIfFail)
	}
	if !st.provisional {
		return st.node
	}
	if st.assigning {
		return status.NoNode // colocations go round in a circle
	}
	st.assigning = true
	r.applyColocations(id)
	rsc := r.rsc(id)
	switch {
	case st.next == status.RoleStopped:
		r.ban(id, status.NoNode, "target-role")
	case st.next > st.role && !r.s.Quorum && r.s.Options.NoQuorum == status.NoQuorumFreeze:
		r.setNext(id, st.role, "no-quorum-policy=freeze")
	}
	r.show(id, "pcmk__primitive_assign")
	if r.s.Options.Fencing && !r.s.HaveFencing {
		st.managed = false // fencing is wanted and impossible: nothing is touched
		r.colocVersion++
	}
	switch {
	case !st.managed:
		r.setNext(id, st.role, "unmanaged")
		r.assign1(id, r.s.CurrentNode(id), true, stopIfFail)
	case r.s.Options.StopAll:
		r.assign1(id, status.NoNode, true, true)
	default:
		r.assignBest(id, prefer, stopIfFail)
	}
	st.assigning = false
	if rsc.RemoteConnection {
		r.connectionAssigned(id)
	}
	return st.node
}

// applyColocations adjusts the scores of a primitive for its colocations: what it must obey first, then what it prefers.
func (r *run) applyColocations(id status.ResID) {
	with, withThis := r.thisWith(id), r.withThis(id)
	for _, mandatory := range []bool{true, false} {
		for _, c := range with {
			if c.mandatory() == mandatory {
				r.applyThisWith(c, id)
			}
		}
		for _, c := range withThis {
			if c.mandatory() == mandatory {
				r.addDependentScores(c, id)
			}
		}
	}
}

// applyThisWith applies a colocation to its dependent, after placing the primary. What leaves no node is taken back, unless it is mandatory.
func (r *run) applyThisWith(c *colocation, id status.ResID) {
	var archive table
	if c.dependentRole >= status.RolePromoted || c.score < 0 && c.score > minusInfinity {
		archive = slices.Clone(r.allowed(id))
	}
	if r.res[c.primary].provisional {
		r.assign(c.primary, status.NoNode, true)
	}
	mark := r.trace.mark()
	r.applyColocation(id, c.primary, c)
	if archive != nil && !r.anyUsable(r.allowed(id)) {
		copy(r.allowed(id), archive)
		r.trace.undo(mark)
	}
}

// assignBest gives a resource its best node.
func (r *run) assignBest(id status.ResID, prefer status.NodeID, stopIfFail bool) {
	st := &r.res[id]
	if free := r.banInsufficientCapacity(id); prefer == status.NoNode {
		prefer = free
	}
	if !st.provisional {
		return
	}
	t := r.allowed(id)
	nodes := r.sortedNodes(t, r.s.CurrentNode(id))
	chosen := status.NoNode
	if len(nodes) > 0 {
		best := nodes[0]
		if prefer != status.NoNode && t[prefer].present && t[prefer].score >= 0 && t[prefer].score >= t[best].score && r.nodeUsable(prefer) {
			chosen = prefer
		} else {
			chosen = r.bestOrCurrent(id, t, nodes)
		}
	}
	r.assign1(id, chosen, false, stopIfFail)
}

// bestOrCurrent is the best node, or the one the resource is on if that is just as good. (Instances of unique clones have
// had their chance to stay by now.)
func (r *run) bestOrCurrent(id status.ResID, t table, nodes []status.NodeID) status.NodeID {
	best := nodes[0]
	if p := r.parent(id); r.isClone(p) && r.rsc(p).Unique || t[best].score <= 0 || !r.nodeUsable(best) {
		return best
	}
	current := r.s.CurrentNode(id)
	if current == status.NoNode || !r.nodeUsable(current) || r.s.Nodes[current].Score < 0 {
		return best
	}
	for _, n := range nodes[1:] {
		if t[n].score != t[best].score {
			break
		}
		if n == current {
			return n
		}
	}
	return best
}

// sortedNodes are the nodes of a table, best first: by score, free capacity, how little runs there, name.
func (r *run) sortedNodes(t table, active status.NodeID) []status.NodeID {
	nodes := make([]status.NodeID, 0, len(t))
	for _, n := range r.s.NodesByName {
		if t[n].present {
			nodes = append(nodes, n)
		}
	}
	strategy := r.s.Options.Placement
	effective := func(n status.NodeID) int32 {
		if !r.nodeUsable(n) {
			return minusInfinity
		}
		return t[n].score
	}
	slices.SortStableFunc(nodes, func(a, b status.NodeID) int {
		x, y := effective(a), effective(b)
		if x != y {
			if x > y {
				return -1
			}
			return 1
		}
		if strategy == "minimal" {
			return 0
		}
		if strategy == "balanced" {
			if c := r.compareCapacity(a, b); c != 0 {
				return c
			}
		}
		if p, q := r.nodes[a].count, r.nodes[b].count; p != q {
			return p - q
		}
		switch active {
		case a:
			return -1
		case b:
			return 1
		}
		return 0
	})
	return nodes
}

// assign1 writes down a resource's node, or that it has none. It reports whether that changed anything.
func (r *run) assign1(id status.ResID, n status.NodeID, force, stopIfFail bool) bool {
	st := &r.res[id]
	if len(st.children) > 0 {
		changed := false
		for _, c := range st.children {
			changed = r.assign1(c, n, force, stopIfFail) || changed
		}
		return changed
	}
	if !force && n != status.NoNode && (r.allowed(id)[n].score < 0 || !r.nodeUsable(n) && r.s.Nodes[n].Kind != status.Guest) {
		// A guest that is not up yet will be.
		if stopIfFail {
			r.setNext(id, status.RoleStopped, "node availability")
		}
		n = status.NoNode
	}
	changed := st.node != n
	r.unassign(id)
	st.provisional = false
	if n == status.NoNode {
		if stopIfFail {
			r.setNext(id, status.RoleStopped, "unable to assign")
			r.nowhereActions(id)
		}
		return changed
	}
	st.node = n
	r.nodes[n].count++
	r.consume(id, n)
	return changed
}

// unassign takes a resource's node back.
func (r *run) unassign(id status.ResID) {
	st := &r.res[id]
	st.provisional = true
	if len(st.children) > 0 {
		for _, c := range st.children {
			r.unassign(c)
		}
		return
	}
	if st.node == status.NoNode {
		return
	}
	r.nodes[st.node].count--
	r.release(id, st.node)
	st.node = status.NoNode
}

// connectionAssigned makes a remote node usable when its connection has a place, and going when it has none.
func (r *run) connectionAssigned(id status.ResID) {
	n, ok := r.s.Node(r.rsc(id).ID)
	if !ok {
		return
	}
	st := &r.nodes[n.Index]
	if r.res[id].node != status.NoNode && r.res[id].next != status.RoleStopped {
		st.online = true
		if st.unseen {
			st.unclean = false // connecting will tell; no need to fence
		}
	} else {
		st.shutdown = true
	}
	r.refresh(n.Index)
}

func (r *run) assignGroup(id status.ResID, prefer status.NodeID, stopIfFail bool) status.NodeID {
	st := &r.res[id]
	if !st.provisional {
		return st.node
	}
	if st.assigning {
		return status.NoNode
	}
	if len(st.children) == 0 {
		st.provisional = false
		return status.NoNode
	}
	st.assigning = true
	first := st.children[0]
	st.role = r.res[first].role
	r.show(id, "pcmk__group_assign")
	node := status.NoNode
	for _, m := range st.children {
		n := r.assign(m, prefer, stopIfFail)
		if node == status.NoNode {
			node = n
		}
	}
	r.setNext(id, r.res[first].next, "first group member")
	st.assigning, st.provisional = false, false
	if !r.collocated(id) {
		return status.NoNode
	}
	return node
}

func (r *run) assignClone(id status.ResID, prefer status.NodeID, stopIfFail bool) {
	st := &r.res[id]
	if !st.provisional || st.assigning {
		return
	}
	if r.rsc(id).Promotable {
		r.addPromotionScores(id)
	}
	st.assigning = true
	for _, c := range r.thisWith(id) {
		r.assign(c.primary, prefer, stopIfFail)
	}
	for _, c := range r.withThis(id) {
		r.addDependentScores(c, id)
	}
	r.show(id, "pcmk__clone_assign")
	r.sortInstances(st.children)
	clone := r.rsc(id).Clone
	r.assignInstances(id, st.children, clone.Max, clone.NodeMax)
	if r.rsc(id).Promotable {
		r.setInstanceRoles(id)
	}
	st.provisional, st.assigning = false, false
}

func (r *run) assignBundle(id status.ResID, prefer status.NodeID, stopIfFail bool) {
	st := &r.res[id]
	if st.assigning {
		return
	}
	r.show(id, "pcmk__bundle_assign")
	if !st.provisional {
		return
	}
	st.assigning = true
	b := r.rsc(id).Bundle
	containers := r.containers(id)
	r.sortInstances(containers)
	r.assignInstances(id, containers, len(b.Replicas), b.PerHost)
	for _, rep := range b.Replicas {
		r.assignReplica(rep, prefer, stopIfFail)
	}
	if b.Member != status.NoRes {
		t := r.allowed(b.Member)
		for i := range t {
			if t[i].present {
				t[i].score = minusInfinity
			}
		}
		for _, rep := range b.Replicas {
			if t[rep.Node].present {
				t[rep.Node].score = 0
			}
		}
		r.assign(b.Member, prefer, stopIfFail)
	}
	st.provisional, st.assigning = false, false
}

func (r *run) containers(bundle status.ResID) []status.ResID {
	var out []status.ResID
	for _, rep := range r.rsc(bundle).Bundle.Replicas {
		out = append(out, rep.Container)
	}
	return out
}

func (r *run) assignReplica(rep status.Replica, prefer status.NodeID, stopIfFail bool) {
	if rep.IP != status.NoRes {
		r.assign(rep.IP, prefer, stopIfFail)
	}
	if rep.Remote != status.NoRes {
		if host := r.res[rep.Container].node; host != status.NoNode && r.s.Nodes[host].IsRemote() {
			// Only one connection to a remote executor is possible at a time, so both must come from the same node.
			r.colocate(colocation{id: "one connection at a time", score: infinity, dependent: rep.Remote,
				primary: r.s.Nodes[host].Connection, influence: true})
		}
		r.assign(rep.Remote, prefer, stopIfFail)
	}
	if rep.Member == status.NoRes {
		return
	}
	t := r.allowed(rep.Member)
	for i := range t {
		switch {
		case !t[i].present:
		case status.NodeID(i) != rep.Node:
			t[i].score = minusInfinity
		case !r.thresholdReached(rep.Member, rep.Node):
			t[i].score = infinity
		}
	}
	clone := r.parent(rep.Member)
	r.res[clone].assigning = true
	r.assign(rep.Member, rep.Node, stopIfFail)
	r.res[clone].assigning = false
}

func (r *run) thresholdReached(id status.ResID, n status.NodeID) bool {
	rsc := r.rsc(id)
	if rsc.MigrationThreshold == 0 || rsc.FailureIgnored {
		return false
	}
	count, _ := r.ev.FailCount(id, n, true, true, nil)
	return count > 0 && rsc.MigrationThreshold <= count
}

func (r *run) compareNumbers(a, b status.ResID) int { return r.instanceNumber(a) - r.instanceNumber(b) }

// instanceNumber is the number at the end of an instance's or replica's name.
func (r *run) instanceNumber(id status.ResID) int {
	name := r.rsc(id).ID
	i := strings.LastIndexByte(name, ':')
	if i < 0 {
		i = strings.LastIndexByte(name, '-')
	}
	n := 0
	for _, c := range name[i+1:] {
		if c < '0' || c > '9' {
			break
		}
		n = n*10 + int(c-'0')
	}
	return n
}
