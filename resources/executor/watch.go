package executor

import (
	"time"

	"systole/resources"
)

// watchPause keeps an agent that cries wolf from running its monitor without
// end: a watch whose notice the monitor did not confirm begins again after it.
const watchPause = 500 * time.Millisecond

// watched is one watch: the agent is given the fastest monitor's operation.
type watched struct {
	op    resources.Op
	since int // seq of the activation: a service started again is watched anew
}

// watches is what should be watched, by resource: those believed active that
// have a monitor to run when something is noticed.
func (m *machine) watches(now time.Time) map[string]watched {
	if m.policy != nil {
		return nil
	}
	ws := map[string]watched{}
	for id, r := range m.resources {
		if !r.watchAfter.IsZero() && !r.watchAfter.After(now) {
			r.watchAfter = time.Time{}
		}
		if r.role < RoleStarted || len(r.monitors) == 0 || r.noticed || !r.watchAfter.IsZero() {
			continue
		}
		fastest := r.monitors[0].order.Op
		for _, mon := range r.monitors {
			if mon.order.Op.Interval < fastest.Interval {
				fastest = mon.order.Op
			}
		}
		ws[id] = watched{op: fastest, since: r.seq}
	}
	return ws
}

// notice makes the resource's recurring monitors due at once.
func (m *machine) notice(id string, now time.Time) {
	r := m.resources[id]
	if r == nil || len(r.monitors) == 0 {
		return
	}
	r.noticed = true
	r.watchAfter = now.Add(watchPause)
	for _, mon := range r.monitors {
		if mon.job != nil && !mon.job.began.IsZero() {
			mon.again = true
		} else {
			mon.due = now
		}
	}
}
