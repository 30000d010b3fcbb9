// Package nstest runs tests of agents in network namespaces of their own,
// without root: a test that calls [Isolated] runs again as a child in a new
// user and network namespace, which ends with it.
package nstest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

const inside = "SYSTOLE_TEST_ISOLATED"

// Isolated tells whether this is the child. In the parent it runs the child,
// passes its verdict on and returns false: the test must return at once.
func Isolated(t *testing.T) bool {
	t.Helper()
	return isolated(t, &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	})
}

// IsolatedRoot is Isolated for tests that need the real root (to become other
// users, to mount): a network and a mount namespace whose mounts nobody else
// sees. They are skipped for anyone else.
func IsolatedRoot(t *testing.T) bool {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	if !isolated(t, &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS}) {
		return false
	}
	if err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
		t.Fatal("mounts of its own:", err)
	}
	return true
}

func isolated(t *testing.T, attr *syscall.SysProcAttr) bool {
	t.Helper()
	if os.Getenv(inside) == t.Name() {
		return true
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+strings.ReplaceAll(t.Name(), "/", "$/^")+"$", "-test.v", "-test.count=1")
	cmd.Env = append(os.Environ(), inside+"="+t.Name())
	attr.Pdeathsig = syscall.SIGKILL
	cmd.SysProcAttr = attr
	out, err := cmd.CombinedOutput()
	switch {
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EINVAL):
		t.Skipf("needs to make namespaces: %v", err)
	case err != nil:
		t.Errorf("in its namespace: %v\n%s", err, out)
	case strings.Contains(string(out), "--- SKIP: "+t.Name()):
		t.Skipf("in its namespace:\n%s", out)
	default:
		t.Logf("in its namespace:\n%s", out)
	}
	return false
}

// Wire is a veth pair: Near in the test's namespace with 192.0.2.1/24 and
// 2001:db8::1/64, and Far in another with .2 and ::2.
type Wire struct {
	Near, Far     string
	NearHW, FarHW net.HardwareAddr
	far           netns.NsHandle
}

// NewWire makes the pair.
func NewWire(t *testing.T) *Wire {
	t.Helper()
	w := &Wire{Near: "near0", Far: "far0"}
	must := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	runtime.LockOSThread()
	home, err := netns.Get()
	must("own namespace", err)
	w.far, err = netns.New()
	must("far namespace", err)
	must("back", netns.Set(home))
	runtime.UnlockOSThread()
	t.Cleanup(func() { home.Close(); w.far.Close() })

	// No address of the kernel's own making and no duplicate detection, so that
	// nothing is on the wire but what the test puts there.
	quiet := func() {
		for _, name := range []string{"accept_dad", "autoconf", "accept_ra", "addr_gen_mode"} {
			value := "0"
			if name == "addr_gen_mode" {
				value = "1"
			}
			_ = os.WriteFile("/proc/sys/net/ipv6/conf/default/"+name, []byte(value), 0) // a kernel without IPv6 has none
		}
	}
	quiet()
	w.Do(t, quiet)
	must("veth pair", netlink.LinkAdd(&netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: w.Near}, PeerName: w.Far, PeerNamespace: netlink.NsFd(w.far),
	}))
	w.NearHW = up(t, w.Near, "192.0.2.1/24", "2001:db8::1/64")
	w.Do(t, func() { w.FarHW = up(t, w.Far, "192.0.2.2/24", "2001:db8::2/64") })
	ready(t, w.Near, "ff000001")
	w.Do(t, func() { ready(t, w.Far, "ff000002") })
	return w
}

// ready waits until the kernel has noticed the carrier and listens for
// neighbour solicitations of its address: before, it answers none.
func ready(t *testing.T, name, group string) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for began := time.Now(); time.Since(began) < 5*time.Second; <-tick.C {
		groups, err := os.ReadFile("/proc/thread-self/net/igmp6")
		if err != nil {
			return // a kernel without IPv6
		}
		for line := range strings.Lines(string(groups)) {
			if f := strings.Fields(line); len(f) > 2 && f[1] == name && strings.HasSuffix(f[2], group) {
				return
			}
		}
	}
	t.Errorf("%s does not listen for neighbour solicitations", name)
}

