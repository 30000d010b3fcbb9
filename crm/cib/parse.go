package cib

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
	"unsafe"

	"github.com/tdewolff/parse/v2"
	"github.com/tdewolff/parse/v2/xml"
)

// Bounds of a document unless [Parse] is told otherwise. A CIB of 5000
// resources on 16 nodes is about 60 MB; nothing in the vocabulary nests deeper
// than 20.
const (
	DefaultMaxBytes = 256 << 20
	DefaultMaxDepth = 100
)

// Limit changes a bound of [Parse].
type Limit func(*parser)

// MaxBytes bounds the size of the document.
func MaxBytes(n int) Limit { return func(p *parser) { p.maxBytes = n } }

// MaxDepth bounds how deeply elements nest; the root has depth 1.
func MaxDepth(n int) Limit { return func(p *parser) { p.maxDepth = n } }

// SyntaxError is a document that is not well-formed, or beyond a bound.
type SyntaxError struct {
	Line int // 1-based
	Msg  string
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("XML line %d: %s", e.Line, e.Msg) }

// Parse reads one XML document and returns its root. It is strict about
// well-formedness and refuses what a CIB never has: document types and
// encodings other than UTF-8. Processing instructions and comments outside the
// root are dropped; comments inside become children named "#comment". White
// space around text is not kept. The error is a [*SyntaxError].
func Parse(doc []byte, limits ...Limit) (*Element, error) {
	return ParseInPlace(append(make([]byte, 0, len(doc)+1), doc...), limits...)
}

// ParseInPlace is [Parse] for a caller that gives the document away and never touches it again: the lexer writes into it, and
// the tree refers to it. That saves a copy of what may be 100 MB.
func ParseInPlace(doc []byte, limits ...Limit) (*Element, error) {
	p := parser{maxBytes: DefaultMaxBytes, maxDepth: DefaultMaxDepth, line: 1, names: make(map[string]string, 64)}
	for _, l := range limits {
		l(&p)
	}
	if len(doc) > p.maxBytes {
		return nil, &SyntaxError{1, fmt.Sprintf("document of %d bytes is larger than the limit of %d", len(doc), p.maxBytes)}
	}
	doc = bytes.TrimPrefix(doc, []byte("\xef\xbb\xbf"))
	if bytes.IndexByte(doc, '\r') >= 0 { // line ends become \n (XML 1.0, 2.11)
		doc = bytes.ReplaceAll(doc, []byte("\r\n"), []byte("\n"))
		doc = bytes.ReplaceAll(doc, []byte("\r"), []byte("\n"))
	}
	p.lex = xml.NewLexer(parse.NewInputBytes(doc))
	if err := p.document(); err != nil {
		return nil, err
	}
	return p.root, nil
}

// parser holds one run of Parse. Elements and attributes are cut from slabs:
// one allocation for many of them is most of the speed.
type parser struct {
	lex                *xml.Lexer
	line               int
	maxBytes, maxDepth int

	root  *Element
	open  []frame
	kids  []*Element // children of all open elements, innermost last
	attrs []Attr     // attributes of the tag being read, at the start of what is left of a slab
	names map[string]string

	elementSlab []Element
	childSlab   []*Element
}

// frame is an element whose end tag has not been seen.
type frame struct {
	e        *Element
	kidsFrom int
	text     []byte
}

func (p *parser) errorf(format string, args ...any) error {
	return &SyntaxError{p.line, fmt.Sprintf(format, args...)}
}

func (p *parser) document() error {
	for {
		kind, data := p.lex.Next()
		err := p.token(kind, data)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		p.line += bytes.Count(data, newline)
	}
}

var newline = []byte("\n")

