package node

import (
	"testing"

	"systole/crm/cib"
	"systole/crm/command"
	"systole/crm/transition"
	"systole/resources"
	"systole/resources/executor"
)

func TestFailure(t *testing.T) {
	lenient, err := cib.ParseCIB([]byte(`<cib><configuration><crm_config><cluster_property_set id="o"><nvpair id="x" name="start-failure-is-fatal" value="false"/></cluster_property_set></crm_config></configuration></cib>`))
	if err != nil {
		t.Fatal(err)
	}
	key := func(want resources.Code) string { return transition.Key{TargetRC: want, UUID: "u"}.String() }
	done := func(c resources.Code) resources.Result { return resources.Result{Code: c} }
	for _, c := range []struct {
		what string
		cib  *cib.CIB
		op   resources.Op
		key  string
		res  resources.Result
		want command.Failure
	}{
		{"start as expected", cib.Empty(), resources.Op{Action: "start"}, key(0), done(0), command.NotFailed},
		{"degraded is running", cib.Empty(), resources.Op{Action: "monitor", Interval: 1e9}, key(0), done(190), command.NotFailed},
		{"failed start", cib.Empty(), resources.Op{Action: "start"}, key(0), done(1), command.Fatal},
		{"failed start that is not fatal", lenient, resources.Op{Action: "start"}, key(0), done(1), command.Counted},
		{"start timed out", cib.Empty(), resources.Op{Action: "start"}, key(0), resources.Result{Status: resources.StatusTimeout, Code: 1}, command.Fatal},
		{"failed stop", lenient, resources.Op{Action: "stop"}, key(0), done(1), command.Fatal},
		{"monitor finds it gone", cib.Empty(), resources.Op{Action: "monitor", Interval: 1e9}, key(0), done(7), command.Counted},
		{"on-fail=ignore", cib.Empty(), resources.Op{Action: "monitor", Interval: 1e9, Meta: map[string]string{"on_fail": "ignore"}}, key(0), done(7), command.HistoryOnly},
		{"probe finds it running", cib.Empty(), resources.Op{Action: "monitor"}, key(7), done(0), command.NotFailed},
		{"probe finds it promoted", cib.Empty(), resources.Op{Action: "monitor"}, key(7), done(8), command.NotFailed},
		{"failed probe", cib.Empty(), resources.Op{Action: "monitor"}, key(7), done(5), command.HistoryOnly},
		{"cancelled", cib.Empty(), resources.Op{Action: "start"}, key(0), resources.Result{Status: resources.StatusCancelled, Code: 193}, command.NotFailed},
		{"stop by policy", cib.Empty(), resources.Op{Action: "stop"}, "", done(0), command.NotFailed},
	} {
		if got := failure(c.cib, executor.Report{Op: c.op, Key: c.key, Result: c.res}); got != c.want {
			t.Errorf("%s: %q, want %q", c.what, got, c.want)
		}
	}
}

// A result that nobody ordered is believed by the scheduler: it has a key, and
// is what that key expects.
func TestOwnKey(t *testing.T) {
	for _, r := range []executor.Report{
		{Op: resources.Op{Action: "stop"}},
		{Op: resources.Op{Action: "monitor"}, Result: resources.Result{Code: resources.NotRunning}},
		{Op: resources.Op{Action: "monitor"}, Result: resources.Result{Code: resources.OK}},
	} {
		k, err := transition.ParseKey(ownKey(r))
		if err != nil || k.TargetRC != r.Result.Code {
			t.Errorf("%s gave %d: key %+v, %v", r.Op.Action, r.Result.Code, k, err)
		}
	}
}
