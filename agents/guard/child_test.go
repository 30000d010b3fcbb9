package guard

import (
	"context"
	"fmt"
	"testing"
	"time"

	"systole/resources"
)

// A guard process that could not run for a while finds its timer expired and a
// renewal waiting: the renewal counts.
func TestLastWord(t *testing.T) {
	removed := 0
	k := &keeper{
		addrs:   map[Address]time.Duration{{"eth0", netipMust(vip4)}: 0},
		until:   boottime() - 1,
		remove:  func(Address) error { removed++; return nil },
		shorten: func(Address, int) (bool, error) { return true, nil },
	}
	commands := make(chan command, 1)
	commands <- command{fmt.Sprintf("until %d", boottime()+time.Hour), make(chan string, 1)}
	k.lastWord(commands)
	if removed != 0 {
		t.Error("removed although a renewal was waiting")
	}
	k.until = boottime() - 1
	commands <- command{fmt.Sprintf("until %d", k.until), make(chan string, 1)}
	k.lastWord(commands)
	if removed == 0 {
		t.Error("kept although what was waiting had expired as well")
	}
	removed, k.until = 0, boottime()-1
	k.lastWord(commands)
	if removed != 1 {
		t.Errorf("removed %d times without a renewal", removed)
	}
}

// Writing a lifetime may bring an address back; when that took until after the end of the
// lease, it is undone.
func TestLateLifetimeIsUndone(t *testing.T) {
	removed := 0
	k := &keeper{
		addrs:  map[Address]time.Duration{},
		remove: func(Address) error { removed++; return nil },
		shorten: func(Address, int) (bool, error) {
			<-time.After(20 * time.Millisecond)
			return true, nil
		},
		until: boottime() + 10*time.Millisecond,
	}
	k.obey("protect eth0 " + vip4)
	if removed == 0 {
		t.Error("the address stays")
	}
	if removed, k.until = 0, boottime()+time.Hour; k.obey("protect eth0 "+vip4) != "ok" || removed > 0 {
		t.Error("removed within the lease")
	}
}

// An address that is to answer without end gets its lifetime at once, and loses it at once.
func TestLifetimeFollowsTheEnd(t *testing.T) {
	var lifetimes []int
	k := &keeper{
		addrs:   map[Address]time.Duration{{"eth0", netipMust(vip4)}: 0},
		remove:  func(Address) error { return nil },
		shorten: func(_ Address, seconds int) (bool, error) { lifetimes = append(lifetimes, seconds); return true, nil },
	}
	year := 365 * 24 * time.Hour
	for _, remaining := range []time.Duration{400 * time.Millisecond, year, year, 400 * time.Millisecond} {
		if answer := k.obey(fmt.Sprintf("until %d", boottime()+remaining)); answer != "ok" {
			t.Fatal(answer)
		}
	}
	if len(lifetimes) != 3 || lifetimes[0] > 2 || lifetimes[1] < int(year/time.Second) || lifetimes[2] > 2 {
		t.Errorf("lifetimes %v, want a short one, a year, and a short one", lifetimes)
	}
}

// recorder is a backend that remembers what it was told.
type recorder struct {
	backend
	told chan time.Duration
}

func (r recorder) protected() ([]Address, error) { return nil, nil }
func (r recorder) guards() bool                  { return true }
func (r recorder) close() error                  { return nil }
func (r recorder) renew(d time.Duration) error   { r.told <- d; return nil }

// noLease has ended.
type noLease struct{}

func (noLease) Remaining() time.Duration { return 0 }

// TestRenew: small gains are not worth a word to the kernel, losses always are; and
// what is not to end does not end with the lease.
func TestRenew(t *testing.T) {
	ask := func(l resources.Lease, spans ...time.Duration) (told []time.Duration) {
		r := recorder{told: make(chan time.Duration, len(spans))}
		g := newGuard(Config{Lease: l}, r)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go g.Run(ctx)
		for _, d := range spans {
			before := g.lastTold()
			g.Renew(d)
			if g.lastTold() != before {
				told = append(told, <-r.told)
			}
		}
		return told
	}
	if told := ask(nil, 10*time.Second, 11*time.Second, 13*time.Second, 12*time.Second, 0); len(told) != 4 {
		t.Errorf("told %v, want all but the second", told)
	}
	if told := ask(noLease{}, time.Second, 2*endless); len(told) != 2 || told[0] > 0 || told[1] < endless {
		t.Errorf("told %v without a lease, want nothing, then no end", told)
	}
}

func (g *Guard) lastTold() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.told
}

// slow is a kernel that takes its time.
type slow struct {
	backend
	takes time.Duration
	told  []time.Duration // ends, on CLOCK_BOOTTIME, as the kernel counts them
	do    func()
}

func (s *slow) renew(remaining time.Duration) error {
	s.do()
	<-time.After(s.takes)
	s.told = append(s.told, boottime()+remaining)
	return nil
}

// Where telling the kernel always takes long, the guard must not tell it for ever: it
// allows for the delay, never tells more than there is, and takes newer ends meanwhile.
func TestSlowKernel(t *testing.T) {
	s := &slow{takes: 20 * time.Millisecond, do: func() {}}
	g := newGuard(Config{}, s)
	newer := boottime() + 2*time.Hour
	s.do = func() {
		if len(s.told) == 0 {
			g.renewUntil(newer)
		}
	}
	if end := g.renew(boottime() + time.Hour); end != newer {
		t.Error("the newer end was not taken")
	}
	last := s.told[len(s.told)-1]
	if last > newer+lateness || last < newer-time.Minute {
		t.Errorf("the kernel counts to %v after the end", last-newer)
	}
	if g.renew(newer); len(s.told) > 20 {
		t.Errorf("told %d times", len(s.told))
	}
}

// What a renewal adds may wait for the next one; if that says the same, the kernel is told all the same.
func TestWhatIsLeftOutIsToldInTheEnd(t *testing.T) {
	g := newGuard(Config{}, &slow{do: func() {}})
	const lease = time.Minute
	g.Renew(lease)
	first := <-g.until
	<-time.After(2 * same)
	end := boottime() + lease
	g.Renew(end - boottime())
	if len(g.until) > 0 {
		t.Error("a small addition was told at once")
	}
	for len(g.until) == 0 { // at the first attempt, unless this process is held up just there
		g.Renew(end - boottime())
	}
	if second := <-g.until; second <= first || second < end {
		t.Errorf("told %v more", second-first)
	}
	g.Renew(0)
	if end := <-g.until; end > boottime() {
		t.Errorf("the end of the lease was told as %v from now", end-boottime())
	}
}
