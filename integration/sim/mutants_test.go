//go:build mutants

package sim

import (
	"fmt"
	"testing"
	"time"

	"systole/crm/lease"
	"systole/crm/node"
	"systole/crm/store"
)

// TestMutants breaks the product, one rule at a time. Every break must be noticed
// within some seeds; a simulation that stays green over one does not watch that rule.
func TestMutants(t *testing.T) {
	first := setting(t, "SYSTOLE_SIM_SEED", 1)
	for _, m := range []struct {
		name   string
		timing func(*lease.Timing)
		node   bool    // a rule of the node, not of the store
		only   []fault // those that can show it, so that it does not take all night
	}{
		{name: "lead without a lease"},
		{name: "act without a barrier", only: []fault{weather, powerCut, lostSilence, quickKill, healing}},
		{name: "vote right after a restart", only: []fault{forgetful, quickKill, healing}},
		{name: "heartbeat fast path", only: []fault{slowVote}},
		{name: "a grant counts from its arrival", only: []fault{lateAnswer}},
		{name: "start before proof", timing: func(t *lease.Timing) { t.DetectWithin = 3 * t.Beat }},
		{name: "an order has no end", node: true, only: []fault{lateOrder, healing}},
		{name: "the former DC's services are forgotten", timing: func(t *lease.Timing) { t.FormerDC = 0 }, only: []fault{isolation, lostSilence, daemonKill, healing}},
		{name: "node lease longer than the detection", timing: func(t *lease.Timing) { t.NodeLease = 4 * t.DetectWithin }},
	} {
		t.Run(m.name, func(t *testing.T) {
			began := time.Now()
			for seed := first; seed < first+mutantSeeds; seed++ {
				o := Options{Seed: seed, Nodes: 3, timing: m.timing}
				switch {
				case m.node:
					o.breakN = func(c *node.Config) { node.Break(c, m.name) }
				case m.timing == nil:
					o.breaks = func(c *store.Config) { store.Break(c, m.name) }
				}
				if m.only != nil {
					o.only = func(f fault) bool {
						for _, k := range m.only {
							if f == k {
								return true
							}
						}
						return false
					}
				}
				if r := bubble(t, o); len(r.Problems) > 0 {
					fmt.Printf("%-40s noticed with seed %d after %.1f s: %s\n", m.name, seed, time.Since(began).Seconds(), r.Problems[0])
					return
				}
			}
			t.Errorf("not noticed in %d seeds", mutantSeeds)
		})
	}
}

const mutantSeeds = 100
