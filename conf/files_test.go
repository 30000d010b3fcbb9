package conf

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Every example is a script that opens with what it shows, works below
// "configure" and commits; and the README of its directory lists it.
func TestExamplesAreScripts(t *testing.T) {
	single, err := filepath.Glob("examples/*.crm")
	inDirectory, err2 := filepath.Glob("examples/*/*.crm")
	if err != nil || err2 != nil || len(single) == 0 || len(inDirectory) == 0 {
		t.Fatalf("no examples: %v, %v", err, err2)
	}
	for _, f := range append(single, inDirectory...) {
		readme, err := os.ReadFile(filepath.Join(filepath.Dir(f), "README.md"))
		if err != nil {
			t.Error(err)
		}
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		s := string(text)
		if !strings.HasPrefix(s, "# ") || !strings.Contains(s, "\n\nconfigure\n") || !strings.HasSuffix(s, "\ncommit\n") {
			t.Errorf("%s: want a comment, a line \"configure\" and a last line \"commit\"", f)
		}
		if !bytes.Contains(readme, []byte(filepath.Base(f))) {
			t.Errorf("%s is not in the README", f)
		}
	}
}

// systemd itself judges the units, where it is installed; that the programs and
// manual pages are not is no fault of theirs.
func TestUnitsAreValid(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Log("systemd is not installed: the units were not checked by it")
		return
	}
	units, err := filepath.Glob("systemd/*.service")
	if err != nil || len(units) == 0 {
		t.Fatalf("no units: %v", err)
	}
	out, _ := exec.Command(analyze, append([]string{"verify"}, units...)...).CombinedOutput()
	for line := range strings.Lines(string(out)) {
		ours := slices.ContainsFunc(units, func(u string) bool { return strings.Contains(line, u) }) // it speaks of the machine's own units too
		if ours && !strings.Contains(line, "not executable") || strings.Contains(line, "Unknown") {
			t.Error(strings.TrimSpace(line))
		}
	}
}
