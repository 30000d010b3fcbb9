package scheduler

import (
	"slices"
	"strings"

	"systole/crm/model"
	"systole/crm/status"
)

// applyColocation lets the primary's place bear on the dependent, as the primary's kind demands. It returns what it has added
// to the dependent's priority for promotion.
func (r *run) applyColocation(dependent, primary status.ResID, c *colocation) int32 {
	if r.rsc(dependent).Kind == model.Group {
		members := r.res[dependent].children
		if r.collocated(dependent) && len(members) > 0 {
			members = members[:1] // the others follow
		}
		var points int32
		for _, m := range members {
			points = add(points, r.applyColocation(m, primary, c))
		}
		r.res[dependent].priority = add(points, r.res[dependent].priority)
		return points
	}
	switch r.rsc(primary).Kind {
	case model.Group:
		return r.applyColocationWithGroup(dependent, primary, c)
	case model.Clone:
		return r.applyColocationWithClone(dependent, primary, c)
	case model.Bundle:
		return r.applyColocationWithBundle(dependent, primary, c)
	}
	switch r.affects(dependent, primary, c, false) {
	case affectsRole:
		return r.colocateRole(dependent, primary, c)
	case affectsLocation:
		r.colocateLocation(dependent, primary, c)
	}
	return 0
}

// applyColocationWithEach applies a colocation with several primaries in turn.
func (r *run) applyColocationWithEach(dependent status.ResID, primaries []status.ResID, c *colocation) int32 {
	var points int32
	for _, p := range primaries {
		points = add(points, r.applyColocation(dependent, p, c))
	}
	return points
}

func (r *run) applyColocationWithGroup(dependent, primary status.ResID, c *colocation) int32 {
	members := r.res[primary].children
	if r.res[primary].provisional || len(members) == 0 {
		return 0
	}
	if r.collocated(primary) {
		if c.score >= infinity {
			members = members[len(members)-1:] // it must be with all of them, and the last is the last to come
		} else {
			members = members[:1]
		}
	} else if c.score >= infinity {
		return 0
	}
	return r.applyColocationWithEach(dependent, members, c)
}

func (r *run) applyColocationWithClone(dependent, primary status.ResID, c *colocation) int32 {
	if r.res[primary].provisional {
		return 0
	}
	if r.rsc(primary).Promotable && c.primaryRole != status.RoleUnknown {
		if r.res[dependent].provisional {
			r.dependOnPromotable(dependent, primary, c)
			return 0
		}
		if c.dependentRole == status.RolePromoted {
			return r.promoteWithPromotable(dependent, primary, c)
		}
	}
	if r.interleaved(c) {
		instance := r.compatibleInstance(dependent, primary, status.RoleUnknown, false)
		if instance != status.NoRes {
			return r.applyColocation(dependent, instance, c)
		}
		if c.score >= infinity {
			r.assign1(dependent, status.NoNode, true, true)
		}
		return 0
	}
	if c.score < infinity {
		return r.applyColocationWithEach(dependent, r.res[primary].children, c)
	}
	var hosts []status.NodeID
	for _, instance := range r.res[primary].children {
		if n := r.nextNode(instance); n != status.NoNode && !r.flagDeep(instance, blocked) {
			hosts = append(hosts, n)
		}
	}
	r.restrict(dependent, hosts, nil, c)
	return 0
}

// restrict bans a resource from all nodes but the given ones, and adds those nodes' scores if there are any.
func (r *run) restrict(dependent status.ResID, hosts []status.NodeID, scores []int32, c *colocation) {
	t := r.allowed(dependent)
	for i := range t {
		n := status.NodeID(i)
		at := slices.Index(hosts, n)
		switch {
		case at < 0 && t[i].present:
			t[i].score = minusInfinity
			r.trace.score(dependent, n, minusInfinity, c.id)
		case at >= 0 && t[i].present && scores != nil:
			t[i].score = add(t[i].score, scores[at])
		}
	}
}

// interleaved tells whether a colocation between clones pairs up their instances.
func (r *run) interleaved(c *colocation) bool {
	d, p := r.rsc(c.dependent), r.rsc(c.primary)
	return d.Kind == model.Clone && d.Clone.Interleave && p.Clone != nil && d.Clone.NodeMax == p.Clone.NodeMax
}

