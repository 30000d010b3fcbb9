package lease

import (
	"fmt"
	"time"
)

// Measured is what this machine and its network really do. Zero means not measured
// and passes.
type Measured struct {
	RTT      time.Duration // r: 99th percentile round trip between nodes
	Fsync    time.Duration // f: 99th percentile fsync of the store
	WakeLag  time.Duration // w: 99.9th percentile of how late a timer fires
	Apply    time.Duration // longest apply of one batch, or restore of a snapshot
	Voters   int           // voters of the raft configuration
	Watchdog time.Duration // stonith-watchdog-timeout in force, 0 without
	Stops    time.Duration // stop time-outs that can run one after the other, when nothing faster silences the node
	Pausable bool          // some voter may be suspended or paused (a VM) and has no fencing
	Waiver   bool          // the administrator accepted that in writing
}

// Violation is one inequality that does not hold.
type Violation struct {
	Name    string // "I1" … "I13"
	Text    string // the inequality with its numbers
	Warning bool   // the cluster is safe, but slower or weaker than promised
}

// String gives "I4: L ≥ 3·h + r + w: 320ms < 150ms + 200ms + 3ms".
func (v Violation) String() string { return v.Name + ": " + v.Text }

// Check returns every inequality that fails, in order. Only those without
// Warning forbid the setting.
func Check(t Timing, m Measured) []Violation {
	var out []Violation
	atLeast := func(name, rule string, have, need time.Duration) {
		if have < need {
			out = append(out, Violation{Name: name, Text: fmt.Sprintf("%s does not hold: %v < %v", rule, have, need)})
		}
	}
	warn := func(name, format string, args ...any) {
		out = append(out, Violation{Name: name, Text: fmt.Sprintf(format, args...), Warning: true})
	}
	r, f, w := m.RTT, m.Fsync, m.WakeLag

	atLeast("I1", "P ≥ (L + ε)(1+ρ)/(1−ρ)", t.Promise, Stretch(t.DCLease+Grain))
	atLeast("I2", "HB ≥ P", t.Heartbeat, t.Promise)
	atLeast("I3", "D ≥ N(1+ρ)/(1−ρ)", t.DetectWithin, Stretch(t.NodeLease))
	atLeast("I4", "L ≥ 3·h + r + w", t.DCLease, 3*t.Beat+r+w)
	atLeast("I5", "N ≥ 4·h + r + w", t.NodeLease, 4*t.Beat+r+w)
	atLeast("I6", "HB ≥ 4·f + h + w", t.Heartbeat, 4*f+t.Beat+w)
	if took, most := t.Heartbeat+t.Slot*time.Duration(m.Voters+1), t.DetectWithin*12/10; took > most {
		warn("I7", "HB + slot·(voters + 1) ≤ 1.2·D does not hold: %v > %v; a lost DC is replaced later than promised", took, most)
	}
	atLeast("I8", "G ≥ max(guard + w, watchdog, stops)", t.GiveUp, max(guardGrain+w, m.Watchdog, m.Stops))
	atLeast("I9", "stall bound ≥ 10·f", t.Stall, 10*f)
	atLeast("I10", "HB/4 ≥ longest apply or restore", t.Heartbeat/4, m.Apply)
	if m.Voters > 0 && m.Voters%2 == 0 {
		warn("I11", "%d voters survive no more losses than %d; add one voter, or a witness", m.Voters, m.Voters-1)
	}
	if m.Pausable && !m.Waiver {
		out = append(out, Violation{Name: "I11", Text: "a voter may be suspended or paused and has no fencing: configure fencing, or set the dated waiver"})
	}
	atLeast("I13", "F + P ≥ N(1+ρ)/(1−ρ)", t.FormerDC+t.Promise, Stretch(t.NodeLease))
	if took := t.Heartbeat + t.Slot + t.Beat + r + 2*f + w; took > t.NodeLease {
		warn("I12", "N ≥ HB + slot + h + r + 2f + w does not hold: %v < %v; healthy nodes may stop for a moment when the DC is lost", t.NodeLease, took)
	}
	return out
}
