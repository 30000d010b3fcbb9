package scheduler

import (
	"slices"
	"strconv"
	"strings"

	"systole/crm/status"
)

// actionID is the index of an action in the run's list; noAction is none.
type actionID int32

const noAction actionID = -1

// actionFlags are what is true of an action.
type actionFlags uint16

const (
	optional     actionFlags = 1 << iota // nothing needs it
	runnable                             // nothing forbids it
	pseudo                               // nobody executes it: it only orders others
	printed                              // part of the graph even if optional
	migratable                           // can be part of a live migration
	dangling                             // the stop left over from a migration
	requiresAny                          // runnable as soon as enough of its predecessors are
	reschedule                           // a recurring operation to be scheduled again
	onDC                                 // needs only the CIB, not the node
	tracking                             // being visited
	dumped                               // in the graph
	deduplicated                         // its inputs have been sorted and merged
)

// action is one thing that may have to be done.
type action struct {
	res      status.ResID
	node     status.NodeID
	task     string
	keyTask  string // the task as the key has it; differs from task for notifications and cancellations
	interval uint32
	key      string // of actions without resource
	flags    actionFlags
	held     bool // kept from running whatever else is true
	needs    requires
	reason   string
	priority int32
	cancels  string // the task of the recurring operation that a cancellation ends
	meta     *status.OpMeta
	extra    map[string]string // further meta attributes
	before   []link
	after    []link

	runnableBefore, requiredBefore int
}

// requires is what an action needs before it may run.
type requires uint8

const (
	needsNothing requires = iota
	needsQuorum
	needsFencing
)

// link is an ordering between two actions, kept at both.
type link struct {
	action actionID
	flags  orderFlags
	dumped bool
}

func (a *action) is(f actionFlags) bool { return a.flags&f == f }

// set notes a further meta attribute.
func (a *action) set(name, value string) {
	if a.extra == nil {
		a.extra = map[string]string{}
	}
	a.extra[name] = value
}

// metaValue is a meta attribute, "" without it.
func (a *action) metaValue(name string) string {
	if v, ok := a.extra[name]; ok {
		return v
	}
	if a.meta != nil {
		return a.meta.Values[name]
	}
	return ""
}

// because notes why the action is as it is; the first reason stays unless overwrite is set.
func (a *action) because(reason string, overwrite bool) {
	if a.reason == "" || overwrite {
		a.reason = reason
	}
}

// keyOf is the action's operation key.
func (r *run) keyOf(id actionID) string {
	a := &r.actions[id]
	if a.res == status.NoRes {
		return a.key
	}
	return r.rsc(a.res).ID + "_" + a.keyTask + "_" + strconv.FormatUint(uint64(a.interval), 10)
}

// findKey finds a resource's actions by the task in their key, oldest first; on a node if one is given, where an action
// still without node is given that one.
func (r *run) findKey(id status.ResID, keyTask string, interval uint32, n status.NodeID) []actionID {
	var out []actionID
	for _, a := range r.res[id].actions {
		act := &r.actions[a]
		if act.keyTask != keyTask || act.interval != interval {
			continue
		}
		if n != status.NoNode {
			if act.node == status.NoNode {
				act.node = n
			} else if act.node != n {
				continue
			}
		}
		out = append(out, a)
	}
	return out
}

// findOn finds a resource's actions that are on a node, by the task in their key.
func (r *run) findOn(id status.ResID, keyTask string, interval uint32, n status.NodeID) []actionID {
	var out []actionID
	if n == status.NoNode {
		return out
	}
	for _, a := range r.res[id].actions {
		if act := &r.actions[a]; act.keyTask == keyTask && act.interval == interval && act.node == n {
			out = append(out, a)
		}
	}
	return out
}

// findTask is a resource's latest action with a task, on the node if one is given; noAction without one.
func (r *run) findTask(id status.ResID, task string, n status.NodeID) actionID {
	for _, a := range slices.Backward(r.res[id].actions) {
		act := &r.actions[a]
		if act.task == task && (n == status.NoNode || act.node == n) {
			return a
		}
	}
	return noAction
}

