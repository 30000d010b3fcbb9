package cib

import (
	"slices"
	"strings"
)

// Attr is one XML attribute; names and values are unescaped text.
type Attr struct{ Name, Value string }

// Element is one XML element of a CIB. It is immutable: every method that
// "changes" one returns a new element that shares what did not change, so a
// pointer may be kept, compared and read from any goroutine for ever. The zero
// value is an element without name; make real ones with [New] or [Parse].
type Element struct {
	name     string
	attrs    []Attr
	children []*Element
	text     string // character data; a CIB has it only in a few free-text places
	line     int
}

// New makes an element from attribute pairs: New("nvpair", "id", "x", "name", "y").
// It panics on an odd number of strings, which is a slip of the caller.
func New(name string, pairs ...string) *Element {
	if len(pairs)%2 != 0 {
		panic("cib.New: attribute without a value")
	}
	e := &Element{name: name}
	for i := 0; i < len(pairs); i += 2 {
		e.attrs = append(e.attrs, Attr{pairs[i], pairs[i+1]})
	}
	return e
}

// Name is the tag; comments have the name "#comment" and their text in Text.
func (e *Element) Name() string { return e.name }

// Text is the element's own character data.
func (e *Element) Text() string { return e.text }

// Line is where the element began in the document it was parsed from, 1-based; 0 if made in memory.
func (e *Element) Line() int { return e.line }

// ID is the value of the id attribute, "" without one.
func (e *Element) ID() string { return e.Get("id") }

// Get is the value of an attribute, "" without one.
func (e *Element) Get(name string) string {
	v, _ := e.Lookup(name)
	return v
}

// Lookup is the value of an attribute and whether it is there.
func (e *Element) Lookup(name string) (string, bool) {
	for _, a := range e.attrs {
		if a.Name == name {
			return a.Value, true
		}
	}
	return "", false
}

// Attrs are the attributes in document order. The slice must not be modified.
func (e *Element) Attrs() []Attr { return e.attrs }

// Children are the child elements in document order. The slice must not be modified.
func (e *Element) Children() []*Element { return e.children }

// Child is the first child with the tag, nil without one. It may be called on nil.
func (e *Element) Child(tag string) *Element {
	if e == nil {
		return nil
	}
	for _, c := range e.children {
		if c.name == tag {
			return c
		}
	}
	return nil
}

// Each yields the children with the tag in document order. It may be called on nil.
func (e *Element) Each(tag string) func(yield func(*Element) bool) {
	return func(yield func(*Element) bool) {
		if e == nil {
			return
		}
		for _, c := range e.children {
			if c.name == tag && !yield(c) {
				return
			}
		}
	}
}

// Path follows first children by tag, nil when one is missing: c.Path("configuration", "resources").
func (e *Element) Path(tags ...string) *Element {
	for _, t := range tags {
		e = e.Child(t)
	}
	return e
}

// With returns a copy with the attribute set, in place if it was there, else last.
func (e *Element) With(name, value string) *Element {
	c := *e
	c.attrs = slices.Clone(e.attrs)
	for i := range c.attrs {
		if c.attrs[i].Name == name {
			c.attrs[i].Value = value
			return &c
		}
	}
	c.attrs = append(c.attrs, Attr{name, value})
	return &c
}

// Without returns a copy without the attribute.
func (e *Element) Without(name string) *Element {
	c := *e
	c.attrs = slices.DeleteFunc(slices.Clone(e.attrs), func(a Attr) bool { return a.Name == name })
	return &c
}

// WithChildren returns a copy with these children instead of its own.
func (e *Element) WithChildren(children ...*Element) *Element {
	c := *e
	c.children = children
	return &c
}

// Append returns a copy with more children at the end.
func (e *Element) Append(children ...*Element) *Element {
	c := *e
	c.children = append(slices.Clone(e.children), children...)
	return &c
}

// xmlSpace is white space by XML 1.0.
const xmlSpace = " \t\n\r"

// WithText returns a copy with other character data. Except in comments, white
// space around it is dropped, as [Parse] does: so printing and reading again
// gives the same element whatever is done to it in between.
func (e *Element) WithText(text string) *Element {
	c := *e
	if c.text = text; c.name != commentName {
		c.text = strings.Trim(text, xmlSpace)
	}
	return &c
}

// ReplaceChild returns a copy with another i-th child.
func (e *Element) ReplaceChild(i int, child *Element) *Element {
	if e.children[i] == child {
		return e
	}
	c := *e
	c.children = slices.Clone(e.children)
	c.children[i] = child
	return &c
}

// InsertChild returns a copy with a child more, at position i.
func (e *Element) InsertChild(i int, child *Element) *Element {
	c := *e
	c.children = make([]*Element, 0, len(e.children)+1)
	c.children = append(append(append(c.children, e.children[:i]...), child), e.children[i:]...)
	return &c
}

// RemoveChild returns a copy without the i-th child.
func (e *Element) RemoveChild(i int) *Element {
	c := *e
	c.children = make([]*Element, 0, len(e.children)-1)
	c.children = append(append(c.children, e.children[:i]...), e.children[i+1:]...)
	return &c
}

// IndexFunc is the position of the first child that satisfies f, -1 without one.
// It may be called on nil.
func (e *Element) IndexFunc(f func(*Element) bool) int {
	if e == nil {
		return -1
	}
	return slices.IndexFunc(e.children, f)
}
