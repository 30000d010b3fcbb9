package clitext

import (
	"fmt"
	"slices"
	"strings"

	"systole/crm/cib"
)

// Set changes one value that is there: path is ID.NAME for a parameter, meta or
// utilization attribute, ID.OP.NAME or ID.OP.INTERVAL.NAME for an attribute of
// an operation.
func (d *Draft) Set(path, value string) error {
	steps := strings.Split(path, ".")
	for n := len(steps) - 1; n > 0; n-- { // an id may have dots itself: the longest wins
		o, ok := d.find(strings.Join(steps[:n], "."))
		if !ok {
			continue
		}
		e, err := setValue(o, steps[n:], value)
		if err != nil {
			return fmt.Errorf("%s: %w", o.id(), err)
		}
		if isContainer(e.Name()) {
			d.swap(o, e)
		} else {
			d.put(o.kind, o.elem, e)
		}
		return nil
	}
	return fmt.Errorf("%q names no object; write ID.NAME, ID.OPERATION.NAME or ID.OPERATION.INTERVAL.NAME", path)
}

func setValue(o object, steps []string, value string) (*cib.Element, error) {
	switch len(steps) {
	case 1:
		if e, found := setPair(o.elem, steps[0], value); found {
			return e, nil
		}
		return nil, fmt.Errorf("has no parameter, meta or utilization attribute %q; add it with edit", steps[0])
	case 2:
		return setOp(o.elem, steps[0], "", steps[1], value)
	case 3:
		return setOp(o.elem, steps[0], steps[1], steps[2], value)
	}
	return nil, fmt.Errorf("%q has too many parts", strings.Join(steps, "."))
}

// setPair changes the first nvpair with the name in the sets of an object.
func setPair(e *cib.Element, name, value string) (*cib.Element, bool) {
	children := slices.Clone(e.Children())
	for i, c := range children {
		switch {
		case c.Name() == "nvpair" && c.Get("name") == name:
			children[i] = c.With("value", value)
			return e.WithChildren(children...), true
		case strings.HasSuffix(c.Name(), "_attributes") || c.Name() == "utilization":
			if set, found := setPair(c, name, value); found {
				children[i] = set
				return e.WithChildren(children...), true
			}
		}
	}
	return nil, false
}

// setOp changes an attribute of the one operation that matches.
func setOp(e *cib.Element, op, interval, name, value string) (*cib.Element, error) {
	ops := e.Child("operations")
	var match *cib.Element
	for x := range ops.Each("op") {
		if x.Get("name") != op || interval != "" && x.Get("interval") != interval {
			continue
		}
		if match != nil {
			return nil, fmt.Errorf("has several %s operations; write %s.INTERVAL.%s", op, op, name)
		}
		match = x
	}
	if match == nil {
		return nil, fmt.Errorf("has no such %s operation", op)
	}
	changed := match.With(name, value)
	if _, own := match.Lookup(name); !own && !slices.Contains(opAttrs, name) {
		var found bool
		if changed, found = setPair(match, name, value); !found {
			return nil, fmt.Errorf("operation %s has no attribute %q", op, name)
		}
	}
	return replaceChild(e, ops, replaceChild(ops, match, changed)), nil
}

func replaceChild(e, old, by *cib.Element) *cib.Element {
	children := slices.Clone(e.Children())
	children[slices.Index(children, old)] = by
	return e.WithChildren(children...)
}

// AddToGroup puts a primitive into a group: at the end, or after or before a member.
func (d *Draft) AddToGroup(group, id, where, member string) error {
	g, ok := d.findResource(group)
	if !ok || g.elem.Name() != "group" {
		return fmt.Errorf("there is no group %q", group)
	}
	m, in := d.resource(id)
	switch {
	case m == nil || m.Name() != "primitive":
		return fmt.Errorf("there is no primitive %q; define it first", id)
	case in != nil:
		return fmt.Errorf("%s is already in %s %s; take it out first", id, in.Name(), in.ID())
	}
	children := slices.Clone(g.elem.Children())
	at := len(children)
	if where != "" {
		at = slices.IndexFunc(children, func(c *cib.Element) bool { return isResource(c.Name()) && c.ID() == member })
		if at < 0 {
			return fmt.Errorf("%s is not in group %s", member, group)
		}
		if where == "after" {
			at++
		}
	}
	d.put(g.kind, g.elem, g.elem.WithChildren(slices.Insert(children, at, m)...))
	return nil
}

// RemoveFromGroup takes a primitive out of a group; it stays as a resource of its own.
func (d *Draft) RemoveFromGroup(group, id string) error {
	g, ok := d.findResource(group)
	if !ok || g.elem.Name() != "group" {
		return fmt.Errorf("there is no group %q", group)
	}
	children := slices.Clone(g.elem.Children())
	at := slices.IndexFunc(children, func(c *cib.Element) bool { return isResource(c.Name()) && c.ID() == id })
	if at < 0 {
		return fmt.Errorf("%s is not in group %s", id, group)
	}
	children = slices.Delete(children, at, at+1)
	if !slices.ContainsFunc(children, func(c *cib.Element) bool { return isResource(c.Name()) }) {
		return fmt.Errorf("%s is the only resource in group %s; delete the group instead", id, group)
	}
	d.put(g.kind, g.elem, g.elem.WithChildren(children...))
	return nil
}
