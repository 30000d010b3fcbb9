package guard

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"systole/agents/internal/frame"
	"systole/agents/internal/nstest"
)

func openBackend(name string) (backend, error) {
	switch Kind(name) {
	case KindNftables:
		return openNftables()
	case KindProcess:
		return openProcess(Config{Dir: os.Getenv("DIR")})
	}
	return nil, fmt.Errorf("no backend %q", name)
}

const vip4, vip6 = "192.0.2.100", "2001:db8::100"

// The heart of it: a stopped daemon cannot renew, and the address is silent
// one lease after the last renewal, to the kernel's grain.
func TestSilentWhenTheDaemonIsStopped(t *testing.T) {
	if !nstest.Isolated(t) {
		return
	}
	w := nstest.NewWire(t)
	n, err := openNftables()
	if err != nil {
		t.Skip("needs the netdev family of nf_tables: ", err)
	}
	t.Logf("grain of the kernel's timeouts: %v", n.bound())
	if err := n.protect(Address{w.Near, netipMust("192.0.2.200")}); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	for range 100 {
		if err := n.renew(lease); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("one renewal takes %v", time.Since(began)/100)
	if err := n.free(Address{w.Near, netipMust("192.0.2.200")}); err != nil {
		t.Fatal(err)
	}
	d := startDaemon(t, string(KindNftables), w, vip4, vip6)
	addVIP(t, w, vip4, vip6)
	for _, addr := range []string{vip4, vip6} {
		a := newAsker(t, w, addr)
		repeatedly(t, func() error {
			if _, _, answers := a.listen(t, 4*lease); answers < a.asked*9/10 {
				return fmt.Errorf("%s answered %d of %d times while renewed: renewing leaves gaps", addr, answers, a.asked)
			}
			d.beat()
			d.signal(syscall.SIGSTOP)
			began := boottime()
			_, last, answers := a.listen(t, 3*lease)
			after := last - min(d.last(began), began)
			t.Logf("%s: stopped; last answer %v after the last renewal", addr, after)
			if after > lease+n.bound() {
				t.Errorf("%s: the last answer %v after the last renewal; want at most %v", addr, after, lease+n.bound())
			}
			d.signal(syscall.SIGCONT)
			resumed := boottime()
			first, _, again := a.listen(t, 2*lease)
			if answers == 0 || again == 0 {
				return fmt.Errorf("%s: %d answers after the last renewal, %d after the daemon went on", addr, answers, again)
			}
			t.Logf("%s: continued; answers again after %v", addr, first-resumed)
			return nil
		})
	}
	d.signal(syscall.SIGKILL)
	a := newAsker(t, w, vip4)
	a.listen(t, lease+n.bound())
	if _, _, answers := a.listen(t, lease); answers != 0 {
		t.Errorf("%d answers after the daemon was killed", answers)
	}
	// A new daemon finds the guarded addresses and may let them answer again.
	g := newGuard(Config{}, n)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	if _, _, answers := a.listen(t, 50*time.Millisecond); answers != 0 {
		t.Errorf("%d answers before the new daemon has a lease", answers)
	}
	repeatedly(t, func() error {
		g.Renew(lease)
		if _, _, answers := a.listen(t, lease/2); answers == 0 {
			return errors.New("no answer for a new daemon's lease")
		}
		return nil
	})
	// Somebody flushes all tables: the next renewal writes ours again.
	repeatedly(t, func() error {
		if err := n.transaction(func() error { n.conn.FlushRuleset(); return nil }); err != nil {
			t.Fatal(err)
		}
		g.Renew(lease)
		a.listen(t, lease+n.bound())
		if _, _, answers := a.listen(t, lease); answers != 0 {
			return fmt.Errorf("%d answers after the lease: the guard was not restored", answers)
		}
		return nil
	})
	// Another address of the device was never touched; released ones are free.
	if !newAsker(t, w, "192.0.2.1").answered(t) {
		t.Error("an address that is not guarded does not answer")
	}
	for _, addr := range []string{vip4, vip6, vip6} {
		if err := g.Free(t.Context(), w.Near, addr); err != nil {
			t.Error(err)
		}
	}
	g.Renew(0)
	if !a.answered(t) {
		t.Error("no answer after it was freed")
	}
	if known, err := n.protected(); err != nil || len(known) != 0 {
		t.Errorf("left after they were freed: %v, %v", known, err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestQueuedPacketsStay: what was sent in an address's name and waits for an
// ARP answer must not leave after the address has gone to another node.
func TestQueuedPacketsStay(t *testing.T) {
	if !nstest.Isolated(t) {
		return
	}
	w := nstest.NewWire(t)
	n, err := openNftables()
	if err != nil {
		t.Skip("needs the netdev family of nf_tables: ", err)
	}
	a := Address{w.Near, netipMust(vip4)}
	s := w.FarSocket(t)
	for i, c := range []struct {
		how  string
		end  func(Address) error
		want bool
	}{{"free", n.free, true}, {"release", n.release, false}, {"release after another start", n.release, false}} {
		if err := errors.Join(n.protect(a), n.renew(lease)); err != nil {
			t.Fatal(err)
		}
		addVIP(t, w, vip4)
		peer := netip.AddrFrom4([4]byte{192, 0, 2, byte(70 + i)})
		conn, err := net.DialUDP("udp4", &net.UDPAddr{IP: a.Addr.AsSlice()}, &net.UDPAddr{IP: peer.AsSlice(), Port: 9})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write([]byte("late")); err != nil { // nobody has the peer's address yet
			t.Fatal(err)
		}
		conn.Close()
		if err := errors.Join(removeAddress(a), c.end(a)); err != nil {
			t.Fatal(err)
		}
		answer := frame.Gratuitous(frame.Reply, w.FarHW, peer)
		answer.Dest, answer.TargetHW, answer.Target = w.NearHW, w.NearHW, netipMust("192.0.2.1")
		if err := s.Send(answer.Marshal()); err != nil {
			t.Fatal(err)
		}
		within := 100 * time.Millisecond
		if c.want { // it comes when the kernel gets to it
			within = patience
		}
		if got := sentFrom(t, s, a.Addr, within); got != c.want {
			t.Errorf("%s: a queued packet left in the name of %v: %t, want %t", c.how, a.Addr, got, c.want)
		}
		if known, err := n.protected(); err != nil || len(known) != 0 {
			t.Errorf("%s: a released address counts as protected: %v, %v", c.how, known, err)
		}
	}
	if err := errors.Join(n.protect(a), n.renew(lease)); err != nil {
		t.Fatal(err)
	}
	addVIP(t, w, vip4)
	repeatedly(t, func() error {
		if err := n.renew(lease); err != nil {
			t.Fatal(err)
		}
		if _, _, answers := newAsker(t, w, vip4).listen(t, 50*time.Millisecond); answers == 0 {
			return errors.New("silent after it was protected again")
		}
		return nil
	})
}

// sentFrom tells whether an IPv4 packet from the address comes in time.
func sentFrom(t *testing.T, s *nstest.Socket, from netip.Addr, within time.Duration) bool {
	t.Helper()
	for end := time.Now().Add(within); time.Now().Before(end); {
		b, err := s.Receive(10)
		if err != nil {
			t.Fatal(err)
		}
		if len(b) >= 34 && b[12] == 8 && b[13] == 0 && netip.AddrFrom4([4]byte(b[26:30])) == from {
			return true
		}
	}
	return false
}

// Without nftables a process does it: as fast when only the daemon hangs, and
// by valid_lft when it hangs too.
func TestProcessGuard(t *testing.T) {
	if !nstest.Isolated(t) {
		return
	}
	w := nstest.NewWire(t)
	t.Setenv("DIR", t.TempDir())
	d := startDaemon(t, string(KindProcess), w, vip4)
	a := newAsker(t, w, vip4)
	repeatedly(t, func() error {
		d.renewals(2)
		addVIP(t, w, vip4) // the agent starts
		if _, _, answers := a.listen(t, 2*lease); answers <= a.asked/4 {
			return fmt.Errorf("only %d answers to %d questions while renewed", answers, a.asked)
		}
		d.beat()
		d.signal(syscall.SIGSTOP)
		defer d.signal(syscall.SIGCONT)
		began := boottime()
		_, last, _ := a.listen(t, 3*lease)
		after := last - min(d.last(began), began)
		t.Logf("daemon stopped; last answer %v after the last renewal", after)
		if after > lease+150*time.Millisecond { // the process must be woken
			return fmt.Errorf("last answer %v after the last renewal of %v", after, lease)
		}
		return nil
	})

	child := childOf(t, d.cmd.Process.Pid)
	signalBoth := func(s syscall.Signal) {
		for _, pid := range []int{d.cmd.Process.Pid, child} {
			if err := syscall.Kill(pid, s); err != nil {
				t.Fatal(err)
			}
		}
	}
	repeatedly(t, func() error {
		d.renewals(2)
		addVIP(t, w, vip4) // the agent started again
		d.renewals(2)
		signalBoth(syscall.SIGSTOP)
		defer signalBoth(syscall.SIGCONT)
		began := boottime()
		_, last, answers := a.listen(t, lease+lifetimeBound+500*time.Millisecond)
		after := last - began
		t.Logf("both stopped; last answer %v later", after)
		if after > lease+lifetimeBound {
			t.Errorf("the last answer %v after both stopped; want at most %v", after, lease+lifetimeBound)
		}
		if answers == 0 {
			return errors.New("no answers before both stopped")
		}
		return nil
	})

	// A killed daemon is replaced within the lease; the process knows what it
	// guards, and goes when there is nothing left.
	d.renewals(2)
	d.signal(syscall.SIGKILL)
	b, err := openProcess(Config{Dir: os.Getenv("DIR")})
	if err != nil {
		t.Fatal(err)
	}
	if known, err := b.protected(); err != nil || len(known) != 1 || known[0].Addr.String() != vip4 {
		t.Errorf("guarded after the daemon was replaced: %v, %v", known, err)
	}
	if err := b.release(Address{w.Near, netipMust(vip4)}); err != nil {
		t.Error(err)
	}
	b.close()
	for began := time.Now(); alive(child); {
		if time.Since(began) > patience {
			t.Fatal("the guard process does not end")
		}
	}
}

// alive is whether the process runs; a zombie does not.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

// childOf is the only child of a process.
func childOf(t *testing.T, parent int) int {
	t.Helper()
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, f := range files {
		b, _ := os.ReadFile(f)
		_, rest, _ := strings.Cut(string(b), ") ")
		if fields := strings.Fields(rest); len(fields) > 1 && fields[1] == strconv.Itoa(parent) {
			pid, _ := strconv.Atoi(strings.Fields(string(b))[0])
			return pid
		}
	}
	t.Fatal("no guard process")
	return 0
}
