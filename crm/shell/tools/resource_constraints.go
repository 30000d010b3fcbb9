package tools

import (
	"fmt"
	"strings"

	"systole/crm/cib"
	"systole/crm/model"
	"systole/crm/shell/change"
)

// constraints prints the location and colocation constraints of a resource: with
// those of what it is placed with, one step far or as far as it goes.
func (a *resourceCall) constraints(p *program, recursive bool) error {
	c, s, err := p.state()
	if err != nil {
		return err
	}
	r, err := found(s, a.resource)
	if err != nil {
		return err
	}
	id := r.BaseID
	if !a.force { // of a member, those of the whole
		if e, in := change.Resource(c.Root(), id); e != nil && in != nil {
			id = in.ID()
			if _, outer := change.Resource(c.Root(), id); outer != nil {
				id = outer.ID()
			}
		}
	}
	t := stack{p: p, list: model.Decode(c.Root()).Constraints, seen: map[string]bool{id: true}, deep: recursive}
	t.locations(id, "", "")
	t.colocated(id, "", "", true)
	t.colocated(id, "", "", false)
	return nil
}

// stack walks through colocations and prints as it goes.
type stack struct {
	p    *program
	list model.Constraints
	seen map[string]bool
	deep bool
}

// locations prints under an indent; heads below the first level have a bullet.
func (t *stack) locations(id, indent, bullet string) {
	first := true
	for _, c := range t.list {
		l, ok := c.(*model.Location)
		if !ok || l.Resource != id || l.Node == "" && len(l.Rules) == 0 {
			continue
		}
		node, score := l.Node, l.Score
		if node == "" {
			node, score = ruleNode(l.Rules[0])
		}
		if node == "" {
			continue
		}
		if first {
			t.p.Printf("%s%sLocations:\n", indent, bullet)
			first = false
		}
		t.p.Printf("%s  * Node %s (score=%s, id=%s, rsc=%s)\n", indent, node, score, l.ID, l.Resource)
	}
}

// ruleNode is the node of a rule about #uname.
func ruleNode(rule *cib.Element) (node, score string) {
	for x := range rule.Each("expression") {
		if x.Get("attribute") == "#uname" && x.Get("operation") == "eq" {
			return x.Get("value"), rule.Get("score")
		}
	}
	return "", ""
}

// colocated prints who is placed with the resource (dependents), or whom it is placed with.
func (t *stack) colocated(id, indent, bullet string, dependents bool) {
	first := true
	for _, c := range t.list {
		l, ok := c.(*model.Colocation)
		if !ok {
			continue
		}
		mine, other, role := l.Primary, l.Dependent, l.PrimaryRole
		title, word := fmt.Sprintf("Resources colocated with %s:", id), "needs"
		if !dependents {
			mine, other = l.Dependent, l.Primary
			title, word = fmt.Sprintf("Resources %s is colocated with:", id), "with"
		}
		if mine != id {
			continue
		}
		if first {
			t.p.Printf("%s%s%s\n", indent, bullet, title)
			first = false
		}
		details := []string{"score=" + l.Score}
		if role != "" {
			details = append(details, word+" role="+role)
		}
		details = append(details, "id="+l.ID)
		t.p.Printf("%s  * %s (%s)\n", indent, other, strings.Join(details, ", "))
		if t.seen[other] {
			continue
		}
		t.seen[other] = true
		deeper := indent + "    "
		t.locations(other, deeper, "* ")
		if t.deep {
			t.colocated(other, deeper, "* ", dependents)
		}
	}
}
