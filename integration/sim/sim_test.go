package sim

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// setting reads a number from the environment, as make sim sets it.
func setting(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	s := os.Getenv(name)
	if s == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		t.Fatalf("%s=%s: %v", name, s, err)
	}
	return n
}

// quick is how many seeds a plain go test runs.
const quick = 3

// TestSim runs SYSTOLE_SIM_COUNT seeds from SYSTOLE_SIM_SEED on.
func TestSim(t *testing.T) {
	first, n := setting(t, "SYSTOLE_SIM_SEED", 1), setting(t, "SYSTOLE_SIM_COUNT", quick)
	nodes := int(setting(t, "SYSTOLE_SIM_NODES", 0))
	totals := make(map[string]int)
	began := time.Now()
	for seed := first; seed < first+n; seed++ {
		r := bubble(t, Options{Seed: seed, Nodes: nodes})
		for k, v := range r.Counts {
			totals[k] += v
		}
		totals["faults"] += r.Faults
		totals["seeds"]++
		if r.Faults < 5 {
			t.Errorf("seed %d: only %d faults", seed, r.Faults)
		}
		if len(r.Problems) > 0 {
			t.Errorf("seed %d, %d nodes, fencing %v:\n%s\n\n%s\n\nrepeat: make sim SEED=%d COUNT=1%s", seed, r.Nodes, r.Fencing,
				strings.Join(r.Problems, "\n"), r.Trace, seed, map[bool]string{true: fmt.Sprintf(" NODES=%d", nodes)}[nodes > 0])
		}
	}
	for _, k := range slices.Sorted(maps.Keys(totals)) {
		fmt.Printf("%8d  %s\n", totals[k], k)
	}
	fmt.Printf("%8.0f  seconds\n", time.Since(began).Seconds())
	for _, k := range []string{"faults", "DC changes", "moves", "proofs", "converged"} {
		if totals[k] == 0 {
			t.Errorf("no %s in %d seeds: nothing was tested", k, n)
		}
	}
}

// stuck is how long one seed may take on a real clock. A cluster that does things
// for ever without letting time pass would otherwise hang here silently.
const stuck = 120 * time.Second

// bubble runs one seed in virtual time.
func bubble(t *testing.T, o Options) (r Report) {
	watchdog := time.AfterFunc(stuck, func() {
		fmt.Printf("seed %d: virtual time stands still; the last events:\n%s\n", o.Seed, current.Load())
		panic("the simulation is stuck")
	})
	defer watchdog.Stop()
	t.Run(fmt.Sprint("seed ", o.Seed), func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { r = Run(o) })
	})
	return r
}
