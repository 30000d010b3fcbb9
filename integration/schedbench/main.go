// Command schedbench measures how long the scheduler takes as clusters grow: our
// crm_simulate beside another one (Debian's, from package pacemaker-cli-utils,
// where it is installed), on clusters it makes up itself. It prints one table.
//
// Both programs are given the same bytes and run as whole processes, one at a
// time; what counts is the processor time they use, because machines that
// measure are rarely idle. "Alone" is the scheduling without reading the XML and
// starting a process, taken inside this program.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"systole/crm/cib"
	"systole/crm/scheduler"
)

// now is the moment planned for; it only has to be the same for everyone.
var now = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func main() {
	ours := flag.String("ours", "bin/crm_simulate", "our `program`")
	reference := flag.String("reference", "/usr/sbin/crm_simulate", "the other `program`; it is left out when it is not there")
	rows := flag.String("rows", "small,steady,fresh,lost32,fresh32,packed", "which `rows` to measure, or all")
	timeout := flag.Duration("timeout", time.Minute, "give a run of the other program up after this `time`")
	reps := flag.Int("reps", 3, "runs of each, of which the fastest counts")
	dir := flag.String("dir", "", "keep the clusters in this `directory`")
	part := flag.String("part", "", "used by the program itself: make the cluster of this row, or schedule it alone")
	flag.Parse()
	if *part != "" {
		if err := runPart(*part, *dir, *reps); err != nil {
			fmt.Fprintln(os.Stderr, "schedbench:", err)
			os.Exit(1)
		}
		return
	}
	if err := run(*ours, *reference, *rows, *dir, *timeout, *reps); err != nil {
		fmt.Fprintln(os.Stderr, "schedbench:", err)
		os.Exit(1)
	}
}

// row is one line of the table: a cluster, and what it is to take at most.
type row struct {
	name  string
	shape Shape
	// cpu is the most processor time our whole process may take, in seconds.
	cpu float64
}

var rows = []row{
	{"small", Shape{Nodes: 3, Resources: 10, State: Fresh}, 0.015},
	{"steady", Shape{Nodes: 16, Resources: 500, State: Steady}, 0.06},
	{"fresh", Shape{Nodes: 16, Resources: 500, State: Fresh}, 0.1},
	{"lost32", Shape{Nodes: 32, Resources: 1000, State: NodeLost}, 0.25},
	{"fresh32", Shape{Nodes: 32, Resources: 1000, State: Fresh}, 0.5},
	{"many", Shape{Nodes: 32, Resources: 3000, State: Fresh}, 2},
	{"large", Shape{Nodes: 64, Resources: 5000, State: NodeLost}, 2.5},
	{"packed", Shape{Nodes: 16, Resources: 500, State: Fresh, Utilization: true}, 0.2},
}

func run(ours, reference, names, dir string, timeout time.Duration, reps int) error {
	if dir == "" {
		temporary, err := os.MkdirTemp("", "schedbench")
		if err != nil {
			return err
		}
		defer os.RemoveAll(temporary)
		dir = temporary
	} else if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if _, err := os.Stat(reference); err != nil {
		fmt.Printf("%s is not installed (Debian: pacemaker-cli-utils), so there is nothing to compare with.\n", reference)
		reference = ""
	}
	fmt.Printf("%-8s %-24s %8s | %9s %8s %9s %8s | %9s %8s | %7s\n", "row", "cluster", "XML MB", "ours s", "MiB", "alone s", "at most", "theirs s", "MiB", "ratio")
	for _, r := range rows {
		if names != "all" && !slices.Contains(strings.Split(names, ","), r.name) {
			continue
		}
		if err := measureRow(r, ours, reference, dir, timeout, reps); err != nil {
			return fmt.Errorf("row %s: %w", r.name, err)
		}
	}
	return nil
}

