package clitext

import (
	"slices"
	"strconv"
	"strings"

	"systole/crm/cib"
)

// printer writes one object. It gives out ids as the reader will, so that it
// knows which ones must be written.
type printer struct {
	keyword string
	conf    *cib.Element
	used    map[string]bool
}

// take notes an id that stands in the text.
func (p *printer) take(id string) { p.used[id] = true }

// made tells whether the reader will make this very id from the base.
func (p *printer) made(base, id string) bool {
	want := ncName(base)
	for i := 0; p.used[want]; i++ {
		want = ncName(base) + "-" + strconv.Itoa(i)
	}
	p.used[id] = true
	return id == want
}

func itoa(n int) string { return strconv.Itoa(n) }

// continuation joins the parts of a statement.
const continuation = " \\\n\t"

// object is one thing show prints.
type object struct {
	kind kind
	elem *cib.Element
	in   *cib.Element // the container of a resource, nil at the top
}

// id is what the object is called: uname for nodes.
func (o object) id() string {
	switch o.kind.keyword {
	case "node":
		return o.elem.Get("uname")
	case "fencing_topology":
		return "fencing_topology"
	}
	return o.elem.ID()
}

// text prints the object as a statement, or as XML where that would not read
// back to the same; it ends without a line end.
func (o object) text(conf *cib.Element) (text string, asXML bool) {
	if text, ok := o.statement(conf); ok {
		return o.comments() + text, false
	}
	e := o.elem
	if o.kind.tag == "meta_attributes" { // two sections hold them: say which
		e = cib.New(o.kind.section).WithChildren(e)
	}
	return "xml " + strings.ReplaceAll(e.String(), "\n", " \\\n"), true
}

// statement prints in the language, and reads back to be sure.
func (o object) statement(conf *cib.Element) (string, bool) {
	if o.elem.Text() != "" || o.kind.print == nil {
		return "", false
	}
	p := &printer{keyword: o.kind.keyword, conf: conf, used: map[string]bool{}}
	text := strings.Join(o.kind.print(p, o.elem), continuation)
	ss, err := Statements(text)
	if err != nil || len(ss) != 1 || ss[0].Keyword() != o.kind.keyword {
		return "", false
	}
	reader := &builder{namer: newNamer(idPool{}, nil), draft: &Draft{conf: conf}}
	back, err := o.kind.read(reader, &scan{words: ss[0].words, pos: 1})
	if err != nil || !Equivalent(back, withoutComments(o.elem)) {
		return "", false
	}
	return text, true
}

// comments are the comment lines of the object, each with its line end.
func (o object) comments() string {
	var b strings.Builder
	for _, c := range o.elem.Children() {
		if c.Name() != "#comment" {
			continue
		}
		for line := range strings.Lines(strings.TrimSpace(c.Text())) {
			line = strings.TrimSpace(line)
			if !strings.HasPrefix(line, "#") {
				line = "# " + line
			}
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}

func withoutComments(e *cib.Element) *cib.Element {
	if e.Child("#comment") == nil {
		return e
	}
	return e.WithChildren(slices.DeleteFunc(slices.Clone(e.Children()), func(c *cib.Element) bool { return c.Name() == "#comment" })...)
}
