package check_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"systole/agents/check"
)

func mustParse(t testing.TB, text string) check.Spec {
	t.Helper()
	s, err := check.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func target(n int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, byte(2 + n/250), byte(1 + n%250)}), 80)
}

// Each story: results in order (+ up, - down, number: up with that weight) and after each
// the verdict (u d ?), with ! where a change was reported.
func TestHysteresis(t *testing.T) {
	for _, c := range []struct {
		name, spec string
		from       check.Verdict
		results    string
		want       string
	}{
		{"the first result decides", "tcp rise=3", check.Unknown, "+", "u!"},
		{"also a bad one, without retry", "tcp fall=3 retry=3", check.Unknown, "-", "d!"},
		{"fall", "tcp fall=3", check.Up, "- - + - - -", "u u u u u d!"},
		{"rise", "tcp rise=2", check.Down, "+ - + +", "d d d u!"},
		{"one each", "tcp rise=1 fall=1", check.Up, "- + -", "d! u! d!"},
		{"retries come before fall", "tcp fall=2 retry=1", check.Up, "- - - -", "u u u d!"},
		{"a success renews the retries", "tcp fall=1 retry=2", check.Up, "- - + - - -", "u u u u u d!"},
		{"no retries while down", "tcp rise=1 fall=1 retry=1", check.Down, "- + - -", "d u! u d!"},
		{"weights", "script path=/x", check.Up, "5 5 6 + -", "u! u u! u! u"},
	} {
		spec := mustParse(t, c.spec)
		now := start
		s := check.NewState(check.Check{Target: target(0), Spec: spec}, c.from, now)
		var got []string
		for r := range strings.FieldsSeq(c.results) {
			now = s.Due()
			result := check.Result{OK: r != "-"}
			if n := 0; r != "+" && r != "-" {
				fmt.Sscan(r, &n)
				result.Weight = check.Weight{Mode: check.Absolute, Value: n}
			}
			mark := ""
			if s.Observe(result, now) {
				mark = "!"
			}
			got = append(got, map[check.Verdict]string{check.Up: "u", check.Down: "d", check.Unknown: "?"}[s.Status().Verdict]+mark)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s (%s): %s gives %s, want %s", c.name, c.spec, c.results, strings.Join(got, " "), c.want)
		}
	}
}

func TestRetryTiming(t *testing.T) {
	c := check.Check{Target: target(0), Spec: mustParse(t, "tcp interval=10s retry=1 delay-retry=3s fall=1")}
	s := check.NewState(c, check.Up, start)
	if !s.Due().Equal(start) {
		t.Errorf("the first probe is at %s, not at once", s.Due())
	}
	s.Observe(check.Result{}, start)
	if got := s.Due().Sub(start); got != 3*time.Second {
		t.Errorf("repeated after %s, want 3s", got)
	}
	s.Observe(check.Result{}, s.Due())
	if got := s.Due().Sub(start); got <= 3*time.Second || got > 13*time.Second {
		t.Errorf("after the repetitions the next slot is at %s", got)
	}
}

func TestSlowStart(t *testing.T) {
	c := check.Check{Target: target(0), Spec: mustParse(t, "tcp interval=10s rise=1 slow-start=40s")}
	s := check.NewState(c, check.Unknown, start)
	up := check.Result{OK: true}
	s.Observe(up, start)
	if w := s.Status().Effective(100, start); w != 100 {
		t.Errorf("at the first verdict the weight is %d, want 100: it was not down", w)
	}
	s.Observe(check.Result{}, start)
	s.Observe(check.Result{}, start)
	s.Observe(up, start)
	for _, step := range []struct {
		after   time.Duration
		weight  int
		changed bool
	}{{time.Second, 2, true}, {10 * time.Second, 25, true}, {30 * time.Second, 75, true}, {41 * time.Second, 100, true}, {50 * time.Second, 100, false}} {
		changed := s.Observe(up, start.Add(step.after))
		if w := s.Status().Effective(100, start.Add(step.after)); w != step.weight || changed != step.changed {
			t.Errorf("after %s weight %d (told: %v), want %d (%v)", step.after, w, changed, step.weight, step.changed)
		}
	}
	if w := s.Status().Effective(1, start); w != 1 {
		t.Errorf("a weight of 1 starts as %d, want 1", w)
	}
	if w := s.Status().Effective(0, start); w != 0 {
		t.Errorf("a weight of 0 starts as %d, want 0", w)
	}
}