func (p *parser) token(kind xml.TokenType, data []byte) error {
	switch kind {
	case xml.ErrorToken:
		return p.end()
	case xml.StartTagToken:
		return p.startTag(data)
	case xml.EndTagToken:
		if !bytes.HasSuffix(data, []byte(">")) {
			return p.errorf("end tag without >")
		}
		return p.endTag(string(p.lex.Text()))
	case xml.TextToken:
		return p.textToken(data)
	case xml.CDATAToken:
		if !bytes.HasSuffix(data, []byte("]]>")) || len(p.open) == 0 {
			return p.errorf("CDATA section without end or outside the root element")
		}
		if err := p.checkChars(p.lex.Text()); err != nil {
			return err
		}
		f := &p.open[len(p.open)-1]
		f.text = append(f.text, p.lex.Text()...)
		return nil
	case xml.CommentToken:
		return p.comment(data)
	case xml.StartTagPIToken:
		return p.instruction()
	case xml.DOCTYPEToken:
		return p.errorf("a document type declaration has no place in a CIB: remove it")
	}
	return p.errorf("unexpected %s", kind)
}

// end is called when the lexer has nothing more to give.
func (p *parser) end() error {
	if err := p.lex.Err(); err != io.EOF {
		return p.errorf("NUL byte in document")
	}
	if len(p.open) > 0 {
		e := p.open[len(p.open)-1].e
		return p.errorf("document ends inside <%s> opened on line %d", e.name, e.line)
	}
	if p.root == nil {
		return p.errorf("document has no element")
	}
	return io.EOF
}

func (p *parser) startTag(data []byte) error {
	name := p.lex.Text()
	if !isName(name) {
		return p.errorf("%q is not an element name", clip(name))
	}
	if len(p.open) == 0 && p.root != nil {
		return p.errorf("second root element <%s>", name)
	}
	if len(p.open) >= p.maxDepth {
		return p.errorf("elements nest deeper than %d", p.maxDepth)
	}
	e := p.newElement(p.intern(name))
	e.line = p.line
	closed, err := p.attributes(e)
	if err != nil {
		return err
	}
	if p.root == nil {
		p.root = e
	} else {
		p.kids = append(p.kids, e)
	}
	if !closed {
		p.open = append(p.open, frame{e: e, kidsFrom: len(p.kids)})
	}
	return nil
}

// attributes reads up to the end of a start tag; closed means "/>".
func (p *parser) attributes(e *Element) (closed bool, err error) {
	for {
		kind, data := p.lex.Next()
		switch kind {
		case xml.StartTagCloseVoidToken, xml.StartTagCloseToken:
			p.line += bytes.Count(data, newline)
			e.attrs = p.takeAttrs()
			return kind == xml.StartTagCloseVoidToken, nil
		case xml.AttributeToken:
			if err := p.attribute(e, data); err != nil {
				return false, err
			}
		default:
			return false, p.errorf("tag <%s> does not end", e.name)
		}
	}
}

func (p *parser) attribute(e *Element, data []byte) error {
	name, quoted := p.lex.Text(), p.lex.AttrVal()
	p.line += bytes.Count(data, newline) // the lexer has already made blanks of line ends inside the value
	if !isName(name) {
		return p.errorf("<%s>: %q is not an attribute name", e.name, clip(name))
	}
	if !isSpace(data[0]) {
		return p.errorf("<%s>: no white space before attribute %s", e.name, name)
	}
	if len(quoted) < 2 || quoted[0] != '"' && quoted[0] != '\'' || quoted[len(quoted)-1] != quoted[0] {
		return p.errorf("<%s>: the value of attribute %s is not quoted", e.name, name)
	}
	quoted = quoted[1 : len(quoted)-1]
	if bytes.IndexByte(quoted, '<') >= 0 {
		return p.errorf("<%s>: < in the value of attribute %s: write &lt;", e.name, name)
	}
	value, err := p.unescape(quoted)
	if err != nil {
		return err
	}
	for _, a := range p.attrs {
		if a.Name == string(name) {
			return p.errorf("<%s>: attribute %s twice", e.name, name)
		}
	}
	p.addAttr(Attr{p.intern(name), value})
	return nil
}

