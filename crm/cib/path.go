package cib

import (
	"strconv"
	"strings"
)

// Path leads from a root element to one below it: positions among children
// (comments count), outermost first. The empty path is the root itself. It is
// good only for the tree it was found in.
type Path []int

// In is the element the path leads to.
func (p Path) In(root *Element) *Element {
	for _, i := range p {
		root = root.children[i]
	}
	return root
}

// Parent is the path without its last step; the root has none.
func (p Path) Parent() (Path, bool) {
	if len(p) == 0 {
		return nil, false
	}
	return p[:len(p)-1], true
}

// Set returns root with the element at p replaced; everything beside the path
// is shared. A nil element removes what is there (never the root).
func (p Path) Set(root, e *Element) *Element {
	if len(p) == 0 {
		return e
	}
	child := p[1:].Set(root.children[p[0]], e)
	if child == nil {
		return root.RemoveChild(p[0])
	}
	return root.ReplaceChild(p[0], child)
}

// IDPath writes the path as patches and error messages do: tags, each with its
// id where it has one, and where ids do not tell siblings apart the position
// among those of the same tag: /cib/configuration/resources/primitive[@id='p']/meta_attributes[2].
func (p Path) IDPath(root *Element) string {
	var b strings.Builder
	b.WriteString("/" + step(root, nil))
	for _, i := range p {
		parent := root
		root = root.children[i]
		b.WriteString("/" + step(root, parent))
	}
	return b.String()
}

// step is one step of an id path; parent is nil for the root.
func step(e, parent *Element) string {
	if id, ok := e.Lookup("id"); ok {
		return e.name + "[@id=" + quoteXPath(id) + "]"
	}
	name := e.name
	if name == commentName {
		name = "comment()"
	}
	if parent == nil {
		return name
	}
	nth, same := 0, 0
	for _, c := range parent.children {
		if c.name == e.name {
			same++
		}
		if c == e {
			nth = same
		}
	}
	if same < 2 {
		return name
	}
	return name + "[" + strconv.Itoa(nth) + "]"
}

// quoteXPath makes an XPath string literal. XPath 1.0 has no escapes: a text
// with both kinds of quotes takes concat().
func quoteXPath(s string) string {
	switch {
	case !strings.Contains(s, "'"):
		return "'" + s + "'"
	case !strings.Contains(s, `"`):
		return `"` + s + `"`
	}
	return "concat('" + strings.ReplaceAll(s, "'", `',"'",'`) + "')"
}

// Walk yields root and all elements below it in document order, each with its
// path. The path is reused: clone it to keep it.
func Walk(root *Element) func(yield func(Path, *Element) bool) {
	return func(yield func(Path, *Element) bool) {
		if root != nil {
			walk(root, make(Path, 0, 16), yield)
		}
	}
}

func walk(e *Element, at Path, yield func(Path, *Element) bool) bool {
	if !yield(at, e) {
		return false
	}
	for i, c := range e.children {
		if !walk(c, append(at, i), yield) {
			return false
		}
	}
	return true
}

// All yields root and all elements below it in document order, without paths.
func All(root *Element) func(yield func(*Element) bool) {
	return func(yield func(*Element) bool) {
		if root != nil {
			all(root, yield)
		}
	}
}

func all(e *Element, yield func(*Element) bool) bool {
	if !yield(e) {
		return false
	}
	for _, c := range e.children {
		if !all(c, yield) {
			return false
		}
	}
	return true
}

// FindID is the first element at or below root with the id, nil without one.
func FindID(root *Element, id string) *Element {
	for e := range All(root) {
		if v, ok := e.Lookup("id"); ok && v == id {
			return e
		}
	}
	return nil
}

// IndexIDs maps every id at or below root to the first element that has it.
func IndexIDs(root *Element) map[string]*Element {
	ids := make(map[string]*Element)
	for e := range All(root) {
		if id, ok := e.Lookup("id"); ok {
			if _, taken := ids[id]; !taken {
				ids[id] = e
			}
		}
	}
	return ids
}
