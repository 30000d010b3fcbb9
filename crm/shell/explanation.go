package shell

import (
	"fmt"
	"slices"
	"strings"

	"systole/crm/scheduler"
	"systole/crm/score"
	"systole/crm/status"
)

// accounts are what there is to say of every primitive in an explanation: where
// it is, what is planned and why, its score on each node and what made that.
func accounts(r *scheduler.Result, e scheduler.Explanation, node string) []resourceAccount {
	if len(e.Members) > 0 {
		var out []resourceAccount
		for _, m := range e.Members {
			out = append(out, accounts(r, m, node)...)
		}
		return out
	}
	a := resourceAccount{Resource: e.Resource, Why: e.Why}
	group := "the group it is in"
	if e.RoleWhy != "" && e.RoleWhy != "assignment" {
		a.Notes = append(a.Notes, "role: "+e.RoleWhy)
	}
	if rsc, ok := r.Status.Resource(e.Resource); ok {
		a.Now = whereNow(r.Status, rsc)
		group = company(r.Status, rsc)
		for _, ch := range r.Plan.Changes {
			if ch.Resource == rsc.Index {
				a.Planned = append(a.Planned, changeText(ch))
			}
		}
		a.Notes = append(a.Notes, holding(r.Status, rsc)...)
	}
	for _, act := range e.Actions {
		if act.Blocked && act.Reason != "" {
			a.Notes = append(a.Notes, fmt.Sprintf("%s cannot be done: %s", act.Task, act.Reason))
		}
	}
	for _, n := range e.Nodes {
		if node == "" || node == n.Node {
			a.Nodes = append(a.Nodes, nodeAccount{Node: n.Node, Score: scoreText(n), Chosen: e.Node == n.Node, Why: nodeReasons(n, group)})
		}
	}
	return []resourceAccount{a}
}

// scoreText is the score, - for a node that is not considered at all.
func scoreText(n scheduler.NodeExplanation) string {
	if !n.Considered {
		return "-"
	}
	return score.Of(int64(n.Score)).String()
}

// company says with whom a group's member goes.
func company(s *status.Status, r *status.Resource) string {
	if r.Parent == status.NoRes {
		return "the group it is in"
	}
	group := &s.Resources[r.Parent]
	for i, m := range group.Children {
		if m == r.Index && i > 0 {
			return fmt.Sprintf("goes with %s (group %s)", s.Resources[group.Children[i-1]].ID, group.ID)
		}
	}
	return "the members of " + group.ID
}

// nodeReasons are what made the score, and why the node is refused; group is
// what to call the bond between a group's members.
func nodeReasons(n scheduler.NodeExplanation, group string) []string {
	plainly := func(source string) string { return strings.ReplaceAll(source, "#group-members", group) }
	var out []string
	for _, c := range n.Contributions {
		if c.Score != 0 && !slices.Contains(n.Refusals, c.Source) {
			out = append(out, fmt.Sprintf("%s from %s", score.Of(int64(c.Score)), plainly(c.Source)))
		}
	}
	for _, r := range n.Refusals {
		out = append(out, "no: "+plainly(r))
	}
	return out
}

func whereNow(s *status.Status, r *status.Resource) []string {
	var now []string
	for _, n := range r.Active {
		now = append(now, fmt.Sprintf("%s on %s", r.Role, s.Nodes[n].Name))
	}
	if now == nil {
		now = []string{"Stopped"}
	}
	if r.PendingTask != "" {
		where := ""
		if r.PendingNode != status.NoNode {
			where = " on " + s.Nodes[r.PendingNode].Name
		}
		now = append(now, r.PendingTask+where+" in progress")
	}
	if r.Failed {
		now = append(now, "failed")
	}
	return now
}

func changeText(ch scheduler.Change) string {
	text := strings.ToLower(ch.Verb)
	if ch.Detail != "" {
		text += " (" + strings.Join(strings.Fields(ch.Detail), " ") + ")"
	}
	if ch.Reason != "" {
		text += " due to " + ch.Reason
	}
	if ch.Blocked {
		text += ", but blocked"
	}
	return text
}

// holding are the settings for which the cluster leaves a resource as it is,
// each with the command that changes it.
func holding(s *status.Status, r *status.Resource) []string {
	var out []string
	if s.IsDisabled(r.Index) {
		out = append(out, fmt.Sprintf("target-role %s keeps it so; crm resource start %s changes that", r.Meta["target-role"], r.BaseID))
	}
	if !r.Managed && !r.Blocked && !r.Maintenance && !s.Options.Maintenance {
		out = append(out, "it is not managed; crm resource manage "+r.BaseID+" changes that")
	}
	if r.Maintenance || s.Options.Maintenance {
		out = append(out, "it is in maintenance: the cluster does not touch it")
	}
	if r.Blocked {
		out = append(out, "a failure blocks it; remove the cause, then crm resource cleanup "+r.BaseID)
	}
	if s.Options.Fencing && !s.HaveFencing {
		out = append(out, "stonith-enabled is true and there is no fence device: nothing is started")
	}
	for _, n := range s.NodesByName {
		if count, _ := s.Evaluator().FailCount(r.Index, n, true, true, nil); count > 0 {
			out = append(out, fmt.Sprintf("it failed %s times on %s (threshold %s); crm resource cleanup %s forgets that",
				score.Of(int64(count)), s.Nodes[n].Name, score.Of(int64(r.MigrationThreshold)), r.BaseID))
		}
	}
	return out
}
