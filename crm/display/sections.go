package display

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"systole/crm/model"
	"systole/crm/status"
)

// Text writes the view as crm_mon does on a terminal.
func (v *View) Text(w io.Writer) error {
	if v.Daemon != "" {
		_, err := fmt.Fprintf(w, "Status of pacemakerd: '%s' (last updated %s)\n", v.Daemon, v.isotime(v.Updated))
		if err != nil {
			return err
		}
	}
	return writeSections(w, 0, v.sections()...)
}

// HTML writes the view as one page.
func (v *View) HTML(w io.Writer, p Page) error { return writeHTML(w, p, v.sections()...) }

// sections are the parts of the view that were asked for and have something to say.
func (v *View) sections() []Section {
	var all []Section
	add := func(s Section) {
		if len(s.Lines) > 0 {
			all = append(all, s)
		}
	}
	add(v.summary())
	if lines, ok := v.banner(); ok && v.shows(ShowMaintMode) {
		add(Section{Lines: lines, Plain: true})
	}
	if v.shows(ShowNodes) {
		if v.Options.GroupByNode {
			if slices.ContainsFunc(v.Status.Nodes, func(n status.Node) bool { return v.wantsNode(&n) }) {
				all = append(all, Section{Title: "Node List", Lines: v.nodesWithResources()})
			}
		} else {
			add(Section{Title: "Node List", Lines: v.nodeList()})
		}
	}
	if v.shows(ShowResources) && (v.Options.Inactive || !v.Options.GroupByNode) {
		add(v.resourceList())
	}
	if v.shows(ShowAttributes) {
		add(v.nodeAttributes())
	}
	if v.shows(ShowOperations|ShowFailCounts) && len(v.reporting()) > 0 {
		all = append(all, v.operations())
	}
	if v.shows(ShowFailures) {
		s := Section{Title: "Failed Resource Actions"}
		for _, op := range v.failures() {
			s.Lines = append(s.Lines, Line{Text: v.failureText(op), Class: "rsc-failed"})
		}
		add(s)
	}
	for _, s := range v.fencingSections() {
		add(s)
	}
	if v.shows(ShowTickets) {
		add(v.tickets())
	}
	if v.shows(ShowBans) {
		add(v.banSection())
	}
	return all
}

// attribute is a node attribute as shown; Expected is the value full connectivity would
// give a connectivity attribute, "" for all others.
type attribute struct{ Name, Value, Expected string }

