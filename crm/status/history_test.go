package status

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// run is one operation of a history: what was done, how it ended, and how it should have ended.
type run struct {
	task                 string
	intervalMillis       int
	rc, expected, status int
	ago                  int // seconds since it ended
	lastFailure          bool
}

// ran is the lrm_resource entry of a Dummy with these operations, in order.
func ran(id string, runs ...run) string {
	var b strings.Builder
	fmt.Fprintf(&b, `<lrm id="1"><lrm_resources><lrm_resource id="%s" class="ocf" provider="heartbeat" type="Dummy">`, id)
	for i, r := range runs {
		key := fmt.Sprintf("%s_%s_%d", id, r.task, r.intervalMillis)
		entry := key
		if r.lastFailure {
			entry = id + "_last_failure_0"
		}
		call := i + 1
		if r.status == execPending {
			call = -1
		}
		fmt.Fprintf(&b, `<lrm_rsc_op id="%s" operation_key="%s" operation="%s" interval="%d" call-id="%d" rc-code="%d" op-status="%d" transition-key="%d:1:%d:0f" transition-magic="%d:%d;%d:1:%d:0f" last-rc-change="%d"/>`,
			entry, key, r.task, r.intervalMillis, call, r.rc, r.status, i, r.expected, r.status, r.rc, i, r.expected, testNow.Unix()-int64(r.ago))
	}
	b.WriteString(`</lrm_resource></lrm_resources></lrm>`)
	return b.String()
}

const (
	dummy     = `<primitive id="p" class="ocf" provider="heartbeat" type="Dummy"/>`
	noFencing = `<nvpair id="f" name="stonith-enabled" value="false"/>`
)

// TestRoleFromHistory: what a resource is after a sequence of operations on one node.
func TestRoleFromHistory(t *testing.T) {
	start, stop := run{task: "start"}, run{task: "stop"}
	for _, c := range []struct {
		name   string
		runs   []run
		role   Role
		active bool
		failed bool
	}{
		{"nothing known", nil, RoleStopped, false, false},
		{"found stopped", []run{{task: "monitor", rc: 7, expected: 7}}, RoleStopped, false, false},
		{"found running though it should not be", []run{{task: "monitor", rc: 0, expected: 7}}, RoleStarted, true, false},
		{"started", []run{start}, RoleStarted, true, false},
		{"started and stopped", []run{start, stop}, RoleStopped, false, false},
		{"stopped and started again", []run{stop, start}, RoleStarted, true, false},
		{"start failed", []run{{task: "start", rc: 1, status: execError}}, RoleStarted, true, true},
		{"monitor failed", []run{start, {task: "monitor", intervalMillis: 10000, rc: 1, status: execError}}, RoleStarted, true, true},
		{"monitor timed out", []run{start, {task: "monitor", intervalMillis: 10000, rc: 1, status: execTimeout}}, RoleStarted, true, true},
		{"monitor found it gone", []run{start, {task: "monitor", intervalMillis: 10000, rc: 7}}, RoleStarted, true, true},
		{"degraded is running", []run{start, {task: "monitor", intervalMillis: 10000, rc: 190}}, RoleStarted, true, false},
		{"failure forgotten by a stop", []run{start, {task: "monitor", intervalMillis: 10000, rc: 1, status: execError}, stop}, RoleStopped, false, false},
		{"probe cannot find the agent", []run{{task: "monitor", rc: 5, expected: 7, status: execError}}, RoleStopped, false, false},
		{"cancelled says nothing", []run{start, {task: "monitor", intervalMillis: 10000, status: execCancelled}}, RoleStarted, true, false},
		{"an unknown status is left out", []run{start, {task: "stop", status: 99}}, RoleStarted, true, false},
	} {
		s := Unpack(document(t, doc{options: noFencing, resources: dummy, a: ran("p", c.runs...)}), testNow)
		p, _ := s.Resource("p")
		if p.Role != c.role || p.IsActive() != c.active || p.Failed != c.failed {
			t.Errorf("%s: %v, active %t, failed %t; want %v, %t, %t", c.name, p.Role, p.IsActive(), p.Failed, c.role, c.active, c.failed)
		}
	}
}

