package controller

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"systole/crm/cib"
	"systole/crm/transition"
	"systole/resources"
)

// cibChanged compares a CIB with the one before: results of what was ordered
// confirm actions of the transition, everything else is a new fact.
//
// Elements are shared between versions, so an equal pointer means equal; the
// comparison costs what has changed. A false difference costs one plan.
func (c *Controller) cibChanged(e CIBChanged) {
	old := c.cib
	c.cib, c.index = e.CIB, e.Index
	if old == e.CIB {
		return
	}
	if cause := c.news(old, e.CIB); cause != "" {
		c.want(cause)
	}
	c.confirmFenced()
}

// news reads every difference and names the first that was not expected.
func (c *Controller) news(old, new *cib.CIB) (cause string) {
	note := func(format string, args ...any) {
		if cause == "" {
			cause = fmt.Sprintf(format, args...)
		}
	}
	if old.Configuration() != new.Configuration() {
		note("configuration changed to %s", new.Version())
		clear(c.unfenced)
	}
	if old.Status() == new.Status() {
		return cause
	}
	before := byKey(old.Status(), "node_state", "id")
	for s := range new.Status().Each("node_state") {
		o := before[s.ID()]
		delete(before, s.ID())
		if o == s {
			continue
		}
		node := s.Get("uname")
		expected := c.expectedDown(node)
		if !expected && !sameState(o, s) {
			note("state of node %s changed", node)
		}
		if name, changed := attributeChanged(o.Child("transient_attributes"), s.Child("transient_attributes"), c.clearing(node)); changed && !expected {
			note("attribute %s of node %s changed", name, node)
		}
		if what := c.history(node, o, s); what != "" && !expected {
			note("%s", what)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(before)) {
		note("state of node %s removed", before[id].Get("uname"))
	}
	if old.Status().Child("tickets") != new.Status().Child("tickets") {
		note("tickets changed")
	}
	return cause
}

// expectedDown says whether a transition has taken the node down, or is about to.
func (c *Controller) expectedDown(node string) bool {
	m := c.nodes[node]
	return m != nil && (m.fenced || m.leaving)
}

// sameState compares what a plan depends on; o may be nil.
func sameState(o, s *cib.Element) bool {
	if o == nil {
		return false
	}
	for _, name := range []string{"uname", "in_ccm", "crmd", "join", "expected", "unproven"} {
		if o.Get(name) != s.Get(name) {
			return false
		}
	}
	return true
}

// clearing says whether the transition clears failures on the node.
func (c *Controller) clearing(node string) bool {
	if c.run == nil {
		return false
	}
	return slices.ContainsFunc(c.run.InFlight(), func(p transition.Pending) bool {
		return p.Action.Task == transition.TaskClearFailCount && p.Action.Node == node
	})
}

// attributeChanged names the first transient attribute that differs; failures
// that go while they are being cleared do not count. Either element may be nil.
func attributeChanged(o, s *cib.Element, clearing bool) (name string, changed bool) {
	if o == s {
		return "", false
	}
	before := map[string]string{}
	for nv := range pairs(o) {
		before[nv.Get("name")] = nv.Get("value")
	}
	for nv := range pairs(s) {
		v, ok := before[nv.Get("name")]
		if !ok || v != nv.Get("value") {
			return nv.Get("name"), true
		}
		delete(before, nv.Get("name"))
	}
	for _, name := range slices.Sorted(maps.Keys(before)) {
		if clearing && (strings.HasPrefix(name, "fail-count-") || strings.HasPrefix(name, "last-failure-")) {
			continue
		}
		return name, true
	}
	return "", false
}

func pairs(e *cib.Element) func(func(*cib.Element) bool) {
	return func(yield func(*cib.Element) bool) {
		for set := range e.Each("instance_attributes") {
			for nv := range set.Each("nvpair") {
				if !yield(nv) {
					return
				}
			}
		}
	}
}

// history reads what is new in a node's operation history and names the first
// entry nobody waited for.
func (c *Controller) history(node string, o, s *cib.Element) (cause string) {
	olds, news := o.Child("lrm").Child("lrm_resources"), s.Child("lrm").Child("lrm_resources")
	if olds == news {
		return ""
	}
	before := byKey(olds, "lrm_resource", "id")
	for r := range news.Each("lrm_resource") {
		was := before[r.ID()]
		delete(before, r.ID())
		if was == r {
			continue
		}
		ops := byKey(was, "lrm_rsc_op", "id")
		for op := range r.Each("lrm_rsc_op") {
			known := ops[op.ID()]
			delete(ops, op.ID())
			if known == op {
				continue
			}
			if what := c.result(node, r.ID(), op); what != "" && cause == "" {
				cause = what
			}
		}
		stopped := endedMonitors(r)
		for _, id := range slices.Sorted(maps.Keys(ops)) {
			op := ops[id]
			if stopped && op.Get("interval") != "0" {
				continue
			}
			if !c.confirmCancel(node, r.ID(), op) && cause == "" && op.Get("op-status") != "-1" {
				cause = fmt.Sprintf("history of %s on %s was changed", r.ID(), node)
			}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(before)) {
		if cause == "" && !c.forgetting(node, id) {
			cause = fmt.Sprintf("history of %s on %s was removed", id, node)
		}
	}
	return cause
}

// endedMonitors says whether the newest operation was a clean stop, which ends
// recurring operations without further word.
func endedMonitors(r *cib.Element) bool {
	for op := range r.Each("lrm_rsc_op") {
		if op.ID() == r.ID()+"_last_0" {
			return op.Get("operation") == "stop" && op.Get("rc-code") == "0"
		}
	}
	return false
}

// result takes one recorded operation: the outcome of an action in flight, or news.
func (c *Controller) result(node, resource string, op *cib.Element) (cause string) {
	magic, err := transition.ParseMagic(op.Get("transition-magic"))
	if err == nil && magic.Status == resources.StatusPending {
		return ""
	}
	ours := err == nil && c.run != nil && magic.Key.UUID == c.uuid && magic.Key.Transition == c.transition
	if ours {
		if _, sent := c.run.orders[magic.Key.Action]; sent {
			if c.asExpected(magic) {
				c.confirm(magic.Key.Action, transition.Succeeded)
				return ""
			}
			c.say(Info, "unexpected result", "node", node, "rsc", resource, "op", op.Get("operation"),
				"rc", int(magic.RC), "want", int(magic.Key.TargetRC), "status", int(magic.Status), "reason", op.Get("exit-reason"))
			c.confirm(magic.Key.Action, transition.ActionFailed)
		}
	}
	return fmt.Sprintf("%s of %s on %s gave %s", op.Get("operation"), resource, node, op.Get("rc-code"))
}

// asExpected says whether a result is the one the plan counted on. A degraded
// service is a running one.
func (c *Controller) asExpected(m transition.Magic) bool {
	rc := m.RC
	switch rc {
	case resources.Degraded:
		rc = resources.OK
	case resources.DegradedPromoted:
		rc = resources.RunningPromoted
	}
	return m.Status == resources.StatusDone && rc == m.Key.TargetRC
}

// confirmCancel confirms the cancelling of a recurring operation when its record goes.
func (c *Controller) confirmCancel(node, resource string, op *cib.Element) bool {
	if c.run == nil {
		return false
	}
	for _, p := range c.run.InFlight() {
		a := p.Action
		if a.Task == transition.TaskCancel && a.Node == node && a.Resource != nil && a.Resource.ID == resource && a.Meta("interval") == op.Get("interval") {
			return c.run.Confirm(a.ID, transition.Succeeded)
		}
	}
	return false
}

// forgetting says whether the removal of a history was ordered by the transition.
func (c *Controller) forgetting(node, resource string) bool {
	if c.run == nil {
		return false
	}
	for _, p := range c.run.InFlight() {
		a := p.Action
		if a.Task == transition.TaskDelete && a.Node == node && a.Resource.ID == resource {
			return true
		}
	}
	return false
}

// confirmFenced confirms fencings once the CIB shows that nothing is left of the target.
func (c *Controller) confirmFenced() {
	if c.run == nil {
		return
	}
	for _, p := range c.run.InFlight() {
		if p.Action.Task != transition.TaskFence {
			continue
		}
		if m := c.nodes[p.Action.Node]; m != nil && m.fenced && Gone(c.cib, p.Action.Node) {
			c.run.Confirm(p.Action.ID, transition.Succeeded)
		}
	}
}

// byKey indexes children by an attribute; parent may be nil.
func byKey(parent *cib.Element, tag, attr string) map[string]*cib.Element {
	out := map[string]*cib.Element{}
	for e := range parent.Each(tag) {
		out[e.Get(attr)] = e
	}
	return out
}
