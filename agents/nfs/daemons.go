package nfs

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"systole/agents/internal/proc"
	"systole/agents/process"
)

// A daemon is known by its name and its network namespace: whoever started it, it is
// this server's.

// daemons are the living processes of a name in this network namespace.
func daemons(name string) (ps []proc.Process) {
	own, _ := os.Readlink("/proc/self/ns/net")
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, d := range dirs {
		pid, _ := strconv.Atoi(filepath.Base(d))
		p, ok := proc.Find(pid)
		if !ok || p.Name != name[:min(len(name), 15)] {
			continue
		}
		if ns, err := os.Readlink(filepath.Join(d, "ns", "net")); err == nil && ns == own {
			ps = append(ps, p)
		}
	}
	return ps
}

// spawn starts a daemon that stays in the foreground, unless one is there, and waits
// until it holds what ready wants open: an early question would find it deaf.
func spawn(ctx context.Context, name string, ready func(files []string) bool, args ...string) error {
	if len(daemons(name)) > 0 {
		return nil
	}
	pid, err := process.Spawn(process.Command{Path: tool(name), Args: args, Env: environment})
	if err != nil {
		return err
	}
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		if _, alive := proc.Find(pid); !alive {
			return fmt.Errorf("%s %s ended at once: its reason is in the system's log", name, strings.Join(args, " "))
		}
		if ready(openFiles(pid)) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s was started and is not ready", name)
		case <-tick.C:
		}
	}
}

// pollInterval is between two looks at something that comes within milliseconds.
const pollInterval = 10 * time.Millisecond

// openFiles is what the descriptors of a process are.
func openFiles(pid int) (files []string) {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if target, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil {
			files = append(files, target)
		}
	}
	return files
}

// holds is ready as soon as a file with such a part in its name is open.
func holds(part string) func([]string) bool {
	return func(files []string) bool {
		return slices.ContainsFunc(files, func(f string) bool { return strings.Contains(f, part) })
	}
}

// Times of the ladder that ends a daemon. They keep nothing but files.
const (
	termGrace = 3 * time.Second
	killGrace = 2 * time.Second
)

// end ends the daemons of the names, in order.
func end(ctx context.Context, names ...string) error {
	for _, name := range names {
		for _, p := range daemons(name) {
			h, err := proc.Open(p.PID)
			if err != nil {
				continue // gone
			}
			ended := h.End(ctx, proc.Step{Signal: unix.SIGTERM, Grace: termGrace}, proc.Step{Signal: unix.SIGKILL, Grace: killGrace})
			h.Close()
			if !ended {
				return fmt.Errorf("%s (%d) does not end", name, p.PID)
			}
		}
	}
	return nil
}
