package clitext

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"systole/crm/cib"
)

// Draft is a configuration being edited. A method that returns an error has
// changed nothing.
type Draft struct {
	conf *cib.Element
	ids  idPool
	// Resolve finds class and provider for an agent named by its type alone; nil
	// means ocf:heartbeat, which is what crmsh prefers too.
	Resolve func(typ string) (class, provider string)
	// previous objects by id, gone from conf: their ids and equal parts are kept
	// when a statement makes them again.
	previous map[string]*cib.Element
}

// NewDraft starts editing a configuration element; nil is an empty one.
func NewDraft(conf *cib.Element) *Draft {
	if conf == nil {
		conf = cib.New("configuration")
	}
	for _, section := range []string{"crm_config", "nodes", "resources", "constraints"} {
		if conf.Child(section) == nil {
			conf = conf.Append(cib.New(section))
		}
	}
	d := &Draft{conf: conf, ids: idPool{}}
	d.ids.add(conf, 1)
	return d
}

// Clone is an independent copy.
func (d *Draft) Clone() *Draft {
	c := *d
	c.ids = maps.Clone(d.ids)
	return &c
}

// Configuration is the configuration as it now stands.
func (d *Draft) Configuration() *cib.Element { return d.conf }

func (d *Draft) resolve(typ string) (class, provider string) {
	if d.Resolve != nil {
		if class, provider = d.Resolve(typ); class != "" {
			return class, provider
		}
	}
	return "ocf", "heartbeat"
}

// Mode says what a statement may do to an object that exists.
type Mode int

// The modes.
const (
	Create Mode = iota // the object must be new; sets of options are added to
	Update             // the object is made, or takes the place of the one with its id
)

// Define carries out one statement that defines an object.
func (d *Draft) Define(s Statement, mode Mode) error {
	switch keyword := s.Keyword(); keyword {
	case "xml":
		return d.defineXML(s, mode)
	case "monitor":
		return d.monitor(s)
	case "user":
		return errorAt(s.words[0], "user belongs to the access control of old schemas; define a role, and an acl_target that has it")
	}
	k, ok := objects[s.Keyword()]
	if !ok {
		return errorAt(s.words[0], "unknown object; %s", nearest(s.Keyword(), slices.Collect(maps.Keys(objects))))
	}
	old, err := d.replaced(k, s, mode)
	if err != nil {
		return err
	}
	e, err := d.build(k, s, old)
	if err != nil {
		return err
	}
	d.put(k, old, e)
	return nil
}

// replaced finds the object the statement is about, if it exists.
func (d *Draft) replaced(k kind, s Statement, mode Mode) (*cib.Element, error) {
	id := d.subject(k, s)
	if k.keyword != "node" && k.keyword != "fencing_topology" && d.ids[id] == 0 {
		return nil, nil // nothing has the id: no need to look for it, which a large text would notice
	}
	o, ok := d.find(id)
	switch {
	case !ok:
		return nil, nil
	case o.kind.section != k.section || o.kind.keyword != k.keyword:
		if k.keyword == "node" || o.kind.keyword == "node" {
			return nil, nil // a node and a resource may share a name
		}
		return nil, errorAt(s.words[min(1, len(s.words)-1)], "%q is a %s already; choose another id", id, o.kind.keyword)
	case mode == Create && k.read != nil && !k.isOptions() && k.keyword != "fencing_topology":
		return nil, errorAt(s.words[min(1, len(s.words)-1)], "%s %q exists already; change it with edit or load update, or choose another id", k.keyword, id)
	}
	return o.elem, nil
}

func (k kind) isOptions() bool {
	return k.keyword == "property" || k.keyword == "rsc_defaults" || k.keyword == "op_defaults"
}

// subject guesses the id of the object without reading the whole statement.
func (d *Draft) subject(k kind, s Statement) string {
	sc := &scan{words: s.words, pos: 1}
	switch k.keyword {
	case "property":
		return optionsID(sc, "cib-bootstrap-options")
	case "rsc_defaults":
		return optionsID(sc, "rsc-options")
	case "op_defaults":
		return optionsID(sc, "op-options")
	case "fencing_topology":
		return k.keyword
	case "node":
		sc.idOption()
		sc.label()
		uname, _, _ := cutColon(sc.peek().text)
		return uname
	case "tag":
		name, _, _ := cutColon(sc.peek().text)
		return name
	}
	if _, id, ok := sc.idOption(); ok {
		return id
	}
	return sc.peek().text
}

// build reads the statement. Parts like those of the object it replaces, or of
// one of that name that was cleared away, keep their ids.
func (d *Draft) build(k kind, s Statement, old *cib.Element) (*cib.Element, error) {
	n := newNamer(d.ids, freed(k, old))
	e, err := k.read(&builder{namer: n, draft: d, old: old}, &scan{words: s.words, pos: 1})
	if err != nil {
		return nil, err
	}
	var comments []*cib.Element
	for _, c := range s.comments {
		comments = append(comments, cib.New("#comment").WithText(c))
	}
	e = e.WithChildren(append(comments, e.Children()...)...)
	like := old
	if old == nil {
		like = d.previous[d.subject(k, s)]
	}
	if like == nil || like.Name() != e.Name() || old != nil && k.isOptions() { // options were merged with what was there
		return e, nil
	}
	if g := n.graft(like, e); unique(g) {
		e = g
	}
	if Equivalent(like, e) && !isContainer(e.Name()) {
		return like, nil
	}
	return e, nil
}

