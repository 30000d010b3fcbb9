// Package netlab makes a small network of machines out of namespaces: one
// bridge, a client on it, and nodes with their own network, processes, host
// name and mounts. A node can lose power, be frozen, lose its cable in either
// direction and boot again. It needs no root where unprivileged user namespaces
// exist, and touches nothing outside: everything lives inside one process
// namespace that ends with its first process.
//
// A program that uses it calls [Enter] first thing in main. The demo, the
// chaos test and the fail-over benchmark are such programs.
package netlab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/vishvananda/netlink"
)

// Environment of the re-executed program: which role it plays in the lab.
const (
	roleEnv  = "SYSTOLE_NETLAB_ROLE" // "", "lab" or "node"
	nodeEnv  = "SYSTOLE_NETLAB_NODE" // JSON of nodeSpec, role "node" only
	roleLab  = "lab"
	roleNode = "node"

	detachFD = 3 // in a detachable lab: written to by Detach
)

// Bridge is the switch all nodes and the client are plugged into.
const Bridge = "lab0"

// ClientPrefix is the client's address on the bridge.
var ClientPrefix = netip.MustParsePrefix("10.77.0.1/24")

// Inside tells whether this process is the lab's first or a node's.
func Inside() bool { return os.Getenv(roleEnv) != "" }

// Enter turns the program into what its environment says. In the first call it
// runs the program again inside new mount, network and process namespaces (and
// a user namespace, for anybody but root), waits, and returns its exit code and
// inside=false. There, it returns inside=true and the program goes on. In a
// node it never returns. Ctrl-C and the death of the outer program end
// everything inside; with detachable that holds until [Detach].
func Enter(detachable bool) (code int, inside bool) {
	switch os.Getenv(roleEnv) {
	case roleNode:
		os.Exit(nodeMain(os.Getenv(nodeEnv)))
	case roleLab:
		if err := prepareLab(); err != nil {
			fmt.Fprintln(os.Stderr, "netlab:", err)
			os.Exit(1)
		}
		return 0, true
	}
	return runInside(detachable), false
}

// Detach, in a detachable lab, lets the outer program end with exit code 0 while the lab goes on.
func Detach() error {
	_, err := os.NewFile(detachFD, "detach").Write([]byte{1})
	return err
}

// runInside starts this program again as the first process of the lab.
func runInside(detachable bool) int {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), roleEnv+"="+roleLab)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
	}
	if os.Getuid() != 0 {
		// Real root needs no user namespace, and without one real-time
		// scheduling is measured as an installed daemon would have it.
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	detached := make(chan bool, 1)
	if detachable {
		r, w, err := os.Pipe()
		if err != nil {
			fmt.Fprintln(os.Stderr, "netlab:", err)
			return 1
		}
		defer r.Close()
		defer w.Close()
		cmd.ExtraFiles = []*os.File{w}
		cmd.SysProcAttr.Setsid = true
		go func() {
			n, _ := r.Read(make([]byte, 1))
			detached <- n == 1
		}()
	} else {
		cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	}
	// The inner program ends in good order on Ctrl-C, and the outer one waits for it.
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(interrupts)
	if err := cmd.Start(); err != nil {
		fmt.Fprintf(os.Stderr, "netlab: cannot make namespaces: %v\nremedy: allow unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone=1) or run as root\n", err)
		return 1
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case <-interrupts:
			cmd.Process.Signal(syscall.SIGTERM)
		case <-detached:
			return 0
		case err := <-ended:
			return exitCode(err)
		}
	}
}

func exitCode(err error) int {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit) && exit.ExitCode() >= 0:
		return exit.ExitCode()
	default:
		fmt.Fprintln(os.Stderr, "netlab:", err)
		return 1
	}
}

// prepareLab gives the first process its own /proc and /run, and reaps orphans.
func prepareLab() error {
	if err := privateMounts(); err != nil {
		return err
	}
	return syscall.Sethostname([]byte("lab"))
}

// privateMounts detaches this mount namespace from the outside and gives it a
// /proc of its process namespace and an empty /run.
func privateMounts() error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := syscall.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	if err := syscall.Mount("run", "/run", "tmpfs", 0, "mode=755"); err != nil {
		return fmt.Errorf("mount /run: %w", err)
	}
	return nil
}

// Lab is the network inside; there is one in a process. Its methods are for one goroutine.
type Lab struct {
	// Dir holds one directory for each node: its disk, logs and console socket.
	Dir    string
	bridge *netlink.Bridge
	nodes  []*Node
}

// New makes the bridge and the client's address. dir is made; it is the caller's to remove.
func New(dir string) (*Lab, error) {
	if os.Getenv(roleEnv) != roleLab {
		return nil, errors.New("netlab.New outside the lab: call netlab.Enter first")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := linkUp("lo"); err != nil {
		return nil, err
	}
	bridge := &netlink.Bridge{LinkAttrs: netlink.NewLinkAttrs()}
	bridge.Name = Bridge
	bridge.HardwareAddr = net.HardwareAddr{2, 0x77, 0, 0, 0, 1}
	if err := netlink.LinkAdd(bridge); err != nil {
		return nil, fmt.Errorf("add bridge: %w", err)
	}
	if err := addAddress(Bridge, ClientPrefix); err != nil {
		return nil, err
	}
	return &Lab{Dir: dir, bridge: bridge}, nil
}

// Nodes are all nodes ever added, with or without power.
func (l *Lab) Nodes() []*Node { return l.nodes }

// Add makes a node that is switched off. number, 1 to 99, gives it its address 10.77.0.(10+number).
func (l *Lab) Add(name string, number int) (*Node, error) {
	n := &Node{
		Name:   name,
		Addr:   netip.AddrFrom4([4]byte{10, 77, 0, byte(10 + number)}),
		MAC:    net.HardwareAddr{2, 0x77, 0, 0, 0, byte(10 + number)},
		Dir:    filepath.Join(l.Dir, name),
		lab:    l,
		number: number,
	}
	l.nodes = append(l.nodes, n)
	return n, os.MkdirAll(n.Dir, 0o700)
}

// Close cuts the power of every node.
func (l *Lab) Close() {
	for _, n := range l.nodes {
		n.PowerCut()
	}
}

func linkUp(name string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("link %s: %w", name, err)
	}
	return netlink.LinkSetUp(link)
}

func addAddress(device string, prefix netip.Prefix) error {
	link, err := netlink.LinkByName(device)
	if err != nil {
		return fmt.Errorf("link %s: %w", device, err)
	}
	addr, err := netlink.ParseAddr(prefix.String())
	if err != nil {
		return err
	}
	if err := netlink.AddrAdd(link, addr); err != nil {
		return fmt.Errorf("add %s to %s: %w", prefix, device, err)
	}
	return netlink.LinkSetUp(link)
}

// Context ends on Ctrl-C or SIGTERM; programs run their story under it.
func Context() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
}
