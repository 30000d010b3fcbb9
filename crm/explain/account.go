package explain

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"systole/crm/model"
	"systole/crm/scheduler"
	"systole/crm/score"
	"systole/crm/status"
)

// teller puts what one scheduling run noted into words.
type teller struct{ result *scheduler.Result }

func (t teller) account(e scheduler.Explanation, only string) Account {
	s := t.result.Status
	rsc, _ := s.Resource(e.Resource)
	a := Account{Resource: e.Resource, Now: whereNow(s, rsc), Node: e.Node, Why: e.Why}
	if !slices.Contains([]string{"assignment", "unable to assign", "node availability"}, e.RoleWhy) { // Why says these better
		a.RoleWhy = e.RoleWhy
	}
	for _, c := range t.result.Plan.Changes {
		if c.Resource == rsc.Index {
			a.Planned = append(a.Planned, changeText(c))
		}
	}
	best := int32(0)
	for _, n := range e.Nodes {
		if n.Node == e.Node {
			best = n.Score
		}
	}
	for _, n := range e.Nodes {
		if only == "" || only == n.Node {
			a.Nodes = append(a.Nodes, t.node(e, n, best))
		}
	}
	return a
}

func (t teller) node(e scheduler.Explanation, n scheduler.NodeExplanation, best int32) NodeAccount {
	a := NodeAccount{Node: n.Node, Chosen: n.Node == e.Node, Reasons: t.reasons(e, n)}
	if n.Considered {
		a.Score = score.Score(n.Score).String()
	}
	forbidding := slices.DeleteFunc(slices.Clone(a.Reasons), func(r Reason) bool { return r.Score != "-INFINITY" && r.Score != "" })
	switch {
	case a.Chosen && e.Role > status.RoleStopped:
		a.Verdict = "it is to be here"
	case a.Chosen:
		a.Verdict = "it is here, and is to stop"
	case len(forbidding) > 0:
		a.Verdict = "it cannot be here: " + texts(forbidding)
	case n.Score < 0:
		a.Verdict = "its score is negative, " + a.Score
	case e.Node == "":
		a.Verdict = "it could be here, but is not to run"
	case n.Score < best:
		a.Verdict = fmt.Sprintf("its score is %s, and %s on %s", a.Score, score.Score(best), e.Node)
	case n.Score > best:
		a.Verdict = fmt.Sprintf("its score is %s, more than on %s, but something else decides", a.Score, e.Node)
	default:
		a.Verdict = fmt.Sprintf("its score is %s, the same as on %s, which comes before", a.Score, e.Node)
	}
	return a
}

// reasons are the contributions, those of one source together, and what else is said against the node.
func (t teller) reasons(e scheduler.Explanation, n scheduler.NodeExplanation) []Reason {
	var out []Reason
	sums := map[string]score.Score{}
	for _, c := range n.Contributions {
		at := slices.IndexFunc(out, func(r Reason) bool { return r.Source == c.Source })
		sums[c.Source] = sums[c.Source].Add(score.Score(c.Score))
		if at < 0 {
			out = append(out, Reason{Source: c.Source})
			at = len(out) - 1
		}
		out[at].Score = sums[c.Source].String()
	}
	out = slices.DeleteFunc(out, func(r Reason) bool { return r.Score == "0" })
	for i := range out {
		out[i].Text = t.source(e, out[i].Source, out[i].Score)
	}
	for _, r := range n.Refusals {
		if !slices.ContainsFunc(n.Contributions, func(c scheduler.Contribution) bool { return c.Source == r }) {
			out = append(out, Reason{Source: r, Text: r})
		}
	}
	return out
}

// source says what a contribution is, constraints by their kind and id.
func (t teller) source(e scheduler.Explanation, source, points string) string {
	id, passedOn, isPassed := strings.Cut(source, " (")
	if id == "#group-members" {
		if isPassed {
			return points + " for its group (" + passedOn
		}
		return "its group keeps it with the member before it " + points
	}
	for _, c := range t.result.Status.Config.Constraints {
		if c.ConstraintID() != id {
			continue
		}
		switch c := c.(type) {
		case *model.Location:
			return "location " + id + " " + points
		case *model.Colocation:
			if isPassed {
				return "colocation " + id + " " + points + " (" + passedOn
			}
			return t.colocation(e.Resource, c, points)
		case *model.Ticket:
			return "ticket constraint " + id + " " + points
		}
	}
	return source + " " + points
}

