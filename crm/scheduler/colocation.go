package scheduler

import (
	"slices"
	"strings"

	"systole/crm/model"
	"systole/crm/status"
)

// colocation is a colocation constraint in force: the dependent is placed in relation to the primary.
type colocation struct {
	id                         string
	attribute                  string // node attribute that must match; "" for the node itself
	score                      int32
	dependent, primary         status.ResID
	dependentRole, primaryRole status.Role
	influence                  bool // the dependent's preferences count for the primary's place
	explicit                   bool // configured, not implied by a group or bundle
}

func (c *colocation) mandatory() bool { return c.score >= infinity || c.score <= minusInfinity }

// colocate puts a colocation in force. One that forbids keeping together also orders: first leave, then come.
func (r *run) colocate(c colocation) {
	if c.score == 0 {
		return
	}
	p := &c
	r.colocs = append(r.colocs, p)
	r.colocVersion++
	d := &r.res[c.dependent]
	d.with = r.insertWith(d.with, p)
	m := &r.res[c.primary]
	m.withThis = r.insertWithThis(m.withThis, p)
	if c.score <= minusInfinity {
		r.orderApart(c.dependent, c.dependentRole, c.primary, c.primaryRole)
		r.orderApart(c.primary, c.primaryRole, c.dependent, c.dependentRole)
	}
}

// orderApart orders what makes the first resource lose its role before what makes the second gain its own.
func (r *run) orderApart(first status.ResID, firstRole status.Role, then status.ResID, thenRole status.Role) {
	lose := []string{"stop"}
	switch firstRole {
	case status.RolePromoted:
		lose = []string{"demote"}
	case status.RoleUnpromoted:
		lose = []string{"stop", "promote"}
	}
	gain := []string{"start"}
	switch thenRole {
	case status.RolePromoted:
		gain = []string{"promote"}
	case status.RoleUnpromoted:
		gain = []string{"start", "demote"}
	}
	for _, l := range lose {
		for _, g := range gain {
			r.order(first, l, then, g, orderApart)
		}
	}
}

// compareByResource sorts colocations by the importance of one side: priority, kind, promotable, name.
func (r *run) compareByResource(a, b status.ResID) int {
	x, y := r.rsc(a), r.rsc(b)
	p, q := r.res[a].priority, r.res[b].priority
	switch {
	case p > q:
		return -1
	case p < q:
		return 1
	case x.Kind > y.Kind:
		return -1
	case x.Kind < y.Kind:
		return 1
	case x.Kind == model.Clone && x.Promotable && !y.Promotable:
		return -1
	case x.Kind == model.Clone && !x.Promotable && y.Promotable:
		return 1
	}
	return strings.Compare(x.ID, y.ID)
}

// insertWith inserts a colocation into a list sorted by primary; of equals the newest comes first.
func (r *run) insertWith(list []*colocation, c *colocation) []*colocation {
	i := 0
	for i < len(list) && r.compareByResource(c.primary, list[i].primary) > 0 {
		i++
	}
	return slices.Insert(list, i, c)
}

func (r *run) insertWithThis(list []*colocation, c *colocation) []*colocation {
	i := 0
	for i < len(list) && r.compareByResource(c.dependent, list[i].dependent) > 0 {
		i++
	}
	return slices.Insert(list, i, c)
}

// colocList collects the colocations of a resource and its ancestors, sorted.
type colocList struct {
	r        *run
	list     []*colocation
	withThis bool
}

func (l *colocList) addAll(more []*colocation) {
	if len(l.list) == 0 {
		l.list = slices.Clone(more)
		return
	}
	for _, c := range more {
		l.add(c)
	}
}

func (l *colocList) addExplicit(more []*colocation) {
	for _, c := range more {
		if c.explicit {
			l.add(c)
		}
	}
}

func (l *colocList) add(c *colocation) {
	if l.withThis {
		l.list = l.r.insertWithThis(l.list, c)
	} else {
		l.list = l.r.insertWith(l.list, c)
	}
}

