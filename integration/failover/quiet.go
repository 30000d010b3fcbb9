package failover

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"syscall"
	"time"

	"systole/integration/stage"
)

// QuietOptions of [Quiet].
type QuietOptions struct {
	Time         time.Duration
	DetectWithin time.Duration
	Burn         int // other processes that never stop computing
}

// Quiet lets a cluster run while nothing happens to it, on an idle machine or
// beside processes that want every core, and counts false alarms: nodes lost,
// leases ended, DCs elected, moves of the address. There should be none.
func Quiet(ctx context.Context, out io.Writer, so stage.Options, o QuietOptions) error {
	so.DetectWithin = o.DetectWithin
	c, err := stage.Start(ctx, so)
	if c != nil {
		defer c.Lab.Close()
	}
	if err != nil {
		return err
	}
	watch, stop := context.WithCancel(ctx)
	defer stop()
	watched := make(chan error, 1)
	go func() { watched <- c.Wire.Run(watch) }()
	if err := c.Configure(ctx, c.GroupText()); err != nil {
		return err
	}
	time.Sleep(quiet)
	began := time.Now()
	for range o.Burn {
		burner := exec.CommandContext(watch, "/bin/sh", "-c", "while :; do :; done")
		burner.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := burner.Start(); err != nil {
			return err
		}
		defer func() { burner.Process.Kill(); burner.Wait() }()
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(o.Time):
	}
	alarms := c.CountSince(began, "node lost", "node lease ended: no DC has answered", "elected DC")
	moves := 0
	for _, u := range c.Wire.Speakers() {
		if u.At.After(began) {
			moves++
		}
	}
	fmt.Fprintf(out, "detect-within %v, %v, %d busy processes: nodes lost %d, leases ended %d, DCs elected %d, moves %d\n",
		o.DetectWithin, o.Time, o.Burn, alarms[0], alarms[1], alarms[2], moves)
	stop()
	if err := <-watched; err != nil {
		return err
	}
	if v := c.Wire.Violations(); len(v) > 0 {
		return errors.New(v[0])
	}
	return nil
}
