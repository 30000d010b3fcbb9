package guard

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"systole/agents/internal/frame"
	"systole/agents/internal/nstest"
)

const (
	lease = 300 * time.Millisecond
	// patience bounds what a busy machine may take for something that is to happen.
	patience = 30 * time.Second
)

// repeatedly tries what a busy machine may spoil: a daemon that renews a lease of
// 300 ms must run in time for it. What is broken fails each time.
func repeatedly(t *testing.T, try func() error) {
	t.Helper()
	var err error
	for range 10 {
		if err = try(); err == nil {
			return
		}
		t.Log("again: ", err)
	}
	t.Error(err)
}

// TestMain: the test binary is also the daemon that renews.
func TestMain(m *testing.M) {
	if os.Getenv("SYSTOLE_CHILD") == ChildName {
		os.Exit(Child())
	}
	if device := os.Getenv("RENEW"); device != "" {
		renewer(device)
		return
	}
	os.Exit(m.Run())
}

// renewer protects the addresses and renews every third of the lease, saying
// when on standard output before it does.
func renewer(device string) {
	fail := func(err error) {
		if err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
	}
	ctx := context.Background() // this process has no test
	b, err := openBackend(os.Getenv("BACKEND"))
	fail(err)
	g := newGuard(Config{}, b)
	go g.Run(ctx)
	for _, a := range strings.Fields(os.Getenv("ADDRS")) {
		fail(g.Protect(ctx, device, a))
	}
	for tick := time.NewTicker(lease / 3); ; <-tick.C {
		now := boottime()
		fmt.Println(int64(now))
		g.renewUntil(now + lease)
	}
}

// daemon is a renewer under our control.
type daemon struct {
	t     *testing.T
	cmd   *exec.Cmd
	beats chan time.Duration
}

func startDaemon(t *testing.T, backend string, w *nstest.Wire, addrs ...string) *daemon {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "RENEW="+w.Near, "BACKEND="+backend, "ADDRS="+strings.Join(addrs, " "))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	d := &daemon{t: t, cmd: cmd, beats: make(chan time.Duration, 1000)}
	go func() {
		defer close(d.beats)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			at, err := strconv.ParseInt(lines.Text(), 10, 64)
			if err != nil {
				t.Errorf("daemon: %s", lines.Text())
				return
			}
			d.beats <- time.Duration(at)
		}
	}()
	t.Cleanup(func() { d.signal(syscall.SIGKILL); cmd.Wait() })
	d.beat()
	return d
}

func (d *daemon) signal(s syscall.Signal) { d.cmd.Process.Signal(s) }

// beat waits for the next renewal.
func (d *daemon) beat() time.Duration {
	d.t.Helper()
	select {
	case at, ok := <-d.beats:
		if !ok {
			d.t.Fatal("the daemon has ended")
		}
		return at
	case <-time.After(patience):
		d.t.Fatalf("no renewal for %v", patience)
		return 0
	}
}

// renewals waits for so many that are yet to come.
func (d *daemon) renewals(n int) {
	d.t.Helper()
	d.last(0)
	for range n + 1 { // the first may be one said before and not yet carried out
		d.beat()
	}
}

// last is the newest renewal said so far.
func (d *daemon) last(at time.Duration) time.Duration {
	for {
		select {
		case at = <-d.beats:
		default:
			return at
		}
	}
}

// asker asks on the wire for an address every few milliseconds.
type asker struct {
	w    *nstest.Wire
	s    *nstest.Socket
	addr netip.Addr
	ask  []byte

	asked int // in the last listen
}

func newAsker(t *testing.T, w *nstest.Wire, addr string) *asker {
	ip := netip.MustParseAddr(addr)
	a := &asker{w: w, s: w.FarSocket(t), addr: ip}
	if ip.Is4() {
		a.ask = frame.Probe(w.FarHW, ip).Marshal()
	} else {
		n := frame.Detect(w.FarHW, ip)
		n.From, n.Link = netip.MustParseAddr("2001:db8::2"), w.FarHW
		a.ask = n.Marshal()
	}
	return a
}

func netipMust(s string) netip.Addr { return netip.MustParseAddr(s) }

// listen asks every 3 ms for the time and returns when the first and the last answer came.
func (a *asker) listen(t *testing.T, d time.Duration) (first, last time.Duration, answers int) {
	t.Helper()
	a.asked = 0
	for end := boottime() + d; boottime() < end; a.asked++ {
		if err := a.s.Send(a.ask); err != nil {
			t.Fatal(err)
		}
		for wait := 3; ; wait = 0 {
			b, at, err := a.s.ReceiveAt(wait)
			if err != nil {
				t.Fatal(err)
			}
			if b == nil {
				break
			}
			if a.answers(b) {
				last = boottime() - time.Since(at)
				if answers++; answers == 1 {
					first = last
				}
			}
		}
		if rest := 3*time.Millisecond - (boottime() - last); rest > 0 { // an answer came early
			unix.Poll(nil, int(rest/time.Millisecond))
		}
	}
	return first, last, answers
}

// answered asks until an answer comes, and gives up after patience.
func (a *asker) answered(t *testing.T) bool {
	t.Helper()
	for end := boottime() + patience; boottime() < end; {
		if _, _, answers := a.listen(t, 20*time.Millisecond); answers > 0 {
			return true
		}
	}
	return false
}

func (a *asker) answers(b []byte) bool {
	if a.addr.Is4() {
		r, err := frame.ParseARP(b)
		return err == nil && r.Sender == a.addr
	}
	n, err := frame.ParseNeighbour(b)
	return err == nil && n.Advertise && n.Target == a.addr
}

// addVIP puts an address on the near end, if it is not there.
func addVIP(t *testing.T, w *nstest.Wire, addrs ...string) {
	t.Helper()
	link, err := netlink.LinkByName(w.Near)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range addrs {
		ip := netip.MustParseAddr(s)
		addr, err := netlink.ParseAddr(netip.PrefixFrom(ip, map[bool]int{true: 24, false: 64}[ip.Is4()]).String())
		if err != nil {
			t.Fatal(err)
		}
		if ip.Is6() {
			addr.Flags = unix.IFA_F_NODAD
		}
		if err := netlink.AddrAdd(link, addr); err != nil && !errors.Is(err, syscall.EEXIST) {
			t.Fatal(err)
		}
	}
}
