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
