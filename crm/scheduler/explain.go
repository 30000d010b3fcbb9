package scheduler

import (
	"slices"
	"strings"

	"systole/crm/score"
	"systole/crm/status"
)

// Explanation tells why a resource is where it is to be, and what is to happen to it.
type Explanation struct {
	Resource string
	// Node is where it is to be, "" for nowhere; Role in which role.
	Node string
	Role status.Role
	// Why says in one sentence what decided: why this node, or why none.
	Why string
	// RoleWhy says what decided about the role last; "" if nothing special did.
	RoleWhy string
	// Nodes are in order of name.
	Nodes []NodeExplanation
	// Actions are those that are needed, in order of creation.
	Actions []ActionExplanation
	// Members are the explanations of a group's, clone's or bundle's parts; such a resource has no place of its own.
	Members []Explanation
}

// NodeExplanation is what made a resource's score on a node.
type NodeExplanation struct {
	Node string
	// Score is what the contributions came to; Considered is false for nodes the resource may not use at all.
	Score         int32
	Considered    bool
	Contributions []Contribution
	// Refusals say why the resource cannot be there; none means it could.
	Refusals []string
}

// ActionExplanation is one action that a resource needs.
type ActionExplanation struct {
	Task, Node     string
	IntervalMillis uint32
	// Blocked tells that the action cannot run.
	Blocked bool
	// Reason says why it is needed, or why it is blocked; "" if nobody said.
	Reason string
}

// Explain tells why a scheduling run decided about a resource as it did. It schedules once more, this time taking notes.
// ok is false if the cluster has no resource of that name.
func Explain(result *Result, resource string) (e Explanation, ok bool) {
	rsc, ok := result.Status.Resource(resource)
	if !ok {
		return Explanation{}, false
	}
	r := newRun(result.Status, result.options, &trace{})
	r.schedule()
	return r.explain(rsc.Index), true
}

func (r *run) explain(id status.ResID) Explanation {
	st := &r.res[id]
	e := Explanation{Resource: r.rsc(id).ID, Role: r.state(id, false)}
	if !r.isPrimitive(id) {
		for _, c := range r.partsOf(id) {
			e.Members = append(e.Members, r.explain(c))
		}
		return e
	}
	for _, n := range r.s.NodesByName {
		e.Nodes = append(e.Nodes, r.explainNode(id, n))
	}
	if st.node != status.NoNode {
		e.Node = r.s.Nodes[st.node].Name
	}
	e.Why, e.RoleWhy = r.whyThere(id, e.Nodes), r.trace.roleOf(id)
	for _, k := range st.actions {
		a := &r.actions[k]
		if a.is(optional) {
			continue
		}
		x := ActionExplanation{Task: a.task, IntervalMillis: a.interval, Blocked: !a.is(runnable), Reason: a.reason}
		if a.node != status.NoNode {
			x.Node = r.s.Nodes[a.node].Name
		}
		e.Actions = append(e.Actions, x)
	}
	return e
}

// partsOf are a group's members, a clone's instances, or all that makes a bundle.
func (r *run) partsOf(id status.ResID) []status.ResID {
	b := r.rsc(id).Bundle
	if b == nil {
		return r.res[id].children
	}
	var parts []status.ResID
	for _, rep := range b.Replicas {
		for _, p := range []status.ResID{rep.IP, rep.Container, rep.Remote, rep.Member} {
			if p != status.NoRes {
				parts = append(parts, p)
			}
		}
	}
	return parts
}

func (r *run) explainNode(id status.ResID, n status.NodeID) NodeExplanation {
	cell := r.allowed(id)[n]
	e := NodeExplanation{Node: r.s.Nodes[n].Name, Score: cell.score, Considered: cell.present}
	for _, c := range r.trace.scores {
		if c.Resource != id || c.Node != n {
			continue
		}
		e.Contributions = append(e.Contributions, c)
		if c.Score <= minusInfinity && !slices.Contains(e.Refusals, c.Source) {
			e.Refusals = append(e.Refusals, c.Source)
		}
	}
	if !cell.present {
		e.Refusals = append(e.Refusals, "nothing allows the resource there")
	}
	e.Refusals = append(e.Refusals, r.nodeRefusals(n)...)
	if cell.score < 0 && len(e.Refusals) == 0 {
		e.Refusals = append(e.Refusals, "the score is negative")
	}
	return e
}

// nodeRefusals say why no resource can be on a node.
func (r *run) nodeRefusals(n status.NodeID) []string {
	st, node := &r.nodes[n], &r.s.Nodes[n]
	var why []string
	for _, f := range []struct {
		is   bool
		text string
	}{
		{node.Unproven, "the node is lost, and nothing proves that it has stopped"},
		{st.unclean && !node.Unproven, "the node is unclean"},
		{!st.online && !st.unclean, "the node is offline"},
		{node.Standby, "the node is in standby"},
		{node.Maintenance, "the node is in maintenance"},
		{st.shutdown, "the node is shutting down"},
	} {
		if f.is {
			why = append(why, f.text)
		}
	}
	return why
}

// whyThere says what decided where a primitive is to be.
func (r *run) whyThere(id status.ResID, nodes []NodeExplanation) string {
	st := &r.res[id]
	switch {
	case !st.managed && st.node != status.NoNode:
		return "it is not managed, so it stays"
	case !st.managed:
		return "it is not managed, so it is not started"
	case r.s.Options.StopAll:
		return "stop-all-resources is set"
	case st.node == status.NoNode && r.rsc(id).Orphan:
		return "it is no longer configured"
	case st.node == status.NoNode:
		return whyNowhere(nodes)
	}
	mine := r.allowed(id)[st.node].score
	equals := 0
	for i, n := range r.s.NodesByName {
		if n != st.node && len(nodes[i].Refusals) == 0 && nodes[i].Score == mine {
			equals++
		}
	}
	why := r.s.Nodes[st.node].Name + " has the highest score, " + score.Score(mine).String()
	if equals > 0 {
		why += "; of equals it has the fewest resources, or is where the resource is active, or comes first by name"
	}
	return why
}

func whyNowhere(nodes []NodeExplanation) string {
	var why []string
	for _, n := range nodes {
		if len(n.Refusals) > 0 {
			why = append(why, n.Node+": "+n.Refusals[0])
		}
	}
	if len(why) == 0 {
		return "there is no node"
	}
	return "no node can have it: " + strings.Join(why, "; ")
}
