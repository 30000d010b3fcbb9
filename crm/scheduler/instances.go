package scheduler

import (
	"slices"

	"systole/crm/model"
	"systole/crm/status"
)

// assignInstances gives a clone's instances (or a bundle's containers) their nodes: as many as possible stay where they
// are, the others go where they are best.
func (r *run) assignInstances(collective status.ResID, instances []status.ResID, total, perNode int) {
	usable := 0
	t := r.allowed(collective)
	for i := range t {
		t[i].count = 0
		if t[i].present && r.nodeUsable(status.NodeID(i)) {
			usable++
		}
	}
	optimal := 1
	if usable > 0 {
		optimal = max(1, total/usable)
	}
	assigned := r.leaveOnLostNodes(collective, instances, perNode)
	for _, i := range instances {
		if assigned >= total {
			break
		}
		if !r.res[i].provisional {
			continue
		}
		if n := r.stayingNode(i, optimal); n != status.NoNode && r.assignEarly(collective, i, n, perNode, total-assigned) {
			assigned++
		}
	}
	for _, i := range instances {
		if !r.res[i].provisional {
			continue
		}
		if assigned >= total {
			r.ban(i, status.NoNode, "all instances are in use")
		} else if r.assignInstance(i, status.NoNode, perNode) != status.NoNode {
			assigned++
		}
	}
}

// topAllowed is the entry for a node in the table of an instance's topmost collective, nil without one.
func (r *run) topAllowed(instance status.ResID, n status.NodeID) *cell {
	top := r.parent(instance)
	if top == status.NoRes {
		top = instance
	}
	if !r.rsc(instance).ReplicaContainer {
		top = r.top(instance)
	}
	if c := &r.allowed(top)[n]; c.present {
		return c
	}
	return nil
}

// stayingNode is the node an instance is active on, if it is healthy and the node can have it still.
func (r *run) stayingNode(i status.ResID, optimal int) status.NodeID {
	if !r.rsc(i).IsActive() || !r.res[i].provisional || r.res[i].failed {
		return status.NoNode
	}
	n := r.s.CurrentNode(i)
	if n == status.NoNode || !r.nodeUsable(n) || r.s.Nodes[n].Score < 0 {
		return status.NoNode
	}
	if c := r.topAllowed(i, n); c != nil && int(c.count) >= optimal {
		return status.NoNode
	}
	return n
}

// assignEarly tries to leave an instance on its node. If it would go elsewhere, an instance is reserved for that other
// node, and the try is repeated: so the nodes get the instances they deserve, and as few as possible move.
func (r *run) assignEarly(collective, i status.ResID, current status.NodeID, perNode, available int) bool {
	if c := r.allowed(i)[current]; !c.present || c.score < 0 || !r.nodeUsable(current) {
		return false
	}
	backup := r.copyTables(i, nil)
	parent := r.allowed(collective)
	counts := make([]int32, len(parent))
	for k := range parent {
		counts[k] = parent[k].count
	}
	chosen := status.NoNode
	for reserved := 0; reserved < available; {
		mark := r.trace.mark()
		chosen = r.assignInstance(i, current, perNode)
		if chosen == current {
			break
		}
		r.restoreTables(i, backup)
		r.trace.undo(mark)
		if chosen == status.NoNode {
			r.res[i].provisional = true
			break
		}
		reserved++
		r.unassign(i)
		chosen = status.NoNode
	}
	for k := range parent {
		parent[k].count = counts[k]
	}
	if chosen == status.NoNode {
		return false
	}
	r.countInstance(i, chosen)
	return true
}

func (r *run) copyTables(id status.ResID, into []table) []table {
	into = append(into, slices.Clone(r.allowed(id)))
	for _, c := range r.res[id].children {
		into = r.copyTables(c, into)
	}
	return into
}

func (r *run) restoreTables(id status.ResID, from []table) []table {
	copy(r.allowed(id), from[0])
	from = from[1:]
	for _, c := range r.res[id].children {
		from = r.restoreTables(c, from)
	}
	return from
}

func (r *run) countInstance(i status.ResID, n status.NodeID) {
	if n == status.NoNode {
		return
	}
	if c := r.topAllowed(i, n); c != nil {
		c.count++
	}
}

func (r *run) assignInstance(i status.ResID, prefer status.NodeID, perNode int) status.NodeID {
	if r.res[i].assigning {
		return status.NoNode
	}
	r.banUnavailable(i, perNode)
	n := r.assign(i, prefer, prefer == status.NoNode)
	r.countInstance(i, n)
	return n
}

// banUnavailable bans an instance from nodes that cannot take it, or no more of its kind.
func (r *run) banUnavailable(i status.ResID, perNode int) {
	t := r.allowed(i)
	for k := range t {
		n := status.NodeID(k)
		if !t[k].present || r.canTake(i, n, perNode) {
			continue
		}
		t[k].score = minusInfinity
		r.trace.score(i, n, minusInfinity, "the node cannot take another instance")
		for _, c := range r.res[i].children {
			if cc := &r.allowed(c)[k]; cc.present {
				cc.score = minusInfinity
			}
		}
	}
}

func (r *run) canTake(i status.ResID, n status.NodeID, perNode int) bool {
	if r.rsc(i).Orphan || !r.nodeUsable(n) {
		return false
	}
	c := r.topAllowed(i, n)
	return c != nil && c.score >= 0 && int(c.count) < perNode
}

