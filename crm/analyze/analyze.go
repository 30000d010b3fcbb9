// Package analyze asks of a cluster what would happen if: for every loss of a
// node, of two nodes, and for every failure of a resource, the scheduler is run
// on the cluster that would be left. It tells what stops, what moves, and what
// is left with no node to go to.
//
// It is pure, and a [Study] may be read from any number of goroutines: the
// caller decides how many [Study.Run] run at the same time.
package analyze

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"systole/crm/cib"
	"systole/crm/model"
	"systole/crm/scheduler"
	"systole/crm/score"
	"systole/crm/simulate"
	"systole/crm/status"
)

// settleRounds is how many plans the present state may take to come to rest before it is studied.
const settleRounds = 10

// Options choose what is studied.
type Options struct {
	// Depth is how many nodes are lost together at most: 1 or 2.
	Depth int
	// KeepQuorum pretends that quorum is never lost, as for clusters with other rules than a majority of nodes.
	KeepQuorum bool
}

// Study is a cluster at rest, and what it runs.
type Study struct {
	root    *cib.Element
	now     time.Time
	options Options
	nodes   []string // members that are online, in order of name
	members int      // all members configured: quorum is more than half of them
	present placement
}

// New prepares a study of a document: it is brought to rest first, on paper.
func New(root *cib.Element, now time.Time, o Options) (*Study, error) {
	if o.Depth < 1 || o.Depth > 2 {
		return nil, fmt.Errorf("depth %d: one or two nodes can be lost together", o.Depth)
	}
	rounds := simulate.Settle(root, now, settleRounds)
	root = rounds[len(rounds)-1].CIB
	plan := scheduler.Schedule(root, now, scheduler.Options{})
	s := &Study{root: root, now: now, options: o, present: placed(plan)}
	for _, id := range plan.Status.NodesByName {
		n := &plan.Status.Nodes[id]
		if n.Kind != status.Member {
			continue
		}
		s.members++
		if n.Online && !n.Unclean {
			s.nodes = append(s.nodes, n.Name)
		}
	}
	return s, nil
}

// Scenario is one thing that may go wrong.
type Scenario struct {
	// Lost are nodes that vanish at the same moment.
	Lost []string `json:"lost,omitempty"`
	// Failed is a resource that fails for good on the node On: its monitor reports an error, and to start it again
	// there fails too.
	Failed string `json:"failed,omitempty"`
	On     string `json:"on,omitempty"`
}

// String is a few words: "loss of a, b", "failure of web on a".
func (s Scenario) String() string {
	var parts []string
	if s.Failed != "" {
		parts = append(parts, "failure of "+s.Failed+" on "+s.On)
	}
	if len(s.Lost) > 0 {
		parts = append(parts, "loss of "+strings.Join(s.Lost, ", "))
	}
	return strings.Join(parts, ", then ")
}

// Scenarios are all that have to be run, in the order of the report. Those of two losses are run for depth 1 too: what
// they stop is what one loss leaves unprotected.
func (s *Study) Scenarios() []Scenario {
	var out []Scenario
	for _, n := range s.nodes {
		out = append(out, Scenario{Lost: []string{n}})
	}
	for i, n := range s.nodes {
		for _, m := range s.nodes[i+1:] {
			out = append(out, Scenario{Lost: []string{n, m}})
		}
	}
	for _, name := range s.present.names {
		for _, n := range s.present.at[name].nodes {
			out = append(out, Scenario{Failed: name, On: n})
		}
	}
	return out
}

// Outcome is what became of a scenario.
type Outcome struct {
	Scenario
	// Quorum tells whether what is left has it.
	Quorum bool `json:"quorum"`
	// Stops are the resources that run nowhere any more; Demotes those of which no instance is promoted any more.
	Stops   []string `json:"stops,omitempty"`
	Demotes []string `json:"demotes,omitempty"`
	Moves   []Move   `json:"moves,omitempty"`
	// Unprotected are the resources that the loss of one more node would stop. It is known for the loss of one node,
	// and of a resource that failed.
	Unprotected []string `json:"unprotected,omitempty"`
}

// Move is a resource that is on other nodes than before.
type Move struct {
	Resource string   `json:"resource"`
	From     []string `json:"from,omitempty"`
	To       []string `json:"to"`
}

// Run plans for a scenario. Of a failed resource it also finds out whether it has yet another node to go to.
func (s *Study) Run(sc Scenario) (Outcome, error) {
	after, quorum, err := s.plan(sc)
	if err != nil {
		return Outcome{}, err
	}
	o := Outcome{Scenario: sc, Quorum: quorum}
	s.compare(after, &o)
	if sc.Failed == "" || slices.Contains(o.Stops, sc.Failed) {
		return o, nil
	}
	if left := after.at[sc.Failed].nodes; len(left) == 1 {
		then, quorum, err := s.plan(Scenario{Failed: sc.Failed, On: sc.On, Lost: left})
		if err != nil {
			return Outcome{}, err
		}
		if quorum && len(then.at[sc.Failed].nodes) == 0 {
			o.Unprotected = []string{sc.Failed}
		}
	}
	return o, nil
}

