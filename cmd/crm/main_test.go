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

// TestUnimplemented: a known name without a program, and an unknown one, say so.
func TestUnimplemented(t *testing.T) {
	for _, name := range []string{"ipvsadm", "nosuch"} {
		if code := run(t.Context(), []string{"/usr/sbin/" + name}); code != exitUsage {
			t.Errorf("%s ends with %d, want %d", name, code, exitUsage)
		}
	}
}
