package scheduler

import (
	"slices"

	"systole/crm/model"
	"systole/crm/status"
)

// unusable marks a node in a table of colocated scores that must not be considered.
const unusable = minusInfinity * 100

// selection narrows which colocations' scores are added.
type selection uint8

const (
	selectNonnegative selection = 1 << iota // only what helps
	selectActive                            // only as long as a node is left
	selectThisWith                          // follow the resource's own dependencies instead of its dependents
)

// addColocatedScores adds to a table, attenuated by a factor, the preferences of a resource and of those colocated with it in
// turn. A nil table starts with the resource's own scores. It returns the new table.
func (r *run) addColocatedScores(source, target status.ResID, nodes table, c *colocation, factor float32, sel selection) table {
	st := &r.res[source]
	if st.merging {
		return nodes
	}
	if r.rsc(source).Kind == model.Group {
		if len(st.children) == 0 {
			return nodes
		}
		st.merging = true
		member := st.children[0]
		if nodes == nil {
			member = st.children[len(st.children)-1]
		}
		nodes = r.addColocatedScores(member, target, nodes, c, factor, sel)
		r.res[source].merging = false
		return nodes
	}
	if factor == 0 && nodes != nil {
		// So far away that the factor has become nothing: no preference from here or further on counts any more.
		if sel&selectNonnegative == 0 || sel&selectActive != 0 && !r.anyUsable(nodes) {
			return nodes
		}
		return allowUnusable(r.copyTable(nodes))
	}
	st.merging = true
	defer func() { r.res[source].merging = false }()
	var work table
	mark := r.trace.mark()
	ours := nodes == nil // whether work may be written
	if nodes == nil {
		work = slices.Clone(r.allowed(source))
		target = source
	} else {
		work, ours = r.addMatchingScores(nodes, source, target, c, factor, sel&selectNonnegative != 0)
	}
	if r.anyUsable(work) {
		list := r.withThis(source)
		if sel&selectThisWith != 0 {
			list = r.thisWith(source)
		}
		sel |= selectActive
		for _, next := range list {
			other := next.dependent
			if sel&selectThisWith != 0 {
				other = next.primary
			} else if !r.hasInfluence(next, status.NoRes) {
				continue
			}
			more := r.addColocatedScores(other, target, work, next, factor*float32(next.score)/float32(infinity), sel)
			if len(work) > 0 && &more[0] != &work[0] {
				if ours {
					r.spare = append(r.spare, work)
				}
				work, ours = more, true
			}
		}
	} else if sel&selectActive != 0 {
		r.trace.undo(mark)
		if ours && nodes != nil {
			r.spare = append(r.spare, work)
		}
		return nodes
	}
	if sel&selectNonnegative != 0 && hasUnusable(work) {
		if !ours {
			work = r.copyTable(work)
		}
		allowUnusable(work)
	}
	return work
}

// copyTable copies a table, into one that is no longer used if there is one: chains of colocations need very many for
// a moment only.
func (r *run) copyTable(t table) table {
	last := len(r.spare) - 1
	if last < 0 {
		return slices.Clone(t)
	}
	c := r.spare[last]
	r.spare = r.spare[:last]
	copy(c, t)
	return c
}

func hasUnusable(t table) bool {
	return slices.ContainsFunc(t, func(c cell) bool { return c.score == unusable })
}

// allowUnusable gives the nodes that were not to be considered the least preference again.
func allowUnusable(t table) table {
	for i := range t {
		if t[i].score == unusable {
			t[i].score = 1
		}
	}
	return t
}

