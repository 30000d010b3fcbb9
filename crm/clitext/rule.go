package clitext

import (
	"slices"
	"strings"

	"systole/crm/cib"
)

// dateFields are the attributes of date_spec and duration.
var dateFields = []string{"seconds", "minutes", "hours", "monthdays", "weekdays", "yeardays", "months", "weeks", "years", "weekyears", "moon", "yearsdays"}

var (
	comparisons = []string{"lt", "gt", "lte", "gte", "eq", "ne"}
	valueTypes  = []string{"string", "integer", "number", "version"}
)

// rule reads `rule [$id=…|$id-ref=…] [$role=…] [score:] expression…`, the word
// rule already taken. base is what its id is made of.
func (b *builder) rule(s *scan, base string) (*cib.Element, error) {
	e := cib.New("rule")
	for {
		w := s.peek()
		name, value, _ := w.pair()
		switch strings.TrimPrefix(name, "$") {
		case "id":
			if err := b.claim(w, value); err != nil {
				return nil, err
			}
			e = e.With("id", value)
		case "id-ref":
			s.next()
			return e.With("id-ref", b.reference("rule", value)), nil
		case "role":
			e = e.With("role", roleName(value))
		default:
			return b.ruleBody(s, e, base)
		}
		s.next()
	}
}

func (b *builder) ruleBody(s *scan, e *cib.Element, base string) (*cib.Element, error) {
	e = e.With("score", "INFINITY")
	if w, text, ok := s.label(); ok {
		name, value := scoreAttr(text)
		if value == "" {
			return nil, errorAt(w, "the score is empty; write a number, inf, -inf or a node attribute before the colon")
		}
		e = e.Without("score").With(name, value)
	}
	id := e.ID()
	if id == "" {
		id = b.fresh(base + "-rule")
	}
	var op string
	var parts []*cib.Element
	for {
		x, err := b.expression(s, id)
		if err != nil {
			return nil, err
		}
		parts = append(parts, x)
		if !s.is("and", "or") {
			break
		}
		w := s.next()
		if op != "" && op != w.text {
			return nil, errorAt(w, "and and or cannot be mixed in one rule; write two rules, or nest them in XML")
		}
		op = w.text
	}
	if op == "or" {
		e = e.With("boolean-op", "or")
	}
	return e.With("id", id).WithChildren(parts...), nil
}

// expression reads one simple expression of a rule.
func (b *builder) expression(s *scan, ruleID string) (*cib.Element, error) {
	first, err := s.need("an expression")
	if err != nil {
		return nil, err
	}
	id := b.fresh(ruleID + "-expression")
	if !first.quoted {
		switch first.text {
		case "date":
			return b.dateExpression(s, id)
		case "defined", "not_defined":
			attr, err := s.need("the node attribute")
			if err != nil {
				return nil, err
			}
			return cib.New("expression", "operation", first.text, "attribute", attr.text, "id", id), nil
		}
	}
	opWord, err := s.need("a comparison (" + strings.Join(comparisons, ", ") + ")")
	if err != nil {
		return nil, err
	}
	op, typ := opWord.text, ""
	if t, o, ok := strings.Cut(op, ":"); ok {
		typ, op = t, o
		if !slices.Contains(valueTypes, typ) {
			return nil, errorAt(opWord, "unknown type of comparison; use one of %s before the colon", strings.Join(valueTypes, ", "))
		}
	}
	if !slices.Contains(comparisons, op) {
		return nil, errorAt(opWord, "unknown comparison; use one of %s", strings.Join(comparisons, ", "))
	}
	value, err := s.need("the value to compare with")
	if err != nil {
		return nil, err
	}
	e := cib.New("expression", "operation", op, "attribute", first.text)
	if typ != "" {
		e = e.With("type", typ)
	}
	return e.With("value", value.text).With("id", id), nil
}

// dateExpression reads what follows the word date.
func (b *builder) dateExpression(s *scan, id string) (*cib.Element, error) {
	op, err := s.need("a date operation (lt, gt, in or spec)")
	if err != nil {
		return nil, err
	}
	switch op.text {
	case "lt", "gt":
		at, err := s.need("the date")
		if err != nil {
			return nil, err
		}
		name, value := map[string]string{"lt": "end", "gt": "start"}[op.text], at.text
		if n, v, ok := at.pair(); ok && n == name {
			value = v
		}
		return cib.New("date_expression", "operation", op.text, name, value, "id", id), nil
	case "in", "in_range":
		return b.inRange(s, op, id)
	case "spec", "date_spec":
		spec, err := dateParts(s, op, "date_spec")
		if err != nil {
			return nil, err
		}
		return cib.New("date_expression", "operation", "date_spec", "id", id).
			WithChildren(spec.With("id", b.fresh(id+"-date_spec"))), nil
	}
	return nil, errorAt(op, "unknown date operation; use lt, gt, in or spec")
}

