package recheck

import (
	"bytes"
	"slices"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"
	"systole/crm/cib"
	"systole/crm/clitext"
	"systole/crm/controller"
	"systole/crm/scheduler"
	"systole/crm/simulate"
	"systole/crm/transition"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// atRest is a cluster with a bit of everything that decides by histories, attributes and time, with nothing to do.
func atRest(t rapid.TB) *cib.Element {
	t.Helper()
	root := cib.Empty().Root().With("have-quorum", "1").With("cib-last-written", "Sun Mar  1 12:00:00 2026").With("update-user", "root")
	d := clitext.NewDraft(root.Child("configuration"))
	if err := d.Load(`property stonith-enabled=false
node 1: a attributes site=north
node 2: b attributes site=south
node 3: c
primitive db ocf:systole:Dummy op monitor interval=10s meta failure-timeout=60s migration-threshold=2 resource-stickiness=10
primitive web ocf:systole:Dummy op monitor interval=10s
primitive st ocf:systole:Stateful op monitor interval=10s role=Promoted op monitor interval=11s role=Unpromoted
clone cl st meta promotable=true
location north db rule 100: site eq north
location later web rule 50: date gt 2026-03-01T12:30:00Z and #uname eq c
colocation web-db inf: web db
order db-web Mandatory: db web
`, clitext.LoadUpdate); err != nil {
		t.Fatalf("%v", err)
	}
	var states []*cib.Element
	for i, n := range []string{"a", "b", "c"} {
		id := strconv.Itoa(i + 1)
		states = append(states, cib.New("node_state", "id", id, "uname", n, "in_ccm", "true", "crmd", "online", "join", "member", "expected", "member", "crm-debug-origin", "x").
			WithChildren(cib.New("lrm", "id", id).WithChildren(cib.New("lrm_resources"))))
	}
	rounds := simulate.Settle(root.WithChildren(d.Configuration(), cib.New("status").WithChildren(states...)), start, 10)
	root = rounds[len(rounds)-1].CIB
	if len(rounds[len(rounds)-1].Steps) > 0 {
		t.Fatalf("the cluster does not come to rest")
	}
	return root
}

func planned(root *cib.Element, now time.Time) controller.Plan {
	r := scheduler.Schedule(root, now, scheduler.Options{})
	return controller.Plan{Graph: r.Graph, RecheckBy: r.RecheckBy}
}

func text(t rapid.TB, p controller.Plan) string {
	t.Helper()
	var b bytes.Buffer
	if err := transition.WriteXML(&b, p.Graph); err != nil {
		t.Fatalf("%v", err)
	}
	return b.String()
}

// TestPropShortcut changes a resting cluster anywhere and lets time pass: whenever the shortcut says that there is still
// nothing to do, a full run makes the same plan.
func TestPropShortcut(t *testing.T) {
	root := atRest(t)
	before := planned(root, start)
	if !before.Graph.Empty() {
		t.Fatal("the cluster is not at rest")
	}
	rest := After(root, start, before)
	var paths []cib.Path
	for at := range cib.Walk(root) {
		paths = append(paths, slices.Clone(at))
	}
	values := []string{"", "0", "1", "-INFINITY", "true", "false", "Stopped", "a", "b", "db", "500", "now", "4"}
	taken := 0
	rapid.Check(t, func(t *rapid.T) {
		changed := root
		for range rapid.IntRange(0, 3).Draw(t, "edits") {
			at := rapid.SampledFrom(paths).Draw(t, "where")
			e := at.In(changed)
			name := rapid.SampledFrom([]string{"exec-time", "queue-time", "last-run", "crm-debug-origin", "num_updates", "update-user", "rc-code", "call-id", "last-rc-change"}).Draw(t, "attribute")
			if attrs := e.Attrs(); len(attrs) > 0 && rapid.Bool().Draw(t, "its own") {
				name = attrs[rapid.IntRange(0, len(attrs)-1).Draw(t, "which")].Name
			}
			if name == "id" || name == "id-ref" {
				continue // a document with two equal ids is no CIB
			}
			changed = at.Set(changed, e.With(name, rapid.SampledFrom(values).Draw(t, "value")))
		}
		now := start.Add(time.Duration(rapid.IntRange(-10, 7200).Draw(t, "seconds")) * time.Second)
		if !rest.Lasts(changed, now) {
			return
		}
		taken++
		full := planned(changed, now)
		if got, want := text(t, full), text(t, rest.plan); got != want {
			t.Fatalf("the shortcut was taken, and a full run plans otherwise:\n%s", got)
		}
	})
	if taken == 0 {
		t.Error("the shortcut was never taken, so nothing was tested")
	}
}

func TestWhatEndsTheRest(t *testing.T) {
	root := atRest(t)
	rest := After(root, start, planned(root, start))
	other := root.With("num_updates", "99")
	for _, tt := range []struct {
		name string
		root *cib.Element
		now  time.Time
		want bool
	}{
		{"nothing", root, start.Add(time.Minute), true},
		{"a new version of the same", other, start.Add(time.Minute), true},
		{"lost quorum", root.With("have-quorum", "0"), start.Add(time.Minute), false},
		{"a rule's date", root, start.Add(31 * time.Minute), false},
		{"a clock set back", root, start.Add(-time.Second), false},
	} {
		if got := rest.Lasts(tt.root, tt.now); got != tt.want {
			t.Errorf("%s: lasts %v, want %v", tt.name, got, tt.want)
		}
	}
}

// A plan that does something is asked for again, and so is one after an error.
func TestPlannerAsksWhenItMust(t *testing.T) {
	c, err := cib.FromRoot(atRest(t))
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	plan := Planner(func(c *cib.CIB, now time.Time) (controller.Plan, error) {
		asked++
		return planned(c.Root(), now), nil
	})
	stopped, err := cib.FromRoot(c.Root().With("have-quorum", "0"))
	if err != nil {
		t.Fatal(err)
	}
	for i, step := range []struct {
		c     *cib.CIB
		asked int
	}{{c, 1}, {c, 1}, {stopped, 2}, {stopped, 3}, {c, 4}, {c, 4}} {
		if _, err := plan(step.c, start); err != nil || asked != step.asked {
			t.Errorf("step %d: asked %d times (%v), want %d", i, asked, err, step.asked)
		}
	}
}

// BenchmarkUnchanged is a recheck of 16 nodes with 500 histories each of which one status attribute is new.
func BenchmarkUnchanged(b *testing.B) {
	var states []*cib.Element
	for n := range 16 {
		var all []*cib.Element
		for r := range 500 {
			id := "r" + strconv.Itoa(r)
			all = append(all, cib.New("lrm_resource", "id", id).Append(cib.New("lrm_rsc_op", "id", id+"_last_0", "operation", "monitor", "rc-code", "7", "exec-time", "3")))
		}
		states = append(states, cib.New("node_state", "id", strconv.Itoa(n)).Append(cib.New("lrm").Append(cib.New("lrm_resources").WithChildren(all...))))
	}
	root := cib.New("cib").WithChildren(cib.New("configuration"), cib.New("status").WithChildren(states...))
	at := cib.Path{1, 7, 0, 0, 250, 0}
	rest := Rest{root: root, at: start}
	next := at.Set(root, at.In(root).With("exec-time", "4"))
	for b.Loop() {
		if !rest.Lasts(next, start) {
			b.Fatal("not the same")
		}
	}
}
