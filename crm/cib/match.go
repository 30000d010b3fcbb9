package cib

import (
	"slices"
	"strconv"
	"strings"

	"systole/crm/score"
)

// sameKey: the tag is pattern's, and the id where pattern has one.
func sameKey(e, pattern *Element) bool {
	id, hasID := pattern.Lookup("id")
	return e.name == pattern.name && (!hasID || e.ID() == id)
}

// hasAttrs: the tag is pattern's, and so is every attribute that pattern has.
func hasAttrs(e, pattern *Element) bool {
	if e.name != pattern.name {
		return false
	}
	for _, a := range pattern.attrs {
		if v, ok := e.Lookup(a.Name); !ok || v != a.Value {
			return false
		}
	}
	return true
}

// matches yields the paths of all elements at or below root that are like
// pattern, in document order.
func matches(root, pattern *Element, like func(e, pattern *Element) bool) func(yield func(Path) bool) {
	return func(yield func(Path) bool) {
		for p, e := range Walk(root) {
			if like(e, pattern) && !yield(slices.Clone(p)) {
				return
			}
		}
	}
}

// findLike is the first of matches.
func findLike(root, pattern *Element, like func(e, pattern *Element) bool) (Path, bool) {
	for p := range matches(root, pattern, like) {
		return p, true
	}
	return nil, false
}

// findAll compiles and runs an XPath expression.
func findAll(root *Element, expr string) ([]Path, error) {
	x, err := CompileXPath(expr)
	if err != nil {
		return nil, err
	}
	return x.Find(root)
}

func sortPaths(paths []Path) {
	slices.SortFunc(paths, func(a, b Path) int { return slices.Compare(a, b) })
}

func isPrefix(short, long Path) bool {
	return len(short) <= len(long) && slices.Equal(short, long[:len(short)])
}

// Merge writes data over e: attributes of data win, children with the same tag
// and id merge, others are added at the end; what data does not mention stays. An attribute value
// "NAME++" or "NAME+=N" for the attribute NAME itself counts up what is there.
func Merge(e, data *Element) *Element {
	for _, a := range data.attrs {
		e = e.With(a.Name, counted(e.Get(a.Name), a))
	}
	if data.text != "" {
		e = e.WithText(data.text)
	}
	for _, c := range data.children {
		i := -1
		if c.name == commentName {
			i = slices.IndexFunc(e.children, func(o *Element) bool { return o.name == commentName && o.text == c.text })
		} else {
			i = e.indexOf(c)
		}
		if i < 0 {
			e = e.Append(Merge(New(c.name).WithText(c.text), c))
			continue
		}
		e = e.ReplaceChild(i, Merge(e.children[i], c))
	}
	return e
}

// counted resolves the arithmetic of attribute values. What is there counts as
// 0 when it is no number; the sum saturates as a score.
func counted(have string, a Attr) string {
	expr, ok := strings.CutPrefix(a.Value, a.Name)
	if !ok {
		return a.Value
	}
	add := int64(1)
	if expr != "++" {
		text, ok := strings.CutPrefix(expr, "+=")
		n, err := strconv.ParseInt(text, 10, 32)
		if !ok || err != nil {
			return a.Value
		}
		add = n
	}
	sum := score.ParseOr(have, 0).Add(score.Of(add))
	return sum.String()
}
