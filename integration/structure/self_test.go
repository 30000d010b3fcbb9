package structure

import (
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"
)

// The checks themselves, on sources that break the rules.
func TestChecksSeeWhatTheyLookFor(t *testing.T) {
	parseText := func(text string) source {
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, "x.go", text, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		return source{"x.go", f, fset}
	}
	bad := parseText("package x\nimport clock \"time\"\nvar now = clock.Now\nfunc f() { <-clock.After(clock.Second) }\n")
	if got := clockUses(bad); !slices.Equal(got, []string{"x.go:3 time.Now", "x.go:4 time.After"}) {
		t.Errorf("clock uses: %q", got)
	}
	good := parseText("package x\nimport \"time\"\nfunc f(now time.Time) time.Time { return now.Add(time.Second) }\n")
	if got := clockUses(good); len(got) != 0 {
		t.Errorf("clock uses in a pure file: %q", got)
	}
	for i, want := range map[string]bool{
		"os": true, "net": true, "net/http": true, "net/netip": false, "log/slog": true, "math/rand/v2": true,
		"sync/atomic": true, "math": false, "time": false, "golang.org/x/sys/unix": true, "osprey": false,
	} {
		if got := bannedImport(i); got != want {
			t.Errorf("%s banned: %v, want %v", i, got, want)
		}
	}
	for pkg, want := range map[string]layer{
		"resources": contract, "resources/executor": executor, "agents/vip": agents, "crm/cib": coreLayer,
		"crm/shell/mon": shellLayer, "cmd/crm": programs, "conf": shellLayer, "crm/util": unknown, "util": unknown,
	} {
		if got := layerOf(pkg); got != want {
			t.Errorf("layer of %s: %s, want %s", pkg, layerNames[got], layerNames[want])
		}
	}
	codes := parseText("package x\ntype Code int\nconst (\n\tA Code = 1\n\tb Code = 2\n\tC = 3\n\tD Other = 4\n)\n")
	if got := constants([]source{codes}, "Code"); len(got) != 1 || got["A"] != 1 {
		t.Errorf("constants of type Code: %v", got)
	}
	if got := firstLine("a\nb"); got != "a" || strings.Contains(got, "b") {
		t.Errorf("first line: %q", got)
	}
}
