package executor

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"systole/resources"
)

func TestStopAllInReverseOrderOfStart(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		n := w.boot("i1", nil, 1)
		n.order("start fs", "start vip", "start web", "monitor web 10s", "monitor probed")
		synctest.Wait()
		w.slow["start late"] = time.Minute
		w.fail["stop vip"] = resources.Result{Status: resources.StatusDone, Code: resources.ErrGeneric, Reason: "busy"}
		n.order("start late", "start never")
		synctest.Wait()
		w.took()
		w.told()
		err := n.StopAll(t.Context(), "lease ended")
		if err == nil || !strings.Contains(err.Error(), "vip: busy") || strings.Contains(err.Error(), "web") {
			t.Errorf("StopAll = %v", err)
		}
		want(t, "newest first, the interrupted start too, on after a failure", w.took(),
			"-start late", "+stop late", "-stop late", "+stop web", "-stop web", "+stop vip", "-stop vip", "+stop fs", "-stop fs")
		if err := n.Settled(t.Context()); err != nil {
			t.Error(err)
		}
		for _, r := range w.committed {
			if (r.Op.Action == resources.ActionStop) != (r.Cause == "lease ended") {
				t.Errorf("cause of %s %s is %q", r.Op.Action, r.Op.Resource, r.Cause)
			}
		}
		want(t, "everything is reported", w.told(),
			"6 start never rc=193 status=1", "7 start late rc=193 status=1", "8 stop late rc=0 status=0",
			"9 stop web rc=0 status=0", "10 stop vip rc=1 status=0", "11 stop fs rc=0 status=0")
		want(t, "what failed to stop is not forgotten", roles(n), "vip Unknown")
		n.order("stop vip")
	})
}

func TestStopAllDoesNotWaitForItsCaller(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		n := w.boot("i1", nil, 0)
		n.order("start a", "start b")
		synctest.Wait()
		w.slow["stop b"] = time.Second
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if err := n.StopAll(ctx, "first"); err == nil {
			t.Error("no error when the caller gave up")
		}
		if err := n.Execute(t.Context(), Order{Op: op("start c")}); err != ErrStopping {
			t.Errorf("start during StopAll: %v", err)
		}
		if err := n.StopAll(t.Context(), "second"); err != nil {
			t.Error(err)
		}
		want(t, "each stopped once", w.took()[4:], "+stop b", "-stop b", "+stop a", "-stop a")
		n.order("start c")
	})
}

func TestDemoteAll(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		n := w.boot("i1", nil, 0)
		for _, s := range []string{"start db", "start spare", "start plain", "promote db", "start bad", "promote bad"} {
			o := op(s)
			if o.Resource != "plain" {
				o.Meta = map[string]string{"promoted_max": "1"}
			}
			if err := n.Execute(t.Context(), Order{Op: o}); err != nil {
				t.Error(err)
			}
			synctest.Wait()
		}
		n.order("monitor spare 10s")
		synctest.Wait()
		w.fail["demote bad"] = resources.Result{Status: resources.StatusDone, Code: resources.ErrGeneric}
		w.took()
		if err := n.DemoteAll(t.Context(), "no quorum"); err != nil {
			t.Error(err)
		}
		want(t, "promoted demoted, plain stopped, a failed demote stopped", w.took(),
			"+demote bad", "-demote bad", "+stop bad", "-stop bad", "+demote db", "-demote db", "+stop plain", "-stop plain")
		want(t, "left", roles(n), "spare Started", "db Started")
		time.Sleep(11 * time.Second)
		want(t, "the unpromoted keeps its monitor", w.took(), "+monitor spare", "-monitor spare")
	})
}
