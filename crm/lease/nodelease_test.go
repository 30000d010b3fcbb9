package lease

import (
	"errors"
	"testing"
	"time"
)

func testNode() *NodeLease { return NewNodeLease(Default(), "n", 5, Record{Policy: PolicyStop}) }

// answer grants a beat.
func answer(b Beat, term uint64) Grant {
	return Grant{DC: "x", Term: term, Node: b.Node, Incarnation: b.Incarnation, Seq: b.Seq, Length: max(Default().NodeLease, b.Record.Restart)}
}

func TestNodeLeaseCountsFromTheSending(t *testing.T) {
	n := testNode()
	if n.Remaining(hour) != 0 || !errors.Is(n.Order(hour, 7, 1), ErrNoLease) {
		t.Error("a lease before any grant")
	}
	b := n.Beat(hour, 1)
	if !n.Granted(hour+100*ms, answer(b, 7)) {
		t.Fatal("the grant was not taken")
	}
	if want := hour + Default().NodeLease; n.End() != want {
		t.Errorf("end %v, want %v", n.End(), want)
	}
	if n.Granted(hour+110*ms, answer(b, 7)) {
		t.Error("a repeated grant renews")
	}
	if err := n.Order(hour+100*ms, 7, 1); err != nil {
		t.Error(err)
	}
	if err := n.Order(hour+Default().NodeLease, 7, 1); !errors.Is(err, ErrNoLease) {
		t.Errorf("an order after the end: %v", err)
	}
}

func TestNodeLeaseRefusesWhatIsNotItsOwn(t *testing.T) {
	n := testNode()
	b := n.Beat(hour, 1)
	for name, change := range map[string]func(*Grant){
		"another node":        func(g *Grant) { g.Node = "m" },
		"another incarnation": func(g *Grant) { g.Incarnation = 4 },
		"an unknown beat":     func(g *Grant) { g.Seq = 99 },
	} {
		g := answer(b, 7)
		change(&g)
		if n.Granted(hour, g) || n.End() != 0 {
			t.Errorf("a grant for %s was taken", name)
		}
	}
	n.Hello(Hello{DC: "y", Term: 9})
	if n.Granted(hour, answer(b, 8)) {
		t.Error("a grant of an older term was taken")
	}
	if err := n.Order(hour, 8, 1); !errors.As(err, new(OldTermError)) {
		t.Errorf("an order of an older term: %v", err)
	}
	if n.Hello(Hello{DC: "x", Term: 8}) {
		t.Error("an older DC's hello was acknowledged")
	}
	if b := n.Beat(hour, 1); b.Term != 9 {
		t.Errorf("the beat acknowledges %d, want 9", b.Term)
	}
}

// A policy that proves binds when promised; another one when granted.
func TestNodeLeasePolicy(t *testing.T) {
	n := NewNodeLease(Default(), "n", 5, Record{Policy: PolicyFreeze})
	if n.Policy() != PolicyStop {
		t.Errorf("a new run acts on %v, want stop: the DC may rely on what the last one promised", n.Policy())
	}
	n.Granted(hour, answer(n.Beat(hour, 1), 7))
	if n.Policy() != PolicyFreeze {
		t.Errorf("granted freeze, acts on %v", n.Policy())
	}
	n.Promise(Record{Policy: PolicySuicide})
	if n.Policy() != PolicySuicide {
		t.Errorf("promised suicide, acts on %v", n.Policy())
	}
	strict := n.Beat(hour, 1)
	n.Promise(Record{Policy: PolicyFreeze})
	n.Granted(hour, answer(strict, 7))
	if n.Policy() != PolicySuicide {
		t.Errorf("freeze is not granted yet, acts on %v", n.Policy())
	}
	n.Granted(hour, answer(n.Beat(hour, 1), 7))
	if n.Policy() != PolicyFreeze {
		t.Errorf("granted freeze, acts on %v", n.Policy())
	}
}

// A restart grant lasts until a beat no longer asks for it, not longer.
func TestNodeLeaseRestart(t *testing.T) {
	n := testNode()
	n.Promise(Record{Policy: PolicyStop, Restart: time.Minute})
	n.Granted(hour, answer(n.Beat(hour, 1), 7))
	if n.End() != hour+time.Minute {
		t.Errorf("end %v, want a minute after the beat", n.End())
	}
	next := NewNodeLease(Default(), "n", 6, Record{Policy: PolicyStop})
	next.Adopt(n.End(), n.Policy())
	if next.Remaining(hour+10*time.Second) != 50*time.Second {
		t.Error("the adopted lease does not hold")
	}
	next.Beat(hour+10*time.Second, 1)
	if want := hour + 10*time.Second + Default().NodeLease; next.End() != want {
		t.Errorf("after a beat without the wish the lease ends %v, want %v", next.End(), want)
	}
}

func TestNodeLeaseOfTheDC(t *testing.T) {
	n := testNode()
	n.Granted(hour, answer(n.Beat(hour, 1), 7))
	sent := hour - 190*ms
	n.Lead(8, sent+Default().DCLease)
	if n.End() != sent+Default().NodeLease {
		t.Errorf("a DC's services end %v, want N after the sending its lease counts", n.End())
	}
	if n.Granted(hour, answer(n.Beat(hour, 1), 8)) {
		t.Error("the DC takes a node lease")
	}
	n.Follow()
	if n.End() != sent+Default().NodeLease {
		t.Errorf("after leading the lease ends %v, want as before", n.End())
	}
	n.Follow()
	n.Granted(hour+60*ms, answer(n.Beat(hour+60*ms, 1), 9))
	if n.End() != hour+60*ms+Default().NodeLease {
		t.Error("a follower again, and no lease from the new DC")
	}
}

// An order lasts as long as the lease of the beat it relies on, whatever leases came since.
func TestOrderEndsWithItsBeat(t *testing.T) {
	n := testNode()
	first := n.Beat(hour, 1)
	n.Granted(hour, answer(first, 7))
	n.Granted(hour+300*ms, answer(n.Beat(hour+300*ms, 1), 7))
	for _, c := range []struct {
		at   time.Duration
		beat uint64
		want error
	}{
		{300 * ms, first.Seq, nil},
		{399 * ms, first.Seq, nil},
		{400 * ms, first.Seq, ErrStale},
		{400 * ms, first.Seq + 1, nil},
		{400 * ms, first.Seq + 2, ErrStale}, // a beat that was never sent
		{400 * ms, first.Seq + keepAsked, ErrStale},
		{400 * ms, 0, ErrStale}, // only a DC orders itself
	} {
		if err := n.Order(hour+c.at, 7, c.beat); !errors.Is(err, c.want) {
			t.Errorf("at %v, relying on beat %d: %v, want %v", c.at, c.beat, err, c.want)
		}
	}
	n.Lead(8, hour+time.Second)
	if err := n.Order(hour+400*ms, 8, 0); err != nil {
		t.Errorf("the DC's order to itself: %v", err)
	}
}
