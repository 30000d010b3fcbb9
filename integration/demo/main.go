// Command systole-demo plays Systole on three machines made of namespaces:
//
//	systole-demo run [--keep]        the demo
//	systole-demo exec NODE CMD…      run a command on a node of a demo left up
//	systole-demo down                end it
//	systole-demo chaos               seeded faults, ownership watched on the wire
//	systole-demo failover            outages by cause, measured
//	systole-demo load                tools, many resources, idle daemons, cold start
//	systole-demo quiet               false alarms while nothing happens
//
// It expects systoled and crm beside itself, needs no root where unprivileged
// user namespaces exist, and leaves nothing behind.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"systole/integration/bench"
	"systole/integration/chaos"
	"systole/integration/failover"
	"systole/integration/netlab"
	"systole/integration/stage"
)

// dirEnv tells the inner program the scratch directory that the outer one made and removes.
const dirEnv = "SYSTOLE_STAGE_DIR"

func main() {
	if err := command().Execute(); err != nil {
		if !errors.Is(err, errSilent) {
			fmt.Fprintln(os.Stderr, "systole-demo:", err)
		}
		os.Exit(1)
	}
}

// errSilent ends the program with code 1 where everything has been said.
var errSilent = errors.New("")

func command() *cobra.Command {
	root := &cobra.Command{Use: "systole-demo", SilenceUsage: true, SilenceErrors: true}
	if os.Getenv(dirEnv) != "" || netlab.Inside() {
		netlab.Enter(false) // a node's first process goes no further than this
	}

	run := &cobra.Command{Use: "run", Short: "the demo", Args: cobra.NoArgs}
	keep := run.Flags().Bool("keep", false, "leave the cluster up")
	broken := run.Flags().String("break", "", "break it on purpose: announce (no announcements) or owners (two owners); the demo must then fail")
	run.RunE = staged(keep, func(ctx context.Context, o stage.Options) error {
		return (&story{keep: *keep, broken: *broken}).run(ctx, o)
	})

	chaosCmd := &cobra.Command{Use: "chaos", Short: "seeded faults against real daemons", Args: cobra.NoArgs}
	var chaosOpts chaos.Options
	chaosCmd.Flags().Int64Var(&chaosOpts.Seed, "seed", 0, "seed of the faults; 0 draws one")
	chaosCmd.Flags().DurationVar(&chaosOpts.Time, "time", time.Minute, "how long to inject faults")
	chaosCmd.RunE = staged(nil, func(ctx context.Context, o stage.Options) error {
		return chaos.Run(ctx, os.Stdout, o, chaosOpts)
	})

	failoverCmd := &cobra.Command{Use: "failover", Short: "client outages by cause", Args: cobra.NoArgs}
	var failoverOpts failover.Options
	failoverCmd.Flags().IntVar(&failoverOpts.Trials, "trials", 20, "trials of each cause")
	failoverCmd.Flags().DurationVar(&failoverOpts.DetectWithin, "detect-within", 500*time.Millisecond, "the cluster's detect-within")
	failoverCmd.Flags().StringSliceVar(&failoverOpts.Only, "only", nil, "only these causes")
	failoverCmd.RunE = staged(nil, func(ctx context.Context, o stage.Options) error {
		return failover.Run(ctx, os.Stdout, o, failoverOpts)
	})

	quietCmd := &cobra.Command{Use: "quiet", Short: "count false alarms while nothing happens", Args: cobra.NoArgs}
	var quietOpts failover.QuietOptions
	quietCmd.Flags().DurationVar(&quietOpts.Time, "time", 10*time.Minute, "how long")
	quietCmd.Flags().DurationVar(&quietOpts.DetectWithin, "detect-within", 500*time.Millisecond, "the cluster's detect-within")
	quietCmd.Flags().IntVar(&quietOpts.Burn, "burn", 0, "busy processes beside it")
	quietCmd.RunE = staged(nil, func(ctx context.Context, o stage.Options) error {
		return failover.Quiet(ctx, os.Stdout, o, quietOpts)
	})

	loadCmd := &cobra.Command{Use: "load", Short: "tools, many resources, idle daemons and a cold start, measured", Args: cobra.NoArgs}
	var loadOpts bench.Options
	loadCmd.Flags().IntVar(&loadOpts.Resources, "resources", 100, "resources of the node that dies")
	loadCmd.Flags().IntVar(&loadOpts.Calls, "calls", 50, "calls of each tool")
	loadCmd.Flags().DurationVar(&loadOpts.Idle, "idle", 20*time.Second, "how long the idle daemons are watched")
	loadCmd.RunE = staged(nil, func(ctx context.Context, o stage.Options) error {
		return bench.Run(ctx, os.Stdout, o, loadOpts)
	})

	root.AddCommand(run, loadCmd, chaosCmd, failoverCmd, quietCmd,
		&cobra.Command{Use: "down", Short: "end a demo left up", Args: cobra.NoArgs, RunE: func(*cobra.Command, []string) error { return down() }},
		&cobra.Command{Use: "exec NODE COMMAND…", Short: "run a command on a node of a demo left up", Args: cobra.MinimumNArgs(2),
			DisableFlagParsing: true, RunE: func(_ *cobra.Command, args []string) error { return execOn(args[0], args[1:]) }},
	)
	return root
}

// staged runs play inside the lab, and cleans up and checks outside of it.
func staged(keep *bool, play func(context.Context, stage.Options) error) func(*cobra.Command, []string) error {
	return func(*cobra.Command, []string) error {
		if !netlab.Inside() {
			return outside(keep != nil && *keep)
		}
		ctx, cancel := netlab.Context()
		defer cancel()
		bin, err := binDir()
		if err != nil {
			return err
		}
		o := stage.Options{Dir: os.Getenv(dirEnv), Bin: bin, Web: stage.FindWeb(ctx, filepath.Join(bin, "..", "build", "nginx"))}
		return play(ctx, o)
	}
}

func binDir() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	for _, name := range []string{"systoled", "crm"} {
		if _, err := os.Stat(filepath.Join(filepath.Dir(self), name)); err != nil {
			return "", fmt.Errorf("%s is not beside %s: run make build", name, self)
		}
	}
	return filepath.Dir(self), nil
}
