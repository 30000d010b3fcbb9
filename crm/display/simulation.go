package display

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"

	"systole/crm/cib"
	"systole/crm/scheduler"
	"systole/crm/score"
	"systole/crm/simulate"
	"systole/crm/status"
)

// Simulation is what crm_simulate prints: the state before, events pretended, scores, the
// plan, its execution and the state after. Parts that are nil or unset are left out.
type Simulation struct {
	// Notices are lines about the time of the simulation, repeated before the state after.
	Notices []string
	Before  *View
	// Events are the changes pretended first.
	Events []simulate.Note
	// Plan is the scheduler's result; PlanShown prints the transition summary.
	Plan      *scheduler.Result
	PlanShown bool
	// Scores and Utilization print what the scheduler considered.
	Scores, Utilization bool
	// Executed prints the execution; After is the state it leads to.
	Executed *simulate.Execution
	After    *View
	// Quiet leaves out everything but scores and utilization; Plain prints no
	// headings and bullets (crm_simulate does so with -s or -U).
	Quiet, Plain bool
}

// Text writes the simulation as crm_simulate does.
func (s *Simulation) Text(w io.Writer) error {
	b := &blocks{w: bufio.NewWriter(w), plain: s.Plain}
	if s.Quiet {
		b.scores(s)
		return b.w.Flush()
	}
	b.notices(s.Notices)
	if s.Before != nil {
		b.preamble(s.Before)
		b.state("Current cluster status", s.Before)
	}
	if len(s.Events) > 0 {
		b.section("Performing Requested Modifications", eventLines(s.Events))
		b.notices(s.Notices)
	}
	b.scores(s)
	if s.PlanShown && s.Plan != nil {
		b.section("Transition Summary", changeLines(s.Plan.Plan.Changes))
	}
	if s.Executed != nil {
		b.section("Executing Cluster Transition", nil)
		for _, step := range s.Executed.Steps {
			b.step(step)
		}
		b.notices(s.Notices)
	}
	if s.After != nil {
		b.state("Revised Cluster Status", s.After)
	}
	return b.w.Flush()
}

// blocks writes headed blocks with a blank line before each but the first.
type blocks struct {
	w       *bufio.Writer
	plain   bool
	written bool // something stands above, so that a blank line is due
}

func (b *blocks) notices(lines []string) {
	for _, l := range lines {
		fmt.Fprintln(b.w, l)
	}
}

func (b *blocks) gap() {
	if b.written {
		b.w.WriteByte('\n')
	}
	b.written = true
}

func (b *blocks) section(title string, lines []Line) {
	b.gap()
	if b.plain {
		for _, l := range lines {
			b.line(0, l)
		}
		return
	}
	b.w.WriteString(title + ":\n")
	for _, l := range lines {
		b.line(1, l)
	}
}

// step writes an executed action, and what a simulated failure added to it.
func (b *blocks) step(s simulate.Step) {
	b.line(1, Line{Text: ActionText(s)})
	if s.Failed {
		fmt.Fprintf(b.w, "Pretending action %d failed with rc=%d\n", s.Action.ID, s.RC)
	}
	for _, n := range s.Notes {
		b.line(1, Line{Text: n.Text})
	}
}

func (b *blocks) line(depth int, l Line) {
	if b.plain {
		b.w.WriteString(l.Text + "\n")
		for _, sub := range l.Sub {
			b.line(0, sub)
		}
		return
	}
	writeLine(b.w, depth, l)
}

// preamble says before the first status what is out of order as a whole.
func (b *blocks) preamble(v *View) {
	if lines, ok := v.banner(); ok {
		b.w.WriteByte('\n')
		for _, l := range lines {
			b.w.WriteString(l.Text + "\n")
		}
		b.written = true
	}
	if d, k := v.Status.Disabled, v.Status.Blocked; d > 0 || k > 0 {
		b.gap()
		fmt.Fprintf(b.w, "%d of %d resource instances DISABLED and %d BLOCKED from further action due to failure\n", d, v.instances(), k)
	}
}

// state writes a status as a block of lists.
func (b *blocks) state(title string, v *View) {
	b.gap()
	if !b.plain {
		b.w.WriteString(title + ":\n")
	}
	for i, s := range v.sections() {
		if i > 0 {
			b.w.WriteByte('\n')
		}
		if b.plain {
			for _, l := range s.Lines {
				b.line(0, l)
			}
			continue
		}
		writeLine(b.w, 1, Line{Text: s.Title + ":", Sub: s.Lines})
	}
}

