package cib

import (
	"fmt"
	"slices"
	"strings"

	"systole/crm/exit"
)

// Upgrade brings a document of an older vocabulary to [CurrentSchema]: that of
// Heartbeat 2 and Pacemaker 0.6 (<attributes> inside attribute sets, options as
// attributes of resources, from/to in constraints), options that moved into
// rsc_defaults and op_defaults, ACLs before 2.0, and <master>. What it does not know it
// keeps; what has no place any more (a value that is the default today) it
// drops. Role names Master and Slave stay: readers know them. Notes say for
// people what was changed; a document that is current comes back itself. The error carries
// [exit.Config].
func Upgrade(root *Element) (upgraded *Element, notes []string, err error) {
	if root == nil || root.name != "cib" {
		return root, nil, exit.Errorf(exit.Config, "only a <cib> can be upgraded")
	}
	u := &upgrader{ids: make(map[string]bool)}
	for e := range All(root) {
		if id, ok := e.Lookup("id"); ok {
			u.ids[id] = true
		}
	}
	from := schemaOf(root)
	if _, named := root.Lookup("validate-with"); !named {
		from = schemaAncient
	}
	if from == schemaUnknown {
		return root, nil, exit.Errorf(exit.Config, "validate-with=%q is not a schema this program knows", root.Get("validate-with"))
	}
	next := root
	if from == schemaAncient || from == schemaNone {
		next = rewrite(next, u.ancient)
	}
	next = rewrite(next, u.master)
	if from != schemaCurrent {
		next = u.configuration(next, u.defaults)
		next = u.configuration(next, u.acls)
		next = rewrite(next, u.operation)
	}
	if schema := next.Get("validate-with"); schema != CurrentSchema && schema != "pacemaker-3.10" && schema != "pacemaker-next" {
		u.note("schema %s instead of %q", CurrentSchema, schema)
		next = next.With("validate-with", CurrentSchema)
	}
	return next, u.notes, nil
}

// upgrader collects what was done and which ids are taken.
type upgrader struct {
	notes []string
	ids   map[string]bool
}

func (u *upgrader) note(format string, args ...any) {
	if n := fmt.Sprintf(format, args...); !slices.Contains(u.notes, n) {
		u.notes = append(u.notes, n)
	}
}

// newID is an id like the one wished for that no element has.
func (u *upgrader) newID(wish string) string {
	id := CleanID(wish)
	for n := 1; u.ids[id]; n++ {
		id = fmt.Sprintf("%s-%d", CleanID(wish), n)
	}
	u.ids[id] = true
	return id
}

// configuration replaces the configuration section by what f makes of it.
func (u *upgrader) configuration(root *Element, f func(*Element) *Element) *Element {
	i := root.IndexFunc(func(e *Element) bool { return e.name == "configuration" })
	if i < 0 {
		return root
	}
	return root.ReplaceChild(i, f(root.children[i]))
}

// rewrite replaces every element by what f makes of it, children first. f may
// give several elements, or none, for one. Unchanged parts are shared.
func rewrite(e *Element, f func(*Element) []*Element) *Element {
	children := make([]*Element, 0, len(e.children))
	changed := false
	for _, c := range e.children {
		next := f(rewrite(c, f))
		children = append(children, next...)
		changed = changed || len(next) != 1 || next[0] != c
	}
	if !changed {
		return e
	}
	return e.WithChildren(children...)
}

// master makes a promotable clone of <master>.
func (u *upgrader) master(e *Element) []*Element {
	if e.name != "master" && e.name != "master_slave" {
		return []*Element{e}
	}
	u.note("<%s id=%q> is a clone with promotable=true", e.name, e.ID())
	return []*Element{u.withMeta(e.renamed("clone"), "promotable", "true")}
}

func (e *Element) renamed(name string) *Element {
	c := *e
	c.name = name
	return &c
}

// withMeta sets a meta-attribute unless it is there already.
func (u *upgrader) withMeta(e *Element, name, value string) *Element {
	for set := range e.Each("meta_attributes") {
		for pair := range set.Each("nvpair") {
			if pair.Get("name") == name {
				return e
			}
		}
	}
	i := e.IndexFunc(func(c *Element) bool {
		return c.name == "meta_attributes" && c.Get("id-ref") == "" && c.Child("rule") == nil
	})
	if i >= 0 {
		set := e.children[i]
		return e.ReplaceChild(i, set.Append(u.pair(set.ID(), name, value)))
	}
	set := New("meta_attributes", "id", u.newID(e.ID()+"-meta_attributes"))
	return e.InsertChild(0, set.Append(u.pair(set.ID(), name, value)))
}

