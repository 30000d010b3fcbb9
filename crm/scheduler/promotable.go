package scheduler

import (
	"systole/crm/status"
)

// addPromotionScores lets instances prefer the nodes where they could be promoted.
func (r *run) addPromotionScores(clone status.ResID) {
	st := &r.res[clone]
	if st.promotionAdded {
		return
	}
	st.promotionAdded = true
	for _, i := range st.children {
		t := r.allowed(i)
		for k := range t {
			n := status.NodeID(k)
			if !t[k].present || !r.nodeUsable(n) {
				continue
			}
			points, _ := r.promotionScore(i, n)
			if points > 0 {
				t[k].score = add(t[k].score, points)
				r.trace.score(i, n, points, "promotion score")
			}
			r.res[i].priority = max(r.res[i].priority, points)
		}
	}
}

// promotionScore is an instance's promotion score on a node: of a group, the sum of its members'. None is set if found is false.
func (r *run) promotionScore(i status.ResID, n status.NodeID) (sum int32, found bool) {
	if kids := r.res[i].children; len(kids) > 0 {
		for _, c := range kids {
			p, ok := r.promotionScore(c, n)
			sum += p
			found = found || ok
		}
		return sum, found
	}
	if !r.promotionScoreApplies(i, n) {
		return 0, false
	}
	rsc := r.rsc(i)
	text, ok := r.promotionAttr(i, n, rsc.HistoryName())
	if !ok && !rsc.Unique && rsc.ID != rsc.BaseID {
		text, ok = r.promotionAttr(i, n, rsc.BaseID)
	}
	if !ok {
		return 0, false
	}
	return points(text), true
}

func (r *run) promotionAttr(i status.ResID, n status.NodeID, name string) (string, bool) {
	return r.attr(n, "master-"+name, i, r.res[i].provisional)
}

// promotionScoreApplies tells whether a node's promotion score is about this instance: the one active there, or one
// that the node is known not to run, or any as long as nothing is known.
func (r *run) promotionScoreApplies(i status.ResID, n status.NodeID) bool {
	rsc := r.rsc(i)
	allowed := r.allowed(i)[n]
	if !rsc.Unique {
		active, known := r.anonymousOn(r.top(i), rsc.BaseID, n)
		if active == i || active == status.NoRes && known {
			return allowed.present && allowed.score >= 0
		}
	}
	nowhere := !rsc.IsActive() && len(rsc.Known) == 0
	if !nowhere && !rsc.Known.Has(n) && !rsc.ActiveOn(n) {
		return false
	}
	return allowed.present && allowed.score >= 0
}

// anonymousOn is the instance of an anonymous clone's primitive active on a node, and whether any instance is known there.
func (r *run) anonymousOn(clone status.ResID, base string, n status.NodeID) (active status.ResID, known bool) {
	active = status.NoRes
	for _, i := range r.res[clone].children {
		m := r.memberNamed(i, base)
		if m == status.NoRes {
			continue
		}
		if active == status.NoRes && r.rsc(m).ActiveOn(n) {
			active = m
		}
		known = known || r.rsc(m).Known.Has(n)
	}
	return active, known
}

func (r *run) memberNamed(i status.ResID, base string) status.ResID {
	if r.rsc(i).BaseID == base {
		return i
	}
	for _, c := range r.res[i].children {
		if m := r.memberNamed(c, base); m != status.NoRes {
			return m
		}
	}
	return status.NoRes
}

// setInstanceRoles chooses the instances to be promoted.
func (r *run) setInstanceRoles(clone status.ResID) {
	t := r.allowed(clone)
	for k := range t {
		t[k].count = 0
	}
	for _, i := range r.res[clone].children {
		r.setInstancePriority(clone, i)
	}
	r.sortPromotable(clone)
	promoted := 0
	for _, i := range r.res[clone].children {
		r.setInstanceRole(clone, i, &promoted)
	}
}

func (r *run) setInstancePriority(clone, i status.ResID) {
	st := &r.res[i]
	if r.state(i, true) == status.RoleStarted {
		r.startedIsUnpromoted(i)
	}
	n, _ := r.nextNodes(i)
	if n == status.NoNode {
		return
	}
	next := r.state(i, false)
	switch next {
	case status.RoleStarted, status.RoleUnknown:
		points, found := r.promotionScore(i, n)
		if !found {
			points = -1 // without score or constraint nobody is promoted
		}
		st.priority = points
	case status.RoleUnpromoted, status.RoleStopped:
		st.priority = minusInfinity
	}
	r.promotedLocations(i, r.res[i].locations, n)
	r.promotedLocations(i, r.res[clone].locations, n)
	for _, c := range r.thisWith(i) {
		r.applyColocation(i, c.primary, c)
	}
	st = &r.res[i]
	st.sortIndex = st.priority
	if next == status.RolePromoted {
		st.sortIndex = infinity
	}
}

