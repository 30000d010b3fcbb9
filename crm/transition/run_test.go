package transition

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"systole/crm/cib"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// graphOf builds a graph of one-node actions from lines "NUMBER[!PRIORITY] KIND TASK [< INPUT…]".
func graphOf(t testing.TB, lines ...string) *Graph {
	t.Helper()
	g := &Graph{Options: Options{MigrationLimit: -1}}
	kinds := map[string]Kind{"rsc": KindResource, "pseudo": KindPseudo, "cluster": KindCluster}
	for _, line := range lines {
		head, inputs, _ := strings.Cut(line, "<")
		f := strings.Fields(head)
		var s Synapse
		a := &Action{Kind: kinds[f[1]], Task: f[2], Node: "n"}
		if number, priority, ok := strings.Cut(f[0], "!"); ok {
			fmt.Sscan(priority, &s.Priority)
			fmt.Sscan(number, &a.ID)
		} else {
			fmt.Sscan(f[0], &a.ID)
		}
		a.Key = fmt.Sprintf("r%d_%s_0", a.ID, a.Task)
		for _, in := range strings.Fields(inputs) {
			var id ActionID
			fmt.Sscan(in, &id)
			s.Inputs = append(s.Inputs, id)
		}
		s.Action = a
		g.Synapses = append(g.Synapses, s)
	}
	return g
}

// pass starts what is ready and returns the action numbers; those that auto accepts are confirmed where they are yielded.
func pass(r *Run, now time.Time, auto func(*Action) bool) []ActionID {
	var ids []ActionID
	for a := range r.Ready(now) {
		ids = append(ids, a.ID)
		if auto(a) {
			r.Confirm(a.ID, Succeeded)
		}
	}
	return ids
}

func all(*Action) bool      { return true }
func none(*Action) bool     { return false }
func pseudo(a *Action) bool { return a.Kind == KindPseudo }

func wantIDs(t *testing.T, what string, got []ActionID, want ...ActionID) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got actions %v, want %v", what, got, want)
	}
}

func wantState(t *testing.T, r *Run, want State) {
	t.Helper()
	if got := r.State(); got != want {
		t.Errorf("state %v, want %v (%+v)", got, want, r.Counts())
	}
}

func TestPassesFollowSynapseOrder(t *testing.T) {
	// The start stands before the stop it waits for, so it runs in the second pass; the
	// monitor behind both waits for the start.
	r := NewRun(graphOf(t, "2 rsc start < 1", "1 rsc stop", "3 rsc monitor < 2", "4 pseudo done < 1"))
	wantIDs(t, "first pass", pass(r, start, all), 1, 4)
	wantIDs(t, "second pass", pass(r, start, all), 2, 3)
	wantState(t, r, Complete)
}

func TestInputsMustBeConfirmed(t *testing.T) {
	r := NewRun(graphOf(t, "1 rsc stop", "2 pseudo stopped < 1", "3 rsc start < 2"))
	wantIDs(t, "first pass", pass(r, start, pseudo), 1)
	wantIDs(t, "nothing new while the stop runs", pass(r, start, pseudo))
	wantState(t, r, Active)
	if !r.Confirm(1, Succeeded) || r.Confirm(1, Succeeded) {
		t.Error("an action in flight is confirmed exactly once")
	}
	wantIDs(t, "after the stop", pass(r, start, pseudo), 2, 3)
	r.Confirm(3, Succeeded)
	wantState(t, r, Complete)
}

func TestBatchLimit(t *testing.T) {
	g := graphOf(t, "1 rsc start", "2 rsc start", "3 rsc start", "4 pseudo mark")
	g.BatchLimit = 2
	r := NewRun(g)
	wantIDs(t, "two at once, pseudo-actions are free", pass(r, start, pseudo), 1, 2, 4)
	r.Confirm(2, Succeeded)
	wantIDs(t, "one slot", pass(r, start, pseudo), 3)
}

func TestMigrationLimit(t *testing.T) {
	g := graphOf(t, "1 rsc migrate_to", "2 rsc migrate_to", "3 rsc start")
	ends := func(src, dst string) []cib.Attr {
		return []cib.Attr{{Name: "CRM_meta_migrate_source", Value: src}, {Name: "CRM_meta_migrate_target", Value: dst}}
	}
	g.Synapses[0].Action.Attributes = ends("a", "b")
	g.Synapses[1].Action.Attributes = ends("c", "b")
	g.MigrationLimit = 1
	r := NewRun(g)
	wantIDs(t, "b takes one migration at a time", pass(r, start, none), 1, 3)
	r.Confirm(1, Succeeded)
	wantIDs(t, "then the other", pass(r, start, none), 2)
}

