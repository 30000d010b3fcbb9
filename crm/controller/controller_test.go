package controller

import (
	"slices"
	"strings"
	"testing"
	"time"

	"systole/crm/command"
	"systole/crm/transition"
	"systole/resources"
)

var noFencing = []string{"stonith-enabled", "false"}

func TestPlansOnlyWhenEverybodyIsAccountedFor(t *testing.T) {
	s := newScript(t, "a b", noFencing...)
	s.elect("a", "b") // a first office writes both as online
	s.step(Deposed{Cause: "test"})
	s.saw()

	s.planned = 0
	s.next(chain("start r b"))
	s.step(Elected{Term: 8, UUID: "u8", CIB: s.cib, Index: s.index})
	s.ready("a")
	s.commit()
	if s.planned != 0 {
		t.Fatal("planned although b, which may hold orders of an earlier DC, has not answered")
	}
	if w := s.ctl.Snapshot().Waiting; len(w) != 1 || !strings.HasPrefix(w[0], "b:") {
		t.Errorf("waits for %v, want b", w)
	}
	s.ready("b")
	s.commit()
	if s.planned != 1 || s.ctl.Snapshot().State != Running {
		t.Errorf("%d plans, state %v", s.planned, s.ctl.Snapshot().State)
	}
}

// A node that is known to run nothing is not waited for.
func TestGoneNodeIsNotWaitedFor(t *testing.T) {
	s := newScript(t, "a b c", noFencing...)
	s.elect("a")
	if s.planned == 0 {
		t.Error("waits for nodes that were never seen")
	}
}

func TestStartIsOnRecordBeforeItIsOrdered(t *testing.T) {
	s := newScript(t, "a b", noFencing...)
	s.next(chain("start r b", "monitor r b"))
	s.step(Elected{Term: 7, UUID: "u7", CIB: s.cib, Index: s.index})
	s.ready("a")
	s.ready("b")
	s.want("propose office a", "propose node a online expected", "propose node b online expected")
	s.commit()
	s.want("propose pending r", "order start r b")
	op := s.cib.Status().Children()[1].Path("lrm", "lrm_resources", "lrm_resource", "lrm_rsc_op")
	if op.Get("op-status") != "-1" || op.Get("transition-key") != "1:1:0:u7" {
		t.Errorf("record: %s", op)
	}
	s.result("start r b", resources.OK)
	s.want("order monitor r b")
	s.result("monitor r b", resources.OK)
	s.want()
	if got := s.ctl.Snapshot(); got.State != Idle || s.planned != 1 {
		t.Errorf("state %v after %d plans; want idle after 1: the results were expected", got.State, s.planned)
	}
}

func TestUnexpectedResultMakesANewPlan(t *testing.T) {
	s := newScript(t, "a b", noFencing...)
	s.next(chain("start r b", "monitor r b"))
	s.elect("a", "b")
	s.result("start r b", resources.ErrGeneric)
	if s.planned != 2 || s.ctl.Snapshot().State != Idle {
		t.Errorf("%d plans, state %v", s.planned, s.ctl.Snapshot().State)
	}
	if _, ordered := s.orders["monitor r b"]; ordered {
		t.Error("the action behind the failed one was ordered")
	}
}

// Many changes while a transition runs: it is left to finish what is in flight,
// and one plan follows.
func TestChangesAbortOnceAndBatch(t *testing.T) {
	s := newScript(t, "a b", noFencing...)
	s.next(chain("start r b", "start q b"))
	s.elect("a", "b")
	for _, v := range []string{"1", "2", "3"} {
		s.apply(command.Entry{Kind: command.KindAttrs, Time: s.now, Attrs: &command.Attrs{Node: "b", Changes: []command.AttrChange{{Name: "ping", Value: v}}}})
		s.step(CIBChanged{CIB: s.cib, Index: s.index})
	}
	if s.planned != 1 {
		t.Fatalf("%d plans while r is starting", s.planned)
	}
	s.result("start r b", resources.OK)
	if s.planned != 2 {
		t.Errorf("%d plans, want one more for all three changes", s.planned)
	}
	if _, ordered := s.orders["start q b"]; ordered {
		t.Error("an aborted transition went on")
	}
}

func TestLostNodeWithoutFencing(t *testing.T) {
	s := newScript(t, "a b", noFencing...)
	s.next(chain("start r b"))
	s.elect("a", "b")
	s.saw()
	s.step(NodeLost{Node: "b"})
	s.want("warn node lost", "propose node b expected unproven")
	s.commit()
	r := s.cib.Status().Children()[1].Path("lrm", "lrm_resources", "lrm_resource", "lrm_rsc_op")
	if r.Get("op-status") != "-1" {
		t.Error("the record that r may be starting on b is gone without proof")
	}
	s.saw()
	s.step(NodeProven{Node: "b"})
	s.want("propose node b gone")
	s.commit()
	if !Gone(s.cib, "b") || s.cib.Status().Children()[1].Child("lrm") != nil {
		t.Errorf("after proof: %s", s.cib.Status())
	}
}

