package status

import (
	"strings"
	"time"

	"systole/crm/cib"
	"systole/crm/score"
)

// failIndex holds a node's fail counts by resource name.
type failIndex struct {
	exact, base map[string]failRecord
}

type failRecord struct {
	count score.Score
	last  int64 // seconds since the epoch
}

// Failures of resource names are node attributes fail-count-NAME#OP_INTERVAL and last-failure-NAME#OP_INTERVAL.
const (
	failCountPrefix   = "fail-count-"
	lastFailurePrefix = "last-failure-"
)

func (ev *Evaluator) failsOn(n NodeID) *failIndex {
	for int(n) >= len(ev.fails) {
		ev.fails = append(ev.fails, nil)
	}
	if ev.fails[n] == nil {
		ev.fails[n] = ev.indexFails(ev.s.Nodes[n].Attributes)
	}
	return ev.fails[n]
}

func (ev *Evaluator) indexFails(attrs map[string]string) *failIndex {
	x := &failIndex{map[string]failRecord{}, map[string]failRecord{}}
	for key, value := range attrs {
		name, isCount := strings.CutPrefix(key, failCountPrefix)
		if !isCount {
			var ok bool
			if name, ok = strings.CutPrefix(key, lastFailurePrefix); !ok {
				continue
			}
		}
		i := strings.LastIndexByte(name, '#')
		if i < 0 {
			continue
		}
		name = name[:i]
		for _, entry := range []struct {
			index map[string]failRecord
			name  string
		}{{x.exact, name}, {x.base, BaseName(name)}} {
			r := entry.index[entry.name]
			if isCount {
				r.count = r.count.Add(score.ParseOr(value, 0))
			} else {
				r.last = max(r.last, number(value, 0))
			}
			entry.index[entry.name] = r
		}
	}
	return x
}

// FailCount is how often a resource has failed on a node, and when last (zero: unknown). Effective
// counts leave out what failure-timeout has let expire; fillers adds the failures of what lives in the resource.
// The operation narrows the question whether a failure blocks; nil asks about all.
func (ev *Evaluator) FailCount(r ResID, n NodeID, effective, fillers bool, op *cib.Element) (count int32, last time.Time) {
	c, l, _ := ev.failCount(r, n, effective, fillers, op)
	if l > 0 {
		last = time.Unix(l, 0)
	}
	return int32(c), last
}

// failCount also tells whether the resource's failure-timeout must be disregarded because a failure blocks it.
func (ev *Evaluator) failCount(r ResID, n NodeID, effective, fillers bool, op *cib.Element) (count score.Score, last int64, blocks bool) {
	rsc := &ev.s.Resources[r]
	x := ev.failsOn(n)
	var f failRecord
	if rsc.Unique {
		f = x.exact[rsc.HistoryName()]
	} else {
		f = x.base[BaseName(rsc.HistoryName())]
	}
	count, last = f.count, f.last
	timeout := rsc.FailureTimeout
	if count > 0 && timeout > 0 && ev.failureBlocks(rsc, n, op) {
		timeout, blocks = 0, true
	}
	if effective && count > 0 && last > 0 && timeout != 0 && ev.s.Now.Unix() > last+int64(timeout/time.Second) {
		count = 0
	}
	if fillers && !ev.s.Bundled(r) {
		for _, filler := range rsc.Fillers {
			c, l, _ := ev.failCount(filler, n, effective, true, op)
			count, last = count.Add(c), max(last, l)
		}
	}
	return count, last, blocks
}

// failureBlocks tells whether an operation configured with on-fail=block has failed.
func (ev *Evaluator) failureBlocks(rsc *Resource, n NodeID, op *cib.Element) bool {
	if rsc.Config == nil {
		return false
	}
	name := BaseName(rsc.ID)
	for _, conf := range rsc.Config.Ops {
		if conf.Source.Get("on-fail") != "block" {
			continue
		}
		if op != nil {
			if failureOf(name, conf.Name, interval(conf.Interval), op) {
				return true
			}
			continue
		}
		for h := range ev.History(n, name).Each("lrm_rsc_op") {
			if failureOf(name, conf.Name, interval(conf.Interval), h) {
				return true
			}
		}
	}
	return false
}

// failureOf tells whether a history entry is a failure of the named operation.
func failureOf(rsc, name string, intervalMillis uint32, h *cib.Element) bool {
	if h.Get("operation") != name || historyInterval(h) != intervalMillis {
		return false
	}
	id := h.ID()
	if id == rsc+"_last_failure_0" {
		return true
	}
	return id == opKeyText(rsc, name, intervalMillis) && int(number(h.Get("rc-code"), 0)) != targetRC(h)
}

// olderThan compares dotted version numbers.
func olderThan(a, b string) bool {
	for a != "" || b != "" {
		var x, y string
		x, a, _ = strings.Cut(a, ".")
		y, b, _ = strings.Cut(b, ".")
		if m, n := number(x, 0), number(y, 0); m != n {
			return m < n
		}
	}
	return false
}