func (t teller) colocation(resource string, c *model.Colocation, points string) string {
	if c.Primary == "" {
		return "colocation " + c.ID + " " + points
	}
	verb := "with "
	if strings.HasPrefix(c.Score, "-") {
		verb = "apart from "
	}
	return "colocation " + c.ID + " " + points + " (" + verb + c.Primary + t.place(c.Primary) + ")"
}

// place says where a resource is to be.
func (t teller) place(name string) string {
	s := t.result.Status
	var at []string
	for _, id := range primitives(s, find(s, name)) {
		if n := t.result.Placement.Node[id]; n != status.NoNode && !slices.Contains(at, s.Nodes[n].Name) {
			at = append(at, s.Nodes[n].Name)
		}
	}
	slices.SortFunc(at, status.CompareNames)
	switch {
	case len(at) == 0:
		return ", which is to be nowhere"
	case len(at) > 3:
		return fmt.Sprintf(", which is to be on %d nodes", len(at))
	}
	return ", which is to be on " + strings.Join(at, ", ")
}

// primitives are the primitives among resources and all that is in them.
func primitives(s *status.Status, ids []status.ResID) []status.ResID {
	var out []status.ResID
	for _, id := range ids {
		if r := &s.Resources[id]; r.Kind == model.Primitive {
			out = append(out, id)
		} else {
			out = append(out, primitives(s, r.Children)...)
		}
	}
	return out
}

func texts(reasons []Reason) string {
	var out []string
	for _, r := range reasons {
		out = append(out, r.Text)
	}
	return strings.Join(out, "; ")
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

func changeText(c scheduler.Change) string {
	text := strings.ToLower(c.Verb)
	if c.Detail != "" {
		text += " (" + c.Detail + ")"
	}
	if c.Reason != "" {
		text += " due to " + c.Reason
	}
	if c.Blocked {
		text += ", but blocked"
	}
	return text
}

// blocking are the reasons for which the cluster does not let a resource run, the widest first.
func (t teller) blocking(subject []status.ResID) []string {
	s := t.result.Status
	var out []string
	say := func(format string, args ...any) {
		if text := fmt.Sprintf(format, args...); !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	switch {
	case s.Options.Maintenance:
		say("The whole cluster is in maintenance: nothing is touched.")
	case s.Options.StopAll:
		say("Property stop-all-resources is true.")
	case s.Options.Fencing && !s.HaveFencing:
		say("Property stonith-enabled is true and there is no fence device, so nothing is started.")
	}
	for _, id := range primitives(s, subject) {
		r := &s.Resources[id]
		if !s.Quorum && r.NeedsQuorum && s.Options.NoQuorum != status.NoQuorumIgnore {
			say("This part of the cluster has no quorum.")
		}
		if s.IsDisabled(id) {
			owner := id // who says so: what is inside another inherits from it
			for p := id; p != status.NoRes; p = s.Resources[p].Parent {
				if strings.EqualFold(s.Resources[p].Meta["target-role"], "Stopped") {
					owner = p
				}
			}
			say("Meta attribute target-role of %s is %s.", s.Resources[owner].BaseID, s.Resources[owner].Meta["target-role"])
		}
		switch {
		case s.Options.Maintenance: // said already
		case r.Blocked:
			say("A failure of %s blocks it until that is cleaned up.", r.ID)
		case r.Maintenance:
			say("%s is in maintenance.", r.ID)
		case !r.Managed:
			say("%s is not managed.", r.ID)
		}
	}
	return append(out, t.blockedActions(subject)...)
}

// blockedActions tell of starts and stops that are needed and cannot run.
func (t teller) blockedActions(subject []status.ResID) []string {
	s := t.result.Status
	var out []string
	for _, id := range primitives(s, subject) {
		for _, a := range t.result.Plan.Actions {
			if a.Resource != id || a.Node == status.NoNode || a.Optional || a.Runnable || a.Pseudo {
				continue
			}
			switch a.Task {
			case "start", "stop", "promote", "demote":
			default:
				continue
			}
			text := fmt.Sprintf("The %s of %s on %s cannot run: %s.", a.Task, s.Resources[id].ID, s.Nodes[a.Node].Name, cmp.Or(a.Reason, "something it needs is missing"))
			if !slices.Contains(out, text) {
				out = append(out, text)
			}
		}
	}
	return out
}
