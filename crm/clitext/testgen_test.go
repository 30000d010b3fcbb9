package clitext

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"pgregory.net/rapid"
	"systole/crm/cib"
)

// generator draws whole configurations, with ids that are sometimes the ones
// the language makes and sometimes not.
type generator struct {
	t     *rapid.T
	n     int
	prims []string // top-level primitives not yet in a container
	all   []string // every resource
}

func (g *generator) coin(label string) bool { return rapid.Bool().Draw(g.t, label) }

func (g *generator) pick(label string, of ...string) string {
	return rapid.SampledFrom(of).Draw(g.t, label)
}

func (g *generator) id(prefix string) string {
	g.n++
	return fmt.Sprintf("%s%d", prefix, g.n)
}

// own is mostly the id the language would make, sometimes another.
func (g *generator) own(made string) string {
	if rapid.IntRange(0, 4).Draw(g.t, "odd id") == 0 {
		return g.id("odd.")
	}
	return made
}

func (g *generator) value() string {
	return rapid.OneOf(
		rapid.SampledFrom([]string{"", "1", "10s", "a b", `q"uote`, `back\slash`, `end\`, "it's", "x=y", "{", "#h", "é", "meta", "$x", "@y", "rule", "a:b", "INFINITY", "line\nbreak", "tab\t", "<&>"}),
		rapid.Map(rapid.StringN(0, 6, 12), legal)).Draw(g.t, "value")
}

// legal drops the characters XML cannot have.
func legal(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 && r != '\t' && r != '\n' || r == 0xFFFE || r == 0xFFFF || r == utf8.RuneError {
			return -1
		}
		return r
	}, s)
}

func (g *generator) set(tag, base string) *cib.Element {
	id := g.own(base + "-" + tag)
	e := cib.New(tag, "id", id)
	if g.coin("score") {
		e = e.With("score", g.pick("score", "1", "INFINITY", "-5"))
	}
	if g.coin("rule") {
		e = e.Append(g.rule(g.own(id + "-rule")))
	}
	for i := range rapid.IntRange(0, 3).Draw(g.t, "pairs") {
		name := g.pick("name", "ip", "a-b", "op", "on-fail", "#x", "with space", "k") + fmt.Sprint(i)
		e = e.Append(cib.New("nvpair", "id", g.own(ncName(id+"-"+name)), "name", name, "value", g.value()))
	}
	return e
}

func (g *generator) rule(id string) *cib.Element {
	e := cib.New("rule", "id", id, "score", g.pick("score", "INFINITY", "-INFINITY", "7"))
	if g.coin("role") {
		e = e.With("role", g.pick("role", "Promoted", "Started"))
	}
	n := rapid.IntRange(1, 3).Draw(g.t, "expressions")
	if n > 1 {
		e = e.With("boolean-op", g.pick("op", "and", "or"))
	}
	for i := range n {
		xid := fmt.Sprintf("%s-x%d", id, i)
		var x *cib.Element
		switch rapid.IntRange(0, 5).Draw(g.t, "form") {
		case 0:
			x = cib.New("expression", "id", xid, "attribute", "#uname", "operation", g.pick("cmp", comparisons...), "value", g.value())
		case 1:
			x = cib.New("expression", "id", xid, "attribute", "ping d", "operation", g.pick("un", "defined", "not_defined"))
		case 2:
			x = cib.New("expression", "id", xid, "attribute", "m", "type", g.pick("type", valueTypes...), "operation", "lt", "value", "3")
		case 3:
			x = cib.New("date_expression", "id", xid, "operation", "gt", "start", "2026-01-01T10:00:00+01:00")
		case 4:
			x = cib.New("date_expression", "id", xid, "operation", "in_range", "start", "2026-01-01", "end", "2026-02-01")
		default:
			x = cib.New("date_expression", "id", xid, "operation", "date_spec").Append(cib.New("date_spec", "id", xid+"-s", "hours", "9-16", "weekdays", "1-5"))
		}
		e = e.Append(x)
	}
	return e
}

func (g *generator) primitive() *cib.Element {
	id := g.id("p")
	g.prims, g.all = append(g.prims, id), append(g.all, id)
	e := cib.New("primitive", "id", id, "class", "ocf", "provider", g.pick("provider", "heartbeat", "systole"), "type", "Dummy")
	if g.coin("systemd") {
		e = cib.New("primitive", "id", id, "class", "systemd", "type", "nginx@a")
	}
	if g.coin("description") {
		e = e.With("description", g.value())
	}
	if g.coin("params") {
		e = e.Append(g.set("instance_attributes", id))
	}
	if g.coin("ops") {
		ops := cib.New("operations")
		for i := range rapid.IntRange(1, 3).Draw(g.t, "ops") {
			interval := fmt.Sprintf("%ds", 10*(i+1))
			opID := g.own(id + "-monitor-" + interval)
			op := cib.New("op", "id", opID, "name", "monitor", "interval", interval, "on-fail", g.pick("on-fail", "restart", "block"))
			if g.coin("op params") {
				op = op.Append(g.set("instance_attributes", opID))
			}
			ops = ops.Append(op)
		}
		e = e.Append(ops)
	}
	if g.coin("meta") {
		e = e.Append(g.set("meta_attributes", id))
	}
	return e
}

// take removes a primitive from the free ones.
func (g *generator) take() string {
	i := rapid.IntRange(0, len(g.prims)-1).Draw(g.t, "member")
	id := g.prims[i]
	g.prims = append(g.prims[:i:i], g.prims[i+1:]...)
	return id
}

func (g *generator) constraint() *cib.Element {
	id := g.id("k")
	rsc := func() string { return g.pick("rsc", g.all...) }
	sets := func(e *cib.Element, attr string) *cib.Element {
		for i := range rapid.IntRange(1, 3).Draw(g.t, "sets") {
			s := cib.New("resource_set", "id", fmt.Sprintf("%s-s%d", id, i))
			for _, name := range []string{"sequential", "require-all"} {
				if v := g.pick(name, "", "true", "false"); v != "" {
					s = s.With(name, v)
				}
			}
			if g.coin("role") {
				s = s.With(attr, map[string]string{"role": "Promoted", "action": "promote"}[attr])
			}
			for range rapid.IntRange(1, 3).Draw(g.t, "refs") {
				s = s.Append(cib.New("resource_ref", "id", rsc()))
			}
			e = e.Append(s)
		}
		return e
	}
	switch rapid.IntRange(0, 7).Draw(g.t, "constraint") {
	case 0:
		return cib.New("rsc_location", "id", id, "rsc", rsc(), "node", "n1", "score", g.pick("score", "INFINITY", "-INFINITY", "3"))
	case 1:
		return cib.New("rsc_location", "id", id, "rsc", rsc()).Append(g.rule(g.own(id + "-rule")))
	case 2:
		return sets(cib.New("rsc_location", "id", id, "node", "n2", "score", "5"), "role")
	case 3:
		return cib.New("rsc_colocation", "id", id, "rsc", rsc(), "with-rsc", rsc(), "with-rsc-role", "Promoted", "score", "INFINITY")
	case 4:
		return sets(cib.New("rsc_colocation", "id", id, "score", "-7"), "role")
	case 5:
		return cib.New("rsc_order", "id", id, "first", rsc(), "then", rsc(), "first-action", "promote", "kind", g.pick("kind", "Mandatory", "Optional", "Serialize"))
	case 6:
		return sets(cib.New("rsc_order", "id", id, "symmetrical", "false"), "action")
	}
	return sets(cib.New("rsc_ticket", "id", id, "ticket", "t", "loss-policy", "fence"), "role")
}

// configuration draws a whole one.
func configuration(t *rapid.T) *cib.Element {
	g := &generator{t: t}
	nodes := cib.New("nodes").Append(cib.New("node", "id", "1", "uname", "n1").Append(g.set("instance_attributes", "n1")), cib.New("node", "id", "n2", "uname", "n2"))
	byID := map[string]*cib.Element{}
	var top []*cib.Element
	for range rapid.IntRange(1, 6).Draw(t, "primitives") {
		p := g.primitive()
		byID[p.ID()] = p
		top = append(top, p)
	}
	contain := func(tag string, n int) {
		e := cib.New(tag, "id", g.id("c"))
		if g.coin("container meta") {
			e = e.Append(g.set("meta_attributes", e.ID()))
		}
		at := -1
		for range n {
			id := g.take()
			for i, r := range top {
				if r.ID() == id {
					e = e.Append(r)
					top = append(top[:i:i], top[i+1:]...)
					if at < 0 || i < at {
						at = i
					}
					break
				}
			}
		}
		g.all = append(g.all, e.ID())
		top = append(top[:at:at], append([]*cib.Element{e}, top[at:]...)...)
	}
	if len(g.prims) >= 2 && g.coin("group") {
		contain("group", 2)
	}
	if len(g.prims) >= 1 && g.coin("clone") {
		contain("clone", 1)
	}
	constraints := cib.New("constraints")
	for range rapid.IntRange(0, 4).Draw(t, "constraints") {
		constraints = constraints.Append(g.constraint())
	}
	options := g.set("cluster_property_set", "x")
	options = options.With("id", g.own("cib-bootstrap-options"))
	conf := cib.New("configuration").Append(cib.New("crm_config").Append(options), nodes, cib.New("resources").WithChildren(top...), constraints)
	if g.coin("defaults") {
		conf = conf.Append(cib.New("rsc_defaults").Append(g.set("meta_attributes", "rsc")))
	}
	if g.coin("tag") {
		conf = conf.Append(cib.New("tags").Append(cib.New("tag", "id", g.id("t")).Append(cib.New("obj_ref", "id", g.all[0]))))
	}
	return conf
}
