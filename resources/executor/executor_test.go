package executor

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"systole/resources"
)

func TestOneResourceIsSerialOthersRunBeside(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.slow["start a"] = time.Second
		w.slow["start b"] = 500 * time.Millisecond
		n := w.boot("i1", nil, 2)
		n.order("start a", "monitor a", "start b", "start c")
		synctest.Wait()
		want(t, "begun at once, two at a time", sorted(w.took()), "+start a", "+start b")
		time.Sleep(700 * time.Millisecond)
		want(t, "c takes b's place", w.took(), "-start b", "+start c", "-start c")
		if err := n.Settled(t.Context()); err != nil {
			t.Fatal(err)
		}
		want(t, "a's monitor after its start", w.took(), "-start a", "+monitor a", "-monitor a")
		want(t, "reports in the order of ending, numbered in it", w.told(),
			"1 start b rc=0 status=0", "2 start c rc=0 status=0", "3 start a rc=0 status=0", "4 monitor a rc=0 status=0")
	})
}

func TestRecurringMonitorReportsFirstAndChanges(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		n := w.boot("i1", nil, 0)
		n.order("start a", "monitor a 10s")
		time.Sleep(35 * time.Second)
		want(t, "four runs", w.took(), "+start a", "-start a", "+monitor a", "-monitor a", "+monitor a", "-monitor a",
			"+monitor a", "-monitor a", "+monitor a", "-monitor a")
		want(t, "one report of the monitor", w.told(), "1 start a rc=0 status=0", "2 monitor a rc=0 status=0")
		w.set(func() { delete(w.up, "a") })
		time.Sleep(20 * time.Second)
		want(t, "the change, once", w.told(), "3 monitor a rc=7 status=0")
		w.set(func() { w.up["a"] = resources.OK })
		time.Sleep(10 * time.Second)
		want(t, "and back", w.told(), "4 monitor a rc=0 status=0")
		w.took()
		n.order("cancel a 10s")
		time.Sleep(time.Minute)
		want(t, "no run after cancel", w.took())
		want(t, "confirmed", w.told(), "5 monitor a rc=0 status=1")
	})
}

func TestStopEndsRecurringMonitors(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		n := w.boot("i1", nil, 0)
		n.order("start a", "monitor a 10s", "monitor a 3s")
		time.Sleep(time.Second)
		w.took()
		n.order("stop a")
		time.Sleep(time.Minute)
		want(t, "only the stop", w.took(), "+stop a", "-stop a")
		if as := n.Active(); len(as) != 0 {
			t.Errorf("still known: %+v", as)
		}
	})
}

func TestScheduleOfRecurring(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) { // the bubble's clock starts at midnight UTC
		n := w.boot("i1", nil, 0)
		start := time.Now()
		if err := n.Execute(t.Context(), Order{Op: op("monitor delayed 10s"), StartDelay: 4 * time.Second}); err != nil {
			t.Error(err)
		}
		if err := n.Execute(t.Context(), Order{Op: op("monitor grid 1h"), Origin: start.Add(-40 * time.Minute)}); err != nil {
			t.Error(err)
		}
		time.Sleep(3 * time.Second)
		want(t, "nothing yet", w.took())
		time.Sleep(2 * time.Second)
		want(t, "after start-delay", w.took(), "+monitor delayed", "-monitor delayed")
		n.order("cancel delayed 10s")
		time.Sleep(time.Until(start.Add(20*time.Minute + time.Second)))
		want(t, "at origin + 1h", w.took(), "+monitor grid", "-monitor grid")
		time.Sleep(time.Hour)
		want(t, "and each hour", w.took(), "+monitor grid", "-monitor grid")
	})
}

func TestTimeoutAndHungAgent(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.slow["start a"], w.slow["start b"] = time.Minute, time.Minute
		w.deaf["start b"] = true
		n := w.boot("i1", nil, 0)
		n.order("start a", "start b", "stop b")
		time.Sleep(5*time.Second + time.Millisecond)
		want(t, "a timed out", w.told(), "1 start a rc=1 status=2")
		time.Sleep(hungGrace)
		want(t, "b given up, and its stop ran", w.told(), "2 start b rc=1 status=2", "3 stop b rc=0 status=0")
		want(t, "what is unknown stays so", roles(n), "a Unknown")
		time.Sleep(time.Minute) // lets the deaf agent end
	})
}

func roles(n *node) (s []string) {
	for _, a := range n.Active() {
		s = append(s, a.ID+" "+a.Role.String())
	}
	return s
}

