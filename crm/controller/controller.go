package controller

import (
	"fmt"
	"slices"
	"time"

	"systole/crm/cib"
	"systole/crm/transition"
)

// Plan is what the scheduler made of a CIB at a moment.
type Plan struct {
	Graph *transition.Graph
	// RecheckBy is when the same CIB may give another plan; zero is never.
	RecheckBy time.Time
	// Changes counts or lists what is planned, for the log.
	Changes string
}

// Planner makes a plan; it is crm/scheduler's function in the daemon.
type Planner func(c *cib.CIB, now time.Time) (Plan, error)

// State is what the controller is doing.
type State uint8

// The states.
const (
	Off     State = iota // this node is not DC
	Waiting              // for acknowledgements of the term, or the record of who is lost
	Idle
	Running
)

// String is the word used in logs and the API.
func (s State) String() string { return [...]string{"off", "waiting", "idle", "running"}[s] }

// Times that have no option of their own.
const (
	// holdOff keeps a refused order from making a new plan every millisecond;
	// chosen as a human's "at once".
	holdOff = time.Second
	// defaultDeadTime is dc-deadtime's default: how long a new cluster waits for
	// nodes it has never seen before it fences them (startup-fencing).
	defaultDeadTime = 20 * time.Second
	// defaultRecheck is cluster-recheck-interval's default.
	defaultRecheck = 15 * time.Minute
)

// Controller is the DC's state machine. The zero value is not usable; see [New].
type Controller struct {
	node string
	plan Planner

	state State
	term  uint64
	uuid  string
	cib   *cib.CIB
	index uint64
	// nodes is what was found out about nodes in this term, by name.
	nodes map[string]*member

	transition int // number of the newest graph of this term
	run        *run
	trigger    string // why the running or last transition was planned
	// cause is why a new plan is wanted; "" when none is.
	cause    string
	notUntil time.Time // no plan before, unless a new fact comes
	recheck  time.Time

	proposals  map[int]proposal
	proposalID int
	grace      time.Time            // until when nodes never seen may still come before they count as lost
	sweeping   int                  // proposals of sweep not yet answered
	unfenced   map[string]*attempts // failures in a row, by target

	now     time.Time // of the Step under way
	effects []Effect  // of the Step under way
}

// proposal is one that was not answered yet.
type proposal struct {
	state  *NodeState    // of NodeState changes
	action []Order       // orders to send when a Pending is committed
	done   func(ok bool) // what else hangs on it; may be nil
}

// New makes the controller of a node; it is Off until [Elected].
func New(node string, plan Planner) *Controller {
	return &Controller{node: node, plan: plan}
}

// Step takes one event and returns what must be done about it, in order. Now is
// the wall clock: rules are evaluated with it.
func (c *Controller) Step(e Event, now time.Time) []Effect {
	c.effects, c.now = nil, now
	if el, ok := e.(Elected); ok {
		c.elected(el, now)
	}
	if c.state == Off {
		return nil
	}
	switch e := e.(type) {
	case Deposed:
		c.deposed(e.Cause)
		return c.effects
	case CIBChanged:
		c.cibChanged(e)
	case NodeReady:
		c.nodeReady(e)
	case NodeRecord:
		m := c.member(e.Node)
		m.policy, m.giveUp, m.restart, m.recorded = e.Policy, e.GiveUp, e.Restart, true
	case NodeLost:
		c.nodeLost(e.Node)
	case NodeProven:
		c.member(e.Node).proven = true
	case NodeLeft:
		c.nodeLeft(e.Node)
	case OrderRefused:
		c.refused(e)
	case Done:
		c.done(e)
	case FenceDone:
		c.fenced(e)
	case Proposed:
		c.proposed(e, now)
	case Reconsider:
		c.want(e.Cause)
		c.notUntil = time.Time{}
	}
	c.writeNodes()
	c.advance(now)
	return c.effects
}

// Wake is when to Step with a [Tick]; zero is never.
func (c *Controller) Wake() time.Time {
	switch c.state {
	case Off:
		return time.Time{}
	case Waiting:
		return c.grace
	}
	if c.run != nil {
		at, _ := c.run.Deadline()
		return at
	}
	if c.cause != "" {
		return c.notUntil
	}
	if again := c.fenceAgain(); !again.IsZero() && again.Before(c.recheck) {
		return again
	}
	return c.recheck
}

func (c *Controller) elected(e Elected, now time.Time) {
	*c = Controller{
		node: c.node, plan: c.plan,
		state: Waiting, term: e.Term, uuid: e.UUID, cib: e.CIB, index: e.Index,
		nodes: map[string]*member{}, proposals: map[int]proposal{}, unfenced: map[string]*attempts{}, now: now,
		cause: "this node became DC",
		grace: now.Add(interval(e.CIB, "dc-deadtime", defaultDeadTime)),
	}
	c.propose(Office{Node: c.node, NodeID: nodeID(e.CIB, c.node)}, proposal{})
	c.say(Info, "elected DC", "term", e.Term)
}

func (c *Controller) deposed(cause string) {
	if c.run != nil {
		c.run.Terminate(cause)
	}
	c.say(Info, "no longer DC", "term", c.term, "cause", cause)
	*c = Controller{node: c.node, plan: c.plan, effects: c.effects}
}

// want notes that a new plan is wanted; the first cause is kept. A running
// transition ends early because of it.
func (c *Controller) want(cause string) {
	if cause == "" {
		return
	}
	if c.cause == "" {
		c.cause = cause
	}
	if c.run != nil {
		if _, already := c.run.Aborting(); !already {
			c.run.Abort(transition.Abort{Priority: transition.Infinity, Cause: cause})
			c.say(Info, "transition aborted", "transition", c.transition, "cause", cause)
		}
	}
}