// TestPromotableRoles: the roles of an instance that has been promoted, demoted, and found promoted.
func TestPromotableRoles(t *testing.T) {
	const clone = `<clone id="c"><meta_attributes id="cm"><nvpair id="cp" name="promotable" value="true"/></meta_attributes>` + dummy + `</clone>`
	for _, c := range []struct {
		name string
		runs []run
		role Role
	}{
		{"started, and no monitor has told the role", []run{{task: "start"}}, RoleStarted},
		{"found unpromoted", []run{{task: "monitor", rc: 0, expected: 7}}, RoleUnpromoted},
		{"promoted", []run{{task: "start"}, {task: "promote"}}, RolePromoted},
		{"demoted", []run{{task: "start"}, {task: "promote"}, {task: "demote"}}, RoleUnpromoted},
		{"found promoted", []run{{task: "monitor", rc: 8, expected: 7}}, RolePromoted},
		{"promoting", []run{{task: "start"}, {task: "promote", status: execPending, rc: 193}}, RolePromoted},
		{"failed while promoted", []run{{task: "start"}, {task: "promote"}, {task: "monitor", intervalMillis: 5000, rc: 9, expected: 8}}, RolePromoted},
		{"demote failed", []run{{task: "start"}, {task: "promote"}, {task: "demote", rc: 1, status: execError}}, RoleUnpromoted},
	} {
		s := Unpack(document(t, doc{options: noFencing, resources: clone, a: ran("p", c.runs...)}), testNow)
		var got []Role
		for i := range s.Resources {
			if s.Resources[i].BaseID == "p" && s.Resources[i].IsActive() {
				got = append(got, s.Resources[i].Role)
			}
		}
		if !slices.Equal(got, []Role{c.role}) {
			t.Errorf("%s: the active instances are %v, want one %v", c.name, got, c.role)
		}
	}
}

// A pending operation is named, and counts as what it may already have done.
func TestPendingOperations(t *testing.T) {
	for _, c := range []struct {
		task string
		ms   int
		want string
		role Role
	}{
		{"start", 0, "start", RoleStarted}, {"stop", 0, "stop", RoleStopped}, {"monitor", 10000, "monitor", RoleStopped}, {"monitor", 0, "", RoleStopped},
	} {
		s := Unpack(document(t, doc{options: noFencing, resources: dummy, a: ran("p", run{task: c.task, intervalMillis: c.ms, status: execPending, rc: 193})}), testNow)
		p, _ := s.Resource("p")
		if p.PendingTask != c.want || c.want != "" && p.PendingNode != 0 || p.StartPending != (c.task == "start") {
			t.Errorf("%s every %d ms: pending %q on node %d", c.task, c.ms, p.PendingTask, p.PendingNode)
		}
		if active := p.IsActive(); active != (c.role == RoleStarted) {
			t.Errorf("%s every %d ms: active %t", c.task, c.ms, active)
		}
	}
}

// What runs and is not configured is an orphan; a history without anything active is one all the same, to be forgotten.
func TestOrphans(t *testing.T) {
	s := Unpack(document(t, doc{options: noFencing, resources: dummy, a: ran("gone", run{task: "start"})}), testNow)
	gone, ok := s.Resource("gone")
	if !ok || !gone.Orphan || !slices.Equal(gone.Active, []NodeID{0}) {
		t.Fatalf("gone: found %t, %+v", ok, gone)
	}
	if p, _ := s.Resource("p"); p.Orphan {
		t.Error("the configured resource is an orphan")
	}
}

// TestMultipleActive: what is found on two nodes, by policy.
func TestMultipleActive(t *testing.T) {
	for policy, blocked := range map[string]bool{"stop_start": false, "stop_only": false, "block": true, "stop_unexpected": false} {
		rsc := `<primitive id="p" class="ocf" provider="heartbeat" type="Dummy"><meta_attributes id="m"><nvpair id="ma" name="multiple-active" value="` + policy + `"/></meta_attributes></primitive>`
		s := Unpack(document(t, doc{options: noFencing, resources: rsc, a: ran("p", run{task: "start"}), b: ran("p", run{task: "start"})}), testNow)
		p, _ := s.Resource("p")
		if !slices.Equal(p.Active, []NodeID{0, 1}) || p.Blocked != blocked || p.Managed == blocked {
			t.Errorf("%s: active on %v, blocked %t, managed %t", policy, p.Active, p.Blocked, p.Managed)
		}
		banned := slices.ContainsFunc(s.Wants, func(w Want) bool { return w.Kind == WantBanAll })
		if banned != (policy == "stop_only") {
			t.Errorf("%s: banned everywhere: %t", policy, banned)
		}
	}
}

