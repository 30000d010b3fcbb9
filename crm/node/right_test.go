package node

import (
	"slices"
	"testing"
	"time"

	"systole/crm/lease"
)

// recordingGuard remembers what it was told last.
type recordingGuard struct{ renewals []time.Duration }

func (g *recordingGuard) Renew(d time.Duration) { g.renewals = append(g.renewals, d) }

func TestGrantAfterTheEndWakesNothing(t *testing.T) {
	now := time.Duration(0)
	guard := &recordingGuard{}
	timing := lease.Default()
	r := &right{clock: func() time.Duration { return now }, guard: guard, moved: func() {},
		lease: lease.NewNodeLease(timing, "a", 1, lease.Record{Policy: lease.PolicyStop})}
	grant := func(b lease.Beat) lease.Grant {
		return lease.Grant{DC: "b", Term: 1, Node: "a", Incarnation: 1, Seq: b.Seq, Length: timing.NodeLease}
	}

	r.granted(grant(r.beat(0)))
	if r.Remaining() != timing.NodeLease {
		t.Fatalf("remaining after the first grant: %v, want %v", r.Remaining(), timing.NodeLease)
	}

	// The node was asleep. The first thing it gets to read is a fresh grant.
	now = timing.NodeLease + time.Second
	renewals := len(guard.renewals)
	r.granted(grant(r.beat(0)))
	if r.Remaining() != 0 || len(guard.renewals) != renewals {
		t.Errorf("a grant after the end, with nothing done about the end: remaining %v, guard renewed %v; want neither",
			r.Remaining(), guard.renewals[renewals:])
	}
	if !r.owing() {
		t.Error("the node does not owe what it promised for the end of its lease")
	}

	r.settle()
	r.granted(grant(r.beat(0)))
	if r.Remaining() != timing.NodeLease {
		t.Errorf("after the policy was carried out, remaining %v, want %v", r.Remaining(), timing.NodeLease)
	}

	// The next end is owed again.
	now += 2 * timing.NodeLease
	if !r.owing() {
		t.Error("a second end of the lease is not owed")
	}
}

// A new run of the daemon has the rest of a restart grant, and asks for no more than
// an ordinary lease: the kernel guard must not be left with the longer one.
func TestFirstBeatCutsARestartGrant(t *testing.T) {
	guard := &recordingGuard{}
	timing := lease.Default()
	r := &right{clock: func() time.Duration { return time.Hour }, guard: guard, moved: func() {},
		lease: lease.NewNodeLease(timing, "a", 2, lease.Record{Policy: lease.PolicyStop})}
	r.lease.Adopt(time.Hour+time.Minute, lease.PolicyStop)
	r.beat(0)
	if len(guard.renewals) != 1 || guard.renewals[0] != timing.NodeLease || r.Remaining() != timing.NodeLease {
		t.Errorf("the guard was told %v, remaining %v; want %v", guard.renewals, r.Remaining(), timing.NodeLease)
	}
}

// The guard may leave a little to the next call: an end that stays for a tick is said once more.
func TestGuardIsToldOfAnEndThatStays(t *testing.T) {
	now := time.Hour
	guard := &recordingGuard{}
	timing := lease.Default()
	r := &right{clock: func() time.Duration { return now }, guard: guard, moved: func() {},
		lease: lease.NewNodeLease(timing, "a", 1, lease.Record{Policy: lease.PolicyStop})}
	told := func(what string, want ...time.Duration) {
		t.Helper()
		r.tick()
		if !slices.Equal(guard.renewals, want) {
			t.Errorf("%s: told %v, want %v", what, guard.renewals, want)
		}
		guard.renewals = nil
	}
	told("before the first grant")
	b := r.beat(0)
	r.granted(lease.Grant{DC: "b", Term: 1, Node: "a", Incarnation: 1, Seq: b.Seq, Length: timing.NodeLease})
	told("after a grant", timing.NodeLease)
	now += timing.Beat
	told("a beat later", timing.NodeLease-timing.Beat)
	now += timing.NodeLease
	told("after the end")
}
