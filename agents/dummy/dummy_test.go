package dummy

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"systole/resources"
)

func run(t *testing.T, a *Agent, action resources.Action, want resources.Code, params map[string]string) {
	t.Helper()
	res := a.Execute(t.Context(), resources.Op{Resource: "r/1", Action: action, Node: "n1", Params: params})
	if res.Code != want {
		t.Errorf("%s = %d (%s), want %d", action, res.Code, res.Reason, want)
	}
}

func TestDummy(t *testing.T) {
	for _, dir := range []string{"", t.TempDir()} {
		a := New("Dummy", Config{Dir: dir})
		run(t, a, "monitor", resources.NotRunning, nil)
		run(t, a, "migrate_to", resources.NotRunning, nil)
		run(t, a, "start", resources.ErrGeneric, map[string]string{"fail_start_on": "n1"})
		run(t, a, "start", resources.OK, map[string]string{"fail_start_on": "n2"})
		run(t, a, "start", resources.OK, nil)
		run(t, a, "monitor", resources.OK, nil)
		if dir != "" {
			run(t, New("Dummy", Config{Dir: dir}), "monitor", resources.OK, nil) // survives the daemon
		}
		run(t, a, "reload", resources.OK, nil)
		run(t, a, "stop", resources.OK, nil)
		run(t, a, "stop", resources.OK, nil)
		run(t, a, "monitor", resources.NotRunning, nil)
		run(t, a, "promote", resources.ErrUnimplemented, nil)
		run(t, a, "start", resources.ErrConfigured, map[string]string{"op_sleep": "long"})
	}
}

func TestStateful(t *testing.T) {
	var scores []int
	a := New("Stateful", Config{Dir: t.TempDir(), Score: func(_ context.Context, _ resources.Op, score int) error {
		scores = append(scores, score)
		return nil
	}})
	run(t, a, "promote", resources.NotRunning, nil)
	run(t, a, "start", resources.OK, nil)
	run(t, a, "promote", resources.OK, nil)
	run(t, a, "monitor", resources.RunningPromoted, nil)
	run(t, a, "notify", resources.OK, nil)
	run(t, a, "demote", resources.OK, nil)
	run(t, a, "monitor", resources.OK, nil)
	run(t, a, "stop", resources.OK, nil)
	if !slices.Equal(scores, []int{5, 10, 5, -1}) {
		t.Errorf("promotion scores %v", scores)
	}
}

func TestDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := New("Delay", Config{})
		began := time.Now()
		run(t, a, "start", resources.OK, map[string]string{"startdelay": "7"})
		if took := time.Since(began); took != 7*time.Second {
			t.Errorf("start took %v", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if res := a.Execute(ctx, resources.Op{Resource: "d", Action: "stop"}); res.Status != resources.StatusTimeout {
			t.Errorf("stop beyond its timeout: %+v", res)
		}
	})
}