func (r *run) findKeyTask(id status.ResID, keyTask string) actionID {
	for _, a := range slices.Backward(r.res[id].actions) {
		if r.actions[a].keyTask == keyTask && r.actions[a].interval == 0 {
			return a
		}
	}
	return noAction
}

// spec says which action is wanted.
type spec struct {
	res      status.ResID
	node     status.NodeID
	task     string
	keyTask  string // "" for the same as task
	interval uint32
	required bool
}

// action finds or makes a resource's action, and updates what is true of it.
func (r *run) action(s spec) actionID {
	if s.keyTask == "" {
		s.keyTask = s.task
	}
	id := noAction
	if found := r.findKey(s.res, s.keyTask, s.interval, s.node); len(found) > 0 {
		id = found[0]
	} else {
		id = actionID(len(r.actions))
		a := action{res: s.res, node: s.node, task: s.task, keyTask: s.keyTask, interval: s.interval, flags: runnable}
		if !s.required {
			a.flags |= optional
		}
		if s.task == "lrm_delete" {
			a.flags |= onDC
		}
		a.meta = r.ev.OpMeta(s.res, s.task, s.interval, strings.Contains(s.keyTask, "_notify_"))
		a.needs = r.requirement(s.res, s.task)
		r.actions = append(r.actions, a)
		r.res[s.res].actions = append(r.res[s.res].actions, id)
	}
	a := &r.actions[id]
	_, recurring := a.meta.Values["interval"]
	switch {
	case a.node != status.NoNode && !a.is(pseudo) && !r.res[a.res].managed && !recurring && a.extra["interval"] == "":
		a.flags |= optional
	case s.required:
		a.flags &^= optional
	}
	r.updateRunnable(id)
	return id
}

func (r *run) requirement(id status.ResID, task string) requires {
	rsc := r.rsc(id)
	switch {
	case task != "start" && task != "promote":
		return needsNothing
	case rsc.NeedsFencing:
		return needsFencing
	case rsc.NeedsQuorum:
		return needsQuorum
	}
	return needsNothing
}

// updateRunnable decides whether an action can run where it is to run.
func (r *run) updateRunnable(id actionID) {
	a := &r.actions[id]
	if a.is(pseudo) || a.held {
		return
	}
	n := a.node
	switch {
	case n == status.NoNode:
		a.flags &^= runnable
	case !a.is(onDC) && !r.nodes[n].online && (r.s.Nodes[n].Kind != status.Guest || r.nodes[n].reset):
		a.flags &^= runnable
		if r.s.Nodes[n].Unproven && !r.s.Options.Fencing {
			a.because("lost node "+r.s.Nodes[n].Name, false)
		}
		if r.res[a.res].managed && a.task == "stop" && !r.nodes[n].unclean {
			r.fenceNode(n, "stop is unrunnable", false)
		}
	case !a.is(onDC) && r.s.Nodes[n].Pending:
		a.flags &^= runnable
	case a.needs == needsNothing:
		a.reason = ""
		if r.s.Nodes[n].Kind == status.Guest && !r.canFence(n) {
			a.flags &^= runnable
		} else {
			a.flags |= runnable
		}
	default:
		r.updateForQuorum(id)
	}
}

func (r *run) updateForQuorum(id actionID) {
	a := &r.actions[id]
	policy := r.s.Options.NoQuorum
	st := &r.res[a.res]
	switch {
	case r.s.Quorum:
		policy = status.NoQuorumIgnore
	case policy == status.NoQuorumDemote && st.role >= status.RoleUnpromoted:
		if st.next > status.RoleUnpromoted {
			r.setNext(a.res, status.RoleUnpromoted, "no-quorum-policy=demote")
		}
		policy = status.NoQuorumIgnore
	case policy == status.NoQuorumDemote:
		policy = status.NoQuorumStop
	}
	switch policy {
	case status.NoQuorumStop:
		a.flags &^= runnable
		a.because("no quorum", true)
	case status.NoQuorumFreeze:
		if !r.active(a.res) || st.next > st.role {
			a.flags &^= runnable
			a.because("quorum freeze", true)
		}
	default:
		a.flags |= runnable
	}
}

