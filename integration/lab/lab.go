// Package lab makes small clusters of real machines: Debian's User-Mode Linux
// kernels, each an ordinary process. A node can lose its power, be frozen, be
// reset by its watchdog, lose its cable in one direction or both, and comes back
// with what was on its disk. Commands run in it out of band, whatever its
// network does, and the fence agent fence_lab in every node reaches a power
// switch whose lies are the test's.
//
// A test package calls [Main] from its TestMain; the tests then run as the first
// process of namespaces that end with it, so nothing outlives the test: not on
// Ctrl-C, a panic or a timeout. A test reads:
//
//	l := lab.New(t)
//	a, b := l.Node("a"), l.Node("b")
//	l.Boot(t.Context())
//	a.PowerCut()
//
// DESIGN.md says how it works and why so.
package lab

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"systole/integration/netlab"
)

// Environment of the tests; the Makefile sets it.
const (
	enableEnv = "SYSTOLE_LAB"     // 1: run, anything else: skip
	ciEnv     = "SYSTOLE_CI"      // set: what is missing is a failure
	binEnv    = "SYSTOLE_LAB_BIN" // directory of the built programs
	keepEnv   = "SYSTOLE_LAB_DIR" // directory for the logs of failed tests
)

// scratch is a tmpfs of the test's own: netlab gives its first process an empty /run.
const scratch = "/run/lab"

var (
	//go:embed init.sh
	initScript string
	//go:embed machine.sh
	machineScript string
)

// Missing says why no lab can be had here, with the remedy; "" if it can.
func Missing() string {
	if os.Getenv(enableEnv) != "1" {
		return "the lab runs by \"make lab\": it takes minutes"
	}
	for _, need := range []struct{ program, pkg string }{
		{kernel, "user-mode-linux"}, {"mkfs.ext4", "e2fsprogs"}, {"modprobe", "kmod"}, {"ip", "iproute2"},
	} {
		if _, err := exec.LookPath(need.program); err != nil {
			return fmt.Sprintf("%s is missing: install the package %s", need.program, need.pkg)
		}
	}
	if _, err := os.Stat(filepath.Join(os.Getenv(binEnv), "lab-guest")); err != nil {
		return fmt.Sprintf("the node's agent is not built (%v): use \"make lab\"", err)
	}
	if f, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0); err != nil {
		return fmt.Sprintf("/dev/net/tun cannot be opened (%v): run as root", err)
	} else {
		f.Close()
	}
	return ""
}

// Main runs the tests of a package inside the lab's namespaces. TestMain calls
// it and nothing else. Where no lab can be had the tests run outside: each [New] skips.
func Main(m *testing.M) {
	if Missing() != "" {
		os.Exit(m.Run())
	}
	code, inside := netlab.Enter(false)
	if !inside {
		os.Exit(code)
	}
	// The first process of a namespace is deaf to signals it does not ask for.
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt, syscall.SIGTERM)
	go func() {
		s := <-interrupts
		fmt.Fprintln(os.Stderr, "lab: ended by", s)
		os.Exit(130)
	}()
	// The kernel lets a new namespace queue 10 datagrams in a socket: no cable.
	if err := os.WriteFile("/proc/sys/net/unix/max_dgram_qlen", []byte("512"), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, "lab:", err)
	}
	os.Exit(m.Run())
}

// Broken fails a test for a promise that was not kept: two owners of an address, a word that was lost, a start before the
// proof. Continuous integration repeats a suite once that failed for other reasons, since a machine that stands still
// for a second proves nothing; one whose log has this mark it never repeats.
func Broken(t interface {
	Helper()
	Errorf(string, ...any)
}, what any) {
	t.Helper()
	t.Errorf("SAFETY: %v", what)
}

// Lab is a set of nodes and segments. Nodes and segments are added by one goroutine.
type Lab struct {
	// LAN is the first segment, 10.77.0.0/24. The test itself is on it too, as
	// netlab.ClientPrefix at the card netlab.Bridge: netlab's Wire and Client work here.
	LAN    *Segment
	Switch *Switch

	t        testing.TB
	ctx      context.Context // ends with the lab
	end      context.CancelFunc
	dir      string // logs, in memory
	keep     string // where they are found when the test failed
	share    string // /lab of every node, below dir
	scratch  string
	began    time.Time
	capture  *Capture
	segments []*Segment
	nodes    []*Node
	running  sync.WaitGroup

	mu  sync.Mutex
	log *os.File
}

// LANPrefix is the network of the first segment.
var LANPrefix = netip.MustParsePrefix("10.77.0.0/24")

// New makes a lab for one test, or skips it with the reason why there can be
// none (fails, under continuous integration). There can be one at a time.
// Everything ends with the test; its logs stay if it failed.
func New(t testing.TB) *Lab {
	t.Helper()
	if why := Missing(); why != "" {
		if os.Getenv(ciEnv) != "" && os.Getenv(enableEnv) == "1" {
			t.Fatal(why)
		}
		t.Skip(why)
	}
	l := &Lab{t: t, scratch: scratch, began: time.Now()}
	l.dir = filepath.Join(l.scratch, "logs")
	l.keep = filepath.Join(os.Getenv(keepEnv), strings.ReplaceAll(t.Name(), "/", "-"))
	l.share = filepath.Join(l.dir, "share")
	l.ctx, l.end = context.WithCancel(context.Background())
	l.Switch = &Switch{lab: l}
	if err := l.prepare(); err != nil {
		t.Fatal("lab:", err)
	}
	l.running.Go(l.keepLogs)
	t.Cleanup(l.close)
	return l
}

