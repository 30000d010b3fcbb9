package clitext

import (
	"slices"
	"strings"

	"systole/crm/cib"
)

// location reads `location ID RSC [role=] [resource-discovery=] {SCORE: NODE | rule…}`.
func (b *builder) location(s *scan) (*cib.Element, error) {
	id, err := b.ident(s, "location constraint")
	if err != nil {
		return nil, err
	}
	e := cib.New("rsc_location", "id", id)
	if e, err = b.locationSubject(s, e); err != nil {
		return nil, err
	}
	for {
		name, value, ok := s.peek().pair()
		name = strings.TrimPrefix(name, "$")
		if !ok || name != "role" && name != "resource-discovery" {
			break
		}
		s.next()
		if name == "role" {
			value = roleName(value)
		}
		e = e.With(name, value)
	}
	if !s.is("rule") {
		w, text, ok := s.label()
		if !ok {
			return nil, errorAt(w, "expected SCORE: NODE, with the colon, or rule")
		}
		node, err := s.need("the node")
		if err != nil {
			return nil, err
		}
		name, value := scoreAttr(text)
		if name != "score" {
			return nil, errorAt(w, "%q is no score: write a number, inf or -inf; an attribute's value is a score only in a rule", text)
		}
		e = e.With(name, value).With("node", node.text)
		return e, s.done("one node to a constraint; write another location for another node")
	}
	for s.accept("rule") {
		r, err := b.rule(s, id)
		if err != nil {
			return nil, err
		}
		e = e.Append(r)
	}
	return e, s.done("after a rule only another rule may follow")
}

// locationSubject reads a resource, /pattern/ or { set }.
func (b *builder) locationSubject(s *scan, e *cib.Element) (*cib.Element, error) {
	if w := s.peek(); !w.quoted && strings.HasPrefix(w.text, "{") {
		s.words = append(slices.Clone(s.words[:s.pos]), splitBrackets(s.words[s.pos:])...)
	}
	w, err := s.need("the resource")
	if err != nil {
		return nil, err
	}
	switch {
	case !w.quoted && w.text == "{":
		r, err := b.refs(s, e.ID(), "role", 0)
		if err != nil {
			return nil, err
		}
		if !s.accept("}") {
			return nil, errorAt(w, "the brace is not closed; add } after the resources")
		}
		return e.WithChildren(r.sets...), nil
	case len(w.text) > 2 && strings.HasPrefix(w.text, "/") && strings.HasSuffix(w.text, "/"):
		return e.With("rsc-pattern", w.text[1:len(w.text)-1]), nil
	case !validID(w.text):
		return nil, errorAt(w, "expected a resource; write sets as { a b }, with blanks around the braces, and patterns as /regex/")
	}
	return e.With("rsc", w.text), nil
}

func printLocation(p *printer, e *cib.Element) []string {
	p.take(e.ID())
	words := []string{p.keyword, e.ID()}
	switch {
	case e.Get("rsc-pattern") != "":
		words = append(words, printPattern(e.Get("rsc-pattern")))
	case e.Get("rsc") != "":
		words = append(words, e.Get("rsc"))
	default:
		words = append(words, "{", printRefs(e, "role", -1), "}")
	}
	for _, name := range []string{"resource-discovery", "role"} {
		if v, ok := e.Lookup(name); ok {
			words = append(words, name+"="+quote(v))
		}
	}
	if node, ok := e.Lookup("node"); ok {
		words = append(words, printScore(e)+":", printName(node))
	}
	parts := []string{strings.Join(words, " ")}
	for r := range e.Each("rule") {
		parts = append(parts, printRule(p, r, e.ID()))
	}
	return parts
}

// printPattern writes /regex/, in quotation marks where words would break.
func printPattern(re string) string {
	if strings.ContainsAny(re, " \t\"'\\") {
		return quote("/" + re + "/")
	}
	return "/" + re + "/"
}

// colocation reads `colocation ID SCORE: RSC[:ROLE] WITH[:ROLE] | sets [node-attribute=]`.
func (b *builder) colocation(s *scan) (*cib.Element, error) {
	id, err := b.ident(s, "colocation constraint")
	if err != nil {
		return nil, err
	}
	w, text, ok := s.label()
	if !ok {
		return nil, errorAt(w, "expected a score with a colon, such as inf: or -inf: or 100:")
	}
	e := cib.New("rsc_colocation", "id", id).With(scoreAttr(text))
	r, err := b.refs(s, id, "role", 2)
	if err != nil {
		return nil, err
	}
	switch {
	case r.sets != nil:
		e = e.WithChildren(r.sets...)
	case len(r.simple) != 2:
		return nil, errorAt(s.peek(), "a colocation needs two resources: the dependent and the one it goes with")
	default:
		e = withRef(e, "rsc", "rsc-role", r.simple[0])
		e = withRef(e, "with-rsc", "with-rsc-role", r.simple[1])
	}
	return options(s, e, "node-attribute")
}