// thisWith are all colocations that have the resource as dependent, its own and those it takes from its ancestors.
func (r *run) thisWith(id status.ResID) []*colocation {
	if r.parent(id) == status.NoRes && r.rsc(id).Kind != model.Group {
		return r.res[id].with
	}
	if known := &r.res[id].allWith; known.version == r.colocVersion {
		return known.list
	}
	l := &colocList{r: r}
	r.collectThisWith(l, id, id)
	if r.parentOfTop(id) == status.NoRes { // in a bundle it depends on how far the bundle is
		r.res[id].allWith = knownColocations{l.list, r.colocVersion}
	}
	return l.list
}

// withThis are all colocations that have the resource as primary.
func (r *run) withThis(id status.ResID) []*colocation {
	if r.parent(id) == status.NoRes && r.rsc(id).Kind != model.Group {
		return r.res[id].withThis
	}
	if known := &r.res[id].allWithThis; known.version == r.colocVersion {
		return known.list
	}
	l := &colocList{r: r, withThis: true}
	r.collectWithThis(l, id, id)
	if r.parentOfTop(id) == status.NoRes { // in a bundle it depends on how far the bundle is
		r.res[id].allWithThis = knownColocations{l.list, r.colocVersion}
	}
	return l.list
}

func (r *run) collectThisWith(l *colocList, id, origin status.ResID) {
	st := &r.res[id]
	switch r.rsc(id).Kind {
	case model.Primitive:
		if id != origin {
			l.addExplicit(st.with)
			return
		}
		l.addAll(st.with)
	case model.Group:
		switch {
		case len(st.children) == 0:
			return
		case origin != id && origin != st.children[0]:
			r.laterMember(l, st, origin)
			return
		}
		l.addAll(st.with)
		r.collectInnerMembers(l, id, origin, r.collectThisWith)
	case model.Clone:
		l.addAll(st.with)
	case model.Bundle:
		if r.takesFromBundle(id, origin) {
			l.addAll(st.with)
		}
		return
	}
	if p := r.parent(id); p != status.NoRes {
		r.collectThisWith(l, p, origin)
	}
}

// collectInnerMembers adds what the administrator has said of a group's members one by one: it concerns the whole group,
// because that stays together.
func (r *run) collectInnerMembers(l *colocList, group, origin status.ResID, collect func(*colocList, status.ResID, status.ResID)) {
	if !r.collocated(group) {
		return
	}
	for _, m := range r.res[group].children {
		if m != origin {
			collect(l, m, origin)
		}
	}
}

// laterMember adds what a group must be with to one of its later members, if an unmanaged earlier one breaks the chain by
// which it would follow the first.
func (r *run) laterMember(l *colocList, group *resSheet, member status.ResID) {
	for _, m := range group.children {
		if m == member {
			return
		}
		if r.res[m].managed {
			continue
		}
		for _, c := range group.with {
			if c.score >= infinity {
				l.add(c)
			}
		}
		return
	}
}

func (r *run) collectWithThis(l *colocList, id, origin status.ResID) {
	st := &r.res[id]
	switch r.rsc(id).Kind {
	case model.Primitive:
		if id != origin {
			l.addExplicit(st.withThis)
			return
		}
		l.addAll(st.withThis)
	case model.Group:
		if len(st.children) == 0 || origin != id && origin != st.children[len(st.children)-1] {
			return // the members before the last are followed by those behind them
		}
		l.addAll(st.withThis)
		r.collectInnerMembers(l, id, origin, r.collectWithThis)
	case model.Clone:
		l.addAll(st.withThis)
	case model.Bundle:
		if r.takesFromBundle(id, origin) {
			l.addAll(st.withThis)
		}
		return
	}
	if p := r.parent(id); p != status.NoRes {
		r.collectWithThis(l, p, origin)
	}
}

