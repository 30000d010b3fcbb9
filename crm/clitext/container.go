package clitext

import (
	"strings"

	"systole/crm/cib"
)

var containerWords = []string{"meta", "params"}

func (b *builder) group(s *scan) (*cib.Element, error) { return b.container(s, "group", "primitive") }
func (b *builder) clone(s *scan) (*cib.Element, error) {
	return b.container(s, "clone", "primitive", "group")
}
func (b *builder) ms(s *scan) (*cib.Element, error) {
	return b.container(s, "master", "primitive", "group")
}

// container reads a group, clone or ms. Its members are there already; they
// move into it.
func (b *builder) container(s *scan, tag string, mayHold ...string) (*cib.Element, error) {
	id, err := b.ident(s, tag)
	if err != nil {
		return nil, err
	}
	e := cib.New(tag, "id", id)
	var members []*cib.Element
	for s.more() && !s.is(containerWords...) {
		if name, _, ok := s.peek().pair(); ok && name == "description" {
			break
		}
		w := s.next()
		m, err := b.member(w, id, mayHold)
		if err != nil {
			return nil, err
		}
		for _, other := range members {
			if other.ID() == m.ID() {
				return nil, errorAt(w, "%s is named twice in %s; name it once", m.ID(), id)
			}
		}
		members = append(members, m)
	}
	switch {
	case len(members) == 0:
		return nil, errorAt(s.peek(), "%s %s has no resource; name one", tag, id)
	case len(members) > 1 && tag != "group":
		return nil, errorAt(s.words[s.pos-1], "a %s holds one resource; put several into a group and name the group", tag)
	}
	e = description(s, e)
	if e, err = b.sections(s, e, containerWords...); err != nil {
		return nil, err
	}
	return e.Append(members...), nil
}

// member finds a resource that is to go into a container, and checks that it may.
func (b *builder) member(w word, container string, mayHold []string) (*cib.Element, error) {
	id := w.text
	if name, _, ok := w.pair(); ok {
		return nil, errorAt(w, "not expected here; write meta or params before %s=", name)
	}
	m, parent := b.draft.resource(id)
	if m == nil {
		return nil, &missingError{SyntaxError{w.line, w.text, "there is no such resource; define it first"}}
	}
	allowed := false
	for _, tag := range mayHold {
		allowed = allowed || m.Name() == tag
	}
	if !allowed {
		return nil, errorAt(w, "%s is a %s; only a %s may be put here", id, m.Name(), strings.Join(mayHold, " or "))
	}
	if parent != nil && parent.ID() != container {
		return nil, errorAt(w, "%s is already in %s %s; take it out first", id, parent.Name(), parent.ID())
	}
	return m, nil
}

// missingError is a reference to something that may be defined further down the text.
type missingError struct{ SyntaxError }

// printContainer writes a group, clone or ms.
func printContainer(p *printer, e *cib.Element) []string {
	words := []string{p.keyword, e.ID()}
	p.take(e.ID())
	for _, c := range e.Children() {
		if isResource(c.Name()) {
			words = append(words, c.ID())
		}
	}
	parts := append([]string{strings.Join(words, " ")}, printDescription(e)...)
	return append(parts, printSets(p, e)...)
}

// printSets writes the meta and params sets of a container.
func printSets(p *printer, e *cib.Element) []string {
	var parts []string
	for _, c := range e.Children() {
		switch c.Name() {
		case "meta_attributes":
			parts = append(parts, printSet(p, "meta", c, e.ID()))
		case "instance_attributes":
			parts = append(parts, printSet(p, "params", c, e.ID()))
		}
	}
	return parts
}

// isResource tells the tags of resources, at the top or in containers.
func isResource(tag string) bool {
	switch tag {
	case "primitive", "group", "clone", "master", "bundle":
		return true
	}
	return false
}

var (
	bundleEngines = []string{"docker", "podman", "rkt"}
	bundleWords   = []string{"docker", "podman", "rkt", "network", "storage", "primitive", "meta", "port-mapping", "storage-mapping"}
)

// bundle reads a bundle: container engine, network, storage, at most one primitive.
func (b *builder) bundle(s *scan) (*cib.Element, error) {
	id, err := b.ident(s, "bundle")
	if err != nil {
		return nil, err
	}
	e := description(s, cib.New("bundle", "id", id))
	engine := false
	for s.more() {
		w := s.next()
		var part *cib.Element
		switch {
		case fits(w, bundleEngines...):
			part, err = b.plain(s, w.text)
			engine = true
		case fits(w, "network"):
			part, err = b.mapped(s, id, "network", "port-mapping")
		case fits(w, "storage"):
			part, err = b.mapped(s, id, "storage", "storage-mapping")
		case fits(w, "primitive"):
			part, err = b.bundled(s, id)
		case fits(w, "meta"):
			part, err = b.nvset(s, "meta_attributes", id, bundleWords...)
		default:
			err = errorAt(w, "not expected here; what may follow is docker, podman, network, storage, primitive or meta")
		}
		if err != nil {
			return nil, err
		}
		e = e.Append(part)
	}
	if !engine {
		return nil, errorAt(s.peek(), "bundle %s has no container engine; add docker image=… or podman image=…", id)
	}
	return e, nil
}

func fits(w word, keywords ...string) bool {
	s := scan{words: []word{w}}
	return s.is(keywords...)
}

// bundled is the primitive inside a bundle.
func (b *builder) bundled(s *scan, id string) (*cib.Element, error) {
	w, err := s.need("the primitive in the bundle")
	if err != nil {
		return nil, err
	}
	return b.member(w, id, []string{"primitive"})
}

// plain reads name=value attributes straight into an element.
func (b *builder) plain(s *scan, tag string) (*cib.Element, error) {
	e := cib.New(tag)
	for s.more() && !s.is(bundleWords...) {
		w := s.next()
		name, value, ok := w.pair()
		if !ok {
			return nil, errorAt(w, "expected name=value after %s", tag)
		}
		if name == "id" {
			if err := b.claim(w, value); err != nil {
				return nil, err
			}
		}
		e = e.With(name, value)
	}
	return e, nil
}

// mapped reads network or storage with its mappings.
func (b *builder) mapped(s *scan, id, tag, child string) (*cib.Element, error) {
	e, err := b.plain(s, tag)
	if err != nil {
		return nil, err
	}
	for s.accept(child) {
		m, err := b.plain(s, child)
		if err != nil {
			return nil, err
		}
		if m.ID() == "" {
			m = m.With("id", b.freshNumber(id+"-", 0))
		}
		e = e.Append(m)
	}
	return e, nil
}

func printBundle(p *printer, e *cib.Element) []string {
	parts := append([]string{p.keyword + " " + e.ID()}, printDescription(e)...)
	p.take(e.ID())
	for _, c := range e.Children() {
		switch c.Name() {
		case "primitive":
			parts = append(parts, "primitive "+c.ID())
		case "meta_attributes":
			parts = append(parts, printSet(p, "meta", c, e.ID()))
		default:
			words := printPlain(c)
			for _, m := range c.Children() {
				words = append(words, printPlain(m)...)
			}
			parts = append(parts, strings.Join(words, " "))
		}
	}
	return parts
}

// printPlain writes a tag and its attributes.
func printPlain(e *cib.Element) []string {
	words := []string{e.Name()}
	for _, a := range e.Attrs() {
		words = append(words, a.Name+"="+quote(a.Value))
	}
	return words
}
