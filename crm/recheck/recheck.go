// Package recheck saves the scheduler work that cannot lead to anything new: as
// long as nothing it looks at has changed, and no moment has come at which time
// alone changes its mind, a cluster with nothing to do has nothing to do.
//
// It is pure but for what a planner made by [Planner] remembers, which belongs
// to whoever calls it: one goroutine.
package recheck

import (
	"slices"
	"time"

	"systole/crm/cib"
	"systole/crm/controller"
)

// Same tells whether two documents are one to the scheduler: equal but for what it never looks at. A false answer may be
// too careful, a true one is never wrong.
//
// It costs little where the documents share what did not change, as one CIB and the next do.
func Same(a, b *cib.Element) bool {
	if a == b {
		return true
	}
	if a == nil || b == nil || a.Name() != b.Name() || a.Text() != b.Text() || len(a.Children()) != len(b.Children()) {
		return false
	}
	if !sameAttrs(a, b) {
		return false
	}
	for i, c := range a.Children() {
		if !Same(c, b.Children()[i]) {
			return false
		}
	}
	return true
}

// ignored are the attributes that tell people what happened when, by element.
var ignored = map[string][]string{
	"cib": {"epoch", "num_updates", "admin_epoch", "cib-last-written", "update-origin", "update-client", "update-user"},
	// How long an operation took decides nothing; when its result last changed does (failure-timeout).
	"lrm_rsc_op": {"exec-time", "queue-time", "last-run", "crm-debug-origin"},
	"node_state": {"crm-debug-origin"},
}

// sameAttrs compares the attributes in their order, which documents that were one keep.
func sameAttrs(a, b *cib.Element) bool {
	if slices.Equal(a.Attrs(), b.Attrs()) {
		return true
	}
	skip := ignored[a.Name()]
	i, j := 0, 0
	for {
		for i < len(a.Attrs()) && slices.Contains(skip, a.Attrs()[i].Name) {
			i++
		}
		for j < len(b.Attrs()) && slices.Contains(skip, b.Attrs()[j].Name) {
			j++
		}
		if i == len(a.Attrs()) || j == len(b.Attrs()) {
			return i == len(a.Attrs()) && j == len(b.Attrs())
		}
		if a.Attrs()[i] != b.Attrs()[j] {
			return false
		}
		i, j = i+1, j+1
	}
}

// Rest is a moment at which a cluster had nothing to do. The zero value is none.
type Rest struct {
	root *cib.Element
	at   time.Time
	plan controller.Plan
}

// After is what is worth remembering of a plan: one that does something is never made twice.
func After(root *cib.Element, at time.Time, p controller.Plan) Rest {
	if p.Graph == nil || !p.Graph.Empty() {
		return Rest{}
	}
	return Rest{root, at, p}
}

// Lasts tells whether the cluster still has nothing to do: the document is the same to the scheduler, and it is not yet
// the moment from which the same one may mean something else. A clock that was set back ends it.
func (r Rest) Lasts(root *cib.Element, now time.Time) bool {
	return r.root != nil && !now.Before(r.at) && (r.plan.RecheckBy.IsZero() || now.Before(r.plan.RecheckBy)) && Same(r.root, root)
}

// Planner makes a planner that asks another one only when its answer may be new.
func Planner(ask controller.Planner) controller.Planner {
	var rest Rest
	return func(c *cib.CIB, now time.Time) (controller.Plan, error) {
		if rest.Lasts(c.Root(), now) {
			return rest.plan, nil
		}
		p, err := ask(c, now)
		rest = Rest{}
		if err == nil {
			rest = After(c.Root(), now, p)
		}
		return p, err
	}
}
