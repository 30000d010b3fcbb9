// Package simulate is a virtual cluster: it pretends events, schedules, and carries the
// transition out on paper, with the scheduler and the progress machine that the real
// cluster runs. It is the engine of crm_simulate, of failure analysis and of every
// --dry-run.
//
// It is pure: the caller gives the time, and results are new CIBs beside the old ones.
package simulate

import (
	"time"

	"systole/crm/cib"
	"systole/crm/scheduler"
)

// Round is one turn of the cluster: a plan and its execution.
type Round struct {
	Plan *scheduler.Result
	Execution
}

// Run plans for a CIB at the moment now and carries the plan out.
func Run(root *cib.Element, now time.Time, o ExecuteOptions) Round {
	plan := scheduler.Schedule(root, now, scheduler.Options{})
	return Round{Plan: plan, Execution: Execute(root, plan.Graph, o)}
}

// Settle runs rounds until a plan has nothing to do, at most limit of them, and returns
// them. The last one is empty when the cluster came to rest.
func Settle(root *cib.Element, now time.Time, limit int) []Round {
	var rounds []Round
	for range limit {
		r := Run(root, now, ExecuteOptions{At: now})
		rounds = append(rounds, r)
		if len(r.Steps) == 0 {
			break
		}
		root = r.CIB
	}
	return rounds
}
