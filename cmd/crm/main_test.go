package main

import (
	"os"
	"regexp"
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
	for _, variable := range []string{"TOOLS", "DAEMONS"} {
		m := regexp.MustCompile(`(?m)^` + variable + ` +:= ((?:.*\\\n)*.*)$`).FindSubmatch(doc)
		if m == nil {
			t.Errorf("the Makefile has no %s", variable)
			continue
		}
		for _, name := range strings.Fields(strings.ReplaceAll(string(m[1]), "\\\n", " ")) {
			if _, ok := programs[name]; !ok {
				t.Errorf("the Makefile links %s, which is not known", name)
			}
		}
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
