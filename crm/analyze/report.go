package analyze

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
)

// Report is the whole study. Its JSON form is stable.
type Report struct {
	Nodes     []string `json:"nodes"`
	Resources int      `json:"resources"`
	Depth     int      `json:"depth"`
	// Outcomes are those of every scenario up to the depth, in the order of [Study.Scenarios].
	Outcomes []Outcome `json:"outcomes"`
	// Stopping counts the outcomes that stop or demote something.
	Stopping int `json:"stopping"`
}

// Report joins the outcomes of all scenarios, given in their order. Stops and demotions of the resources in except do
// not count.
func (s *Study) Report(outcomes []Outcome, except []string) Report {
	r := Report{Nodes: s.nodes, Resources: len(s.present.names), Depth: s.options.Depth}
	for _, o := range outcomes {
		if len(o.Lost) == 1 && o.Failed == "" {
			o.Unprotected = s.unprotected(o, outcomes)
		}
		if len(o.Lost) > s.options.Depth {
			continue
		}
		o.Stops, o.Demotes = without(o.Stops, except), without(o.Demotes, except)
		if len(o.Stops)+len(o.Demotes) > 0 {
			r.Stopping++
		}
		r.Outcomes = append(r.Outcomes, o)
	}
	return r
}

// unprotected are the resources that survive the loss of one node, and not that of any further one. That quorum may end
// is another matter, and not counted.
func (s *Study) unprotected(one Outcome, outcomes []Outcome) []string {
	doomed := map[string]bool{}
	for _, two := range outcomes {
		if len(two.Lost) != 2 || !two.Quorum || !slices.Contains(two.Lost, one.Lost[0]) {
			continue
		}
		for _, name := range two.Stops {
			doomed[name] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(s.present.names), func(name string) bool { return !doomed[name] || slices.Contains(one.Stops, name) })
}

// String is a table: every loss of nodes, and those failures of resources that stop something or leave it unprotected.
func (r Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d nodes, %d resources, %d scenarios\n\n", len(r.Nodes), r.Resources, len(r.Outcomes))
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SCENARIO\tMOVES\tSTOPS\tUNPROTECTED")
	harmless := 0
	for _, o := range r.Outcomes {
		if o.Failed != "" && len(o.Stops)+len(o.Demotes)+len(o.Unprotected) == 0 {
			harmless++
			continue
		}
		what := o.Scenario.String()
		if !o.Quorum {
			what += " (no quorum)"
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\n", what, len(o.Moves), o.stopped(), some(o.Unprotected))
	}
	w.Flush()
	if harmless > 0 {
		fmt.Fprintf(&b, "\n%d more failures of resources stop nothing and leave nothing unprotected.\n", harmless)
	}
	if r.Stopping == 0 {
		fmt.Fprintf(&b, "\nNothing stops in any of these scenarios.\n")
	} else {
		fmt.Fprintf(&b, "\nSomething stops in %d scenarios.\n", r.Stopping)
	}
	return b.String()
}

func (o Outcome) stopped() string {
	names := slices.Clone(o.Stops)
	for _, d := range o.Demotes {
		names = append(names, d+" (its promoted role)")
	}
	return some(names)
}

// shown is how many names a cell of the table has; JSON has all.
const shown = 4

func some(names []string) string {
	switch {
	case len(names) == 0:
		return "-"
	case len(names) > shown:
		return fmt.Sprintf("%s and %d more", strings.Join(names[:shown], ", "), len(names)-shown)
	}
	return strings.Join(names, ", ")
}
