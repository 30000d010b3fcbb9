package check

import (
	"hash/fnv"
	"time"
)

// Result is what one probe found.
type Result struct {
	OK     bool
	Weight Weight
	// Reason is one phrase for people, with the server's own words where it had some.
	Reason string
	Took   time.Duration
}

// Weight is what a check asks for the server's weight. The zero value leaves
// it as configured.
type Weight struct {
	Mode  WeightMode
	Value int
}

// WeightMode is how a Weight relates to the configured one.
type WeightMode int

// The modes.
const (
	Configured WeightMode = iota
	Absolute              // instead of it
	Relative              // added to it
)

// Apply is the weight that comes of a configured one, never below 0.
func (w Weight) Apply(configured int) int {
	switch w.Mode {
	case Absolute:
		configured = w.Value
	case Relative:
		configured += w.Value
	}
	return min(max(configured, 0), maxWeight)
}

// Status is what is known of a server. The zero value is a server not asked yet.
type Status struct {
	Verdict Verdict
	Since   time.Time // of the verdict
	Reason  string    // of the newest result
	Streak  int       // results in a row against the verdict
	Weight  Weight
	Checked time.Time // of the newest result
	Took    time.Duration

	slowStart time.Duration // 0: at full weight
}

// Effective is the weight of a server that is up: the check's own, reduced
// while the server starts slowly. A weight above 0 stays so.
func (s Status) Effective(configured int, now time.Time) int {
	w := s.Weight.Apply(configured)
	if past := now.Sub(s.Since); s.starting(now) && w > 0 {
		w = max(1, int(int64(w)*int64(past)/int64(s.slowStart)))
	}
	return w
}

func (s Status) starting(now time.Time) bool {
	return s.Verdict == Up && s.slowStart > 0 && now.Sub(s.Since) < s.slowStart
}

// State is one check over time. It is a value machine: the caller probes at
// Due and reports by Observe. It is not safe for concurrent use.
type State struct {
	spec    Spec
	seed    uint64
	origin  time.Time // slot n is at origin + n × interval
	due     time.Time
	retries int // left of the current failure
	status  Status
}

// NewState begins a check. With a verdict known from before (an earlier
// configuration, the kernel's table), rise and fall apply from the first
// result; with Unknown the first result decides.
func NewState(c Check, from Verdict, now time.Time) *State {
	s := &State{spec: c.Spec, seed: seed(c.Key()), status: Status{Verdict: from, Since: now}, retries: c.Spec.Retry}
	s.origin = now.Add(spread(s.seed, 0, c.Spec.Interval))
	s.due = now.Add(spread(s.seed, 1, c.Spec.Warmup))
	return s
}

// Due is when to probe next.
func (s *State) Due() time.Time { return s.due }

// Status is what is known now.
func (s *State) Status() Status { return s.status }

// Observe takes the result of a probe. It tells whether something changed
// that the server's weight depends on.
func (s *State) Observe(r Result, now time.Time) (changed bool) {
	before := s.status
	s.status.Reason, s.status.Checked, s.status.Took = r.Reason, now, r.Took
	switch {
	case r.OK:
		s.succeed(r.Weight, now)
	case s.status.Verdict == Up && s.retries > 0:
		s.retries--
		s.due = now.Add(s.spec.DelayRetry)
		return false
	default:
		s.fail(now)
	}
	s.retries = s.spec.Retry
	s.due = s.slotAfter(now)
	if before.starting(before.Checked) && s.status.Verdict == Up {
		return true
	}
	return before.Verdict != s.status.Verdict || before.Weight != s.status.Weight
}

func (s *State) succeed(w Weight, now time.Time) {
	s.status.Weight = w
	if s.status.Verdict == Up {
		s.status.Streak = 0
		return
	}
	if s.status.Streak++; s.status.Verdict == Unknown || s.status.Streak >= s.spec.Rise {
		slow := time.Duration(0)
		if s.status.Verdict == Down {
			slow = s.spec.SlowStart
		}
		s.turn(Up, slow, now)
	}
}

func (s *State) fail(now time.Time) {
	if s.status.Verdict == Down {
		s.status.Streak = 0
		return
	}
	if s.status.Streak++; s.status.Verdict == Unknown || s.status.Streak >= s.spec.Fall {
		s.turn(Down, 0, now)
	}
}

func (s *State) turn(v Verdict, slowStart time.Duration, now time.Time) {
	s.status.Verdict, s.status.Since, s.status.Streak, s.status.slowStart = v, now, 0, slowStart
}

// slotAfter is the first slot after now, with its jitter. A probe that took
// longer than the interval skips slots rather than pile up.
func (s *State) slotAfter(now time.Time) time.Time {
	n := now.Sub(s.origin)/s.spec.Interval + 1
	if now.Before(s.origin) {
		n = 0
	}
	return s.origin.Add(n*s.spec.Interval + spread(s.seed, uint64(n)+2, s.spec.Jitter))
}

// seed is a number of the check alone, so that every director and every run
// spreads its probes in the same way.
func seed(key string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(key))
	return h.Sum64()
}

// spread is the nth of a seed's evenly distributed times below the bound (by the splitmix64 mixer).
func spread(seed, n uint64, bound time.Duration) time.Duration {
	if bound <= 0 {
		return 0
	}
	z := seed + (n+1)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return time.Duration((z ^ z>>31) % uint64(bound))
}
