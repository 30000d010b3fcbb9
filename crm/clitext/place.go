package clitext

import (
	"slices"
	"strings"

	"systole/crm/cib"
)

// sectionOrder is where new sections go.
var sectionOrder = []string{"crm_config", "nodes", "resources", "constraints", "fencing-topology", "acls", "tags", "alerts", "rsc_defaults", "op_defaults"}

// setSection replaces the children of a section, making the section where it is
// missing and dropping an optional one that became empty.
func (d *Draft) setSection(name string, children []*cib.Element) {
	sections := slices.Clone(d.conf.Children())
	i := slices.IndexFunc(sections, func(s *cib.Element) bool { return s.Name() == name })
	optional := slices.Index(sectionOrder, name) >= 4
	switch {
	case i >= 0 && len(children) == 0 && optional:
		sections = slices.Delete(sections, i, i+1)
	case i >= 0:
		sections[i] = sections[i].WithChildren(children...)
	case len(children) > 0:
		sections = append(sections, cib.New(name).WithChildren(children...))
	}
	d.conf = d.conf.WithChildren(sections...)
}

// section are the children of a section, none when it is missing.
func (d *Draft) section(name string) []*cib.Element {
	if s := d.conf.Child(name); s != nil {
		return s.Children()
	}
	return nil
}

// objects are all objects in document order, members before their container.
func (d *Draft) objects() []object {
	var out []object
	for _, section := range d.conf.Children() {
		if k, ok := kindOf("", section.Name()); ok {
			out = append(out, object{kind: k, elem: section})
			continue
		}
		for _, e := range section.Children() {
			out = appendObjects(out, section.Name(), e, nil)
		}
	}
	return out
}

func appendObjects(out []object, section string, e, in *cib.Element) []object {
	if isContainer(e.Name()) && section == "resources" {
		for _, c := range e.Children() {
			if isResource(c.Name()) {
				out = appendObjects(out, section, c, e)
			}
		}
	}
	k, ok := kindOf(section, e.Name())
	switch {
	case ok:
	case e.Name() == "#comment":
		return out
	default:
		k = kind{keyword: "xml", tag: e.Name(), section: section}
	}
	return append(out, object{kind: k, elem: e, in: in})
}

func isContainer(tag string) bool { return isResource(tag) && tag != "primitive" }

// find is the object with the id; a node is found by its uname, after all others.
func (d *Draft) find(id string) (object, bool) {
	var node object
	for _, section := range d.conf.Children() {
		if section.Name() == "fencing-topology" {
			if k, _ := kindOf("", section.Name()); id == k.keyword {
				return object{kind: k, elem: section}, true
			}
			continue
		}
		for _, e := range section.Children() {
			if e.Name() == "node" && e.Get("uname") == id {
				k, _ := kindOf("nodes", "node")
				node = object{kind: k, elem: e}
				continue
			}
			if e.Name() != "node" && (e.ID() == id || isContainer(e.Name())) {
				for _, o := range appendObjects(nil, section.Name(), e, nil) {
					if o.id() == id {
						return o, true
					}
				}
			}
		}
	}
	return node, node.elem != nil
}

// resource finds a resource and the container it is in, nil at the top.
func (d *Draft) resource(id string) (e, in *cib.Element) {
	o, ok := d.findResource(id)
	if !ok {
		return nil, nil
	}
	return o.elem, o.in
}

func (d *Draft) findResource(id string) (object, bool) {
	for _, e := range d.section("resources") {
		if e.ID() != id && !isContainer(e.Name()) {
			continue
		}
		for _, o := range appendObjects(nil, "resources", e, nil) {
			if o.elem.ID() == id && isResource(o.elem.Name()) {
				return o, true
			}
		}
	}
	return object{}, false
}

