package transition

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"systole/integration/given"
)

func read(t *testing.T, dir, kind, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, kind, name+"."+kind))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func caseNames(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "exp", "*.exp"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no graphs in %s: %v", dir, err)
	}
	names := make([]string, len(files))
	for i, f := range files {
		names[i] = strings.TrimSuffix(filepath.Base(f), ".exp")
	}
	return names
}

var ignored = regexp.MustCompile(`crm_feature_set="[^"]*"|batch-limit="[0-9]*"|[ \t]`)

// normalised drops what the suite's own comparison ignores: white space and two attributes.
func normalised(text string) []string {
	lines := strings.Split(ignored.ReplaceAllString(text, ""), "\n")
	return slices.DeleteFunc(lines, func(l string) bool { return l == "" })
}

func TestCasesRoundTripXML(t *testing.T) {
	dir := given.Cases(t)
	for _, name := range caseNames(t, dir) {
		src := read(t, dir, "exp", name)
		g, err := ParseXML([]byte(src))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var b strings.Builder
		if err := WriteXML(&b, g); err != nil {
			t.Fatal(err)
		}
		got, want := normalised(b.String()), normalised(src)
		if i := firstDifference(got, want); i >= 0 {
			t.Errorf("%s: line %d of the graph: got %s want %s", name, i, at(got, i), at(want, i))
		}
	}
}

func TestCasesRoundTripDOT(t *testing.T) {
	dir := given.Cases(t)
	for _, name := range caseNames(t, dir) {
		src := read(t, dir, "dot", name)
		var d Drawing
		for line := range strings.Lines(src) {
			if a, ok := drawnAction(line); ok {
				d.Actions = append(d.Actions, a)
			}
			if e, ok := drawnEdge(line); ok {
				d.Edges = append(d.Edges, e)
			}
		}
		var b strings.Builder
		if err := WriteDOT(&b, d); err != nil {
			t.Fatal(err)
		}
		got, want := normalised(b.String()), normalised(src)
		slices.Sort(got)
		slices.Sort(want)
		if i := firstDifference(got, want); i >= 0 {
			t.Errorf("%s: got %s want %s", name, at(got, i), at(want, i))
		}
	}
}

var (
	dotAction = regexp.MustCompile(`^"([^"]*)" \[ style=(bold|dashed) color="(?:green|red)" fontcolor="(black|orange)"`)
	dotEdge   = regexp.MustCompile(`^"([^"]*)" -> "([^"]*)" \[ style = (bold|dashed)\]`)
)

func drawnAction(line string) (DrawnAction, bool) {
	m := dotAction.FindStringSubmatch(line)
	if m == nil {
		return DrawnAction{}, false
	}
	return DrawnAction{Name: m[1], Executed: m[2] == "bold", Pseudo: m[3] == "orange"}, true
}

func drawnEdge(line string) (DrawnEdge, bool) {
	m := dotEdge.FindStringSubmatch(line)
	if m == nil {
		return DrawnEdge{}, false
	}
	return DrawnEdge{From: m[1], To: m[2], Solid: m[3] == "bold"}, true
}

func firstDifference(a, b []string) int {
	for i := range max(len(a), len(b)) {
		if at(a, i) != at(b, i) {
			return i
		}
	}
	return -1
}

func at(lines []string, i int) string {
	if i >= len(lines) {
		return "(nothing)"
	}
	return lines[i]
}