func TestLostNodeIsFencedBeforeAnythingFollows(t *testing.T) {
	s := newScript(t, "a b")
	s.elect("a", "b")
	s.next(chain("stonith b", "start r a"))
	s.saw()
	s.step(NodeLost{Node: "b"})
	s.commit()
	s.want("warn node lost", "propose node b expected", "fence b reboot")
	s.step(NodeProven{Node: "b"}) // no proof where fencing is configured
	s.want()
	s.step(FenceDone{Target: "b", Transition: s.fences[0].Transition, Action: s.fences[0].ID, OK: true})
	s.commit()
	s.want("propose node b gone", "propose pending r", "order start r a")
}

func TestFailedFencingIsTriedAgainLater(t *testing.T) {
	s := newScript(t, "a b")
	s.elect("a", "b")
	fence := chain("stonith b", "start r a")
	s.plans = slices.Repeat([]func(*transition.Graph){fence}, 100)
	s.step(NodeLost{Node: "b"})
	s.commit()
	var waits []time.Duration
	s.saw()
	for range maxFenceFailures {
		f := s.fences[len(s.fences)-1]
		s.step(FenceDone{Target: "b", Transition: f.Transition, Action: f.ID, Reason: "no power"})
		waits = append(waits, s.ctl.Wake().Sub(s.now))
		s.now = s.ctl.Wake()
		if len(waits) < maxFenceFailures {
			s.step(Tick{})
		}
	}
	for i, want := range []time.Duration{1, 2, 4, 8, 16, 16} {
		if waits[i] != want*time.Second {
			t.Errorf("wait %d is %v, want %v s", i, waits[i], want)
		}
	}
	if warnings := slices.DeleteFunc(s.saw(), func(l string) bool { return !strings.HasPrefix(l, "warn") }); !slices.Equal(warnings, []string{
		"warn fencing failed", "warn fencing given up until the configuration changes or the recheck"}) {
		t.Errorf("warnings %q", warnings)
	}
	if len(s.fences) != maxFenceFailures {
		t.Errorf("fenced %d times, want %d", len(s.fences), maxFenceFailures)
	}
	if s.planned > maxFenceFailures+2 {
		t.Errorf("%d plans: it goes on although it gave up", s.planned)
	}
	s.now = s.ctl.Wake() // the recheck tries again
	s.step(Tick{})
	if len(s.fences) != maxFenceFailures+1 {
		t.Errorf("fenced %d times after the recheck", len(s.fences))
	}
	if _, ordered := s.orders["start r a"]; ordered {
		t.Error("r was started although b was never fenced")
	}
}

// What else happens is answered at once, and is no reason to shoot before the time.
func TestFailedFencingHoldsUpNothingElse(t *testing.T) {
	s := newScript(t, "a b c")
	s.elect("a", "b", "c")
	s.next(chain("stonith b"))
	s.step(NodeLost{Node: "b"})
	s.commit()
	s.step(FenceDone{Target: "b", Transition: s.fences[0].Transition, Action: s.fences[0].ID, Reason: "no power"})
	s.next(func(g *transition.Graph) { chain("stonith b", "start r a")(g); g.Synapses[1].Inputs = nil })
	s.step(Reconsider{Cause: "a test"})
	s.commit()
	if _, ordered := s.orders["start r a"]; !ordered || len(s.fences) != 1 || s.ctl.state != Running {
		t.Errorf("orders %v, fenced %d times, want the start and no second shot", s.orders, len(s.fences))
	}
	s.result("start r a", resources.OK)
	if at := s.ctl.Wake(); s.ctl.state != Idle || at.Sub(s.now) != holdOff {
		t.Errorf("%s, awake in %v; want idle until the next attempt", s.ctl.state, at.Sub(s.now))
	}
}

func TestShutdown(t *testing.T) {
	s := newScript(t, "a b", noFencing...)
	s.next(chain("do_shutdown b"))
	s.elect("a", "b")
	s.saw()
	s.commit()
	if _, ok := s.orders["shutdown b"]; !ok {
		t.Fatal("b was not told to leave")
	}
	s.step(NodeLeft{Node: "b"})
	s.commit()
	s.want("propose node b gone")
	if st := s.ctl.Snapshot().State; st != Idle || s.planned != 1 {
		t.Errorf("state %v after %d plans, want idle after one", st, s.planned)
	}
}

