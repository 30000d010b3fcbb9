package netlab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// bootTimeout bounds the making of a node; it takes some 30 ms.
const bootTimeout = time.Minute

// Node is one machine. Its disk is Dir and survives a power cut; its network,
// processes and /run do not.
type Node struct {
	Name string
	Addr netip.Addr
	MAC  net.HardwareAddr
	Dir  string
	// Binds shows directories of the lab inside the node, at paths below /run:
	// target → source. It takes effect at the next Boot.
	Binds map[string]string

	lab    *Lab
	number int
	init   *exec.Cmd // its first process; nil while switched off
	boots  int
	port   string // its end of the cable on the bridge
}

// nodeSpec is what a node's first process must know.
type nodeSpec struct {
	Name    string
	Prefix  netip.Prefix
	Console string
	Binds   map[string]string
}

// consoleName is the socket over which the lab runs commands in the node, whatever its network does.
const consoleName = "console.sock"

func (n *Node) consolePath() string { return filepath.Join(n.Dir, consoleName) }

// Running tells whether the node has power.
func (n *Node) Running() bool { return n.init != nil }

// Port is the name of the node's cable on the bridge side.
func (n *Node) Port() string { return n.port }

// Boot switches the node on with fresh kernel state and waits until commands can be run in it.
func (n *Node) Boot() error {
	if n.Running() {
		return fmt.Errorf("boot %s: it is running", n.Name)
	}
	n.boots++
	spec, err := json.Marshal(nodeSpec{n.Name, netip.PrefixFrom(n.Addr, ClientPrefix.Bits()), n.consolePath(), n.Binds})
	if err != nil {
		return err
	}
	os.Remove(n.consolePath())
	log, err := os.OpenFile(filepath.Join(n.Dir, "init.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command("/proc/self/exe")
	cmd.Args[0] = "node-" + n.Name
	cmd.Env = append(os.Environ(), roleEnv+"="+roleNode, nodeEnv+"="+string(spec))
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
		Pdeathsig:  syscall.SIGKILL,
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("boot %s: %w", n.Name, err)
	}
	n.init = cmd
	if err := n.plugIn(); err != nil {
		n.PowerCut()
		return fmt.Errorf("boot %s: %w", n.Name, err)
	}
	return n.awaitConsole()
}

// plugIn lays a cable from the bridge to the node. A new name each boot: the
// kernel destroys the old cable some time after the power cut.
func (n *Node) plugIn() error {
	n.port = fmt.Sprintf("%s.%d", n.Name, n.boots)
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MasterIndex = n.port, n.lab.bridge.Index
	return netlink.LinkAdd(&netlink.Veth{
		LinkAttrs:        attrs,
		PeerName:         "eth0",
		PeerHardwareAddr: n.MAC,
		PeerNamespace:    netlink.NsPid(n.init.Process.Pid),
	})
}

func (n *Node) awaitConsole() error {
	link, err := netlink.LinkByName(n.port)
	if err != nil {
		return err
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return err
	}
	for end := time.Now().Add(bootTimeout); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if c, err := net.Dial("unix", n.consolePath()); err == nil {
			return c.Close()
		}
	}
	n.PowerCut()
	return fmt.Errorf("boot %s: no console after %v, see %s/init.log", n.Name, bootTimeout, n.Dir)
}

// PowerCut pulls the cable, then kills everything on the node at one blow, as
// a real power cut silences the wire and the processes together. No effect on a node without power.
func (n *Node) PowerCut() {
	if n.init == nil {
		return
	}
	if link, err := netlink.LinkByName(n.port); err == nil {
		netlink.LinkSetDown(link)
		netlink.LinkSetNoMaster(link)
	}
	n.init.Process.Kill() // the first process of its namespace: the kernel kills the rest
	n.init.Wait()
	n.init = nil
}

// Freeze stops every process of the node; its kernel goes on answering. Thaw lets them go on.
func (n *Node) Freeze() error { return n.signalAll(syscall.SIGSTOP) }

// Thaw ends a Freeze.
func (n *Node) Thaw() error { return n.signalAll(syscall.SIGCONT) }

func (n *Node) signalAll(sig syscall.Signal) error {
	pids, err := n.processes()
	for _, pid := range pids {
		syscall.Kill(pid, sig)
	}
	return err
}

