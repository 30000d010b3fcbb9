package scheduler

import (
	"strings"

	"systole/crm/model"
	"systole/crm/score"
	"systole/crm/status"
)

// unpackConstraints reads the configured constraints in document order.
func (r *run) unpackConstraints() {
	for _, c := range r.s.Config.Constraints {
		switch c := c.(type) {
		case *model.Location:
			if r.ev.InEffect(c.Source) {
				r.location1(c)
			}
		case *model.Colocation:
			if r.ev.InEffect(c.Source) {
				r.colocationConstraint(c)
			}
		case *model.Order:
			if r.ev.InEffect(c.Source) {
				r.orderConstraint(c)
			}
		case *model.Ticket:
			if r.ev.InEffect(c.Source) {
				r.ticketConstraint(c)
			}
		}
	}
}

// find is the resource a constraint means by a name. The plain name of a clone's instances means the clone.
func (r *run) find(name string) (status.ResID, bool) {
	if rsc, ok := r.s.Resource(name); ok {
		return rsc.Index, true
	}
	if id, ok := r.s.ByHistoryName(name); ok {
		return r.top(id), true
	}
	return status.NoRes, false
}

// refs are the resources behind a tag or template, nil if the name is neither.
func (r *run) refs(name string) []string {
	if t := r.templates[name]; t != nil {
		return t
	}
	return r.s.Config.Tags[name]
}

// expandSets replaces the tags and templates among the members of sets.
func (r *run) expandSets(sets []model.Set) []model.Set {
	out := make([]model.Set, len(sets))
	for i, s := range sets {
		out[i] = s
		out[i].Members = nil
		for _, m := range s.Members {
			if _, ok := r.find(m); !ok {
				if refs := r.refs(m); refs != nil {
					out[i].Members = append(out[i].Members, refs...)
					continue
				}
			}
			out[i].Members = append(out[i].Members, m)
		}
	}
	return out
}

// side is one side of a simple constraint made a set: a tag's members in no order, or the one resource.
func (r *run) side(name string) (set model.Set, tag, ok bool) {
	if _, found := r.find(name); found {
		return model.Set{ID: name, Members: []string{name}}, false, true
	}
	if refs := r.refs(name); refs != nil {
		return model.Set{ID: name, Members: refs, Sequential: "false"}, true, true
	}
	return model.Set{}, false, false
}

// sequential tells whether a set is ordered; it is unless it says otherwise.
func sequential(s model.Set) bool { return s.Sequential == "" || status.True(s.Sequential) }

// resolveAll finds all members of a set; false if one is missing, which makes the whole constraint void.
func (r *run) resolveAll(s model.Set) ([]status.ResID, bool) {
	var out []status.ResID
	for _, m := range s.Members {
		id, ok := r.find(m)
		if !ok {
			return out, false
		}
		out = append(out, id)
	}
	return out, true
}

func points(s string) int32 { return int32(score.ParseOr(s, 0)) }

// colocationConstraint reads one rsc_colocation.
func (r *run) colocationConstraint(c *model.Colocation) {
	points := points(c.Score)
	sets := r.expandSets(c.Sets)
	if len(sets) == 0 && c.Dependent != "" && c.Primary != "" {
		dep, depTag, ok1 := r.side(c.Dependent)
		pri, priTag, ok2 := r.side(c.Primary)
		if !ok1 || !ok2 || depTag && priTag {
			return
		}
		if depTag || priTag {
			dep.Role, pri.Role = c.DependentRole, c.PrimaryRole
			sets = []model.Set{dep, pri}
		}
	}
	if len(sets) == 0 {
		r.simpleColocation(c, points)
		return
	}
	for i, s := range sets {
		if !r.colocateWithin(c, s, points) {
			return
		}
		if i > 0 && points != 0 && !r.colocateSets(c, sets[i-1], s, points) {
			return
		}
	}
}

func (r *run) simpleColocation(c *model.Colocation, points int32) {
	dep, ok1 := r.find(c.Dependent)
	pri, ok2 := r.find(c.Primary)
	if ok1 && c.DependentInst != "" {
		dep, ok1 = r.find(c.Dependent + ":" + c.DependentInst)
	}
	if ok2 && c.PrimaryInst != "" {
		pri, ok2 = r.find(c.Primary + ":" + c.PrimaryInst)
	}
	if ok1 && ok2 {
		r.colocate(colocation{id: c.ID, attribute: c.NodeAttribute, score: points, dependent: dep, primary: pri,
			dependentRole: colocationRole(c.DependentRole), primaryRole: colocationRole(c.PrimaryRole),
			influence: r.influence(dep, c.Influence), explicit: true})
	}
}

// influence tells whether the dependent's preferences count for the primary's place; by default if the dependent is critical.
func (r *run) influence(dependent status.ResID, text string) bool {
	if counts, ok := status.Truth(text); ok {
		return counts
	}
	return r.rsc(dependent).Critical
}

// colocationRole is the role a colocation is limited to; Started means no limit.
func colocationRole(text string) status.Role {
	role := status.ParseRole(text)
	if role == status.RoleStarted {
		return status.RoleUnknown
	}
	return role
}

