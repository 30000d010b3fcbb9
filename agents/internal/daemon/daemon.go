// Package daemon knows servers that put themselves into the background: a master
// process that writes a pid file and leads a session of workers.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"systole/agents/internal/proc"
)

// Daemon is one such server. Everything about it is read from the pid file and
// the process table; there is no state.
type Daemon struct {
	Name    string // in messages
	PIDFile string
	// Ours tells its processes from a stranger that got a pid of one after a
	// crash; Master tells the master from its workers.
	Ours, Master func(proc.Process) bool
}

// IsNamed tells whether a process has a program's name (comm has 15 bytes).
func IsNamed(p proc.Process, program string) bool {
	name := filepath.Base(program)
	return p.Name == name[:min(len(name), 15)]
}

// Running is the living master of the pid file.
func (d Daemon) Running() (proc.Process, bool) {
	p, ok := proc.Find(proc.ReadPIDFile(d.PIDFile))
	return p, ok && d.Ours(p) && d.Master(p)
}

// Orphans are the workers of a master that was killed: it led a session of its
// own, so they are found by the dead master's pid.
func (d Daemon) Orphans() (ps []proc.Process) {
	pid := proc.ReadPIDFile(d.PIDFile)
	if pid == 0 {
		return nil
	}
	return slices.DeleteFunc(proc.Session(pid), func(p proc.Process) bool { return !d.Ours(p) || p.PID == pid })
}

// How long a stop waits after TERM and after KILL.
const (
	termGrace = 2 * time.Second
	killGrace = 2 * time.Second
)

// Stop asks the master with quit to finish what it does, for as long as
// graceful (not at all when that is 0), then to end, then kills it, and ends
// what it left behind.
func (d Daemon) Stop(ctx context.Context, quit unix.Signal, graceful time.Duration) error {
	if master, running := d.Running(); running {
		h, err := proc.Open(master.PID)
		if err != nil && !errors.Is(err, unix.ESRCH) {
			return err
		}
		if err == nil {
			defer h.Close()
			ladder := []proc.Step{{Signal: unix.SIGTERM, Grace: termGrace}, {Signal: unix.SIGKILL, Grace: killGrace}}
			if graceful > 0 {
				ladder = slices.Insert(ladder, 0, proc.Step{Signal: quit, Grace: graceful})
			}
			h.End(ctx, ladder...)
		}
	}
	return d.Clear(ctx)
}

// Clear ends what a killed master left behind, and removes its pid file so that
// it cannot point at a stranger later.
func (d Daemon) Clear(ctx context.Context) error {
	for _, p := range d.Orphans() {
		h, err := proc.Open(p.PID)
		if err != nil {
			continue // gone
		}
		ended := h.End(ctx, proc.Step{Signal: unix.SIGTERM, Grace: termGrace / 10}, proc.Step{Signal: unix.SIGKILL, Grace: killGrace})
		h.Close()
		if !ended {
			return fmt.Errorf("worker %d of a dead %s does not end", p.PID, d.Name)
		}
	}
	if p, running := d.Running(); running {
		return fmt.Errorf("%s (%d) does not end", d.Name, p.PID)
	}
	if err := os.Remove(d.PIDFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("stale pid file: %w", err)
	}
	return nil
}

// Watch waits for the end of the master: true if it ended before ctx did.
func (d Daemon) Watch(ctx context.Context) bool {
	master, running := d.Running()
	if !running {
		return ctx.Err() == nil
	}
	h, err := proc.Open(master.PID)
	if err != nil {
		return ctx.Err() == nil
	}
	defer h.Close()
	return h.Wait(ctx)
}

const pollInterval = 2 * time.Millisecond

// Await waits until answers says so, as long as ctx allows.
func (d Daemon) Await(ctx context.Context, answers func(context.Context) error) error {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		err := fmt.Errorf("no master process in %s", d.PIDFile)
		if _, running := d.Running(); running {
			err = answers(ctx)
		}
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s was started and does not answer: %w", d.Name, err)
		case <-tick.C:
		}
	}
}
