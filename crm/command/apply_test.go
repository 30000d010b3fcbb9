package command

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"systole/crm/cib"
	"systole/crm/exit"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// cluster is a CIB with nodes a (id 1) and b (id 2).
func cluster(t testing.TB) *cib.CIB {
	t.Helper()
	c, err := cib.ParseCIB([]byte(`<cib validate-with="pacemaker-3.9" crm_feature_set="3.16.1" epoch="4" num_updates="0" admin_epoch="0">
		<configuration><crm_config/><nodes><node id="1" uname="a"/><node id="2" uname="b"/></nodes>
		<resources><primitive id="r" class="ocf" provider="heartbeat" type="Dummy"/></resources><constraints/></configuration><status/></cib>`))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func must(t testing.TB, c *cib.CIB, e Entry) *cib.CIB {
	t.Helper()
	e.Time = noon
	next, reply := Apply(c, e)
	if err := reply.Err(); err != nil {
		t.Fatal(err)
	}
	if next.Version() != reply.Version || (next != c) != reply.Changed {
		t.Fatalf("reply %+v for %s", reply, next.Version())
	}
	return next
}

func outcome(call int, operation string, intervalMS int64, rc int, failure Failure) Result {
	return Result{Node: "a", Incarnation: "i1", Call: call, Resource: "r", Class: "ocf", Provider: "heartbeat", Type: "Dummy",
		Operation: operation, IntervalMS: intervalMS, RC: rc, Key: "3:1:0:abc", LastChange: noon, ExecMS: 12, Failure: failure}
}

func result(rs ...Result) Entry { return Entry{Kind: KindResult, Results: rs} }

func find(t testing.TB, c *cib.CIB, expr string) []*cib.Element {
	t.Helper()
	found, err := cib.Select(c.Root(), expr)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// ids of the operations in the history of r on a.
func history(t testing.TB, c *cib.CIB) string {
	var ids []string
	for _, op := range find(t, c, "//node_state[@uname='a']/lrm/lrm_resources/lrm_resource[@id='r']/lrm_rsc_op") {
		ids = append(ids, op.ID()+"="+op.Get("operation")+":"+op.Get("rc-code"))
	}
	return strings.Join(ids, " ")
}

func attribute(t testing.TB, c *cib.CIB, name string) string {
	for _, pair := range find(t, c, "//node_state[@uname='a']/transient_attributes/instance_attributes/nvpair") {
		if pair.Get("name") == name {
			return pair.Get("value")
		}
	}
	return ""
}

func TestResultShape(t *testing.T) {
	r := outcome(7, "start", 0, 0, NotFailed)
	r.Reason = "all\x00well"
	r.Extra = map[string]string{"op-digest": "d1", "op-force-restart": " a "}
	c := must(t, cluster(t), result(r))
	const want = `<node_state id="1" uname="a" results="i1:7">
  <lrm id="1">
    <lrm_resources>
      <lrm_resource id="r" class="ocf" provider="heartbeat" type="Dummy">
        <lrm_rsc_op id="r_last_0" operation_key="r_start_0" operation="start" crm-debug-origin="systoled" crm_feature_set="3.16.1"` +
		` transition-key="3:1:0:abc" transition-magic="0:0;3:1:0:abc" exit-reason="all` + "\uFFFD" + `well" on_node="a" call-id="7" rc-code="0" op-status="0" interval="0"` +
		` last-rc-change="1795176000" exec-time="12" queue-time="0" op-digest="d1" op-force-restart=" a "/>
      </lrm_resource>
    </lrm_resources>
  </lrm>
</node_state>`
	if got := find(t, c, "//node_state")[0].String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if c.Version().String() != "0.4.1" {
		t.Errorf("version %s", c.Version())
	}
}

// A resource's life: what the history holds after each step.
func TestHistory(t *testing.T) {
	c := cluster(t)
	for i, step := range []struct {
		r    Result
		want string
	}{
		{outcome(1, "monitor", 0, 7, NotFailed), "r_last_0=monitor:7"},
		{outcome(2, "start", 0, 0, NotFailed), "r_last_0=start:0"},
		{outcome(3, "monitor", 10000, 0, NotFailed), "r_last_0=start:0 r_monitor_10000=monitor:0"},
		{outcome(4, "monitor", 10000, 7, Counted), "r_last_0=start:0 r_monitor_10000=monitor:0 r_last_failure_0=monitor:7"},
		{outcome(5, "notify", 0, 0, NotFailed), "r_last_0=start:0 r_monitor_10000=monitor:0 r_last_failure_0=monitor:7"},
		{outcome(6, "stop", 0, 0, NotFailed), "r_last_0=stop:0 r_last_failure_0=monitor:7"},
		{outcome(7, "start", 0, 1, Fatal), "r_last_0=start:1 r_last_failure_0=start:1"},
		{outcome(8, "migrate_from", 0, 0, NotFailed), "r_last_0=start:1 r_last_failure_0=start:1 r_migrate_from_0=migrate_from:0"},
		{outcome(9, "monitor", 10000, 0, NotFailed), "r_last_0=start:1 r_last_failure_0=start:1 r_migrate_from_0=migrate_from:0 r_monitor_10000=monitor:0"},
		{Result{Node: "a", Incarnation: "i1", Call: 10, Resource: "r", Operation: "monitor", IntervalMS: 10000, Status: 1}, "r_last_0=start:1 r_last_failure_0=start:1 r_migrate_from_0=migrate_from:0"},
		{outcome(11, "stop", 0, 0, NotFailed), "r_last_0=stop:0 r_last_failure_0=start:1"},
		{Result{Node: "a", Call: -1, Resource: "r", Operation: "start", Status: -1, RC: 193}, "r_last_0=start:193 r_last_failure_0=start:1"},
		{Result{Node: "a", Incarnation: "i1", Call: 12, Resource: "r", Operation: "start", Status: 1}, ""},
	} {
		c = must(t, c, result(step.r))
		if got := history(t, c); got != step.want {
			t.Fatalf("step %d: %s, want %s", i+1, got, step.want)
		}
	}
	if got := attribute(t, c, "fail-count-r#monitor_10000"); got != "1" {
		t.Errorf("monitor failcount %q", got)
	}
	if got := attribute(t, c, "fail-count-r#start_0"); got != "INFINITY" {
		t.Errorf("start failcount %q", got)
	}
	if got := attribute(t, c, "last-failure-r#start_0"); got != "1795176000" {
		t.Errorf("last failure %q", got)
	}
	if got := find(t, c, "//nvpair[@name='fail-count-r#start_0']")[0].ID(); got != "status-1-fail-count-r.start_0" {
		t.Errorf("nvpair id %q", got)
	}
}

func TestResultCountsOnce(t *testing.T) {
	failed := result(outcome(5, "monitor", 10000, 7, Counted))
	c := must(t, cluster(t), failed)
	for range 2 {
		again, reply := Apply(c, failed)
		if again != c || reply.Duplicates != 1 || reply.Code != exit.OK {
			t.Fatalf("repeated: %+v", reply)
		}
	}
	other := outcome(1, "monitor", 10000, 7, Counted)
	other.Incarnation = "i2"
	c = must(t, c, result(other, other))
	if got := attribute(t, c, "fail-count-r#monitor_10000"); got != "2" {
		t.Errorf("failcount %s, want 2: one of each incarnation", got)
	}
	if again, _ := Apply(c, failed); again != c {
		t.Error("the older incarnation's result counted again")
	}
	for i := range 10 {
		other.Incarnation = fmt.Sprintf("j%d", i)
		c = must(t, c, result(other))
	}
	if got := find(t, c, "//node_state")[0].Get("results"); got != "j6:1 j7:1 j8:1 j9:1" {
		t.Errorf("remembered %q", got)
	}
}

func TestNodeLostAndBack(t *testing.T) {
	c := must(t, cluster(t), Entry{Kind: KindNode, Node: &Node{Name: "a", Incarnation: "i1", Set: map[string]string{"join": "member", "in_ccm": "true", "unproven": "true"}}})
	c = must(t, c, result(outcome(1, "start", 0, 0, NotFailed)))
	c = must(t, c, Entry{Kind: KindAttrs, Attrs: &Attrs{Node: "a", Changes: []AttrChange{{Name: "pingd", Value: "1"}}}})
	c = must(t, c, Entry{Kind: KindNode, Node: &Node{Name: "a", Clear: true, Set: map[string]string{"join": "down", "in_ccm": "false", "unproven": ""}}})
	if got, want := find(t, c, "//node_state")[0].String(), `<node_state id="1" uname="a" in_ccm="false" join="down" results="i1:1!"/>`; got != want {
		t.Fatalf("cleared: %s, want %s", got, want)
	}
	late := result(outcome(2, "start", 0, 0, NotFailed))
	if again, reply := Apply(c, late); again != c || reply.Duplicates != 1 {
		t.Errorf("a result from before the node was proved dead came in: %+v", reply)
	}
	for name, back := range map[string]*Node{
		"join":        {Name: "a", Set: map[string]string{"join": "member"}},
		"incarnation": {Name: "a", Incarnation: "i1"},
	} {
		joined := must(t, c, Entry{Kind: KindNode, Node: back})
		if again, _ := Apply(joined, late); again == joined {
			t.Errorf("%s: a result after the node was back did not come in", name)
		}
		if again, _ := Apply(joined, result(outcome(1, "start", 0, 0, NotFailed))); again != joined {
			t.Errorf("%s: a repeated result came in", name)
		}
	}
	c = must(t, c, Entry{Kind: KindNode, Node: &Node{Name: "a", Forget: true}})
	if len(find(t, c, "//node_state")) != 0 {
		t.Error("not forgotten")
	}
}

func TestAttributes(t *testing.T) {
	c := cluster(t)
	for _, step := range []struct {
		change AttrChange
		want   string
	}{
		{AttrChange{Name: "x", Value: "v"}, "v"},
		{AttrChange{Name: "x", Add: 3}, "3"},
		{AttrChange{Name: "x", Add: -1}, "2"},
		{AttrChange{Name: "x", Value: "INFINITY"}, "INFINITY"},
		{AttrChange{Name: "x", Add: 1}, "INFINITY"},
		{AttrChange{Name: "x", Delete: true}, ""},
		{AttrChange{Name: "x", Add: 1, Set: "own"}, "1"},
		{AttrChange{Name: "x", Value: "in own still"}, "in own still"},
	} {
		c = must(t, c, Entry{Kind: KindAttrs, Attrs: &Attrs{Node: "a", Changes: []AttrChange{step.change}}})
		if got := attribute(t, c, "x"); got != step.want {
			t.Fatalf("%+v: %q, want %q", step.change, got, step.want)
		}
	}
	if got := find(t, c, "//instance_attributes[nvpair]")[0].ID(); got != "own" {
		t.Errorf("set %q", got)
	}
	if again, reply := Apply(c, Entry{Kind: KindAttrs, Attrs: &Attrs{Node: "zz", Changes: []AttrChange{{Name: "y", Delete: true}}}}); reply.Code != exit.OK {
		t.Errorf("%v %+v", again.Version(), reply)
	}
}

func TestCleanup(t *testing.T) {
	c := must(t, cluster(t), result(
		outcome(1, "start", 0, 0, NotFailed),
		outcome(2, "monitor", 10000, 7, Counted),
		Result{Node: "a", Incarnation: "i1", Call: 3, Resource: "ok", Operation: "start"},
		Result{Node: "b", Incarnation: "i1", Call: 3, Resource: "r", Operation: "start"},
	))
	for name, step := range map[string]struct {
		Cleanup
		gone, left string
	}{
		"failed of a node":      {Cleanup{Node: "a", FailedOnly: true}, "//node_state[@uname='a']//lrm_resource[@id='r'] | //nvpair", "//lrm_resource[@id='ok']"},
		"refresh of a node":     {Cleanup{Node: "a"}, "//node_state[@uname='a']//lrm_resource | //nvpair", "//node_state[@uname='b']//lrm_resource"},
		"refresh of a resource": {Cleanup{Resource: "r"}, "//lrm_resource[@id='r'] | //nvpair", "//lrm_resource[@id='ok']"},
		"failures only":         {Cleanup{Resource: "r", FailuresOnly: true}, "//nvpair | //lrm_rsc_op[@id='r_last_failure_0']", "//node_state[@uname='a']//lrm_rsc_op[@id='r_last_0']"},
		"one operation":         {Cleanup{Operation: "monitor", IntervalMS: 10000}, "//node_state[@uname='a']//lrm_resource[@id='r'] | //nvpair", "//lrm_resource[@id='ok']"},
		"another operation":     {Cleanup{Operation: "stop"}, "//nothing", "//nvpair[@name='fail-count-r#monitor_10000']"},
		"another resource":      {Cleanup{Resource: "ok"}, "//lrm_resource[@id='ok']", "//nvpair[@name='fail-count-r#monitor_10000']"},
	} {
		after := must(t, c, Entry{Kind: KindCleanup, Cleanup: &step.Cleanup})
		if found := find(t, after, step.gone); len(found) != 0 {
			t.Errorf("%s: left %v", name, found)
		}
		if len(find(t, after, step.left)) == 0 {
			t.Errorf("%s: %s is gone from\n%s", name, step.left, after.Status())
		}
	}
}

func TestConfigurationEntry(t *testing.T) {
	c := cluster(t)
	e := Entry{Kind: KindCIB, User: "root", Client: "crm", Origin: "a", Change: &Change{
		Ops:      []Op{{Kind: cib.OpCreate, Section: "resources", Data: `<primitive id="s" class="lsb" type="x"/>`}},
		Expected: &cib.Version{Epoch: 4},
	}}
	next := must(t, c, e)
	if next.Version().String() != "0.5.0" || next.Root().Get("update-user") != "root" || next.Root().Get("cib-last-written") != "Fri Nov 20 12:00:00 2026" {
		t.Errorf("got %s", next.Root().WithChildren())
	}
	if _, reply := Apply(next, e); reply.Code != exit.Old {
		t.Errorf("again with the old version: %+v", reply)
	}
	e.Change.Ops[0].Data = "<broken"
	if _, reply := Apply(c, e); reply.Code != exit.DataErr || !strings.Contains(reply.Msg, "operation 1") {
		t.Errorf("broken data: %+v", reply)
	}
}

func TestRefusedEntries(t *testing.T) {
	c := cluster(t)
	for name, e := range map[string]Entry{
		"no content":      {Kind: KindNode},
		"unknown":         {Kind: "novel"},
		"no node":         result(Result{Resource: "r", Operation: "start"}),
		"negative":        result(outcome(1, "monitor", -1, 0, NotFailed)),
		"bad extra":       result(Result{Node: "a", Resource: "r", Operation: "start", Extra: map[string]string{"a b": "c"}}),
		"id set":          {Kind: KindNode, Node: &Node{Name: "a", Set: map[string]string{"id": "9"}}},
		"nameless node":   {Kind: KindNode, Node: &Node{}},
		"nameless attr":   {Kind: KindAttrs, Attrs: &Attrs{Node: "a", Changes: []AttrChange{{}}}},
		"attr of no node": {Kind: KindAttrs, Attrs: &Attrs{}},
	} {
		if next, reply := Apply(c, e); next != c || reply.Code != exit.DataErr || reply.Msg == "" {
			t.Errorf("%s: %+v", name, reply)
		}
	}
	if next, reply := Apply(c, Entry{Kind: "novel", Ignorable: true}); next != c || reply.Code != exit.OK {
		t.Errorf("ignorable: %+v", reply)
	}
}

// A mistake of ours must not stop every node, again and again: here a CIB without a document.
func TestMistakesAreRefused(t *testing.T) {
	broken := new(cib.CIB)
	if next, reply := Apply(broken, result(outcome(1, "start", 0, 0, NotFailed))); next != broken || reply.Code != exit.Software || reply.Changed {
		t.Errorf("%+v", reply)
	}
}

func drawEntry(t *rapid.T) Entry {
	name := rapid.SampledFrom([]string{"a", "b", "remote1"})
	rsc := rapid.SampledFrom([]string{"r", "s", "r:0"})
	switch rapid.IntRange(0, 3).Draw(t, "kind") {
	case 0:
		return result(rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Result {
			return Result{
				Node: name.Draw(t, "node"), Incarnation: rapid.SampledFrom([]string{"", "i1", "i2"}).Draw(t, "incarnation"), Call: rapid.IntRange(1, 20).Draw(t, "call"),
				Resource: rsc.Draw(t, "resource"), Operation: rapid.SampledFrom([]string{"start", "stop", "monitor", "migrate_to", "notify"}).Draw(t, "operation"),
				IntervalMS: rapid.SampledFrom([]int64{0, 0, 10000}).Draw(t, "interval"), RC: rapid.IntRange(0, 9).Draw(t, "rc"), Status: rapid.IntRange(-1, 4).Draw(t, "status"),
				Extra:   rapid.MapOfN(rapid.SampledFrom([]string{"op-digest", "b", "c"}), rapid.String(), 0, 3).Draw(t, "extra"),
				Failure: rapid.SampledFrom([]Failure{NotFailed, Counted, Fatal, HistoryOnly}).Draw(t, "failure"), Reason: rapid.String().Draw(t, "reason"),
			}
		}), 1, 3).Draw(t, "results")...)
	case 1:
		return Entry{Kind: KindNode, Node: &Node{Name: name.Draw(t, "node"), Clear: rapid.Bool().Draw(t, "clear"), Incarnation: rapid.SampledFrom([]string{"", "i1"}).Draw(t, "incarnation"),
			Set: rapid.MapOfN(rapid.SampledFrom([]string{"join", "crmd", "in_ccm"}), rapid.SampledFrom([]string{"", "member", "x"}), 0, 3).Draw(t, "set")}}
	case 2:
		return Entry{Kind: KindAttrs, Attrs: &Attrs{Node: name.Draw(t, "node"), Changes: []AttrChange{{Name: rapid.String().Draw(t, "name"), Value: rapid.String().Draw(t, "value"), Add: rapid.IntRange(-1, 1).Draw(t, "add"), Delete: rapid.Bool().Draw(t, "delete")}}}}
	}
	return Entry{Kind: KindCleanup, Cleanup: &Cleanup{Node: rapid.SampledFrom([]string{"", "a"}).Draw(t, "node"), Resource: rapid.SampledFrom([]string{"", "r"}).Draw(t, "resource"), FailedOnly: rapid.Bool().Draw(t, "failed")}}
}

