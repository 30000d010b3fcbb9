package status

import (
	"slices"

	"systole/crm/cib"
	"systole/crm/model"
)

// values evaluates attribute sets: those whose rules hold now, the highest score first (of
// equal scores the later in the document, so that an element's own sets beat its template's). What is
// already in the table stays, unless overwrite is set.
func (u *Evaluator) values(into map[string]string, sets []model.AttrSet, ctx ruleContext, overwrite bool) {
	u.valuesFirst(into, sets, ctx, overwrite, "")
}

// valuesFirst is values with the set of the id first before all others.
func (u *Evaluator) valuesFirst(into map[string]string, sets []model.AttrSet, ctx ruleContext, overwrite bool, first string) {
	switch len(sets) {
	case 0:
		return
	case 1:
		u.addSet(into, sets[0].Source, ctx, overwrite)
		return
	}
	type block struct {
		set   *cib.Element
		score int32
	}
	blocks := make([]block, 0, len(sets))
	for _, s := range slices.Backward(sets) {
		e := u.resolve(s.Source)
		blocks = append(blocks, block{e, parseScore(e.Get("score"), 0)})
	}
	slices.SortStableFunc(blocks, func(a, b block) int {
		switch {
		case first != "" && a.set.ID() == first:
			return -1
		case first != "" && b.set.ID() == first:
			return 1
		case a.score != b.score && overwrite == (a.score > b.score):
			return 1
		case a.score != b.score:
			return -1
		}
		return 0
	})
	for _, b := range blocks {
		u.addSet(into, b.set, ctx, overwrite)
	}
}

func (u *Evaluator) addSet(into map[string]string, set *cib.Element, ctx ruleContext, overwrite bool) {
	set = u.resolve(set)
	if !u.passes(set, ctx) {
		return
	}
	for _, pair := range set.Children() {
		switch pair.Name() {
		case "attributes": // schema 1.x has the pairs one level deeper
			for nested := range pair.Each("nvpair") {
				addPair(into, u.resolve(nested), nested, overwrite)
			}
		case "nvpair":
			addPair(into, u.resolve(pair), pair, overwrite)
		}
	}
}

func addPair(into map[string]string, pair, reference *cib.Element, overwrite bool) {
	name := pair.Get("name")
	if n := reference.Get("name"); n != "" {
		name = n
	}
	value, ok := pair.Lookup("value")
	if name == "" || !ok {
		return
	}
	if _, present := into[name]; present && !overwrite {
		return
	}
	if value == "#default" {
		if overwrite {
			delete(into, name)
		}
		return
	}
	into[name] = value
}

// resolve follows an id-ref.
func (u *Evaluator) resolve(e *cib.Element) *cib.Element {
	ref, ok := e.Lookup("id-ref")
	if !ok {
		return e
	}
	if u.byID == nil {
		u.byID = map[string]*cib.Element{}
		indexIDs(u.byID, u.s.Source.Child("configuration"))
	}
	if target := u.byID[e.Name()+" "+ref]; target != nil {
		return target
	}
	return e
}

func indexIDs(into map[string]*cib.Element, e *cib.Element) {
	if e == nil {
		return
	}
	if id := e.ID(); id != "" {
		into[e.Name()+" "+id] = e
	}
	for _, c := range e.Children() {
		indexIDs(into, c)
	}
}
