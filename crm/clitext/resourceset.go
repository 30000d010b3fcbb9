package clitext

import (
	"slices"
	"strings"

	"systole/crm/cib"
)

// oneSet is crmsh's word for "what follows is a set", where two resources
// would read as the simple form of a constraint.
const oneSet = "_rsc_set_"

// refs is the resources part of a constraint: plain references, or sets.
type refs struct {
	simple []ref // when it is the simple form
	sets   []*cib.Element
}

// ref is one resource with the role or action after its colon.
type ref struct {
	id, role string
}

// setReader reads resource sets. attr is what the word after a colon becomes:
// role, or action in orders.
type setReader struct {
	b     *builder
	base  string
	attr  string
	sets  []*cib.Element
	words []ref
	forms bool // brackets, set attributes or _rsc_set_ were seen

	open       string // the open bracket, "" outside
	openAt     word
	sequential string
	requireAll string
	items      []ref
}

// refs reads references until the first word that cannot be one, or the closing
// brace. simpleMax is how many plain references make the simple form.
func (b *builder) refs(s *scan, base, attr string, simpleMax int) (refs, error) {
	r := setReader{b: b, base: base, attr: attr}
	s.words = append(slices.Clone(s.words[:s.pos]), splitBrackets(s.words[s.pos:])...)
	for s.more() {
		w := s.peek()
		name, value, isPair := w.pair()
		switch {
		case s.is("}"), simpleMax == 0 && strings.HasSuffix(w.text, ":"): // a score: the brace is missing
			return r.finish(s, simpleMax)
		case s.is(oneSet):
			r.forms = true
		case s.is("(", "["):
			if r.open != "" {
				return refs{}, errorAt(w, "resource sets cannot be nested; close the one before with %s", closing(r.open))
			}
			r.flush()
			r.open, r.openAt, r.forms = w.text, w, true
		case s.is(")", "]"):
			if closing(r.open) != w.text {
				return refs{}, errorAt(w, "there is no open bracket that this closes")
			}
			if len(r.items) == 0 {
				return refs{}, errorAt(w, "the set is empty; name a resource in it")
			}
			r.flush()
			r.open = ""
		case isPair && (name == "sequential" || name == "require-all"):
			canonical, ok := fold(value, "true", "false")
			if !ok {
				return refs{}, errorAt(w, "%s is true or false", name)
			}
			r.forms = true
			if name == "sequential" {
				r.sequential = canonical
			} else {
				r.requireAll = canonical
			}
		case isPair:
			if r.open != "" {
				return refs{}, errorAt(w, "a set may have sequential= and require-all= only; write others after the closing bracket")
			}
			return r.finish(s, simpleMax)
		default:
			if err := r.add(w); err != nil {
				return refs{}, err
			}
		}
		s.next()
	}
	return r.finish(s, simpleMax)
}

// splitBrackets makes words of their own of brackets that touch a resource.
func splitBrackets(words []word) []word {
	var out []word
	for _, w := range words {
		if w.quoted || len(w.text) < 2 {
			out = append(out, w)
			continue
		}
		text := w.text
		var before, after []word
		for len(text) > 0 && strings.ContainsRune("([{", rune(text[0])) {
			before = append(before, word{text: text[:1], eq: -1, line: w.line})
			text = text[1:]
		}
		for n := len(text); n > 0 && strings.ContainsRune(")]}", rune(text[n-1])); n = len(text) {
			after = append(after, word{text: text[n-1:], eq: -1, line: w.line})
			text = text[:n-1]
		}
		out = append(out, before...)
		if text != "" {
			out = append(out, word{text: text, eq: strings.IndexByte(text, '='), line: w.line})
		}
		slices.Reverse(after)
		out = append(out, after...)
	}
	return out
}

func closing(open string) string { return map[string]string{"(": ")", "[": "]"}[open] }

