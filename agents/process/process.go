// Package process runs the programs agents are made of: argv without a shell,
// an explicit environment, a process group of its own, no standard input
// unless given, bounded output, an ordinary priority unless it is urgent, and at the end of the
// context TERM, then KILL for the whole group, then reaping.
//
// It owns the child until it has exited. A daemon the child left behind is none
// of its business: it is neither waited for nor killed after the child's exit.
package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Bounds of one run.
const (
	// MaxStdout bytes are kept from the beginning (a metadata document), MaxStderr
	// from the end (the exit reason is the last line); the rest is read and dropped.
	MaxStdout = 1 << 20
	MaxStderr = 64 << 10
	// TermGrace is the time between TERM and KILL.
	TermGrace = 500 * time.Millisecond
	// killGrace is how long to wait for the kernel to end a killed process; one
	// stuck in it (state D) is left behind.
	killGrace = time.Second
)

// Command is what to run.
type Command struct {
	Path  string     // absolute
	Args  []string   // without argv[0]
	Env   []string   // complete: nothing is inherited
	Dir   string     // "" is the root directory
	Stdin []byte     // nil is an empty one
	Files []*os.File // inherited as descriptors 3, 4, …
	// Urgent is for what others wait for to be safe: it goes before whatever keeps the machine busy.
	Urgent bool
}

// Exit is how it ended.
type Exit struct {
	// Code is the exit status; -1 if a signal ended it.
	Code   int
	Signal syscall.Signal // 0 for an ordinary exit
	// Ended by this package because the context was done.
	Killed bool
	Stdout []byte
	Stderr []byte
	Took   time.Duration
}

// ErrStuck: the process did not go away after KILL.
var ErrStuck = errors.New("the process did not end after KILL: it is stuck in the kernel")

// Run runs a command to its end. Its error says that it could not be started
// (errors.Is fs.ErrNotExist, fs.ErrPermission) or is ErrStuck; a non-zero exit
// is not an error.
func Run(ctx context.Context, c Command) (Exit, error) {
	began := time.Now()
	cmd := c.cmd(&syscall.SysProcAttr{Setpgid: true})
	stdin, err := input(c.Stdin)
	if err != nil {
		return Exit{}, fmt.Errorf("run %s: standard input: %w", c.Path, err)
	}
	defer stdin.Close()
	cmd.Stdin = stdin
	stdout, stderr := &collector{max: MaxStdout}, &collector{max: MaxStderr, tail: true}
	if err := errors.Join(stdout.open(&cmd.Stdout), stderr.open(&cmd.Stderr)); err != nil {
		return Exit{}, fmt.Errorf("run %s: %w", c.Path, err)
	}
	err = begin(cmd, c.Urgent)
	stdout.start()
	stderr.start()
	if err != nil {
		stdout.finish()
		stderr.finish()
		return Exit{}, fmt.Errorf("run %s: %w", c.Path, err)
	}
	killed, err := await(ctx, cmd)
	exit := Exit{Code: -1, Killed: killed, Took: time.Since(began)}
	if err == nil {
		exit.Code = cmd.ProcessState.ExitCode()
		if ws := cmd.ProcessState.Sys().(syscall.WaitStatus); ws.Signaled() {
			exit.Signal = ws.Signal()
		}
	}
	exit.Stdout, exit.Stderr = stdout.finish(), stderr.finish()
	return exit, err
}

// Spawn starts a daemon in a session of its own, with no input and output, and
// returns its pid. It outlives this program; while this program lives it is reaped.
func Spawn(c Command) (pid int, err error) {
	cmd := c.cmd(&syscall.SysProcAttr{Setsid: true})
	if err := begin(cmd, c.Urgent); err != nil { // nil Stdin, Stdout and Stderr are /dev/null
		return 0, fmt.Errorf("start %s: %w", c.Path, err)
	}
	go cmd.Wait() // ends with the daemon or with us; its status says nothing a monitor does not
	return cmd.Process.Pid, nil
}

