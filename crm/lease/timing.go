package lease

import (
	"fmt"
	"time"
)

// Timing is every span of the protocol. [Derive] makes one from detect-within;
// [Check] says whether it is safe and fits what was measured.
type Timing struct {
	DetectWithin  time.Duration // D: a node is lost this long after its last beat was received
	Beat          time.Duration // h: how often a node beats and a DC renews
	Heartbeat     time.Duration // HB: raft's heartbeat, election and leader-lease time-outs
	Promise       time.Duration // P: how long a voter stays true to the leader it answered
	DCLease       time.Duration // L: how long a majority's answers let the DC order, from their sending
	NodeLease     time.Duration // N: how long an answered beat lets a node run things, from its sending
	FormerDC      time.Duration // F: from a DC's election until the services of the one before have lost their right
	CommitTimeout time.Duration // CT: raft's idle commit notice
	Slot          time.Duration // how long each rank waits after the one before it with its own candidacy
	Stall         time.Duration // a write in flight for longer voids the DC lease
	GiveUp        time.Duration // G: from the end of a node's lease until everything exclusive there is surely silent
}

// Grain is ε, how late a timer of ours may fire on an idle machine.
const Grain = 5 * time.Millisecond

// Limits of detect-within: below 150 ms the grain takes what the clocks' errors leave
// (I1) and no wake-up lag fits; above a minute nobody waits.
const (
	MinDetectWithin     = 150 * time.Millisecond
	MaxDetectWithin     = time.Minute
	DefaultDetectWithin = 500 * time.Millisecond
)

// GuardGiveUp is the give-up bound of a node whose exclusive resources all sit
// behind the kernel guard: its grain and one wake-up.
const GuardGiveUp = 30 * time.Millisecond

// guardGrain is how late the kernel guard itself may act: one jiffy of the slowest
// usual kernel (100 Hz).
const guardGrain = 10 * time.Millisecond

// minSlot separates candidates when nothing was measured yet: that, or slotShare of D.
// Whoever chose a long D has machines that may stand still for longer.
const (
	minSlot   = 20 * time.Millisecond
	slotShare = 25
)

// Derive makes the spans from detect-within, so that one number rules the timers;
// Slot and GiveUp start at their smallest. A lost DC must be replaced before the
// node leases it gave end, or every healthy node stops its services: N ≥ HB + slot + h
// and some work (I12). So HB is well below N, the more the longer D is: the stalls of a
// machine, which HB must outlast (I4, I6), do not grow with it.
func Derive(d time.Duration) (Timing, error) {
	if d < MinDetectWithin || d > MaxDetectWithin {
		return Timing{}, fmt.Errorf("detect-within %v is outside %v … %v: choose a value between them, %v if unsure",
			d, MinDetectWithin, MaxDetectWithin, DefaultDetectWithin)
	}
	brief := min(d, DefaultDetectWithin)
	p := (brief*6 + (d-brief)*3) / 10
	return Timing{
		DetectWithin:  d,
		Beat:          p / 6,
		Heartbeat:     p,
		Promise:       p,
		DCLease:       p*9/11 - Grain, // 9/11 is the inverse of Stretch
		NodeLease:     d * 8 / 10,
		FormerDC:      Stretch(d*8/10) - p,
		CommitTimeout: min(50*time.Millisecond, d/10),
		Slot:          max(minSlot, d/slotShare),
		Stall:         d / 2,
		GiveUp:        GuardGiveUp,
	}, nil
}

// Default is the timing of DefaultDetectWithin.
func Default() Timing {
	t, err := Derive(DefaultDetectWithin)
	if err != nil {
		panic(err) // the default lies between the limits above
	}
	return t
}

// Fit widens what may follow the measurements without harm to safety: the slot
// must cover a refused candidacy, r + 2f + w, and the give-up bound what I8 asks.
func (t Timing) Fit(m Measured) Timing {
	t.Slot = max(t.Slot, m.RTT+2*m.Fsync+m.WakeLag)
	t.GiveUp = max(t.GiveUp, guardGrain+m.WakeLag, m.Watchdog, m.Stops)
	return t
}

// NeverHeard is how long after its own election a DC waits until every lease an
// earlier DC may have given to a node it has not heard has ended: N, or the
// node's committed restart grant, stretched by both clocks' errors.
func (t Timing) NeverHeard(restart time.Duration) time.Duration {
	return Stretch(max(t.NodeLease, restart))
}