// inRange reads start=… and end=…, or a start and a duration.
func (b *builder) inRange(s *scan, op word, id string) (*cib.Element, error) {
	e := cib.New("date_expression", "operation", "in_range")
	for {
		name, value, ok := s.peek().pair()
		if !ok || name != "start" && name != "end" {
			break
		}
		s.next()
		e = e.With(name, value)
	}
	if len(e.Attrs()) == 1 {
		return nil, errorAt(op, "a range needs start=, end= or both; write date in start=2026-01-01 end=2026-02-01")
	}
	e = e.With("id", id)
	if _, ok := dateField(s); !ok {
		return e, nil
	}
	d, err := dateParts(s, op, "duration")
	if err != nil {
		return nil, err
	}
	return e.WithChildren(d.With("id", b.fresh(id+"-duration"))), nil
}

func dateField(s *scan) (name string, ok bool) {
	name, _, ok = s.peek().pair()
	return name, ok && slices.Contains(dateFields, name)
}

// dateParts reads hours=9-16 weekdays=1-5…
func dateParts(s *scan, op word, tag string) (*cib.Element, error) {
	e := cib.New(tag)
	for {
		name, ok := dateField(s)
		if !ok {
			break
		}
		_, value, _ := s.next().pair()
		e = e.With(name, value)
	}
	if len(e.Attrs()) == 0 {
		return nil, errorAt(op, "nothing to compare the date with; add fields such as hours=9-16 or weekdays=1-5")
	}
	return e, nil
}

// scoreAttr is the attribute a score is written to: score for numbers and
// infinities, score-attribute for the name of a node attribute.
func scoreAttr(text string) (name, value string) {
	switch strings.ToLower(text) {
	case "inf", "infinity", "mandatory":
		return "score", "INFINITY"
	case "+inf", "+infinity":
		return "score", "+INFINITY"
	case "-inf", "-infinity":
		return "score", "-INFINITY"
	case "advisory":
		return "score", "0"
	}
	if isInteger(text) {
		return "score", text
	}
	return "score-attribute", text
}

func isInteger(s string) bool {
	s = strings.TrimPrefix(strings.TrimPrefix(s, "-"), "+")
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// roleName is the canonical spelling of a role.
func roleName(s string) string {
	s, _ = fold(s, "Started", "Stopped", "Promoted", "Unpromoted", "Master", "Slave")
	return s
}

// printRule writes a rule without the colon-terminated score INFINITY, which is
// what a rule without a score means to the reader.
func printRule(p *printer, e *cib.Element, base string) string {
	words := []string{"rule"}
	if ref, ok := e.Lookup("id-ref"); ok {
		return "rule $id-ref=" + quote(ref)
	}
	if !p.made(base+"-rule", e.ID()) {
		words = append(words, "$id="+quote(e.ID()))
	}
	if role, ok := e.Lookup("role"); ok {
		words = append(words, "$role="+quote(role))
	}
	if score := printScore(e); score != "inf" && score != "" {
		words = append(words, score+":")
	}
	op := e.Get("boolean-op")
	if op == "" {
		op = "and"
	}
	first := true
	for _, x := range e.Children() {
		if !first {
			words = append(words, op)
		}
		first = false
		words = append(words, printExpression(x)...)
	}
	return strings.Join(words, " ")
}

func printExpression(e *cib.Element) []string {
	switch e.Name() {
	case "expression":
		op := e.Get("operation")
		if op == "defined" || op == "not_defined" {
			return []string{op, printName(e.Get("attribute"))}
		}
		if t := e.Get("type"); t != "" {
			op = t + ":" + op
		}
		return []string{printName(e.Get("attribute")), op, quote(e.Get("value"))}
	case "date_expression":
		return printDate(e)
	}
	return nil // the reader will not find it, and the printer falls back to XML
}

func printDate(e *cib.Element) []string {
	words := []string{"date"}
	switch op := e.Get("operation"); op {
	case "lt":
		return append(words, op, quote(e.Get("end")))
	case "gt":
		return append(words, op, quote(e.Get("start")))
	case "date_spec":
		words = append(words, "spec")
	default:
		words = append(words, "in")
		for _, name := range []string{"start", "end"} {
			if v, ok := e.Lookup(name); ok {
				words = append(words, name+"="+quote(v))
			}
		}
	}
	for _, c := range e.Children() {
		for _, a := range c.Attrs() {
			if a.Name != "id" {
				words = append(words, a.Name+"="+quote(a.Value))
			}
		}
	}
	return words
}

// printScore writes the score or score attribute of an element: inf for INFINITY; "" without one.
func printScore(e *cib.Element) string {
	if a, ok := e.Lookup("score-attribute"); ok {
		return a
	}
	switch v := e.Get("score"); v {
	case "INFINITY":
		return "inf"
	case "-INFINITY":
		return "-inf"
	case "+INFINITY":
		return "+inf"
	default:
		return v
	}
}
