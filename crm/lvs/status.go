package lvs

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"systole/agents/ipvs/control"
	"systole/agents/ipvs/director"
	"systole/agents/ipvs/table"
)

// MaxWeight is the largest weight of a real server.
const MaxWeight = table.MaxWeight

// ValidWeight tells whether a text is a weight.
func ValidWeight(text string) bool {
	n, err := strconv.Atoi(text)
	return err == nil && n >= 0 && n <= MaxWeight
}

// StatusText is what a director's process says of itself, for people.
func StatusText(st control.Status, now time.Time) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s, process %d, started %s\n", st.Resource, st.Role, st.PID, age(st.Since, now))
	if st.Problem != "" {
		fmt.Fprintf(&b, "  problem: %s\n", st.Problem)
	}
	if st.Feed != "" {
		fmt.Fprintf(&b, "  cluster: %s\n", st.Feed)
	}
	for _, d := range st.Daemons {
		fmt.Fprintf(&b, "  sync daemon: %s on %s, id %d\n", d.State, d.Interface, d.ID)
	}
	for _, v := range st.Services {
		quorum := "has quorum"
		if !v.Quorum {
			quorum = "has no quorum"
		}
		fmt.Fprintf(&b, "  %s %s: %s (weights %d, needed %d)", v.Service, v.Scheduler, quorum, v.Alive, v.Needed)
		if v.Sorry != "" {
			fmt.Fprintf(&b, ", answered by the sorry server %s", v.Sorry)
		}
		if v.Panic {
			b.WriteString(", too many down: checks are not believed")
		}
		b.WriteByte('\n')
		for _, s := range v.Servers {
			b.WriteString("    " + serverText(s, now) + "\n")
		}
	}
	for _, e := range st.Events {
		fmt.Fprintf(&b, "  %s %s\n", e.Time.UTC().Format(time.DateTime), e.Text)
	}
	return b.String()
}

func serverText(s director.Server, now time.Time) string {
	text := s.Server
	if s.Node != "" {
		text += " (" + s.Node + ")"
	}
	text += fmt.Sprintf(" %s: %s, weight %d of %d, %d connections", s.Forward, s.State, s.Weight, s.Configured, s.Active)
	if s.Drained != "" {
		text += ", drained by the " + s.Drained
	}
	if !s.InTable {
		text += ", not in the table"
	}
	if s.Reason != "" {
		text += ": " + s.Reason
	}
	if !s.Since.IsZero() {
		text += ", " + age(s.Since, now)
	}
	return text
}

// age is how long ago something was, in words short enough for a line.
func age(t, now time.Time) string {
	return now.Sub(t).Round(time.Second).String() + " ago"
}
