package explain

import (
	"fmt"
	"slices"
	"strings"

	"systole/crm/cib"
	"systole/crm/model"
	"systole/crm/scheduler"
	"systole/crm/score"
	"systole/crm/status"
)

// maxRelated bounds how far the search follows what a resource depends on: a chain of more is rare, and no single
// change far away would be what a person looks for.
const maxRelated = 12

// maker makes the candidates of a search.
type maker struct {
	q       Question
	result  *scheduler.Result
	s       *status.Status
	subject []status.ResID
	// names are the configured ids the resource is known by: its own, of what contains it, and of what is in it;
	// related those of what it depends on.
	names, related []string
	edits          []edit
}

// candidates are the single edits that may bring a resource to a node (to any for ""), cheapest first.
func candidates(q Question, result *scheduler.Result, subject []status.ResID, node string) []edit {
	m := &maker{q: q, result: result, s: result.Status, subject: subject}
	m.names = m.family(subject)
	m.related = m.dependencies()
	m.cluster()
	m.ofNodes(node)
	for _, name := range append(slices.Clone(m.names), m.related...) {
		m.ofResource(name)
	}
	m.failures(node)
	m.ofConstraints(node)
	m.moves(node)
	slices.SortStableFunc(m.edits, func(a, b edit) int { return a.cost - b.cost })
	seen := map[string]bool{}
	return slices.DeleteFunc(m.edits, func(e edit) bool {
		again := seen[e.command] || e.node != "" && node != "" && e.node != node
		seen[e.command] = true
		return again
	})
}

func (m *maker) add(cost int, make func(*cib.Element) *cib.Element, text, command string) {
	m.edits = append(m.edits, edit{cost: cost, command: command, text: text, make: make})
}

// family are the configured ids of resources, their containers and their members.
func (m *maker) family(ids []status.ResID) []string {
	var names []string
	put := func(id status.ResID) {
		if r := &m.s.Resources[id]; !r.Internal && !slices.Contains(names, r.BaseID) {
			names = append(names, r.BaseID)
		}
	}
	for _, id := range ids {
		put(id)
		for p := m.s.Resources[id].Parent; p != status.NoRes; p = m.s.Resources[p].Parent {
			put(p)
			if m.s.Resources[p].Kind == model.Group { // members before it decide for it
				for _, c := range m.s.Resources[p].Children {
					put(c)
				}
			}
		}
		var down func(status.ResID)
		down = func(id status.ResID) {
			for _, c := range m.s.Resources[id].Children {
				put(c)
				down(c)
			}
		}
		down(id)
	}
	return names
}

// dependencies are the names of what the resource must be with or must start after, and so on from there.
func (m *maker) dependencies() []string {
	known := slices.Clone(m.names)
	for i := 0; i < len(known) && len(known)-len(m.names) < maxRelated; i++ {
		for _, c := range m.s.Config.Constraints {
			var need string
			switch c := c.(type) {
			case *model.Colocation:
				if c.Dependent == known[i] && score.ParseOr(c.Score, 0) >= score.Infinity {
					need = c.Primary
				}
			case *model.Order:
				if c.Then == known[i] && c.Kind != "Optional" {
					need = c.First
				}
			}
			if need == "" || slices.Contains(known, need) {
				continue
			}
			for _, n := range m.family(find(m.s, need)) {
				if !slices.Contains(known, n) {
					known = append(known, n)
				}
			}
		}
	}
	return known[len(m.names):]
}

func (m *maker) cluster() {
	if m.s.Options.Maintenance {
		m.add(undo, withProperty("maintenance-mode", "false"), "end the maintenance of the cluster", "crm maintenance off")
	}
	if m.s.Options.StopAll {
		m.add(undo, withProperty("stop-all-resources", "false"), "let resources run again", "crm configure property stop-all-resources=false")
	}
	if m.s.Options.Fencing && !m.s.HaveFencing {
		m.add(dangerous, withProperty("stonith-enabled", "false"), "do without fencing (to configure a fence device is better: without one, data may be damaged)", "crm configure property stonith-enabled=false")
	}
}

func (m *maker) ofNodes(only string) {
	for _, id := range m.s.NodesByName {
		n := &m.s.Nodes[id]
		if only != "" && n.Name != only {
			continue
		}
		if n.Standby && !n.StandbyOnFail {
			if m.transient(n, "standby") {
				m.add(undo, withTransient(n.Name, "standby", "off"), "end the standby of "+n.Name, "crm node online "+n.Name+" reboot")
			} else {
				m.add(undo, withNodeAttribute(n.Name, "standby", "off"), "end the standby of "+n.Name, "crm node online "+n.Name)
			}
		}
		if n.Maintenance {
			m.add(undo, withNodeAttribute(n.Name, "maintenance", "off"), "end the maintenance of "+n.Name, "crm node ready "+n.Name)
		}
	}
}

