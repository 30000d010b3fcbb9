package controller

import (
	"strconv"
	"strings"
	"time"

	"systole/crm/transition"
	"systole/resources"
)

// run is a transition under way.
type run struct {
	*transition.Run
	graph *transition.Graph
	// orders are those sent, or waiting for their pending record, by action.
	orders map[transition.ActionID]Order
	// refused says that an order was refused: plan again, but not at once.
	refused bool
	// unfenced says that a fencing failed: the next attempt makes the next plan.
	unfenced bool
	// tooSoon are fencings whose next attempt is not due; see endTooSoon.
	tooSoon []transition.ActionID
}

// walk starts everything that may start now, in as many passes as there is
// progress, and fails what is overdue.
func (c *Controller) walk(now time.Time) {
	for _, a := range c.run.Expire(now) {
		c.say(Warn, "no result in time", "action", describe(a), "transition", c.transition)
	}
	for started := true; started; {
		started = false
		var record []Order
		for a := range c.run.Ready(now) {
			started = true
			if o, pending := c.start(a); pending {
				record = append(record, o)
			}
		}
		if len(record) > 0 {
			c.propose(Pending{Orders: record}, proposal{action: record})
		}
	}
	c.endTooSoon()
}

// start carries one action out, or returns its order if that must first be on
// record as pending.
func (c *Controller) start(a *transition.Action) (o Order, record bool) {
	switch a.Kind {
	case transition.KindPseudo:
		c.confirm(a.ID, transition.Succeeded)
	case transition.KindCluster:
		c.startCluster(a)
	case transition.KindResource:
		if a.Task == transition.TaskDelete {
			c.forget(a)
			break
		}
		o := c.order(a)
		if m := c.nodes[o.Node]; m == nil || m.found != ready {
			c.run.refused = true
			c.confirm(a.ID, transition.ActionFailed)
			break
		}
		if mayActivate(o.Op.Action) {
			return o, true
		}
		c.send(o)
		if a.Task == transition.TaskCancel && !c.recorded(a) {
			c.confirm(a.ID, transition.Succeeded) // no record will go, so none is waited for
		}
	}
	return Order{}, false
}

// recorded says whether the CIB has the recurring operation an action cancels.
func (c *Controller) recorded(a *transition.Action) bool {
	for r := range nodeState(c.cib, a.Node).Child("lrm").Child("lrm_resources").Each("lrm_resource") {
		if r.ID() != a.Resource.ID {
			continue
		}
		for op := range r.Each("lrm_rsc_op") {
			if op.Get("interval") == a.Meta("interval") && op.Get("interval") != "0" {
				return true
			}
		}
	}
	return false
}

// mayActivate are the operations after whose loss something may be active that
// was not before.
func mayActivate(a resources.Action) bool {
	switch a {
	case resources.ActionStart, resources.ActionPromote, resources.ActionMigrateTo, resources.ActionMigrateFrom:
		return true
	}
	return false
}

func (c *Controller) startCluster(a *transition.Action) {
	switch a.Task {
	case transition.TaskFence:
		if !c.mayFence(a.Node) {
			c.run.tooSoon = append(c.run.tooSoon, a.ID)
			return
		}
		c.effects = append(c.effects, Fence{
			Target: a.Node, TargetID: a.NodeID, Action: fenceAction(a), Transition: c.transition, ID: a.ID,
			Timeout: actionTimeout(a), Delay: metaSeconds(a, "start_delay"), Reason: "node " + a.Node + " is unclean",
		})
	case transition.TaskShutdown:
		c.member(a.Node).leaving = true
		o := c.order(a)
		o.Shutdown = true
		c.writeNodes() // expected=down before it goes
		c.send(o)
	case transition.TaskClearFailCount:
		ch := ForgetFailures{Node: a.Node, NodeID: a.NodeID}
		if a.Resource != nil {
			ch.Resource = a.Resource.ID
		}
		c.proposeAction(a, ch)
	default:
		c.say(Warn, "unknown cluster action left out", "action", describe(a), "task", a.Task)
		c.confirm(a.ID, transition.ActionFailed)
	}
}

// forget is the action lrm_delete: the history goes.
func (c *Controller) forget(a *transition.Action) {
	c.proposeAction(a, ForgetHistory{Node: a.Node, NodeID: a.NodeID, Resource: a.Resource.ID})
}

// proposeAction carries an action out that is nothing but a change of the CIB.
func (c *Controller) proposeAction(a *transition.Action, ch Change) {
	number := c.transition
	c.propose(ch, proposal{done: func(ok bool) {
		if c.run == nil || c.transition != number {
			return
		}
		if ok {
			c.confirm(a.ID, transition.Succeeded)
		} else {
			c.confirm(a.ID, transition.ActionFailed)
		}
	}})
}