func TestUnknownAgentAndRefusals(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		n := w.boot("i1", nil, 0)
		o := op("start a")
		o.Agent = resources.AgentID{Class: resources.ClassOCF, Provider: "x", Type: "Missing"}
		if err := n.Execute(t.Context(), Order{Op: o}); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		want(t, "a result, not an error", w.told(), "1 start a rc=5 status=7")
		want(t, "nothing was begun", roles(n))
		for _, o := range []Order{{}, {Op: op("start a"), StartDelay: -1}} {
			if err := n.Execute(t.Context(), o); !errors.Is(err, ErrInvalid) {
				t.Errorf("Execute(%+v) = %v", o, err)
			}
		}
		if err := n.Freeze(t.Context()); err != nil {
			t.Error(err)
		}
		if err := n.Execute(t.Context(), Order{Op: op("start a")}); !errors.Is(err, ErrFrozen) {
			t.Errorf("start while frozen: %v", err)
		}
		n.order("monitor a", "stop a")
		if err := n.Thaw(t.Context()); err != nil {
			t.Error(err)
		}
		n.order("start a")
		n.stop()
		if err := n.Execute(t.Context(), Order{Op: op("stop a")}); !errors.Is(err, ErrClosed) {
			t.Errorf("after Run: %v", err)
		}
	})
}

func TestRepeatedKeyIsOneOrder(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		n := w.boot("i1", nil, 0)
		for range 3 {
			if err := n.Execute(t.Context(), Order{Op: op("start a"), Key: "5:1:0:x", Extra: map[string]string{"op-digest": "d"}}); err != nil {
				t.Error(err)
			}
			synctest.Wait()
		}
		if w.committed[0].Key != "5:1:0:x" || w.committed[0].Extra["op-digest"] != "d" {
			t.Errorf("report %+v", w.committed[0])
		}
		want(t, "one run", w.told(), "1 start a rc=0 status=0")
	})
}

func TestLeaseIsAskedBeforeTheAct(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.slow["start a"] = time.Second
		n := w.boot("i1", nil, 1)
		n.order("start a", "start b")
		time.Sleep(500 * time.Millisecond)
		w.lease.end(true)
		if err := n.Execute(t.Context(), Order{Op: op("start d")}); !errors.Is(err, ErrLease) {
			t.Errorf("start without lease: %v", err)
		}
		n.order("stop e")
		if err := n.Settled(t.Context()); err != nil {
			t.Error(err)
		}
		want(t, "a outlived the lease and is stopped; b waited and is not begun", sorted(w.took()),
			"+start a", "+stop a", "+stop e", "-start a", "-stop a", "-stop e")
		want(t, "nothing is active", roles(n))
	})
}

func TestWatchRunsTheMonitorAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		n := w.boot("i1", nil, 0)
		n.order("start a", "monitor a 1h")
		synctest.Wait()
		w.took()
		w.watch <- "a"
		synctest.Wait()
		want(t, "the monitor ran", w.took(), "+monitor a", "-monitor a")
		select {
		case w.watch <- "a":
			t.Error("watched again at once after a false notice")
		case <-time.After(watchPause - time.Millisecond):
		}
		w.set(func() { delete(w.up, "a") })
		w.watch <- "a"
		synctest.Wait()
		want(t, "a real one", w.told()[2:], "3 monitor a rc=7 status=0")
		n.order("stop a", "start a", "monitor a 1h")
		synctest.Wait()
		w.took()
		w.watch <- "a" // no pause after a new start
		synctest.Wait()
		want(t, "watched after recovery", w.took(), "+monitor a", "-monitor a")
	})
}

func TestNoticeWhileTheMonitorRuns(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		n := w.boot("i1", nil, 0)
		n.order("start a")
		synctest.Wait()
		w.set(func() { w.slow["monitor a"] = 10 * time.Millisecond })
		n.order("monitor a 1h")
		synctest.Wait()
		w.watch <- "a" // it may have looked already
		time.Sleep(15 * time.Millisecond)
		w.took()
		time.Sleep(15 * time.Millisecond)
		want(t, "it looks again", w.took(), "-monitor a")
	})
}

func TestNothingIsLostBehindASlowSink(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		n := w.boot("i1", &memory{}, 0)
		w.set(func() { w.refuse = errors.New("no DC") })
		accepted := 0
		for i := range MaxUndelivered + 100 {
			if i >= MaxUndelivered {
				synctest.Wait()
			}
			err := n.Execute(t.Context(), Order{Op: op(fmt.Sprintf("monitor r%d", i))})
			if errors.Is(err, ErrBusy) {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			accepted++
		}
		if accepted != MaxUndelivered {
			t.Errorf("accepted %d orders with a dead sink, want %d", accepted, MaxUndelivered)
		}
		w.set(func() { w.refuse = nil })
		if err := n.Settled(t.Context()); err != nil {
			t.Error(err)
		}
		for i, r := range w.committed {
			if r.Call != i+1 {
				t.Fatalf("report %d has call %d", i, r.Call)
			}
		}
		if len(w.committed) != accepted {
			t.Errorf("%d reports for %d orders", len(w.committed), accepted)
		}
	})
}
