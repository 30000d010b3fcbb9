package cib

import "slices"

// Diff is the patch that makes new of old; both are roots of whole documents.
// It carries the versions of both when they are <cib> elements. Elements are
// the same when tag and id are; brothers that ids do not tell apart are either
// left alone or taken out and put in again. Changes are ordered as crm_diff
// orders them: all deletions, then the rest in the order of the new document.
func Diff(old, new *Element) Patch {
	var p Patch
	if old.name == "cib" && new.name == "cib" {
		p.Source, p.Target = versionIn(old), versionIn(new)
	}
	if keyOf(old) != keyOf(new) {
		p.Changes = []Change{{Kind: ChangeCreate, Path: "/", Element: new}}
		return p
	}
	root := pair(old, new)
	p.Changes = root.changes(idStep(old), root.deletions(idStep(old), nil))
	return p
}

func versionIn(root *Element) *Version {
	v, err := versionOf(root, "admin_epoch", "epoch", "num_updates")
	if err != nil {
		return nil
	}
	return &v
}

// key tells brothers apart. Comments are told apart by what they say.
type key struct{ name, id string }

func keyOf(e *Element) key {
	if e.name == commentName {
		return key{commentName, e.text}
	}
	return key{e.name, e.ID()}
}

// pairing is an element in both documents and what became of its children.
type pairing struct {
	old, new *Element
	toNew    []int      // for each old child its position in new, -1 if deleted
	fromOld  []int      // for each new child its position in old, -1 if created
	below    []*pairing // for each new child that is in both and differs
	moved    []bool     // for each new child
}

func pair(old, new *Element) *pairing {
	p := &pairing{old: old, new: new, below: make([]*pairing, len(new.children)), moved: make([]bool, len(new.children))}
	ambiguous := p.match()
	for p.moves(ambiguous) {
	}
	for j, c := range new.children {
		if i := p.fromOld[j]; i >= 0 && !Equal(old.children[i], c) {
			p.below[j] = pair(old.children[i], c)
		}
	}
	return p
}

// match pairs the children with equal keys. A key that occurs more than once
// cannot be addressed: its elements are paired only if all are as before. The
// result says which new children have such keys; comments are among them.
func (p *pairing) match() (ambiguous []bool) {
	p.toNew, p.fromOld = fill(len(p.old.children)), fill(len(p.new.children))
	ambiguous = make([]bool, len(p.new.children))
	where := make(map[key][]int, len(p.old.children))
	for i, c := range p.old.children {
		where[keyOf(c)] = append(where[keyOf(c)], i)
	}
	groups := make(map[key][]int, len(p.new.children))
	for j, c := range p.new.children {
		groups[keyOf(c)] = append(groups[keyOf(c)], j)
	}
	for k, js := range groups {
		is := where[k]
		single := len(is) == 1 && len(js) == 1 && k.name != commentName
		if !single && !slices.EqualFunc(is, js, func(i, j int) bool { return Equal(p.old.children[i], p.new.children[j]) }) {
			continue
		}
		for n, j := range js {
			p.toNew[is[n]], p.fromOld[j], ambiguous[j] = j, is[n], !single
		}
	}
	return ambiguous
}

func fill(n int) []int {
	s := make([]int, n)
	for i := range s {
		s[i] = -1
	}
	return s
}

// moves marks the paired children whose place among the paired has changed. A
// child that would have to move but cannot be addressed is unpaired, with all of its key, and the
// answer is true: look again.
func (p *pairing) moves(ambiguous []bool) (again bool) {
	clear(p.moved)
	rank := newRanks(p.fromOld)
	before := 0 // old children before this one that stay and are not passed over
	for _, j := range p.toNew {
		if j < 0 {
			continue
		}
		after := rank.before(j)
		if before == after {
			before++
			continue
		}
		p.moved[j] = true
		if before < after { // it went down: from here on count as if it were gone from new
			rank.drop(j)
			before++
		}
	}
	last := -1 // what stays must be in order by itself
	for j, i := range p.fromOld {
		if i < 0 || p.moved[j] {
			continue
		}
		if p.moved[j] = i < last; !p.moved[j] {
			last = i
		}
	}
	for j, moved := range p.moved {
		if moved && ambiguous[j] {
			p.unpair(keyOf(p.new.children[j]))
			again = true
		}
	}
	return again
}

func (p *pairing) unpair(k key) {
	for j, i := range p.fromOld {
		if i >= 0 && keyOf(p.new.children[j]) == k {
			p.toNew[i], p.fromOld[j] = -1, -1
		}
	}
}

// ranks counts the paired new children before a position, some dropped (a
// Fenwick tree: both operations take logarithmic time).
type ranks []int

func newRanks(fromOld []int) ranks {
	r := make(ranks, len(fromOld)+1)
	for j, i := range fromOld {
		if i >= 0 {
			r.add(j, 1)
		}
	}
	return r
}

func (r ranks) add(j, n int) {
	for i := j + 1; i < len(r); i += i & -i {
		r[i] += n
	}
}

func (r ranks) drop(j int) { r.add(j, -1) }

func (r ranks) before(j int) (n int) {
	for i := j; i > 0; i -= i & -i {
		n += r[i]
	}
	return n
}

// deletions lists what is gone, in the order of the old document. A comment's
// position is the one it has once those before it are gone.
func (p *pairing) deletions(path string, to []Change) []Change {
	gone := 0
	for i, c := range p.old.children {
		j := p.toNew[i]
		if j >= 0 {
			if p.below[j] != nil {
				to = p.below[j].deletions(path+idStep(c), to)
			}
			continue
		}
		change := Change{Kind: ChangeDelete, Path: path + idStep(c), Position: -1}
		if c.name == commentName {
			change.Position = i - gone
		}
		to = append(to, change)
		gone++
	}
	return to
}

// changes lists everything else in the order of the new document.
func (p *pairing) changes(path string, to []Change) []Change {
	if set, unset := attrChanges(p.old, p.new); len(set)+len(unset) > 0 || p.old.text != p.new.text {
		to = append(to, Change{Kind: ChangeModify, Path: path, Position: -1, Set: set, Unset: unset, Element: p.new.WithChildren()})
	}
	for j, i := range p.fromOld {
		if i < 0 {
			to = append(to, Change{Kind: ChangeCreate, Path: path, Position: j, Element: p.new.children[j]})
			continue
		}
		step := idStep(p.old.children[i])
		if p.below[j] != nil {
			to = p.below[j].changes(path+step, to)
		}
		if p.moved[j] {
			to = append(to, Change{Kind: ChangeMove, Path: path + step, Position: j})
		}
	}
	return to
}

func attrChanges(old, new *Element) (set []Attr, unset []string) {
	for _, a := range new.attrs {
		if v, ok := old.Lookup(a.Name); !ok || v != a.Value {
			set = append(set, a)
		}
	}
	for _, a := range old.attrs {
		if _, ok := new.Lookup(a.Name); !ok {
			unset = append(unset, a.Name)
		}
	}
	return set, unset
}
