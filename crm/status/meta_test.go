package status

import (
	"testing"
	"time"
)

// TestMetaPrecedence: which of several sets a resource's meta attribute comes from.
func TestMetaPrecedence(t *testing.T) {
	set := func(id, score, content string) string {
		return `<meta_attributes id="` + id + `" score="` + score + `">` + content + `</meta_attributes>`
	}
	priority := func(id, value string) string {
		return `<nvpair id="` + id + `" name="priority" value="` + value + `"/>`
	}
	const from, until = `<rule id="r" score="0"><date_expression id="d" operation="gt" start="`, `"/></rule>`
	past, future := testNow.Add(-time.Hour).Format(time.RFC3339), testNow.Add(time.Hour).Format(time.RFC3339)
	for _, c := range []struct {
		name, meta string
		want       string // "" for none
	}{
		{"none", "", ""},
		{"one", set("m", "0", priority("p", "1")), "1"},
		{"the later of equals", set("m1", "0", priority("p1", "1")) + set("m2", "0", priority("p2", "2")), "2"},
		{"the higher score", set("m1", "5", priority("p1", "1")) + set("m2", "0", priority("p2", "2")), "1"},
		{"a rule that holds", set("m1", "5", from+past+until+priority("p1", "1")) + set("m2", "0", priority("p2", "2")), "1"},
		{"a rule that does not", set("m1", "5", from+future+until+priority("p1", "1")) + set("m2", "0", priority("p2", "2")), "2"},
		{"a value of default is none", set("m", "0", priority("p", "#default")), ""},
		{"a reference", `<meta_attributes id-ref="elsewhere"/>`, "9"},
		{"a reference to nothing", `<meta_attributes id-ref="nowhere"/>`, ""},
		{"pairs one level deeper, as in schema 1", set("m", "0", `<attributes>`+priority("p", "3")+`</attributes>`), "3"},
		{"a pair without value", set("m", "0", `<nvpair id="p" name="priority"/>`), ""},
	} {
		s := Unpack(document(t, doc{options: noFencing, resources: `<primitive id="p" class="ocf" provider="heartbeat" type="Dummy">` + c.meta + `</primitive>` +
			`<primitive id="q" class="ocf" provider="heartbeat" type="Dummy"><meta_attributes id="elsewhere"><nvpair id="e" name="priority" value="9"/></meta_attributes></primitive>`}), testNow)
		if p, _ := s.Resource("p"); p.Meta["priority"] != c.want {
			t.Errorf("%s: priority is %q, want %q", c.name, p.Meta["priority"], c.want)
		}
	}
}

// A member has what its group says unless it says otherwise; a rule's next change is when to look again.
func TestInheritedMeta(t *testing.T) {
	change := testNow.Add(time.Hour)
	s := Unpack(document(t, doc{options: noFencing, resources: `<group id="g"><meta_attributes id="gm"><nvpair id="g1" name="priority" value="4"/><nvpair id="g2" name="is-managed" value="false"/></meta_attributes>` +
		`<primitive id="p" class="ocf" provider="heartbeat" type="Dummy"/>` +
		`<primitive id="q" class="ocf" provider="heartbeat" type="Dummy"><meta_attributes id="qm"><rule id="r" score="0"><date_expression id="d" operation="lt" end="` + change.Format(time.RFC3339) +
		`"/></rule><nvpair id="q1" name="is-managed" value="true"/></meta_attributes></primitive></group>`}), testNow)
	p, _ := s.Resource("p")
	q, _ := s.Resource("q")
	if p.Managed || !q.Managed || p.Priority != 4 || q.Priority != 4 {
		t.Errorf("p managed %t at %d, q managed %t at %d", p.Managed, p.Priority, q.Managed, q.Priority)
	}
	if s.RecheckBy.IsZero() || s.RecheckBy.After(change.Add(2*time.Second)) || s.RecheckBy.Before(change) {
		t.Errorf("look again at %v, want %v", s.RecheckBy, change)
	}
}

// TestOperationMeta: timeouts and on-fail of operations, with defaults.
func TestOperationMeta(t *testing.T) {
	const stonith = `<nvpair id="f" name="stonith-enabled" value="true"/>`
	for _, c := range []struct {
		name, options, op, task string
		ms                      uint32
		timeout                 string
		onFail                  OnFail
	}{
		{"not configured", noFencing, "", "start", 0, "20000", OnFailRestart},
		{"own timeout", noFencing, `<op id="o" name="start" interval="0" timeout="1min"/>`, "start", 0, "60000", OnFailRestart},
		{"own on-fail", noFencing, `<op id="o" name="monitor" interval="10s" on-fail="ignore"/>`, "monitor", 10000, "20000", OnFailIgnore},
		{"another interval is another operation", noFencing, `<op id="o" name="monitor" interval="10s" timeout="5s"/>`, "monitor", 20000, "20000", OnFailRestart},
		{"a probe takes a monitor's timeout", noFencing, `<op id="o" name="monitor" interval="10s" timeout="5s"/>`, "monitor", 0, "5000", OnFailRestart},
		{"a stop without fencing blocks", noFencing, "", "stop", 0, "20000", OnFailBlock},
		{"a stop with fencing fences", stonith, "", "stop", 0, "20000", OnFailFence},
		{"fencing without fencing is a stop", noFencing, `<op id="o" name="monitor" interval="10s" on-fail="fence"/>`, "monitor", 10000, "20000", OnFailStop},
		{"nonsense is the default", noFencing, `<op id="o" name="monitor" interval="10s" on-fail="panic"/>`, "monitor", 10000, "20000", OnFailRestart},
	} {
		s := Unpack(document(t, doc{options: c.options, resources: withFencing + `<primitive id="p" class="ocf" provider="heartbeat" type="Dummy"><operations>` + c.op + `</operations></primitive>`}), testNow)
		p, _ := s.Resource("p")
		m := s.Evaluator().OpMeta(p.Index, c.task, c.ms, false)
		if m.Values["timeout"] != c.timeout || m.OnFail != c.onFail {
			t.Errorf("%s: timeout %q, on-fail %d; want %q, %d", c.name, m.Values["timeout"], m.OnFail, c.timeout, c.onFail)
		}
	}
}