// hiddenAttributes are shown elsewhere or mean nothing to people.
func hidden(name string) bool {
	for _, prefix := range []string{"fail-count-", "last-failure-", "#"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	switch name {
	case "shutdown", "terminate", "standby":
		return true
	}
	return false
}

func (v *View) attributes(n *status.Node) []attribute {
	var attrs []attribute
	for _, name := range slices.Sorted(maps.Keys(n.Attributes)) {
		if !hidden(name) {
			attrs = append(attrs, attribute{name, n.Attributes[name], v.expected(name)})
		}
	}
	return attrs
}

// pingAgents are the agents that keep a connectivity attribute.
var pingAgents = []string{"ping", "pingd"}

// expected is what a connectivity attribute is worth when every host answers: the
// number of hosts of the ping resource that keeps it, times its multiplier.
func (v *View) expected(name string) string {
	ev := v.Status.Evaluator()
	for i := range v.Status.Resources {
		r := &v.Status.Resources[i]
		if r.Kind != model.Primitive || r.Config == nil || !slices.Contains(pingAgents, r.Config.Type) {
			continue
		}
		params := ev.Params(r.Index, status.NoNode)
		if cmp.Or(params["name"], "pingd") != name {
			continue
		}
		multiplier, err := strconv.Atoi(params["multiplier"])
		if err != nil {
			multiplier = 1
		}
		return strconv.Itoa(len(strings.Fields(params["host_list"])) * multiplier)
	}
	return ""
}

func (v *View) nodeAttributes() Section {
	s := Section{Title: "Node Attributes"}
	for _, id := range v.Status.NodesByName {
		n := &v.Status.Nodes[id]
		if !n.Online || !v.wantsNode(n) {
			continue
		}
		line := Line{Text: "Node: " + v.nodeName(n) + ":"}
		for _, a := range v.attributes(n) {
			text := fmt.Sprintf("%-32s\t: %-10s", a.Name, a.Value)
			if have, _ := strconv.Atoi(a.Value); a.Expected != "" {
				if want, _ := strconv.Atoi(a.Expected); have <= 0 {
					text += "\t: Connectivity is lost"
				} else if have < want {
					text += "\t: Connectivity is degraded (Expected=" + a.Expected + ")"
				}
			}
			line.Sub = append(line.Sub, Line{Text: text})
		}
		if len(line.Sub) > 0 {
			s.Lines = append(s.Lines, line)
		}
	}
	return s
}

func (v *View) tickets() Section {
	s := Section{Title: "Tickets"}
	for _, t := range v.Status.Tickets {
		text := t.ID + ": revoked"
		if t.Granted {
			text = t.ID + ": granted"
		}
		if t.Standby {
			text += " [standby]"
		}
		if last, ok := v.lastGranted(t); ok {
			text += ` last-granted="` + last + `"`
		}
		s.Lines = append(s.Lines, Line{Text: text})
	}
	return s
}

func (v *View) lastGranted(t status.Ticket) (string, bool) {
	seconds, err := strconv.ParseInt(t.LastGranted, 10, 64)
	if err != nil || seconds <= 0 {
		return "", false
	}
	return v.asctime(time.Unix(seconds, 0)), true
}

// OneLine is the answer of crm_mon -s, for monitoring programs; ok says whether all is well.
func (v *View) OneLine() (text string, ok bool) {
	var wrong []string
	if v.dcNode() == nil {
		wrong = append(wrong, "No DC")
	}
	online := 0
	for _, id := range v.Status.NodesByName {
		n := &v.Status.Nodes[id]
		switch {
		case n.Standby && n.Online:
		case n.Maintenance && n.Online:
		case n.Online:
			online++
		default:
			wrong = append(wrong, "offline node: "+n.Name)
		}
	}
	if len(wrong) > 0 {
		return "CLUSTER WARN: " + strings.Join(wrong, " "), false
	}
	return "CLUSTER OK: " + count(online, "node") + " online, " + count(v.instances(), "resource instance") + " configured", true
}

// fencingSections tell of failed, pending and past fencing, as far as asked for.
func (v *View) fencingSections() []Section {
	if v.shows(ShowFencingSucceeded) && v.shows(ShowFencingFailed) && v.shows(ShowFencingPending) {
		return []Section{v.fencing("Fencing History", FencePending, FenceFailed, FenceDone)}
	}
	var all []Section
	if v.shows(ShowFencingFailed) {
		all = append(all, v.fencing("Failed Fencing Actions", FenceFailed))
	}
	if v.shows(ShowFencingSucceeded) {
		all = append(all, v.fencing("Fencing History", FenceDone))
	}
	if v.shows(ShowFencingPending) {
		all = append(all, v.fencing("Pending Fencing Actions", FencePending))
	}
	return all
}

func (v *View) fencing(title string, states ...FenceState) Section {
	s := Section{Title: title}
	type once struct {
		target, action string
		state          FenceState
	}
	seen := map[once]int{}
	for _, e := range v.Fencing {
		if !slices.Contains(states, e.State) {
			continue
		}
		k := once{e.Target, e.Action, e.State}
		seen[k]++
		if seen[k] > 1 && !v.Options.FencingFull && e.State != FencePending {
			continue
		}
		s.Lines = append(s.Lines, Line{Text: v.fenceText(e)})
	}
	return s
}

func (v *View) fenceText(e FenceEvent) string {
	text := e.Action + " of " + e.Target
	if e.State == FencePending {
		return text + " pending: client=" + e.Client + ", origin=" + e.Origin
	}
	if e.Delegate != "" {
		text += " by " + e.Delegate
	}
	text += " for " + e.Client + "@" + e.Origin
	if !v.Options.FencingFull {
		text += " last"
	}
	if e.State == FenceDone {
		text += " successful"
	} else {
		text += " failed"
	}
	text += " at " + v.isotime(e.Completed)
	if e.State == FenceFailed && e.Reason != "" {
		text += " (" + e.Reason + ")"
	}
	return text
}