func measureRow(r row, ours, reference, dir string, timeout time.Duration, reps int) error {
	if _, err := inChild("make "+r.name, dir, reps); err != nil {
		return err
	}
	path := filepath.Join(dir, r.name+".xml")
	doc, err := os.Stat(path)
	if err != nil {
		return err
	}
	mine, err := measure(ours, path, 10*time.Minute, reps)
	if err != nil {
		return err
	}
	text, err := inChild("alone "+r.name, dir, reps)
	if err != nil {
		return err
	}
	alone, err := time.ParseDuration(strings.TrimSpace(text))
	if err != nil {
		return err
	}
	fmt.Printf("%-8s %-24s %8.2f | %9.3f %8.0f %9.3f %8.3f | ", r.name, r.shape, float64(doc.Size())/1e6, mine.cpu.Seconds(), mine.memory, alone.Seconds(), r.cpu)
	if reference == "" {
		fmt.Printf("%9s %8s | %7s\n", "-", "-", "-")
		return nil
	}
	theirs, err := measure(reference, path, timeout, reps)
	switch {
	case err != nil:
		return err
	case theirs.ended:
		fmt.Printf("%9s %8.0f | %7s\n", fmt.Sprintf("> %.0f", theirs.cpu.Seconds()), theirs.memory, fmt.Sprintf("> %.0f", theirs.cpu.Seconds()/mine.cpu.Seconds()))
	default:
		fmt.Printf("%9.3f %8.0f | %7.1f\n", theirs.cpu.Seconds(), theirs.memory, theirs.cpu.Seconds()/mine.cpu.Seconds())
	}
	return nil
}

// inChild has another process of this program do what takes memory: the kernel counts what a process had when it starts
// another one as that one's peak.
func inChild(part, dir string, reps int) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	cmd := exec.Command(self, "-part", part, "-dir", dir, "-reps", strconv.Itoa(reps))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	return string(out), err
}

// runPart is what such a process does.
func runPart(part, dir string, reps int) error {
	what, name, _ := strings.Cut(part, " ")
	i := slices.IndexFunc(rows, func(r row) bool { return r.name == name })
	if i < 0 {
		return fmt.Errorf("there is no row %q", name)
	}
	path := filepath.Join(dir, name+".xml")
	if what == "make" {
		return os.WriteFile(path, Generate(rows[i].shape), 0o644)
	}
	doc, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	took, err := alone(doc, reps)
	fmt.Println(took)
	return err
}

// cost is what a process took.
type cost struct {
	cpu    time.Duration
	memory float64 // MiB, at the peak
	ended  bool    // it did not finish in time
}

// measure runs a program on a file several times and gives the cheapest run. One that takes long is run once.
func measure(program, path string, timeout time.Duration, reps int) (cost, error) {
	best := cost{}
	for i := range reps {
		c, err := once(program, path, timeout)
		if err != nil {
			return cost{}, err
		}
		if i == 0 || c.cpu < best.cpu {
			best = c
		}
		if c.ended || c.cpu > 5*time.Second {
			break
		}
	}
	return best, nil
}

func once(program, path string, timeout time.Duration) (cost, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "-x", path, "-R", "-Q")
	err := cmd.Run()
	if cmd.ProcessState == nil {
		return cost{}, err
	}
	c := cost{cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), ended: ctx.Err() != nil}
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		c.memory = float64(usage.Maxrss) / 1024
	}
	if err != nil && !c.ended {
		return cost{}, fmt.Errorf("%s: %w", program, err)
	}
	return c, nil
}

// alone is the processor time of scheduling itself.
func alone(doc []byte, reps int) (time.Duration, error) {
	root, err := cib.Parse(doc)
	if err != nil {
		return 0, err
	}
	best := time.Duration(0)
	for i := range reps {
		runtime.GC() // what an earlier run has left does not count, as crm_simulate does not collect in such a time either
		debug.SetGCPercent(-1)
		start := used()
		scheduler.Schedule(root, now, scheduler.Options{})
		if took := used() - start; i == 0 || took < best {
			best = took
		}
		debug.SetGCPercent(100)
	}
	return best, nil
}

// used is the processor time this process has used so far.
func used() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
