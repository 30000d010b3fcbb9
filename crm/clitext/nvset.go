package clitext

import (
	"strings"

	"systole/crm/cib"
)

// setTags are the attribute sets by the word that opens them.
var setTags = map[string]string{
	"params":      "instance_attributes",
	"attributes":  "instance_attributes",
	"op_params":   "instance_attributes",
	"meta":        "meta_attributes",
	"op_meta":     "meta_attributes",
	"utilization": "utilization",
}

// nvset reads the rest of an attribute set: [$id=…] [score:] [rule…] pairs, or
// $id-ref=…. It ends before a keyword of stop. base is what its id is made of.
func (b *builder) nvset(s *scan, tag, base string, stop ...string) (*cib.Element, error) {
	e := cib.New(tag)
	id := ""
	for {
		w := s.peek()
		name, value, _ := w.pair()
		if name == "$id-ref" {
			s.next()
			return e.With("id-ref", b.reference(tag, value)), nil
		}
		if name != "$id" {
			break
		}
		s.next()
		if err := b.claim(w, value); err != nil {
			return nil, err
		}
		id = value
	}
	if id == "" {
		id = b.fresh(base + "-" + tag)
	}
	return b.nvsetBody(s, e.With("id", id), stop...)
}

// nvsetBody reads score, rules and pairs into a set that has its id.
func (b *builder) nvsetBody(s *scan, e *cib.Element, stop ...string) (*cib.Element, error) {
	if w := s.peek(); strings.HasSuffix(w.text, ":") && isScore(strings.TrimSuffix(w.text, ":")) {
		s.next()
		_, value := scoreAttr(strings.TrimSuffix(w.text, ":"))
		e = e.With("score", value)
	}
	for s.accept("rule") {
		r, err := b.rule(s, e.ID())
		if err != nil {
			return nil, err
		}
		e = e.Append(r)
	}
	for s.more() && !s.is(stop...) {
		nv, err := b.nvpair(s.next(), e.ID())
		if err != nil {
			return nil, err
		}
		e = e.Append(nv)
	}
	return e, nil
}

func isScore(text string) bool {
	name, value := scoreAttr(text)
	return name == "score" && value != ""
}

// nvpair reads name=value, name, $id:name=value, $name=value, @id or @id:name.
func (b *builder) nvpair(w word, setID string) (*cib.Element, error) {
	if !w.quoted && strings.HasPrefix(w.text, "@") {
		ref, name, named := strings.Cut(w.text[1:], ":")
		e := cib.New("nvpair", "id-ref", ref)
		if named {
			e = e.With("name", name)
		}
		return e, nil
	}
	name, value, ok := w.pair()
	if !ok {
		name = w.text
	}
	id := ""
	if !w.quoted && strings.HasPrefix(name, "$") {
		name = name[1:]
		var named bool
		if id, name, named = strings.Cut(name, ":"); !named {
			name = id
		}
		if err := b.claim(w, id); err != nil {
			return nil, err
		}
	}
	if name == "" || !ok && !isWord(name) {
		return nil, errorAt(w, "expected name=value; write it without blanks around =, and the value in quotation marks if it has blanks")
	}
	if id == "" {
		id = b.fresh(setID + "-" + name)
	}
	e := cib.New("nvpair", "name", name)
	if ok {
		e = e.With("value", value)
	}
	return e.With("id", id), nil
}

// isWord tells whether s may stand alone as the name of an attribute without value.
func isWord(s string) bool { return strings.IndexFunc(s, needsQuote) < 0 }

// printSet writes an attribute set after its opening word.
func printSet(p *printer, keyword string, e *cib.Element, base string) string {
	words := []string{keyword}
	if ref, ok := e.Lookup("id-ref"); ok {
		return keyword + " $id-ref=" + quote(ref)
	}
	if !p.made(base+"-"+e.Name(), e.ID()) {
		words = append(words, "$id="+quote(e.ID()))
	}
	words = append(words, printSetBody(p, e)...)
	return strings.Join(words, " ")
}

// printSetBody writes score, rules and pairs.
func printSetBody(p *printer, e *cib.Element) []string {
	var words []string
	if score := printScore(e); score != "" {
		words = append(words, score+":")
	}
	for r := range e.Each("rule") {
		words = append(words, printRule(p, r, e.ID()))
	}
	for nv := range e.Each("nvpair") {
		words = append(words, printPair(p, nv, e.ID()))
	}
	return words
}

func printPair(p *printer, nv *cib.Element, setID string) string {
	if ref, ok := nv.Lookup("id-ref"); ok {
		if name := nv.Get("name"); name != "" {
			return "@" + ref + ":" + name
		}
		return "@" + ref
	}
	text := printName(nv.Get("name"))
	switch id := nv.ID(); {
	case p.made(setID+"-"+nv.Get("name"), id):
	case id == nv.Get("name"):
		text = "$" + text
	default:
		text = "$" + id + ":" + text
	}
	if v, ok := nv.Lookup("value"); ok {
		text += "=" + quote(v)
	}
	return text
}
