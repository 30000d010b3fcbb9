package cib

import (
	"fmt"
	"slices"
	"strings"

	"github.com/antchfx/xpath"

	"systole/crm/exit"
)

// XPath is a compiled XPath 1.0 expression. It may be used from any goroutine.
type XPath struct{ expr *xpath.Expr }

// MaxXPath bounds the length of an expression, in bytes: it comes from clients.
const MaxXPath = 64 << 10

// MaxXPathSteps bounds the work of one evaluation, counted in moves through the
// tree: an expression comes from a client and is evaluated on every node. Four
// million moves take a second or two; //tag[@id='x'] takes four for each element
// of the document, //*[@id='x'] ten.
const MaxXPathSteps = 4_000_000

// CompileXPath reads an expression; the error carries [exit.DataErr].
func CompileXPath(expr string) (x *XPath, err error) {
	defer func() {
		if r := recover(); r != nil { // the library panics on some expressions
			x, err = nil, exit.Errorf(exit.DataErr, "XPath %q: %v", clip([]byte(expr)), r)
		}
	}()
	if len(expr) > MaxXPath {
		return nil, exit.Errorf(exit.DataErr, "XPath of %d bytes is longer than %d", len(expr), MaxXPath)
	}
	compiled, err := xpath.Compile(expr)
	if err != nil {
		return nil, exit.Errorf(exit.DataErr, "XPath %q: %.200s", clip([]byte(expr)), strings.ReplaceAll(err.Error(), expr, "the expression"))
	}
	return &XPath{compiled}, nil
}

// Find gives the elements at or below root that the expression selects, in
// document order and without repeats. A selected attribute, text or comment
// gives the element it belongs to; the document itself gives root. An
// expression that is not a node set (count(…)), or takes too many steps, is an
// error with [exit.DataErr].
func (x *XPath) Find(root *Element) ([]Path, error) { return x.find(root, MaxXPathSteps) }

func (x *XPath) find(root *Element, maxSteps int) (found []Path, err error) {
	defer func() {
		if r := recover(); r != nil { // the library panics on some operand types
			found, err = nil, exit.Errorf(exit.DataErr, "XPath %q: %v", clip([]byte(x.expr.String())), r)
		}
	}()
	switch v := x.expr.Evaluate(&navigator{stack: []place{{e: document(root)}}, attr: noAttr, left: &maxSteps}).(type) {
	case *xpath.NodeIterator:
		for v.MoveNext() {
			found = append(found, v.Current().(*navigator).path())
		}
	default:
		return nil, exit.Errorf(exit.DataErr, "XPath %q gives a %s, not elements", clip([]byte(x.expr.String())), strings.TrimPrefix(fmt.Sprintf("%T", v), "*"))
	}
	sortPaths(found)
	return slices.CompactFunc(found, func(a, b Path) bool { return slices.Equal(a, b) }), nil
}

// Select is [CompileXPath] and [XPath.Find], giving the elements.
func Select(root *Element, expr string) ([]*Element, error) {
	paths, err := findAll(root, expr)
	if err != nil {
		return nil, err
	}
	found := make([]*Element, len(paths))
	for i, p := range paths {
		found[i] = p.In(root)
	}
	return found, nil
}

// document is the node above the root element, "/".
func document(root *Element) *Element { return &Element{children: []*Element{root}} }

// navigator is the library's cursor over our tree. Elements know no parents, so
// it keeps the way down. Text is a virtual first child of its element.
type navigator struct {
	stack  []place // from the document down; never empty
	attr   int     // index of the attribute it is on, or noAttr
	onText bool    // on the text of the innermost element
	left   *int    // moves that this cursor and its copies may still make
}

type place struct {
	e *Element
	i int // position among the parent's children
}

const noAttr = -1

// step counts one move, and ends an evaluation that makes too many; find recovers.
func (n *navigator) step() {
	if *n.left--; *n.left < 0 {
		panic("it takes too many steps through the document: make it more specific")
	}
}

func (n *navigator) here() *Element { return n.stack[len(n.stack)-1].e }

