package scheduler

import (
	"maps"
	"slices"

	"systole/crm/model"
	"systole/crm/status"
)

// utilizationCounts tells whether the placement strategy looks at capacities.
func (r *run) utilizationCounts() bool { return r.s.Options.Placement != "default" }

func (r *run) consume(id status.ResID, n status.NodeID) {
	for k, v := range r.rsc(id).Utilization {
		if _, set := r.nodes[n].capacity[k]; set {
			r.nodes[n].capacity[k] -= v
		}
	}
	if r.utilizationCounts() && !r.rsc(id).Orphan {
		r.caps = append(r.caps, CapacityRecord{"pcmk__assign_resource", id, n, capacities(r.rsc(id).Utilization)})
	}
}

func (r *run) release(id status.ResID, n status.NodeID) {
	for k, v := range r.rsc(id).Utilization {
		if _, set := r.nodes[n].capacity[k]; set {
			r.nodes[n].capacity[k] += v
		}
	}
}

func (r *run) showCapacities(what string) {
	for _, n := range r.s.NodesByName {
		r.caps = append(r.caps, CapacityRecord{what, status.NoRes, n, capacities(r.nodes[n].capacity)})
	}
}

func capacities(m map[string]int) []Capacity {
	var out []Capacity
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, Capacity{k, m[k]})
	}
	return out
}

// compareCapacity says which node has more free: negative for the first.
func (r *run) compareCapacity(a, b status.NodeID) int {
	x, y := r.nodes[a].capacity, r.nodes[b].capacity
	result := 0
	for k, v := range x {
		switch w := y[k]; {
		case v > w:
			result--
		case v < w:
			result++
		}
	}
	for k, w := range y {
		if _, both := x[k]; !both {
			if w > 0 {
				result++
			} else if w < 0 {
				result--
			}
		}
	}
	return result
}

func (r *run) fits(n status.NodeID, need map[string]int) bool {
	for k, v := range need {
		if v > r.nodes[n].capacity[k] {
			return false
		}
	}
	return true
}

// banInsufficientCapacity bans a resource from nodes that cannot bear it and what must be with it (or, where none can, at
// least itself). If none can bear everything it returns the node with the most left.
func (r *run) banInsufficientCapacity(id status.ResID) status.NodeID {
	if !r.utilizationCounts() {
		return status.NoNode
	}
	set := map[status.ResID]bool{}
	together := r.colocatedWith(id, id, set, nil)
	if !set[id] {
		together = append(together, id)
	}
	need := map[string]int{}
	for _, other := range together {
		r.addUtilization(other, set, need)
	}
	t := r.allowed(id)
	able, free := false, status.NoNode
	for _, n := range r.s.NodesByName {
		if !t[n].present || t[n].score < 0 || !r.nodeUsable(n) {
			continue
		}
		able = able || r.fits(n, need)
		if free == status.NoNode || r.compareCapacity(n, free) < 0 {
			free = n
		}
	}
	if able {
		free = status.NoNode
	} else {
		need = r.rsc(id).Utilization
	}
	for i := range t {
		n := status.NodeID(i)
		if t[i].present && t[i].score >= 0 && r.nodeUsable(n) && !r.fits(n, need) {
			t[i].score = minusInfinity
			r.trace.score(id, n, minusInfinity, "not enough capacity (utilization)")
		}
	}
	return free
}

