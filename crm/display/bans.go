package display

import (
	"regexp"
	"slices"
	"strings"

	"systole/crm/cib"
	"systole/crm/model"
	"systole/crm/score"
	"systole/crm/status"
)

// ban is a location constraint in force that keeps a resource, or its promoted role, off a node.
type ban struct {
	ID, Resource string
	Node         *status.Node
	Score        score.Score
	PromotedOnly bool
}

// bans are the location constraints in force with a score below 0, the last one first as
// the field lists them. A rule's ban has the rule's id.
func (v *View) bans() []ban {
	var all []ban
	ev := v.Status.Evaluator()
	for _, c := range slices.Backward(v.Status.Config.Constraints) {
		l, ok := c.(*model.Location)
		if !ok || !ev.InEffect(l.Source) {
			continue
		}
		for _, rsc := range slices.Backward(v.constrained(l)) {
			if !v.wantsResource(rsc) {
				continue
			}
			if n, known := v.Status.Node(l.Node); known && l.Node != "" {
				all = v.addBan(all, ban{ID: l.ID, Resource: rsc.ID, Node: n, Score: score.ParseOr(l.Score, 0)}, l.Role)
			}
			for _, rule := range slices.Backward(l.Rules) {
				all = append(all, v.ruleBans(ev, l, ev.Resolve(rule), rsc)...)
			}
		}
	}
	return all
}

// ruleBans are the nodes that a rule keeps a resource off.
func (v *View) ruleBans(ev *status.Evaluator, l *model.Location, rule *cib.Element, rsc *status.Resource) []ban {
	var all []ban
	for _, id := range slices.Backward(v.Status.NodesByName) {
		n := &v.Status.Nodes[id]
		if !ev.RuleHolds(rule, rsc.Index, id, nil) {
			continue
		}
		text := rule.Get("score")
		if attribute := rule.Get("score-attribute"); attribute != "" {
			text = n.Attributes[attribute]
		}
		role := l.Role
		if r := rule.Get("role"); r != "" {
			role = r
		}
		all = v.addBan(all, ban{ID: rule.ID(), Resource: rsc.ID, Node: n, Score: score.ParseOr(text, 0)}, role)
	}
	return all
}

// addBan adds a constraint that is a ban and was asked for.
func (v *View) addBan(all []ban, b ban, role string) []ban {
	if b.Score >= 0 || !strings.HasPrefix(b.ID, v.Options.BansPrefix) {
		return all
	}
	role = strings.ToLower(role)
	b.PromotedOnly = role == "promoted" || role == "master"
	return append(all, b)
}

// constrained are the resources a location constraint speaks of.
func (v *View) constrained(l *model.Location) []*status.Resource {
	var all []*status.Resource
	add := func(id string) {
		if r, ok := v.Status.Resource(id); ok {
			all = append(all, r)
			return
		}
		for _, member := range v.Status.Config.Tags[id] {
			if r, ok := v.Status.Resource(member); ok {
				all = append(all, r)
			}
		}
	}
	switch {
	case l.Resource != "":
		add(l.Resource)
	case l.Pattern != "":
		pattern, negated := strings.CutPrefix(l.Pattern, "!")
		expr, err := regexp.Compile(pattern)
		if err != nil {
			return nil // the scheduler reports it
		}
		for _, id := range v.Status.Roots {
			if r := &v.Status.Resources[id]; expr.MatchString(r.ID) != negated {
				all = append(all, r)
			}
		}
	}
	for _, set := range l.Sets {
		for _, id := range set.Members {
			add(id)
		}
	}
	return all
}

func (v *View) banSection() Section {
	s := Section{Title: "Negative Location Constraints"}
	for _, b := range v.bans() {
		role := ""
		if b.PromotedOnly {
			role = "in Promoted role "
		}
		s.Lines = append(s.Lines, Line{Text: b.ID + "\tprevents " + b.Resource + " from running " + role + "on " + v.nodeName(b.Node)})
	}
	return s
}
