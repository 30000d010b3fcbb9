// Package attrs keeps transient node attributes on their way into the CIB:
// dampening, private values, and counting updates such as "value++".
//
// [Table] is a pure value moved by explicit instants; crm/node owns one, asks it
// what is due and proposes that. A value that was set is seen by the next query
// at once, whether it is in the CIB already or still dampened. What is not yet
// in the CIB is lost with the daemon, as it is with Pacemaker's attrd: agents
// set their attributes again with every monitor.
package attrs

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Key names an attribute of a node.
type Key struct{ Node, Name string }

// Update is one request.
type Update struct {
	Key
	// Set is the attribute set's id; "" is the node's usual one.
	Set string
	// Value nil deletes; with DampenOnly it is ignored.
	Value      *string
	Dampen     *time.Duration
	DampenOnly bool
	Private    bool
}

// Change is what is to be committed: Value nil deletes.
type Change struct {
	Key
	Set   string
	Value *string
}

// Table holds what is dampened, private, or known of dampening. The zero value
// is ready. Not safe for concurrent use.
type Table struct {
	known map[Key]*entry
}

type entry struct {
	dampen  time.Duration
	private bool
	value   *string // private value, or the newest wish while waiting
	set     string
	waiting bool
	due     time.Time
}

// Apply takes an update. current is the attribute's value in the CIB. The change
// it returns is to be committed at once; otherwise [Table.Due] gives it later, or
// there is nothing to commit. A further update of a dampened attribute that
// waits starts its time again, so that a flapping value is written once it rests.
func (t *Table) Apply(u Update, current string, has bool, now time.Time) (c Change, commit bool, err error) {
	if t.known == nil {
		t.known = map[Key]*entry{}
	}
	e := t.known[u.Key]
	if e == nil {
		e = &entry{private: u.Private}
		t.known[u.Key] = e
	}
	if u.Dampen != nil {
		e.dampen = max(0, *u.Dampen)
		if e.waiting {
			e.due = now.Add(e.dampen)
		}
	}
	if u.DampenOnly {
		return Change{}, false, nil
	}
	if e.private || e.waiting {
		current, has = "", e.value != nil
		if has {
			current = *e.value
		}
	}
	value := u.Value
	if value != nil {
		v, err := expand(*value, current)
		if err != nil {
			return Change{}, false, fmt.Errorf("attribute %s of %s: %w", u.Name, u.Node, err)
		}
		value = &v
	}
	if e.private {
		e.value = value
		return Change{}, false, nil
	}
	if !e.waiting && has == (value != nil) && (value == nil || *value == current) {
		return Change{}, false, nil
	}
	if e.dampen == 0 {
		e.waiting = false
		return Change{Key: u.Key, Set: u.Set, Value: value}, true, nil
	}
	e.waiting, e.value, e.set, e.due = true, value, u.Set, now.Add(e.dampen)
	return Change{}, false, nil
}

// Get is the value that a query is to see when it is not the CIB's: of a private
// attribute, or of one that waits. ok is false when the CIB says it.
func (t *Table) Get(k Key) (value *string, ok bool) {
	e := t.known[k]
	if e == nil || !e.private && !e.waiting {
		return nil, false
	}
	return e.value, true
}

// All yields what Get would say of every attribute, in order.
func (t *Table) All() []Change {
	var out []Change
	for k, e := range t.known {
		if e.private || e.waiting {
			out = append(out, Change{Key: k, Set: e.set, Value: e.value})
		}
	}
	slices.SortFunc(out, compare)
	return out
}

// Due returns what has waited long enough, and forgets that it waited.
func (t *Table) Due(now time.Time) []Change {
	var out []Change
	for k, e := range t.known {
		if e.waiting && !now.Before(e.due) {
			e.waiting = false
			out = append(out, Change{Key: k, Set: e.set, Value: e.value})
		}
	}
	slices.SortFunc(out, compare)
	return out
}

// Next is when Due will have something; zero is never.
func (t *Table) Next() time.Time {
	var next time.Time
	for _, e := range t.known {
		if e.waiting && (next.IsZero() || e.due.Before(next)) {
			next = e.due
		}
	}
	return next
}

// Forget drops everything about a node that has left.
func (t *Table) Forget(node string) {
	for k := range t.known {
		if k.Node == node {
			delete(t.known, k)
		}
	}
}

func compare(a, b Change) int {
	return cmp.Or(strings.Compare(a.Node, b.Node), strings.Compare(a.Name, b.Name))
}

// Bounds of a counting value: a score's (Pacemaker's INFINITY).
const infinity = 1_000_000

// expand does the arithmetic of "value++" and "value+=N"; anything else is itself.
// A present value that is no number counts as 0.
func expand(value, current string) (string, error) {
	var step int
	switch {
	case value == "value++":
		step = 1
	case strings.HasPrefix(value, "value+="):
		n, err := number(value[len("value+="):])
		if err != nil {
			return "", fmt.Errorf("%q: want value++ or value+=NUMBER", value)
		}
		step = n
	default:
		return value, nil
	}
	n, _ := number(current)
	n = max(-infinity, min(infinity, n+step))
	switch n {
	case infinity:
		return "INFINITY", nil
	case -infinity:
		return "-INFINITY", nil
	}
	return strconv.Itoa(n), nil
}

func number(s string) (int, error) {
	switch s {
	case "INFINITY", "+INFINITY":
		return infinity, nil
	case "-INFINITY":
		return -infinity, nil
	}
	return strconv.Atoi(s)
}