// takesFromBundle tells whether a bundle's colocations are a resource's, too: its own of course, and its containers'; where
// what runs inside is promotable, that has them once it has its places, because then they bear on its roles.
func (r *run) takesFromBundle(bundle, origin status.ResID) bool {
	if origin == bundle || r.rsc(origin).ReplicaContainer {
		return true
	}
	member := r.rsc(bundle).Bundle.Member
	switch {
	case member == status.NoRes || !r.rsc(member).Promotable:
		return false
	case origin == member:
		return r.res[member].promotionSorted
	}
	return r.isParent(origin, member) && !r.res[origin].provisional
}

// hasInfluence tells whether the dependent's preferences count for where the primary goes.
func (r *run) hasInfluence(c *colocation, primary status.ResID) bool {
	if primary == status.NoRes {
		primary = c.primary
	}
	active := r.rsc(primary).Active
	if r.rsc(c.dependent).NestedRemotes && !r.res[primary].failed && len(active) == 1 {
		return false // a bundle's connection moves easily; its clean, active container does not
	}
	return c.influence || len(active) == 0
}

// affects is what a colocation can change at present: nothing, where the dependent goes, or which role it gets.
type affects uint8

const (
	affectsNothing affects = iota
	affectsLocation
	affectsRole
)

func (r *run) affects(dependent, primary status.ResID, c *colocation, preview bool) affects {
	d, p := &r.res[dependent], &r.res[primary]
	if !preview && p.provisional {
		return affectsNothing
	}
	depRole, priRole := r.roleOf(dependent), r.roleOf(primary)
	role := dependent
	if m := r.replicaMember(dependent); m != status.NoRes {
		role = m
	}
	if parent := r.parent(role); c.dependentRole >= status.RoleUnpromoted && parent != status.NoRes &&
		r.rsc(parent).Promotable && !r.res[role].provisional {
		return affectsRole
	}
	if !preview && !d.provisional {
		return affectsNothing
	}
	if c.dependentRole != status.RoleUnknown && c.dependentRole != depRole || c.primaryRole != status.RoleUnknown && c.primaryRole != priRole {
		return affectsNothing
	}
	return affectsLocation
}

// roleOf is a resource's next role; of a bundle's container, what runs in it has the role.
func (r *run) roleOf(id status.ResID) status.Role {
	if m := r.replicaMember(id); m != status.NoRes {
		return r.res[m].next
	}
	return r.res[id].next
}

func (r *run) replicaMember(container status.ResID) status.ResID {
	if !r.rsc(container).ReplicaContainer {
		return status.NoRes
	}
	for _, rep := range r.rsc(r.parent(container)).Bundle.Replicas {
		if rep.Container == container {
			return rep.Member
		}
	}
	return status.NoRes
}

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
	st.merging = true
	defer func() { r.res[source].merging = false }()
	var work table
	mark := r.trace.mark()
	if nodes == nil {
		work = slices.Clone(r.allowed(source))
		target = source
	} else {
		work = slices.Clone(nodes)
		r.addMatchingScores(work, source, target, c, factor, sel&selectNonnegative != 0)
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
			work = r.addColocatedScores(other, target, work, next, factor*float32(next.score)/float32(infinity), sel)
		}
	} else if sel&selectActive != 0 {
		r.trace.undo(mark)
		return nodes
	}
	if sel&selectNonnegative != 0 {
		for i := range work {
			if work[i].score == unusable {
				work[i].score = 1
			}
		}
	}
	return work
}

// addMatchingScores adds to each node the best score the source has on a node that agrees in the colocation's attribute.
func (r *run) addMatchingScores(work table, source, target status.ResID, c *colocation, factor float32, onlyPositive bool) {
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
			best = t[i].score
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
		if onlyPositive && sum < 0 && work[i].score > 0 {
			work[i].score = unusable
			continue
		}
		if onlyPositive && sum < 0 && work[i].score == 0 {
			continue
		}
		work[i].score = sum
		if r.trace != nil {
			r.trace.score(target, status.NodeID(i), delta, c.id+" (preference of "+r.rsc(source).ID+")")
		}
	}
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