// compareInstances sorts instances into the order in which they choose their nodes.
func (r *run) compareInstances(a, b status.ResID) int {
	first := func(ok bool) int {
		if ok {
			return -1
		}
		return 1
	}
	nodeA, countA, _ := r.s.ActiveNode(a)
	nodeB, countB, _ := r.s.ActiveNode(b)
	if countA > 0 && countB > 0 && countA != countB {
		return countA - countB
	}
	allowed := func(id status.ResID, n *status.NodeID) bool {
		if *n == status.NoNode {
			return true
		}
		if c := r.allowed(id)[*n]; !c.present || c.score < 0 {
			*n = status.NoNode
			return false
		}
		return true
	}
	okA, okB := allowed(a, &nodeA), allowed(b, &nodeB)
	if okA != okB {
		return first(okA)
	}
	if p, q := r.res[a].priority, r.res[b].priority; p != q {
		return first(p > q)
	}
	switch {
	case nodeA == status.NoNode && nodeB == status.NoNode:
		return 0
	case nodeA == status.NoNode:
		return 1
	case nodeB == status.NoNode:
		return -1
	}
	if okA, okB = r.nodeUsable(nodeA), r.nodeUsable(nodeB); okA != okB {
		return first(okA)
	}
	cellA, cellB := r.topAllowed(a, nodeA), r.topAllowed(b, nodeB)
	switch {
	case cellA == nil && cellB == nil:
		return 0
	case cellA == nil:
		return 1
	case cellB == nil:
		return -1
	case cellA.count != cellB.count:
		return first(cellA.count < cellB.count)
	}
	if okA, okB = r.flagDeep(a, failed), r.flagDeep(b, failed); okA != okB {
		return first(okB)
	}
	if c := r.compareByColocation(a, nodeA, b, nodeB); c != 0 {
		return c
	}
	return r.instanceNumber(a) - r.instanceNumber(b)
}

// compareByColocation prefers the instance whose node the resources colocated with its collective like better.
func (r *run) compareByColocation(a status.ResID, nodeA status.NodeID, b status.ResID, nodeB status.NodeID) int {
	p := r.res[r.parent(a)]
	if len(p.with) == 0 && len(p.withThis) == 0 {
		return 0
	}
	x, y := r.knownColocatedScore(a, nodeA), r.knownColocatedScore(b, nodeB)
	switch {
	case x > y:
		return -1
	case x < y:
		return 1
	}
	return 0
}

// sortInstances puts a collective's instances in the order in which they are placed. Nothing is decided meanwhile, so what
// is found out about an instance holds until all are sorted.
func (r *run) sortInstances(list []status.ResID) {
	r.colocatedScores = map[resNode]int32{}
	status.MergeSort(list, r.compareInstances)
	r.colocatedScores = nil
}

// knownColocatedScore is colocatedScore, found out once while instances are sorted.
func (r *run) knownColocatedScore(i status.ResID, n status.NodeID) int32 {
	if r.colocatedScores == nil {
		return r.colocatedScore(i, n)
	}
	score, known := r.colocatedScores[resNode{i, n}]
	if !known {
		score = r.colocatedScore(i, n)
		r.colocatedScores[resNode{i, n}] = score
	}
	return score
}

// colocatedScore is the score of an instance's current node with the preferences of what is colocated with its collective.
func (r *run) colocatedScore(i status.ResID, n status.NodeID) int32 {
	t := make(table, len(r.s.Nodes))
	t[n] = cell{present: true, score: r.s.Nodes[n].Score}
	p := r.parent(i)
	for _, c := range r.res[p].with {
		t = r.addColocatedScores(c.primary, i, t, c, float32(c.score)/float32(infinity), 0)
	}
	for _, c := range r.res[p].withThis {
		if r.hasInfluence(c, i) {
			t = r.addColocatedScores(c.dependent, i, t, c, float32(c.score)/float32(infinity), selectNonnegative)
		}
	}
	return t[n].score
}

// matches tells whether an instance is (current) or will be on a node, in a role if one is given, and is not blocked.
func (r *run) matches(i status.ResID, n status.NodeID, role status.Role, current bool) bool {
	if role != status.RoleUnknown && role != r.state(i, current) || r.flagDeep(i, blocked) {
		return false
	}
	return r.location(i, current) == n && n != status.NoNode
}

// compatibleInstance is the instance of a clone (or container of a bundle) that belongs to a resource: the one on the same node.
func (r *run) compatibleInstance(with, collective status.ResID, role status.Role, current bool) status.ResID {
	instances := r.instances(collective)
	on := func(n status.NodeID) status.ResID {
		for _, i := range instances {
			if r.matches(i, n, role, current) {
				return i
			}
		}
		return status.NoRes
	}
	if n := r.location(with, current); n != status.NoNode {
		return on(n)
	}
	for _, n := range r.sortedNodes(r.allowed(with), status.NoNode) {
		if i := on(n); i != status.NoRes {
			return i
		}
	}
	return status.NoRes
}

// instances are a clone's instances or a bundle's containers.
func (r *run) instances(collective status.ResID) []status.ResID {
	if r.rsc(collective).Kind == model.Bundle {
		return r.containers(collective)
	}
	return r.res[collective].children
}
