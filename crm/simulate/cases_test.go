package simulate_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"systole/crm/cib"
	"systole/crm/display"
	"systole/crm/simulate"
	"systole/crm/transition"
)

// casesDir finds the field's regression data, which is not part of this project: the
// environment variable SYSTOLE_CASES, else shared/scheduler-cases beside the checkout.
func casesDir(t *testing.T) string {
	t.Helper()
	for _, dir := range []string{os.Getenv("SYSTOLE_CASES"), filepath.Join("..", "..", "..", "shared", "scheduler-cases")} {
		if dir == "" {
			continue
		}
		if _, err := os.Stat(filepath.Join(dir, "MANIFEST.tsv")); err == nil {
			return dir
		}
	}
	t.Skip("no scheduler cases: set SYSTOLE_CASES to their directory")
	return ""
}

// TestCasesExecute walks every given graph and compares the order with the given text.
func TestCasesExecute(t *testing.T) {
	dir := casesDir(t)
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
