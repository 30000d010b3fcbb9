package clitext

import (
	"strings"

	"systole/crm/cib"
)

var alertWords = []string{"attributes", "meta", "select", "to", "{", "}"}

// alert reads `alert ID PATH [attributes…] [meta…] [select…] [to [{] RECIPIENT … [}]]…`.
func (b *builder) alert(s *scan) (*cib.Element, error) {
	id, err := b.ident(s, "alert")
	if err != nil {
		return nil, err
	}
	path, err := s.need("the path of the alert program")
	if err != nil {
		return nil, err
	}
	e := description(s, cib.New("alert", "id", id, "path", path.text))
	for s.more() {
		w := s.next()
		var part *cib.Element
		switch {
		case fits(w, "attributes", "meta"):
			part, err = b.nvset(s, setTags[w.text], id, alertWords...)
		case fits(w, "select"):
			part, err = b.selectEvents(s, id)
		case fits(w, "to"):
			part, err = b.recipient(s, id)
		default:
			err = errorAt(w, "not expected here; what may follow is attributes, meta, select or to")
		}
		if err != nil {
			return nil, err
		}
		e = e.Append(part)
	}
	return e, nil
}

// selectEvents reads what follows select.
func (b *builder) selectEvents(s *scan, id string) (*cib.Element, error) {
	e := cib.New("select")
	for s.is("nodes", "fencing", "resources", "attributes") {
		kind := s.next().text
		k := cib.New("select_" + kind)
		if kind == "attributes" && s.accept("{") {
			for s.more() && !s.is("}") {
				k = k.Append(cib.New("attribute", "name", s.next().text, "id", b.freshNumber(id+"-", 0)))
			}
			if !s.accept("}") {
				return nil, errorAt(s.peek(), "the list of attributes is not closed; add }")
			}
		}
		e = e.Append(k)
	}
	if len(e.Children()) == 0 {
		return nil, errorAt(s.peek(), "nothing selected; write nodes, fencing, resources or attributes { NAME… }")
	}
	return e, nil
}

// recipient reads one recipient with sets of its own, in braces or not.
func (b *builder) recipient(s *scan, id string) (*cib.Element, error) {
	braced := s.accept("{")
	w, err := s.need("the recipient")
	if err != nil {
		return nil, err
	}
	e := cib.New("recipient", "id", b.freshNumber(id+"-recipient-", 1), "value", w.text)
	e = description(s, e)
	for s.is("attributes", "meta") {
		set, err := b.nvset(s, setTags[s.next().text], e.ID(), alertWords...)
		if err != nil {
			return nil, err
		}
		e = e.Append(set)
	}
	if braced && !s.accept("}") {
		return nil, errorAt(s.peek(), "the recipient is not closed; add }")
	}
	return e, nil
}

// printAlert writes an alert; a recipient gets braces when a set of the alert
// itself follows, which would read as the recipient's.
func printAlert(p *printer, e *cib.Element) []string {
	p.take(e.ID())
	parts := append([]string{p.keyword + " " + e.ID() + " " + quote(e.Get("path"))}, printDescription(e)...)
	for i, c := range e.Children() {
		switch c.Name() {
		case "instance_attributes":
			parts = append(parts, printSet(p, "attributes", c, e.ID()))
		case "meta_attributes":
			parts = append(parts, printSet(p, "meta", c, e.ID()))
		case "select":
			parts = append(parts, printSelect(c))
		case "recipient":
			braces := i+1 < len(e.Children()) && strings.HasSuffix(e.Children()[i+1].Name(), "_attributes")
			parts = append(parts, printRecipient(p, c, braces))
		}
	}
	return parts
}

func printSelect(e *cib.Element) string {
	words := []string{"select"}
	for _, k := range e.Children() {
		words = append(words, strings.TrimPrefix(k.Name(), "select_"))
		if k.Child("attribute") == nil {
			continue
		}
		words = append(words, "{")
		for a := range k.Each("attribute") {
			words = append(words, printName(a.Get("name")))
		}
		words = append(words, "}")
	}
	return strings.Join(words, " ")
}

func printRecipient(p *printer, e *cib.Element, braces bool) string {
	words := []string{"to"}
	if braces {
		words = append(words, "{")
	}
	words = append(append(words, quote(e.Get("value"))), printDescription(e)...)
	p.take(e.ID())
	for _, c := range e.Children() {
		switch c.Name() {
		case "instance_attributes":
			words = append(words, printSet(p, "attributes", c, e.ID()))
		case "meta_attributes":
			words = append(words, printSet(p, "meta", c, e.ID()))
		}
	}
	if braces {
		words = append(words, "}")
	}
	return strings.Join(words, " ")
}