func up(t *testing.T, name string, addrs ...string) net.HardwareAddr {
	t.Helper()
	for _, n := range []string{"lo", name} {
		link, err := netlink.LinkByName(n)
		if err == nil {
			err = netlink.LinkSetUp(link)
		}
		if err != nil {
			t.Fatalf("link %s: %v", n, err)
		}
	}
	link, err := netlink.LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		addr, err := netlink.ParseAddr(a)
		if err != nil {
			t.Fatal(err)
		}
		if addr.IP.To4() == nil {
			addr.Flags = unix.IFA_F_NODAD
		}
		if err := netlink.AddrAdd(link, addr); err != nil {
			t.Fatalf("address %s: %v", a, err)
		}
	}
	return link.Attrs().HardwareAddr
}

// Do runs f in the far namespace, on a thread of its own. f may use t, except
// that only Error and Log are safe.
func (w *Wire) Do(t *testing.T, f func()) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if err := netns.Set(w.far); err != nil {
			done <- err
			return
		}
		f()
		done <- nil
	}()
	if err := <-done; err != nil {
		t.Fatalf("enter the far namespace: %v", err)
	}
}

// Socket is a raw socket on the far end of the wire: it sees and sends frames.
type Socket struct {
	fd    int
	index int
}

// FarSocket opens one. Frames are received until the deadline of Receive.
func (w *Wire) FarSocket(t *testing.T) *Socket {
	t.Helper()
	s := &Socket{fd: -1}
	w.Do(t, func() {
		link, err := netlink.LinkByName(w.Far)
		if err != nil {
			t.Error(err)
			return
		}
		s.index = link.Attrs().Index
		s.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(htons(unix.ETH_P_ALL)))
		if err == nil {
			err = unix.Bind(s.fd, &unix.SockaddrLinklayer{Protocol: htons(unix.ETH_P_ALL), Ifindex: s.index})
		}
		if err == nil {
			err = unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1)
		}
		if err != nil {
			t.Error(err)
		}
	})
	if t.Failed() {
		t.FailNow()
	}
	t.Cleanup(func() { unix.Close(s.fd) })
	return s
}

// Send puts a frame on the wire.
func (s *Socket) Send(b []byte) error { return unix.Send(s.fd, b, 0) }

// Receive returns the next frame that came in, or nil when none comes within
// the time; what this socket sent itself is left out.
func (s *Socket) Receive(millis int) ([]byte, error) {
	b, _, err := s.ReceiveAt(millis)
	return b, err
}

// ReceiveAt is Receive with the time at which the kernel got the frame, however
// late this program looks.
func (s *Socket) ReceiveAt(millis int) ([]byte, time.Time, error) {
	buf, control := make([]byte, 2048), make([]byte, 128)
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(s.fd), Events: unix.POLLIN}}, millis)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || n == 0 {
			return nil, time.Time{}, err
		}
		n, controls, _, from, err := unix.Recvmsg(s.fd, buf, control, 0)
		if err != nil {
			return nil, time.Time{}, fmt.Errorf("receive: %w", err)
		}
		if ll, ok := from.(*unix.SockaddrLinklayer); ok && ll.Pkttype == unix.PACKET_OUTGOING {
			continue
		}
		at, err := stamp(control[:controls])
		return buf[:n], at, err
	}
}

// stamp is the SCM_TIMESTAMPNS of a received frame.
func stamp(control []byte) (time.Time, error) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return time.Time{}, err
	}
	for _, m := range messages {
		if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SCM_TIMESTAMPNS && len(m.Data) >= 16 {
			return time.Unix(int64(binary.NativeEndian.Uint64(m.Data)), int64(binary.NativeEndian.Uint64(m.Data[8:]))), nil
		}
	}
	return time.Time{}, errors.New("a frame without the time of its arrival")
}

func htons(v uint16) uint16 { return v<<8 | v>>8 }
