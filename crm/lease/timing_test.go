package lease

import (
	"slices"
	"strings"
	"testing"
	"time"
)

const ms = time.Millisecond

func TestDerive(t *testing.T) {
	for _, c := range []struct {
		d                                             time.Duration
		beat, hb, dcLease, nodeLease, ct, slot, stall time.Duration
	}{
		{200 * ms, 20 * ms, 120 * ms, 93 * ms, 160 * ms, 20 * ms, 20 * ms, 100 * ms},
		{500 * ms, 50 * ms, 300 * ms, 240 * ms, 400 * ms, 50 * ms, 20 * ms, 250 * ms},
		{1000 * ms, 75 * ms, 450 * ms, 363 * ms, 800 * ms, 50 * ms, 40 * ms, 500 * ms},
		{2000 * ms, 125 * ms, 750 * ms, 609 * ms, 1600 * ms, 50 * ms, 80 * ms, 1000 * ms},
	} {
		got, err := Derive(c.d)
		if err != nil {
			t.Fatal(err)
		}
		want := Timing{
			DetectWithin: c.d, Beat: c.beat, Heartbeat: c.hb, Promise: c.hb, DCLease: got.DCLease,
			NodeLease: c.nodeLease, FormerDC: Stretch(c.nodeLease) - c.hb, CommitTimeout: c.ct, Slot: c.slot, Stall: c.stall, GiveUp: 30 * ms,
		}
		if got != want || (got.DCLease-c.dcLease).Abs() > ms {
			t.Errorf("Derive(%v) = %+v\nwant %+v with a DC lease of %v", c.d, got, want, c.dcLease)
		}
	}
	for _, d := range []time.Duration{0, 149 * ms, time.Minute + 1, -time.Second} {
		if _, err := Derive(d); err == nil {
			t.Errorf("Derive(%v) is accepted", d)
		}
	}
}

// Every derived timing is safe by itself: only what is measured can spoil it.
func TestDerivedTimingsAreSafe(t *testing.T) {
	for d := MinDetectWithin; d <= MaxDetectWithin; d += 7 * ms {
		timing, err := Derive(d)
		if err != nil {
			t.Fatal(err)
		}
		if v := Check(timing, Measured{}); slices.ContainsFunc(v, func(v Violation) bool { return !v.Warning }) {
			t.Fatalf("detect-within %v: %v", d, v)
		}
	}
}

func TestCheckNamesTheInequality(t *testing.T) {
	with := func(change func(*Timing)) Timing {
		timing := Default()
		change(&timing)
		return timing
	}
	for _, c := range []struct {
		name    string
		timing  Timing
		m       Measured
		text    string
		warning bool
	}{
		{"I1", with(func(t *Timing) { t.DCLease = 330 * ms }), Measured{}, "300ms < 409.4", false},
		{"I2", with(func(t *Timing) { t.Heartbeat = 299 * ms }), Measured{}, "299ms < 300ms", false},
		{"I3", with(func(t *Timing) { t.NodeLease = 420 * ms }), Measured{}, "500ms < 513.", false},
		{"I4", Default(), Measured{RTT: 91 * ms}, "240.454545ms < 241ms", false},
		{"I5", with(func(t *Timing) { t.Beat = 100 * ms; t.DCLease = 305 * ms }), Measured{WakeLag: 1 * ms}, "400ms < 401ms", false},
		{"I6", Default(), Measured{Fsync: 90 * ms}, "300ms < 410ms", false},
		{"I7", Default(), Measured{Voters: 15}, "620ms > 600ms", true},
		{"I8", Default(), Measured{WakeLag: 25 * ms}, "30ms < 35ms", false},
		{"I8", Default(), Measured{Watchdog: 10 * time.Second}, "30ms < 10s", false},
		{"I9", Default(), Measured{Fsync: 26 * ms}, "250ms < 260ms", false},
		{"I10", Default(), Measured{Apply: 76 * ms}, "75ms < 76ms", false},
		{"I11", Default(), Measured{Voters: 4}, "4 voters survive no more losses than 3", true},
		{"I11", Default(), Measured{Pausable: true}, "has no fencing", false},
		{"I13", with(func(t *Timing) { t.FormerDC = 188 * ms }), Measured{}, "488ms < 488.88", false},
		{"I12", Default(), Measured{WakeLag: 31 * ms}, "400ms < 401ms", true},
	} {
		found := false
		for _, v := range Check(c.timing, c.m) {
			found = found || v.Name == c.name && strings.Contains(v.String(), c.text) && v.Warning == c.warning
		}
		if !found {
			t.Errorf("%s with %+v: %v, want one with %q", c.name, c.m, Check(c.timing, c.m), c.text)
		}
	}
	if v := Check(Default(), Measured{Pausable: true, Waiver: true, Voters: 1}); len(v) > 0 {
		t.Errorf("waived: %v", v)
	}
}

func TestFit(t *testing.T) {
	m := Measured{RTT: 10 * ms, Fsync: 5 * ms, WakeLag: 40 * ms}
	got := Default().Fit(m)
	if got.Slot != 60*ms || got.GiveUp != 50*ms {
		t.Errorf("slot %v, give-up %v; want 60ms and 50ms", got.Slot, got.GiveUp)
	}
	for _, v := range Check(got, m) {
		if v.Name == "I8" {
			t.Errorf("a fitted timing violates %v", v)
		}
	}
}

func TestStretchRoundsUp(t *testing.T) {
	for d := time.Duration(0); d < 50; d++ {
		if got := Stretch(d); got*9 < d*11 || (got-1)*9 >= d*11 {
			t.Errorf("Stretch(%d) = %d, want the least above 11/9", d, got)
		}
	}
}

func TestPolicy(t *testing.T) {
	for _, c := range []struct {
		text   string
		want   Policy
		proves bool
	}{
		{"stop", PolicyStop, true}, {"suicide", PolicySuicide, true}, {"fence", PolicySuicide, true},
		{"demote", PolicyDemote, false}, {"freeze", PolicyFreeze, false}, {"ignore", PolicyIgnore, false},
	} {
		got, err := ParsePolicy(c.text)
		if err != nil || got != c.want || got.Proves() != c.proves {
			t.Errorf("ParsePolicy(%q) = %v, %v; proves %v", c.text, got, err, got.Proves())
		}
	}
	for _, bad := range []string{"", "Stop", "stopp"} {
		if _, err := ParsePolicy(bad); err == nil {
			t.Errorf("ParsePolicy(%q) is accepted", bad)
		}
	}
}