func (r *run) applyColocationWithBundle(dependent, primary status.ResID, c *colocation) int32 {
	if r.res[primary].provisional {
		return 0
	}
	b := r.rsc(primary).Bundle
	if k := r.rsc(c.dependent).Kind; k == model.Clone || k == model.Bundle {
		container := r.compatibleContainer(dependent, primary)
		if container != status.NoRes {
			return r.applyColocation(dependent, container, c)
		}
		if c.score >= infinity {
			r.assign1(dependent, status.NoNode, true, true)
		}
		return 0
	}
	if c.score < infinity {
		return r.applyColocationWithEach(dependent, r.containers(primary), c)
	}
	var hosts []status.NodeID
	for _, rep := range b.Replicas {
		n := r.nextNode(rep.Container)
		if n == status.NoNode || r.flagDeep(rep.Container, blocked) ||
			c.primaryRole >= status.RolePromoted && (rep.Member == status.NoRes || r.res[rep.Member].next < status.RolePromoted) {
			continue
		}
		hosts = append(hosts, n)
	}
	r.restrict(dependent, hosts, nil, c)
	return 0
}

// compatibleContainer is the container of a bundle on the node where the dependent is or may go.
func (r *run) compatibleContainer(dependent, bundle status.ResID) status.ResID {
	if n := r.nextNode(dependent); n != status.NoNode {
		return r.containerOn(bundle, r.bundleHostOf(n))
	}
	for _, n := range r.sortedNodes(r.allowed(dependent), status.NoNode) {
		if c := r.containerOn(bundle, r.bundleHostOf(n)); c != status.NoRes {
			return c
		}
	}
	return status.NoRes
}

// bundleHostOf is the node a bundle's node will be on; other nodes stand for themselves.
func (r *run) bundleHostOf(n status.NodeID) status.NodeID {
	if node := &r.s.Nodes[n]; node.BundleOnly && node.Connection != status.NoRes {
		return r.nextNode(r.rsc(node.Connection).Container)
	}
	return n
}

func (r *run) containerOn(bundle status.ResID, n status.NodeID) status.ResID {
	for _, rep := range r.rsc(bundle).Bundle.Replicas {
		if r.matches(rep.Container, n, status.RoleUnknown, false) {
			return rep.Container
		}
	}
	return status.NoRes
}

// attr is a node's attribute as a resource sees it: one that asks for its host's attributes gets those of the node that its
// guest is on (current) or will be on.
func (r *run) attr(n status.NodeID, name string, id status.ResID, current bool) (string, bool) {
	if r.s.Nodes[n].Kind == status.Guest && id != status.NoRes && strings.EqualFold(r.rsc(id).Meta["container-attribute-target"], "host") {
		n = r.hostOf(n, current)
	}
	if n == status.NoNode {
		return "", false
	}
	v, ok := r.s.Nodes[n].Attributes[name]
	return v, ok
}

// hostOf is where a guest's container is (current) or will be.
func (r *run) hostOf(n status.NodeID, current bool) status.NodeID {
	container := r.rsc(r.s.Nodes[n].Connection).Container
	if current {
		return r.s.CurrentNode(container)
	}
	return r.res[container].node
}

// colocationAttr is a node's attribute as a colocation sees it: of what runs inside a bundle, the place is its container's.
func (r *run) colocationAttr(n status.NodeID, name string, id status.ResID) (string, bool) {
	if n != status.NoNode && r.insideBundle(n, id) {
		n = r.hostOf(n, false)
	}
	if n == status.NoNode {
		return "", false
	}
	return r.attr(n, name, id, false)
}

// insideBundle tells whether a node is a bundle's and a resource what runs inside one.
func (r *run) insideBundle(n status.NodeID, id status.ResID) bool {
	if !r.s.Nodes[n].BundleOnly || id == status.NoRes {
		return false
	}
	top := r.top(id)
	bundle := r.parent(top)
	return bundle != status.NoRes && r.rsc(bundle).Kind == model.Bundle && r.rsc(bundle).Bundle.Member == top
}