// scores writes what the scheduler considered, in its order.
func (b *blocks) scores(s *Simulation) {
	if s.Plan == nil || !s.Scores && !s.Utilization {
		return
	}
	var lines []string
	st := s.Plan.Status
	s.considered(
		func(c scheduler.CapacityRecord) { lines = append(lines, capacityText(st, c)) },
		func(r scheduler.ScoreRecord) { lines = append(lines, scoreText(st, r)) })
	if s.Quiet || s.Plain {
		b.gap()
		for _, l := range lines {
			b.w.WriteString(l + "\n")
		}
		return
	}
	var sub []Line
	for _, l := range lines {
		sub = append(sub, Line{Text: l})
	}
	b.section(s.consideredTitle(), sub)
}

func (s *Simulation) consideredTitle() string {
	switch {
	case s.Scores && s.Utilization:
		return "Assignment Scores and Utilization Information"
	case s.Scores:
		return "Assignment Scores"
	}
	return "Utilization Information"
}

// considered goes through the scores and capacities asked for, in the order of the run: what
// a resource took from a node comes after the resource's own scores.
func (s *Simulation) considered(capacity func(scheduler.CapacityRecord), record func(scheduler.ScoreRecord)) {
	p := s.Plan.Placement
	var taken []scheduler.CapacityRecord
	if s.Utilization {
		taken = p.Capacities
	}
	before := func(stop func(scheduler.CapacityRecord) bool) {
		for len(taken) > 0 && !stop(taken[0]) {
			capacity(taken[0])
			taken = taken[1:]
		}
	}
	before(func(c scheduler.CapacityRecord) bool { return c.Resource != status.NoRes })
	if s.Scores {
		for i, r := range p.Scores {
			record(r)
			if r.Stage != primitiveStage || i+1 < len(p.Scores) && p.Scores[i+1].Stage == primitiveStage && p.Scores[i+1].Resource == r.Resource {
				continue
			}
			before(func(c scheduler.CapacityRecord) bool { return c.Resource != r.Resource })
		}
	}
	before(func(scheduler.CapacityRecord) bool { return false })
}

// primitiveStage is the stage after whose last score a primitive is assigned.
const primitiveStage = "pcmk__primitive_assign"

func scoreText(st *status.Status, r scheduler.ScoreRecord) string {
	rsc := st.Resources[r.Resource].ID
	value := score.Score(r.Score).String()
	switch {
	case r.Stage == scheduler.PromotionScore && r.Node == status.NoNode:
		return rsc + " promotion score (inactive): " + value
	case r.Stage == scheduler.PromotionScore:
		return rsc + " promotion score on " + st.Nodes[r.Node].Name + ": " + value
	}
	return r.Stage + ": " + rsc + " allocation score on " + st.Nodes[r.Node].Name + ": " + value
}

func capacityText(st *status.Status, c scheduler.CapacityRecord) string {
	text := c.What + ": " + st.Nodes[c.Node].Name + " capacity:"
	if c.Resource != status.NoRes {
		text = c.What + ": " + st.Resources[c.Resource].ID + " utilization on " + st.Nodes[c.Node].Name + ":"
	}
	for _, v := range c.Values {
		text += " " + v.Name + "=" + strconv.Itoa(v.Value)
	}
	return text
}

func eventLines(notes []simulate.Note) []Line {
	lines := make([]Line, len(notes))
	for i, n := range notes {
		lines[i] = Line{Text: n.Text}
	}
	return lines
}

// onNode tells whether a change is an action on a node: "Fence (reboot)" or "Shutdown".
func onNode(c scheduler.Change) bool { return c.Resource == status.NoRes }

// changeLines are the planned actions in columns: verb, resource, place, reason.
func changeLines(changes []scheduler.Change) []Line {
	name, detail := 5, 5
	for _, c := range changes {
		if onNode(c) {
			continue
		}
		if len(c.Subject) > name {
			name = len(c.Subject) + 2
		}
		detail = max(detail, len(c.Detail))
	}
	lines := make([]Line, 0, len(changes))
	for _, c := range changes {
		if onNode(c) {
			text := c.Verb + " " + c.Subject
			if c.Reason != "" {
				text += " '" + c.Reason + "'"
			}
			lines = append(lines, Line{Text: text})
			continue
		}
		text := fmt.Sprintf("%-10s %-*s ( %*s )", c.Verb, name+2, c.Subject, detail, c.Detail)
		switch {
		case c.Reason != "" && c.Blocked:
			text += "  due to " + c.Reason + " (blocked)"
		case c.Reason != "":
			text += "  due to " + c.Reason
		case c.Blocked:
			text += "  blocked"
		}
		lines = append(lines, Line{Text: text})
	}
	return lines
}

