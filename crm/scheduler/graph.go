package scheduler

import (
	"slices"
	"strconv"

	"systole/crm/model"
	"systole/crm/status"
	"systole/crm/transition"
)

// featureSet is the feature set whose graphs these are (Pacemaker 2.1.5, the version this project reports).
const featureSet = "3.16.1"

// result freezes what the run has found out.
func (r *run) result() *Result {
	changes := r.changes()
	graph := r.graph()
	res := &Result{Status: r.s, Graph: graph, RecheckBy: earliest(r.s.RecheckBy, r.ev.RecheckBy), Notices: r.notices, options: r.opts}
	if !res.RecheckBy.IsZero() {
		graph.RecheckBy = res.RecheckBy.Unix()
	}
	res.RecheckBy = earliest(res.RecheckBy, r.s.OptionsRecheckBy)
	res.Placement = &Placement{Scores: r.scores, Capacities: r.caps}
	for i := range r.res {
		res.Placement.Node = append(res.Placement.Node, r.res[i].node)
		res.Placement.Role = append(res.Placement.Role, r.res[i].next)
	}
	res.Plan = &Plan{Changes: changes}
	for i := range r.actions {
		a := &r.actions[i]
		out := Action{ID: transition.ActionID(i + 1), Key: r.keyOf(actionID(i)), Task: a.task, IntervalMillis: a.interval,
			Resource: a.res, Node: a.node, Optional: a.is(optional), Runnable: a.is(runnable), Pseudo: a.is(pseudo),
			InGraph: a.is(dumped), Reason: a.reason}
		for _, l := range a.before {
			if l.dumped {
				out.Before = append(out.Before, transition.ActionID(l.action+1))
			}
		}
		res.Plan.Actions = append(res.Plan.Actions, out)
	}
	return res
}

// graph puts together the transition graph: for each resource its actions, the latest first, and at last those on nodes.
func (r *run) graph() *transition.Graph {
	o := &r.s.Options
	g := &transition.Graph{Options: transition.Options{ClusterDelay: o.ClusterDelay, FencingTimeout: o.FenceTimeout,
		FailedStopOffset: "INFINITY", FailedStartOffset: "1", TransitionID: r.opts.TransitionID, MigrationLimit: -1}}
	if o.StartFailureFatal {
		g.FailedStartOffset = "INFINITY"
	}
	g.BatchLimit, _ = strconv.Atoi(o.BatchLimit)
	if n, err := strconv.Atoi(o.MigrationLimit); err == nil && n > 0 {
		g.MigrationLimit, g.MigrationLimitText = n, o.MigrationLimit
	}
	for _, id := range r.rootOrder {
		r.graphResource(g, id)
	}
	if len(r.maintenanceNodes()) > 0 {
		a := r.pseudo("maintenance_nodes")
		r.actions[a].flags |= printed
	}
	for k := len(r.actions) - 1; k >= 0; k-- {
		r.graphAction(g, actionID(k))
	}
	g.Drawing = r.drawing()
	return g
}

func (r *run) graphResource(g *transition.Graph, id status.ResID) {
	own := func() {
		for _, a := range slices.Backward(r.res[id].actions) {
			r.graphAction(g, a)
		}
	}
	switch r.rsc(id).Kind {
	case model.Bundle:
		b := r.rsc(id).Bundle
		if b.Member != status.NoRes {
			r.graphResource(g, b.Member)
		}
		for _, rep := range b.Replicas {
			for _, part := range []status.ResID{rep.IP, rep.Container, rep.Remote} {
				if part != status.NoRes {
					r.graphResource(g, part)
				}
			}
		}
		return
	case model.Clone:
		for _, a := range slices.Backward(r.res[id].actions) {
			r.flagsOf(a, status.NoNode)
		}
		r.createNotifications(id)
		for _, c := range r.res[id].children {
			r.graphResource(g, c)
		}
		own()
		return
	}
	own()
	for _, c := range r.res[id].children {
		r.graphResource(g, c)
	}
}

// mergeInputs sorts what an action waits for and merges what is there twice.
func (r *run) mergeInputs(id actionID) {
	a := &r.actions[id]
	if a.is(deduplicated) {
		return
	}
	a.flags |= deduplicated
	slices.Reverse(a.before)
	slices.SortStableFunc(a.before, func(x, y link) int { return int(x.action) - int(y.action) })
	out := a.before[:0]
	for _, l := range a.before {
		if n := len(out); n > 0 && out[n-1].action == l.action {
			out[n-1].flags |= l.flags
			out[n-1].dumped = out[n-1].dumped || l.dumped
			continue
		}
		l.dumped = false
		out = append(out, l)
	}
	a.before = out
}

