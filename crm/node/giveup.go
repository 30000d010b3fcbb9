package node

import (
	"time"

	"systole/crm/cib"
	"systole/resources"
)

// The give-up bound, G of crm/lease/DESIGN.md: how long after the end of this node's lease
// something exclusive may still be running here. Without fencing the DC takes the
// node's silence for proof only after it, so it must know the bound before anything
// that raises it is begun: the node promises it in its beats, the DC commits it, and
// until then the order that needs it is refused.

// giveUp is the bound to promise: for what runs here, and for what is waited for.
func (n *Node) giveUp(c *cib.CIB) time.Duration {
	stops := n.stops(c, "")
	if reserved := time.Duration(n.reserved.Load()); reserved > stops {
		stops = reserved
	}
	return n.cfg.Timing.GiveUp + coarse(stops)
}

// stopIsCovered says whether the bound in the CIB covers the stop of what an
// order may activate; if not, it is asked for.
func (n *Node) stopIsCovered(m orderMessage) bool {
	switch m.Op.Action {
	case resources.ActionStart, resources.ActionPromote, resources.ActionMigrateTo, resources.ActionMigrateFrom:
	default:
		return true
	}
	c := n.CIB()
	if n.harmless(m.Op.Agent) || fencingEnabled(c) {
		return true
	}
	need := n.stops(c, m.Op.Instance) + stopTime(c, m.Op)
	if recordOf(c, n.cfg.Name).GiveUp >= n.cfg.Timing.GiveUp+need {
		n.reserved.Store(0) // what runs here is counted from now on
		return true
	}
	n.reserved.Store(int64(need))
	nudge(n.hurry)
	return false
}

// stops is the time for stopping everything here that could hurt, one after the
// other as the executor does; without is an instance not to count.
func (n *Node) stops(c *cib.CIB, without string) time.Duration {
	var sum time.Duration
	for _, a := range n.exec.Active() {
		if a.ID != without && !n.harmless(a.Op.Agent) {
			sum += stopTime(c, a.Op)
		}
	}
	return sum
}

func (n *Node) harmless(id resources.AgentID) bool {
	return n.cfg.Harmless != nil && n.cfg.Harmless(id)
}

func stopTime(c *cib.CIB, op resources.Op) time.Duration {
	if t := stopTimeout(c, op); t > 0 {
		return t
	}
	return resources.DefaultTimeout
}

// coarse rounds up to a quarter of the order of magnitude: each other value costs
// a commit and is waited for, and many resources start one after the other.
func coarse(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	step := time.Second
	for step*4 < d {
		step *= 2
	}
	return (d + step - 1) / step * step
}

// fencingEnabled is stonith-enabled; the default is true.
func fencingEnabled(c *cib.CIB) bool {
	v := option(c, "stonith-enabled")
	if v == "" {
		v = option(c, "fencing-enabled")
	}
	switch v {
	case "false", "off", "no", "n", "0":
		return false
	}
	return true
}
