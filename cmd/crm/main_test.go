package main

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"systole/agents"
)

// TestNames: every link that `make install` makes leads to something that
// answers, and no agent hides behind a tool's name.
func TestNames(t *testing.T) {
	doc, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	installed := func(variable string) []string {
		m := regexp.MustCompile(`(?m)^` + variable + ` +:= ((?:.*\\\n)*.*)$`).FindSubmatch(doc)
		if m == nil {
			t.Fatalf("the Makefile has no %s", variable)
		}
		return strings.Fields(strings.ReplaceAll(string(m[1]), "\\\n", " "))
	}
	for _, variable := range []string{"TOOLS", "DAEMONS"} {
		for _, name := range installed(variable) {
			if _, ok := programs[name]; !ok {
				t.Errorf("the Makefile links %s, which is not known", name)
			}
		}
	}
	if links, native := installed("AGENTS"), agents.Native(); !slices.Equal(slices.Sorted(slices.Values(links)), slices.Sorted(slices.Values(native))) {
		t.Errorf("the Makefile links the agents %v, there are %v", links, native)
	}
	for _, name := range agents.Native() {
		if _, ok := programs[name]; ok {
			t.Errorf("%s is a tool and an agent", name)
		}
	}
}

// TestUnknownName: a name without a program says so.
func TestUnknownName(t *testing.T) {
	if code := run(t.Context(), []string{"/usr/sbin/nosuch"}); code != exitUsage {
		t.Errorf("an unknown name ends with %d, want %d", code, exitUsage)
	}
	for name, p := range programs {
		if p == nil {
			t.Errorf("%s is known and has no program", name)
		}
	}
}

// TestStartsLight: agents start tools by the dozen, so nothing of ours may prepare at
// the start of the process what few of them need. What the packages' variables take is
// counted in bytes, which are the same on every machine.
func TestStartsLight(t *testing.T) {
	const enough = 512 << 10
	start := exec.Command(os.Args[0], "-test.run=^$")
	start.Env = append(os.Environ(), "GODEBUG=inittrace=1")
	out, err := start.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	total := 0
	for _, m := range regexp.MustCompile(`(?m)^init (systole/\S+) @.* (\d+) bytes`).FindAllStringSubmatch(string(out), -1) {
		n, err := strconv.Atoi(m[2])
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%7d bytes %s", n, m[1])
		total += n
	}
	if total == 0 || total > enough {
		t.Errorf("our packages prepare %d bytes at the start of every tool, want some and at most %d", total, enough)
	}
}
