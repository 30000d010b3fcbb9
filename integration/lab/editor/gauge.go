package editor

import (
	"slices"
	"sync"
	"time"
)

// Gauge remembers when something succeeded, to say how long it did not.
type Gauge struct {
	mu    sync.Mutex
	times []time.Time
}

// Mark notes a success now.
func (g *Gauge) Mark() { g.at(time.Now()) }

func (g *Gauge) at(t time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.times = append(g.times, t)
}

// Since is how many successes there were after a moment.
func (g *Gauge) Since(t time.Time) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.times) - g.index(t)
}

// Outage is the longest time between two successes that touches the time since a
// moment, up to now.
func (g *Gauge) Outage(since, now time.Time) (longest time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := g.index(since)
	last := since
	if i > 0 {
		last = g.times[i-1]
	}
	for _, t := range append(g.times[i:len(g.times):len(g.times)], now) {
		longest = max(longest, t.Sub(last))
		last = t
	}
	return longest
}

// index is where the times after a moment begin. Marks come in order, or nearly so.
func (g *Gauge) index(t time.Time) int {
	slices.SortFunc(g.times, time.Time.Compare)
	i, _ := slices.BinarySearchFunc(g.times, t, time.Time.Compare)
	return i
}