// active tells whether a resource is active on a node that is online or will be fenced.
func (r *run) active(id status.ResID) bool {
	for _, n := range r.rsc(id).Active {
		if r.nodes[n].unclean || r.nodes[n].online || !r.res[id].managed {
			return true
		}
	}
	return false
}

// nodeAction finds or makes an action without resource.
func (r *run) nodeAction(key, task string, n status.NodeID) actionID {
	if id, ok := r.single[key]; ok {
		return id
	}
	id := actionID(len(r.actions))
	r.actions = append(r.actions, action{res: status.NoRes, node: n, task: task, keyTask: task, key: key, flags: runnable | optional})
	r.single[key] = id
	return id
}

// pseudo finds or makes a pseudo-action without resource.
func (r *run) pseudo(name string) actionID {
	id := r.nodeAction(name, name, status.NoNode)
	r.actions[id].flags |= pseudo
	return id
}

// resourcePseudo makes a pseudo-action of a resource.
func (r *run) resourcePseudo(id status.ResID, task string, required, canRun bool) actionID {
	a := r.action(spec{res: id, node: status.NoNode, task: task, required: required})
	r.actions[a].flags |= pseudo
	if canRun {
		r.actions[a].flags |= runnable
	}
	return a
}

func (r *run) start(id status.ResID, n status.NodeID) actionID {
	return r.action(spec{res: id, node: n, task: "start"})
}

// wantForget deletes a resource's history on a node.
func (r *run) wantForget(id status.ResID, n status.NodeID) {
	r.action(spec{res: id, node: n, task: "lrm_delete", required: true})
}

// clearFailCount has a resource's failures on a node forgotten.
func (r *run) clearFailCount(id status.ResID, n status.NodeID, reason string) actionID {
	a := r.action(spec{res: id, node: n, task: "clear_failcount", required: true})
	r.actions[a].set("op_no_wait", "true")
	r.actions[a].reason = reason
	return a
}

// wantedByHistory does what the history itself calls for, in the order in which it was found.
func (r *run) wantedByHistory() {
	for _, w := range r.s.Wants {
		switch w.Kind {
		case status.WantStop:
			r.action(spec{res: w.Res, node: w.Node, task: "stop", required: true})
		case status.WantDemote:
			r.action(spec{res: w.Res, node: w.Node, task: "demote", required: true})
		case status.WantRecurring:
			r.action(spec{res: w.Res, node: w.Node, task: w.Task, interval: w.IntervalMillis})
		case status.WantClear, status.WantClearAfter:
			a := r.clearFailCount(w.Res, w.Node, w.Reason)
			r.clears[resNode{w.Res, w.Node}] = true
			if n, ok := r.s.Node(r.rsc(w.Res).ID); ok && w.Kind == status.WantClearAfter {
				r.link(r.fenceAction(n.Index, "", false, "", false), a, impliesThen)
			}
		case status.WantForget:
			r.wantForget(w.Res, w.Node)
		case status.WantFence:
			r.fenceAction(w.Node, "", false, w.Reason, w.PriorityDelay)
		case status.WantOptionalStop:
			for _, a := range r.findKey(w.Res, "stop", 0, w.Node) {
				r.actions[a].flags |= optional
			}
		case status.WantScore:
			if w.Node == status.NoNode {
				r.prefer(w.Res, w.Node, w.Score, w.Reason)
			} else {
				r.preferOn(w.Res, w.Node, w.Score, w.Reason, w.NodeScore)
			}
		case status.WantBanAll:
			t := r.allowed(w.Res)
			for i := range t {
				t[i] = cell{present: true, score: minusInfinity}
				r.trace.score(w.Res, status.NodeID(i), minusInfinity, w.Reason)
			}
		}
	}
}

// nowhereActions adjusts the actions a resource has already when it turns out to have no place.
func (r *run) nowhereActions(id status.ResID) {
	for _, a := range r.res[id].actions {
		act := &r.actions[a]
		switch act.task {
		case "stop":
			act.flags &^= optional
		case "start":
			act.flags &^= runnable
		default:
			if act.interval != 0 && act.metaValue("op_target_rc") != "7" {
				act.flags &^= runnable
			}
		}
	}
}
