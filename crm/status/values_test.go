package status

import (
	"testing"
	"time"

	"systole/crm/cib"
)

var testNow = time.Unix(1_800_000_000, 0).UTC()

func TestMillis(t *testing.T) {
	for _, c := range []struct {
		text string
		want int64
		ok   bool
	}{
		{"10", 10_000, true}, {"10s", 10_000, true}, {"1500ms", 1500, true}, {"2min", 120_000, true}, {"2m", 120_000, true},
		{"1h", 3_600_000, true}, {" 5 ", 5000, true}, {"PT1M", 60_000, true},
		{"9000000000000000000", maxMillis, true}, {"9000000000000000000ms", maxMillis, true}, {"3000000000000000000h", maxMillis, true}, {"P99999999999999999999Y", maxMillis, true},
		{"P200Y200Y", maxMillis, true}, {"PT10S", 10_000, true}, {"P1DT1H", 90_000_000, true}, {"-5", -5000, true}, {"-9000000000000000000", -9_223_372_036_000, true}, {"", 0, false}, {"soon", 0, false},
	} {
		if got, ok := Millis(c.text); ok != c.ok || ok && got != c.want {
			t.Errorf("Millis(%q) is %d, %t; want %d, %t", c.text, got, ok, c.want, c.ok)
		}
	}
}

func TestTruth(t *testing.T) {
	for text, want := range map[string][2]bool{
		"true": {true, true}, "Yes": {true, true}, "on": {true, true}, "1": {true, true}, "y": {true, true},
		"false": {false, true}, "no": {false, true}, "0": {false, true}, "": {}, "maybe": {}, "2": {},
	} {
		if v, ok := Truth(text); v != want[0] || ok != want[1] {
			t.Errorf("Truth(%q) is %t, %t", text, v, ok)
		}
	}
}

// TestNodeStates: what a node's state says about it, with fencing and without.
func TestNodeStates(t *testing.T) {
	const member = ` in_ccm="true" crmd="online" join="member" expected="member"`
	for _, c := range []struct {
		name, state                       string
		fencing, online, unclean, pending bool
	}{
		{"member", member, true, true, false, false},
		{"member without fencing", member, false, true, false, false},
		{"lost", ` in_ccm="false" crmd="offline" join="down" expected="member"`, true, false, true, false},
		{"lost without fencing counts as stopped", ` in_ccm="false" crmd="offline" join="down" expected="member"`, false, false, false, false},
		{"left in good order", ` in_ccm="false" crmd="offline" join="down" expected="down"`, true, false, false, false},
		{"unproven", ` in_ccm="false" crmd="offline" join="down" expected="member" unproven="true"`, false, false, true, false},
	} {
		text := `<cib have-quorum="true"><configuration><crm_config><cluster_property_set id="o"><nvpair id="f" name="stonith-enabled" value="` +
			map[bool]string{true: "true", false: "false"}[c.fencing] + `"/></cluster_property_set></crm_config><nodes><node id="1" uname="n1"/></nodes>` +
			`<resources><primitive id="f1" class="stonith" type="fence_ipmilan"/></resources><constraints/></configuration><status><node_state id="1" uname="n1"` + c.state + `/></status></cib>`
		root, err := cib.Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		n := Unpack(root, testNow).Nodes[0]
		if n.Online != c.online || n.Unclean != c.unclean || n.Pending != c.pending {
			t.Errorf("%s: online %t, unclean %t, pending %t", c.name, n.Online, n.Unclean, n.Pending)
		}
	}
}
