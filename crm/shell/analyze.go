package shell

import (
	"context"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/spf13/pflag"
	"systole/crm/analyze"
	"systole/crm/exit"
)

func analyzeFlags(fs *pflag.FlagSet) {
	fs.Int("depth", 1, "lose up to so many nodes together, 1 or 2")
	fs.Bool("keep-quorum", false, "pretend that quorum is never lost")
	fs.StringSlice("except", nil, "`resources` whose end does not count")
	fs.String("file", "", "about the CIB in `FILE`")
	inputFlags(fs)
	outputFlag(fs)
}

// analyzeFailures runs every loss and failure through the scheduler. It ends with [exit.Unsatisfied] when one of them
// stops something.
func analyzeFailures(ctx context.Context, c *call) error {
	root, now, err := c.decision(ctx)
	if err != nil {
		return err
	}
	js, err := c.asJSON()
	if err != nil {
		return err
	}
	var o analyze.Options
	o.Depth, _ = c.flags.GetInt("depth")
	o.KeepQuorum, _ = c.flags.GetBool("keep-quorum")
	study, err := analyze.New(root, now, o)
	if err != nil {
		return exit.With(exit.Usage, err)
	}
	outcomes, err := runAll(ctx, study)
	if err != nil {
		return err
	}
	except, _ := c.flags.GetStringSlice("except")
	report := study.Report(outcomes, except)
	if js {
		err = c.printJSON(report)
	} else {
		c.io.Printf("%s", report)
	}
	if err == nil && report.Stopping > 0 {
		return exit.With(exit.Unsatisfied, errTold)
	}
	return err
}

// collectLess is the garbage collector's percentage while plan after plan is made and dropped: four times the usual one
// takes a fifth of the processor time off, for some hundred MiB.
const collectLess = 400

// runAll runs the scenarios of a study on all processors.
func runAll(ctx context.Context, study *analyze.Study) ([]analyze.Outcome, error) {
	defer debug.SetGCPercent(debug.SetGCPercent(collectLess))
	scenarios := study.Scenarios()
	outcomes, errs := make([]analyze.Outcome, len(scenarios)), make([]error, len(scenarios))
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(scenarios)) {
		workers.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(scenarios) {
					return
				}
				outcomes[i], errs[i] = study.Run(scenarios[i])
			}
		})
	}
	workers.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return outcomes, ctx.Err()
}
