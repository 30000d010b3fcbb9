package scheduler_test

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"systole/crm/cib"
	"systole/crm/isotime"
	"systole/crm/scheduler"
	"systole/crm/score"
	"systole/crm/status"
	"systole/crm/transition"
)

// floorsFile is what make parity checks, too: by area, the number of cases and how many of them agree in sem, summary, scores,
// dot and exp.
const floorsFile = "../../integration/parity/floor"

// tally counts an area's cases, and those that agree in the plan, in the drawn graph and in the scores.
type tally struct{ cases, plan, dot, scores int }

// TestParity plans the cases of the reference's suite and compares the summary of the plan, the drawn graph and the scores.
// No area may fall below its floor.
func TestParity(t *testing.T) {
	dir := os.Getenv("SYSTOLE_CASES")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "scheduler-cases")
	}
	if _, err := os.Stat(filepath.Join(dir, "MANIFEST.tsv")); err != nil {
		t.Skipf("no scheduler cases: set SYSTOLE_CASES to their directory: %v", err)
	}
	areas := map[string]*tally{}
	for _, c := range manifest(t, dir) {
		a := areas[c.area]
		if a == nil {
			a = &tally{}
			areas[c.area] = a
		}
		a.cases++
		compare(t, dir, c, a)
	}
	floors := readFloors(t)
	for _, area := range slices.Sorted(maps.Keys(areas)) {
		got, floor := areas[area], floors[area]
		for _, m := range []struct {
			what       string
			got, floor int
		}{{"plan", got.plan, floor.plan}, {"graph", got.dot, floor.dot}, {"scores", got.scores, floor.scores}} {
			if got.cases == floor.cases && m.got < m.floor {
				t.Errorf("%s: %s agrees in %d of %d cases, the floor is %d", area, m.what, m.got, got.cases, m.floor)
			}
		}
	}
}

type parityCase struct {
	name, area, at string
}

func manifest(t *testing.T, dir string) []parityCase {
	var out []parityCase
	for line := range strings.Lines(read(t, filepath.Join(dir, "MANIFEST.tsv"))) {
		f := append(strings.Split(strings.TrimRight(line, "\n"), "\t"), "", "", "", "")
		if f[0] == "" || f[0] == "name" {
			continue
		}
		c := parityCase{name: f[0], area: f[1]}
		if args := strings.Split(f[3], "|"); len(args) == 2 && args[0] == "-t" {
			c.at = args[1]
		}
		out = append(out, c)
	}
	return out
}

func compare(t *testing.T, dir string, c parityCase, a *tally) {
	root, err := cib.Parse([]byte(read(t, filepath.Join(dir, "xml", c.name+".xml"))))
	if err != nil {
		t.Errorf("%s: %v", c.name, err)
		return
	}
	r := scheduler.Schedule(root, moment(t, root, c.at), scheduler.Options{Sanitized: true, TransitionID: 1})
	if same(planLines(read(t, filepath.Join(dir, "summary", c.name+".summary"))), changeLines(r)) {
		a.plan++
	}
	var dot bytes.Buffer
	if err := transition.WriteDOT(&dot, r.Graph.Drawing); err != nil {
		t.Errorf("%s: %v", c.name, err)
	}
	if same(set(read(t, filepath.Join(dir, "dot", c.name+".dot"))), set(dot.String())) {
		a.dot++
	}
	if same(set(read(t, filepath.Join(dir, "scores", c.name+".scores"))), set(scoreLines(r))) {
		a.scores++
	}
}

func read(t *testing.T, path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func moment(t *testing.T, root *cib.Element, at string) time.Time {
	if at != "" {
		m, err := isotime.Parse(at, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	if text, ok := root.Lookup("execution-date"); ok {
		seconds, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return time.Unix(seconds, 0).UTC()
	}
	return time.Now()
}

func same(a, b []string) bool { return slices.Equal(a, b) }

// squeezed is a line without blanks.
func squeezed(s string) string { return strings.Join(strings.Fields(s), "") }

// set are the different lines of a text, sorted.
func set(text string) []string {
	var out []string
	for line := range strings.Lines(text) {
		if s := squeezed(line); s != "" {
			out = append(out, s)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// planLines are the lines of a summary's plan without reasons, sorted.
func planLines(summary string) []string {
	var out []string
	inside := false
	for line := range strings.Lines(summary) {
		if strings.HasPrefix(line, "Transition Summary:") {
			inside = true
			continue
		}
		if !strings.HasPrefix(line, " ") && strings.TrimSpace(line) != "" {
			inside = false
		}
		if !inside || strings.TrimSpace(line) == "" {
			continue
		}
		line = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), "*"))
		blocked := strings.Contains(line, "(blocked)") || strings.HasSuffix(line, "blocked")
		if verb, _, _ := strings.Cut(line, " "); verb == "Fence" {
			line, _, _ = strings.Cut(line, " '")
		} else {
			line, _, _ = strings.Cut(line, " due to ")
			line = strings.TrimSuffix(strings.TrimSpace(strings.ReplaceAll(line, "(blocked)", "")), "blocked")
		}
		out = append(out, fmt.Sprint(squeezed(line), blocked))
	}
	slices.Sort(out)
	return out
}

func changeLines(r *scheduler.Result) []string {
	var out []string
	for _, c := range r.Plan.Changes {
		line := c.Verb + c.Subject
		if c.Resource != status.NoRes {
			line += "(" + c.Detail + ")"
		}
		out = append(out, fmt.Sprint(squeezed(line), c.Blocked))
	}
	slices.Sort(out)
	return out
}

func scoreLines(r *scheduler.Result) string {
	var b strings.Builder
	for _, s := range r.Placement.Scores {
		id := r.Status.Resources[s.Resource].ID
		switch {
		case s.Stage != scheduler.PromotionScore:
			fmt.Fprintf(&b, "%s: %s allocation score on %s: %s\n", s.Stage, id, r.Status.Nodes[s.Node].Name, score.Score(s.Score))
		case s.Node == status.NoNode:
			fmt.Fprintf(&b, "%s promotion score (inactive): %s\n", id, score.Score(s.Score))
		default:
			fmt.Fprintf(&b, "%s promotion score on %s: %s\n", id, r.Status.Nodes[s.Node].Name, score.Score(s.Score))
		}
	}
	return b.String()
}

func readFloors(t *testing.T) map[string]tally {
	floors := map[string]tally{}
	for line := range strings.Lines(read(t, floorsFile)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		var area string
		var f tally
		var summary, exp int
		if _, err := fmt.Sscan(line, &area, &f.cases, &f.plan, &summary, &f.scores, &f.dot, &exp); err != nil {
			t.Fatalf("%s: %q: %v", floorsFile, line, err)
		}
		floors[area] = f
	}
	return floors
}
