package explain

import (
	"fmt"
	"strings"
)

// String is the answer for people.
func (a Answer) String() string {
	var b strings.Builder
	for _, x := range a.Accounts {
		b.WriteString(x.String())
	}
	for _, s := range a.Blocking {
		fmt.Fprintf(&b, "%s\n", s)
	}
	for _, s := range a.Suggestions {
		fmt.Fprintf(&b, "To have it on %s, %s:\n    %s\n", s.Node, s.Text, s.Command)
	}
	for _, n := range a.Unsolved {
		switch {
		case n == "" && a.Incomplete:
			fmt.Fprintf(&b, "No single change among those tried starts it; not all were.\n")
		case n == "":
			fmt.Fprintf(&b, "No single change starts it.\n")
		case a.Incomplete:
			fmt.Fprintf(&b, "No single change among those tried brings it to %s; not all were.\n", n)
		default:
			fmt.Fprintf(&b, "No single change brings it to %s.\n", n)
		}
	}
	return b.String()
}

// String is the account of one primitive, over several lines.
func (a Account) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", a.Resource, strings.Join(a.Now, ", "))
	for _, p := range a.Planned {
		fmt.Fprintf(&b, "  planned: %s\n", p)
	}
	fmt.Fprintf(&b, "  why: %s\n", a.Why)
	if a.RoleWhy != "" {
		fmt.Fprintf(&b, "  role: %s\n", a.RoleWhy)
	}
	for _, n := range a.Nodes {
		mark := " "
		if n.Chosen {
			mark = "*"
		}
		fmt.Fprintf(&b, "  %s %s: %s", mark, n.Node, n.Verdict)
		if n.Score != "" && !strings.Contains(n.Verdict, "its score is") {
			fmt.Fprintf(&b, " (score %s)", n.Score)
		}
		b.WriteByte('\n')
		for _, r := range n.Reasons {
			if !strings.Contains(n.Verdict, r.Text) {
				fmt.Fprintf(&b, "      %s\n", r.Text)
			}
		}
	}
	return b.String()
}
