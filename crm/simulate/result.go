package simulate

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"systole/crm/cib"
	"systole/crm/transition"
	"systole/resources"
)

// outcome is what came of one operation, about to be written to a node's history.
type outcome struct {
	resource *cib.Element // lrm_resource to take or to make: id, class, provider, type
	task     string
	interval time.Duration
	rc       resources.Code
	target   resources.Code
	reason   string
	notify   string // "post_notify_start": the id of a notification tells them apart
	source   string // ends of a migration
	dest     string
	digest   string
}

// record writes a result as the cluster's own executors would: the newest one-shot
// operation under RSC_last_0, migrations, notifications and recurring operations under their
// own names, failures under RSC_last_failure_0.
func (w *world) record(s *nodeState, o outcome) {
	if o.rc == resources.OK && (o.task == string(resources.ActionReload) || o.task == string(resources.ActionReloadAgent)) {
		o.task = string(resources.ActionStart) // a reload leaves what a start leaves
	}
	r := s.resource(o.resource)
	rsc := r.ID()
	call := nextCall(r)
	key := transition.Key{Action: transition.ActionID(call), Transition: -1, TargetRC: o.target, UUID: "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"}
	opKey := transition.OpKey(rsc, o.task, o.interval)
	op := cib.New("lrm_rsc_op", "id", "", "operation_key", opKey, "operation", o.task,
		"crm-debug-origin", origin, "crm_feature_set", w.feature,
		"transition-key", key.String(),
		"transition-magic", transition.Magic{Status: resources.StatusDone, RC: o.rc, Key: key}.String(),
		"exit-reason", o.reason, "on_node", s.name(), "call-id", strconv.Itoa(call), "rc-code", strconv.Itoa(int(o.rc)),
		"op-status", "0", "interval", strconv.FormatInt(o.interval.Milliseconds(), 10),
		"last-rc-change", w.seconds(), "exec-time", "0", "queue-time", "0")
	if o.source != "" {
		op = op.With("migrate_source", o.source).With("migrate_target", o.dest)
	}
	if o.digest != "" {
		op = op.With("op-digest", o.digest)
	}
	for _, id := range entryIDs(rsc, opKey, o) {
		r = putOp(r, op.With("id", id))
	}
	if o.rc == resources.OK && o.task == string(resources.ActionStop) {
		r = dropRecurring(r)
	}
	s.put(r)
}

// entryIDs are the ids under which a result is remembered.
func entryIDs(rsc, opKey string, o outcome) []string {
	last, failure := rsc+"_last_0", rsc+"_last_failure_0"
	switch {
	case o.task == string(resources.ActionNotify):
		return []string{rsc + "_" + o.notify + "_0"}
	case o.rc != o.target && o.interval == 0:
		return []string{failure, last}
	case o.rc != o.target:
		return []string{failure}
	case o.task == string(resources.ActionMigrateTo), o.task == string(resources.ActionMigrateFrom), o.interval > 0:
		return []string{opKey}
	}
	return []string{last}
}

func nextCall(r *cib.Element) int {
	call := 0
	for op := range r.Each("lrm_rsc_op") {
		if n, err := strconv.Atoi(op.Get("call-id")); err == nil {
			call = max(call, n)
		}
	}
	return call + 1
}

func putOp(r, op *cib.Element) *cib.Element {
	ops := slices.Clone(r.Children())
	for i, old := range ops {
		if old.ID() == op.ID() {
			ops[i] = op
			return r.WithChildren(ops...)
		}
	}
	return r.WithChildren(append(ops, op)...)
}

func dropOp(r *cib.Element, id string) *cib.Element {
	return r.WithChildren(slices.DeleteFunc(slices.Clone(r.Children()), func(op *cib.Element) bool { return op.ID() == id })...)
}

// dropRecurring removes the monitors of a resource that was stopped.
func dropRecurring(r *cib.Element) *cib.Element {
	return r.WithChildren(slices.DeleteFunc(slices.Clone(r.Children()), func(op *cib.Element) bool {
		return cmp.Or(op.Get("interval"), "0") != "0" && op.ID() != r.ID()+"_last_failure_0"
	})...)
}