func (c *Controller) send(o Order) {
	c.run.orders[o.Action] = o
	c.effects = append(c.effects, o)
}

// confirm notes an outcome. A failure makes a new plan necessary.
func (c *Controller) confirm(id transition.ActionID, out transition.Outcome) {
	if !c.run.Confirm(id, out) || out == transition.Succeeded {
		return
	}
	if c.cause == "" {
		c.cause = describe(c.run.graph.Action(id)) + " failed"
	}
}

// order makes the order for a resource operation.
func (c *Controller) order(a *transition.Action) Order {
	o := Order{
		Node: a.Node, NodeID: a.NodeID, Term: c.term, Transition: c.transition, Action: a.ID,
		Key:        transition.Key{Action: a.ID, Transition: c.transition, TargetRC: targetRC(a), UUID: c.uuid},
		Attributes: a.Attributes,
	}
	if a.Router != "" {
		o.Node = a.Router
	}
	if a.Resource == nil {
		return o
	}
	op := resources.Op{
		Resource: a.Resource.Name(),
		Instance: a.Resource.ID,
		Agent:    resources.AgentID{Class: resources.Class(a.Resource.Class), Provider: a.Resource.Provider, Type: a.Resource.Type},
		Action:   resources.Action(a.Task),
		Interval: metaMillis(a, "interval"),
		Timeout:  metaMillis(a, "timeout"),
		Params:   map[string]string{},
		Meta:     map[string]string{},
		Node:     a.Node,
	}
	for _, at := range a.Attributes {
		if name, ok := strings.CutPrefix(at.Name, "CRM_meta_"); ok {
			op.Meta[name] = at.Value
		} else {
			op.Params[at.Name] = at.Value
		}
	}
	op.CheckLevel, _ = strconv.Atoi(op.Params["OCF_CHECK_LEVEL"])
	if c.ownerGone(op) {
		op.Meta[metaOwnerGone] = "true"
	}
	o.Op = op
	return o
}

func (c *Controller) refused(e OrderRefused) {
	if c.run == nil || e.Transition != c.transition {
		return
	}
	o, ok := c.run.orders[e.Action]
	if !ok {
		return
	}
	c.say(Warn, "order refused", "node", o.Node, "action", o.Op.Resource+" "+string(o.Op.Action), "reason", e.Reason)
	c.run.refused = true
	if mayActivate(o.Op.Action) { // nothing was begun: the pending record is wrong
		c.propose(CancelPending{Node: o.Node, Resource: o.Op.Instance, Operation: string(o.Op.Action), Interval: o.Op.Interval, Key: o.Key.String()}, proposal{})
	}
	c.confirm(e.Action, transition.ActionFailed)
}

// done confirms what leaves no trace in the CIB. The failure of a notification is the
// agent's affair: the field takes no notice of what they answer.
func (c *Controller) done(e Done) {
	if c.run == nil || e.Key.UUID != c.uuid || e.Key.Transition != c.transition {
		return
	}
	o, sent := c.run.orders[e.Key.Action]
	switch {
	case !sent:
	case e.Reason != "":
		c.say(Warn, "action not carried out", "node", o.Node, "action", o.Op.Resource+" "+string(o.Op.Action), "reason", e.Reason)
		c.run.refused = true
		c.confirm(e.Key.Action, transition.ActionFailed)
	default:
		c.confirm(e.Key.Action, transition.Succeeded)
	}
}

func fenceAction(a *transition.Action) string {
	if v := a.Meta("stonith_action"); v != "" {
		return v
	}
	return "reboot"
}

func targetRC(a *transition.Action) resources.Code {
	n, err := strconv.Atoi(a.Meta("op_target_rc"))
	if err != nil {
		return resources.OK
	}
	return resources.Code(n)
}

func metaMillis(a *transition.Action, name string) time.Duration {
	n, err := strconv.ParseInt(a.Meta(name), 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return time.Duration(n) * time.Millisecond
}

// metaSeconds reads a number of seconds, with or without unit.
func metaSeconds(a *transition.Action, name string) time.Duration {
	n, err := strconv.ParseInt(strings.TrimSuffix(a.Meta(name), "s"), 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return time.Duration(n) * time.Second
}

// actionTimeout is the action's own timeout; the run adds cluster-delay.
func actionTimeout(a *transition.Action) time.Duration { return metaMillis(a, "timeout") }
