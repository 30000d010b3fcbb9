package scheduler_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"systole/crm/scheduler"
	"systole/crm/score"
)

// TestGolden runs the files under testdata: "plan" prints what is to happen in a world (see parseWorld), "explain RESOURCE"
// why, in the world planned for last. The comment above each case says why the answer is right.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "*.plan"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			var last *scheduler.Result
			datadriven.RunTest(t, file, func(t *testing.T, d *datadriven.TestData) string {
				switch d.Cmd {
				case "plan":
					last = scheduler.Schedule(parseWorld(t, d.Input).root(), now, scheduler.Options{})
					return lines(last)
				case "explain":
					e, ok := scheduler.Explain(last, d.CmdArgs[0].Key)
					if !ok {
						return "no such resource\n"
					}
					var b strings.Builder
					explained(&b, &e, "")
					return b.String()
				}
				d.Fatalf(t, "unknown command %s", d.Cmd)
				return ""
			})
		})
	}
}

func explained(b *strings.Builder, e *scheduler.Explanation, indent string) {
	fmt.Fprintf(b, "%s%s: %s on %q: %s\n", indent, e.Resource, e.Role, e.Node, e.Why)
	for _, n := range e.Nodes {
		fmt.Fprintf(b, "%s  %s %s\n", indent, n.Node, score.Score(n.Score))
		for _, c := range n.Contributions {
			fmt.Fprintf(b, "%s    %s %s\n", indent, score.Score(c.Score), c.Source)
		}
		for _, r := range n.Refusals {
			fmt.Fprintf(b, "%s    no: %s\n", indent, r)
		}
	}
	for _, a := range e.Actions {
		blocked := ""
		if a.Blocked {
			blocked = " blocked"
		}
		fmt.Fprintf(b, "%s  %s %s%s: %s\n", indent, a.Task, a.Node, blocked, a.Reason)
	}
	for i := range e.Members {
		explained(b, &e.Members[i], indent+"  ")
	}
}
