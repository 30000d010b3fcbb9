package command

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"systole/crm/cib"
	"systole/crm/exit"
	"systole/resources"
)

// results writes all outcomes of an entry.
func (e Entry) results(c *cib.CIB, status *cib.Element) (_ *cib.Element, duplicates int, _ error) {
	for _, r := range e.Results {
		if err := r.check(); err != nil {
			return status, 0, err
		}
		status = editNode(c, status, cib.Clean(r.Node), "", func(state *cib.Element) *cib.Element {
			next, isNew := r.record(state)
			if !isNew {
				duplicates++
			}
			return next
		})
	}
	return status, duplicates, nil
}

func (r Result) check() error {
	switch {
	case r.Node == "" || r.Resource == "" || r.Operation == "":
		return exit.Errorf(exit.DataErr, "result of %s on %s for %s: node, resource and operation must be named", r.Operation, r.Node, r.Resource)
	case r.IntervalMS < 0:
		return exit.Errorf(exit.DataErr, "result of %s on %s for %s: negative interval", r.Operation, r.Node, r.Resource)
	}
	for name := range r.Extra {
		if !cib.IsName(name) {
			return exit.Errorf(exit.DataErr, "result of %s on %s for %s: %q is no attribute name", r.Operation, r.Node, r.Resource, name)
		}
	}
	return nil
}

// record writes one outcome into the node's state, and tells whether it was new.
func (r Result) record(state *cib.Element) (*cib.Element, bool) {
	done := parseSeen(state.Get(attrResults))
	if !done.take(r.Incarnation, r.Call) {
		return state, false
	}
	state = done.write(state)
	if r.Operation == string(resources.ActionNotify) {
		return state, true // notifications leave no history
	}
	state = r.editHistory(state)
	if r.Failure == Counted || r.Failure == Fatal {
		state = r.countFailure(state)
	}
	return state, true
}

// editHistory goes down to the lrm_resource, making what is missing.
func (r Result) editHistory(state *cib.Element) *cib.Element {
	return editChild(state, "lrm", func(lrm *cib.Element) *cib.Element {
		if lrm.ID() == "" {
			lrm = lrm.With("id", state.ID())
		}
		return editChild(lrm, "lrm_resources", func(all *cib.Element) *cib.Element {
			id := cib.Clean(r.Resource)
			i, found := findResource(all, id)
			if found {
				if changed := r.write(all.Children()[i]); changed != nil {
					return all.ReplaceChild(i, changed)
				}
				return all.RemoveChild(i)
			}
			if made := r.write(cib.New("lrm_resource", "id", id)); made != nil && len(made.Children()) > 0 {
				return all.InsertChild(i, made)
			}
			return all
		})
	})
}

// editChild replaces the first child with the tag by what f makes of it; a
// missing one is made empty first.
func editChild(e *cib.Element, tag string, f func(*cib.Element) *cib.Element) *cib.Element {
	i := e.IndexFunc(func(c *cib.Element) bool { return c.Name() == tag })
	if i < 0 {
		return e.Append(f(cib.New(tag)))
	}
	return e.ReplaceChild(i, f(e.Children()[i]))
}

// findResource is the place of a resource, or where it belongs. What this
// package inserts keeps lrm_resources in id order, so that a binary search finds it; a
// document from elsewhere may have any order, so a miss is checked by looking at all.
func findResource(all *cib.Element, id string) (int, bool) {
	at, found := slices.BinarySearchFunc(all.Children(), id, func(e *cib.Element, id string) int { return strings.Compare(e.ID(), id) })
	if found {
		return at, true
	}
	if i := all.IndexFunc(func(e *cib.Element) bool { return e.ID() == id }); i >= 0 {
		return i, true
	}
	return at, false
}

// write puts the outcome into the resource's history, nil when nothing is left
// of it. At most it holds the last one-shot operation, the last failure, both
// ends of a migration and one entry for each recurring operation.
func (r Result) write(history *cib.Element) *cib.Element {
	for _, a := range []cib.Attr{{Name: "class", Value: r.Class}, {Name: "provider", Value: r.Provider}, {Name: "type", Value: r.Type}} {
		if a.Value != "" {
			history = history.With(a.Name, cib.Clean(a.Value))
		}
	}
	if resources.Status(r.Status) == resources.StatusCancelled {
		return r.cancel(history)
	}
	if r.Failure != NotFailed {
		history = r.put(history, "last_failure_0")
		if r.IntervalMS > 0 {
			return history // the entry of the recurring operation keeps its last success
		}
	}
	switch {
	case r.IntervalMS > 0 || r.isMigration():
		return r.put(history, r.key())
	case r.endsMonitors():
		history = without(history, func(op *cib.Element) bool { return op.Get("interval") != "0" && !isLast(op) })
	}
	if r.settles() {
		history = without(history, func(op *cib.Element) bool { return strings.HasPrefix(op.Get("operation"), "migrate_") && !isLast(op) })
	}
	return r.put(history, "last_0")
}