// TestFailCounts: counts add up over operations, expire with failure-timeout, and are read again when they do.
func TestFailCounts(t *testing.T) {
	attributes := func(pairs ...string) string {
		var b strings.Builder
		b.WriteString(`<transient_attributes id="1"><instance_attributes id="t">`)
		for i := 0; i < len(pairs); i += 2 {
			fmt.Fprintf(&b, `<nvpair id="t%d" name="%s" value="%s"/>`, i, pairs[i], pairs[i+1])
		}
		b.WriteString(`</instance_attributes></transient_attributes>`)
		return b.String()
	}
	before := func(seconds int64) string { return fmt.Sprint(testNow.Unix() - seconds) }
	for _, c := range []struct {
		name, timeout, attributes string
		all, effective            int32
	}{
		{"none", "", "", 0, 0},
		{"one", "", attributes("fail-count-p#monitor_10000", "1"), 1, 1},
		{"of two operations", "", attributes("fail-count-p#monitor_10000", "2", "fail-count-p#start_0", "3"), 5, 5},
		{"infinite", "", attributes("fail-count-p#start_0", "INFINITY", "fail-count-p#monitor_10000", "1"), 1_000_000, 1_000_000},
		{"of another resource", "", attributes("fail-count-pp#start_0", "4"), 0, 0},
		{"without an operation: the old form", "", attributes("fail-count-p", "4"), 0, 0},
		{"no number", "", attributes("fail-count-p#start_0", "often"), 0, 0},
		{"not yet expired", "60s", attributes("fail-count-p#start_0", "2", "last-failure-p#start_0", before(60)), 2, 2},
		{"expired", "60s", attributes("fail-count-p#start_0", "2", "last-failure-p#start_0", before(61)), 2, 0},
		{"never expires by itself", "", attributes("fail-count-p#start_0", "2", "last-failure-p#start_0", before(1_000_000)), 2, 2},
		{"not within three centuries", "10000000000s", attributes("fail-count-p#start_0", "2", "last-failure-p#start_0", before(60)), 2, 2},
		{"the latest failure counts", "60s", attributes("fail-count-p#start_0", "2", "last-failure-p#start_0", before(500), "fail-count-p#monitor_10000", "1", "last-failure-p#monitor_10000", before(5)), 3, 3},
	} {
		rsc := dummy
		if c.timeout != "" {
			rsc = `<primitive id="p" class="ocf" provider="heartbeat" type="Dummy"><meta_attributes id="m"><nvpair id="ft" name="failure-timeout" value="` + c.timeout + `"/></meta_attributes></primitive>`
		}
		s := Unpack(document(t, doc{options: noFencing, resources: rsc, a: c.attributes}), testNow)
		p, _ := s.Resource("p")
		all, _ := s.Evaluator().FailCount(p.Index, 0, false, false, nil)
		effective, _ := s.Evaluator().FailCount(p.Index, 0, true, false, nil)
		if all != c.all || effective != c.effective {
			t.Errorf("%s: %d, effective %d; want %d, %d", c.name, all, effective, c.all, c.effective)
		}
	}
}

// A failure older than failure-timeout no longer makes the resource a failed one; one second before, it does, and the
// status names the moment at which that will change.
func TestFailureTimeout(t *testing.T) {
	const rsc = `<primitive id="p" class="ocf" provider="heartbeat" type="Dummy"><meta_attributes id="m"><nvpair id="ft" name="failure-timeout" value="60s"/></meta_attributes></primitive>`
	at := func(ago int) *Status {
		return Unpack(document(t, doc{options: noFencing, resources: rsc, a: fmt.Sprintf(`<transient_attributes id="1"><instance_attributes id="t"><nvpair id="t1" name="fail-count-p#monitor_10000" value="1"/><nvpair id="t2" name="last-failure-p#monitor_10000" value="%d"/></instance_attributes></transient_attributes>`, testNow.Unix()-int64(ago)) +
			ran("p", run{task: "start", ago: 1000}, run{task: "monitor", intervalMillis: 10000, rc: 1, status: execError, ago: ago, lastFailure: true})}), testNow)
	}
	young, old := at(30), at(62)
	if p, _ := young.Resource("p"); !p.Failed {
		t.Error("after 30 s of 60 the failure does not count")
	}
	if want := testNow.Add(31 * time.Second); !young.RecheckBy.Equal(want) {
		t.Errorf("the status may change at %v, want %v", young.RecheckBy, want)
	}
	if p, _ := old.Resource("p"); p.Failed || !p.IsActive() {
		t.Errorf("after 62 s of 60: failed %t, active %t", p.Failed, p.IsActive())
	}
	if !slices.ContainsFunc(old.Wants, func(w Want) bool { return w.Kind == WantClear }) {
		t.Error("nobody wants the expired fail count cleared")
	}
}

// What cannot be stopped where nothing can be fenced is left alone.
func TestFailedStopBlocksWithoutFencing(t *testing.T) {
	s := Unpack(document(t, doc{options: noFencing, resources: dummy, a: ran("p", run{task: "start"}, run{task: "stop", rc: 1, status: execError})}), testNow)
	if p, _ := s.Resource("p"); !p.Blocked || p.Managed || s.Blocked != 1 {
		t.Errorf("blocked %t, managed %t, counted %d", p.Blocked, p.Managed, s.Blocked)
	}
}
