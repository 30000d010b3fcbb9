package lease

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestLeaderLease(t *testing.T) {
	l := NewLeader(Default(), "a")
	voters := []string{"a", "b", "c", "d", "e"}
	length := Default().DCLease
	end := func() time.Duration {
		e, _ := l.End(hour, 7, voters)
		return e
	}
	if end() != 0 {
		t.Error("a lease without a grant")
	}
	l.Granted("b", 7, hour-10*ms)
	if end() != 0 {
		t.Error("a lease from two of five")
	}
	l.Granted("c", 7, hour-30*ms)
	if want := hour - 30*ms + length; end() != want {
		t.Errorf("end %v, want the third newest sending + L, %v", end(), want)
	}
	l.Granted("c", 7, hour-50*ms) // late and reordered
	l.Granted("x", 7, hour)       // not a voter
	l.Granted("d", 6, hour)       // of an older term
	if want := hour - 30*ms + length; end() != want {
		t.Errorf("end %v, want still %v", end(), want)
	}
	l.Granted("d", 7, hour-20*ms)
	if want := hour - 20*ms + length; end() != want {
		t.Errorf("end %v, want %v", end(), want)
	}
	if _, ok := l.End(hour, 6, voters); ok {
		t.Error("a lease of an older term")
	}
	if _, ok := l.End(hour, 7, voters[1:]); ok {
		t.Error("a lease of one that has no vote")
	}
	l.Seen(7)
	if end() == 0 {
		t.Error("void by its own term")
	}
	l.Seen(8)
	if end() != 0 {
		t.Error("valid although a newer term was seen")
	}
	l.Granted("b", 7, hour)
	l.Granted("c", 7, hour)
	if end() != 0 {
		t.Error("voided for good, and valid again")
	}
	l.Granted("b", 9, hour)
	l.Granted("c", 9, hour)
	if e, ok := l.End(hour, 9, voters); !ok || e != hour+length {
		t.Error("a new term begins anew")
	}
	l.Release()
	if _, ok := l.End(hour, 9, voters); ok {
		t.Error("valid after the release")
	}
}

func TestLeaderAlone(t *testing.T) {
	l := NewLeader(Default(), "a")
	if e, ok := l.End(hour, 3, []string{"a"}); !ok || e != hour+Default().DCLease {
		t.Errorf("a single voter's lease: %v, %v", e, ok)
	}
}

// The obviously right way to find the q-th newest sending: try every voter's.
func TestLeaderAgainstCounting(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 2000 {
		voters := []string{"a", "b", "c", "d", "e", "f", "g"}[:1+rng.IntN(7)]
		l := NewLeader(Default(), "a")
		sent := map[string]time.Duration{"a": hour}
		for _, v := range voters[1:] {
			if rng.IntN(4) > 0 {
				sent[v] = hour - time.Duration(rng.IntN(500))*ms
				l.Granted(v, 5, sent[v])
			}
		}
		var want time.Duration
		for _, s := range sent {
			n := 0
			for _, v := range voters {
				if at, ok := sent[v]; ok && at >= s {
					n++
				}
			}
			if n > len(voters)/2 {
				want = max(want, s+Default().DCLease)
			}
		}
		if got, _ := l.End(hour, 5, voters); got != want {
			t.Fatalf("%v: end %v, want %v", sent, got, want)
		}
		slices.Sort(voters)
	}
}

// A DC helps no other candidate for P after the sending that its newest lease counts from.
func TestLeaderIsBoundToItself(t *testing.T) {
	timing := Default()
	l := NewLeader(timing, "a")
	voters := []string{"a", "b", "c"}
	if l.Bound(timing.Promise) > 0 {
		t.Error("bound without ever having led")
	}
	l.Granted("b", 7, hour)
	if l.Bound(timing.Promise) > 0 {
		t.Error("bound by an answer nobody has counted")
	}
	l.End(hour+10*ms, 7, voters)
	l.Seen(8) // void: what the lease gave goes on all the same
	l.End(hour+20*ms, 7, voters)
	if got := l.Bound(timing.Promise); got != hour+timing.Promise {
		t.Errorf("bound until %v, want %v", got, hour+timing.Promise)
	}
	l.Granted("b", 9, hour-time.Second) // an older sending, in a newer term
	l.End(hour+30*ms, 9, voters)
	if got := l.Bound(timing.Promise); got != hour+timing.Promise {
		t.Errorf("a later term: bound until %v, want %v", got, hour+timing.Promise)
	}
	l.Release()
	if l.Bound(timing.Promise) > 0 {
		t.Error("bound after its release")
	}
	single := NewLeader(timing, "a")
	single.End(hour, 7, []string{"a"})
	if got := single.Bound(timing.Promise); got != hour+timing.Promise {
		t.Errorf("a single voter is bound until %v", got)
	}
}
