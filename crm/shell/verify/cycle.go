package verify

import (
	"slices"
	"strings"

	"systole/crm/cib"
)

// step is an action of a resource as order constraints see it: where it begins
// or ends, because a container's does both at different times.
type step struct {
	rsc, action string
	end         bool
}

// edge says that to comes after from, because of a constraint or container.
type edge struct {
	to  step
	why string
}

// orders is the graph of mandatory order.
type orders map[step][]edge

func (o orders) add(from, to step, why string) { o[from] = append(o[from], edge{to, why}) }

// cycles finds mandatory order constraints that chase each other.
func (c *checker) cycles() {
	g := orders{}
	for _, e := range c.order {
		c.contain(g, e)
	}
	for e := range c.conf.Child("constraints").Each("rsc_order") {
		if kind := e.Get("kind"); kind != "" && !strings.EqualFold(kind, "Mandatory") || e.Get("score") == "0" {
			continue
		}
		c.ordered(g, e)
	}
	g.report(c)
}

// contain adds what containers imply: members run inside, a group's one after another.
func (c *checker) contain(g orders, e *cib.Element) {
	for _, action := range []string{"start", "promote"} {
		begin, end := step{e.ID(), action, false}, step{e.ID(), action, true}
		g.add(begin, end, "")
		last := begin
		for _, m := range e.Children() {
			if !isResource(m.Name()) {
				continue
			}
			why := e.Name() + " " + e.ID()
			g.add(last, step{m.ID(), action, false}, why)
			g.add(step{m.ID(), action, true}, end, why)
			if e.Name() == "group" {
				last = step{m.ID(), action, true}
			}
		}
	}
	g.add(step{e.ID(), "start", true}, step{e.ID(), "promote", false}, "")
}

// ordered adds one constraint.
func (c *checker) ordered(g orders, e *cib.Element) {
	link := func(first, firstAction, then, thenAction string) {
		if firstAction == "" {
			firstAction = "start"
		}
		if thenAction == "" {
			thenAction = firstAction
		}
		g.add(step{first, firstAction, true}, step{then, thenAction, false}, e.ID())
	}
	if e.Child("resource_set") == nil {
		link(e.Get("first"), e.Get("first-action"), e.Get("then"), e.Get("then-action"))
		return
	}
	var before []string
	beforeAction := ""
	for set := range e.Each("resource_set") {
		var members []string
		for r := range set.Each("resource_ref") {
			members = append(members, r.ID())
		}
		action := set.Get("action")
		sequential := set.Get("sequential") != "false"
		if sequential {
			for i := 1; i < len(members); i++ {
				link(members[i-1], action, members[i], action)
			}
		}
		first, last := members, members
		if sequential && len(members) > 0 {
			first, last = members[:1], members[len(members)-1:]
		}
		for _, b := range before {
			for _, m := range first {
				link(b, beforeAction, m, action)
			}
		}
		if set.Get("require-all") != "false" { // one of many is no hard dependency on each
			before, beforeAction = last, action
		} else {
			before = nil
		}
	}
}

// report finds one cycle for each place one can begin at, and says what it is made of.
func (g orders) report(c *checker) {
	const (
		open = iota + 1
		done
	)
	state := map[step]int{}
	var path []edge
	var visit func(s step)
	visit = func(s step) {
		state[s] = open
		for _, e := range g[s] {
			switch state[e.to] {
			case open:
				c.cycle(append(slices.Clone(path), e))
			case 0:
				path = append(path, e)
				visit(e.to)
				path = path[:len(path)-1]
			}
		}
		state[s] = done
	}
	for _, e := range c.order { // in document order, so that the report is always the same
		for _, action := range []string{"start", "promote"} {
			if s := (step{e.ID(), action, false}); state[s] == 0 {
				path = nil
				visit(s)
			}
		}
	}
}

// cycle reports a path whose last edge leads back into it.
func (c *checker) cycle(path []edge) {
	last := path[len(path)-1].to
	begin := len(path) - 1
	for begin > 0 && path[begin-1].to != last {
		begin--
	}
	var names, why []string
	for _, e := range path[begin:] {
		if len(names) == 0 || names[len(names)-1] != e.to.rsc {
			names = append(names, e.to.rsc)
		}
		if e.why != "" && !slices.Contains(why, e.why) {
			why = append(why, e.why)
		}
	}
	if len(names) > 1 && names[0] == names[len(names)-1] {
		names = names[1:]
	}
	var constraints []string
	for _, w := range why {
		if !strings.Contains(w, " ") {
			constraints = append(constraints, w)
			c.told[w] = true
		}
	}
	object := "order"
	if len(constraints) > 0 {
		object = constraints[0]
	}
	slices.Sort(why)
	c.add(cib.Error, object, "the mandatory order goes round in a circle through %s (%s); nothing of it could ever start: delete one of these constraints or make it Optional",
		strings.Join(names, ", "), strings.Join(why, ", "))
}