func (u *upgrader) pair(setID, name, value string) *Element {
	return New("nvpair", "id", u.newID(setID+"-"+name), "name", name, "value", value)
}

// movedOptions are cluster options that are defaults of resources and
// operations now.
var movedOptions = map[string]struct{ section, name string }{
	"default-resource-stickiness": {"rsc_defaults", "resource-stickiness"},
	"is-managed-default":          {"rsc_defaults", "is-managed"},
	"default-migration-threshold": {"rsc_defaults", "migration-threshold"},
	"default-action-timeout":      {"op_defaults", "timeout"},
}

// goneOptions have no meaning any more.
var goneOptions = []string{"default-resource-failure-stickiness", "short-resource-names", "ignore-missing-agents", "notification-agent", "notification-recipient", "transition-idle-timeout"}

// defaults moves cluster options to where they are read today, and puts hyphens
// in place of underscores in their names.
func (u *upgrader) defaults(configuration *Element) *Element {
	moved := make(map[string][]*Element)
	next := rewrite(configuration, func(e *Element) []*Element {
		if e.name != "crm_config" {
			return []*Element{e}
		}
		return []*Element{rewrite(e, func(pair *Element) []*Element {
			if pair.name != "nvpair" {
				return []*Element{pair}
			}
			name := strings.ReplaceAll(pair.Get("name"), "_", "-")
			if to, ok := movedOptions[name]; ok {
				u.note("option %s is %s of %s", pair.Get("name"), to.name, to.section)
				moved[to.section] = append(moved[to.section], pair.With("name", to.name))
				return nil
			}
			if slices.Contains(goneOptions, name) {
				u.note("option %s is dropped: it has no meaning any more", pair.Get("name"))
				return nil
			}
			if name != pair.Get("name") && optionKinds[name] != nil {
				u.note("option %s is called %s", pair.Get("name"), name)
				return []*Element{pair.With("name", name)}
			}
			return []*Element{pair}
		})}
	})
	for _, section := range []string{"rsc_defaults", "op_defaults"} {
		if pairs := moved[section]; len(pairs) > 0 {
			next, _, _ = descend(next, []string{section}, true)
			i := next.IndexFunc(func(c *Element) bool { return c.name == section })
			set := New("meta_attributes", "id", u.newID(section+"-options")).WithChildren(pairs...)
			next = next.ReplaceChild(i, next.children[i].Append(set))
		}
	}
	return next
}

// operation moves requires (prereq of old) from the start operation to the
// resource, where it is read now. Nodes of type normal are members.
func (u *upgrader) operation(e *Element) []*Element {
	if e.name == "node" && e.Get("type") == "normal" {
		return []*Element{e.With("type", "member")}
	}
	if e.name != "primitive" && e.name != "template" || e.Child("operations") == nil {
		return []*Element{e}
	}
	requires := ""
	next := rewrite(e, func(op *Element) []*Element {
		if op.name != "op" {
			return []*Element{op}
		}
		value, has := op.Lookup("requires")
		if !has {
			return []*Element{op}
		}
		if op.Get("name") == "start" {
			requires = value
		}
		u.note("requires of operations of %q is a meta-attribute of the resource", e.ID())
		return []*Element{op.Without("requires")}
	})
	if requires != "" {
		next = u.withMeta(next, "requires", requires)
	}
	return []*Element{next}
}

// acls turns ACLs as they were before 2.0 into roles and targets: users become
// targets, and what a user was allowed by itself becomes a role of its own.
func (u *upgrader) acls(configuration *Element) *Element {
	return rewrite(configuration, func(e *Element) []*Element {
		switch e.name {
		case "read", "write", "deny":
			p := New("acl_permission", "id", e.ID(), "kind", e.name)
			for _, a := range []Attr{{"tag", "object-type"}, {"ref", "reference"}, {"xpath", "xpath"}, {"attribute", "attribute"}} {
				if v, ok := e.Lookup(a.Name); ok {
					p = p.With(a.Value, v)
				}
			}
			return []*Element{p}
		case "role_ref":
			return []*Element{e.renamed("role")}
		case "acl_user":
			u.note("acl_user %q is an acl_target", e.ID())
			return u.target(e)
		}
		return []*Element{e}
	})
}

func (u *upgrader) target(user *Element) []*Element {
	target := user.renamed("acl_target")
	target.children = nil
	role := New("acl_role")
	for _, c := range user.children {
		if c.name == "acl_permission" {
			role = role.Append(c)
			continue
		}
		target = target.Append(c)
	}
	if len(role.children) == 0 {
		return []*Element{target}
	}
	role = role.With("id", u.newID("acl_role-"+user.ID()))
	return []*Element{role, target.Append(New("role", "id", role.ID()))}
}