// add takes one reference; a change of role begins a new set.
func (r *setReader) add(w word) error {
	id, role := w.text, ""
	if i := strings.LastIndexByte(w.text, ':'); i >= 0 {
		id, role = w.text[:i], w.text[i+1:]
		if role == "" {
			return errorAt(w, "nothing after the colon; write RESOURCE:%s", strings.ToUpper(r.attr))
		}
	}
	if !validID(id) {
		return errorAt(w, "not the id of a resource; write brackets with blanks around them")
	}
	if r.attr == "role" {
		role = roleName(role)
	} else {
		role, _ = fold(role, "start", "stop", "promote", "demote")
	}
	item := ref{id, role}
	if len(r.items) > 0 && r.items[0].role != role {
		sequential, requireAll := r.sequential, r.requireAll
		r.flush()
		if r.open != "" {
			r.sequential, r.requireAll = sequential, requireAll
		}
	}
	r.items = append(r.items, item)
	r.words = append(r.words, item)
	return nil
}

// flush ends the current set.
func (r *setReader) flush() {
	if len(r.items) == 0 {
		return
	}
	e := cib.New("resource_set")
	if r.requireAll == "false" || r.requireAll == "" && r.open == "[" {
		e = e.With("require-all", "false")
	}
	if r.sequential == "false" || r.sequential == "" && r.open != "" {
		e = e.With("sequential", "false")
	}
	if role := r.items[0].role; role != "" {
		e = e.With(r.attr, role)
	}
	e = e.With("id", r.b.freshNumber(r.base+"-", 0))
	for _, it := range r.items {
		e = e.Append(cib.New("resource_ref", "id", it.id))
	}
	r.sets = append(r.sets, e)
	r.items, r.sequential, r.requireAll = nil, "", ""
}

func (r *setReader) finish(s *scan, simpleMax int) (refs, error) {
	if r.open != "" {
		return refs{}, errorAt(r.openAt, "the bracket is not closed; add %s", closing(r.open))
	}
	if !r.forms && len(r.words) <= simpleMax {
		for _, set := range r.sets { // ids handed out for sets that are not made
			delete(r.b.local, set.ID())
		}
		return refs{simple: r.words}, nil
	}
	r.flush()
	if len(r.sets) == 0 {
		return refs{}, errorAt(s.peek(), "no resource named; name at least one")
	}
	return refs{sets: r.sets}, nil
}

// printRefs writes the sets of a constraint, so that refs reads them back.
func printRefs(e *cib.Element, attr string, simpleMax int) string {
	var words []string
	plain, total := true, 0
	joins, last := false, "" // whether a plain set was written just before, and its role
	for set := range e.Each("resource_set") {
		role := set.Get(attr)
		items := printSetRefs(set, role)
		total += len(items)
		sequential, requireAll := set.Get("sequential") != "false", set.Get("require-all") != "false"
		switch {
		case sequential && requireAll && (!joins || last != role):
			words = append(words, items...)
			joins, last = true, role
			continue
		case sequential && requireAll:
			words = append(words, bracket("(", items, "sequential=true", ")")...)
		case sequential:
			words = append(words, bracket("[", items, "sequential=true", "]")...)
		case requireAll:
			words = append(words, bracket("(", items, "", ")")...)
		default:
			words = append(words, bracket("[", items, "", "]")...)
		}
		joins, plain = false, false
	}
	if plain && total <= simpleMax {
		words = slices.Insert(words, 0, oneSet)
	}
	return strings.Join(words, " ")
}

func printSetRefs(set *cib.Element, role string) []string {
	var items []string
	for r := range set.Each("resource_ref") {
		items = append(items, withRole(r.ID(), role))
	}
	return items
}

func withRole(id, role string) string {
	if role == "" {
		return id
	}
	return id + ":" + role
}

func bracket(open string, items []string, attr, shut string) []string {
	words := append([]string{open}, items...)
	if attr != "" {
		words = append(words, attr)
	}
	return append(words, shut)
}
