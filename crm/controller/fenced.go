package controller

import (
	"time"

	"systole/crm/transition"
)

const (
	// maxFenceFailures is Pacemaker's stonith-max-attempts: after as many
	// failures in a row a target is left alone until something changes.
	maxFenceFailures = 10
	// maxFenceWait ends the doubling of the time between attempts: a device that
	// comes back is used soon enough, and ten attempts take a minute and a half.
	maxFenceWait = 16 * time.Second
)

// fenceRetry is the trigger of a transition that only tries a fencing once more.
const fenceRetry = "fencing is tried again"

// attempts are those to fence one target, all failed.
type attempts struct {
	failures int
	reason   string    // of the last failure
	again    time.Time // when it may be tried once more
	due      bool      // again is still to be waited for
}

// fenced notes the outcome of a fencing. Failures make no plan by themselves:
// the next attempt does, or a new fact.
func (c *Controller) fenced(e FenceDone) {
	if !e.OK {
		c.fenceFailed(e)
		return
	}
	facts := []any{"target", e.Target}
	if a := c.unfenced[e.Target]; a != nil {
		facts = append(facts, "failures", a.failures)
	}
	delete(c.unfenced, e.Target)
	c.say(Info, "fenced", facts...)
	if !e.On {
		m := c.member(e.Target)
		m.found, m.proven, m.fenced = lost, true, true
		c.rememberOwned(e.Target)
		c.abandon(e.Target)
		if e.Transition != c.transition || e.Action == 0 {
			c.want("node " + e.Target + " was fenced")
		}
		return // the action is confirmed when the CIB shows it: cibChanged
	}
	if c.run != nil && e.Transition == c.transition {
		c.confirm(e.Action, transition.Succeeded)
	}
}

// fenceFailed says why, once for each reason, and sets the time of the next attempt.
func (c *Controller) fenceFailed(e FenceDone) {
	a := c.unfenced[e.Target]
	if a == nil {
		a = &attempts{}
		c.unfenced[e.Target] = a
	}
	a.failures++
	wait := min(holdOff<<(a.failures-1), maxFenceWait)
	a.due = a.failures < maxFenceFailures
	a.again = c.now.Add(wait)
	switch {
	case !a.due:
		c.say(Warn, "fencing given up until the configuration changes or the recheck", "target", e.Target, "reason", e.Reason, "failures", a.failures)
	case e.Reason != a.reason:
		c.say(Warn, "fencing failed", "target", e.Target, "reason", e.Reason, "failures", a.failures, "again_in", wait)
	default:
		c.say(Debug, "fencing failed again", "target", e.Target, "failures", a.failures, "again_in", wait)
	}
	a.reason = e.Reason
	if c.run != nil && e.Transition == c.transition && e.Action != 0 {
		c.notFenced(e.Action)
	}
}

// notFenced fails the fencing of the running transition, which is no cause for another plan.
func (c *Controller) notFenced(id transition.ActionID) {
	c.run.unfenced = true
	c.run.Confirm(id, transition.ActionFailed)
}

// endTooSoon fails the fencings that are not due once they are all that is left:
// a failure ends the transition, and what does not depend on them is to be done first.
func (c *Controller) endTooSoon() {
	if len(c.run.tooSoon) < len(c.run.InFlight()) {
		return
	}
	for _, id := range c.run.tooSoon {
		c.notFenced(id)
	}
	c.run.tooSoon = nil
}

// mayFence says whether a fencing of the target is to be tried now.
func (c *Controller) mayFence(target string) bool {
	a := c.unfenced[target]
	return a == nil || a.failures < maxFenceFailures && !c.now.Before(a.again)
}

// fenceAgain is when the next attempt is due; zero when none is.
func (c *Controller) fenceAgain() (at time.Time) {
	for _, a := range c.unfenced {
		if a.due && (at.IsZero() || a.again.Before(at)) {
			at = a.again
		}
	}
	return at
}

// fenceDue says once that an attempt is due now.
func (c *Controller) fenceDue() (due bool) {
	for _, a := range c.unfenced {
		if a.due && !c.now.Before(a.again) {
			a.due, due = false, true
		}
	}
	return due
}

// voice is how loud a transition is: one that only tries a fencing again is no news.
func (c *Controller) voice() Level {
	if c.trigger == fenceRetry {
		return Debug
	}
	return Info
}
