package status

import "systole/crm/cib"

// The history of a live migration is a migrate_to on the source, a migrate_from on the target and a stop on the
// source. Any of them may be missing, failed or erased; these functions find out what that leaves active where.

// findOp is the first history entry of an operation of the resource on a node; for migrations with the given
// other end. A target return code of 0 or more must have been reached.
func (h *history) findOp(node, task, other string, rc int) *cib.Element {
	n, ok := h.s.Node(node)
	if !ok {
		return nil
	}
	for op := range h.History(n.Index, h.rsc().ID).Each("lrm_rsc_op") {
		if op.Get("operation") != task ||
			other != "" && task == "migrate_to" && op.Get("migrate_target") != other ||
			other != "" && task == "migrate_from" && op.Get("migrate_source") != other {
			continue
		}
		if rc >= 0 && (number(op.Get("rc-code"), 1) != int64(rc) || number(op.Get("op-status"), execError) != execDone) {
			return nil
		}
		return op
	}
	return nil
}

// unknownOn tells whether no finished operation says anything about the resource on the node.
func (h *history) unknownOn(node string) bool {
	n, ok := h.s.Node(node)
	if !ok {
		return true
	}
	for op := range h.History(n.Index, h.rsc().ID).Each("lrm_rsc_op") {
		if number(op.Get("rc-code"), rcUnknown) != rcUnknown {
			return false
		}
	}
	return true
}

// changedAfter tells whether an operation other than a monitor came after another on the node.
func (h *history) changedAfter(node string, than *cib.Element) bool {
	n, ok := h.s.Node(node)
	if !ok {
		return false
	}
	for op := range h.History(n.Index, h.rsc().ID).Each("lrm_rsc_op") {
		switch op.Get("operation") {
		case "start", "stop", "migrate_to", "migrate_from":
			if op != than && CompareOps(op, than) > 0 {
				return true
			}
		}
	}
	return false
}

// newerState tells whether a node knows something newer about the resource than the migration.
func (h *history) newerState(node string, to, from *cib.Element) bool {
	than := to
	if from != nil {
		than = from
	}
	if than != to && to != nil && node == than.Get("migrate_source") {
		than = to
	}
	if h.changedAfter(node, than) {
		return true
	}
	monitor := h.findOp(node, "monitor", "", rcNotRunning)
	return monitor != nil && CompareOps(monitor, than) > 0
}

func (h *history) migrateToSucceeded(r *result) {
	source, target := r.op.Get("migrate_source"), r.op.Get("migrate_target")
	if source == "" || target == "" || source != h.on().Name {
		return
	}
	sourceNewer := h.changedAfter(source, r.op)
	from := h.findOp(target, "migrate_from", source, -1)
	fromRC, fromStatus := int64(rcOK), int64(execPending)
	if from != nil {
		if sourceNewer {
			return
		}
		fromRC, fromStatus = number(from.Get("rc-code"), rcOK), number(from.Get("op-status"), execPending)
	}
	targetNewer := h.newerState(target, r.op, from)
	if sourceNewer && targetNewer {
		return
	}
	rsc := h.rsc()
	if fromRC == rcOK && fromStatus == execDone {
		rsc.Role = RoleStopped // on the source; the stop there is still missing
		rsc.Dangling = append([]NodeID{h.node}, rsc.Dangling...)
		return
	}
	rsc.Role = RoleStarted
	to, known := h.s.Node(target)
	active := !targetNewer && known && to.Online
	switch {
	case fromStatus != execPending: // migrate_from failed
		if active {
			h.addActive(h.res, to.Index, true)
		} else {
			h.failMigration()
		}
	case known && to.Online && h.unknownOn(target):
		// The target's history was cleaned; it will be probed.
	case active:
		h.addActive(h.res, to.Index, false)
		if h.on().Online {
			rsc = h.rsc()
			rsc.PartialTarget, rsc.PartialSource = to.Index, h.node
		}
	case !sourceNewer:
		h.failMigration()
	}
}

func (h *history) failMigration() {
	rsc := h.rsc()
	rsc.Failed, rsc.StopIfFailed, rsc.AllowMigrate = true, true, false
}

func (h *history) migrateToFailed(r *result) {
	source, target := r.op.Get("migrate_source"), r.op.Get("migrate_target")
	if source == "" || target == "" || source != h.on().Name {
		return
	}
	h.rsc().Role = RoleStarted
	from := h.findOp(target, "migrate_from", source, rcOK)
	if !h.unknownOn(target) && !h.newerState(target, r.op, from) {
		if to, ok := h.s.Node(target); ok && to.Online {
			h.addActive(h.res, to.Index, false)
		}
	} else if !h.changedAfter(source, r.op) {
		rsc := h.rsc()
		rsc.Dangling = append([]NodeID{h.node}, rsc.Dangling...)
	}
}

func (h *history) migrateFromFailed(r *result) {
	source, target := r.op.Get("migrate_source"), r.op.Get("migrate_target")
	if source == "" || target == "" || target != h.on().Name {
		return
	}
	h.rsc().Role = RoleStarted
	to := h.findOp(source, "migrate_to", target, rcOK)
	if !h.unknownOn(source) && !h.newerState(source, to, r.op) {
		if from, ok := h.s.Node(source); ok && from.Online {
			h.addActive(h.res, from.Index, true)
		}
	}
}