func withRef(e *cib.Element, idAttr, roleAttr string, r ref) *cib.Element {
	e = e.With(idAttr, r.id)
	if r.role != "" {
		e = e.With(roleAttr, r.role)
	}
	return e
}

// options reads the name=value words at the end of a constraint.
func options(s *scan, e *cib.Element, allowed ...string) (*cib.Element, error) {
	for s.more() {
		w := s.next()
		name, value, ok := w.pair()
		if !ok || !slices.Contains(allowed, name) {
			return nil, errorAt(w, "not expected here; what may follow is %s=", strings.Join(allowed, "=, "))
		}
		e = e.With(name, value)
	}
	return e, nil
}

func printOptions(e *cib.Element, names ...string) []string {
	var words []string
	for _, name := range names {
		if v, ok := e.Lookup(name); ok {
			words = append(words, name+"="+quote(v))
		}
	}
	return words
}

func printColocation(p *printer, e *cib.Element) []string {
	words := []string{p.keyword, e.ID()}
	if score := printScore(e); score != "" {
		words = append(words, score+":")
	}
	if e.Child("resource_set") != nil {
		words = append(words, printRefs(e, "role", 2))
	} else {
		words = append(words, withRole(e.Get("rsc"), e.Get("rsc-role")), withRole(e.Get("with-rsc"), e.Get("with-rsc-role")))
	}
	return []string{strings.Join(append(words, printOptions(e, "node-attribute")...), " ")}
}

// order reads `order ID [KIND:] FIRST[:ACTION] THEN[:ACTION] | sets [symmetrical=]`.
func (b *builder) order(s *scan) (*cib.Element, error) {
	id, err := b.ident(s, "order constraint")
	if err != nil {
		return nil, err
	}
	e := cib.New("rsc_order", "id", id)
	if w, text, ok := s.label(); ok {
		kind, known := orderKind(text)
		if !known {
			return nil, errorAt(w, "unknown kind of order; use Mandatory, Optional or Serialize")
		}
		e = e.With("kind", kind)
	}
	r, err := b.refs(s, id, "action", 2)
	if err != nil {
		return nil, err
	}
	if e, err = options(s, e, "symmetrical"); err != nil {
		return nil, err
	}
	switch {
	case r.sets != nil:
		return e.WithChildren(r.sets...), nil
	case len(r.simple) != 2:
		return nil, errorAt(s.peek(), "an order needs two resources: the first and the one that follows")
	}
	e = withRef(e, "first", "first-action", r.simple[0])
	return withRef(e, "then", "then-action", r.simple[1]), nil
}

// orderKind gives the kind for its name or for an old-style score: 0 meant optional.
func orderKind(text string) (kind string, ok bool) {
	if kind, ok := fold(text, "Mandatory", "Optional", "Serialize"); ok {
		return kind, true
	}
	name, value := scoreAttr(text)
	switch {
	case name != "score":
		return "", false
	case value == "0":
		return "Optional", true
	}
	return "Mandatory", true
}

func printOrder(p *printer, e *cib.Element) []string {
	words := []string{p.keyword, e.ID()}
	if kind, ok := e.Lookup("kind"); ok {
		words = append(words, kind+":")
	}
	if e.Child("resource_set") != nil {
		words = append(words, printRefs(e, "action", 2))
	} else {
		words = append(words, withRole(e.Get("first"), e.Get("first-action")), withRole(e.Get("then"), e.Get("then-action")))
	}
	return []string{strings.Join(append(words, printOptions(e, "symmetrical")...), " ")}
}

// ticket reads `rsc_ticket ID TICKET: RSC[:ROLE]… [loss-policy=]`.
func (b *builder) ticket(s *scan) (*cib.Element, error) {
	id, err := b.ident(s, "ticket constraint")
	if err != nil {
		return nil, err
	}
	w, text, ok := s.label()
	if !ok {
		return nil, errorAt(w, "expected the ticket with a colon: rsc_ticket ID TICKET: RESOURCE…")
	}
	e := cib.New("rsc_ticket", "id", id, "ticket", text)
	r, err := b.refs(s, id, "role", 1)
	if err != nil {
		return nil, err
	}
	switch {
	case r.sets != nil:
		e = e.WithChildren(r.sets...)
	case len(r.simple) != 1:
		return nil, errorAt(s.peek(), "no resource named; name at least one")
	default:
		e = withRef(e, "rsc", "rsc-role", r.simple[0])
	}
	return options(s, e, "loss-policy")
}

func printTicket(p *printer, e *cib.Element) []string {
	words := []string{p.keyword, e.ID(), e.Get("ticket") + ":"}
	if e.Child("resource_set") != nil {
		words = append(words, printRefs(e, "role", 1))
	} else {
		words = append(words, withRole(e.Get("rsc"), e.Get("rsc-role")))
	}
	return []string{strings.Join(append(words, printOptions(e, "loss-policy")...), " ")}
}
