package status

import (
	"strings"

	"systole/crm/cib"
	"systole/crm/model"
)

// Return codes of agents (OCF Resource Agent API 1.1) and execution statuses (as lrm_rsc_op records them).
const (
	rcOK               = 0
	rcInvalidParam     = 2
	rcUnimplemented    = 3
	rcInsufficientPriv = 4
	rcNotInstalled     = 5
	rcNotConfigured    = 6
	rcNotRunning       = 7
	rcPromoted         = 8
	rcFailedPromoted   = 9
	rcDegraded         = 190
	rcDegradedPromoted = 191
	rcUnknown          = 193

	execPending       = -1
	execDone          = 0
	execCancelled     = 1
	execTimeout       = 2
	execNotSupported  = 3
	execError         = 4
	execErrorHard     = 5
	execErrorFatal    = 6
	execNotInstalled  = 7
	execNotConnected  = 8
	execInvalid       = 9
	execNoFenceDevice = 10
	execNoSecrets     = 11
)

// history interprets the operations of one resource on one node, in the order in which they happened.
type history struct {
	*unpacker
	res         ResID
	node        NodeID
	onFail      OnFail // the severest reaction still called for
	lastFailure *cib.Element
}

// result is one operation's outcome.
type result struct {
	op           *cib.Element
	key, task    string
	interval     uint32
	rc, expected int
	status       int
	probe        bool
	impossible   bool // see maskableProbe
}

func (h *history) rsc() *Resource { return &h.s.Resources[h.res] }
func (h *history) on() *Node      { return &h.s.Nodes[h.node] }

// anonymousTop is what a ban for a broken agent applies to: the whole clone of an anonymous instance.
func (h *history) anonymousTop() ResID {
	if h.rsc().Unique {
		return h.res
	}
	return h.s.Top(h.res)
}

func isProbe(op *cib.Element) bool {
	return op.Get("operation") == "monitor" && historyInterval(op) == 0
}

// maskableProbe tells whether a probe failed only because the agent or its parameters cannot work on the node, which
// means that the resource cannot run there.
func maskableProbe(op *cib.Element) bool {
	rc := number(op.Get("rc-code"), 0)
	return isProbe(op) && (rc == rcNotInstalled || rc == rcInvalidParam || number(op.Get("op-status"), -2) == execNotInstalled)
}

func historyKey(op *cib.Element) string {
	if k := op.Get("operation_key"); k != "" {
		return k
	}
	return op.ID()
}

func (h *history) operation(op *cib.Element) {
	r := &result{op: op, key: historyKey(op), task: op.Get("operation"), interval: historyInterval(op),
		rc: int(number(op.Get("rc-code"), 0)), expected: targetRC(op), status: int(number(op.Get("op-status"), -2))}
	if op.ID() == "" || r.task == "" || r.status < execPending || r.status > execNoSecrets {
		return
	}
	if r.task == "notify" || r.task == "meta-data" {
		return
	}
	r.probe = r.task == "monitor" && r.interval == 0
	r.impossible = r.probe && !h.s.Bundled(h.res) && maskableProbe(op)
	expired := r.status != execNotInstalled && h.expired(r)
	oldRC, oldExpected := r.rc, r.expected
	h.remap(r)
	switch {
	case expired && r.impossible && oldRC != oldExpected:
		if h.rsc().Role <= RoleStopped {
			h.rsc().Role = RoleUnknown
		}
		return
	case expired && r.rc != r.expected && r.interval == 0:
		return
	case expired && r.rc != r.expected && h.on().Online && !h.on().Unclean:
		h.s.Expired = append(h.s.Expired, op) // it has to be scheduled again
		return
	}
	if r.impossible {
		h.apply(r, r.expected)
		h.recordFailure(r)
		h.ban(h.anonymousTop(), h.node, "probe says it cannot run here")
		return
	}
	switch r.status {
	case execCancelled:
	case execPending:
		h.pending(r)
	case execDone:
		h.apply(r, r.rc)
	default:
		h.failure(r)
	}
}

