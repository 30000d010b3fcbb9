package simulate_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"systole/crm/cib"
	"systole/crm/display"
	"systole/crm/exit"
	"systole/crm/simulate"
	"systole/crm/transition"
)

var at = time.Unix(1_800_000_000, 0)

// kinds are the words for events in the test files.
var kinds = map[string]simulate.ChangeKind{
	"quorum": simulate.Quorum, "watchdog": simulate.Watchdog,
	"node-up": simulate.NodeUp, "node-down": simulate.NodeDown, "node-fail": simulate.NodeFail,
	"grant": simulate.TicketGrant, "revoke": simulate.TicketRevoke,
	"standby": simulate.TicketStandby, "activate": simulate.TicketActivate,
	"op": simulate.Operation,
}

// TestScripts runs the files under testdata: "cib FILE" loads a CIB, "inject" pretends events
// ("KIND VALUE" lines), "execute FILE [fail=SPEC]…" carries a transition graph out; each prints what
// was said or done, and "status" prints the status section.
func TestScripts(t *testing.T) {
	scripts, err := filepath.Glob(filepath.Join("testdata", "*.script"))
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, script := range scripts {
		var root *cib.Element
		datadriven.RunTest(t, script, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "cib":
				root = parse(t, d.CmdArgs[0].Key)
				return ""
			case "inject":
				return inject(t, &root, d.Input)
			case "execute":
				return execute(t, &root, d)
			case "status":
				return root.Child("status").String() + "\n"
			case "property":
				return root.Path("configuration", "crm_config").String() + "\n"
			}
			d.Fatalf(t, "unknown command %s", d.Cmd)
			return ""
		})
	}
}

func parse(t *testing.T, name string) *cib.Element {
	t.Helper()
	src, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	root, err := cib.Parse(src)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func inject(t *testing.T, root **cib.Element, input string) string {
	t.Helper()
	var changes []simulate.Change
	for line := range strings.Lines(input) {
		kind, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		k, ok := kinds[kind]
		if !ok {
			t.Fatalf("unknown event %q", kind)
		}
		changes = append(changes, simulate.Change{Kind: k, Value: value})
	}
	after, notes, err := simulate.Inject(*root, changes, at)
	var b strings.Builder
	for _, n := range notes {
		fmt.Fprintf(&b, "%s\n", n.Text)
	}
	if err != nil {
		fmt.Fprintf(&b, "error %d: %v\n", exit.Of(err), err)
		return b.String()
	}
	*root = after
	return b.String()
}

func execute(t *testing.T, root **cib.Element, d *datadriven.TestData) string {
	t.Helper()
	g, err := transition.FromElement(parse(t, d.CmdArgs[0].Key))
	if err != nil {
		t.Fatal(err)
	}
	o := simulate.ExecuteOptions{At: at}
	for _, a := range d.CmdArgs[1:] {
		spec, err := simulate.ParseOpSpec(strings.TrimPrefix(a.String(), "fail="))
		if err != nil {
			t.Fatal(err)
		}
		o.Fail = append(o.Fail, spec)
	}
	ex := simulate.Execute(*root, g, o)
	var b strings.Builder
	for _, s := range ex.Steps {
		fmt.Fprintf(&b, "%s", display.ActionText(s))
		if s.Failed {
			fmt.Fprintf(&b, " failed with %d", s.RC)
		}
		b.WriteByte('\n')
		for _, n := range s.Notes {
			fmt.Fprintf(&b, "  %s\n", n.Text)
		}
	}
	fmt.Fprintf(&b, "%v\n", ex.State)
	*root = ex.CIB
	return b.String()
}

func TestParseOpSpec(t *testing.T) {
	for text, want := range map[string]simulate.OpSpec{
		"db_monitor_10000@n1=7":             {Resource: "db", Task: "monitor", Interval: 10 * time.Second, Node: "n1", RC: 7},
		"my_db:0_migrate_to_0@bart.x.org=1": {Resource: "my_db:0", Task: "migrate_to", Node: "bart.x.org", RC: 1},
	} {
		got, err := simulate.ParseOpSpec(text)
		if err != nil || got != want || got.String() != text {
			t.Errorf("ParseOpSpec(%q) = %+v, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		"":                   "want RESOURCE_TASK_INTERVALMS@NODE=RC",
		"db_start_0@n1":      "want RESOURCE_TASK_INTERVALMS@NODE=RC",
		"db_start@n1=0":      "is not RESOURCE_TASK_INTERVALMS",
		"db_start_0@=0":      "the node's name is missing",
		"db_start_0@n1=bad":  `"bad" is not a return code`,
		"db_start_0@n1=-1":   `"-1" is not a return code`,
		"db_start_0@n1=4000": `"4000" is not a return code`,
	} {
		if got, err := simulate.ParseOpSpec(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseOpSpec(%q) = %+v, %v; want an error with %q", text, got, err, want)
		}
	}
}

func FuzzOpSpec(f *testing.F) {
	for _, s := range []string{"db_monitor_10000@n1=7", "a_b_start_0@n=0", "@=", "x_migrate_from_0@y=1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		spec, err := simulate.ParseOpSpec(s)
		if err != nil {
			return
		}
		if again, err := simulate.ParseOpSpec(spec.String()); err != nil || again != spec {
			t.Fatalf("%q reads as %+v, which does not read back: %v", s, spec, err)
		}
	})
}
