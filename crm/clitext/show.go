package clitext

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"systole/crm/cib"
)

// ShowOptions say how a configuration is printed.
type ShowOptions struct {
	// XML prints the whole configuration, or the chosen objects, as XML.
	XML bool
	// Obscure are glob patterns of attribute names whose values are hidden.
	Obscure []string
	// DocumentOrder prints objects as they stand in the CIB, members before their
	// container, so that loading the text gives the same order. Otherwise
	// objects are sorted by kind and id, as crmsh does.
	DocumentOrder bool
}

// hidden stands for an obscured value.
const hidden = "******"

// Show prints the objects that a selection chooses ([Draft.Select]); an empty
// selection is everything. Each statement ends with a line end.
func (d *Draft) Show(selection []string, base *Draft, opt ShowOptions) (string, error) {
	var terms []string
	for _, t := range selection {
		if glob, ok := strings.CutPrefix(t, "obscure:"); ok {
			opt.Obscure = append(opt.Obscure, glob)
			continue
		}
		if t == "xml" && len(terms) == 0 {
			opt.XML = true
			continue
		}
		terms = append(terms, t)
	}
	chosen, err := d.choose(terms, base)
	if err != nil {
		return "", err
	}
	if opt.XML {
		return d.showXML(chosen, opt), nil
	}
	if !opt.DocumentOrder {
		sortObjects(chosen)
	}
	var b strings.Builder
	var inside []*cib.Element // containers printed as XML bring their members along
	texts := make([]string, len(chosen))
	for i, o := range chosen {
		o.elem = obscure(o.elem, opt.Obscure)
		text, asXML := o.text(d.conf)
		if asXML && isContainer(o.elem.Name()) {
			inside = append(inside, o.elem)
		}
		texts[i] = text + "\n"
	}
	for i, o := range chosen {
		if !slices.ContainsFunc(inside, func(c *cib.Element) bool { return c != o.elem && holds(c, o.elem) }) {
			b.WriteString(texts[i])
		}
	}
	return b.String(), nil
}

// sortObjects orders as crmsh's show does: by kind, then by id.
func sortObjects(list []object) {
	slices.SortStableFunc(list, func(x, y object) int {
		if c := rank(x.kind) - rank(y.kind); c != 0 {
			return c
		}
		return strings.Compare(sortID(x), sortID(y))
	})
}

func rank(k kind) int {
	i := slices.IndexFunc(kinds, func(o kind) bool { return o.keyword == k.keyword })
	if i < 0 {
		return len(kinds)
	}
	return i
}

func sortID(o object) string {
	if o.kind.keyword == "fencing_topology" {
		return ""
	}
	return o.elem.ID()
}

// showXML prints the configuration with only the chosen objects in it.
func (d *Draft) showXML(chosen []object, opt ShowOptions) string {
	keep := map[*cib.Element]bool{}
	for _, o := range chosen {
		keep[o.elem] = true
	}
	var sections []*cib.Element
	for _, section := range d.conf.Children() {
		if keep[section] {
			sections = append(sections, obscure(section, opt.Obscure))
			continue
		}
		var kept []*cib.Element
		for _, e := range section.Children() {
			if keep[e] || slices.ContainsFunc(chosen, func(o object) bool { return isContainer(e.Name()) && holds(e, o.elem) }) {
				kept = append(kept, obscure(e, opt.Obscure))
			}
		}
		if len(kept) > 0 || slices.Index(sectionOrder, section.Name()) < 4 {
			sections = append(sections, section.WithChildren(kept...))
		}
	}
	return d.conf.WithChildren(sections...).String() + "\n"
}

// obscure hides the values of nvpairs whose name matches a pattern.
func obscure(e *cib.Element, globs []string) *cib.Element {
	if len(globs) == 0 {
		return e
	}
	if e.Name() == "nvpair" && slices.ContainsFunc(globs, func(g string) bool { ok, err := path.Match(g, e.Get("name")); return ok && err == nil }) {
		return e.With("value", hidden)
	}
	children := slices.Clone(e.Children())
	for i, c := range children {
		children[i] = obscure(c, globs)
	}
	return e.WithChildren(children...)
}

// Select gives the ids of the objects a selection chooses: ids, type:KIND,
// tag:TAG, related:ID (or agent), changed (against base); terms join with and,
// or, and or by default.
func (d *Draft) Select(terms []string, base *Draft) ([]string, error) {
	chosen, err := d.choose(terms, base)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, o := range chosen {
		ids = append(ids, o.id())
	}
	return ids, nil
}

func (d *Draft) choose(terms []string, base *Draft) ([]object, error) {
	all := d.objects()
	if len(terms) == 0 {
		return all, nil
	}
	chosen := map[*cib.Element]bool{}
	and := false
	for i, term := range terms {
		if (term == "and" || term == "or") && i > 0 && i+1 < len(terms) {
			and = term == "and"
			continue
		}
		match, err := d.matcher(term, base)
		if err != nil {
			return nil, err
		}
		for _, o := range all {
			if and {
				chosen[o.elem] = chosen[o.elem] && match(o)
			} else {
				chosen[o.elem] = chosen[o.elem] || match(o)
			}
		}
		and = false
	}
	return slices.DeleteFunc(all, func(o object) bool { return !chosen[o.elem] }), nil
}

// matcher makes the test of one term of a selection.
func (d *Draft) matcher(term string, base *Draft) (func(object) bool, error) {
	kindName, arg, _ := strings.Cut(term, ":")
	switch {
	case term == "changed":
		return func(o object) bool { return base == nil || base.differs(o) }, nil
	case kindName == "type" && arg != "":
		k, ok := objects[arg]
		if !ok {
			return nil, fmt.Errorf("%q is no type of object: %s", arg, nearest(arg, Keywords()))
		}
		return func(o object) bool { return o.kind.keyword == k.keyword }, nil
	case kindName == "tag" && arg != "":
		o, ok := d.find(arg)
		if !ok || o.kind.keyword != "tag" {
			return nil, fmt.Errorf("there is no tag %q", arg)
		}
		return func(x object) bool {
			for r := range o.elem.Each("obj_ref") {
				if r.ID() == x.id() && x.kind.keyword != "node" {
					return true
				}
			}
			return false
		}, nil
	case kindName == "related" && arg != "":
		return d.related(arg), nil
	}
	found := d.named(term)
	if len(found) == 0 {
		return nil, fmt.Errorf("there is no object %q; show lists them all", term)
	}
	return func(o object) bool { return slices.Contains(found, o.elem) }, nil
}

// named are the objects called id: a node and a resource may share one.
func (d *Draft) named(id string) []*cib.Element {
	var out []*cib.Element
	for _, o := range d.objects() {
		if o.id() == id {
			out = append(out, o.elem)
		}
	}
	return out
}

// differs tells whether the object is new or changed against this draft.
func (d *Draft) differs(o object) bool {
	old, ok := d.find(o.id())
	return !ok || old.kind.keyword != o.kind.keyword || !Equivalent(old.elem, o.elem)
}

// related matches a resource, what refers to it, and resources with the agent.
func (d *Draft) related(arg string) func(object) bool {
	return func(o object) bool {
		if o.id() == arg && o.kind.keyword != "node" {
			return true
		}
		if o.elem.Name() == "primitive" && (agentName(o.elem) == arg || o.elem.Get("type") == arg ||
			strings.Join([]string{o.elem.Get("class"), o.elem.Get("provider"), o.elem.Get("type")}, ":") == arg) {
			return true
		}
		return refersTo(o.elem, arg)
	}
}