func (l *Lab) prepare() error {
	if err := errors.Join(os.RemoveAll(l.keep), os.MkdirAll(l.scratch, 0o700), os.MkdirAll(l.share, 0o755), os.MkdirAll(l.keep, 0o755)); err != nil {
		return err
	}
	err := errors.Join(
		os.WriteFile(filepath.Join(l.share, "init.sh"), []byte(initScript), 0o755),
		os.WriteFile(filepath.Join(l.share, "machine.sh"), []byte(machineScript), 0o755),
		copyFile(filepath.Join(os.Getenv(binEnv), "lab-guest"), filepath.Join(l.share, "guest")),
	)
	if err != nil {
		return err
	}
	if l.log, err = os.Create(filepath.Join(l.dir, "lab.log")); err != nil {
		return err
	}
	if l.capture, err = newCapture(filepath.Join(l.dir, captureName)); err != nil {
		return err
	}
	l.LAN = l.Segment("lan")
	tap, err := openTap(netlab.Bridge, netlab.ClientPrefix)
	if err != nil {
		return err
	}
	return l.LAN.attach("outside", tap)
}

// close ends everything, and keeps logs and capture only of a failed test.
func (l *Lab) close() {
	l.end()
	for _, n := range l.nodes {
		n.PowerCut()
	}
	l.running.Wait()
	for _, s := range l.segments {
		s.close()
	}
	l.capture.close()
	l.log.Close()
	defer os.RemoveAll(l.scratch)
	if !l.t.Failed() {
		os.RemoveAll(l.keep)
		return
	}
	if err := l.copyLogs(func(string) bool { return true }); err != nil {
		l.t.Error("keep the logs: ", err)
	}
	l.t.Logf("logs, consoles and wire.pcap: %s", l.keep)
}

// Segment adds an Ethernet segment.
func (l *Lab) Segment(name string) *Segment {
	s := newSegment(name, len(l.segments), l.capture)
	l.segments = append(l.segments, s)
	return s
}

// Node adds a node with one card on the LAN and a disk of 256 MiB, switched
// off. The first is 10.77.0.11.
func (l *Lab) Node(name string) *Node {
	l.t.Helper()
	n := &Node{Name: name, lab: l, number: len(l.nodes) + 1}
	n.On(l.LAN, LANPrefix)
	n.Addr = n.nets[0].prefix.Addr()
	l.nodes = append(l.nodes, n)
	if err := errors.Join(os.MkdirAll(n.dir(), 0o755), n.WithDisk(256)); err != nil {
		l.t.Fatal("lab:", err)
	}
	return n
}

// SharedDisk makes a disk of size MiB for [Node.Disks] of several nodes.
func (l *Lab) SharedDisk(name string, size int) (string, error) {
	file := filepath.Join(l.scratch, name+".shared")
	f, err := os.Create(file)
	if err != nil {
		return "", err
	}
	return file, errors.Join(f.Truncate(int64(size)<<20), f.Close())
}

// Boot boots all nodes without power at the same time and waits for them.
func (l *Lab) Boot(ctx context.Context) error {
	var wg sync.WaitGroup
	errs := make([]error, len(l.nodes))
	for i, n := range l.nodes {
		if !n.Running() {
			wg.Go(func() { errs[i] = n.Boot(ctx) })
		}
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Put shows a program of the machine outside to all nodes as /lab/bin/NAME,
// which is first on their PATH.
func (l *Lab) Put(outside string) (inside string, err error) {
	name := filepath.Base(outside)
	if err := os.MkdirAll(filepath.Join(l.share, "bin"), 0o755); err != nil {
		return "", err
	}
	return "/lab/bin/" + name, copyFile(outside, filepath.Join(l.share, "bin", name))
}

// Bin is the directory outside with the built programs.
func (l *Lab) Bin() string { return os.Getenv(binEnv) }

// Wire watches who answers for an address on the LAN, as in netlab.
func (l *Lab) Wire(vip netip.Addr) *netlab.Wire {
	names := map[string]string{}
	for _, n := range l.nodes {
		names[l.LAN.mac(n.number).String()] = n.Name
	}
	return netlab.Watch(vip, names)
}

func (l *Lab) find(name string) *Node {
	if i := slices.IndexFunc(l.nodes, func(n *Node) bool { return n.Name == name }); i >= 0 {
		return l.nodes[i]
	}
	return nil
}

// say writes one line, with the seconds since the lab began, into lab.log.
func (l *Lab) say(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintf(l.log, "%8.3f %s\n", time.Since(l.began).Seconds(), fmt.Sprintf(format, args...))
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