// plan is where resources will be in a scenario.
func (s *Study) plan(sc Scenario) (placement, bool, error) {
	var changes []simulate.Change
	if sc.Failed != "" {
		changes = append(changes, simulate.Change{Kind: simulate.Operation, Value: fmt.Sprintf("%s_monitor_%d@%s=1", sc.Failed, s.present.at[sc.Failed].interval, sc.On)})
	}
	for _, n := range sc.Lost {
		changes = append(changes, simulate.Change{Kind: simulate.NodeFail, Value: n})
	}
	quorum := s.options.KeepQuorum || 2*(len(s.nodes)-len(sc.Lost)) > s.members
	if len(sc.Lost) > 0 && !quorum {
		changes = append(changes, simulate.Change{Kind: simulate.Quorum, Value: "0"})
	}
	root, _, err := simulate.Inject(s.root, changes, s.now)
	if err != nil {
		return placement{}, false, err
	}
	if sc.Failed != "" {
		root = failedForGood(root, sc.Failed, sc.On)
	}
	return placed(scheduler.Schedule(root, s.now, scheduler.Options{})), quorum, nil
}

// failedForGood raises the fail count of a resource on a node to INFINITY, as a failed start does.
func failedForGood(root *cib.Element, resource, node string) *cib.Element {
	for at, e := range cib.Walk(root) {
		if e.Name() != "nvpair" || !strings.HasPrefix(e.Get("name"), "fail-count-"+resource+"#") {
			continue
		}
		if at[0] < len(root.Children()) && root.Children()[at[0]].Name() == "status" && root.Children()[at[0]].Children()[at[1]].Get("uname") == node {
			return slices.Clone(at).Set(root, e.With("value", score.Infinity.String()))
		}
	}
	return root
}

// compare finds what a scenario did to the present placement.
func (s *Study) compare(after placement, o *Outcome) {
	for _, name := range s.present.names {
		was, is := s.present.at[name], after.at[name]
		switch {
		case len(is.nodes) == 0:
			o.Stops = append(o.Stops, name)
			continue
		case len(was.promoted) > 0 && len(is.promoted) == 0:
			o.Demotes = append(o.Demotes, name)
		}
		if to := without(is.nodes, was.nodes); len(to) > 0 {
			o.Moves = append(o.Moves, Move{Resource: name, From: without(was.nodes, is.nodes), To: to})
		}
	}
}

func without(list, gone []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return slices.Contains(gone, s) })
}

// placement says where configured primitives will run.
type placement struct {
	names []string // those that run, in the order of the configuration
	at    map[string]places
}

type places struct {
	nodes, promoted []string // in order of name
	interval        int64    // of the first monitor, in milliseconds
}

func placed(r *scheduler.Result) placement {
	p := placement{at: map[string]places{}}
	s := r.Status
	gone := map[status.ResID]bool{} // whatever node is meant for it: it has to stop there, or cannot start
	for _, c := range r.Plan.Changes {
		gone[c.Resource] = gone[c.Resource] || c.Blocked || c.Verb == "Stop"
	}
	for i := range s.Resources {
		rsc := &s.Resources[i]
		n := r.Placement.Node[i]
		if rsc.Kind != model.Primitive || rsc.Orphan || n == status.NoNode || r.Placement.Role[i] <= status.RoleStopped || gone[rsc.Index] {
			continue
		}
		x, known := p.at[rsc.BaseID]
		if !known {
			p.names = append(p.names, rsc.BaseID)
			x.interval = monitorInterval(rsc)
		}
		x.nodes = append(x.nodes, s.Nodes[n].Name)
		if r.Placement.Role[i] == status.RolePromoted {
			x.promoted = append(x.promoted, s.Nodes[n].Name)
		}
		p.at[rsc.BaseID] = x
	}
	for name, x := range p.at {
		slices.SortFunc(x.nodes, status.CompareNames)
		slices.SortFunc(x.promoted, status.CompareNames)
		x.nodes, x.promoted = slices.Compact(x.nodes), slices.Compact(x.promoted)
		p.at[name] = x
	}
	return p
}

// monitorInterval is the interval of a resource's first monitor; 10 seconds, as agents advise, without one.
func monitorInterval(r *status.Resource) int64 {
	if r.Config != nil {
		for _, op := range r.Config.Ops {
			if ms, ok := status.Millis(op.Interval); op.Name == "monitor" && ok && ms > 0 {
				return ms
			}
		}
	}
	return 10_000
}