// colocateWithin colocates the members of one set with one another.
func (r *run) colocateWithin(c *model.Colocation, s model.Set, points int32) bool {
	if s.Score != "" {
		points = int32(score.ParseOr(s.Score, 0))
	}
	if points == 0 || !sequential(s) {
		return true
	}
	role := colocationRole(s.Role)
	pair := func(dep, pri status.ResID) {
		r.colocate(colocation{id: s.ID, score: points, dependent: dep, primary: pri, dependentRole: role, primaryRole: role,
			influence: r.influence(dep, c.Influence), explicit: true})
	}
	var before []status.ResID
	for _, name := range s.Members {
		m, ok := r.find(name)
		if !ok {
			return false
		}
		switch {
		case points < 0: // nobody with anybody
			for _, other := range before {
				pair(m, other)
			}
		case len(before) == 0:
		case s.Ordering == "" || strings.EqualFold(s.Ordering, "group"):
			pair(m, before[len(before)-1])
		default:
			pair(before[len(before)-1], m)
		}
		before = append(before, m)
	}
	return true
}

// colocateSets colocates the earlier set with the later one: an ordered set by its one end, another member by member.
func (r *run) colocateSets(c *model.Colocation, dep, pri model.Set, points int32) bool {
	deps, ok1 := r.resolveAll(dep)
	pris, ok2 := r.resolveAll(pri)
	if !ok1 || !ok2 {
		return false
	}
	if sequential(dep) && len(deps) > 0 {
		deps = deps[:1]
	}
	if sequential(pri) && len(pris) > 0 {
		pris = pris[len(pris)-1:]
	}
	for _, d := range deps {
		for _, p := range pris {
			r.colocate(colocation{id: c.ID, score: points, dependent: d, primary: p, dependentRole: colocationRole(dep.Role),
				primaryRole: colocationRole(pri.Role), influence: r.influence(d, c.Influence), explicit: true})
		}
	}
	return true
}

// ticketRule makes a resource depend on a ticket.
type ticketRule struct {
	ticket  *status.Ticket
	name    string
	role    status.Role
	policy  lossPolicy
	granted bool
	standby bool
}

// lossPolicy is what happens to a resource whose ticket is lost.
type lossPolicy uint8

const (
	lossStop lossPolicy = iota
	lossDemote
	lossFence
	lossFreeze
)

func (r *run) ticketConstraint(c *model.Ticket) {
	if c.Ticket == "" {
		return
	}
	sets := r.expandSets(c.Sets)
	if len(sets) == 0 && c.Resource != "" {
		s, _, ok := r.side(c.Resource)
		if !ok {
			return
		}
		s.Role = c.Role
		sets = []model.Set{s}
	}
	for _, s := range sets {
		for _, name := range s.Members {
			if id, ok := r.find(name); ok {
				r.addTicket(id, c, s.Role)
			}
		}
	}
}

func (r *run) addTicket(id status.ResID, c *model.Ticket, role string) {
	t := ticketRule{name: c.Ticket, role: status.ParseRole(role)}
	if t.role == status.RoleStarted {
		t.role = status.RoleUnknown
	}
	for i := range r.s.Tickets {
		if r.s.Tickets[i].ID == c.Ticket {
			t.ticket = &r.s.Tickets[i]
			t.granted, t.standby = t.ticket.Granted, t.ticket.Standby
		}
	}
	switch strings.ToLower(c.LossPolicy) {
	case "fence":
		t.policy = lossFence
		if !r.s.Options.Fencing {
			t.policy = lossStop
		}
	case "freeze":
		t.policy = lossFreeze
	case "demote":
		t.policy = lossDemote
	case "stop":
	default:
		if t.role == status.RolePromoted {
			t.policy = lossDemote
		}
	}
	r.res[id].tickets = append(r.res[id].tickets, t)
	if !t.granted || t.standby {
		r.withoutTicket(id, t)
	}
}

// withoutTicket applies what a missing or standby ticket means for a resource.
func (r *run) withoutTicket(id status.ResID, t ticketRule) {
	if t.granted && !t.standby {
		return
	}
	if kids := r.res[id].children; len(kids) > 0 {
		for _, c := range kids {
			r.withoutTicket(c, t)
		}
		return
	}
	st := &r.res[id]
	matches := t.role == status.RoleUnknown || t.role == st.role
	if !t.granted && r.rsc(id).IsActive() {
		switch t.policy {
		case lossStop:
			r.ban(id, status.NoNode, "loss of ticket "+t.name)
		case lossDemote:
			if t.role != status.RolePromoted {
				r.ban(id, status.NoNode, "loss of ticket "+t.name)
			}
		case lossFence:
			if !matches {
				return
			}
			r.ban(id, status.NoNode, "loss of ticket "+t.name)
			for _, n := range r.rsc(id).Active {
				r.fenceNode(n, "deadman ticket was lost", false)
			}
		case lossFreeze:
			if matches {
				st.managed, st.blocked = false, true
				r.colocVersion++
			}
		}
		return
	}
	if t.role == status.RolePromoted && t.policy != lossStop {
		return
	}
	if t.granted {
		r.ban(id, status.NoNode, "ticket "+t.name+" is in standby")
	} else {
		r.ban(id, status.NoNode, "no ticket "+t.name)
	}
}

// requirePromotionTickets keeps a promotable clone from being promoted without the tickets its promoted role needs.
func (r *run) requirePromotionTickets(clone status.ResID) {
	for _, t := range r.res[clone].tickets {
		if t.role == status.RolePromoted && (!t.granted || t.standby) {
			r.ban(clone, status.NoNode, "promotion needs ticket "+t.name)
		}
	}
}
