package clitext

import (
	"slices"
	"strings"

	"systole/crm/cib"
)

// anonymous tags have ids that the language cannot name and nothing refers to.
func isAnonymous(tag string) bool {
	switch tag {
	case "expression", "date_expression", "duration", "date_spec", "resource_set", "acl_permission", "fencing-level", "attribute":
		return true
	}
	return false
}

// spelledDefaults are attributes whose presence with this value means the same
// as their absence (the RELAX NG schema and Pacemaker's documentation).
var spelledDefaults = map[string]string{
	"rule boolean-op":           "and",
	"resource_set sequential":   "true",
	"resource_set require-all":  "true",
	"date_expression operation": "in_range",
}

// Equivalent tells whether two elements say the same: the order of attributes
// and of siblings with different tags does not count, nor do comments' leading
// marks, spelled-out defaults and the ids of anonymous parts.
func Equivalent(a, b *cib.Element) bool {
	if a == b {
		return true
	}
	if a == nil || b == nil || a.Name() != b.Name() {
		return false
	}
	if a.Name() == "#comment" {
		return commentText(a) == commentText(b)
	}
	if a.Text() != b.Text() || !slices.Equal(meaning(a), meaning(b)) || len(a.Children()) != len(b.Children()) {
		return false
	}
	as, bs := byTag(a), byTag(b)
	for i := range as {
		if !Equivalent(as[i], bs[i]) {
			return false
		}
	}
	return true
}

// meaning is the sorted list of attributes that count.
func meaning(e *cib.Element) []cib.Attr {
	out := make([]cib.Attr, 0, len(e.Attrs())+1)
	for _, a := range e.Attrs() {
		if a.Name == "id" && isAnonymous(e.Name()) {
			continue
		}
		if d, ok := spelledDefaults[e.Name()+" "+a.Name]; ok && d == a.Value {
			continue
		}
		out = append(out, a)
	}
	if _, ref := e.Lookup("id-ref"); e.Name() == "rule" && !ref && e.Get("score") == "" && e.Get("score-attribute") == "" {
		out = append(out, cib.Attr{Name: "score", Value: "INFINITY"})
	}
	slices.SortFunc(out, func(x, y cib.Attr) int { return strings.Compare(x.Name, y.Name) })
	return out
}

// byTag sorts the children by tag, keeping the order of equal tags.
func byTag(e *cib.Element) []*cib.Element {
	out := slices.Clone(e.Children())
	slices.SortStableFunc(out, func(x, y *cib.Element) int { return strings.Compare(x.Name(), y.Name()) })
	return out
}

func commentText(e *cib.Element) string {
	return strings.TrimSpace(strings.TrimLeft(strings.TrimSpace(e.Text()), "#"))
}