// addMatchingScores adds to each node the best score the source has on a node that agrees in the colocation's attribute. It
// copies the table if it has something to add (most resources have no preference on most nodes), and tells whether it has.
func (r *run) addMatchingScores(nodes table, source, target status.ResID, c *colocation, factor float32, onlyPositive bool) (table, bool) {
	work, copied := nodes, false
	t := r.preferencesOf(source, c)
	byName := (c.attribute == "" || c.attribute == "#uname") && r.parentOfTop(target) == status.NoRes && r.parentOfTop(source) == status.NoRes
	for i := range work {
		if !work[i].present {
			continue
		}
		best := minusInfinity
		switch n := status.NodeID(i); {
		case !byName:
			best = r.bestMatchingScore(t, c, source, target, n)
		case t[i].present && t[i].score > minusInfinity && r.nodeUsable(n):
			if best = t[i].score; best == 0 {
				continue
			}
		}
		if factor < 0 && best < 0 {
			// Being kept apart from something that cannot be there is no preference, unless the dependent has only one
			// place to go and the primary could make room.
			if r.rsc(c.primary).Stickiness >= -best || !r.hasInfluence(c, status.NoRes) || !r.allowedOnOne(c.dependent) {
				continue
			}
		}
		if work[i].score == unusable {
			continue
		}
		f := float64(factor * float32(best))
		delta := int32(f + 0.5)
		if f < 0 {
			delta = int32(f - 0.5)
		}
		if delta == 0 && best != 0 {
			if factor > 0 {
				delta = 1
			} else if factor < 0 {
				delta = -1
			}
		}
		sum := add(delta, work[i].score)
		if onlyPositive && sum < 0 && work[i].score == 0 {
			continue
		}
		if !copied {
			work, copied = r.copyTable(nodes), true
		}
		if onlyPositive && sum < 0 && work[i].score > 0 {
			work[i].score = unusable
			continue
		}
		work[i].score = sum
		if r.trace != nil {
			r.trace.score(target, status.NodeID(i), delta, c.id+" (preference of "+r.rsc(source).ID+")")
		}
	}
	return work, copied
}

// parentOfTop is the bundle a resource is in, NoRes for none.
func (r *run) parentOfTop(id status.ResID) status.ResID { return r.parent(r.top(id)) }

// preferencesOf is a resource's table as its colocations see it: an inner group member's has the group's locations, too.
func (r *run) preferencesOf(source status.ResID, c *colocation) table {
	parent := r.parent(source)
	if source == c.dependent && c.explicit && parent != status.NoRes && r.rsc(parent).Kind == model.Group && r.res[parent].children[0] != source {
		return r.withGroupLocations(source, parent)
	}
	return r.allowed(source)
}

// bestMatchingScore is the highest score of a node that agrees with another one in the colocation's attribute.
func (r *run) bestMatchingScore(t table, c *colocation, source, target status.ResID, n status.NodeID) int32 {
	best := minusInfinity
	for i, at := range t {
		m := status.NodeID(i)
		if at.present && at.score > best && r.nodeUsable(m) && r.sameAttr(c, n, m, target, source) {
			best = at.score
		}
	}
	return best
}

// withGroupLocations is a member's table with its group's locations, which otherwise count for the first member only.
func (r *run) withGroupLocations(member, group status.ResID) table {
	t := slices.Clone(r.allowed(member))
	for _, l := range r.res[group].locations {
		if l.role != status.RoleUnknown && l.role != r.res[member].next {
			continue
		}
		for _, n := range l.nodes {
			if t[n.node].present {
				t[n.node].score = add(t[n.node].score, n.score)
			} else {
				t[n.node] = cell{present: true, score: n.score}
			}
		}
	}
	return t
}

func (r *run) allowedOnOne(id status.ResID) bool {
	n := 0
	for _, c := range r.allowed(id) {
		if c.present && c.score >= 0 {
			n++
		}
	}
	return n == 1
}

// addDependentScores lets the preferences of what is colocated with a resource bear on its own place.
func (r *run) addDependentScores(c *colocation, id status.ResID) {
	if !r.hasInfluence(c, status.NoRes) {
		return
	}
	sel := selectActive
	if r.rsc(id).Kind == model.Clone {
		sel |= selectNonnegative
	}
	t := r.allowed(id)
	copy(t, r.addColocatedScores(c.dependent, id, t, c, float32(c.score)/float32(infinity), sel))
}
