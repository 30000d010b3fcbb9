package executor

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"systole/resources"
)

var errNotStopped = errors.New("not known to be stopped")

// policyRun is one StopAll or DemoteAll: the resources still to do, newest
// start first, one at a time, since only the order of start is known here and
// what was started later may need what was started before.
type policyRun struct {
	reason string
	demote bool
	ids    []string
	tried  map[string]resources.Action
	errs   []error
	reply  []func(error)
}

// stopAll begins a policy run, or joins the one under way (a stop is stronger
// than a demote and takes over).
func (m *machine) stopAll(reason string, demote bool, now time.Time, reply func(error)) {
	p := &policyRun{reason: reason, demote: demote, tried: map[string]resources.Action{}}
	if m.policy != nil {
		p.reply = m.policy.reply
		p.demote = demote && m.policy.demote
	}
	p.reply = append(p.reply, reply)
	m.policy = p
	for _, r := range slices.Backward(m.ordered()) {
		p.ids = append(p.ids, r.id)
	}
	m.dropQueue("not begun: "+reason, now)
	for _, id := range p.ids {
		r := m.resources[id]
		if r == nil {
			continue
		}
		if m.policyAction(r) == "" && r.current == nil {
			continue // an unpromoted instance under demote keeps its monitors
		}
		m.dropMonitors(r)
		if j := r.current; j != nil && j.cause == "" && j.order.Op.Action != resources.ActionStop {
			j.abandoned = "interrupted: " + reason
			m.interrupt = append(m.interrupt, j)
		}
	}
	m.policyStep(now)
}

// dropQueue gives every waiting one-shot operation its answer.
func (m *machine) dropQueue(why string, now time.Time) {
	waiting := m.queue
	m.queue = nil
	for _, j := range waiting {
		m.touch(j.res)
		switch {
		case j.monitor != nil:
			j.monitor.job = nil
		case j.answer != nil:
			j.answer(resources.Result{Status: resources.StatusCancelled, Code: resources.CodeNone, Reason: why})
		case j.cause == "" && !j.adopting:
			m.report(Report{
				Key: j.order.Key, Extra: j.order.Extra, Op: j.order.Op, Queued: j.queued, Ended: now,
				Result: resources.Result{Status: resources.StatusCancelled, Code: resources.CodeNone, Reason: why},
			})
		}
	}
	for _, j := range waiting {
		m.forget(j.res)
	}
}

// policyStep moves the run on as far as it goes without waiting.
func (m *machine) policyStep(now time.Time) {
	p := m.policy
	if p == nil {
		return
	}
	for len(p.ids) > 0 {
		id := p.ids[0]
		r := m.resources[id]
		if r == nil {
			p.ids = p.ids[1:]
			continue
		}
		if r.current != nil || slices.ContainsFunc(m.queue, func(j *job) bool { return j.res == r }) {
			return
		}
		action := m.policyAction(r)
		if action == "" {
			p.ids = p.ids[1:]
			continue
		}
		if p.tried[id] == action {
			p.errs = append(p.errs, fmt.Errorf("%s: %s: %w", id, r.last.Reason, errNotStopped))
			p.ids = p.ids[1:]
			continue
		}
		p.tried[id] = action
		m.queue = append(m.queue, m.policyJob(r, action, p.reason, now))
		return
	}
	m.policy = nil
	for _, reply := range p.reply {
		reply(errors.Join(p.errs...))
	}
}

// policyAction is what the run wants of a resource now, "" for nothing.
func (m *machine) policyAction(r *resource) resources.Action {
	switch {
	case r.role == RoleStopped:
		return ""
	case m.policy.demote && promotable(r.op) && r.role == RoleStarted:
		return ""
	case m.policy.demote && promotable(r.op) && r.role == RolePromoted:
		return resources.ActionDemote
	default:
		return resources.ActionStop
	}
}

func (m *machine) policyJob(r *resource, a resources.Action, cause string, now time.Time) *job {
	m.touch(r)
	op := r.op
	op.Action, op.Interval, op.Timeout, op.CheckLevel = a, 0, r.stopTimeout, 0
	return &job{res: r, order: Order{Op: op}, cause: cause, queued: now}
}

// promotable tells an instance of a promotable clone by its meta attributes.
func promotable(op resources.Op) bool {
	return op.Meta["promoted_max"] != "" || op.Meta["master_max"] != ""
}
