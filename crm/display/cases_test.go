package display

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"systole/crm/cib"
	"systole/crm/isotime"
	"systole/crm/status"
	"systole/integration/given"
)

// TestCasesCurrentStatus compares the state read from every given CIB with the given text.
func TestCasesCurrentStatus(t *testing.T) {
	dir := given.Cases(t)
	manifest, err := os.ReadFile(filepath.Join(dir, "MANIFEST.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	good, all := 0, 0
	for line := range strings.Lines(string(manifest)) {
		f := append(strings.Split(strings.TrimRight(line, "\n"), "\t"), "", "", "")
		if name := f[0]; name != "name" {
			all++
			got, want := statusLines(t, dir, name, f[3]), wantedLines(t, dir, name)
			if slices.Equal(got, want) {
				good++
				continue
			}
			t.Errorf("%s:\n%s", name, difference(got, want))
		}
	}
	t.Logf("%d of %d equal", good, all)
}

func statusLines(t *testing.T, dir, name, args string) []string {
	t.Helper()
	src, err := os.ReadFile(filepath.Join(dir, "xml", name+".xml"))
	if err != nil {
		t.Fatal(err)
	}
	root, err := cib.Parse(src)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	v := &View{
		Status:  status.Unpack(root, effectiveTime(root, args)),
		Options: Options{Dialect: Dialect302, Show: ShowNodes | ShowResources, Inactive: true},
	}
	var b strings.Builder
	if err := (&Simulation{Before: v}).Text(&b); err != nil {
		t.Fatal(err)
	}
	return squeezed(b.String())
}

// effectiveTime is the moment a case is planned at: -t, the original execution date, or later than all times in it.
func effectiveTime(root *cib.Element, args string) time.Time {
	now := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	if _, at, ok := strings.Cut(args, "-t|"); ok {
		if t, err := isotime.Parse(at, now); err == nil {
			return t
		}
	}
	if s := root.Get("execution-date"); s != "" {
		var sec int64
		for _, c := range s {
			sec = sec*10 + int64(c-'0')
		}
		return time.Unix(sec, 0).UTC()
	}
	return now
}

func wantedLines(t *testing.T, dir, name string) []string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "summary", name+".summary"))
	if err != nil {
		t.Fatal(err)
	}
	before, _, _ := strings.Cut(string(b), "Transition Summary:")
	var lines []string
	for _, l := range squeezed(before) {
		if !strings.HasPrefix(l, "Usingtheoriginal") && !strings.HasPrefix(l, "Settingeffective") && !strings.HasPrefix(l, "Schemavalidation") {
			lines = append(lines, l)
		}
	}
	return lines
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

func difference(got, want []string) string {
	var b strings.Builder
	for _, l := range want {
		if !slices.Contains(got, l) {
			b.WriteString("  want " + l + "\n")
		}
	}
	for _, l := range got {
		if !slices.Contains(want, l) {
			b.WriteString("  got  " + l + "\n")
		}
	}
	return b.String()
}
