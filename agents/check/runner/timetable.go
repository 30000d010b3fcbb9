package runner

import (
	"context"
	"time"

	"systole/agents/check"
	"systole/agents/check/probe"
)

// job is one distinct check. It is in the timetable unless it waits for room in
// its pool; all of it belongs to Run's goroutine.
type job struct {
	check         check.Check
	ask           probe.Prober
	state         *check.State
	subscriptions []*Subscription

	at     time.Time // the next slot; while a probe is out, when that counts as failed
	index  int       // in the timetable
	began  time.Time
	cancel context.CancelFunc // of the probe that is out; nil if none is
	late   bool               // that one has been counted as failed
}

// left tells whether nobody is interested any more.
func (j *job) left() bool { return len(j.subscriptions) == 0 }

// timetable is a heap of jobs, the next one first.
type timetable []*job

func (t timetable) Len() int           { return len(t) }
func (t timetable) Less(i, j int) bool { return t[i].at.Before(t[j].at) }

func (t timetable) Swap(i, j int) {
	t[i], t[j] = t[j], t[i]
	t[i].index, t[j].index = i, j
}

func (t *timetable) Push(x any) {
	j := x.(*job)
	j.index = len(*t)
	*t = append(*t, j)
}

func (t *timetable) Pop() any {
	old := *t
	j := old[len(old)-1]
	old[len(old)-1] = nil
	*t = old[:len(old)-1]
	return j
}
