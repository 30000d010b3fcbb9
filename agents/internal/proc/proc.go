// Package proc looks at processes: whether a pid is what a pid file says it is,
// and when it ends.
package proc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Process is one living process (a zombie is not).
type Process struct {
	PID     int
	Parent  int
	Session int
	Name    string // comm, 15 bytes at most
	Command string // argv joined by spaces; some programs rewrite it
}

// Find reads one process; false if it does not live.
func Find(pid int) (Process, bool) {
	if pid <= 0 {
		return Process{}, false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return Process{}, false
	}
	p, alive := parseStat(string(stat))
	if !alive {
		return Process{}, false
	}
	cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return Process{}, false
	}
	p.Command = string(bytes.TrimSpace(bytes.ReplaceAll(cmdline, []byte{0}, []byte{' '})))
	return p, true
}

// execTime bounds how long a process may show nothing of itself while it begins a program.
const execTime = 2 * time.Second

// Began tells whether a living process was begun with all these variables, each
// NAME=value, in its environment. In the middle of execve(2), and still for a
// moment after whoever waits for it has been told that it succeeded, the kernel
// shows no environment and no arguments: that is no answer, so it is asked again.
func Began(pid int, variables ...string) bool {
	for end := time.Now().Add(execTime); ; time.Sleep(time.Millisecond) {
		p, alive := Find(pid)
		if !alive {
			return false
		}
		env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		if err != nil {
			return false
		}
		if len(env) > 0 || p.Command != "" || time.Now().After(end) {
			env = append([]byte{0}, env...)
			return !slices.ContainsFunc(variables, func(v string) bool { return !bytes.Contains(env, []byte("\x00"+v+"\x00")) })
		}
	}
}

// parseStat reads /proc/PID/stat (proc(5)): pid (comm) state ppid pgrp session …
func parseStat(stat string) (p Process, alive bool) {
	open, end := strings.IndexByte(stat, '('), strings.LastIndexByte(stat, ')')
	if open < 0 || end < open {
		return p, false
	}
	f := strings.Fields(stat[end+1:])
	if len(f) < 4 || f[0] == "Z" || f[0] == "X" {
		return p, false
	}
	p.Name = stat[open+1 : end]
	p.PID, _ = strconv.Atoi(strings.TrimSpace(stat[:open]))
	p.Parent, _ = strconv.Atoi(f[1])
	p.Session, _ = strconv.Atoi(f[3])
	return p, true
}

// Session lists the living processes of a session.
func Session(sid int) (ps []Process) {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, d := range dirs {
		pid, _ := strconv.Atoi(filepath.Base(d))
		if p, ok := Find(pid); ok && p.Session == sid {
			ps = append(ps, p)
		}
	}
	return ps
}

// ReadPIDFile is the pid in a file; 0 when there is no file or no pid in it.
func ReadPIDFile(path string) int {
	f, err := os.Open(path)
	if err != nil {
		return 0
	}
	defer f.Close()
	buf := make([]byte, 32)
	n, _ := f.Read(buf)
	pid, err := strconv.Atoi(strings.TrimSpace(string(buf[:n])))
	if err != nil || pid <= 1 {
		return 0
	}
	return pid
}

// Handle is a pidfd: it means one process and never another that got its pid.
type Handle struct{ fd int }

// Open takes a handle; ESRCH when there is no such process.
func Open(pid int) (*Handle, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, fmt.Errorf("process %d: %w", pid, err)
	}
	return &Handle{fd}, nil
}

// Close releases the handle.
func (h *Handle) Close() { unix.Close(h.fd) }

// Signal sends one; a process that has ended is no error.
func (h *Handle) Signal(sig unix.Signal) error {
	err := unix.PidfdSendSignal(h.fd, sig, nil, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	return err
}

// Wait waits for the end of the process: true if it ended before ctx did.
func (h *Handle) Wait(ctx context.Context) bool {
	// The end of ctx wakes the poll through a pipe, so nothing wakes for nothing.
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return h.Ended()
	}
	defer unix.Close(pipe[0])
	written := make(chan struct{})
	stop := context.AfterFunc(ctx, func() { unix.Close(pipe[1]); close(written) })
	defer func() {
		if stop() {
			unix.Close(pipe[1])
		} else {
			<-written
		}
	}()
	for {
		fds := []unix.PollFd{{Fd: int32(h.fd), Events: unix.POLLIN}, {Fd: int32(pipe[0]), Events: unix.POLLIN}}
		if _, err := unix.Poll(fds, -1); err != nil && !errors.Is(err, unix.EINTR) {
			return false
		}
		if fds[0].Revents != 0 {
			return true
		}
		if fds[1].Revents != 0 {
			return false
		}
	}
}

// Ended tells whether the process has ended.
func (h *Handle) Ended() bool {
	fds := []unix.PollFd{{Fd: int32(h.fd), Events: unix.POLLIN}}
	n, _ := unix.Poll(fds, 0)
	return n > 0
}

// Step is one rung of a ladder of signals.
type Step struct {
	Signal unix.Signal
	Grace  time.Duration // how long to wait for the end; 0 waits as long as ctx allows
}

// End sends the signals of the ladder one after the other until the process has
// ended. It tells whether it has.
func (h *Handle) End(ctx context.Context, ladder ...Step) bool {
	for _, s := range ladder {
		if h.Ended() {
			return true
		}
		if err := h.Signal(s.Signal); err != nil {
			return false
		}
		wait, cancel := ctx, context.CancelFunc(func() {})
		if s.Grace > 0 {
			wait, cancel = context.WithTimeout(ctx, s.Grace)
		}
		ended := h.Wait(wait)
		cancel()
		if ended {
			return true
		}
	}
	return h.Ended()
}