func TestFailureEndsTheRunAfterWhatIsInFlight(t *testing.T) {
	r := NewRun(graphOf(t, "1 rsc start", "2 rsc start", "3 rsc monitor < 1", "4 rsc start < 2"))
	wantIDs(t, "first pass", pass(r, start, none), 1, 2)
	r.Confirm(1, ActionFailed)
	wantState(t, r, Active)
	r.Confirm(2, Succeeded)
	wantIDs(t, "nothing is started after a failure", pass(r, start, none))
	wantState(t, r, Failed)
	if a, ok := r.Aborting(); !ok || a.Cause != "action r1_start_0 n failed" {
		t.Errorf("abort %+v, want the failed action as cause", a)
	}
}

func TestAbortPriorityLetsUrgentSynapsesGoOn(t *testing.T) {
	r := NewRun(graphOf(t, "1 rsc start", "2!100 rsc stop", "3 rsc start"))
	r.Abort(Abort{Priority: 50, Cause: "configuration changed"})
	r.Abort(Abort{Priority: 20, Cause: "a lesser cause"})
	wantIDs(t, "only the urgent one", pass(r, start, all), 2)
	wantState(t, r, Aborted)
	if a, _ := r.Aborting(); a.Cause != "configuration changed" {
		t.Errorf("cause %q", a.Cause)
	}
}

func TestTerminateAwaitsNothing(t *testing.T) {
	r := NewRun(graphOf(t, "1 rsc start", "2 rsc start < 1"))
	pass(r, start, none)
	r.Terminate("lost the DC lease")
	wantState(t, r, Terminated)
	if got := r.InFlight(); len(got) != 0 {
		t.Errorf("in flight after Terminate: %v", got)
	}
	wantIDs(t, "after Terminate", pass(r, start, none))
}

func TestStalled(t *testing.T) {
	for name, g := range map[string]*Graph{
		"cycle":         graphOf(t, "1 rsc start < 2", "2 rsc start < 1"),
		"missing input": graphOf(t, "1 rsc start < 7"),
	} {
		r := NewRun(g)
		pass(r, start, all)
		if r.State() != Stalled {
			t.Errorf("%s: state %v, want stalled", name, r.State())
		}
	}
}

func TestEmptyGraphIsComplete(t *testing.T) {
	wantState(t, NewRun(&Graph{}), Complete)
}

func TestDeadlines(t *testing.T) {
	g := graphOf(t, "1 rsc start", "2 cluster stonith", "3 rsc monitor")
	g.ClusterDelay, g.FencingTimeout = "10s", "3min"
	g.Synapses[0].Action.Attributes = []cib.Attr{{Name: "CRM_meta_start_delay", Value: "500"}, {Name: "CRM_meta_timeout", Value: "4000"}}
	r := NewRun(g)
	pass(r, start, none)
	for i, want := range []time.Duration{14500 * time.Millisecond, 190 * time.Second, 30 * time.Second} {
		if got := r.InFlight()[i].Deadline.Sub(start); got != want {
			t.Errorf("action %d: deadline after %v, want %v", i+1, got, want)
		}
	}
	first, _ := r.Deadline()
	if late := r.Expire(first.Add(-time.Nanosecond)); late != nil {
		t.Errorf("expired early: %v", late)
	}
	late := r.Expire(first)
	if len(late) != 1 || late[0].ID != 1 {
		t.Errorf("expired %v, want action 1", late)
	}
	r.Confirm(2, Succeeded)
	r.Confirm(3, Succeeded)
	wantState(t, r, Failed)
}

// TestRunAgainstObviousWalk compares the machine with the rule as the field states it:
// go through the synapses in order again and again, run each whose inputs have all run.
func TestRunAgainstObviousWalk(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 12).Draw(t, "actions")
		g := &Graph{Options: Options{MigrationLimit: -1}}
		order := rapid.Permutation(slices.Collect(seq(n))).Draw(t, "order")
		for _, id := range order {
			s := Synapse{Action: &Action{ID: ActionID(id), Kind: KindPseudo, Task: "t"}}
			for other := 1; other < id; other++ {
				if rapid.Bool().Draw(t, "edge") {
					s.Inputs = append(s.Inputs, ActionID(other))
				}
			}
			g.Synapses = append(g.Synapses, s)
		}
		r := NewRun(g)
		var got []ActionID
		for {
			p := pass(r, start, all)
			if len(p) == 0 {
				break
			}
			got = append(got, p...)
		}
		if want := obviousWalk(g); !slices.Equal(got, want) {
			t.Fatalf("got %v want %v", got, want)
		}
		if r.State() != Complete {
			t.Fatalf("state %v", r.State())
		}
	})
}

func seq(n int) func(func(int) bool) {
	return func(yield func(int) bool) {
		for i := 1; i <= n && yield(i); i++ {
		}
	}
}

func obviousWalk(g *Graph) (order []ActionID) {
	done := map[ActionID]bool{}
	for again := true; again; {
		again = false
		for _, s := range g.Synapses {
			ready := !done[s.Action.ID]
			for _, in := range s.Inputs {
				ready = ready && done[in]
			}
			if ready {
				done[s.Action.ID], again = true, true
				order = append(order, s.Action.ID)
			}
		}
	}
	return order
}