// sameAttr tells whether two nodes agree in a colocation's attribute.
func (r *run) sameAttr(c *colocation, a, b status.NodeID, idA, idB status.ResID) bool {
	name := c.attribute
	if name == "" {
		name = "#uname"
	}
	v, ok1 := r.colocationAttr(a, name, idA)
	w, ok2 := r.colocationAttr(b, name, idB)
	return ok1 == ok2 && strings.EqualFold(v, w)
}

// colocateLocation adds a colocation's score where the primary is, or bans the dependent from elsewhere.
func (r *run) colocateLocation(dependent, primary status.ResID, c *colocation) {
	host := r.res[primary].node
	if host == status.NoNode && c.score < 0 {
		return
	}
	t := r.allowed(dependent)
	work := slices.Clone(t)
	mark := r.trace.mark()
	for i := range work {
		n := status.NodeID(i)
		if !work[i].present {
			continue
		}
		points := int32(0)
		switch {
		case host == status.NoNode:
			points = -c.score
		case r.sameAttr(c, n, host, dependent, primary):
			if c.score < infinity {
				points = c.score
			}
		case c.score >= infinity:
			points = minusInfinity
		}
		if points != 0 {
			work[i].score = add(work[i].score, points)
			r.trace.score(dependent, n, points, c.id)
		}
	}
	if !c.mandatory() && !r.anyUsable(work) {
		r.trace.undo(mark)
		return
	}
	copy(t, work)
}

// colocateRole lets a colocation bear on whether an instance is promoted, and returns what it has added.
func (r *run) colocateRole(dependent, primary status.ResID, c *colocation) int32 {
	d, p := r.res[dependent].node, r.res[primary].node
	if d == status.NoNode || p != status.NoNode && c.primaryRole != status.RoleUnknown && c.primaryRole != r.roleOf(primary) {
		return 0
	}
	points := c.score
	switch {
	case p == status.NoNode || !r.sameAttr(c, d, p, dependent, primary):
		if c.score < infinity || c.dependentRole != status.RolePromoted {
			return 0
		}
		points = -points // it must not be promoted away from what it has to be with
	case c.dependentRole == status.RoleUnpromoted:
		points = -points
	}
	r.res[dependent].priority = add(points, r.res[dependent].priority)
	return points
}

// dependOnPromotable applies a colocation with instances of a promotable clone in one role.
func (r *run) dependOnPromotable(dependent, primary status.ResID, c *colocation) {
	var hosts []status.NodeID
	for _, instance := range r.res[primary].children {
		n := r.nextNode(instance)
		if n == status.NoNode || r.state(instance, false) != c.primaryRole {
			continue
		}
		hosts = append([]status.NodeID{n}, hosts...)
		if c.score >= infinity {
			continue
		}
		t := r.allowed(dependent)
		for i := range t {
			if t[i].present && r.sameAttr(c, status.NodeID(i), n, dependent, instance) {
				t[i].score = add(t[i].score, c.score)
				r.trace.score(dependent, status.NodeID(i), c.score, c.id)
			}
		}
	}
	if c.score >= infinity && (c.dependentRole != status.RolePromoted || c.primaryRole != status.RolePromoted) {
		scores := make([]int32, len(hosts))
		for i, n := range hosts {
			scores[i] = r.allowedScoreSomewhere(primary, n)
		}
		r.restrict(dependent, hosts, scores, c)
	}
}

// allowedScoreSomewhere is the score with which an instance of the clone got its node.
func (r *run) allowedScoreSomewhere(clone status.ResID, n status.NodeID) int32 {
	for _, instance := range r.res[clone].children {
		switch at := r.firstPrimitive(instance); {
		case r.res[at].node != n:
		case !r.res[at].managed:
			return r.s.Nodes[n].Score // it has not chosen the node
		default:
			return r.allowed(at)[n].score
		}
	}
	return 0
}

func (r *run) firstPrimitive(id status.ResID) status.ResID {
	for len(r.res[id].children) > 0 {
		id = r.res[id].children[0]
	}
	return id
}

func (r *run) promoteWithPromotable(dependent, primary status.ResID, c *colocation) int32 {
	points := c.score
	if r.compatibleInstance(dependent, primary, c.primaryRole, false) == status.NoRes {
		if c.score < infinity {
			return 0
		}
		points = minusInfinity
	}
	r.res[dependent].priority = add(points, r.res[dependent].priority)
	return points
}
