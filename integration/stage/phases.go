package stage

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"time"
)

// Phases of a fail-over: how long each took, from the daemons' logs and the wire.
type Phases map[string]time.Duration

// PhaseNames in their order: from the blow to the loss being known, to the
// orders going out, to the service started, to the first answer on the wire.
var PhaseNames = []string{"detect", "decide", "start", "announce"}

// logged is what the phases need of a daemon's log line.
type logged struct {
	Time time.Time `json:"time"`
	Msg  string    `json:"msg"`
}

// PhasesSince reads from the logs what happened after the blow at since. A phase that left no trace is absent.
func (c *Cluster) PhasesSince(since time.Time) Phases {
	marks := map[string]time.Time{}
	for _, n := range c.Nodes {
		c.readMarks(filepath.Join(n.Dir, "systoled.log"), since, marks)
	}
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

func (c *Cluster) readMarks(path string, since time.Time, marks map[string]time.Time) {
	f, err := os.Open(path)
	if err != nil {
		return
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var l logged
		if json.Unmarshal(lines.Bytes(), &l) != nil || !l.Time.After(since) {
			continue
		}
		name, ok := markOf[l.Msg]
		if !ok {
			continue
		}
		if first, seen := marks[name]; !seen || l.Time.Before(first) {
			marks[name] = l.Time
		}
	}
}
