package node

import (
	"context"
	"slices"
	"sync"
	"time"

	"systole/crm/api"
	"systole/crm/lease"
)

// meter measures how late this process wakes up and how long beats travel. A
// node that is late itself must not blame others; see heart.detect.
type meter struct {
	mu   sync.Mutex
	lag  samples
	rtt  samples
	sent map[uint64]time.Duration // beats under way, by sequence
}

// samples keeps the last measurements, and their order when asked.
type samples struct {
	ring [1024]time.Duration
	n    int
}

func (s *samples) add(d time.Duration) {
	s.ring[s.n%len(s.ring)] = d
	s.n++
}

// quantile is the q-th part of what was measured lately, 0 without any.
func (s *samples) quantile(q float64) time.Duration {
	n := min(s.n, len(s.ring))
	if n == 0 {
		return 0
	}
	sorted := slices.Clone(s.ring[:n])
	slices.Sort(sorted)
	return sorted[min(n-1, int(q*float64(n)))]
}

// woke notes that a timer meant for every period fired after gap.
func (m *meter) woke(gap, period time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lag.add(max(0, gap-period))
}

// beat notes that a beat was sent, granted that its answer came.
func (m *meter) beat(seq uint64, now time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.sent == nil || len(m.sent) > 64 {
		m.sent = map[uint64]time.Duration{}
	}
	m.sent[seq] = now
}

func (m *meter) granted(seq uint64, now time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if at, ok := m.sent[seq]; ok {
		m.rtt.add(now - at)
		delete(m.sent, seq)
	}
}

// measured is what the inequalities are checked against.
func (n *Node) measured() lease.Measured {
	n.meter.mu.Lock()
	r, w := n.meter.rtt.quantile(0.99), n.meter.lag.quantile(0.999)
	n.meter.mu.Unlock()
	s := n.store.Stats()
	m := lease.Measured{RTT: r, Fsync: s.FsyncP99, WakeLag: w, Apply: s.ApplyMax}
	for _, v := range n.store.Servers() {
		if v.Voter {
			m.Voters++
		}
	}
	return m
}

// Timing implements api.Backend.
func (b backend) Timing(context.Context) (api.Timing, error) {
	t, m := b.n.cfg.Timing, b.n.measured()
	value := func(name string, d time.Duration) api.TimingValue {
		return api.TimingValue{Name: name, Value: api.FromDuration(d)}
	}
	out := api.Timing{
		DetectWithin: api.FromDuration(t.DetectWithin),
		Derived: []api.TimingValue{
			value("beat", t.Beat), value("heartbeat", t.Heartbeat), value("promise", t.Promise), value("dc-lease", t.DCLease),
			value("node-lease", t.NodeLease), value("former-dc", t.FormerDC), value("commit-timeout", t.CommitTimeout), value("slot", t.Slot),
			value("stall-bound", t.Stall), value("give-up", b.n.giveUp(b.n.CIB())),
		},
		Measured: []api.TimingValue{
			value("round trip p99", m.RTT), value("fsync p99", m.Fsync), value("wake-up lag p99.9", m.WakeLag), value("longest apply", m.Apply),
		},
		Realtime: b.n.cfg.Realtime,
		Smallest: api.FromDuration(smallest(m)),
	}
	broken := map[string]lease.Violation{}
	for _, v := range lease.Check(t, m) {
		broken[v.Name] = v
	}
	for _, name := range []string{"I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8", "I9", "I10", "I11", "I12", "I13"} {
		v, bad := broken[name]
		out.Inequalities = append(out.Inequalities, api.TimingInequality{Name: name, Text: v.Text, Holds: !bad, Warning: v.Warning})
	}
	return out, nil
}

// smallest is the smallest detect-within, in steps of 10 ms, whose inequalities
// hold for what was measured; 0 when none does.
func smallest(m lease.Measured) time.Duration {
	for d := lease.MinDetectWithin; d <= 5*time.Second; d += 10 * time.Millisecond {
		t, err := lease.Derive(d)
		if err != nil {
			continue
		}
		if !slices.ContainsFunc(lease.Check(t.Fit(m), m), func(v lease.Violation) bool { return !v.Warning }) {
			return d
		}
	}
	return 0
}
