package shell

import (
	"fmt"
	"slices"
	"strings"

	"systole/crm/model"
	"systole/crm/scheduler"
	"systole/crm/score"
	"systole/crm/status"
)

// explanation accounts for every primitive of a resource: where it is, what is
// planned, its score on each node and what made that.
func explanation(r *scheduler.Result, id status.ResID, node string) []resourceAccount {
	rsc := &r.Status.Resources[id]
	if len(rsc.Children) > 0 {
		var out []resourceAccount
		for _, c := range rsc.Children {
			out = append(out, explanation(r, c, node)...)
		}
		return out
	}
	a := resourceAccount{Resource: rsc.ID, Now: whereNow(r.Status, rsc)}
	for _, ch := range r.Plan.Changes {
		if ch.Resource == id {
			a.Planned = append(a.Planned, changeText(ch))
		}
	}
	for _, n := range r.Status.NodesByName {
		name := r.Status.Nodes[n].Name
		if node != "" && node != name {
			continue
		}
		a.Nodes = append(a.Nodes, nodeAccount{
			Node: name, Score: finalScore(r, id, n), Chosen: r.Placement.Node[id] == n, Why: reasons(r.Status, rsc, n),
		})
	}
	a.Notes = holding(r.Status, rsc)
	return a.orNowhere(r, id)
}

// orNowhere adds a sentence when no node can have the resource.
func (a resourceAccount) orNowhere(r *scheduler.Result, id status.ResID) []resourceAccount {
	if r.Placement.Node[id] == status.NoNode && len(a.Notes) == 0 {
		a.Notes = append(a.Notes, "no node can have it now: every score is -INFINITY, or no node is online")
	}
	return []resourceAccount{a}
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
		text += " (" + ch.Detail + ")"
	}
	if ch.Reason != "" {
		text += " due to " + ch.Reason
	}
	if ch.Blocked {
		text += ", but blocked"
	}
	return text
}

// finalScore is the last score the assignment considered for the node.
func finalScore(r *scheduler.Result, id status.ResID, n status.NodeID) string {
	for _, rec := range slices.Backward(r.Placement.Scores) {
		if rec.Resource == id && rec.Node == n && rec.Stage != scheduler.PromotionScore {
			return score.Of(int64(rec.Score)).String()
		}
	}
	return "-"
}

// reasons are what is known to make the score of a resource on a node.
func reasons(s *status.Status, r *status.Resource, id status.NodeID) []string {
	n := &s.Nodes[id]
	var out []string
	switch {
	case !n.Online:
		out = append(out, "the node is offline")
	case n.Standby || n.StandbyOnFail:
		out = append(out, "the node is in standby")
	case n.Maintenance:
		out = append(out, "the node is in maintenance")
	}
	if n.Unclean {
		out = append(out, "the node is unclean: "+n.UncleanReason)
	}
	names := map[string]bool{r.BaseID: true}
	for p := r.Parent; p != status.NoRes; p = s.Resources[p].Parent {
		names[s.Resources[p].BaseID] = true
	}
	for _, c := range s.Config.Constraints {
		if l, ok := c.(*model.Location); ok && names[l.Resource] && (l.Node == n.Name || l.Node == "" && len(l.Rules) > 0) {
			out = append(out, locationText(s, l, r, id)...)
		}
	}
	if r.ActiveOn(id) && r.Stickiness != 0 {
		out = append(out, fmt.Sprintf("stickiness %s", score.Of(int64(r.Stickiness))))
	}
	if count, _ := s.Evaluator().FailCount(r.Index, id, true, true, nil); count > 0 {
		out = append(out, fmt.Sprintf("failed %s times (threshold %s); crm resource cleanup %s forgets that", score.Of(int64(count)), score.Of(int64(r.MigrationThreshold)), r.BaseID))
	}
	for _, c := range s.Config.Constraints {
		if l, ok := c.(*model.Colocation); ok && names[l.Dependent] {
			out = append(out, fmt.Sprintf("goes with %s (%s %s)", l.Primary, l.ID, l.Score))
		}
	}
	if r.Parent != status.NoRes && s.Resources[r.Parent].Kind == model.Group {
		group := &s.Resources[r.Parent]
		if i := slices.Index(group.Children, r.Index); i > 0 {
			out = append(out, fmt.Sprintf("goes with %s (group %s)", s.Resources[group.Children[i-1]].ID, group.ID))
		}
	}
	return out
}

// locationText is what a location constraint says about the node.
func locationText(s *status.Status, l *model.Location, r *status.Resource, n status.NodeID) []string {
	if l.Node != "" {
		return []string{fmt.Sprintf("%s %s", l.ID, l.Score)}
	}
	var out []string
	for _, rule := range l.Rules {
		if s.Evaluator().RuleHolds(rule, r.Index, n, nil) {
			text := rule.Get("score")
			if a := rule.Get("score-attribute"); a != "" {
				text = a + "=" + s.Nodes[n].Attributes[a]
			}
			out = append(out, fmt.Sprintf("%s %s", l.ID, text))
		}
	}
	return out
}

// holding are the reasons for which the cluster leaves a resource as it is.
func holding(s *status.Status, r *status.Resource) []string {
	var out []string
	if s.IsDisabled(r.Index) {
		out = append(out, fmt.Sprintf("target-role %s keeps it so; crm resource start %s changes that", r.Meta["target-role"], r.BaseID))
	}
	if !r.Managed {
		out = append(out, "it is not managed; crm resource manage "+r.BaseID+" changes that")
	}
	if r.Maintenance || s.Options.Maintenance {
		out = append(out, "it is in maintenance: the cluster does not touch it")
	}
	if r.Blocked {
		out = append(out, "a failure blocks it; remove the cause, then crm resource cleanup "+r.BaseID)
	}
	if !s.Quorum && r.NeedsQuorum {
		out = append(out, "this part of the cluster has no quorum")
	}
	if s.Options.Fencing && !s.HaveFencing {
		out = append(out, "stonith-enabled is true and there is no fence device: nothing is started")
	}
	return out
}
