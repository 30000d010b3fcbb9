package explain

import (
	"slices"

	"systole/crm/cib"
	"systole/crm/model"
	"systole/crm/scheduler"
	"systole/crm/simulate"
	"systole/crm/status"
)

// settleRounds is how many plans a changed cluster may take to come to rest: probes, then starts, then moves.
const settleRounds = 6

// aim is a placement to reach: every part of the resource on the node, or anywhere for "".
type aim struct {
	parts []part
	node  string
}

// part are the names of primitives of which one has to be there: a configured one, or all containers of a bundle.
type part []string

func partOf(s *status.Status, id status.ResID) part {
	for p := id; p != status.NoRes; p = s.Resources[p].Parent {
		b := s.Resources[p].Bundle
		if b == nil {
			continue
		}
		var containers part
		for _, rep := range b.Replicas {
			containers = append(containers, s.Resources[rep.Container].BaseID)
		}
		return containers
	}
	return part{s.Resources[id].BaseID}
}

// search fills in the suggestions of an answer.
func search(q Question, result *scheduler.Result, subject []status.ResID, a *Answer) {
	tries := q.Tries
	if tries == 0 {
		tries = DefaultTries
	}
	for _, goal := range aims(q, result, subject) {
		found := false
		for _, e := range candidates(q, result, subject, goal.node) {
			if tries--; tries < 0 {
				a.Incomplete = true
				break
			}
			if node, ok := goal.reachedBy(e.make(q.Root), q); ok {
				a.Suggestions = append(a.Suggestions, Suggestion{Node: node, Command: e.command, Text: e.text, apply: e})
				found = true
				break
			}
		}
		if !found {
			a.Unsolved = append(a.Unsolved, goal.node)
		}
	}
}

// aims are what to look for: that a resource runs at all if it is not going to; else, that it is on each node it is not
// going to be on, or on the one asked about.
func aims(q Question, result *scheduler.Result, subject []status.ResID) []aim {
	s := result.Status
	g := aim{}
	for _, id := range primitives(s, subject) {
		p := partOf(s, id)
		if !s.Resources[id].Orphan && !slices.ContainsFunc(g.parts, func(q part) bool { return slices.Equal(p, q) }) {
			g.parts = append(g.parts, p)
		}
	}
	if len(g.parts) == 0 {
		return nil
	}
	if q.Node == "" && g.placed(result) == "" {
		return []aim{g}
	}
	var out []aim
	for _, n := range s.NodesByName {
		node := &s.Nodes[n]
		if q.Node != "" && node.Name != q.Node || node.Kind == status.Ping {
			continue
		}
		if g.node = node.Name; g.placed(result) == "" {
			out = append(out, g)
		}
	}
	return out
}

// placed is the node on which the plan has every part (of those where there are several, the first by name); "" if there
// is none.
func (g aim) placed(r *scheduler.Result) string {
	return g.onNode(r.Status, func(rsc *status.Resource, n status.NodeID) bool {
		return r.Placement.Node[rsc.Index] == n && r.Placement.Role[rsc.Index] > status.RoleStopped
	})
}

// active is the same for where the parts are active.
func (g aim) active(s *status.Status) string {
	return g.onNode(s, func(rsc *status.Resource, n status.NodeID) bool {
		return rsc.ActiveOn(n) && rsc.Role > status.RoleStopped && !rsc.Failed
	})
}

// onNode looks for a node for which every part has an instance that is there. An aim without a node takes the node of the
// first part, wherever the others are.
func (g aim) onNode(s *status.Status, is func(*status.Resource, status.NodeID) bool) string {
	here := func(p part, n status.NodeID) bool {
		for i := range s.Resources {
			if r := &s.Resources[i]; r.Kind == model.Primitive && slices.Contains(p, r.BaseID) && is(r, n) {
				return true
			}
		}
		return false
	}
	if g.node != "" {
		n, ok := s.Node(g.node)
		if !ok || slices.ContainsFunc(g.parts, func(p part) bool { return !here(p, n.Index) }) {
			return ""
		}
		return g.node
	}
	first := ""
	for _, p := range g.parts {
		at := slices.IndexFunc(s.NodesByName, func(n status.NodeID) bool { return here(p, n) })
		if at < 0 {
			return ""
		}
		if first == "" {
			first = s.Nodes[s.NodesByName[at]].Name
		}
	}
	return first
}

// reachedBy tells whether a changed document leads there, by the plan made for it and by carrying plans out until
// nothing is left to do; node is where the resource is then.
func (g aim) reachedBy(root *cib.Element, q Question) (node string, ok bool) {
	if root == q.Root {
		return "", false
	}
	plan := scheduler.Schedule(root, q.Now, scheduler.Options{})
	if g.placed(plan) == "" {
		return "", false
	}
	rounds := simulate.Settle(root, q.Now, settleRounds)
	node = g.active(status.Unpack(rounds[len(rounds)-1].CIB, q.Now))
	return node, node != ""
}