func (r *run) startedIsUnpromoted(i status.ResID) {
	if r.res[i].role == status.RoleStarted {
		r.res[i].role = status.RoleUnpromoted
	}
	for _, c := range r.res[i].children {
		r.startedIsUnpromoted(c)
	}
}

// promotedLocations adds the scores of locations for the promoted role to an instance's promotion priority.
func (r *run) promotedLocations(i status.ResID, rules []*locationRule, n status.NodeID) {
	for _, l := range rules {
		if l.role != status.RolePromoted {
			continue
		}
		for _, at := range l.nodes {
			if at.node == n {
				r.res[i].priority = add(r.res[i].priority, at.score)
			}
		}
	}
}

// sortPromotable sorts instances by their claim to be promoted, with what is colocated with the promoted role counted in.
func (r *run) sortPromotable(clone status.ResID) {
	st := &r.res[clone]
	if st.promotionSorted {
		return
	}
	st.promotionSorted = true
	st.merging = true
	t := r.allowed(clone)
	for _, i := range st.children {
		if n := r.nextNode(i); r.res[i].sortIndex >= 0 && n != status.NoNode && t[n].present {
			t[n].score = add(r.res[i].sortIndex, t[n].score)
		}
	}
	// Colocations of this with others have been applied to the instances' priorities already.
	for _, c := range r.withThis(clone) {
		if c.primaryRole == status.RolePromoted && r.hasInfluence(c, status.NoRes) {
			copy(t, r.addColocatedScores(c.dependent, clone, t, c, float32(c.score)/float32(infinity), selectActive|selectNonnegative))
		}
	}
	r.requirePromotionTickets(clone)
	for _, i := range st.children {
		n := r.nextNode(i)
		switch {
		case !r.res[i].managed && r.res[i].next == status.RolePromoted:
			r.res[i].sortIndex = infinity
		case n == status.NoNode || r.res[i].sortIndex < 0:
		default:
			r.res[i].sortIndex = t[n].score
		}
	}
	status.MergeSort(st.children, r.comparePromotable)
	st.merging = false
}

func (r *run) comparePromotable(a, b status.ResID) int {
	x, y := &r.res[a], &r.res[b]
	switch {
	case x.sortIndex > y.sortIndex:
		return -1
	case x.sortIndex < y.sortIndex:
		return 1
	}
	if p, q := r.state(a, true), r.state(b, true); p != q {
		return int(q) - int(p)
	}
	return r.compareInstances(a, b)
}

func (r *run) setInstanceRole(clone, i status.ResID, promoted *int) {
	st := &r.res[i]
	n := r.nextNode(i)
	r.scores = append(r.scores, ScoreRecord{PromotionScore, i, n, st.sortIndex})
	chosen := status.NoNode
	if st.sortIndex >= 0 && (*promoted < r.rsc(clone).Clone.PromotedMax || !r.res[clone].managed) {
		chosen = r.promotionNode(clone, i)
	}
	if chosen == status.NoNode || st.role < status.RolePromoted && !r.s.Quorum && r.s.Options.NoQuorum == status.NoQuorumFreeze {
		r.nextUnpromoted(i)
		return
	}
	r.allowed(clone)[chosen].count++
	r.nextPromoted(i)
	*promoted++
}

func (r *run) nextUnpromoted(i status.ResID) {
	if n, _ := r.nextNodes(i); n == status.NoNode {
		r.setNext(i, status.RoleStopped, "stopped instance")
	} else {
		r.setNext(i, status.RoleUnpromoted, "unpromoted instance")
	}
	for _, c := range r.res[i].children {
		r.nextUnpromoted(c)
	}
}

func (r *run) nextPromoted(i status.ResID) {
	if r.res[i].next == status.RoleUnknown {
		r.setNext(i, status.RolePromoted, "promoted instance")
	}
	for _, c := range r.res[i].children {
		r.nextPromoted(c)
	}
}

// promotionNode is the node on which an instance can be promoted, NoNode if it cannot.
func (r *run) promotionNode(clone, i status.ResID) status.NodeID {
	for _, c := range r.res[i].children {
		if r.promotionNode(clone, c) == status.NoNode {
			return status.NoNode
		}
	}
	st := &r.res[i]
	n := r.nextNode(i)
	if n == status.NoNode {
		return n
	}
	switch {
	case !st.managed:
		if r.state(i, true) != status.RolePromoted {
			return status.NoNode
		}
	case st.priority < 0, !r.guestUsable(n):
		return status.NoNode
	}
	c := r.allowed(clone)[n]
	if !c.present || st.managed && int(c.count) >= r.rsc(clone).Clone.PromotedNodeMax {
		return status.NoNode
	}
	return n
}