// colocatedWith collects what must be on the same node as a resource, directly or through others.
func (r *run) colocatedWith(id, origin status.ResID, seen map[status.ResID]bool, list []status.ResID) []status.ResID {
	if seen[id] {
		return list
	}
	if r.rsc(id).Kind == model.Group && (r.collocated(id) || r.isClone(r.parent(id))) {
		seen[id] = true
		list = append([]status.ResID{id}, list...)
		for _, m := range r.res[id].children {
			list = r.colocatedWith(m, origin, seen, list)
		}
		return list
	}
	seen[id] = true
	list = append([]status.ResID{id}, list...)
	for _, c := range r.thisWith(id) {
		if c.primary != origin && c.score >= infinity && r.affects(id, c.primary, c, true) == affectsLocation {
			list = r.colocatedWith(c.primary, origin, seen, list)
		}
	}
	for _, c := range r.withThis(id) {
		if c.dependent == origin || r.isClone(id) && !r.isClone(c.dependent) {
			continue
		}
		if c.score >= infinity && r.affects(c.dependent, id, c, true) == affectsLocation {
			list = r.colocatedWith(c.dependent, origin, seen, list)
		}
	}
	return list
}

// addUtilization adds what a resource that has no node yet will need.
func (r *run) addUtilization(id status.ResID, listed map[status.ResID]bool, need map[string]int) {
	st := &r.res[id]
	if !st.provisional {
		return
	}
	switch r.rsc(id).Kind {
	case model.Primitive:
		for k, v := range r.rsc(id).Utilization {
			need[k] += v
		}
	case model.Group:
		members := st.children
		if !r.collocated(id) && !r.isClone(r.parent(id)) && len(members) > 0 {
			members = members[:1]
		}
		for _, m := range members {
			if r.res[m].provisional && !listed[m] {
				r.addUtilization(m, listed, need)
			}
		}
	case model.Clone:
		for _, c := range st.children {
			if listed[c] {
				return
			}
			for _, m := range r.res[c].children {
				if listed[m] {
					return
				}
			}
		}
		if len(st.children) > 0 {
			r.addUtilization(st.children[0], listed, need)
		}
	case model.Bundle:
		if c := r.containers(id); len(c) > 0 && !listed[c[0]] {
			r.addUtilization(c[0], listed, need)
		}
	}
}

// sortForUtilization orders the resources so that those with the strongest preferences choose first.
func (r *run) sortForUtilization() {
	all := make(table, len(r.s.Nodes))
	for i := range all {
		all[i] = cell{present: true, score: r.s.Nodes[i].Score}
	}
	nodes := r.sortedNodes(all, status.NoNode)
	tables := map[status.ResID]table{}
	for _, id := range r.rootOrder {
		tables[id] = r.addColocatedScores(id, status.NoRes, nil, nil, 1, selectThisWith)
	}
	on := func(id status.ResID, n status.NodeID) int32 {
		if n == status.NoNode || !tables[id][n].present {
			return minusInfinity
		}
		return tables[id][n].score
	}
	slices.SortStableFunc(r.rootOrder, func(a, b status.ResID) int {
		higher := func(x, y int32) int {
			switch {
			case x > y:
				return -1
			case x < y:
				return 1
			}
			return 0
		}
		if c := higher(r.res[a].priority, r.res[b].priority); c != 0 {
			return c
		}
		if c := higher(on(a, r.s.CurrentNode(a)), on(b, r.s.CurrentNode(b))); c != 0 {
			return c
		}
		for _, n := range nodes {
			if c := higher(on(a, n), on(b, n)); c != 0 {
				return c
			}
		}
		return 0
	})
}

// orderByUtilization has what leaves a node leave before what comes there comes, so that capacities are never exceeded.
func (r *run) orderByUtilization(id status.ResID, nodes []status.NodeID) {
	for _, n := range r.rsc(id).Active {
		r.actionAfter(id, "stop", r.loadStopped(n), orderLoad)
	}
	for _, n := range nodes {
		load := r.loadStopped(n)
		r.actionBefore(load, id, "start", orderLoad)
		r.actionBefore(load, id, "migrate_to", orderLoad)
	}
}

func (r *run) loadStopped(n status.NodeID) actionID {
	id := r.pseudo("load_stopped_" + r.s.Nodes[n].Name)
	a := &r.actions[id]
	if a.node == status.NoNode {
		a.node = n
		a.flags &^= optional
	}
	return id
}
