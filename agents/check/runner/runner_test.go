package runner

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"systole/agents/check"
	"systole/agents/check/probe"
)

func testCheck(t *testing.T, n int, text string) check.Check {
	t.Helper()
	spec, err := check.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return check.Check{Target: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)}), 80), Spec: spec}
}

// farm is real servers that can be told how to behave. It counts what it is asked.
type farm struct {
	mu     sync.Mutex
	asked  map[string]int // by Key
	out    int            // probes under way
	most   int
	behave func(ctx context.Context, c check.Check) check.Result
}

func (f *farm) prober(c check.Check) (probe.Prober, error) {
	return func(ctx context.Context) check.Result {
		f.mu.Lock()
		f.asked[c.Key()]++
		f.out++
		f.most = max(f.most, f.out)
		behave := f.behave
		f.mu.Unlock()
		defer func() {
			f.mu.Lock()
			f.out--
			f.mu.Unlock()
		}()
		return behave(ctx, c)
	}, nil
}

func (f *farm) become(behave func(context.Context, check.Check) check.Result) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.behave = behave
}

func (f *farm) count(c check.Check) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked[c.Key()]
}

func well(context.Context, check.Check) check.Result {
	return check.Result{OK: true, Reason: "well"}
}
func ill(context.Context, check.Check) check.Result { return check.Result{Reason: "ill"} }

// silent answers at the end of its time.
func silent(ctx context.Context, _ check.Check) check.Result {
	<-ctx.Done()
	return check.Result{Reason: "silent"}
}

// stuck ignores the end of its time by far.
func stuck(context.Context, check.Check) check.Result {
	time.Sleep(time.Minute)
	return check.Result{OK: true, Reason: "too late"}
}

// begin runs a runner until the returned stop.
func begin(t *testing.T, behave func(context.Context, check.Check) check.Result) (*Runner, *farm, func()) {
	f := &farm{asked: map[string]int{}, behave: behave}
	r := New(Options{New: f.prober})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		r.Run(ctx)
		close(ended)
	}()
	return r, f, func() {
		cancel()
		<-ended
	}
}

func mustSubscribe(t *testing.T, r *Runner, c check.Check, from check.Verdict, notify func(check.Status)) *Subscription {
	t.Helper()
	s, err := r.Subscribe(c, from, notify)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestVerdicts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, f, stop := begin(t, well)
		defer stop()
		began := time.Now()
		var told []string
		s := mustSubscribe(t, r, testCheck(t, 1, "tcp interval=1s rise=2 fall=2"), check.Unknown, func(s check.Status) {
			told = append(told, fmt.Sprint(s.Verdict, " ", s.Reason))
		})
		if s.Status().Verdict != check.Unknown {
			t.Errorf("before the first result: %s", s.Status().Verdict)
		}
		synctest.Wait()
		if !s.Status().Checked.Equal(began) {
			t.Errorf("the first probe was not at once but at %s", s.Status().Checked)
		}
		f.become(ill)
		time.Sleep(3 * time.Second)
		f.become(well)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if want := []string{"up well", "down ill", "up well"}; !slices.Equal(told, want) {
			t.Errorf("told %q, want %q", told, want)
		}
	})
}

func TestOneProbeForManySubscribers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, f, stop := begin(t, well)
		defer stop()
		c := testCheck(t, 1, "tcp interval=1s")
		told := make([]int, 3)
		var all []*Subscription
		for i := range told {
			all = append(all, mustSubscribe(t, r, c, check.Unknown, func(check.Status) { told[i]++ }))
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if n := f.count(c); n < 10 || n > 12 {
			t.Errorf("%d probes in 10 s", n)
		}
		late := 0
		mustSubscribe(t, r, c, check.Down, func(s check.Status) {
			if late++; s.Verdict != check.Up {
				t.Errorf("told %s of a server that is up", s.Verdict)
			}
		})
		synctest.Wait()
		if !slices.Equal(told, []int{1, 1, 1}) || late != 1 {
			t.Errorf("told %v and %d times, want once each", told, late)
		}
		// The state outlives all but the last.
		for _, s := range all {
			s.Cancel()
			s.Cancel()
		}
		before := f.count(c)
		time.Sleep(10 * time.Second)
		if n := f.count(c) - before; n < 9 {
			t.Errorf("%d probes in 10 s for the last subscriber", n)
		}
	})
}

func TestCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, other := testCheck(t, 1, "tcp timeout=10s"), testCheck(t, 2, "tcp interval=1s")
		r, f, stop := begin(t, func(ctx context.Context, asked check.Check) check.Result {
			if asked.Target == other.Target {
				return well(ctx, asked)
			}
			return silent(ctx, asked)
		})
		defer stop()
		told := false
		s := mustSubscribe(t, r, c, check.Unknown, func(check.Status) { told = true })
		mustSubscribe(t, r, other, check.Unknown, nil)
		time.Sleep(time.Second)
		s.Cancel()
		synctest.Wait()
		f.mu.Lock()
		out := f.out
		f.mu.Unlock()
		if out > 0 {
			t.Error("the cancelled probe was not ended")
		}
		before := f.count(other)
		time.Sleep(30 * time.Second)
		if told || f.count(c) != 1 {
			t.Errorf("after its end it was asked %d times, told: %v", f.count(c), told)
		}
		if n := f.count(other) - before; n < 29 || n > 31 {
			t.Errorf("the other was asked %d times in 30 s", n)
		}
		// Again from the beginning.
		again := mustSubscribe(t, r, c, check.Unknown, nil)
		time.Sleep(11 * time.Second)
		if again.Status().Verdict != check.Down {
			t.Errorf("subscribed again: %s", again.Status().Verdict)
		}
	})
}

// A reload keeps the state of what did not change, and hysteresis of what did.
func TestReplace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, f, stop := begin(t, well)
		defer stop()
		same, old, changed := testCheck(t, 1, "tcp interval=1s"), testCheck(t, 2, "tcp interval=1s"), testCheck(t, 2, "tcp interval=1s fall=3")
		kept := mustSubscribe(t, r, same, check.Unknown, nil)
		gone := mustSubscribe(t, r, old, check.Unknown, nil)
		time.Sleep(5 * time.Second)
		since := kept.Status().Since
		for range 1000 {
			next := mustSubscribe(t, r, same, check.Unknown, nil)
			kept.Cancel()
			kept = next
		}
		f.become(ill)
		s := mustSubscribe(t, r, changed, gone.Status().Verdict, nil)
		gone.Cancel()
		synctest.Wait()
		if got := s.Status(); got.Verdict != check.Up || got.Reason != "ill" {
			t.Errorf("one failure of the changed check: %s, %q", got.Verdict, got.Reason)
		}
		if got := kept.Status(); got.Verdict != check.Up || !got.Since.Equal(since) {
			t.Errorf("after 1000 reloads: %s since %s, before since %s", got.Verdict, got.Since, since)
		}
		if n := f.count(same); n > 6 {
			t.Errorf("reloads asked the server %d times in 5 s", n)
		}
		time.Sleep(5 * time.Second)
		if s.Status().Verdict != check.Down {
			t.Errorf("after more failures: %s", s.Status().Verdict)
		}
	})
}

// A thousand servers that fall silent, or probes that do not even return, do
// not delay the others, and are not asked again before they have answered.
func TestSilenceHarmsNobodyElse(t *testing.T) {
	for name, behave := range map[string]func(context.Context, check.Check) check.Result{"silent": silent, "stuck": stuck} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				good := testCheck(t, 0, "tcp interval=1s")
				r, f, stop := begin(t, func(ctx context.Context, c check.Check) check.Result {
					if c.Target == good.Target {
						return well(ctx, c)
					}
					return behave(ctx, c)
				})
				defer stop()
				var bad []*Subscription
				var downs int
				for n := 1; n <= 1000; n++ {
					bad = append(bad, mustSubscribe(t, r, testCheck(t, n, "tcp interval=1s timeout=5s fall=2 rise=1"), check.Up, func(s check.Status) {
						switch {
						case s.Verdict == check.Down:
							downs++
						case s.Reason == "too late":
							t.Error("an answer that came after its time was taken")
						}
					}))
				}
				mustSubscribe(t, r, good, check.Unknown, nil)
				time.Sleep(20 * time.Second)
				synctest.Wait()
				if n := f.count(good); n < 20 || n > 22 {
					t.Errorf("the good server was asked %d times in 20 s", n)
				}
				if downs != 1000 {
					t.Errorf("%d of 1000 counted as down", downs)
				}
				if f.most > 1001 {
					t.Errorf("%d probes at once for 1001 checks", f.most)
				}
				if got := bad[0].Status(); name == "stuck" && !strings.Contains(got.Reason, "no answer within 5s, and the probe itself is stuck") {
					t.Errorf("the reason of a stuck probe: %q", got.Reason)
				}
				f.become(well)
				time.Sleep(2 * time.Minute)
				for _, s := range bad {
					if s.Status().Verdict != check.Up {
						t.Fatalf("did not recover: %+v", s.Status())
					}
				}
			})
		})
	}
}