// path leads from the root element to where the cursor is.
func (n *navigator) path() Path {
	if len(n.stack) < 2 {
		return Path{}
	}
	p := make(Path, 0, len(n.stack))
	for _, s := range n.stack[2:] {
		p = append(p, s.i)
	}
	if n.here().name == commentName {
		p = p[:max(0, len(p)-1)]
	}
	return p
}

func (n *navigator) NodeType() xpath.NodeType {
	switch {
	case n.attr != noAttr:
		return xpath.AttributeNode
	case n.onText:
		return xpath.TextNode
	case len(n.stack) == 1:
		return xpath.RootNode
	case n.here().name == commentName:
		return xpath.CommentNode
	}
	return xpath.ElementNode
}

func (n *navigator) LocalName() string {
	switch n.NodeType() {
	case xpath.AttributeNode:
		return n.here().attrs[n.attr].Name
	case xpath.ElementNode:
		return n.here().name
	}
	return ""
}

func (n *navigator) Prefix() string { return "" }

func (n *navigator) Value() string {
	switch {
	case n.attr != noAttr:
		return n.here().attrs[n.attr].Value
	case n.onText || n.here().name == commentName:
		return n.here().text
	}
	var b strings.Builder
	for e := range All(n.here()) {
		n.step()
		if e.name != commentName {
			b.WriteString(e.text)
		}
	}
	return b.String()
}

func (n *navigator) Copy() xpath.NodeNavigator {
	n.step()
	c := *n
	c.stack = slices.Clone(n.stack)
	return &c
}

func (n *navigator) MoveToRoot() {
	n.step()
	n.stack, n.attr, n.onText = n.stack[:1], noAttr, false
}

func (n *navigator) MoveToParent() bool {
	n.step()
	switch {
	case n.attr != noAttr:
		n.attr = noAttr
	case n.onText:
		n.onText = false
	case len(n.stack) == 1:
		return false
	default:
		n.stack = n.stack[:len(n.stack)-1]
	}
	return true
}

func (n *navigator) MoveToNextAttribute() bool {
	n.step()
	if n.onText || n.attr+1 >= len(n.here().attrs) {
		return false
	}
	n.attr++
	return true
}

func (n *navigator) MoveToChild() bool {
	n.step()
	if n.attr != noAttr || n.onText || n.here().name == commentName {
		return false
	}
	if n.here().text != "" {
		n.onText = true
		return true
	}
	return n.toChild(0)
}

func (n *navigator) toChild(i int) bool {
	e := n.here()
	if i < 0 || i >= len(e.children) {
		return false
	}
	n.onText = false
	n.stack = append(n.stack, place{e.children[i], i})
	return true
}

// toBrother goes to another child of the parent; the text is at -1 if there is one.
func (n *navigator) toBrother(i int) bool {
	if n.attr != noAttr || len(n.stack) == 1 {
		return false
	}
	parent := n.stack[len(n.stack)-2].e
	switch {
	case i == -1 && parent.text != "":
		n.stack, n.onText = n.stack[:len(n.stack)-1], true
		return true
	case i < 0 || i >= len(parent.children):
		return false
	}
	n.stack[len(n.stack)-1] = place{parent.children[i], i}
	return true
}

func (n *navigator) MoveToFirst() bool {
	n.step()
	if n.attr != noAttr || n.onText || len(n.stack) == 1 {
		return false
	}
	if n.toBrother(-1) {
		return true
	}
	return n.stack[len(n.stack)-1].i > 0 && n.toBrother(0)
}

func (n *navigator) MoveToNext() bool {
	n.step()
	if n.onText {
		return n.toChild(0)
	}
	return n.toBrother(n.stack[len(n.stack)-1].i + 1)
}

func (n *navigator) MoveToPrevious() bool {
	n.step()
	if n.onText {
		return false
	}
	return n.toBrother(n.stack[len(n.stack)-1].i - 1)
}

func (n *navigator) MoveTo(other xpath.NodeNavigator) bool {
	o, ok := other.(*navigator)
	if !ok || o.stack[0].e != n.stack[0].e {
		return false
	}
	n.stack = append(n.stack[:0], o.stack...)
	n.attr, n.onText = o.attr, o.onText
	return true
}
