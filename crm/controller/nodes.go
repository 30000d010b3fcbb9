package controller

import (
	"slices"
	"strconv"
	"time"

	"systole/crm/transition"
)

// member is what was found out about one node in this term.
type member struct {
	found       found
	proven      bool // of a lost node: what it ran is silent
	incarnation string
	// What the node promises; recorded says that it differs from the CIB.
	policy, giveUp, restart string
	recorded                bool
	// fenced and leaving are nodes this transition takes down, so that their
	// loss is what it expects.
	fenced, leaving bool
	// ran is what a lost node may have been running; see owner.go.
	ran map[string]bool
}

type found uint8

const (
	unheard found = iota
	ready
	lost
	left
)

func (c *Controller) member(node string) *member {
	m := c.nodes[node]
	if m == nil {
		m = &member{}
		c.nodes[node] = m
	}
	return m
}

func (c *Controller) nodeReady(e NodeReady) {
	m := c.member(e.Node)
	was := m.found
	m.found, m.proven, m.incarnation = ready, false, e.Incarnation
	m.fenced, m.leaving, m.ran = false, false, nil
	m.policy, m.giveUp, m.restart, m.recorded = e.Policy, e.GiveUp, e.Restart, e.Policy != ""
	delete(c.unfenced, e.Node)
	c.sweep(e.Node)
	if was == lost {
		c.say(Info, "node is back", "node", e.Node)
	}
}

// sweep takes back what earlier DCs recorded as pending on a node. Now that the
// node has acknowledged this term it takes no more of their orders, so what was
// recorded and not ordered never will be; what was ordered gives its result, or
// is found by the probe that follows.
func (c *Controller) sweep(node string) {
	s := nodeState(c.cib, node)
	if s == nil {
		return
	}
	for r := range s.Child("lrm").Child("lrm_resources").Each("lrm_resource") {
		for op := range r.Each("lrm_rsc_op") {
			if op.Get("op-status") != "-1" {
				continue
			}
			if k, err := transition.ParseKey(op.Get("transition-key")); err == nil && k.UUID == c.uuid {
				continue
			}
			ms, _ := strconv.ParseInt(op.Get("interval"), 10, 64)
			c.sweeping++
			c.propose(CancelPending{Node: node, Resource: r.ID(), Operation: op.Get("operation"),
				Interval: time.Duration(ms) * time.Millisecond, Key: op.Get("transition-key")},
				proposal{done: func(bool) { c.sweeping-- }})
		}
	}
}

// nodeLost fails what was ordered there, with an unknown outcome.
func (c *Controller) nodeLost(node string) {
	m := c.member(node)
	m.found = lost
	c.rememberOwned(node)
	c.say(Warn, "node lost", "node", node)
	c.abandon(node)
	if !m.fenced && !m.leaving {
		c.want("node " + node + " lost")
	}
}

// nodeLeft is the good end: everything there is stopped.
func (c *Controller) nodeLeft(node string) {
	m := c.member(node)
	m.found, m.proven = left, true
	c.say(Info, "node left", "node", node)
	c.abandon(node)
	if !m.leaving {
		c.want("node " + node + " left")
	}
}

// abandon gives up what is in flight on a node that is no longer there. A
// shutdown has just succeeded; anything else has an unknown outcome.
func (c *Controller) abandon(node string) {
	if c.run == nil {
		return
	}
	for _, p := range c.run.InFlight() {
		switch a := p.Action; {
		case a.Node != node || a.Task == transition.TaskFence:
		case a.Task == transition.TaskShutdown:
			c.confirm(a.ID, transition.Succeeded)
		default:
			c.confirm(a.ID, transition.ActionFailed)
		}
	}
}

// desired is the state of a node that the CIB ought to show, false while nothing
// is known that it does not say already.
func (c *Controller) desired(name, id string) (NodeState, bool) {
	m := c.nodes[name]
	if m == nil {
		return NodeState{}, false
	}
	s := NodeState{Node: name, NodeID: id}
	cur := nodeState(c.cib, name)
	switch {
	case m.found == ready:
		s.InCCM, s.Online, s.Expected = true, true, !m.leaving
		s.Incarnation = m.incarnation
		if m.recorded {
			s.Policy, s.GiveUp, s.Restart = m.policy, m.giveUp, m.restart
		}
		if cur != nil {
			recorded := cur.Get(AttrIncarnation)
			// Another boot has nothing of what an earlier one ran; a node that was
			// counted lost has acted by itself. Both are probed anew.
			s.Gone = recorded != "" && !sameBoot(recorded, m.incarnation)
			s.Restarted = recorded != "" && recorded != m.incarnation
			s.Forget = !s.Gone && (cur.Get("crmd") != "online" || isTrue(cur.Get("unproven"))) && cur.Child("lrm") != nil
		}
	case m.found == left || m.found == lost && m.proven && (m.fenced || !fencing(c.cib)):
		s.Gone = true
	case m.found == lost && cur != nil && cur.Get("expected") == "down":
		s.Gone = true // it was told to leave after everything had stopped there
	case m.found == lost:
		s.Expected, s.Unproven = true, !fencing(c.cib)
	default:
		return NodeState{}, false
	}
	return s, true
}