// The same log gives the same bytes, also through the codec and from a
// snapshot in the middle; the status stays bounded.
func TestDeterminism(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first, _ := cib.ParseCIB([]byte(`<cib epoch="1"><configuration><nodes><node id="1" uname="a"/></nodes></configuration><status/></cib>`))
		second := first
		for i := range rapid.IntRange(1, 20).Draw(t, "entries") {
			e := drawEntry(t)
			first, _ = Apply(first, e)
			b, err := Encode(e)
			if err != nil {
				t.Fatal(err)
			}
			decoded, err := Decode(b)
			if err != nil {
				t.Fatal(err)
			}
			if second, _ = Apply(second, decoded); i%3 == 0 {
				if second, err = cib.ParseCIB([]byte(second.String())); err != nil {
					t.Fatal(err)
				}
			}
		}
		if first.String() != second.String() {
			t.Fatalf("first\n%s\nsecond\n%s", first, second)
		}
		for r := range cib.All(first.Status()) {
			if r.Name() == "lrm_resource" && len(r.Children()) > 5 {
				t.Fatalf("history has grown: %s", r)
			}
		}
	})
}

func BenchmarkResult(b *testing.B) {
	for _, resources := range []int{100, 5000} {
		b.Run(fmt.Sprintf("%d resources", resources), func(b *testing.B) {
			c := cluster(b)
			for i := range resources {
				r := outcome(i+1, "start", 0, 0, NotFailed)
				r.Resource = fmt.Sprintf("rsc-%d", i)
				c = must(b, c, result(r))
			}
			call := resources
			for b.Loop() {
				call++
				r := outcome(call, "monitor", 10000, 0, NotFailed)
				r.Resource = fmt.Sprintf("rsc-%d", call*7919%resources)
				c = must(b, c, result(r))
			}
		})
	}
}