func (m *maker) transient(n *status.Node, name string) bool {
	if n.State == nil {
		return false
	}
	for set := range n.State.Child("transient_attributes").Each("instance_attributes") {
		for p := range set.Each("nvpair") {
			if p.Get("name") == name {
				return true
			}
		}
	}
	return false
}

// ofResource are the meta attributes that keep a resource from running or moving.
func (m *maker) ofResource(name string) {
	ids := find(m.s, name)
	if len(ids) == 0 {
		return
	}
	r := &m.s.Resources[ids[0]]
	owner := m.owner(ids[0])
	if m.s.IsDisabled(ids[0]) || strings.EqualFold(r.Meta["target-role"], "Unpromoted") || strings.EqualFold(r.Meta["target-role"], "Slave") {
		m.add(undo, withMeta(owner, "target-role", "Started"), "let "+owner+" run", "crm resource start "+owner)
	}
	if v, set := r.Meta["is-managed"]; set && !status.True(v) {
		m.add(undo, withMeta(owner, "is-managed", "true", "maintenance"), "let the cluster manage "+owner, "crm resource manage "+owner)
	}
	if status.True(r.Meta["maintenance"]) {
		m.add(undo, withMeta(owner, "maintenance", "false"), "end the maintenance of "+owner, "crm resource maintenance "+owner+" off")
	}
	if r.Stickiness > 0 {
		m.add(prefer, withMeta(name, "resource-stickiness", "0"), "let "+name+" move freely", "crm resource meta "+name+" set resource-stickiness 0")
	}
	if c := r.Clone; c != nil && slices.Contains(m.names, name) {
		if usable := len(m.s.Nodes); c.Max < usable {
			to := fmt.Sprint(c.Max + 1)
			m.add(resize, withMeta(name, "clone-max", to), "allow an instance more of "+name, "crm resource meta "+name+" set clone-max "+to)
		}
	}
}

// owner is the configured id that commands about a resource's state act on: a clone for what it clones.
func (m *maker) owner(id status.ResID) string {
	r := &m.s.Resources[id]
	if r.Parent != status.NoRes && m.s.Resources[r.Parent].Kind == model.Clone {
		return m.s.Resources[r.Parent].BaseID
	}
	return r.BaseID
}

// failures are the fail counts that keep resources from nodes.
func (m *maker) failures(only string) {
	ev := m.s.Evaluator()
	for _, name := range append(slices.Clone(m.names), m.related...) {
		for _, id := range primitives(m.s, find(m.s, name)) {
			r := &m.s.Resources[id]
			for _, n := range m.s.NodesByName {
				node := m.s.Nodes[n].Name
				count, _ := ev.FailCount(id, n, true, true, nil)
				if count <= 0 && !(r.Failed && r.ActiveOn(n)) || only != "" && node != only && !r.ActiveOn(n) {
					continue
				}
				m.add(undo, cleanedUp(r.BaseID, node, m.q.Now), "forget the failures of "+r.BaseID+" on "+node+" (once their cause is gone)",
					"crm resource cleanup "+r.BaseID+" "+node)
			}
		}
	}
}

// ofConstraints are constraints that could go, or count more.
func (m *maker) ofConstraints(node string) {
	all := append(slices.Clone(m.names), m.related...)
	for _, c := range m.s.Config.Constraints {
		id := c.ConstraintID()
		cost := drop
		switch c := c.(type) {
		case *model.Location:
			if !m.about(all, append(setMembers(c.Sets), c.Resource), c.Pattern) {
				continue
			}
			if madeByHand(c.Source, c.Resource) {
				at := constraintNode(c.Source)
				m.add(undo, cleared(c.Resource, at), "take back the move or ban of "+c.Resource+" ("+id+")", "crm resource clear "+c.Resource+" "+at)
				continue
			}
			m.raise(c, node)
			if points := score.ParseOr(c.Score, 0); len(c.Rules) == 0 && points > 0 && (node == "" || c.Node == node) && c.Discovery != "exclusive" {
				continue // it speaks for the node
			}
		case *model.Colocation:
			if !m.about(all, append(setMembers(c.Sets), c.Dependent), "") && !m.about(m.names, []string{c.Primary}, "") {
				continue
			}
		case *model.Order:
			if !m.about(all, append(setMembers(c.Sets), c.Then), "") || c.Kind == "Optional" {
				continue
			}
		case *model.Ticket:
			if !m.about(all, append(setMembers(c.Sets), c.Resource), "") {
				continue
			}
			m.add(undo, withTicket(c.Ticket), "grant ticket "+c.Ticket, "crm -F site ticket grant "+c.Ticket)
		}
		m.add(cost, withoutConstraint(id), "do without constraint "+id, "crm configure delete "+id)
	}
}

