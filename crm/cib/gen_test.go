package cib

import (
	"strconv"

	"pgregory.net/rapid"
)

// drawTree draws a small tree with few tags and ids, so that brothers with
// equal keys, moves and comments are common.
func drawTree(t *rapid.T, depth int) *Element {
	name := rapid.SampledFrom([]string{"primitive", "group", "nvpair", "operations", "comment"}).Draw(t, "tag")
	return drawNamed(t, name, depth)
}

func drawNamed(t *rapid.T, name string, depth int) *Element {
	e := New(name)
	if rapid.IntRange(0, 3).Draw(t, "hasID") > 0 {
		e = e.With("id", rapid.SampledFrom([]string{"a", "b", "c", "it's", `say "x"`, "p/q"}).Draw(t, "id"))
	}
	for range rapid.IntRange(0, 2).Draw(t, "attrs") {
		e = e.With(rapid.SampledFrom([]string{"x", "y", "value"}).Draw(t, "attr"), rapid.SampledFrom([]string{"", "1", "2", "a<b>&\"'", "tab\tnew\nline"}).Draw(t, "value"))
	}
	if rapid.IntRange(0, 9).Draw(t, "hasText") == 0 {
		e = e.WithText(rapid.SampledFrom([]string{"text", " a  < b ", "]]>", " "}).Draw(t, "text"))
	}
	if depth == 0 {
		return e
	}
	for range rapid.IntRange(0, 4).Draw(t, "children") {
		if rapid.IntRange(0, 5).Draw(t, "isComment") == 0 {
			e = e.Append(New(commentName).WithText(rapid.SampledFrom([]string{" one ", " two "}).Draw(t, "comment")))
			continue
		}
		e = e.Append(drawTree(t, depth-1))
	}
	return e
}

// drawDocument draws a <cib> with a version.
func drawDocument(t *rapid.T) *Element {
	number := func(label string) string { return strconv.Itoa(rapid.IntRange(0, 3).Draw(t, label)) }
	return New("cib", "admin_epoch", number("admin_epoch"), "epoch", number("epoch"), "num_updates", number("num_updates")).
		WithChildren(drawNamed(t, "configuration", 3).Without("id"), drawNamed(t, "status", 2).Without("id"))
}

// mutated draws a document that is old with a few things moved, changed, added or removed.
func mutated(t *rapid.T, old *Element) *Element {
	var paths []Path
	for p := range Walk(old) {
		if len(p) > 0 {
			paths = append(paths, append(Path{}, p...))
		}
	}
	for range rapid.IntRange(0, 4).Draw(t, "edits") {
		p := rapid.SampledFrom(paths).Draw(t, "where")
		if !reaches(old, p) {
			continue
		}
		e := p.In(old)
		parent := p[:len(p)-1]
		switch rapid.IntRange(0, 3).Draw(t, "edit") {
		case 0:
			if len(p) > 1 {
				old = p.Set(old, nil)
			}
		case 1:
			if e.name != commentName {
				old = p.Set(old, e.With("x", rapid.SampledFrom([]string{"1", "9"}).Draw(t, "new value")))
			}
		case 2:
			in := parent.In(old)
			to := rapid.IntRange(0, len(in.children)-1).Draw(t, "to")
			old = parent.Set(old, in.RemoveChild(p[len(p)-1]).InsertChild(to, e))
		case 3:
			if e.name != commentName {
				old = p.Set(old, e.InsertChild(rapid.IntRange(0, len(e.children)).Draw(t, "at"), drawTree(t, 1)))
			}
		}
	}
	return old
}

func reaches(e *Element, p Path) bool {
	for _, i := range p {
		if i >= len(e.children) {
			return false
		}
		e = e.children[i]
	}
	return true
}