func TestRefusedOrderTakesThePendingRecordBack(t *testing.T) {
	s := newScript(t, "a b", noFencing...)
	s.next(chain("start r b"))
	s.elect("a", "b")
	o := s.orders["start r b"]
	s.saw()
	s.step(OrderRefused{Transition: o.Transition, Action: o.Action, Reason: "busy"})
	s.want("warn order refused", "propose cancel pending r on b")
	s.commit()
	if r := s.cib.Status().Children()[1].Path("lrm", "lrm_resources", "lrm_resource"); r != nil {
		t.Errorf("left in the history: %s", r)
	}
}

// What an earlier DC recorded and perhaps never ordered is taken back once the
// node has acknowledged the new term.
func TestNewDCTakesPendingRecordsBack(t *testing.T) {
	s := newScript(t, "a b", noFencing...)
	s.next(chain("start r b"))
	s.elect("a", "b")
	s.step(Deposed{Cause: "test"})
	s.saw()
	s.plans, s.planned = nil, 0
	s.step(Elected{Term: 8, UUID: "u8", CIB: s.cib, Index: s.index})
	s.ready("a")
	s.ready("b")
	s.want("propose office a", "propose cancel pending r on b")
	if s.planned != 0 {
		t.Error("planned before the records were taken back")
	}
	s.commit()
	if s.planned != 1 {
		t.Errorf("%d plans", s.planned)
	}
}

func TestActionWithoutResultFails(t *testing.T) {
	s := newScript(t, "a b", noFencing...)
	s.next(chain("start r b"))
	s.elect("a", "b")
	s.now = s.ctl.Wake()
	if s.now.IsZero() {
		t.Fatal("no deadline")
	}
	s.step(Tick{})
	if s.planned != 2 {
		t.Errorf("%d plans", s.planned)
	}
}

func TestDeposedDoesNothingMore(t *testing.T) {
	s := newScript(t, "a b", noFencing...)
	s.next(chain("start r b", "start q b"))
	s.elect("a", "b")
	s.step(Deposed{Cause: "test"})
	s.saw()
	s.result("start r b", resources.OK)
	s.step(NodeLost{Node: "b"})
	s.step(Tick{})
	s.want()
	if st := s.ctl.Snapshot().State; st != Off {
		t.Errorf("state %v", st)
	}
}

// Another boot has nothing of what an earlier one ran; another run of the daemon
// in the same boot has all of it.
func TestIncarnations(t *testing.T) {
	s := newScript(t, "a b", noFencing...)
	s.next(chain("start r b"))
	s.elect("a", "b")
	s.result("start r b", resources.OK)
	history := func() bool {
		return s.cib.Status().Children()[1].Path("lrm", "lrm_resources", "lrm_resource") != nil
	}
	s.step(NodeReady{Node: "b", Incarnation: "65537", Policy: "stop"})
	s.commit()
	if !history() {
		t.Error("a restart of the daemon lost the history")
	}
	s.step(NodeReady{Node: "b", Incarnation: "131072", Policy: "stop"})
	s.commit()
	if history() {
		t.Error("the history of an earlier boot is still believed")
	}
}

// A daemon that wished to leave and was started again without having left wishes it no more.
func TestRestartEndsTheWishToLeave(t *testing.T) {
	s := newScript(t, "a b", noFencing...)
	s.elect("a", "b")
	s.commit()
	s.apply(command.Entry{Kind: command.KindAttrs, Attrs: &command.Attrs{Node: "b", Changes: []command.AttrChange{{Name: "shutdown", Value: "1"}}}})
	wished := func() bool { return strings.Contains(s.cib.Status().String(), `name="shutdown"`) }
	if !wished() {
		t.Fatal("the wish is not in the CIB")
	}
	s.step(NodeReady{Node: "b", Incarnation: "65537", Policy: "stop"})
	s.commit()
	if wished() {
		t.Error("the wish outlived the daemon that made it")
	}
}

func TestRecheck(t *testing.T) {
	s := newScript(t, "a", append(noFencing, "cluster-recheck-interval", "5min")...)
	s.elect("a")
	n := s.planned
	if got := s.ctl.Wake().Sub(s.now); got != 5*time.Minute {
		t.Fatalf("recheck in %v", got)
	}
	s.now = s.ctl.Wake()
	s.step(Tick{})
	if s.planned != n+1 {
		t.Errorf("%d plans, want %d", s.planned, n+1)
	}
}

// A notification leaves nothing in the CIB; its end is told.
func TestNotification(t *testing.T) {
	s := newScript(t, "a b", noFencing...)
	s.next(chain("notify r b", "start r b"))
	s.elect("a", "b")
	o := s.orders["notify r b"]
	old := o.Key
	old.UUID = "another office"
	s.step(Done{Key: old})
	if _, ordered := s.orders["start r b"]; ordered {
		t.Fatal("another office's notification counted")
	}
	s.step(Done{Key: o.Key})
	s.commit()
	if _, ordered := s.orders["start r b"]; !ordered {
		t.Error("the transition did not go on")
	}
}
