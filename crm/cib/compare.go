package cib

// Equal tells whether two elements say the same: same tag, same text, same
// attributes in any order, equal children in the same order. Lines do not count.
func Equal(a, b *Element) bool {
	if a == b {
		return true
	}
	if a == nil || b == nil || a.name != b.name || a.text != b.text || len(a.children) != len(b.children) || !equalAttrs(a.attrs, b.attrs) {
		return false
	}
	for i, c := range a.children {
		if !Equal(c, b.children[i]) {
			return false
		}
	}
	return true
}

func equalAttrs(a, b []Attr) bool {
	if len(a) != len(b) {
		return false
	}
	for i, x := range a {
		if i < len(b) && b[i] == x {
			continue
		}
		if v, ok := lookup(b, x.Name); !ok || v != x.Value {
			return false
		}
	}
	return true
}

func lookup(attrs []Attr, name string) (string, bool) {
	for _, a := range attrs {
		if a.Name == name {
			return a.Value, true
		}
	}
	return "", false
}