// What waits for room is late, not failed.
func TestRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, f, stop := begin(t, func(context.Context, check.Check) check.Result {
			time.Sleep(900 * time.Millisecond)
			return check.Result{OK: true, Reason: "slow"}
		})
		defer stop()
		var all []*Subscription
		for n := range 3 * maxScripts {
			all = append(all, mustSubscribe(t, r, testCheck(t, n, "script path=/x interval=1s timeout=1s fall=1"), check.Up, func(s check.Status) {
				if s.Verdict == check.Down {
					t.Errorf("taken down: %s", s.Reason)
				}
			}))
		}
		network := testCheck(t, 0, "tcp interval=1s")
		mustSubscribe(t, r, network, check.Unknown, nil)
		time.Sleep(30 * time.Second)
		if f.most > maxScripts+1 {
			t.Errorf("%d probes at once, at most %d scripts", f.most, maxScripts)
		}
		if n := f.count(network); n < 29 {
			t.Errorf("the network probe was made %d times in 30 s", n)
		}
		if n := f.count(testCheck(t, 100, "script path=/x interval=1s timeout=1s fall=1")); n < 8 {
			t.Errorf("a script ran %d times in 30 s", n)
		}
		for _, s := range all { // a third of them out, the rest waiting
			s.Cancel()
		}
		synctest.Wait()
		before, others := f.count(network), 0
		for _, s := range all {
			others += f.asked[s.key]
		}
		time.Sleep(10 * time.Second)
		for _, s := range all {
			others -= f.asked[s.key]
		}
		if n := f.count(network) - before; n < 9 || others != 0 {
			t.Errorf("in 10 s after the end of all scripts %d network probes and %d scripts", n, -others)
		}
	})
}

func TestSlowStartIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _, stop := begin(t, well)
		defer stop()
		var weights []int
		mustSubscribe(t, r, testCheck(t, 1, "tcp interval=1s rise=1 slow-start=10s"), check.Down, func(s check.Status) {
			if s.Verdict == check.Up {
				weights = append(weights, s.Effective(100, time.Now()))
			}
		})
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if n := len(weights); n < 11 || n > 14 || !slices.IsSorted(weights) || weights[n-1] != 100 || weights[0] > 1 || weights[5] > 60 {
			t.Errorf("weights of the slow start: %v", weights)
		}
	})
}

func TestRunEnds(t *testing.T) {
	for name, behave := range map[string]func(context.Context, check.Check) check.Result{"silent": silent, "stuck": stuck} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, _, stop := begin(t, behave)
				s := mustSubscribe(t, r, testCheck(t, 1, "tcp timeout=10s fall=1"), check.Up, nil)
				time.Sleep(time.Second)
				began := time.Now()
				stop()
				if took := time.Since(began); took > lastWait {
					t.Errorf("it took %s to end", took)
				}
				if s.Status().Verdict != check.Up {
					t.Errorf("the end was counted against a server: %s", s.Status().Reason)
				}
				s.Cancel()                  // no harm
				time.Sleep(2 * time.Minute) // stuck ones return, to nobody
			})
		})
	}
}

func TestSubscribeRefuses(t *testing.T) {
	c := testCheck(t, 1, "tcp")
	c.Target = netip.AddrPortFrom(c.Target.Addr(), 0)
	if _, err := New(Options{}).Subscribe(c, check.Unknown, nil); err == nil {
		t.Error("a check without a port was taken")
	}
}
