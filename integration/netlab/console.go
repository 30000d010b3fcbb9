package netlab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
)

// request is one line on a node's console; three files come with it.
type request struct {
	Argv   []string
	Env    []string
	Detach bool // answer with the process number at once
	PID    int  // with Signal: send it instead of running anything
	Signal int
}

// answer is a node's one line back.
type answer struct {
	Code  int    // exit code, process number or errno
	Error string // why the command could not be started
}

// console sends a request and waits for the answer; closing early (the end of ctx) kills the command.
func console(ctx context.Context, path string, req request, files [3]*os.File) (int, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return 0, errors.Join(errNoPower, err)
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	line, err := json.Marshal(req)
	if err != nil {
		return 0, err
	}
	rights := syscall.UnixRights(int(files[0].Fd()), int(files[1].Fd()), int(files[2].Fd()))
	if _, _, err := c.(*net.UnixConn).WriteMsgUnix(append(line, '\n'), rights, nil); err != nil {
		return 0, err
	}
	var ans answer
	if err := json.NewDecoder(c).Decode(&ans); err != nil {
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		return 0, fmt.Errorf("console: %w", err)
	}
	if ans.Error != "" {
		return 0, errors.New(ans.Error)
	}
	return ans.Code, nil
}

// nodeMain is the first process of a node: it sets up the machine, runs what
// the console asks for and reaps what dies. It ends only by the power cut.
func nodeMain(specJSON string) int {
	var spec nodeSpec
	if err := json.Unmarshal([]byte(specJSON), &spec); err != nil {
		fmt.Fprintln(os.Stderr, "node:", err)
		return 1
	}
	if err := setUpNode(spec); err != nil {
		fmt.Fprintln(os.Stderr, "node:", err)
		return 1
	}
	os.Unsetenv(roleEnv)
	os.Unsetenv(nodeEnv)
	listener, err := net.Listen("unix", spec.Console)
	if err != nil {
		fmt.Fprintln(os.Stderr, "node:", err)
		return 1
	}
	procs := newProcessTable()
	go procs.reap()
	for {
		c, err := listener.Accept()
		if err != nil {
			fmt.Fprintln(os.Stderr, "node:", err)
			return 1
		}
		go procs.serve(c.(*net.UnixConn))
	}
}

func setUpNode(spec nodeSpec) error {
	if err := privateMounts(); err != nil {
		return err
	}
	for target, source := range spec.Binds {
		if err := os.MkdirAll(target, 0o755); err != nil {
			return err
		}
		if err := syscall.Mount(source, target, "", syscall.MS_BIND, ""); err != nil {
			return fmt.Errorf("show %s at %s: %w", source, target, err)
		}
	}
	if err := syscall.Sethostname([]byte(spec.Name)); err != nil {
		return err
	}
	if err := linkUp("lo"); err != nil {
		return err
	}
	var err error
	for end := time.Now().Add(bootTimeout); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if _, err = netlink.LinkByName("eth0"); err == nil {
			break
		}
	}
	if err != nil {
		return err
	}
	return configureEth0(spec.Prefix)
}