// KillAll sends a signal to every process of the node whose program has this
// name (15 characters count), and returns how many there were.
func (n *Node) KillAll(name string, sig syscall.Signal) (int, error) {
	pids, err := n.processes()
	killed := 0
	for _, pid := range pids {
		comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		if err == nil && strings.TrimSpace(string(comm)) == name && syscall.Kill(pid, sig) == nil {
			killed++
		}
	}
	return killed, err
}

// processes are the node's processes but the first, by their numbers in the
// lab; the console stays reachable whatever is done to them.
func (n *Node) processes() ([]int, error) {
	if n.init == nil {
		return nil, fmt.Errorf("processes of %s: %w", n.Name, errNoPower)
	}
	own, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", n.init.Process.Pid))
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == n.init.Process.Pid {
			continue
		}
		if ns, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", pid)); err == nil && ns == own {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// ExitError says that a command run in a node ended with a code other than 0.
type ExitError struct {
	Node, Command string
	Code          int
	Output        string
}

func (e *ExitError) Error() string {
	return fmt.Sprintf("%s: %s: exit code %d: %s", e.Node, e.Command, e.Code, strings.TrimSpace(e.Output))
}

// Run runs a command in the node, bounded by ctx, and returns its output, both
// streams together; a code other than 0 is an [*ExitError]. Extra environment
// is given as NAME=value in env.
func (n *Node) Run(ctx context.Context, env []string, argv ...string) (string, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return "", err
	}
	defer r.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		w.Close()
		return "", err
	}
	defer null.Close()
	read := make(chan []byte, 1)
	go func() {
		var out bytes.Buffer
		out.ReadFrom(r)
		read <- out.Bytes()
	}()
	code, err := n.Attach(ctx, env, [3]*os.File{null, w, w}, argv...)
	w.Close()
	if err != nil {
		return "", err
	}
	select {
	case out := <-read:
		if code != 0 {
			return string(out), &ExitError{n.Name, strings.Join(argv, " "), code, string(out)}
		}
		return string(out), nil
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

// Attach runs a command in the node on the caller's files and returns its exit
// code; the end of ctx kills it.
func (n *Node) Attach(ctx context.Context, env []string, files [3]*os.File, argv ...string) (int, error) {
	return Attach(ctx, n.Dir, env, files, argv...)
}

// Attach is [Node.Attach] from outside the lab, for the node with the directory dir.
func Attach(ctx context.Context, dir string, env []string, files [3]*os.File, argv ...string) (int, error) {
	return console(ctx, filepath.Join(dir, consoleName), request{Argv: argv, Env: env}, files)
}

// AddAddress gives the node's network card another address, behind the back of whatever manages it.
func (n *Node) AddAddress(prefix netip.Prefix) error {
	ns, err := netns.GetFromPid(n.init.Process.Pid)
	if err != nil {
		return err
	}
	defer ns.Close()
	h, err := netlink.NewHandleAt(ns)
	if err != nil {
		return err
	}
	defer h.Close()
	link, err := h.LinkByName("eth0")
	if err != nil {
		return err
	}
	addr, err := netlink.ParseAddr(prefix.String())
	if err != nil {
		return err
	}
	return h.AddrAdd(link, addr)
}

// Spawn starts a command in the node that outlives the call, its output in the
// file Dir/logName, and returns its process number as the node sees it.
func (n *Node) Spawn(env []string, logName string, argv ...string) (int, error) {
	log, err := os.OpenFile(filepath.Join(n.Dir, logName), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, err
	}
	defer log.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		return 0, err
	}
	defer null.Close()
	ctx, cancel := context.WithTimeout(context.Background(), bootTimeout)
	defer cancel()
	return console(ctx, n.consolePath(), request{Argv: argv, Env: env, Detach: true}, [3]*os.File{null, log, log})
}

// Signal sends a signal to a process of the node, by its number there.
func (n *Node) Signal(pid int, sig syscall.Signal) error {
	ctx, cancel := context.WithTimeout(context.Background(), bootTimeout)
	defer cancel()
	code, err := console(ctx, n.consolePath(), request{Signal: int(sig), PID: pid}, [3]*os.File{os.Stdin, os.Stdout, os.Stderr})
	if err == nil && code != 0 {
		return fmt.Errorf("signal %d on %s: %w", pid, n.Name, syscall.Errno(code))
	}
	return err
}

// errNoPower is why a console cannot be reached.
var errNoPower = errors.New("the node has no power")
