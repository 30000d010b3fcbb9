package node

import (
	"testing"
	"testing/synctest"
	"time"

	"systole/crm/api"
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

// A node's own policy ends what the DC has ordered, and the DC has not noticed any loss: it
// is told, and does not wait for the action's time to be over.
func TestInterruptedActionIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := grow(t, 3, 1, noFencing...)
		n := c.holder("r1")
		c.world.mu.Lock()
		c.world.slow = 15 * time.Second
		c.world.mu.Unlock()
		r, err := backend{c.dc().Node}.Propose(t.Context(), api.Proposal{Operations: []api.CIBOperation{
			{Op: api.OpCreate, Section: "resources", XML: toy(2)},
			{Op: api.OpCreate, Section: "constraints", XML: `<rsc_location id="l" rsc="r2" node="` + n.name + `" score="INFINITY"/>`},
		}})
		if err != nil || r.Code != 0 {
			t.Fatalf("propose: %+v, %v", r, err)
		}
		time.Sleep(2 * time.Second) // the start is under way
		c.world.mu.Lock()
		c.world.slow = 0
		c.world.mu.Unlock()
		if err := n.exec.StopAll(t.Context(), "a test"); err != nil {
			t.Fatal(err)
		}
		if took := c.until("both run", func() bool { return len(c.world.where("r1")) == 1 && len(c.world.where("r2")) == 1 && c.settled() }); took > 10*time.Second {
			t.Errorf("settled after %v", took)
		}
		c.neverTwice()
	})
}