// remap turns what the executor recorded into what it means, given what was expected.
func (h *history) remap(r *result) {
	node, rsc := h.on(), h.rsc()
	if r.task == "monitor" {
		switch {
		case r.rc == rcDegraded || r.rc == rcDegradedPromoted:
			if !node.Shutdown || node.Online {
				h.recordFailure(r)
			}
			r.rc -= rcDegraded
			if r.rc == 1 {
				r.rc = rcPromoted
			}
		}
	}
	if r.impossible {
		r.status, r.rc = execDone, rcNotRunning
	}
	if r.status != execDone && r.status != execError {
		return
	}
	r.status = execDone
	probe := r.probe
	if r.expected < 0 || r.expected != r.rc {
		r.status = execError
	}
	switch r.rc {
	case rcOK:
		if probe && r.expected == rcNotRunning {
			r.status = execDone
		}
	case rcNotRunning:
		if probe || r.expected == r.rc || !rsc.Managed {
			r.status = execDone
			rsc.Role = RoleStopped
			h.onFail = OnFailIgnore
			h.setNextRole(rsc, RoleUnknown, "not running")
		}
	case rcPromoted:
		if probe && r.rc != r.expected {
			r.status = execDone
		}
		rsc.Role = RolePromoted
	case rcFailedPromoted:
		rsc.Role = RolePromoted
		r.status = execError
	case rcNotConfigured:
		r.status = execErrorFatal
	case rcUnimplemented:
		if r.interval == 0 {
			h.blockIfUnrecoverable(r)
			r.status = execErrorHard
		} else {
			r.status = execNotSupported
		}
	case rcNotInstalled, rcInvalidParam, rcInsufficientPriv:
		h.blockIfUnrecoverable(r)
		r.status = execErrorHard
	default:
		if r.status == execDone {
			r.status = execError
		}
	}
}

// blockIfUnrecoverable leaves alone what cannot be stopped on a node that cannot be fenced.
func (h *history) blockIfUnrecoverable(r *result) {
	if r.task == "stop" && !h.s.CanFence(h.node) {
		h.rsc().Managed, h.rsc().Blocked = false, true
	}
}

func (h *history) setActive() {
	if h.s.Resources[h.s.Top(h.res)].Promotable {
		h.rsc().Role = RoleUnpromoted
	} else {
		h.rsc().Role = RoleStarted
	}
}

// pending is an operation whose result is not in yet.
func (h *history) pending(r *result) {
	rsc := h.rsc()
	switch {
	case r.task == "start":
		rsc.StartPending = true
		h.setActive()
	case r.task == "promote":
		rsc.Role = RolePromoted
	case r.task == "migrate_to" && h.on().Unclean:
		if target, ok := h.s.Node(r.op.Get("migrate_target")); ok {
			h.wantStop(h.res, target.Index)
		}
	}
	if rsc.PendingTask == "" && (r.interval != 0 || r.task != "monitor") {
		rsc.PendingTask, rsc.PendingNode = r.task, h.node
	}
}

// apply takes an operation as done with a return code.
func (h *history) apply(r *result, rc int) {
	rsc := h.rsc()
	clear := false
	switch {
	case r.rc == rcNotInstalled || !h.s.Bundled(h.res) && maskableProbe(r.op):
		rsc.Role = RoleStopped
	case rc == rcNotRunning:
		clear = true
	case r.task == "monitor":
		clear = h.lastFailure != nil && r.key == historyKey(h.lastFailure)
		if rsc.Role < RoleStarted {
			h.setActive()
		}
	case r.task == "start" || r.task == "migrate_from":
		rsc.Role, clear = RoleStarted, true
	case r.task == "stop":
		rsc.Role, clear = RoleStopped, true
	case r.task == "promote":
		rsc.Role, clear = RolePromoted, true
	case r.task == "demote":
		clear = h.onFail == OnFailDemote
		rsc.Role = RoleUnpromoted
	case r.task == "migrate_to":
		h.migrateToSucceeded(r)
	case rsc.Role < RoleStarted:
		h.setActive()
	}
	if clear {
		h.clearPastFailure()
	}
}

func (h *history) clearPastFailure() {
	switch h.onFail {
	case OnFailStop, OnFailBan, OnFailStandby, OnFailFence:
	case OnFailResetRemote:
		if h.rsc().ReconnectInterval == 0 {
			h.onFail = OnFailIgnore
			h.setNextRole(h.rsc(), RoleUnknown, "clear past failures and reset remote")
		}
	default:
		h.onFail = OnFailIgnore
		h.setNextRole(h.rsc(), RoleUnknown, "clear past failures")
	}
}

func (h *history) failure(r *result) {
	rsc := h.rsc()
	meta := h.OpMeta(h.res, r.task, r.interval, false)
	switch r.status {
	case execNotInstalled:
		if meta.OnFail == OnFailIgnore {
			h.onFail = OnFailBan
		}
		h.ban(h.anonymousTop(), h.node, "agent is not installed")
		h.failed(r, meta)
		return
	case execNotConnected:
		if n := h.on(); n.IsRemote() && n.Connection != NoRes && h.s.Resources[n.Connection].Managed {
			h.s.Resources[n.Connection].Failed, h.s.Resources[n.Connection].StopIfFailed = true, true
		}
	case execNoFenceDevice, execNoSecrets:
		r.status = execErrorHard
	}
	if meta.OnFail == OnFailIgnore || meta.OnFail == OnFailRestartContainer && r.task == "stop" {
		h.apply(r, r.expected)
		rsc.FailureIgnored = true
		h.recordFailure(r)
		if meta.OnFail == OnFailRestartContainer && h.onFail <= OnFailRestart {
			h.onFail = meta.OnFail
		}
		return
	}
	h.failed(r, meta)
	switch r.status {
	case execErrorHard:
		h.ban(h.anonymousTop(), h.node, "operation failed in a way that will not pass here")
	case execErrorFatal:
		h.ban(h.anonymousTop(), NoNode, "operation failed in a way that will not pass anywhere")
	}
}

