package transition

import (
	"iter"
	"time"
)

// Infinity is the abort priority that stops everything but synapses of the same priority.
const Infinity = 1_000_000

// State says how far a run has come.
type State uint8

// The states of a run. All but Active are final: nothing is in flight and nothing
// more will be started.
const (
	Active     State = iota // actions are in flight or may be started
	Complete                // every action was confirmed
	Aborted                 // ended early because somebody asked, after what was in flight had ended
	Failed                  // ended early because an action failed
	Terminated              // ended at once, whatever was in flight
	Stalled                 // nothing can go on although nothing failed: an input is missing or waits for itself
)

// String is the word used in logs.
func (s State) String() string {
	return [...]string{"active", "complete", "aborted", "failed", "terminated", "stalled"}[s]
}

// Pending is an action in flight.
type Pending struct {
	Action   *Action
	Since    time.Time
	Deadline time.Time // when to call [Run.Expire]
}

// Abort says why a run is to end early. The abort with the highest priority counts, and
// among equals the first.
type Abort struct {
	Priority int    // synapses of at least this priority are still started; [Infinity] for most causes
	Cause    string // one phrase for the log: "node b lost"
}

// Outcome is what came of an action.
type Outcome uint8

// The outcomes. An expected "not running" of a probe is Succeeded: the caller compares with the target return code.
const (
	Succeeded Outcome = iota
	ActionFailed
)

// Run walks one graph. It is a state machine without clock or goroutine: callers start
// what [Run.Ready] yields, tell [Run.Confirm] what came of it, and call [Run.Expire] when
// [Run.Deadline] has come. Not safe for concurrent use.
type Run struct {
	graph *Graph
}

// NewRun begins a run. Nothing is started until Ready is called.
func NewRun(g *Graph) *Run { return &Run{graph: g} }

// Ready makes one pass over the graph in synapse order and yields each action that may
// start now; a yielded action is in flight. An action confirmed inside the loop counts
// at once for the synapses behind it and, for those before it, in the next pass: driving
// passes until one yields nothing, confirming each action where it is yielded, gives the order of the simulator's
// "Executing Cluster Transition". Pseudo-actions are yielded like others; the caller confirms them at once.
func (r *Run) Ready(now time.Time) iter.Seq[*Action] { return func(func(*Action) bool) {} }

// Confirm records the outcome of an action in flight. It reports false, and changes
// nothing, for an action that is not in flight. A failure aborts the run with priority
// [Infinity]: actions already in flight go on, actions behind the failed one never start.
func (r *Run) Confirm(id ActionID, o Outcome) bool { return false }

// Abort asks for an early end. What is in flight must still be confirmed.
func (r *Run) Abort(a Abort) {}

// Aborting is the abort in force, if any.
func (r *Run) Aborting() (Abort, bool) { return Abort{}, false }

// Terminate ends the run at once: nothing is started or awaited any more (the DC lost its lease).
func (r *Run) Terminate(cause string) {}

// State is where the run stands.
func (r *Run) State() State { return Active }

// InFlight are the actions started and not confirmed, in the order they were started.
func (r *Run) InFlight() []Pending { return nil }

// Deadline is the earliest deadline of an action in flight.
func (r *Run) Deadline() (time.Time, bool) { return time.Time{}, false }

// Expire fails every action whose deadline is not after now, and returns them.
func (r *Run) Expire(now time.Time) []*Action { return nil }

// Counts says how many actions are confirmed, failed, in flight, skipped by an abort and still waiting.
type Counts struct{ Confirmed, Failed, InFlight, Skipped, Waiting int }

// Counts sums up the run for the log.
func (r *Run) Counts() Counts { return Counts{} }