// put places an object: where the old one was, else at the end of its section;
// a container where its first member was. Members move into it from where they
// were; members an old container no longer has go to the end of the resources.
func (d *Draft) put(k kind, old, e *cib.Element) {
	if old == e {
		return
	}
	if k.section == "" {
		if old != nil {
			d.ids.add(old, -1)
		}
		d.ids.add(e, 1)
		d.setSection(e.Name(), e.Children())
		return
	}
	section := slices.Clone(d.section(k.section))
	var released []*cib.Element
	at := len(section)
	if isContainer(e.Name()) && k.section == "resources" {
		moving := map[string]bool{}
		for _, c := range e.Children() {
			moving[c.ID()] = isResource(c.Name())
		}
		if old != nil {
			for _, c := range old.Children() {
				if isResource(c.Name()) && !moving[c.ID()] {
					released = append(released, c)
				}
			}
		}
		moves := func(c *cib.Element) bool { return c != old && isResource(c.Name()) && moving[c.ID()] }
		if i := slices.IndexFunc(section, moves); i >= 0 {
			at = i
		}
		section = slices.DeleteFunc(section, func(c *cib.Element) bool {
			if moves(c) {
				d.ids.add(c, -1)
				return true
			}
			return false
		})
		at = min(at, len(section))
	}
	if old != nil {
		d.ids.add(old, -1)
		section = replaceIn(section, old, e)
	} else {
		section = slices.Insert(section, at, e)
	}
	d.ids.add(e, 1)
	for _, r := range released {
		d.ids.add(r, 1)
		section = append(section, r)
	}
	d.setSection(k.section, section)
}

// replaceIn puts e (or nothing, when nil) in the place of old, at any depth of containers.
func replaceIn(list []*cib.Element, old, e *cib.Element) []*cib.Element {
	out := make([]*cib.Element, 0, len(list))
	for _, c := range list {
		switch {
		case c == old && e != nil:
			out = append(out, e)
		case c == old:
		case isContainer(c.Name()) && holds(c, old):
			out = append(out, c.WithChildren(replaceIn(c.Children(), old, e)...))
		default:
			out = append(out, c)
		}
	}
	return out
}

func holds(container, e *cib.Element) bool {
	for x := range cib.All(container) {
		if x == e {
			return true
		}
	}
	return false
}

// defineXML takes an object as XML: the element itself, or a section with several.
func (d *Draft) defineXML(s Statement, mode Mode) error {
	e, err := parseXML(s)
	if err != nil {
		return err
	}
	for _, section := range sectionOrder {
		if e.Name() == section && section != "fencing-topology" {
			for _, c := range e.Children() {
				if err := d.placeXML(s, section, c, mode); err != nil {
					return err
				}
			}
			return nil
		}
	}
	for _, k := range kinds {
		if k.tag == e.Name() {
			return d.placeXML(s, k.section, e, mode)
		}
	}
	return errorAt(s.words[0], "<%s> is not an object of the configuration", e.Name())
}

// parseXML reads the document of an xml statement.
func parseXML(s Statement) (*cib.Element, error) {
	e, err := cib.Parse([]byte(unjoin(s.raw)))
	if err != nil {
		return nil, errorAt(s.words[0], "not well-formed XML: %v", err)
	}
	return e, nil
}

// unjoin takes the line-ending backslashes out of XML that was written over several lines.
func unjoin(raw string) string {
	return strings.ReplaceAll(raw, "\\\n", "\n")
}

func (d *Draft) placeXML(s Statement, section string, e *cib.Element, mode Mode) error {
	k, ok := kindOf(section, e.Name())
	if !ok {
		k = kind{keyword: "xml", tag: e.Name(), section: section}
	}
	id := object{kind: k, elem: e}.id()
	if id == "" {
		return errorAt(s.words[0], "the <%s> has no id; give it one", e.Name())
	}
	o, exists := d.find(id)
	if exists && (o.kind.section != section || o.elem.Name() != e.Name()) {
		exists = false
	}
	if exists && mode == Create {
		return errorAt(s.words[0], "%s %q exists already; use load update to change it", k.keyword, id)
	}
	var old *cib.Element
	if exists {
		old = o.elem
	}
	n := newNamer(d.ids, old)
	if isContainer(e.Name()) && section == "resources" {
		for _, c := range e.Children() { // members that are top-level resources now move in
			if m, in := d.resource(c.ID()); isResource(c.Name()) && m != nil && in == nil {
				n.freed.add(m, 1)
			}
		}
	}
	seen := idPool{}
	seen.add(e, 1)
	for id, times := range seen {
		if times > 1 || n.used(id) {
			return errorAt(s.words[0], "the id %q in <%s> is already in use; choose another", id, e.Name())
		}
	}
	d.put(k, old, e)
	return nil
}