func configureEth0(prefix netip.Prefix) error {
	if err := addAddress("eth0", prefix); err != nil {
		return err
	}
	// An interface answers only for its own addresses, as on a router or a
	// director, and sends gratuitous ARP unasked only when told.
	for file, value := range map[string]string{
		"/proc/sys/net/ipv4/conf/all/arp_ignore":           "1",
		"/proc/sys/net/ipv4/conf/all/arp_announce":         "2",
		"/proc/sys/net/ipv4/conf/eth0/promote_secondaries": "1",
	} {
		if err := os.WriteFile(file, []byte(value), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// processTable knows the commands whose end somebody waits for. Orphans are
// reaped without ado: a zombie would look alive to those who ask by number.
type processTable struct {
	mu    sync.Mutex
	exits map[int]chan int
	sig   chan os.Signal
}

func newProcessTable() *processTable {
	p := &processTable{exits: map[int]chan int{}, sig: make(chan os.Signal, 64)}
	signal.Notify(p.sig, syscall.SIGCHLD)
	return p
}

func (p *processTable) reap() {
	for range p.sig {
		for {
			var status syscall.WaitStatus
			p.mu.Lock() // held over wait4, so that start has entered its child before we look for it
			pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
			ch := p.exits[pid]
			delete(p.exits, pid)
			p.mu.Unlock()
			if err != nil || pid <= 0 {
				break
			}
			if ch != nil {
				code := status.ExitStatus()
				if status.Signaled() {
					code = 128 + int(status.Signal())
				}
				ch <- code
			}
		}
	}
}

// start runs argv on the files in a process group of its own. The
// request's variables win over the node's, its PATH too.
func (p *processTable) start(req request, files []*os.File) (int, <-chan int, error) {
	env := mergeEnv(os.Environ(), req.Env)
	path, err := lookPath(req.Argv[0], env)
	if err != nil {
		return 0, nil, err
	}
	fds := make([]uintptr, len(files))
	for i, f := range files {
		fds[i] = f.Fd()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	pid, err := syscall.ForkExec(path, req.Argv, &syscall.ProcAttr{
		Dir:   "/",
		Env:   env,
		Files: fds,
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return 0, nil, fmt.Errorf("start %s: %w", path, err)
	}
	ch := make(chan int, 1)
	p.exits[pid] = ch
	return pid, ch, nil
}

// mergeEnv is base with the variables of more in it; a name stands once, since
// programs differ in which of two they take.
func mergeEnv(base, more []string) []string {
	name := func(v string) string { n, _, _ := strings.Cut(v, "="); return n }
	env := slices.DeleteFunc(slices.Clone(base), func(b string) bool {
		return slices.ContainsFunc(more, func(m string) bool { return name(m) == name(b) })
	})
	return append(env, more...)
}

// lookPath finds a program on the PATH of env.
func lookPath(program string, env []string) (string, error) {
	if strings.Contains(program, "/") {
		return exec.LookPath(program)
	}
	for _, v := range env {
		path, ok := strings.CutPrefix(v, "PATH=")
		if !ok {
			continue
		}
		for _, dir := range filepath.SplitList(path) {
			if found, err := exec.LookPath(filepath.Join(dir, program)); err == nil {
				return found, nil
			}
		}
	}
	return "", fmt.Errorf("%s: not on the node's PATH", program)
}

func (p *processTable) serve(c *net.UnixConn) {
	defer c.Close()
	req, files, err := receive(c)
	defer func() {
		for _, f := range files {
			f.Close()
		}
	}()
	if err != nil {
		return // a mere knock
	}
	ans := p.carryOut(c, req, files)
	json.NewEncoder(c).Encode(ans)
}

func (p *processTable) carryOut(c *net.UnixConn, req request, files []*os.File) answer {
	if req.Signal != 0 {
		err := syscall.Kill(req.PID, syscall.Signal(req.Signal))
		errno, _ := err.(syscall.Errno)
		return answer{Code: int(errno)}
	}
	pid, exit, err := p.start(req, files)
	if err != nil {
		return answer{Error: err.Error()}
	}
	if req.Detach {
		return answer{Code: pid}
	}
	gone := make(chan struct{})
	go func() { // the other end says no more: its only message is to hang up
		io.Copy(io.Discard, c)
		close(gone)
	}()
	select {
	case code := <-exit:
		return answer{Code: code}
	case <-gone:
		syscall.Kill(-pid, syscall.SIGKILL)
		return answer{Code: 128 + int(syscall.SIGKILL)}
	}
}

// maxRequest bounds a console line.
const maxRequest = 64 << 10

func receive(c *net.UnixConn) (request, []*os.File, error) {
	var req request
	buf, oob := make([]byte, maxRequest), make([]byte, syscall.CmsgSpace(3*4))
	n, oobn, _, _, err := c.ReadMsgUnix(buf, oob)
	if err != nil {
		return req, nil, err
	}
	if n == 0 {
		return req, nil, io.EOF
	}
	messages, err := syscall.ParseSocketControlMessage(oob[:oobn])
	if err != nil {
		return req, nil, err
	}
	var files []*os.File
	for _, m := range messages {
		fds, err := syscall.ParseUnixRights(&m)
		if err != nil {
			return req, files, err
		}
		for _, fd := range fds {
			syscall.CloseOnExec(fd)
			files = append(files, os.NewFile(uintptr(fd), "console"))
		}
	}
	if len(files) != 3 {
		return req, files, fmt.Errorf("console: %d files instead of 3", len(files))
	}
	return req, files, json.Unmarshal(buf[:n], &req)
}
