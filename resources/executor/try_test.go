package executor

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"systole/resources"
)

// What a human tries waits for the resource's turn and leaves no report.
func TestTryWaitsItsTurn(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.slow["start a"] = time.Second
		n := w.boot("i1", nil, 0)
		n.order("start a")
		synctest.Wait()
		res, err := n.Try(t.Context(), op("monitor a"))
		if err != nil || res.Code != resources.OK {
			t.Errorf("got %+v, %v", res, err)
		}
		want(t, "one after the other", w.took(), "+start a", "-start a", "+monitor a", "-monitor a")
		want(t, "only what was ordered is reported", w.told(), "1 start a rc=0 status=0")
	})
}

// What a human started is stopped by policy like the rest; a waiting try is answered then.
func TestTryAndPolicy(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		n := w.boot("i1", nil, 0)
		if _, err := n.Try(t.Context(), op("start a")); err != nil {
			t.Fatal(err)
		}
		w.slow["monitor a"] = time.Second
		answers := make(chan resources.Result, 2)
		for range 2 {
			go func() {
				res, _ := n.Try(t.Context(), op("monitor a"))
				answers <- res
			}()
		}
		synctest.Wait()
		if err := n.StopAll(t.Context(), "lease"); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if res := <-answers; res.Status != resources.StatusCancelled {
				t.Errorf("got %+v, want cancelled", res)
			}
		}
		if as := n.Active(); len(as) != 0 {
			t.Errorf("still active: %+v", as)
		}
	})
}

func TestTryIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		n := w.boot("i1", nil, 0)
		if err := n.Freeze(t.Context()); err != nil {
			t.Fatal(err)
		}
		for spec, because := range map[string]error{"start a": ErrFrozen, "monitor a 10s": ErrInvalid} {
			if _, err := n.Try(t.Context(), op(spec)); !errors.Is(err, because) {
				t.Errorf("%s: %v, want %v", spec, err, because)
			}
		}
		want(t, "nothing was run", w.took())
	})
}

// After a reload a stop by policy has the new parameters.
func TestReloadedParameters(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		n := w.boot("i1", nil, 0)
		n.order("start a")
		o := op("reload-agent a")
		o.Params = map[string]string{"colour": "2"}
		if err := n.Execute(t.Context(), Order{Op: o}); err != nil {
			t.Fatal(err)
		}
		if err := n.Settled(t.Context()); err != nil {
			t.Fatal(err)
		}
		if as := n.Active(); len(as) != 1 || as[0].Op.Params["colour"] != "2" {
			t.Errorf("got %+v", as)
		}
	})
}
