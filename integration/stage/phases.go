package stage

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Phases of a fail-over: how long each took, from the daemons' logs and the wire.
type Phases map[string]time.Duration

// PhaseNames in their order: from the blow to the loss being known, to the
// orders going out, to the service started, to the first answer on the wire.
var PhaseNames = []string{"detect", "decide", "start", "announce"}

// logged is what is needed of a daemon's log line.
type logged struct {
	Time time.Time     `json:"time"`
	Msg  string        `json:"msg"`
	Took time.Duration `json:"took"`
}

// PhasesSince reads from the logs what happened after the blow at since. A phase that left no trace is absent.
func (c *Cluster) PhasesSince(since time.Time) Phases {
	marks := map[string]time.Time{}
	c.eachLogged(since, func(l logged) {
		name, ok := markOf[l.Msg]
		if first, seen := marks[name]; ok && (!seen || l.Time.Before(first)) {
			marks[name] = l.Time
		}
	})
	for _, u := range c.Wire.Speakers() {
		if u.At.After(since) {
			marks["announce"] = u.At
			break
		}
	}
	phases := Phases{}
	before := since
	for _, name := range PhaseNames {
		if at, ok := marks[name]; ok {
			phases[name] = at.Sub(before)
			before = at
		}
	}
	return phases
}

// markOf maps the daemons' messages to the phase they end.
var markOf = map[string]string{
	"node lost":          "detect",
	"elected DC":         "detect",
	"transition started": "decide",
	"resource started":   "start",
}

// CountSince counts, for each message, how often the daemons have logged it since a moment.
func (c *Cluster) CountSince(since time.Time, messages ...string) []int {
	counts := make([]int, len(messages))
	c.eachLogged(since, func(l logged) {
		if i := slices.Index(messages, l.Msg); i >= 0 {
			counts[i]++
		}
	})
	return counts
}

// eachLogged goes through what all daemons have logged since a moment, one after the other.
func (c *Cluster) eachLogged(since time.Time, do func(logged)) {
	for _, n := range c.Nodes {
		f, err := os.Open(filepath.Join(n.Dir, "systoled.log"))
		if err != nil {
			continue // a node that never ran has logged nothing
		}
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			var l logged
			if json.Unmarshal(lines.Bytes(), &l) == nil && l.Time.After(since) {
				do(l)
			}
		}
		f.Close()
	}
}
