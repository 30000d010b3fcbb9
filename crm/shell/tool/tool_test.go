package tool

import (
	"strings"
	"testing"
)

// Messages bear the tool's name, if it has one; output does not.
func TestIO(t *testing.T) {
	for name, want := range map[string]string{"crm_mon": "crm_mon: no such node: a\n", "": "no such node: a\n"} {
		var out, errs strings.Builder
		stdio := &IO{Out: &out, Err: &errs, Name: name}
		stdio.Errorf("no such node: %s", "a")
		stdio.Printf("%d nodes\n", 2)
		stdio.Println("a", "b")
		if errs.String() != want || out.String() != "2 nodes\na b\n" {
			t.Errorf("%q: wrote %q and %q", name, out.String(), errs.String())
		}
	}
}

func TestEnvironment(t *testing.T) {
	if got := (&IO{}).Getenv("CIB_file"); got != "" {
		t.Errorf("without an environment CIB_file is %q", got)
	}
	if got := (&IO{Env: strings.ToLower}).Getenv("CIB_file"); got != "cib_file" {
		t.Errorf("CIB_file is %q", got)
	}
}
