package status

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// moved is p's history on a node: each operation with its result, call id and time, all between a and b.
func moved(ops ...string) string {
	var b strings.Builder
	b.WriteString(`<lrm id="x"><lrm_resources><lrm_resource id="p" class="ocf" provider="heartbeat" type="Dummy">`)
	for _, text := range ops {
		var task string
		var rc, call int
		fmt.Sscan(text, &task, &rc, &call)
		result := execDone
		if rc == rcUnknown {
			result = execPending
		} else if rc != 0 {
			result = execError
		}
		fmt.Fprintf(&b, `<lrm_rsc_op id="p_%s_0" operation_key="p_%s_0" operation="%s" interval="0" call-id="%d" rc-code="%d" op-status="%d" transition-key="%d:%d:0:0f" transition-magic="%d:%d;%d:%d:0:0f" last-rc-change="%d" migrate_source="a" migrate_target="b"/>`,
			task, task, task, call, rc, result, call, call, result, rc, call, call, testNow.Unix()-1000+int64(call))
	}
	b.WriteString(`</lrm_resource></lrm_resources></lrm>`)
	return b.String()
}

// TestMigration: where a resource is after a live migration from a to b that came this far.
func TestMigration(t *testing.T) {
	for _, c := range []struct {
		name           string
		a, b           []string
		active         []NodeID
		dangling       bool // the stop on the source is still missing
		partial, fails bool
	}{
		{name: "not begun", a: []string{"start 0 1"}, active: []NodeID{0}},
		{name: "sent, b not asked yet", a: []string{"migrate_to 0 2"}, b: []string{"stop 0 1"}, active: []NodeID{1, 0}, partial: true},
		{name: "received, stop on a missing", a: []string{"migrate_to 0 2"}, b: []string{"migrate_from 0 3"}, active: []NodeID{1}, dangling: true},
		{name: "complete", a: []string{"migrate_to 0 2", "stop 0 4"}, b: []string{"migrate_from 0 3"}, active: []NodeID{1}},
		{name: "sending failed", a: []string{"start 0 1", "migrate_to 1 2"}, b: []string{"stop 0 1"}, active: []NodeID{1, 0}, fails: true},
		{name: "receiving failed", a: []string{"migrate_to 0 2"}, b: []string{"migrate_from 1 3"}, active: []NodeID{1, 0}, fails: true},
		{name: "receiving failed and nothing is known of the source", b: []string{"migrate_from 1 3"}, active: []NodeID{1}, fails: true},
	} {
		s := Unpack(document(t, doc{options: noFencing, resources: dummy, a: moved(c.a...), b: moved(c.b...)}), testNow)
		p, _ := s.Resource("p")
		got, want := slices.Sorted(slices.Values(p.Active)), slices.Sorted(slices.Values(c.active))
		if !slices.Equal(got, want) || (len(p.Dangling) > 0) != c.dangling || (p.PartialSource == 0 && p.PartialTarget == 1) != c.partial || p.Failed != c.fails {
			t.Errorf("%s: active on %v, dangling %v, from %d to %d, failed %t", c.name, p.Active, p.Dangling, p.PartialSource, p.PartialTarget, p.Failed)
		}
	}
}

// TestCanFence: who may fence depends on devices, options and quorum.
func TestCanFence(t *testing.T) {
	for _, c := range []struct {
		name, options, resources, quorum string
		online, offline                  bool
	}{
		{"with quorum", "", withFencing, "true", true, true},
		{"without a device", "", dummy, "true", false, false},
		{"switched off", noFencing, withFencing, "true", false, false},
		{"without quorum: only who is online", "", withFencing, "false", true, false},
		{"quorum ignored", `<nvpair id="nq" name="no-quorum-policy" value="ignore"/>`, withFencing, "false", true, true},
	} {
		root := document(t, doc{options: c.options, resources: c.resources, stateB: `in_ccm="false" crmd="offline" join="down" expected="down"`}).With("have-quorum", c.quorum)
		s := Unpack(root, testNow)
		if s.CanFence(0) != c.online || s.CanFence(1) != c.offline {
			t.Errorf("%s: online %t, offline %t", c.name, s.CanFence(0), s.CanFence(1))
		}
	}
}

// A shutdown lock holds until shutdown-lock-limit; then the history is to be forgotten.
func TestShutdownLock(t *testing.T) {
	for limit, locked := range map[string]bool{"0": true, "1h": true, "10s": false} {
		state := fmt.Sprintf(`<lrm id="2"><lrm_resources><lrm_resource id="p" class="ocf" provider="heartbeat" type="Dummy" shutdown-lock="%d"/></lrm_resources></lrm>`, testNow.Unix()-60)
		s := Unpack(document(t, doc{options: noFencing + `<nvpair id="l" name="shutdown-lock" value="true"/><nvpair id="ll" name="shutdown-lock-limit" value="` + limit + `"/>`,
			resources: dummy, b: state, stateB: `in_ccm="false" crmd="offline" join="down" expected="down"`}), testNow)
		p, _ := s.Resource("p")
		forget := slices.ContainsFunc(s.Wants, func(w Want) bool { return w.Kind == WantForget && w.Node == 1 })
		if (p.Locked == 1) != locked || forget == locked {
			t.Errorf("limit %s: locked to %d, to be forgotten %t", limit, p.Locked, forget)
		}
	}
}
