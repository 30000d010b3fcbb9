package clitext

import (
	"errors"
	"slices"

	"systole/crm/cib"
)

// Edit replaces objects by a text, as after a visit to an editor: objects of ids
// that the text no longer defines are deleted, all others are made or changed.
// It returns what Delete would say.
func (d *Draft) Edit(ids []string, text string) (notes []string, err error) {
	statements, err := Statements(text)
	if err != nil {
		return nil, err
	}
	work := d.Clone()
	var still []string
	for _, s := range statements {
		k, ok := objects[s.Keyword()]
		switch {
		case ok:
			still = append(still, work.subject(k, s))
			if k.isOptions() { // the text is the whole set, not an addition to it
				work.empty(work.subject(k, s))
			}
		case s.Keyword() == "xml":
			still = append(still, xmlIDs(s)...)
		}
	}
	if err := work.Load(text, LoadUpdate); err != nil {
		return nil, err
	}
	var gone []string
	for _, id := range ids {
		if _, exists := work.find(id); exists && !slices.Contains(still, id) {
			gone = append(gone, id)
		}
	}
	if len(gone) > 0 {
		if notes, err = work.Delete(gone...); err != nil {
			return nil, err
		}
	}
	*d = *work
	return notes, nil
}

// empty takes the rules and pairs out of a set of options.
func (d *Draft) empty(id string) {
	if o, ok := d.find(id); ok && o.kind.isOptions() {
		if d.previous == nil {
			d.previous = map[string]*cib.Element{}
		}
		d.previous[id] = o.elem
		d.drop(o)
	}
}

// xmlIDs are the ids of the objects in an xml statement.
func xmlIDs(s Statement) []string {
	e, err := parseXML(s)
	if err != nil {
		return nil // loading says what is wrong with it
	}
	if slices.Contains(sectionOrder, e.Name()) && e.Name() != "fencing-topology" {
		var ids []string
		for _, c := range e.Children() {
			ids = append(ids, c.ID())
		}
		return ids
	}
	if e.Name() == "fencing-topology" {
		return []string{"fencing_topology"}
	}
	ids := []string{e.ID()}
	for _, c := range e.Children() {
		if isResource(c.Name()) {
			ids = append(ids, c.ID())
		}
	}
	return ids
}

// LoadXML takes over a configuration given as XML: a <cib> or a <configuration>.
// Update puts its objects over those that are there; replace and push take it as
// it is, but keep the nodes where it has none.
func (d *Draft) LoadXML(root *cib.Element, mode LoadMode) error {
	conf := root
	if root.Name() == "cib" {
		conf = root.Child("configuration")
	}
	if conf == nil || conf.Name() != "configuration" {
		return errNotConfiguration
	}
	if mode != LoadUpdate {
		next := NewDraft(conf)
		if len(next.section("nodes")) == 0 {
			next.setSection("nodes", d.section("nodes"))
		}
		d.conf, d.ids = next.conf, next.ids
		return nil
	}
	work := d.Clone()
	for _, section := range conf.Children() {
		if k, ok := kindOf("", section.Name()); ok {
			o, _ := work.find(k.keyword)
			work.put(k, o.elem, section)
			continue
		}
		for _, e := range section.Children() {
			if e.Name() == "#comment" {
				continue
			}
			if err := work.placeXML(Statement{words: []word{{text: "xml", line: e.Line()}}}, section.Name(), e, Update); err != nil {
				return err
			}
		}
	}
	*d = *work
	return nil
}

// errNotConfiguration is XML that holds no configuration.
var errNotConfiguration = errors.New("the document is no <cib> and no <configuration>; give a whole one, or load the text of crm configure")