func (r *run) graphAction(g *transition.Graph, id actionID) {
	r.mergeInputs(id)
	a := &r.actions[id]
	if a.is(dumped) || !r.belongs(id) {
		return
	}
	a.flags |= dumped
	s := transition.Synapse{Action: r.graphElement(id)}
	if a.res != status.NoRes {
		s.Priority = int(r.res[a.res].priority)
	}
	s.Priority = max(s.Priority, int(a.priority), 0)
	for k := range a.before {
		if r.inputBelongs(id, &r.actions[id].before[k]) {
			r.actions[id].before[k].dumped = true
			s.Inputs = append(s.Inputs, transition.ActionID(a.before[k].action+1))
		}
	}
	g.Synapses = append(g.Synapses, s)
}

// belongs tells whether an action is part of the graph.
func (r *run) belongs(id actionID) bool {
	a := &r.actions[id]
	if !a.is(runnable) || a.is(optional) && !a.is(printed) {
		return false
	}
	if a.res != status.NoRes && !r.res[a.res].managed && a.task != "monitor" && a.interval == 0 {
		return false
	}
	if a.is(pseudo) || a.task == "stonith" || a.task == "do_shutdown" {
		return true
	}
	n := a.node
	switch {
	case n == status.NoNode:
		return false
	case a.is(onDC), r.s.Nodes[n].Kind == status.Guest && !r.nodes[n].reset:
		return true
	}
	return r.nodes[n].online && !r.nodes[n].unclean
}

// inputBelongs tells whether an ordering is part of the graph. Orderings for capacity and anti-colocation that turn out to be
// needless are taken out for good.
func (r *run) inputBelongs(id actionID, l *link) bool {
	if l.dumped {
		return true
	}
	a, in := &r.actions[id], &r.actions[l.action]
	switch {
	case l.flags == orderNone,
		!in.is(runnable) && l.flags&^(printFirst|printThen|orderOptional) == 0,
		!in.is(runnable) && l.flags&oneOrMore != 0,
		l.flags&impliesFirstMigratable != 0 && !in.is(runnable),
		l.flags&ifNotMigrating != 0 && in.is(migratable),
		l.flags == orderOptional && in.is(migratable) && in.keyTask == "stop":
		return false
	case l.flags == orderLoad:
		n := a.node
		if a.res != status.NoRes && a.task == "migrate_to" {
			n = r.res[a.res].node // what counts is where it will be
			if in.node == status.NoNode || in.node != n {
				l.flags = orderNone
				return false
			}
			return true
		}
		if in.node == status.NoNode || in.node != n || in.is(optional) {
			l.flags = orderNone
			return false
		}
		return true
	case l.flags == orderApart:
		if in.node != status.NoNode && a.node != status.NoNode && in.node != a.node || in.is(optional) {
			l.flags = orderNone
			return false
		}
		return true
	case in.res != status.NoRes && in.res != a.res && r.res[in.res].failed && !r.res[in.res].managed && in.keyTask == "stop" &&
		a.res != status.NoRes && r.isClone(a.res):
		return false // an unmanaged failed resource cannot keep a clone from stopping
	case in.is(optional) && in.flags&(printed|dumped) == 0 && !r.belongs(l.action),
		in.is(runnable) && in.res != status.NoRes && !r.res[in.res].managed && !r.belongs(l.action):
		return false // nobody would ever confirm it
	}
	return true
}

// loops tells whether following an ordering back leads to the action it started from.
func (r *run) loops(start, id actionID, l *link) bool {
	in := &r.actions[l.action]
	if in.is(tracking) || !r.inputBelongs(id, l) {
		return false
	}
	if l.action == start {
		return true
	}
	in.flags |= tracking
	found := false
	for k := len(in.before) - 1; k >= 0 && !found; k-- {
		found = r.loops(start, l.action, &r.actions[l.action].before[k])
	}
	r.actions[l.action].flags &^= tracking
	return found
}

// maintenanceNodes are the remote nodes whose maintenance mode has to be passed on to them.
func (r *run) maintenanceNodes() []status.NodeID {
	var out []status.NodeID
	for _, n := range r.s.NodesByName {
		if node := &r.s.Nodes[n]; node.IsRemote() && node.Maintenance != node.RemoteMaintenance {
			out = append(out, n)
		}
	}
	return out
}
