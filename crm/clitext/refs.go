package clitext

import (
	"fmt"
	"slices"
	"strings"

	"systole/crm/cib"
)

// refAttrs are the attributes that name a resource, by tag.
var refAttrs = map[string][]string{
	"rsc_location":   {"rsc"},
	"rsc_colocation": {"rsc", "with-rsc"},
	"rsc_order":      {"first", "then"},
	"rsc_ticket":     {"rsc"},
	"primitive":      {"template"},
	"resource_ref":   {"id"},
	"obj_ref":        {"id"},
	"role":           {"id"},
}

// refersTo tells whether a constraint, tag, container, template user or fencing
// level names the object.
func refersTo(e *cib.Element, id string) bool {
	for _, name := range refAttrs[e.Name()] {
		if e.Get(name) == id {
			return true
		}
	}
	if e.Name() == "fencing-level" && slices.Contains(strings.Split(e.Get("devices"), ","), id) {
		return true
	}
	for _, c := range e.Children() {
		if isContainer(e.Name()) && isResource(c.Name()) {
			if c.ID() == id {
				return true
			}
			continue
		}
		if refersTo(c, id) {
			return true
		}
	}
	return false
}

// Delete takes objects away, with the constraints that would refer to nothing.
// Members of a deleted container stay; a container that loses its last member
// goes too. notes say what else was changed or removed.
func (d *Draft) Delete(ids ...string) (notes []string, err error) {
	work := d.Clone()
	for _, id := range ids {
		o, ok := work.find(id)
		if !ok {
			if slices.Contains(ids[:slices.Index(ids, id)], id) || work.wentAlong(d, id) {
				continue
			}
			return nil, fmt.Errorf("there is no object %q; show lists them all", id)
		}
		if o.elem.Name() == "template" {
			for _, user := range work.objects() {
				if user.elem.Get("template") == id && !slices.Contains(ids, user.id()) {
					return nil, fmt.Errorf("rsc_template %q is used by %s; delete or change that first", id, user.id())
				}
			}
		}
		notes = append(notes, work.remove(o)...)
	}
	*d = *work
	return notes, nil
}

// wentAlong tells whether an object of the original is gone because another was deleted.
func (d *Draft) wentAlong(original *Draft, id string) bool {
	_, was := original.find(id)
	_, is := d.find(id)
	return was && !is
}

// remove takes one object away.
func (d *Draft) remove(o object) (notes []string) {
	d.drop(o)
	if o.kind.section == "resources" {
		notes = append(notes, d.forget(o.id())...)
	}
	if o.kind.section == "acls" {
		notes = append(notes, d.forget(o.id())...)
	}
	if o.in == nil {
		return notes
	}
	in, _ := d.findResource(o.in.ID())
	if in.elem == nil || slices.ContainsFunc(in.elem.Children(), func(c *cib.Element) bool { return isResource(c.Name()) }) || in.elem.Name() == "bundle" {
		return notes
	}
	notes = append(notes, fmt.Sprintf("%s %s removed: it has no resource left", in.kind.keyword, in.id()))
	return append(notes, d.remove(in)...)
}

// drop takes the element out; members of a container take its place.
func (d *Draft) drop(o object) {
	d.ids.add(o.elem, -1)
	if o.kind.section == "" {
		d.conf = d.conf.WithChildren(slices.DeleteFunc(slices.Clone(d.conf.Children()), func(c *cib.Element) bool { return c == o.elem })...)
		return
	}
	section := d.section(o.kind.section)
	var freed []*cib.Element
	if isContainer(o.elem.Name()) {
		for _, c := range o.elem.Children() {
			if isResource(c.Name()) {
				freed = append(freed, c)
				d.ids.add(c, 1)
			}
		}
	}
	if o.in == nil {
		i := slices.Index(section, o.elem)
		section = slices.Replace(slices.Clone(section), i, i+1, freed...)
	} else {
		section = append(replaceIn(section, o.elem, nil), freed...)
	}
	d.setSection(o.kind.section, section)
}

// forget takes references to a resource or role out of everything.
func (d *Draft) forget(id string) (notes []string) {
	for _, o := range d.objects() {
		if o.kind.section == "resources" || !refersTo(o.elem, id) {
			continue
		}
		e := withoutRef(o.elem, id)
		if e == nil {
			notes = append(notes, fmt.Sprintf("%s %s removed: it was about %s", o.kind.keyword, o.id(), id))
			d.drop(o)
			continue
		}
		notes = append(notes, fmt.Sprintf("%s %s changed: it no longer names %s", o.kind.keyword, o.id(), id))
		d.put(o.kind, o.elem, e)
	}
	return notes
}

// withoutRef takes a reference out of an object; nil when nothing is left of it.
func withoutRef(e *cib.Element, id string) *cib.Element {
	for _, name := range refAttrs[e.Name()] {
		if e.Get(name) == id {
			return nil
		}
	}
	if e.Name() == "fencing-level" {
		devices := slices.DeleteFunc(strings.Split(e.Get("devices"), ","), func(d string) bool { return d == id })
		if len(devices) == 0 {
			return nil
		}
		return e.With("devices", strings.Join(devices, ","))
	}
	var children []*cib.Element
	for _, c := range e.Children() {
		if refersTo(c, id) {
			c = withoutRef(c, id)
		}
		if c != nil {
			children = append(children, c)
		}
	}
	named := func(c *cib.Element) bool {
		return refAttrs[c.Name()] != nil || c.Name() == "resource_set" || c.Name() == "fencing-level"
	}
	if e.Name() != "acl_target" && e.Name() != "acl_group" && !slices.ContainsFunc(children, named) {
		return nil
	}
	return simplify(e.WithChildren(children...))
}