// advance does what can be done now: walk the transition, end it, or plan.
func (c *Controller) advance(now time.Time) {
	for {
		switch {
		case c.state == Waiting:
			if len(c.unsettled(now)) > 0 {
				return
			}
			c.state = Idle
		case c.run != nil:
			c.walk(now)
			if c.run.State() == transition.Active {
				return
			}
			c.finish(now)
		case c.cause == "" && !c.recheck.IsZero() && !now.Before(c.recheck):
			c.cause = "time for a recheck"
			clear(c.unfenced)
		case c.cause == "" && c.fenceDue():
			c.cause = fenceRetry
		case c.cause == "" || now.Before(c.notUntil) || c.unwritten():
			return
		default:
			c.makePlan(now)
			if c.run == nil {
				return
			}
		}
	}
}

// makePlan runs the scheduler once for every change since the last plan.
func (c *Controller) makePlan(now time.Time) {
	trigger := c.cause
	c.cause, c.notUntil = "", time.Time{}
	p, err := c.plan(c.cib, now)
	if err != nil {
		c.say(Warn, "no plan could be made", "cause", trigger, "err", err)
		c.recheck = now.Add(holdOff)
		return
	}
	c.recheck = now.Add(interval(c.cib, "cluster-recheck-interval", defaultRecheck))
	if !p.RecheckBy.IsZero() && p.RecheckBy.After(now) && p.RecheckBy.Before(c.recheck) {
		c.recheck = p.RecheckBy
	}
	if p.Graph.Empty() {
		c.forgetOwned()
		c.say(Debug, "nothing to do", "cause", trigger)
		return
	}
	c.transition++
	c.trigger = trigger
	c.state = Running
	c.run = &run{Run: transition.NewRun(p.Graph), graph: p.Graph, orders: map[transition.ActionID]Order{}}
	c.effects = append(c.effects, SaveInput{Transition: c.transition, CIB: c.cib, Now: now})
	c.say(c.voice(), "transition started", "transition", c.transition, "trigger", trigger,
		"actions", len(p.Graph.Synapses), "changes", p.Changes)
}

// finish ends a transition that is over and asks for a new plan unless it completed.
func (c *Controller) finish(now time.Time) {
	state, counts := c.run.State(), c.run.Counts()
	level := c.voice()
	switch state {
	case transition.Complete: // what it brought about was planned for; only a new fact makes a new plan
		c.forgetOwned()
	case transition.Stalled:
		level = Warn
		c.cause = "" // the same plan would stall again; wait for a new fact or the recheck
	default:
		if c.cause == "" && !c.run.unfenced {
			c.cause = "transition " + state.String()
		}
	}
	c.say(level, "transition ended", "transition", c.transition, "state", state.String(),
		"confirmed", counts.Confirmed, "failed", counts.Failed, "skipped", counts.Waiting)
	if c.run.refused {
		c.notUntil = now.Add(holdOff)
	}
	c.run, c.state = nil, Idle
}

// propose returns a proposal as an effect.
func (c *Controller) propose(ch Change, p proposal) {
	c.proposalID++
	c.proposals[c.proposalID] = p
	c.effects = append(c.effects, Propose{ID: c.proposalID, Change: ch})
}

func (c *Controller) proposed(e Proposed, now time.Time) {
	p, ok := c.proposals[e.ID]
	if !ok {
		return
	}
	delete(c.proposals, e.ID)
	if !e.OK {
		c.say(Warn, "proposal refused", "reason", e.Reason)
		c.notUntil = now.Add(holdOff)
	}
	if p.done != nil {
		p.done(e.OK)
	}
	for _, o := range p.action {
		if c.run == nil || o.Transition != c.transition {
			continue
		}
		if !e.OK {
			c.confirm(o.Action, transition.ActionFailed)
			continue
		}
		c.send(o)
	}
}

func (c *Controller) say(level Level, message string, facts ...any) {
	c.effects = append(c.effects, Decided{Level: level, Message: message, Facts: facts})
}

// Snapshot describes the controller to people and to those who wait.
type Snapshot struct {
	State      State
	Term       uint64
	Index      uint64 // of the newest CIB considered
	Transition int
	Trigger    string
	Pending    []string // actions in flight, "KEY on NODE"
	Waiting    []string // nodes a waiting DC waits for, with the reason
	Graph      *transition.Graph
}

// Settled says whether there is nothing to do for any CIB up to Index.
func (s Snapshot) Settled() bool { return s.State == Idle }

// Snapshot is the present state.
func (c *Controller) Snapshot() Snapshot {
	s := Snapshot{State: c.state, Term: c.term, Index: c.index, Transition: c.transition, Trigger: c.trigger}
	switch {
	case c.state == Waiting:
		s.Waiting = c.unsettled(time.Time{})
	case c.run != nil:
		s.Graph = c.run.graph
		for _, p := range c.run.InFlight() {
			s.Pending = append(s.Pending, describe(p.Action))
		}
		slices.Sort(s.Pending)
	case c.cause != "" || len(c.proposals) > 0:
		s.State = Running // about to
	}
	return s
}

func describe(a *transition.Action) string {
	if a.Node == "" {
		return a.UniqueKey()
	}
	return fmt.Sprintf("%s on %s", a.UniqueKey(), a.Node)
}
