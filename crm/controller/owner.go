package controller

import (
	"systole/crm/cib"
	"systole/crm/transition"
	"systole/resources"
)

// metaOwnerGone is the meta attribute of a start which says that the resource has just been
// taken from its former owner: its stop was confirmed or its loss proven, and no node of
// this cluster has it. agents/vip asks no other station then.
const metaOwnerGone = "owner_gone"

// ownerGone says so of a start, only when it is certain. A resource that had no owner when
// this transition was planned may have been taken by a stranger meanwhile.
func (c *Controller) ownerGone(op resources.Op) bool {
	if op.Action != resources.ActionStart || op.Meta["clone"] != "" {
		return false
	}
	had := false
	for n := range c.cib.Section("nodes").Each("node") {
		name := n.Get("uname")
		last := lastOperation(nodeState(c.cib, name), op.Instance)
		switch {
		case Gone(c.cib, name):
			had = had || c.nodes[name] != nil && c.nodes[name].ran[op.Instance]
		case last == nil && isWitness(n):
		case !stopped(last):
			return false
		default:
			had = had || c.stoppedNow(last)
		}
	}
	return had
}

// stoppedNow says whether an operation is a stop of the transition under way.
func (c *Controller) stoppedNow(op *cib.Element) bool {
	k, err := transition.ParseKey(op.Get("transition-key"))
	return err == nil && op.Get("operation") == string(resources.ActionStop) && k.UUID == c.uuid && k.Transition == c.transition
}

// rememberOwned keeps what a lost node may have been running: the proof of its loss takes its history away.
func (c *Controller) rememberOwned(node string) {
	m := c.member(node)
	if m.ran != nil {
		return
	}
	m.ran = map[string]bool{}
	for r := range nodeState(c.cib, node).Child("lrm").Child("lrm_resources").Each("lrm_resource") {
		if last := lastOperation(nodeState(c.cib, node), r.ID()); last != nil && !stopped(last) {
			m.ran[r.ID()] = true
		}
	}
}

// forgetOwned ends that memory when a plan that knew of the proof has been carried out: what
// was not started again by then had no owner since.
func (c *Controller) forgetOwned() {
	for name, m := range c.nodes {
		if Gone(c.cib, name) {
			m.ran = nil
		}
	}
}

// lastOperation is the newest one-shot operation of a resource's history; nil without one.
func lastOperation(state *cib.Element, resource string) *cib.Element {
	for r := range state.Child("lrm").Child("lrm_resources").Each("lrm_resource") {
		if r.ID() != resource {
			continue
		}
		for op := range r.Each("lrm_rsc_op") {
			if op.ID() == resource+"_last_0" {
				return op
			}
		}
	}
	return nil
}

// stopped says whether an operation found or left its resource stopped.
func stopped(op *cib.Element) bool {
	if op == nil || op.Get("op-status") != "0" {
		return false
	}
	switch op.Get("operation") {
	case string(resources.ActionStop):
		return op.Get("rc-code") == "0"
	case string(resources.ActionMonitor):
		return op.Get("rc-code") == "7"
	}
	return false
}

// isWitness says whether a nodes/node only votes: it takes no orders and is never probed.
func isWitness(node *cib.Element) bool {
	for set := range node.Each("instance_attributes") {
		for nv := range set.Each("nvpair") {
			if nv.Get("name") == "witness" && nv.Get("value") == "true" {
				return true
			}
		}
	}
	return false
}