func (c Command) cmd(attr *syscall.SysProcAttr) *exec.Cmd {
	dir := c.Dir
	if dir == "" {
		dir = "/"
	}
	env := c.Env
	if env == nil {
		env = []string{}
	}
	return &exec.Cmd{Path: c.Path, Args: append([]string{c.Path}, c.Args...), Env: env, Dir: dir, ExtraFiles: c.Files, SysProcAttr: attr}
}

// await waits for the exit; when ctx is done first it ends the whole group.
func await(ctx context.Context, cmd *exec.Cmd) (killed bool, err error) {
	exited := make(chan struct{})
	go func() {
		cmd.Wait() // the state is in cmd; output goes to files, so there is no other error
		close(exited)
	}()
	select {
	case <-exited:
		return false, nil
	case <-ctx.Done():
	}
	group := -cmd.Process.Pid
	for _, step := range []struct {
		sig   syscall.Signal
		grace time.Duration
	}{{syscall.SIGTERM, TermGrace}, {syscall.SIGKILL, killGrace}} {
		syscall.Kill(group, step.sig) // ESRCH: it is just ending
		timer := time.NewTimer(step.grace)
		select {
		case <-exited:
			timer.Stop()
			// What ignored TERM in the same group must not outlive its leader.
			syscall.Kill(group, syscall.SIGKILL)
			return true, nil
		case <-timer.C:
		}
	}
	return true, ErrStuck
}

// input is a file to read from: /dev/null, or an anonymous one with the data,
// so that no goroutine has to feed a child that may never read.
func input(data []byte) (*os.File, error) {
	if len(data) == 0 {
		return os.Open(os.DevNull)
	}
	fd, err := unix.MemfdCreate("stdin", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "stdin")
	if _, err := f.Write(data); err != nil {
		f.Close()
		return nil, err
	}
	_, err = f.Seek(0, 0)
	return f, err
}

// collector reads one output stream into a bounded buffer.
type collector struct {
	max  int
	tail bool // keep the end rather than the beginning
	r, w *os.File
	buf  bytes.Buffer
	done sync.WaitGroup

	drained int // bytes, after the child's exit
}

func (c *collector) open(child *io.Writer) (err error) {
	if c.r, c.w, err = os.Pipe(); err != nil {
		return err
	}
	*child = c.w
	return nil
}

// start reads; our copy of the writing end is closed first, so that the child's
// exit is the end of the file.
func (c *collector) start() {
	c.w.Close()
	c.done.Go(func() {
		chunk := make([]byte, 16<<10)
		for {
			n, err := c.r.Read(chunk)
			c.keep(chunk[:n])
			if err != nil {
				return
			}
		}
	})
}

func (c *collector) keep(b []byte) {
	if !c.tail {
		c.buf.Write(b[:min(len(b), c.max-c.buf.Len())])
		return
	}
	c.buf.Write(b)
	if over := c.buf.Len() - c.max; over > 0 {
		c.buf.Next(over)
	}
}

// finish takes what the child has written until now. It does not wait for the
// end of the file: a daemon left behind may hold the other end for ever.
func (c *collector) finish() []byte {
	c.r.SetReadDeadline(time.Now())
	c.done.Wait()
	c.r.SetReadDeadline(time.Time{})
	if conn, err := c.r.SyscallConn(); err == nil {
		chunk := make([]byte, 16<<10)
		conn.Read(func(fd uintptr) (done bool) { // without waiting: the pipe is non-blocking
			for {
				n, err := unix.Read(int(fd), chunk)
				if n <= 0 || err != nil {
					return true
				}
				c.keep(chunk[:n])
				if c.drained += n; c.drained > c.max {
					return true // a daemon that writes without end
				}
			}
		})
	}
	c.r.Close()
	return c.buf.Bytes()
}

// maxText bounds Text: enough for the last messages of a script.
const maxText = 2 << 10

// Text is the end of both outputs as valid text, for the log.
func (e Exit) Text() string {
	out, errs := bytes.TrimSpace(e.Stdout), bytes.TrimSpace(e.Stderr)
	text := append(slices.Clone(out[max(0, len(out)-maxText/2):]), '\n')
	text = append(text, errs[max(0, len(errs)-maxText/2):]...)
	return strings.ToValidUTF8(string(bytes.TrimSpace(text)), "?")
}