func (p *parser) endTag(name string) error {
	if len(p.open) == 0 {
		return p.errorf("end tag </%s> without start", name)
	}
	f := p.open[len(p.open)-1]
	if f.e.name != name {
		return p.errorf("end tag </%s> inside <%s> opened on line %d", name, f.e.name, f.e.line)
	}
	f.e.children = p.newChildren(p.kids[f.kidsFrom:])
	p.kids = p.kids[:f.kidsFrom]
	p.open = p.open[:len(p.open)-1]
	f.e.text = string(bytes.Trim(f.text, xmlSpace))
	return nil
}

func (p *parser) textToken(data []byte) error {
	if len(bytes.TrimLeft(data, xmlSpace)) == 0 {
		if len(p.open) > 0 && len(p.open[len(p.open)-1].text) > 0 {
			f := &p.open[len(p.open)-1]
			f.text = append(f.text, data...)
		}
		return nil
	}
	if len(p.open) == 0 {
		return p.errorf("text %q outside the root element", clip(data))
	}
	if bytes.Contains(data, []byte("]]>")) {
		return p.errorf("]]> in text: write ]]&gt;")
	}
	text, err := p.unescape(data)
	if err != nil {
		return err
	}
	f := &p.open[len(p.open)-1]
	f.text = append(f.text, text...)
	return nil
}

func (p *parser) comment(data []byte) error {
	if !bytes.HasSuffix(data, []byte("-->")) || len(data) < len("<!---->") {
		return p.errorf("comment does not end")
	}
	text := data[len("<!--") : len(data)-len("-->")]
	if bytes.Contains(text, []byte("--")) || bytes.HasSuffix(text, []byte("-")) {
		return p.errorf("-- inside a comment")
	}
	if err := p.checkChars(text); err != nil {
		return err
	}
	if len(p.open) > 0 {
		c := p.newElement(commentName)
		c.line, c.text = p.line, string(text)
		p.kids = append(p.kids, c)
	}
	return nil
}

const commentName = "#comment"

// instruction skips <?…?>. The lexer reads its inside as attributes.
func (p *parser) instruction() error {
	target := string(p.lex.Text())
	if !isName([]byte(target)) {
		return p.errorf("processing instruction without a name")
	}
	for {
		kind, data := p.lex.Next()
		p.line += bytes.Count(data, newline)
		switch kind {
		case xml.StartTagClosePIToken:
			return nil
		case xml.AttributeToken:
			v := strings.Trim(string(p.lex.AttrVal()), `"'`)
			if target == "xml" && string(p.lex.Text()) == "encoding" && !strings.EqualFold(v, "utf-8") && !strings.EqualFold(v, "us-ascii") {
				return p.errorf("encoding %q: only UTF-8 is read", v)
			}
			if target == "xml" && string(p.lex.Text()) == "version" && v != "1.0" {
				return p.errorf("XML version %q: only 1.0 is read", v)
			}
		default:
			return p.errorf("processing instruction %s does not end", target)
		}
	}
}

// unescape resolves the five entities and character references of XML.
func (p *parser) unescape(raw []byte) (string, error) {
	if err := p.checkChars(raw); err != nil {
		return "", err
	}
	amp := bytes.IndexByte(raw, '&')
	if amp < 0 {
		return frozen(raw), nil
	}
	out := make([]byte, 0, len(raw))
	for amp >= 0 {
		out = append(out, raw[:amp]...)
		raw = raw[amp+1:]
		semicolon := bytes.IndexByte(raw, ';')
		if semicolon < 0 {
			return "", p.errorf("& without ; : write &amp;")
		}
		r, ok := entity(string(raw[:semicolon]))
		if !ok {
			return "", p.errorf("unknown entity &%s;", clip(raw[:semicolon]))
		}
		out = utf8.AppendRune(out, r)
		raw = raw[semicolon+1:]
		amp = bytes.IndexByte(raw, '&')
	}
	return string(append(out, raw...)), nil
}