// XML writes the simulation as crm_simulate --output-as=xml does.
func (s *Simulation) XML(w io.Writer, request string) error {
	var parts []*cib.Element
	if s.Before != nil && !s.Quiet {
		parts = append(parts, cib.New("cluster_status").Append(s.Before.Elements()...))
	}
	if len(s.Events) > 0 {
		e := cib.New("modifications")
		for _, n := range s.Events {
			e = e.Append(n.XML)
		}
		parts = append(parts, e)
	}
	if s.Plan != nil && (s.Scores || s.Utilization) {
		parts = append(parts, s.consideredElement())
	}
	if s.PlanShown && s.Plan != nil && !s.Quiet {
		var all []*cib.Element
		for _, c := range s.Plan.Plan.Changes {
			all = append(all, changeElement(c))
		}
		parts = append(parts, cib.New("actions").WithChildren(all...))
	}
	if s.Executed != nil && !s.Quiet {
		var all []*cib.Element
		for _, step := range s.Executed.Steps {
			all = append(all, actionElement(step))
			for _, n := range step.Notes {
				all = append(all, n.XML)
			}
		}
		parts = append(parts, cib.New("transition").WithChildren(all...))
	}
	if s.After != nil && !s.Quiet {
		parts = append(parts, cib.New("revised_cluster_status").Append(s.After.Elements()...))
	}
	_, err := io.WriteString(w, Result(request, Outcome{Message: "OK"}, parts...).String()+"\n")
	return err
}

func (s *Simulation) consideredElement() *cib.Element {
	tag := "utilizations"
	switch {
	case s.Scores && s.Utilization:
		tag = "allocations_utilizations"
	case s.Scores:
		tag = "allocations"
	}
	st := s.Plan.Status
	var all []*cib.Element
	s.considered(
		func(c scheduler.CapacityRecord) { all = append(all, capacityElement(st, c)) },
		func(r scheduler.ScoreRecord) { all = append(all, scoreElement(st, r)) })
	return cib.New(tag).WithChildren(all...)
}

func capacityElement(st *status.Status, c scheduler.CapacityRecord) *cib.Element {
	e := cib.New("capacity", "node", st.Nodes[c.Node].Name, "comment", c.What)
	if c.Resource != status.NoRes {
		e = cib.New("utilization", "resource", st.Resources[c.Resource].ID, "node", st.Nodes[c.Node].Name, "function", c.What)
	}
	for _, v := range c.Values {
		e = e.With(v.Name, strconv.Itoa(v.Value))
	}
	return e
}

func scoreElement(st *status.Status, r scheduler.ScoreRecord) *cib.Element {
	rsc, value := st.Resources[r.Resource].ID, score.Score(r.Score).String()
	if r.Stage != scheduler.PromotionScore {
		return cib.New("node_weight", "function", r.Stage, "node", st.Nodes[r.Node].Name, "score", value, "id", rsc)
	}
	e := cib.New("promotion_score", "id", rsc, "score", value)
	if r.Node != status.NoNode {
		e = e.With("node", st.Nodes[r.Node].Name)
	}
	return e
}

// changeElement is one planned action. Where the detail names two places, they are the
// source and the destination.
func changeElement(c scheduler.Change) *cib.Element {
	if onNode(c) {
		node, _, _ := strings.Cut(c.Subject, " ")
		return element("node_action", "task", c.Verb, "node", node, "reason", c.Reason)
	}
	from, to, two := strings.Cut(c.Detail, " -> ")
	first, second := parsePlace(from), parsePlace(to)
	e := cib.New("rsc_action", "action", strings.ToLower(c.Verb), "resource", c.Subject)
	switch {
	case !two && (c.Verb == "Restart" || c.Verb == "Reload" || c.Verb == "Re-promote"):
		e = with(e, "role", first.role, "source", first.node)
	case !two:
		e = with(e, "role", first.role, "node", first.node)
	case first.node == "" && first.role == status.RoleStopped.String():
		e = with(e, "role", first.role, "next-role", second.role, "dest", second.node)
	case first.node == "":
		e = with(e, "role", first.role, "next-role", second.role, "source", second.node)
	case first.role == "": // moved in the same role
		e = with(e, "source", first.node, "dest", second.node, "role", second.role)
	default:
		e = with(e, "role", first.role, "source", first.node, "next-role", second.role, "dest", second.node)
	}
	e = with(e, "reason", c.Reason)
	if c.Blocked {
		e = e.With("blocked", "true")
	}
	return e
}

// place is one side of a planned change: a node, a role, or both.
type place struct{ role, node string }

// parsePlace reads "node1", "Promoted node1", "Stopped" or "node1 Unpromoted".
func parsePlace(text string) place {
	var p place
	for _, word := range strings.Fields(text) {
		switch word {
		case status.RoleStopped.String(), status.RoleStarted.String(), status.RoleUnpromoted.String(), status.RolePromoted.String():
			p.role = word
		default:
			p.node = word
		}
	}
	return p
}

func with(e *cib.Element, pairs ...string) *cib.Element {
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			e = e.With(pairs[i], pairs[i+1])
		}
	}
	return e
}
