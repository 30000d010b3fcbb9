package cib

import "strings"

// String is the element as XML, indented, without a final line end.
func (e *Element) String() string {
	return strings.TrimSuffix(string(e.AppendXML(nil)), "\n")
}

// AppendXML appends the element as cibadmin prints it: two blanks for each
// level, one element on a line, attributes in their order, a final line end.
func (e *Element) AppendXML(b []byte) []byte { return e.appendIndented(b, 0) }

func (e *Element) appendIndented(b []byte, depth int) []byte {
	for range depth {
		b = append(b, "  "...)
	}
	if e.name == commentName {
		return append(appendComment(b, e.text), '\n')
	}
	b = e.appendStart(b)
	switch {
	case len(e.children) == 0 && e.text == "":
		return append(b, "/>\n"...)
	case len(e.children) == 0:
		b = appendEscaped(append(b, '>'), e.text, false)
	default:
		b = append(appendEscaped(append(b, '>'), e.text, false), '\n')
		for _, c := range e.children {
			b = c.appendIndented(b, depth+1)
		}
		for range depth {
			b = append(b, "  "...)
		}
	}
	return append(append(append(b, "</"...), e.name...), ">\n"...)
}

// AppendCompact appends the element as XML without white space between elements.
func (e *Element) AppendCompact(b []byte) []byte {
	if e.name == commentName {
		return appendComment(b, e.text)
	}
	b = e.appendStart(b)
	if len(e.children) == 0 && e.text == "" {
		return append(b, "/>"...)
	}
	b = appendEscaped(append(b, '>'), e.text, false)
	for _, c := range e.children {
		b = c.AppendCompact(b)
	}
	return append(append(append(b, "</"...), e.name...), '>')
}

func (e *Element) appendStart(b []byte) []byte {
	b = append(append(b, '<'), e.name...)
	for _, a := range e.attrs {
		b = append(append(append(b, ' '), a.Name...), `="`...)
		b = append(appendEscaped(b, a.Value, true), '"')
	}
	return b
}

// appendComment writes a comment; a text no comment may hold is bent until one may.
func appendComment(b []byte, text string) []byte {
	for strings.Contains(text, "--") {
		text = strings.ReplaceAll(text, "--", "- -")
	}
	if strings.HasSuffix(text, "-") {
		text += " "
	}
	return append(append(append(b, "<!--"...), text...), "-->"...)
}

// appendEscaped writes text so that a parser reads the same text back. In
// attributes that includes white space other than blanks, which a parser would
// make blanks of. Characters that XML cannot hold at all become U+FFFD.
func appendEscaped(b []byte, s string, inAttr bool) []byte {
	from := 0
	for i, r := range s {
		var as string
		switch {
		case r == '&':
			as = "&amp;"
		case r == '<':
			as = "&lt;"
		case r == '>':
			as = "&gt;"
		case r == '\'' && inAttr:
			as = "&apos;"
		case r == '"' && inAttr:
			as = "&quot;"
		case r == '\r':
			as = "&#13;"
		case r == '\n' && inAttr:
			as = "&#10;"
		case r == '\t' && inAttr:
			as = "&#9;"
		case r >= ' ' && r < 0xD800 || isChar(r) && r != '\uFFFD':
			continue
		default: // a control character, or bytes that are not UTF-8
			as = "\uFFFD"
		}
		b = append(append(b, s[from:i]...), as...)
		from = i + len(string(r))
		if r == '\uFFFD' && !strings.HasPrefix(s[i:], "\uFFFD") {
			from = i + 1 // one byte that is not UTF-8
		}
	}
	return append(b, s[from:]...)
}