// frozen is a part of the document as a string, without a copy: the lexer does not write again to what it has returned, and
// nobody else has the document. An allocation for each value would be a third of the work.
func frozen(part []byte) string { return unsafe.String(unsafe.SliceData(part), len(part)) }

func entity(name string) (rune, bool) {
	switch name {
	case "amp":
		return '&', true
	case "lt":
		return '<', true
	case "gt":
		return '>', true
	case "quot":
		return '"', true
	case "apos":
		return '\'', true
	}
	digits, isRef := strings.CutPrefix(name, "#")
	if !isRef {
		return 0, false
	}
	base := rune(10)
	if hex, isHex := strings.CutPrefix(digits, "x"); isHex {
		digits, base = hex, 16
	}
	if digits == "" {
		return 0, false
	}
	var r rune
	for _, c := range digits {
		d := rune(strings.IndexRune("0123456789abcdef", c|0x20))
		if '0' <= c && c <= '9' {
			d = c - '0'
		}
		if d < 0 || d >= base || c > 'f' {
			return 0, false
		}
		if r = r*base + d; r > utf8.MaxRune {
			return 0, false
		}
	}
	return r, isChar(r)
}

// checkChars refuses bytes that are not UTF-8 and characters XML 1.0 excludes.
func (p *parser) checkChars(b []byte) error {
	for i := 0; i < len(b); {
		if c := b[i]; c < utf8.RuneSelf {
			if c < ' ' && c != '\t' && c != '\n' && c != '\r' {
				return p.errorf("control character %#02x", c)
			}
			i++
			continue
		}
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			return p.errorf("byte %#02x is not UTF-8", b[i])
		}
		if !isChar(r) {
			return p.errorf("character %#U is not allowed in XML", r)
		}
		i += n
	}
	return nil
}

// isChar is the Char production of XML 1.0.
func isChar(r rune) bool {
	return r == '\t' || r == '\n' || r == '\r' || ' ' <= r && r <= 0xD7FF || 0xE000 <= r && r <= 0xFFFD || 0x10000 <= r && r <= utf8.MaxRune
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

func (p *parser) newElement(name string) *Element {
	if len(p.elementSlab) == 0 {
		p.elementSlab = make([]Element, 128)
	}
	e := &p.elementSlab[0]
	p.elementSlab = p.elementSlab[1:]
	e.name = name
	return e
}

// addAttr adds to the attributes of the tag being read, in a new slab if they have come to the end of one.
func (p *parser) addAttr(a Attr) {
	if n := len(p.attrs); n == cap(p.attrs) {
		p.attrs = append(make([]Attr, 0, max(512, 2*n)), p.attrs...)
	}
	p.attrs = append(p.attrs, a)
}

// takeAttrs are the attributes of the tag that has been read; the next one's come after them.
func (p *parser) takeAttrs() []Attr {
	n := len(p.attrs)
	attrs := p.attrs[:n:n]
	p.attrs = p.attrs[n:]
	if n == 0 {
		return nil
	}
	return attrs
}

func (p *parser) newChildren(kids []*Element) []*Element {
	n := len(kids)
	if n == 0 {
		return nil
	}
	if len(p.childSlab) < n {
		p.childSlab = make([]*Element, max(256, n))
	}
	children := p.childSlab[:n:n]
	p.childSlab = p.childSlab[n:]
	copy(children, kids)
	return children
}

// intern makes one string of each distinct name.
func (p *parser) intern(name []byte) string {
	if s, ok := p.names[string(name)]; ok {
		return s
	}
	s := string(name)
	p.names[s] = s
	return s
}

func clip(b []byte) string {
	const most = 40
	if len(b) > most {
		return string(b[:most]) + "…"
	}
	return string(b)
}
