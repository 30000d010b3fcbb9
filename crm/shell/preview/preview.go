// Package preview shows what a change of the configuration would make the
// cluster do, by asking the scheduler; it is what --dry-run prints.
package preview

import (
	"fmt"
	"io"
	"time"

	"systole/crm/cib"
	"systole/crm/scheduler"
)

// Write prints the changes that the scheduler would order for the new document
// and does not order for the old one.
func Write(w io.Writer, before, after *cib.Element, now time.Time) error {
	old := map[string]bool{}
	for _, line := range changes(before, now) {
		old[line] = true
	}
	var fresh []string
	for _, line := range changes(after, now) {
		if !old[line] {
			fresh = append(fresh, line)
		}
	}
	if len(fresh) == 0 {
		_, err := fmt.Fprintln(w, "The cluster would do nothing because of this change.")
		return err
	}
	if _, err := fmt.Fprintln(w, "The cluster would:"); err != nil {
		return err
	}
	for _, line := range fresh {
		if _, err := fmt.Fprintln(w, "  * "+line); err != nil {
			return err
		}
	}
	return nil
}

// changes are the lines of the scheduler's summary.
func changes(root *cib.Element, now time.Time) []string {
	var lines []string
	for _, c := range scheduler.Schedule(root, now, scheduler.Options{}).Plan.Changes {
		line := fmt.Sprintf("%-10s %s", c.Verb, c.Subject)
		if c.Detail != "" {
			line += " ( " + c.Detail + " )"
		}
		if c.Reason != "" {
			line += " due to " + c.Reason
		}
		if c.Blocked {
			line += " (blocked)"
		}
		lines = append(lines, line)
	}
	return lines
}