// simplify turns a constraint whose sets hold two resources into the simple
// form where that means the same, and drops one that is about one resource only.
func simplify(e *cib.Element) *cib.Element {
	if e.Name() != "rsc_order" && e.Name() != "rsc_colocation" {
		return e
	}
	var names, roles []string
	sets := 0
	attr := map[string]string{"rsc_order": "action", "rsc_colocation": "role"}[e.Name()]
	strict := true
	for set := range e.Each("resource_set") {
		sets++
		n := 0
		for r := range set.Each("resource_ref") {
			names, roles = append(names, r.ID()), append(roles, set.Get(attr))
			n++
		}
		if n > 1 && (set.Get("sequential") == "false" || set.Get("require-all") == "false") {
			strict = false
		}
	}
	switch {
	case sets == 0:
		return e
	case len(names) < 2:
		return nil
	case len(names) > 2 || !strict:
		return e
	}
	first, second := 0, 1
	if e.Name() == "rsc_colocation" && sets == 1 {
		first, second = 1, 0 // in a sequential set each member goes with the one before it
	}
	e = e.WithChildren(slices.DeleteFunc(slices.Clone(e.Children()), func(c *cib.Element) bool { return c.Name() == "resource_set" })...)
	if e.Name() == "rsc_order" {
		e = withRef(e, "first", "first-action", ref{names[first], roles[first]})
		return withRef(e, "then", "then-action", ref{names[second], roles[second]})
	}
	e = withRef(e, "rsc", "rsc-role", ref{names[first], roles[first]})
	return withRef(e, "with-rsc", "with-rsc-role", ref{names[second], roles[second]})
}

// Rename gives an object another id, and changes every reference to it. Ids
// made from the old one (old-instance_attributes…) are made from the new one.
func (d *Draft) Rename(oldID, newID string) error {
	o, ok := d.find(oldID)
	switch {
	case !ok:
		return fmt.Errorf("there is no object %q; show lists them all", oldID)
	case !validID(newID):
		return fmt.Errorf("%q cannot be an id; begin with a letter or _ and use letters, digits, - _ and . only", newID)
	case o.kind.keyword == "node" || o.kind.section == "":
		return fmt.Errorf("a %s cannot be renamed", o.kind.keyword)
	case d.ids[newID] > 0:
		return fmt.Errorf("the id %q is already in use; choose another", newID)
	}
	renamed := d.renameIn(o.elem, oldID, newID)
	if again := newNamer(d.ids, o.elem); !unique(renamed) || slices.ContainsFunc(ownIDs(renamed), again.used) {
		return fmt.Errorf("ids made from %q are already in use; choose another name", newID)
	}
	if isContainer(o.elem.Name()) { // the members are not part of the name
		d.swap(o, renamed)
	} else {
		d.put(o.kind, o.elem, renamed)
	}
	for _, other := range d.objects() {
		if other.elem != renamed && refersTo(other.elem, oldID) && !isContainer(other.elem.Name()) {
			d.put(other.kind, other.elem, redirect(other.elem, oldID, newID))
		}
	}
	return nil
}

// swap replaces a container by one with the same members.
func (d *Draft) swap(o object, e *cib.Element) {
	d.ids.add(o.elem, -1)
	d.ids.add(e, 1)
	d.setSection(o.kind.section, replaceIn(d.section(o.kind.section), o.elem, e))
}

// renameIn changes the id of an element and those below it that begin with it.
func (d *Draft) renameIn(e *cib.Element, oldID, newID string) *cib.Element {
	if id, ok := e.Lookup("id"); ok && !isReference(e.Name()) {
		switch rest, found := strings.CutPrefix(id, oldID); {
		case found && (rest == "" || rest[0] == '-'):
			e = e.With("id", newID+rest)
		}
	}
	children := slices.Clone(e.Children())
	for i, c := range children {
		if !isResource(c.Name()) {
			children[i] = d.renameIn(c, oldID, newID)
		}
	}
	return e.WithChildren(children...)
}

func ownIDs(e *cib.Element) []string {
	seen := idPool{}
	seen.add(e, 1)
	var ids []string
	for id := range seen {
		ids = append(ids, id)
	}
	return ids
}

// redirect changes references to oldID.
func redirect(e *cib.Element, oldID, newID string) *cib.Element {
	for _, name := range refAttrs[e.Name()] {
		if e.Get(name) == oldID {
			e = e.With(name, newID)
		}
	}
	if e.Name() == "fencing-level" {
		devices := strings.Split(e.Get("devices"), ",")
		for i, dev := range devices {
			if dev == oldID {
				devices[i] = newID
			}
		}
		e = e.With("devices", strings.Join(devices, ","))
	}
	children := slices.Clone(e.Children())
	for i, c := range children {
		children[i] = redirect(c, oldID, newID)
	}
	return e.WithChildren(children...)
}