// sameBoot says whether two incarnations are runs of the daemon that could hand
// over to each other what they ran (crm/node: incarnation).
func sameBoot(a, b string) bool {
	x, err1 := strconv.ParseUint(a, 10, 64)
	y, err2 := strconv.ParseUint(b, 10, 64)
	return err1 == nil && err2 == nil && x>>RestartBits == y>>RestartBits
}

// RestartBits of an incarnation count restarts within one boot; the bits above
// name the boot.
const RestartBits = 16

// AttrIncarnation is the node_state attribute that names the run of the daemon
// whose results are taken, AttrGiveUp the one for how long its stops may take.
const (
	AttrIncarnation = "incarnation"
	AttrGiveUp      = "give-up"
)

// shows says whether the CIB has the state already.
func (c *Controller) shows(s NodeState) bool {
	cur := nodeState(c.cib, s.Node)
	if cur == nil {
		return !s.InCCM && s.Gone
	}
	same := isTrue(cur.Get("in_ccm")) == s.InCCM && (cur.Get("crmd") == "online") == s.Online &&
		(cur.Get("expected") == "member") == s.Expected && isTrue(cur.Get("unproven")) == s.Unproven
	if !same {
		return false
	}
	if s.Gone && !s.InCCM {
		return cur.Child("lrm") == nil && cur.Child("transient_attributes") == nil
	}
	return !s.Gone && !s.Forget &&
		(s.Incarnation == "" || cur.Get(AttrIncarnation) == s.Incarnation) &&
		(s.Policy == "" || cur.Get("no-quorum-policy") == s.Policy && cur.Get(AttrGiveUp) == s.GiveUp && cur.Get("restart-grant") == s.Restart)
}

// writeNodes proposes what the CIB does not show yet, once.
func (c *Controller) writeNodes() {
	names, ids := configured(c.cib)
	for _, name := range names {
		s, ok := c.desired(name, ids[name])
		if !ok || c.shows(s) || c.proposing(s) {
			continue
		}
		c.propose(s, proposal{state: &s})
	}
}

// proposing says whether the newest proposal for the node in flight is this one.
func (c *Controller) proposing(s NodeState) bool {
	newest := 0
	for id, p := range c.proposals {
		if p.state != nil && p.state.Node == s.Node && id > newest {
			newest = id
		}
	}
	return newest > 0 && *c.proposals[newest].state == s
}

// unwritten says whether something found out about nodes is not yet in the CIB:
// a plan made before would be made again at once.
func (c *Controller) unwritten() bool {
	for _, p := range c.proposals {
		if p.state != nil {
			return true
		}
	}
	return false
}

// unsettled lists what a new DC waits for (D4): nodes that may act and have
// neither acknowledged the term nor been recorded as lost.
//
// It also waits for itself, and, where fencing would shoot them, a while for
// nodes that were never seen.
func (c *Controller) unsettled(now time.Time) []string {
	var out []string
	names, ids := configured(c.cib)
	shoots := fencing(c.cib)
	for _, name := range names {
		m := c.nodes[name]
		unseen := m == nil || m.found == unheard
		switch s, known := c.desired(name, ids[name]); {
		case unseen && name == c.node:
			out = append(out, name+": this node's own beat is awaited")
		case unseen && shoots && nodeState(c.cib, name) == nil && now.Before(c.grace):
			out = append(out, name+": was never seen, and may still be starting")
		case known && !c.shows(s):
			out = append(out, name+": its state is being recorded")
		case unseen && !Gone(c.cib, name):
			out = append(out, name+": has not answered in this term")
		}
	}
	if c.sweeping > 0 {
		out = append(out, "orders of an earlier DC are being taken back")
	}
	slices.Sort(out)
	return out
}