func TestWeight(t *testing.T) {
	for _, c := range []struct {
		weight check.Weight
		want   int
	}{
		{check.Weight{}, 10},
		{check.Weight{Mode: check.Absolute, Value: 3}, 3},
		{check.Weight{Mode: check.Relative, Value: 5}, 15},
		{check.Weight{Mode: check.Relative, Value: -15}, 0},
		{check.Weight{Mode: check.Relative, Value: 1 << 40}, 65535},
	} {
		if got := c.weight.Apply(10); got != c.want {
			t.Errorf("%+v of 10 is %d, want %d", c.weight, got, c.want)
		}
	}
}

// A thousand targets share the interval evenly, and always in the same way.
func TestSpread(t *testing.T) {
	spec := mustParse(t, "tcp interval=1s warmup=1s")
	var first, steady [10]int
	for n := range 1000 {
		c := check.Check{Target: target(n), Spec: spec}
		s := check.NewState(c, check.Unknown, start)
		if again := check.NewState(c, check.Unknown, start); !again.Due().Equal(s.Due()) {
			t.Fatalf("%s begins at %s and at %s", c.Target, s.Due(), again.Due())
		}
		first[s.Due().Sub(start)/(100*time.Millisecond)]++
		s.Observe(check.Result{OK: true}, start.Add(time.Second))
		steady[s.Due().Sub(start)%time.Second/(100*time.Millisecond)]++
	}
	for i := range 10 {
		if first[i] < 50 || first[i] > 150 || steady[i] < 50 || steady[i] > 150 {
			t.Fatalf("a thousand targets in ten parts of the interval: first %v, then %v", first, steady)
		}
	}
}

// Jitter is another for each slot, and leaves the slots where they are.
func TestJitter(t *testing.T) {
	c := check.Check{Target: target(0), Spec: mustParse(t, "tcp interval=1s jitter=900ms")}
	plain := check.Check{Target: c.Target, Spec: mustParse(t, "tcp interval=1s")}
	s, slots := check.NewState(c, check.Up, start), check.NewState(plain, check.Up, start)
	seen := map[time.Duration]bool{}
	for range 20 {
		s.Observe(check.Result{OK: true}, s.Due())
		seen[s.Due().Sub(start)%time.Second] = true
		slots.Observe(check.Result{OK: true}, slots.Due())
	}
	if len(seen) < 18 {
		t.Errorf("20 slots begin at %d moments of their second", len(seen))
	}
	if off := s.Due().Sub(slots.Due()); off.Abs() > 2*time.Second {
		t.Errorf("after 20 slots jitter has moved them by %s", off)
	}
}

// Whatever comes: the next probe is in the future, within an interval and its
// jitter of the result (or after delay-retry), slots do not drift, and a verdict
// turns after exactly the results in a row that the spec says.
func TestStateProp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		interval := time.Duration(rapid.IntRange(100, 5000).Draw(t, "interval")) * time.Millisecond
		jitter := time.Duration(rapid.IntRange(0, int(interval/time.Millisecond)-1).Draw(t, "jitter")) * time.Millisecond
		rise, fall := rapid.IntRange(1, 4).Draw(t, "rise"), rapid.IntRange(1, 4).Draw(t, "fall")
		spec, err := check.Parse(fmt.Sprintf("tcp interval=%s jitter=%s rise=%d fall=%d", interval, jitter, rise, fall))
		if err != nil {
			t.Fatal(err)
		}
		now := start
		s := check.NewState(check.Check{Target: target(rapid.IntRange(0, 999).Draw(t, "target")), Spec: spec}, check.Up, now)
		up, streak, slot := true, 0, time.Duration(-1)
		for range rapid.IntRange(1, 60).Draw(t, "results") {
			ok := rapid.Bool().Draw(t, "ok")
			now = s.Due().Add(time.Duration(rapid.IntRange(0, 3000).Draw(t, "took")) * time.Millisecond)
			s.Observe(check.Result{OK: ok}, now)
			if ok == up {
				streak = 0
			} else if streak++; !up && streak == rise || up && streak == fall {
				up, streak = !up, 0
			}
			if got := s.Status(); (got.Verdict == check.Up) != up || got.Streak != streak {
				t.Fatalf("verdict %s with %d against it, want up=%v with %d", got.Verdict, got.Streak, up, streak)
			}
			if wait := s.Due().Sub(now); wait <= 0 || wait > interval+jitter {
				t.Fatalf("next probe after %s, interval %s, jitter %s", wait, interval, jitter)
			}
			if at := s.Due().Sub(start) % interval; jitter == 0 && slot >= 0 && at != slot {
				t.Fatalf("the slot drifts from %s to %s", slot, at)
			} else {
				slot = at
			}
		}
	})
}