// freed is what of the replaced object gives its ids back: all of it, but not
// the members of a container, and of a set of options, which is added to, only
// its own id.
func freed(k kind, old *cib.Element) *cib.Element {
	switch {
	case old == nil:
		return nil
	case k.isOptions():
		return cib.New(old.Name(), "id", old.ID())
	case isContainer(old.Name()):
		return old.WithChildren(slices.DeleteFunc(slices.Clone(old.Children()), func(c *cib.Element) bool { return isResource(c.Name()) })...)
	}
	return old
}

// graft gives parts whose ids were made up the ids of the like parts of old.
func (n *namer) graft(old, e *cib.Element) *cib.Element {
	taken := map[*cib.Element]bool{}
	children := slices.Clone(e.Children())
	changed := false
	for i, c := range children {
		if isResource(c.Name()) {
			continue
		}
		for _, o := range old.Children() {
			if taken[o] || o.Name() != c.Name() || partKey(o) != partKey(c) {
				continue
			}
			taken[o] = true
			if n.auto[c.ID()] && o.ID() != "" {
				c = c.With("id", o.ID())
			}
			children[i] = n.graft(o, c)
			changed = true
			break
		}
	}
	if !changed {
		return e
	}
	return e.WithChildren(children...)
}

// partKey tells like parts of two versions of an object.
func partKey(e *cib.Element) string {
	switch e.Name() {
	case "nvpair":
		return e.Get("name")
	case "op":
		return e.Get("name") + " " + e.Get("interval") + " " + e.Get("role")
	}
	return ""
}

// unique tells whether no id occurs twice in the element.
func unique(e *cib.Element) bool {
	seen := idPool{}
	seen.add(e, 1)
	for _, n := range seen {
		if n > 1 {
			return false
		}
	}
	return true
}

// Load carries out all statements of a text, in an order in which what they
// refer to exists; the text need not be sorted. It reports every error and
// then changes nothing.
func (d *Draft) Load(text string, mode LoadMode) error {
	statements, err := Statements(text)
	if err != nil {
		return err
	}
	work := d.Clone()
	if mode != LoadUpdate {
		work.clear(mode == LoadPush)
	}
	work.release(statements)
	var errs []error
	for len(statements) > 0 {
		var later []Statement
		var missing []error
		for _, s := range statements {
			err := work.Define(s, Update)
			if _, wait := errors.AsType[*missingError](err); wait {
				later, missing = append(later, s), append(missing, err)
			} else if err != nil {
				errs = append(errs, err)
			}
		}
		if len(later) == len(statements) {
			errs = append(errs, missing...)
			break
		}
		statements = later
	}
	if errs != nil {
		return errors.Join(errs...)
	}
	work.previous = nil
	*d = *work
	return nil
}

// release takes those members out of containers that the statements will define
// without them, so that a text may move members from one to another.
func (d *Draft) release(statements []Statement) {
	for _, s := range statements {
		k, ok := objects[s.Keyword()]
		if !ok || !isContainer(k.tag) {
			continue
		}
		o, ok := d.findResource(d.subject(k, s))
		if !ok || o.elem.Name() != k.tag {
			continue
		}
		words := s.Args()
		kept := slices.DeleteFunc(slices.Clone(o.elem.Children()), func(c *cib.Element) bool {
			return isResource(c.Name()) && !slices.Contains(words, c.ID())
		})
		if len(kept) < len(o.elem.Children()) {
			d.put(k, o.elem, o.elem.WithChildren(kept...))
		}
	}
}

// Replace makes another configuration the one being edited.
func (d *Draft) Replace(conf *cib.Element) {
	next := NewDraft(conf)
	d.conf, d.ids = next.conf, next.ids
}

// LoadMode says what a text does to the configuration it is loaded into.
type LoadMode int

// The modes of load.
const (
	LoadUpdate  LoadMode = iota // add and change what the text has
	LoadReplace                 // the text is the whole configuration; nodes stay
	LoadPush                    // like replace, but parts that stay equal keep their ids
)

// clear takes away all objects but nodes.
func (d *Draft) clear(keepIDs bool) {
	if keepIDs {
		d.previous = map[string]*cib.Element{}
	}
	for _, o := range d.objects() {
		if o.kind.keyword == "node" {
			continue
		}
		if keepIDs {
			d.previous[o.id()] = o.elem
		}
	}
	var kept []*cib.Element
	for _, section := range d.conf.Children() {
		switch section.Name() {
		case "nodes":
			kept = append(kept, section)
		case "crm_config", "resources", "constraints":
			kept = append(kept, cib.New(section.Name()))
		}
	}
	d.conf = d.conf.WithChildren(kept...)
	d.ids = idPool{}
	d.ids.add(d.conf, 1)
}

// Erase takes away all objects; nodes only when asked.
func (d *Draft) Erase(nodes bool) {
	d.clear(false)
	if nodes {
		d.setSection("nodes", nil)
		d.ids = idPool{}
		d.ids.add(d.conf, 1)
	}
}

// nearest proposes the closest of the known words.
func nearest(word string, known []string) string {
	if best := Nearest(word, known); best != "" {
		return fmt.Sprintf("did you mean %s?", best)
	}
	return "see help configure for what there is"
}
