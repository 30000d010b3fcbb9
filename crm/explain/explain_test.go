package explain

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"systole/crm/cib"
	"systole/crm/exit"
	"systole/crm/model"
	"systole/crm/scheduler"
	"systole/crm/simulate"
	"systole/crm/status"
)

// TestAnswers holds whole answers against testdata, and carries every suggestion
// out. The directives are
//
//	cluster nodes=(a,b)   a new cluster with this configuration, at rest
//	configure             more configuration, not acted on yet
//	settle                act on it
//	inject                events as crm_simulate takes them, one a line: fail a, op web_monitor_10000@a=7
//	explain web [node=b] [tries=3] [json]
func TestAnswers(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		var root *cib.Element
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "cluster":
				var nodes []string
				d.ScanArgs(t, "nodes", &nodes)
				root = settled(t, cluster(t, nodes, d.Input))
			case "configure":
				root = configured(t, root, d.Input)
			case "settle":
				root = settled(t, root)
			case "inject":
				root = injected(t, root, d.Input)
			case "explain":
				return explained(t, d, root)
			default:
				d.Fatalf(t, "unknown directive %s", d.Cmd)
			}
			return ""
		})
	})
}

func injected(t *testing.T, root *cib.Element, text string) *cib.Element {
	t.Helper()
	kinds := map[string]simulate.ChangeKind{"fail": simulate.NodeFail, "down": simulate.NodeDown, "quorum": simulate.Quorum, "op": simulate.Operation, "revoke": simulate.TicketRevoke}
	for line := range strings.Lines(text) {
		kind, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		k, ok := kinds[kind]
		if !ok {
			t.Fatalf("unknown event %q", kind)
		}
		var err error
		if root, _, err = simulate.Inject(root, []simulate.Change{{Kind: k, Value: value}}, now); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func explained(t *testing.T, d *datadriven.TestData, root *cib.Element) string {
	q := Question{Root: root, Now: now, Resource: d.CmdArgs[0].Key}
	d.MaybeScanArgs(t, "node", &q.Node)
	d.MaybeScanArgs(t, "tries", &q.Tries)
	a, err := Ask(q)
	if err != nil {
		return "error: " + err.Error() + "\n"
	}
	keepsItsPromises(t, q, a)
	if d.HasArg("json") {
		text, err := json.MarshalIndent(a, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		return string(text) + "\n"
	}
	return a.String()
}

// keepsItsPromises carries every suggestion out, by other means than the search did: one plan after the other until
// nothing is left to do, and then a look at what the histories say.
func keepsItsPromises(t *testing.T, q Question, a Answer) {
	t.Helper()
	for _, s := range a.Suggestions {
		root := s.Apply(q.Root)
		if problems := cib.Errors(cib.Validate(root)); len(problems) > len(cib.Errors(cib.Validate(q.Root))) {
			t.Errorf("%s: %s makes the configuration invalid: %v", q.Resource, s.Command, problems)
		}
		for range settleRounds {
			plan := scheduler.Schedule(root, q.Now, scheduler.Options{})
			root = simulate.Execute(root, plan.Graph, simulate.ExecuteOptions{At: q.Now}).CIB
		}
		final := scheduler.Schedule(root, q.Now, scheduler.Options{})
		for _, x := range a.Accounts {
			rsc, _ := final.Status.Resource(x.Resource)
			if rsc == nil || final.Status.Bundled(rsc.Index) || rsc.Internal && rsc.Kind == model.Primitive && !rsc.ReplicaContainer {
				continue // lives where its container does
			}
			if n, _ := final.Status.Node(s.Node); !anyOn(final.Status, rsc, n.Index) {
				t.Errorf("%s: after %s, %s is not on %s", q.Resource, s.Command, x.Resource, s.Node)
			}
		}
	}
}

// anyOn tells whether a resource is there, or one as good: another instance or replica.
func anyOn(s *status.Status, rsc *status.Resource, n status.NodeID) bool {
	for i := range s.Resources {
		r := &s.Resources[i]
		alike := r.BaseID == rsc.BaseID || r.ReplicaContainer && rsc.ReplicaContainer && r.Parent == rsc.Parent
		if alike && r.Kind == model.Primitive && r.ActiveOn(n) && r.Role > status.RoleStopped {
			return true
		}
	}
	return false
}

func TestUnknownNames(t *testing.T) {
	root := cluster(t, []string{"a"}, "primitive p ocf:systole:Dummy")
	for _, q := range []Question{{Resource: "q"}, {Resource: "p", Node: "b"}} {
		q.Root, q.Now = root, now
		if _, err := Ask(q); exit.Of(err) != exit.NoSuch {
			t.Errorf("%s %s: %v, want exit status %d", q.Resource, q.Node, err, exit.NoSuch)
		}
	}
}
