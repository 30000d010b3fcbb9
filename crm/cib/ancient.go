package cib

import (
	"cmp"
	"slices"
	"strings"
)

// The vocabulary of Heartbeat 2 and Pacemaker 0.6 (validate-with pacemaker-0.6,
// transitional-0.6, or none at all). Facts: the crm.dtd of Heartbeat 2.

// ancient translates one element, its children already translated.
func (u *upgrader) ancient(e *Element) []*Element {
	switch e.name {
	case "attributes": // the wrapper around nvpairs
		u.note("nvpairs stand in their sets, without <attributes>")
		return e.children
	case "cluster_property_set", "crm_config":
		return []*Element{u.propertySet(e)}
	case "primitive", "group", "clone", "master_slave", "master":
		return []*Element{u.ancientResource(e)}
	case "op":
		e = hyphened(e)
		if prereq, ok := e.Lookup("prereq"); ok {
			e = e.Without("prereq").With("requires", prereq)
		}
		if disabled, ok := ParseBool(e.Get("disabled")); ok {
			e = e.Without("disabled").With("enabled", boolText(!disabled))
		}
		if _, ok := e.Lookup("interval"); !ok {
			e = e.With("interval", "0")
		}
		return []*Element{e}
	case "rsc_colocation":
		return []*Element{u.ancientColocation(hyphened(e))}
	case "rsc_order":
		return []*Element{u.ancientOrder(hyphened(e))}
	case "rule", "expression", "date_expression", "rsc_location", "date_spec":
		return []*Element{hyphened(e)}
	}
	return []*Element{e}
}

func boolText(b bool) string {
	if b {
		return "true"
	}
	return "false"
}

// hyphened puts hyphens in place of underscores in attribute names, and begins
// roles with a capital letter.
func hyphened(e *Element) *Element {
	for _, name := range []string{"role", "from_role", "to_role"} {
		if v, ok := e.Lookup(name); ok && v != "" {
			e = e.With(name, strings.ToUpper(v[:1])+v[1:])
		}
	}
	for _, a := range e.attrs {
		if strings.Contains(a.Name, "_") {
			c := *e
			c.attrs = slices.Clone(e.attrs)
			for i := range c.attrs {
				c.attrs[i].Name = strings.ReplaceAll(c.attrs[i].Name, "_", "-")
			}
			return &c
		}
	}
	return e
}

// propertySet puts nvpairs that stand directly in crm_config into a set.
func (u *upgrader) propertySet(e *Element) *Element {
	if e.name != "crm_config" || e.Child("nvpair") == nil {
		return e
	}
	set := New("cluster_property_set", "id", u.newID("cib-bootstrap-options"))
	rest := make([]*Element, 0, len(e.children))
	for _, c := range e.children {
		if c.name == "nvpair" {
			set = set.Append(c)
		} else {
			rest = append(rest, c)
		}
	}
	return e.WithChildren(append(rest, set)...)
}

// ancientOptions are attributes of resources that are meta-attributes now.
var ancientOptions = map[string]string{
	"is_managed": "is-managed", "restart_type": "restart-type", "multiple_active": "multiple-active", "resource_stickiness": "resource-stickiness",
	"priority": "priority", "ordered": "ordered", "collocated": "collocated", "notify": "notify", "interleave": "interleave",
	"globally_unique": "globally-unique", "max_masters": "master-max", "max_node_masters": "master-node-max",
	"clone_max": "clone-max", "clone_node_max": "clone-node-max", "master_max": "master-max", "master_node_max": "master-node-max",
	"target_role": "target-role", "is-managed": "is-managed", "resource_failure_stickiness": "",
}

// ancientResource turns options into meta-attributes, whether they stood as
// attributes or among the instance attributes (of clones, and target_role of all).
func (u *upgrader) ancientResource(e *Element) *Element {
	for _, a := range e.attrs {
		meta, known := ancientOptions[a.Name]
		if !known {
			continue
		}
		e = e.Without(a.Name)
		if meta != "" && a.Value != "default" {
			u.note("%s of %q is a meta-attribute", a.Name, e.ID())
			e = u.withMeta(e, meta, a.Value)
		}
	}
	isContainer := e.name != "primitive"
	for _, set := range e.children {
		if set.name != "instance_attributes" {
			continue
		}
		for _, pair := range set.children {
			meta := ancientOptions[pair.Get("name")]
			if meta == "" || !isContainer && meta != "target-role" && meta != "is-managed" {
				continue
			}
			at := set.IndexFunc(func(c *Element) bool { return c == pair })
			set = set.RemoveChild(at)
			u.note("%s of %q is a meta-attribute", pair.Get("name"), e.ID())
			e = u.withMeta(e.ReplaceChild(e.indexOf(set), set), meta, pair.Get("value"))
		}
		if len(set.children) == 0 {
			e = e.RemoveChild(e.indexOf(set))
		}
	}
	return e
}

func (u *upgrader) ancientColocation(e *Element) *Element {
	for _, a := range []Attr{{"from", "rsc"}, {"to", "with-rsc"}, {"from-role", "rsc-role"}, {"to-role", "with-rsc-role"}} {
		if v, ok := e.Lookup(a.Name); ok {
			e = e.Without(a.Name).With(a.Value, v)
			u.note("%s of colocation %q is %s", a.Name, e.ID(), a.Value)
		}
	}
	return e
}

// ancientOrder: "from after to" (the default) is "first to then from"; action
// belongs to from, to_action to to.
func (u *upgrader) ancientOrder(e *Element) *Element {
	from, ok := e.Lookup("from")
	if !ok {
		return e
	}
	first, then := Attr{e.Get("to"), e.Get("to-action")}, Attr{from, e.Get("action")}
	if e.Get("type") == "before" {
		first, then = then, first
	}
	u.note("order %q says first and then", e.ID())
	for _, name := range []string{"from", "to", "type", "action", "to-action"} {
		e = e.Without(name)
	}
	e = e.With("first", first.Name).With("then", then.Name)
	action := cmp.Or(first.Value, then.Value)
	if action != "" {
		e = e.With("first-action", cmp.Or(first.Value, action)).With("then-action", cmp.Or(then.Value, action))
	}
	return e
}
