package simulate

import (
	"strings"
	"time"

	"systole/crm/cib"
	"systole/crm/transition"
	"systole/resources"
)

// Step is one action that a simulated transition executed.
type Step struct {
	Action *transition.Action
	// Resource is what the field calls the resource of an operation here: the name in the
	// history where any node's history has one, else the instance's; "" without resource.
	Resource string
	// Failed is set where a failure was asked for; RC is then the return code it gave.
	Failed bool
	RC     resources.Code
	// Notes say what else was written because of it (fail counts).
	Notes []Note
}

// Execution is a transition that was carried out on paper.
type Execution struct {
	Steps []Step
	// CIB is the document afterwards.
	CIB *cib.Element
	// State is how the run ended.
	State transition.State
}

// ExecuteOptions say how.
type ExecuteOptions struct {
	// At is stamped on results; it should not be before the times in the CIB, because
	// the newest result of an operation counts.
	At time.Time
	// Fail are the operations that shall fail when the transition comes to them.
	Fail []OpSpec
}

// Execute carries a transition out on paper: every action succeeds at once, in the
// order of the progress machine, unless a failure was asked for, and leaves in the CIB what it
// would leave in a real cluster.
func Execute(root *cib.Element, g *transition.Graph, o ExecuteOptions) Execution {
	w := newWorld(root, o.At)
	run := transition.NewRun(g)
	names := w.historyNames()
	var steps []Step
	for again := true; again; {
		again = false
		for a := range run.Ready(o.At) {
			again = true
			step := w.perform(a, names.of(a), o.Fail)
			steps = append(steps, step)
			if step.Failed {
				run.Confirm(a.ID, transition.ActionFailed)
			} else {
				run.Confirm(a.ID, transition.Succeeded)
			}
		}
	}
	return Execution{Steps: steps, CIB: w.finish(), State: run.State()}
}

// historyNames are the resource names in any node's history.
type historyNames map[string]bool

func (w *world) historyNames() historyNames {
	names := historyNames{}
	for _, s := range w.states {
		for id := range s.index {
			names[id] = true
		}
	}
	return names
}

func (h historyNames) of(a *transition.Action) string {
	switch {
	case a.Resource == nil:
		return ""
	case h[a.Resource.ID] || a.Resource.LongID == "" || a.Kind != transition.KindResource:
		return a.Resource.ID
	}
	return a.Resource.LongID
}

// perform does one action.
func (w *world) perform(a *transition.Action, name string, fail []OpSpec) Step {
	switch {
	case a.Kind == transition.KindResource:
		return w.operate(a, name, fail)
	case a.Kind == transition.KindCluster && a.Task == transition.TaskFence:
		w.fence(a)
	case a.Kind == transition.KindCluster && a.Task == transition.TaskClearFailCount:
		w.clearFailures(a)
	}
	return Step{Action: a, Resource: name}
}

// operate runs one operation of an agent. Its result goes where the node's history has the
// name shown, else under the name the graph gives.
func (w *world) operate(a *transition.Action, name string, fail []OpSpec) Step {
	step := Step{Action: a, Resource: name}
	s := w.node(a.Node, a.NodeID)
	if s == nil || a.Resource == nil {
		return step
	}
	id := a.Resource.ID
	if s.known(name) {
		id = name
	}
	like := cib.New("lrm_resource", "id", id, "class", a.Resource.Class)
	if a.Resource.Provider != "" {
		like = like.With("provider", a.Resource.Provider)
	}
	like = like.With("type", a.Resource.Type)
	switch a.Task {
	case transition.TaskDelete:
		s.remove(id)
		return step
	case transition.TaskCancel:
		if s.known(id) {
			s.put(dropOp(s.resource(like), a.Key))
		}
		return step
	}
	o := outcome{
		resource: like,
		task:     a.Task,
		interval: a.Interval(),
		rc:       a.TargetRC(),
		target:   a.TargetRC(),
		digest:   transition.Digest(a.Attributes, a.Interval() > 0),
		notify:   a.Meta("notify_key_type") + "_notify_" + a.Meta("notify_key_operation"),
	}
	if a.Task == string(resources.ActionMigrateTo) || a.Task == string(resources.ActionMigrateFrom) {
		o.source, o.dest = a.Meta("migrate_source"), a.Meta("migrate_target")
	}
	if f, ok := asked(fail, a); ok {
		o.rc, o.reason = f.RC, "User-injected result"
		step.Failed, step.RC = true, f.RC
		step.Notes = w.countFailure(s, id, a.Task, a.Interval(), f.RC)
	}
	w.record(s, o)
	return step
}

// asked finds the failure wanted for an action; the resource may be named with or
// without its instance number.
func asked(fail []OpSpec, a *transition.Action) (OpSpec, bool) {
	for _, f := range fail {
		if f.Task == a.Task && f.Interval == a.Interval() && f.Node == a.Node && f.RC != a.TargetRC() &&
			(f.Resource == a.Resource.ID || f.Resource == a.Resource.LongID) {
			return f, true
		}
	}
	return OpSpec{}, false
}

// fence takes a node down, or (action "on") records that it may take part again.
func (w *world) fence(a *transition.Action) {
	s := w.node(a.Node, a.NodeID)
	if s == nil {
		return
	}
	if a.Meta("stonith_action") == "on" {
		s.attribute("#node-unfenced", func(string) string { return w.seconds() })
		return
	}
	s.forget()
	s.set("in_ccm", "false", "crmd", "offline", "join", "down", "expected", "down", "crm-debug-origin", origin)
}

func (w *world) clearFailures(a *transition.Action) {
	s := w.byName[a.Node]
	if s == nil || a.Resource == nil {
		return
	}
	s.dropAttributes(func(name string) bool {
		for _, prefix := range []string{"fail-count-", "last-failure-"} {
			if rest, ok := strings.CutPrefix(name, prefix); ok {
				rsc, _, _ := strings.Cut(rest, "#")
				return rsc == a.Resource.ID || rsc == a.Resource.LongID
			}
		}
		return false
	})
}