// about tells whether a constraint's resources, tags or pattern concern any of the names.
func (m *maker) about(names, members []string, pattern string) bool {
	for _, member := range members {
		if slices.Contains(names, member) {
			return true
		}
		for _, tagged := range m.s.Config.Tags[member] {
			if slices.Contains(names, tagged) {
				return true
			}
		}
		if _, template := m.s.Config.Templates[member]; template && member != "" {
			return true
		}
	}
	return pattern != "" // the scheduler will tell whether it matters
}

func setMembers(sets []model.Set) []string {
	var out []string
	for _, s := range sets {
		out = append(out, s.Members...)
	}
	return out
}

// raise lets a preference for the node count just enough more than what speaks for the place the resource has. A ban
// becomes a preference.
func (m *maker) raise(c *model.Location, node string) {
	points := score.ParseOr(c.Score, 0)
	if node == "" || c.Node != node || len(c.Rules) > 0 || c.Resource == "" || points >= score.Infinity {
		return
	}
	n, _ := m.s.Node(node)
	for _, id := range primitives(m.s, find(m.s, c.Resource)) {
		at := m.result.Placement.Node[id]
		if at == status.NoNode || at == n.Index {
			continue
		}
		have, ok := finalScore(m.result, id, n.Index)
		want, ok2 := finalScore(m.result, id, at)
		if !ok || !ok2 || want.IsInfinite() || have > want {
			continue
		}
		more, cost := want.Add(have.Neg()).Add(1).Add(points), prefer
		switch {
		case points.IsInfinite():
			more, cost = want.Add(1), drop
		case have.IsInfinite():
			continue // something else forbids the node
		}
		to := more.String()
		m.add(cost, withConstraint(c.Source.With("score", to)), "raise the score of location "+c.ID+" from "+points.String()+" to "+to,
			fmt.Sprintf("echo 'location %s %s %s: %s' | crm configure load update -", c.ID, c.Resource, to, node))
		return
	}
}

// finalScore is the last score the assignment considered for the node.
func finalScore(r *scheduler.Result, id status.ResID, n status.NodeID) (score.Score, bool) {
	for _, rec := range slices.Backward(r.Placement.Scores) {
		if rec.Resource == id && rec.Node == n && rec.Stage != scheduler.PromotionScore {
			return score.Score(rec.Score), true
		}
	}
	return 0, false
}

// moves send the resource, or what it is part of, or what it must be with, to the node; where nothing may run unless
// allowed, they allow a node.
func (m *maker) moves(node string) {
	var targets []string
	for _, n := range append(slices.Clone(m.names), m.related...) {
		for _, id := range find(m.s, n) {
			top := &m.s.Resources[m.s.Top(id)]
			if top.Kind != model.Clone && top.Kind != model.Bundle && !slices.Contains(targets, top.BaseID) {
				targets = append(targets, top.BaseID)
			}
		}
	}
	for _, id := range m.s.NodesByName {
		n := &m.s.Nodes[id]
		if node != "" && n.Name != node || node == "" && m.s.Options.Symmetric {
			continue
		}
		if !m.s.Options.Symmetric {
			for _, name := range m.tops() {
				m.add(prefer, withConstraint(cib.New("rsc_location", "id", name+"-on-"+n.Name, "rsc", name, "node", n.Name, "score", "0")),
					"allow "+name+" there", fmt.Sprintf("crm configure location %s-on-%s %s 0: %s", name, n.Name, name, n.Name))
			}
		}
		for _, name := range targets {
			id := "cli-prefer-" + name
			clear, add := cleared(name, n.Name), withConstraint(cib.New("rsc_location", "id", id, "rsc", name, "role", "Started", "node", n.Name, "score", "INFINITY"))
			m.add(prefer, func(root *cib.Element) *cib.Element { return add(clear(root)) }, // as the command takes back a ban from there
				"move "+name+" there (until crm resource clear "+name+")", "crm resource move "+name+" "+n.Name)
		}
	}
}

// tops are the outermost resources that the subject is part of.
func (m *maker) tops() []string {
	var out []string
	for _, id := range m.subject {
		if name := m.s.Resources[m.s.Top(id)].BaseID; !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}
