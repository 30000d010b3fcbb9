package simulate_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"systole/crm/cib"
	"systole/crm/display"
	"systole/crm/isotime"
	"systole/crm/simulate"
	"systole/crm/status"
	"systole/crm/transition"
	"systole/integration/given"
)

// TestCasesExecute walks every given graph and compares the order with the given text.
func TestCasesExecute(t *testing.T) {
	dir := given.Cases(t)
	graphs, err := filepath.Glob(filepath.Join(dir, "exp", "*.exp"))
	if err != nil || len(graphs) == 0 {
		t.Fatalf("no graphs in %s: %v", dir, err)
	}
	for _, file := range graphs {
		name := strings.TrimSuffix(filepath.Base(file), ".exp")
		g, err := transition.ParseXML(readFile(t, file))
		if err != nil {
			t.Fatal(err)
		}
		root, err := cib.Parse(readFile(t, filepath.Join(dir, "xml", name+".xml")))
		if err != nil {
			t.Fatal(err)
		}
		ex := simulate.Execute(root, g, simulate.ExecuteOptions{At: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)})
		if ex.State != transition.Complete && ex.State != transition.Stalled {
			t.Errorf("%s: the transition ended %v", name, ex.State)
		}
		var got []string
		for _, s := range ex.Steps {
			got = append(got, strings.Join(strings.Fields("* "+display.ActionText(s)), " "))
		}
		want := executing(string(readFile(t, filepath.Join(dir, "summary", name+".summary"))))
		if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
			t.Errorf("%s: executed\n%s\nwant\n%s", name, g, w)
		}
	}
}

// TestCasesRevisedStatus carries every given graph out and compares the state it leads to.
func TestCasesRevisedStatus(t *testing.T) {
	dir := given.Cases(t)
	graphs, err := filepath.Glob(filepath.Join(dir, "exp", "*.exp"))
	if err != nil || len(graphs) == 0 {
		t.Fatalf("no graphs in %s: %v", dir, err)
	}
	times := casesTimes(t, dir)
	for _, file := range graphs {
		name := strings.TrimSuffix(filepath.Base(file), ".exp")
		g, err := transition.ParseXML(readFile(t, file))
		if err != nil {
			t.Fatal(err)
		}
		root, err := cib.Parse(readFile(t, filepath.Join(dir, "xml", name+".xml")))
		if err != nil {
			t.Fatal(err)
		}
		present := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
		now := present
		if s := root.Get("execution-date"); s != "" {
			seconds, err := strconv.ParseInt(s, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			now = time.Unix(seconds, 0).UTC()
		}
		if at := times[name]; at != "" {
			if now, err = isotime.Parse(at, present); err != nil {
				t.Fatal(err)
			}
		}
		ex := simulate.Execute(root, g, simulate.ExecuteOptions{At: present})
		v := &display.View{
			Status:  status.Unpack(ex.CIB, now),
			Options: display.Options{Dialect: display.Dialect302, Show: display.ShowNodes | display.ShowResources, Inactive: true, NoPending: true},
		}
		var b strings.Builder
		if err := (&display.Simulation{After: v}).Text(&b); err != nil {
			t.Fatal(err)
		}
		got := squeezed(b.String())
		_, after, _ := strings.Cut(string(readFile(t, filepath.Join(dir, "summary", name+".summary"))), "Revised Cluster Status:")
		want := append([]string{"RevisedClusterStatus:"}, squeezed(after)...)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// casesTimes are the times given on the command line of cases, by name.
func casesTimes(t *testing.T, dir string) map[string]string {
	t.Helper()
	times := map[string]string{}
	for line := range strings.Lines(string(readFile(t, filepath.Join(dir, "MANIFEST.tsv")))) {
		f := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if len(f) > 3 {
			_, times[f[0]], _ = strings.Cut(f[3], "-t|")
		}
	}
	return times
}

// squeezed are the lines without blanks, as the suite compares them.
func squeezed(text string) []string {
	var lines []string
	for l := range strings.Lines(text) {
		if l = strings.Join(strings.Fields(l), ""); l != "" {
			lines = append(lines, l)
		}
	}
	return lines
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// executing are the lines of the section "Executing Cluster Transition", blanks squeezed.
func executing(summary string) []string {
	var lines []string
	in := false
	for line := range strings.Lines(summary) {
		switch line = strings.Join(strings.Fields(line), " "); {
		case strings.HasPrefix(line, "Executing "):
			in = true
		case strings.HasPrefix(line, "Revised "):
			in = false
		case in && strings.HasPrefix(line, "* "):
			lines = append(lines, line)
		}
	}
	return lines
}
