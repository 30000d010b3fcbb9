package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"systole/integration/lab/line"
)

// agent carries out requests. mu guards what follows it: leaf maps only.
type agent struct {
	tty  *os.File
	send sync.Mutex // one line at a time

	mu      sync.Mutex
	running map[uint64]context.CancelFunc
	calls   map[uint64]chan line.FenceAnswer
	nextID  uint64
}

// serve answers on the console until it closes, which happens only with the node's end.
func serve(path string) error {
	tty, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return err
	}
	if err := raw(int(tty.Fd())); err != nil {
		return fmt.Errorf("set up %s: %w", path, err)
	}
	a := &agent{tty: tty, running: map[uint64]context.CancelFunc{}, calls: map[uint64]chan line.FenceAnswer{}}
	listener, err := net.Listen("unix", switchSocket)
	if err != nil {
		return err
	}
	go a.takeFenceCalls(listener)
	a.reply(line.Reply{Ready: true})
	in := line.NewReader(tty)
	for {
		var req line.Request
		if err := in.Read(&req); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if req.File != "" {
			req = a.open(req)
		}
		a.take(req)
	}
}

// open fetches a request that was too long to be typed.
func (a *agent) open(letter line.Request) (req line.Request) {
	b, err := os.ReadFile(letter.File)
	if err == nil {
		err = json.Unmarshal(b, &req)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "guest: request:", err)
	}
	os.Remove(letter.File)
	req.ID = letter.ID
	return req
}

// raw lets every byte pass as it is.
func raw(fd int) error {
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return err
	}
	t.Iflag, t.Oflag, t.Lflag = 0, 0, 0
	t.Cflag = t.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
	return unix.IoctlSetTermios(fd, unix.TCSETS, t)
}

func (a *agent) reply(r line.Reply) {
	a.send.Lock()
	defer a.send.Unlock()
	if err := line.Write(a.tty, r); err != nil {
		fmt.Fprintln(os.Stderr, "guest: answer:", err)
	}
}

func (a *agent) take(req line.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case req.Fenced != nil:
		if ch := a.calls[req.ID]; ch != nil {
			ch <- *req.Fenced // has room for one
			delete(a.calls, req.ID)
		}
	case req.Cancel:
		if cancel := a.running[req.ID]; cancel != nil {
			cancel()
		}
	case len(req.Argv) == 0:
		go a.reply(line.Reply{ID: req.ID, Error: "no command"})
	case req.Detach:
		go func() { a.reply(detach(req)) }()
	default:
		ctx, cancel := context.WithCancel(context.Background())
		if req.Timeout > 0 {
			ctx, cancel = context.WithTimeout(context.Background(), req.Timeout)
		}
		a.running[req.ID] = cancel
		go func() {
			r := run(ctx, req)
			a.mu.Lock()
			delete(a.running, req.ID)
			a.mu.Unlock()
			cancel()
			a.reply(r)
		}()
	}
}

func command(ctx context.Context, req line.Request) *exec.Cmd {
	c := exec.CommandContext(ctx, req.Argv[0], req.Argv[1:]...)
	c.Env = append(os.Environ(), req.Env...)
	c.Dir = "/"
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return c
}

// run runs a command to its end; the end of ctx kills it and its children.
func run(ctx context.Context, req line.Request) line.Reply {
	c := command(ctx, req)
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	c.WaitDelay = time.Second
	var out bounded
	c.Stdin, c.Stdout, c.Stderr = bytes.NewReader(req.Stdin), &out, &out
	err := c.Run()
	r := line.Reply{ID: req.ID, Out: out.b.Bytes()}
	switch exit, ok := errors.AsType[*exec.ExitError](err); {
	case ctx.Err() != nil:
		r.Error = "killed: " + context.Cause(ctx).Error()
	case err == nil, errors.Is(err, exec.ErrWaitDelay): // a child kept the output open
	case ok:
		r.Code = exit.ExitCode()
		if status := exit.Sys().(syscall.WaitStatus); status.Signaled() {
			r.Code = 128 + int(status.Signal())
		}
	default:
		r.Error = err.Error()
	}
	return r
}

// detach starts a command that outlives the request.
func detach(req line.Request) line.Reply {
	c := command(context.Background(), req)
	if req.Log != "" {
		log, err := os.OpenFile(req.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			return line.Reply{ID: req.ID, Error: err.Error()}
		}
		defer log.Close()
		c.Stdout, c.Stderr = log, log
	}
	if err := c.Start(); err != nil {
		return line.Reply{ID: req.ID, Error: err.Error()}
	}
	go c.Wait()
	return line.Reply{ID: req.ID, Code: c.Process.Pid}
}

// bounded keeps the first line.MostOutput bytes.
type bounded struct{ b bytes.Buffer }

func (o *bounded) Write(p []byte) (int, error) {
	o.b.Write(p[:min(len(p), line.MostOutput-o.b.Len())])
	return len(p), nil
}
