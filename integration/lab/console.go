package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"systole/integration/lab/line"
)

// errNoPower is why a node's console answers nothing.
var errNoPower = errors.New("the node has no power")

// console is the harness's end of a node's second console, from one boot to the
// end of its power. Its reader is the only one that takes from it.
type console struct {
	conn net.Conn
	// dir is a directory of the node, as it is called outside and inside.
	dir, inside string

	fence func(line.FenceCall) line.FenceAnswer
	ready chan struct{} // closed by the node's first word
	gone  chan struct{} // closed when nothing more can come

	send sync.Mutex // one line at a time

	mu      sync.Mutex
	nextID  uint64
	waiting map[uint64]chan line.Reply
}

// newConsole returns the harness's end and the file for the node.
func newConsole(dir, inside string, fence func(line.FenceCall) line.FenceAnswer) (*console, *os.File, error) {
	ends, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	ours := os.NewFile(uintptr(ends[0]), "console")
	theirs := os.NewFile(uintptr(ends[1]), "console")
	conn, err := net.FileConn(ours)
	ours.Close()
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	c := &console{
		conn: conn, dir: dir, inside: inside, fence: fence, waiting: map[uint64]chan line.Reply{},
		ready: make(chan struct{}), gone: make(chan struct{}),
	}
	go c.read()
	return c, theirs, nil
}

func (c *console) read() {
	defer close(c.gone)
	in := line.NewReader(c.conn)
	for {
		var r line.Reply
		if in.Read(&r) != nil {
			return
		}
		switch {
		case r.Ready:
			close(c.ready)
		case r.Fence != nil:
			// A call may wait for the power of the node it came from: not here.
			go func() {
				answer := c.fence(*r.Fence)
				c.write(line.Request{ID: r.ID, Fenced: &answer})
			}()
		default:
			c.mu.Lock()
			ch := c.waiting[r.ID]
			delete(c.waiting, r.ID)
			c.mu.Unlock()
			if ch != nil {
				ch <- r // has room for one
			}
		}
	}
}

// write sends a request: on the console, or as a file if it is long.
func (c *console) write(req line.Request) error {
	b, err := json.Marshal(req)
	if err != nil {
		return err
	}
	if len(b) > line.MostTyped {
		name := fmt.Sprintf("request.%d", req.ID)
		if req.Fenced != nil {
			name = fmt.Sprintf("fenced.%d", req.ID) // the node counts its calls by itself
		}
		if err := os.WriteFile(filepath.Join(c.dir, name), b, 0o600); err != nil {
			return err
		}
		req = line.Request{ID: req.ID, File: path.Join(c.inside, name)}
	}
	c.send.Lock()
	defer c.send.Unlock()
	return line.Write(c.conn, req)
}

// close ends the console; whoever waits learns that the power is gone.
func (c *console) close() {
	c.conn.Close()
	<-c.gone
}

// do sends a request and waits for its reply; the end of ctx kills the command.
func (c *console) do(ctx context.Context, req line.Request) (line.Reply, error) {
	if end, ok := ctx.Deadline(); ok {
		req.Timeout = time.Until(end) // the node kills it even when it hears no more from us
	}
	ch := make(chan line.Reply, 1)
	c.mu.Lock()
	c.nextID++
	req.ID = c.nextID
	c.waiting[req.ID] = ch
	c.mu.Unlock()
	if err := c.write(req); err != nil {
		return line.Reply{}, errors.Join(errNoPower, err)
	}
	select {
	case r := <-ch:
		if r.Error != "" {
			return r, errors.New(r.Error)
		}
		return r, nil
	case <-c.gone:
		return line.Reply{}, errNoPower
	case <-ctx.Done():
		c.mu.Lock()
		delete(c.waiting, req.ID)
		c.mu.Unlock()
		// A frozen node takes nothing from its console: do not wait for room in it.
		c.conn.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		c.write(line.Request{ID: req.ID, Cancel: true})
		c.conn.SetWriteDeadline(time.Time{})
		return line.Reply{}, context.Cause(ctx)
	}
}

// ExitError says that a command run in a node ended with a code other than 0.
type ExitError struct {
	Node, Command string
	Code          int // 128 and the signal, if one ended it
	Output        string
}

func (e *ExitError) Error() string {
	return fmt.Sprintf("%s: %s: exit code %d: %s", e.Node, e.Command, e.Code, strings.TrimSpace(e.Output))
}

// running is the console of the node, if it has power.
func (n *Node) running() (*console, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.machine == nil {
		return nil, fmt.Errorf("%s: %w", n.Name, errNoPower)
	}
	return n.machine.console, nil
}

// Run runs a command in the node out of band and returns its output, both
// streams together; a code other than 0 is an [*ExitError]. The end of ctx kills it.
func (n *Node) Run(ctx context.Context, argv ...string) (string, error) {
	return n.Feed(ctx, "", argv...)
}

// Feed is [Node.Run] with a standard input.
func (n *Node) Feed(ctx context.Context, stdin string, argv ...string) (string, error) {
	c, err := n.running()
	if err != nil {
		return "", err
	}
	r, err := c.do(ctx, line.Request{Argv: argv, Env: n.Env, Stdin: []byte(stdin)})
	out := string(r.Out)
	command := strings.Join(argv, " ")
	if err != nil {
		return out, fmt.Errorf("%s: %s: %w", n.Name, command, err)
	}
	if r.Code != 0 {
		return out, &ExitError{n.Name, command, r.Code, out}
	}
	return out, nil
}

// Shell is [Node.Run] of one line of shell.
func (n *Node) Shell(ctx context.Context, script string) (string, error) {
	return n.Run(ctx, "/bin/sh", "-c", script)
}

// Spawn starts a command that goes on after the call and returns its process
// number in the node. Its output is the file logName of the node's logs.
func (n *Node) Spawn(ctx context.Context, logName string, argv ...string) (int, error) {
	c, err := n.running()
	if err != nil {
		return 0, err
	}
	req := line.Request{Argv: argv, Env: n.Env, Detach: true}
	if logName != "" {
		req.Log = n.inside(logName)
	}
	r, err := c.do(ctx, req)
	if err != nil {
		return 0, fmt.Errorf("%s: %s: %w", n.Name, strings.Join(argv, " "), err)
	}
	return r.Code, nil
}