// cancel takes the record of a cancelled operation away. A one-shot operation that was
// recorded as pending hides what was known before, so the whole history goes and the resource is probed again.
func (r Result) cancel(history *cib.Element) *cib.Element {
	id := cib.Clean(r.Resource) + "_" + r.key()
	if r.IntervalMS > 0 {
		return without(history, func(op *cib.Element) bool { return op.ID() == id })
	}
	last := cib.Clean(r.Resource) + "_last_0"
	pending := strconv.Itoa(int(resources.StatusPending))
	for op := range history.Each("lrm_rsc_op") {
		if (op.ID() == last || op.ID() == id) && op.Get("op-status") == pending && op.Get("operation") == r.Operation {
			return nil
		}
	}
	return history
}

func (r Result) key() string { return r.Operation + "_" + strconv.FormatInt(r.IntervalMS, 10) }

func (r Result) isMigration() bool {
	return r.Operation == string(resources.ActionMigrateTo) || r.Operation == string(resources.ActionMigrateFrom)
}

func (r Result) succeeded() bool {
	return resources.Status(r.Status) == resources.StatusDone && resources.Code(r.RC) == resources.OK
}

// endsMonitors: a resource that has stopped has no recurring operations.
func (r Result) endsMonitors() bool {
	return r.succeeded() && r.Operation == string(resources.ActionStop)
}

// settles: after a clean start or stop, migrations before it are history nobody needs.
func (r Result) settles() bool {
	return r.succeeded() && (r.Operation == string(resources.ActionStop) || r.Operation == string(resources.ActionStart))
}

func isLast(op *cib.Element) bool { return strings.HasSuffix(op.ID(), "_last_failure_0") }

func without(history *cib.Element, drop func(*cib.Element) bool) *cib.Element {
	if history.IndexFunc(drop) < 0 {
		return history
	}
	return history.WithChildren(slices.DeleteFunc(slices.Clone(history.Children()), drop)...)
}

// put writes the lrm_rsc_op under the id, in the place of an older one.
func (r Result) put(history *cib.Element, name string) *cib.Element {
	op := r.op(cib.Clean(r.Resource) + "_" + name)
	if i := history.IndexFunc(func(e *cib.Element) bool { return e.ID() == op.ID() }); i >= 0 {
		return history.ReplaceChild(i, op)
	}
	return history.Append(op)
}

// op is the outcome as an lrm_rsc_op, with the attributes and order clients know.
func (r Result) op(id string) *cib.Element {
	status, rc := strconv.Itoa(r.Status), strconv.Itoa(r.RC)
	attrs := []string{
		"id", id,
		"operation_key", cib.Clean(r.Resource + "_" + r.key()),
		"operation", cib.Clean(r.Operation),
		"crm-debug-origin", "systoled",
		"crm_feature_set", cib.CurrentFeatureSet,
		"transition-key", cib.Clean(r.Key),
		"transition-magic", status + ":" + rc + ";" + cib.Clean(r.Key),
		"exit-reason", cib.Clean(r.Reason),
		"on_node", cib.Clean(r.Node),
		"call-id", strconv.Itoa(r.Call),
		"rc-code", rc,
		"op-status", status,
		"interval", strconv.FormatInt(r.IntervalMS, 10),
	}
	if !r.LastChange.IsZero() {
		attrs = append(attrs, "last-rc-change", strconv.FormatInt(r.LastChange.Unix(), 10))
	}
	attrs = append(attrs, "exec-time", strconv.FormatInt(r.ExecMS, 10), "queue-time", strconv.FormatInt(r.QueueMS, 10))
	e := cib.New("lrm_rsc_op", attrs...)
	for _, name := range slices.Sorted(maps.Keys(r.Extra)) {
		e = e.With(name, cib.Clean(r.Extra[name]))
	}
	return e
}

// countFailure raises the failcount of the operation and notes the time.
func (r Result) countFailure(state *cib.Element) *cib.Element {
	of := r.Resource + "#" + r.key()
	count := AttrChange{Name: "fail-count-" + of, Add: 1}
	if r.Failure == Fatal {
		count = AttrChange{Name: count.Name, Value: "INFINITY"}
	}
	state = count.apply(state)
	if r.LastChange.IsZero() {
		return state
	}
	return AttrChange{Name: "last-failure-" + of, Value: strconv.FormatInt(r.LastChange.Unix(), 10)}.apply(state)
}