// failed makes the resource bear the consequences of a failed operation.
func (h *history) failed(r *result, meta *OpMeta) {
	rsc := h.rsc()
	h.lastFailure = r.op
	probe := isProbe(r.op)
	if h.s.Options.Symmetric || r.rc != rcNotInstalled {
		h.recordFailure(r)
	}
	h.onFail = max(h.onFail, meta.OnFail)
	switch r.task {
	case "stop":
		h.ban(h.res, h.node, "stop failed here")
	case "migrate_to":
		h.migrateToFailed(r)
	case "migrate_from":
		h.migrateFromFailed(r)
	case "promote":
		rsc.Role = RolePromoted
	case "demote":
		switch {
		case meta.OnFail == OnFailBlock:
			rsc.Role = RolePromoted
			h.setNextRole(rsc, RoleStopped, "demote with on-fail=block")
		case r.rc == rcNotRunning:
			rsc.Role = RoleStopped
		default:
			// Staying promoted would repeat for ever; the stop of the recovery comes before any promotion.
			rsc.Role = RoleUnpromoted
		}
	}
	if probe && r.rc == rcNotInstalled {
		rsc.Role = RoleStopped
	} else if rsc.Role < RoleStarted {
		h.setActive()
	}
	if meta.FailRole != RoleStarted && rsc.NextRole < meta.FailRole {
		h.setNextRole(rsc, meta.FailRole, "failure")
	}
	if meta.FailRole == RoleStopped {
		banned := h.res
		if top := h.s.Top(h.res); h.s.Resources[top].Kind == model.Clone && !h.s.Resources[top].Unique {
			banned = top
		}
		h.want(Want{Kind: WantBanAll, Res: banned, Node: NoNode, Reason: "failed with on-fail=stop"})
	}
}

// recordFailure lists a failed operation for display, once per operation and node.
func (h *history) recordFailure(r *result) {
	if !h.on().Online {
		return
	}
	key := r.key + " " + h.on().Name
	if h.unpacker.failed[key] {
		return
	}
	if h.unpacker.failed == nil {
		h.unpacker.failed = map[string]bool{}
	}
	h.unpacker.failed[key] = true
	h.s.Failures = append(h.s.Failures, Failure{r.op, h.node, h.res})
}

// expired tells whether failure-timeout has let a result expire, and asks for the fail count to be cleared when it has,
// or when the parameters that failed have changed since.
func (h *history) expired(r *result) bool {
	rsc := h.rsc()
	last := strings.HasSuffix(r.op.ID(), "_last_failure_0")
	change, dated := r.op.Lookup("last-rc-change")
	expired, unexpired := false, false
	reason := ""
	if rsc.FailureTimeout > 0 && dated {
		timeout, now := int64(rsc.FailureTimeout.Seconds()), h.s.Now.Unix()
		expired = now >= number(change, 0)+timeout && !h.waitsForFencing(r)
		count, when, blocks := h.failCount(h.res, h.node, true, false, r.op)
		if blocks {
			rsc.FailureTimeout, timeout = 0, 0
		}
		unexpired = count > 0
		if unexpired && now < when+timeout+1 {
			h.recheckBy(unix(when + timeout + 1))
		}
	}
	if expired {
		if count, _, _ := h.failCount(h.res, h.node, false, false, r.op); count > 0 {
			if unexpired {
				expired = false
			} else {
				reason = "it expired"
			}
		} else if last && rsc.ReconnectInterval != 0 {
			reason = "reconnect interval is set"
		}
	}
	if !expired && last && (r.task == "start" || r.task == "monitor") {
		if h.needsRemoteName(h.res) {
			h.s.DeferredChecks = append(h.s.DeferredChecks, DeferredCheck{h.res, h.node, r.op, true})
		} else if h.digestChanged(r.op) {
			reason = "resource parameters have changed"
		}
	}
	if reason != "" {
		kind := WantClear
		if h.s.Options.Fencing && rsc.ReconnectInterval != 0 {
			kind = WantClearAfter
		}
		h.want(Want{Kind: kind, Res: h.res, Node: h.node, Reason: reason})
	}
	if expired && isProbe(r.op) {
		switch r.rc {
		case rcOK, rcNotRunning, rcPromoted, rcDegraded, rcDegradedPromoted:
			return false
		}
	}
	return expired
}

// waitsForFencing tells whether a remote connection's failed monitor must not expire before the node was fenced.
func (h *history) waitsForFencing(r *result) bool {
	if h.rsc().ReconnectInterval == 0 || !h.s.Options.Fencing || r.interval == 0 || r.task != "monitor" {
		return false
	}
	n, ok := h.s.Node(h.rsc().ID)
	return ok && !n.RemoteWasFenced
}
