package transition

import (
	"cmp"
	"iter"
	"slices"
	"time"

	"systole/resources"
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
	Stalled                 // nothing can go on although nothing failed: inputs are missing or wait for each other
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

// The outcomes. An expected "not running" of a probe is Succeeded: the caller compares
// with the target return code.
const (
	Succeeded Outcome = iota
	ActionFailed
)

// Run walks one graph. It is a state machine without clock or goroutine: callers start
// what [Run.Ready] yields, tell [Run.Confirm] what came of it, and call [Run.Expire] when
// [Run.Deadline] has come. Each pass costs what it starts, not the size of the graph.
// Not safe for concurrent use.
type Run struct {
	graph      *Graph
	position   map[ActionID]int // index of the synapse
	dependents [][]int          // synapses that have this one as an input
	unmet      []int            // inputs not yet confirmed; those missing from the graph stay for ever
	progress   []progress

	thisPass, nextPass queue // synapses with all inputs met, by position
	inPass             bool
	cursor             int // position looked at last in this pass

	flight     []Pending
	migrations map[string]int // node → migrations in flight
	counts     Counts
	abort      *Abort
	failed     bool
	terminated bool
}

type progress uint8

const (
	waiting progress = iota
	inFlight
	confirmed
	failed
)

// Counts says how many actions are confirmed, failed, in flight and not started.
type Counts struct{ Confirmed, Failed, InFlight, Waiting int }

// NewRun begins a run. Nothing is started until Ready is called.
func NewRun(g *Graph) *Run {
	n := len(g.Synapses)
	r := &Run{
		graph:      g,
		position:   make(map[ActionID]int, n),
		dependents: make([][]int, n),
		unmet:      make([]int, n),
		progress:   make([]progress, n),
		migrations: map[string]int{},
		counts:     Counts{Waiting: n},
	}
	for i := range g.Synapses {
		r.position[g.Synapses[i].Action.ID] = i
	}
	for i := range g.Synapses {
		inputs := g.Synapses[i].Inputs
		r.unmet[i] = len(inputs)
		for _, id := range inputs {
			if p, ok := r.position[id]; ok {
				r.dependents[p] = append(r.dependents[p], i)
			}
		}
		if len(inputs) == 0 {
			r.nextPass.push(i)
		}
	}
	return r
}

// Ready makes one pass over the graph in synapse order and yields each action that may
// start now; a yielded action is in flight. An action confirmed inside the loop counts
// at once for the synapses behind it and, for those before it, in the next pass:
// driving passes until one yields nothing, confirming each action where it is yielded,
// gives the order of the simulator's "Executing Cluster Transition". Pseudo-actions are
// yielded like others; the caller confirms them at once.
func (r *Run) Ready(now time.Time) iter.Seq[*Action] {
	return func(yield func(*Action) bool) {
		r.thisPass, r.nextPass = r.nextPass, r.thisPass[:0]
		r.inPass, r.cursor = true, -1
		defer r.endPass()
		for len(r.thisPass) > 0 {
			i := r.thisPass.pop()
			r.cursor = i
			s := &r.graph.Synapses[i]
			if !r.mayStart(s) {
				r.nextPass.push(i)
				continue
			}
			r.start(i, now)
			if !yield(s.Action) {
				return
			}
		}
	}
}

// endPass keeps for the next pass what a loop left early did not reach.
func (r *Run) endPass() {
	r.inPass = false
	for _, i := range r.thisPass {
		r.nextPass.push(i)
	}
	r.thisPass = r.thisPass[:0]
}

// mayStart applies aborts and the limits on parallel work. A pseudo-action is no work.
func (r *Run) mayStart(s *Synapse) bool {
	if r.terminated || r.abort != nil && s.Priority < r.abort.Priority {
		return false
	}
	if s.Action.Kind == KindPseudo {
		return true
	}
	if limit := r.graph.BatchLimit; limit > 0 && r.counts.InFlight >= limit {
		return false
	}
	if limit := r.graph.MigrationLimit; limit >= 0 {
		for _, node := range s.Action.migrationNodes() {
			if r.migrations[node] >= limit {
				return false
			}
		}
	}
	return true
}

// migrationNodes are the two ends of a live migration, nil for any other action.
func (a *Action) migrationNodes() []string {
	switch resources.Action(a.Task) {
	case resources.ActionMigrateTo, resources.ActionMigrateFrom:
		return []string{a.Meta("migrate_source"), a.Meta("migrate_target")}
	}
	return nil
}

func (r *Run) start(i int, now time.Time) {
	a := r.graph.Synapses[i].Action
	r.progress[i] = inFlight
	r.counts.Waiting--
	r.counts.InFlight++
	for _, node := range a.migrationNodes() {
		r.migrations[node]++
	}
	r.flight = append(r.flight, Pending{Action: a, Since: now, Deadline: now.Add(r.graph.Patience(a))})
}

// Confirm records the outcome of an action in flight. It reports false, and changes
// nothing, for an action that is not in flight. A failure aborts the run with priority
// [Infinity]: actions already in flight go on, actions behind the failed one never start.
func (r *Run) Confirm(id ActionID, o Outcome) bool {
	i, ok := r.position[id]
	if !ok || r.progress[i] != inFlight {
		return false
	}
	a := r.graph.Synapses[i].Action
	r.flight = slices.DeleteFunc(r.flight, func(p Pending) bool { return p.Action == a })
	r.counts.InFlight--
	for _, node := range a.migrationNodes() {
		r.migrations[node]--
	}
	if o != Succeeded {
		r.progress[i] = failed
		r.counts.Failed++
		r.failed = true
		r.Abort(Abort{Priority: Infinity, Cause: "action " + DrawnName(a.UniqueKey(), a.Node) + " failed"})
		return true
	}
	r.progress[i] = confirmed
	r.counts.Confirmed++
	for _, d := range r.dependents[i] {
		if r.unmet[d]--; r.unmet[d] == 0 {
			if r.inPass && d > r.cursor {
				r.thisPass.push(d)
			} else {
				r.nextPass.push(d)
			}
		}
	}
	return true
}

// Abort asks for an early end. What is in flight must still be confirmed.
func (r *Run) Abort(a Abort) {
	if r.abort == nil || a.Priority > r.abort.Priority {
		r.abort = &a
	}
}

// Aborting is the abort in force, if any.
func (r *Run) Aborting() (Abort, bool) {
	if r.abort == nil {
		return Abort{}, false
	}
	return *r.abort, true
}

// Terminate ends the run at once: nothing is started or awaited any more (the DC lost
// its lease). It does nothing to a run that has ended.
func (r *Run) Terminate(cause string) {
	if r.State() != Active {
		return
	}
	r.Abort(Abort{Priority: Infinity, Cause: cause})
	r.terminated = true
	r.flight = nil
}

// State is where the run stands.
func (r *Run) State() State {
	switch {
	case r.terminated:
		return Terminated
	case r.counts.InFlight > 0 || r.canStart():
		return Active
	case r.counts.Waiting == 0 && !r.failed:
		return Complete
	case r.failed:
		return Failed
	case r.abort != nil:
		return Aborted
	}
	return Stalled
}

// canStart tells whether another pass would start something.
func (r *Run) canStart() bool {
	for _, q := range [...]queue{r.thisPass, r.nextPass} {
		if slices.ContainsFunc(q, func(i int) bool { return r.mayStart(&r.graph.Synapses[i]) }) {
			return true
		}
	}
	return false
}

// InFlight are the actions started and not confirmed, in the order they were started.
func (r *Run) InFlight() []Pending { return slices.Clone(r.flight) }

// Counts sums up the run for the log.
func (r *Run) Counts() Counts { return r.counts }

// Deadline is the earliest deadline of an action in flight.
func (r *Run) Deadline() (time.Time, bool) {
	if len(r.flight) == 0 {
		return time.Time{}, false
	}
	return slices.MinFunc(r.flight, func(a, b Pending) int { return cmp.Compare(a.Deadline.UnixNano(), b.Deadline.UnixNano()) }).Deadline, true
}

// Expire fails every action whose deadline is not after now, and returns them.
func (r *Run) Expire(now time.Time) []*Action {
	var late []*Action
	for _, p := range slices.Clone(r.flight) {
		if !p.Deadline.After(now) {
			late = append(late, p.Action)
			r.Confirm(p.Action.ID, ActionFailed)
		}
	}
	return late
}

// queue is a binary heap of synapse positions, smallest first.
type queue []int

func (q *queue) push(v int) {
	h := append(*q, v)
	i := len(h) - 1
	for i > 0 && h[(i-1)/2] > h[i] {
		h[(i-1)/2], h[i] = h[i], h[(i-1)/2]
		i = (i - 1) / 2
	}
	*q = h
}

func (q *queue) pop() int {
	h := *q
	top, last := h[0], len(h)-1
	h[0] = h[last]
	h = h[:last]
	for i := 0; ; {
		c := 2*i + 1
		if c >= last {
			break
		}
		if c+1 < last && h[c+1] < h[c] {
			c++
		}
		if h[i] <= h[c] {
			break
		}
		h[i], h[c] = h[c], h[i]
		i = c
	}
	*q = h
	return top
}
