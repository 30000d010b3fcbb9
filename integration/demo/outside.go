package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"systole/integration/netlab"
	"systole/integration/stage"
)

// outside is the part that stays on the host: it makes the scratch directory,
// runs everything else inside the lab, and then looks whether anything is left.
func outside(keep bool) error {
	if keep {
		if dir, err := keptDir(); err == nil {
			return fmt.Errorf("a demo is up already in %s; end it with: make demo-down", dir)
		}
	}
	before := lookAround()
	dir, err := os.MkdirTemp("", "systole-") // short: it holds sockets, whose paths may have 107 characters
	if err != nil {
		return err
	}
	os.Setenv(dirEnv, dir)
	code, _ := netlab.Enter(keep)
	if keep && code == 0 {
		return os.WriteFile(keptFile(), []byte(dir), 0o600)
	}
	if code != 0 {
		saveLogs(dir)
	}
	os.Unsetenv(dirEnv)
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if left := before.missing(lookAround(), dir); len(left) > 0 {
		return fmt.Errorf("left behind: %s", strings.Join(left, "; "))
	}
	if code != 0 {
		return errSilent
	}
	return nil
}

// saveLogs keeps the daemons' logs of a run that failed, for reading.
func saveLogs(dir string) {
	logs, _ := filepath.Glob(filepath.Join(dir, "*", "*.log"))
	kept := filepath.Join(filepath.Dir(keptFile()), "demo-logs")
	os.RemoveAll(kept)
	for _, log := range logs {
		text, err := os.ReadFile(log)
		if err != nil {
			continue
		}
		to := filepath.Join(kept, filepath.Base(filepath.Dir(log))+"-"+filepath.Base(log))
		if os.MkdirAll(kept, 0o755) == nil {
			os.WriteFile(to, text, 0o644)
		}
	}
	fmt.Fprintln(os.Stderr, "the daemons' logs are in", kept)
}

// surroundings is what a run must leave as it was.
type surroundings struct {
	links  []string
	mounts []string
}

func lookAround() surroundings {
	var s surroundings
	interfaces, _ := net.Interfaces()
	for _, i := range interfaces {
		s.links = append(s.links, i.Name)
	}
	mounts, _ := os.ReadFile("/proc/self/mounts")
	s.mounts = strings.Split(strings.TrimSpace(string(mounts)), "\n")
	return s
}

// missing lists what is there after and was not before, and processes that still carry the lab's mark.
func (s surroundings) missing(after surroundings, dir string) []string {
	var left []string
	for _, l := range after.links {
		if !slices.Contains(s.links, l) {
			left = append(left, "link "+l)
		}
	}
	for _, m := range after.mounts {
		if !slices.Contains(s.mounts, m) && strings.Contains(m, dir) {
			left = append(left, "mount "+m)
		}
	}
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		processes := carrying(dirEnv + "=" + dir)
		if len(processes) == 0 {
			return left
		}
		if time.Now().After(end) {
			return append(left, "processes "+strings.Join(processes, " "))
		}
	}
}

// carrying are the numbers of processes with an environment variable.
func carrying(variable string) []string {
	var pids []string
	all, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, path := range all {
		env, err := os.ReadFile(path)
		if err == nil && slices.Contains(strings.Split(string(env), "\x00"), variable) {
			pids = append(pids, filepath.Base(filepath.Dir(path)))
		}
	}
	return pids
}

// keptFile names the directory of a demo left up.
func keptFile() string {
	self, err := os.Executable()
	if err != nil {
		self = os.Args[0]
	}
	build := filepath.Join(filepath.Dir(self), "..", "build")
	os.MkdirAll(build, 0o755)
	return filepath.Join(build, "demo.dir")
}

var errNoDemo = errors.New("no demo is up; start one with: make demo KEEP=1")

func keptDir() (string, error) {
	dir, err := os.ReadFile(keptFile())
	if err != nil || len(carrying(dirEnv+"="+string(dir))) == 0 {
		return "", errNoDemo
	}
	return string(dir), nil
}

// down ends a demo left up: its lab hears of it over the control socket.
func down() error {
	dir, err := keptDir()
	if err != nil {
		return err
	}
	c, err := net.Dial("unix", filepath.Join(dir, controlName))
	if err != nil {
		return fmt.Errorf("end the demo in %s: %w", dir, err)
	}
	c.Close()
	if left := lookAround().missing(surroundings{}, dir); len(left) > 0 {
		return fmt.Errorf("left behind: %s", strings.Join(left, "; "))
	}
	return errors.Join(os.RemoveAll(dir), os.Remove(keptFile()))
}

// execOn runs a command on a node of a demo left up, on this terminal.
func execOn(node string, argv []string) error {
	dir, err := keptDir()
	if err != nil {
		return err
	}
	bin, err := binDir()
	if err != nil {
		return err
	}
	nodeDir := filepath.Join(dir, node)
	code, err := netlab.Attach(context.Background(), nodeDir, stage.Env(bin, nodeDir), [3]*os.File{os.Stdin, os.Stdout, os.Stderr}, argv...)
	if err != nil {
		return fmt.Errorf("%s: %w", node, err)
	}
	if code != 0 {
		os.Exit(code)
	}
	return nil
}

// controlName is the socket on which a kept lab waits to be ended.
const controlName = "control.sock"

// serveUntilDown waits for down, or for a signal.
func serveUntilDown(ctx context.Context, dir string) error {
	l, err := net.Listen("unix", filepath.Join(dir, controlName))
	if err != nil {
		return err
	}
	defer l.Close()
	if err := netlab.Detach(); err != nil {
		return err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	for fd := range 3 { // the terminal belongs to somebody else from here on
		syscall.Dup3(int(null.Fd()), fd, 0)
	}
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	if c, err := l.Accept(); err == nil {
		c.Close()
	}
	return nil
}
