package status

import (
	"fmt"
	"testing"
)

// TestChangedParameters: what the digests of a history entry say about the present parameters.
func TestChangedParameters(t *testing.T) {
	recorded := DigestOf(map[string]string{"state": "/run/p", "level": "1"})
	level := DigestOf(map[string]string{"level": "1"})
	for _, c := range []struct {
		name, state, level, op string
		want                   Change
	}{
		{"as they were", "/run/p", "1", `op-digest="` + recorded + `"`, Unchanged},
		{"no digest recorded", "/run/p", "1", ``, Unknown},
		{"another state", "/run/q", "1", `op-digest="` + recorded + `"`, Changed},
		{"reloadable", "/run/q", "1", `op-digest="` + recorded + `" op-force-restart=" level " op-restart-digest="` + level + `"`, Changed},
		{"needs a restart", "/run/p", "2", `op-digest="` + recorded + `" op-force-restart=" level " op-restart-digest="` + level + `"`, NeedRestart},
		{"nonsense recorded", "/run/p", "1", `op-digest="xyzzy"`, Changed},
	} {
		s := Unpack(document(t, doc{options: noFencing, resources: `<primitive id="p" class="ocf" provider="heartbeat" type="Dummy"><instance_attributes id="i"><nvpair id="i1" name="state" value="` + c.state +
			`"/><nvpair id="i2" name="level" value="` + c.level + `"/></instance_attributes></primitive>`,
			a: fmt.Sprintf(`<lrm id="1"><lrm_resources><lrm_resource id="p" class="ocf" provider="heartbeat" type="Dummy"><lrm_rsc_op id="p_last_0" operation_key="p_start_0" operation="start" interval="0" call-id="1" rc-code="0" op-status="0" transition-key="1:1:0:0f" %s/></lrm_resource></lrm_resources></lrm>`, c.op)}), testNow)
		p, _ := s.Resource("p")
		ev := s.Evaluator()
		op := ev.History(0, "p").Child("lrm_rsc_op")
		if op == nil {
			t.Fatalf("%s: no history", c.name)
		}
		if got := ev.CompareDigests(p.Index, 0, op); got.Change != c.want {
			t.Errorf("%s: %d, want %d", c.name, got.Change, c.want)
		}
	}
}

// A fingerprint depends on the parameters, not on the order in which they were set.
func TestDigestOf(t *testing.T) {
	one := DigestOf(map[string]string{"a": "1", "b": "2"})
	if one != DigestOf(map[string]string{"b": "2", "a": "1"}) || one == DigestOf(map[string]string{"a": "2", "b": "1"}) || len(one) != 32 {
		t.Errorf("fingerprint %q", one)
	}
}
