package vip

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"systole/agents/internal/frame"
	"systole/agents/internal/nstest"
	"systole/resources"
)

// rig is an agent on the near end of a wire, with a lease and a guard of its own.
type rig struct {
	t     *testing.T
	w     *nstest.Wire
	a     *Agent
	lease right
	guard recorder
}

type right struct {
	mu   sync.Mutex
	gone bool
}

func (r *right) Remaining() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gone {
		return 0
	}
	return time.Second
}

func (r *right) end() { r.mu.Lock(); r.gone = true; r.mu.Unlock() }

// recorder notes what was asked of the guard and whether the address was there.
type recorder struct{ calls []string }

func (g *recorder) Protect(_ context.Context, dev, addr string) error {
	g.calls = append(g.calls, fmt.Sprint("protect ", dev, " ", addr, " there=", present(dev, addr)))
	return nil
}

func (g *recorder) Leaving(_ context.Context, dev, addr string) error {
	g.calls = append(g.calls, fmt.Sprintf("leave %s %s there=%v", dev, addr, present(dev, addr)))
	return nil
}
func (g *recorder) Release(_ context.Context, dev, addr string) error {
	g.calls = append(g.calls, fmt.Sprint("release ", dev, " ", addr, " there=", present(dev, addr)))
	return nil
}

func (g *recorder) Free(_ context.Context, dev, addr string) error {
	g.calls = append(g.calls, fmt.Sprint("free ", dev, " ", addr, " there=", present(dev, addr)))
	return nil
}

func present(dev, addr string) bool { return slices.Contains(addresses(dev), addr) }

// addresses of a device, without prefix lengths.
func addresses(dev string) (ips []string) {
	link, err := netlink.LinkByName(dev)
	if err != nil {
		return nil
	}
	as, _ := netlink.AddrList(link, netlink.FAMILY_ALL)
	for _, a := range as {
		ips = append(ips, a.IP.String())
	}
	return ips
}

func newRig(t *testing.T) *rig {
	r := &rig{t: t, w: nstest.NewWire(t)}
	r.a = New(Config{Lease: &r.lease, Guard: &r.guard, Leaving: func(_ context.Context, addr netip.Addr) {
		r.guard.calls = append(r.guard.calls, fmt.Sprintf("leaving %v there=%v", addr, present(r.w.Near, addr.String())))
	}})
	t.Cleanup(r.a.Close)
	return r
}

func (r *rig) run(action resources.Action, want resources.Code, params ...string) resources.Result {
	r.t.Helper()
	res := r.a.Execute(r.t.Context(), op(action, params...))
	if res.Code != want {
		r.t.Fatalf("%s %v = %d (%s), want %d", action, params, res.Code, res.Reason, want)
	}
	return res
}

func op(action resources.Action, params ...string) resources.Op {
	o := resources.Op{Resource: "vip", Action: action, Params: map[string]string{}}
	for _, p := range params {
		k, v, _ := strings.Cut(p, "=")
		o.Params[k] = v
	}
	return o
}

const ip4, ip6 = "ip=192.0.2.100", "ip=2001:db8::100"

func TestLife(t *testing.T) {
	if !nstest.Isolated(t) {
		return
	}
	r := newRig(t)
	for _, ip := range []string{ip4, ip6} {
		addr := strings.TrimPrefix(ip, "ip=")
		r.guard.calls = nil
		r.run(resources.ActionValidateAll, resources.OK, ip)
		r.run(resources.ActionMonitor, resources.NotRunning, ip)
		r.run(resources.ActionStop, resources.OK, ip)
		r.guard.calls = nil
		began := time.Now()
		r.run(resources.ActionStart, resources.OK, ip)
		t.Logf("%s started in %v", addr, time.Since(began))
		r.run(resources.ActionMonitor, resources.OK, ip)
		r.run(resources.ActionStart, resources.OK, ip)
		r.run(resources.ActionStop, resources.OK, ip)
		r.run(resources.ActionMonitor, resources.NotRunning, ip)
		near := r.w.Near + " " + addr
		want := []string{"protect " + near + " there=false", "protect " + near + " there=true",
			"leaving " + addr + " there=true", "leave " + near + " there=true", "release " + near + " there=false"}
		if !slices.Equal(r.guard.calls, want) {
			t.Errorf("guard was asked\n%s\nwant\n%s", strings.Join(r.guard.calls, "\n"), strings.Join(want, "\n"))
		}
	}
	if got := addresses(r.w.Near); !slices.Equal(got, []string{"192.0.2.1", "2001:db8::1"}) {
		t.Errorf("left on the device: %v", got)
	}
	r.run(resources.ActionStart, resources.ErrGeneric, "ip=198.51.100.1") // no route
	r.run(resources.ActionStart, resources.ErrGeneric, ip4, "nic=nosuch0")
	r.run(resources.ActionMonitor, resources.NotRunning, ip4, "nic=nosuch0")
	r.run(resources.ActionStop, resources.OK, ip4, "nic=nosuch0")
	r.run("promote", resources.ErrUnimplemented, ip4)
	r.run(resources.ActionStart, resources.ErrConfigured, "ip=x")
	r.lease.end()
	r.run(resources.ActionStart, resources.ErrGeneric, ip4)
	if present(r.w.Near, "192.0.2.100") {
		t.Error("added without a lease")
	}
}

func TestAddressAsConfigured(t *testing.T) {
	if !nstest.Isolated(t) {
		return
	}
	r := newRig(t)
	show := func() string {
		out, err := exec.Command("ip", "-o", "-4", "addr", "show", "dev", r.w.Near, "to", "192.0.2.100").CombinedOutput()
		if err != nil {
			t.Skip("needs the ip command: ", err)
		}
		return strings.Join(strings.Fields(string(out)), " ")
	}
	for _, c := range []struct{ params, want string }{
		{"", "192.0.2.100/24 brd 192.0.2.255"},
		{"cidr_netmask=32", "192.0.2.100/32 scope"},
		{"cidr_netmask=255.255.0.0 broadcast=-", "192.0.2.100/16 scope"},
		{"broadcast=192.0.2.7 iflabel=v1 nic=near0", "192.0.2.100/24 brd 192.0.2.7 scope global secondary near0:v1"},
		{"noprefixroute=1", "noprefixroute"},
	} {
		params := append(strings.Fields(c.params), ip4)
		r.run(resources.ActionStart, resources.OK, params...)
		if got := show(); !strings.Contains(got, c.want) {
			t.Errorf("%q made %q, want %q in it", c.params, got, c.want)
		}
		r.run(resources.ActionStop, resources.OK, params...)
	}
}

// heard collects announcements of an address on the far end, until there are
// as many as wanted or the time is over.
func heard(t *testing.T, s *nstest.Socket, addr string, most int, d time.Duration) (kinds []string) {
	t.Helper()
	ip := netip.MustParseAddr(addr)
	for end := time.Now().Add(d); len(kinds) < most; {
		left := time.Until(end)
		if left <= 0 {
			return kinds
		}
		b, err := s.Receive(int(left/time.Millisecond) + 1)
		if err != nil {
			t.Fatal(err)
		}
		if a, err := frame.ParseARP(b); err == nil && a.Sender == ip && a.Target == ip {
			kinds = append(kinds, map[uint16]string{frame.Request: "request", frame.Reply: "reply"}[a.Op])
		}
		if n, err := frame.ParseNeighbour(b); err == nil && n.Advertise && n.Target == ip && n.Flags&frame.FlagOverride != 0 && n.Flags&frame.FlagSolicited == 0 && n.To == netip.MustParseAddr("ff02::1") {
			kinds = append(kinds, "advertisement")
		}
	}
	return kinds
}

const (
	many  = 1000
	soon  = 30 * time.Second       // something must come; a busy machine takes its time
	quiet = 300 * time.Millisecond // nothing may come
)

func TestAnnouncementsOnTheWire(t *testing.T) {
	if !nstest.Isolated(t) {
		return
	}
	r := newRig(t)
	s := r.w.FarSocket(t)
	fast := []string{"arp_interval=20", "arp_count=3", "announce_refresh=0"}
	for _, c := range []struct {
		ip   string
		want []string
	}{
		{ip4, []string{"request", "reply", "request", "reply", "request", "reply"}},
		{ip6, []string{"advertisement", "advertisement", "advertisement"}},
	} {
		addr := strings.TrimPrefix(c.ip, "ip=")
		r.run(resources.ActionStart, resources.OK, append(fast, c.ip)...)
		if got := heard(t, s, addr, len(c.want), soon); !slices.Equal(got, c.want) {
			t.Errorf("burst of %s: %v, want %v", addr, got, c.want)
		}
		if got := heard(t, s, addr, many, quiet); len(got) != 0 {
			t.Errorf("after the burst of %s: %v", addr, got)
		}
	}
	fast[2] = "announce_refresh=50ms"
	r.run(resources.ActionStart, resources.OK, append(fast, ip4)...)
	if got := heard(t, s, "192.0.2.100", 20, soon); len(got) != 20 {
		t.Errorf("%d announcements with refreshing, want 20", len(got))
	}
	r.run(resources.ActionStart, resources.OK, append(fast, ip6)...)

	// The far end's neighbour table really changes.
	stale := func() (string, error) {
		var out []byte
		var err error
		r.w.Do(t, func() { out, err = exec.Command("ip", "neigh", "show", "192.0.2.100").CombinedOutput() })
		return string(out), err
	}
	r.w.Do(t, func() {
		link, err := netlink.LinkByName(r.w.Far)
		if err == nil {
			err = netlink.NeighSet(&netlink.Neigh{LinkIndex: link.Attrs().Index, IP: net.ParseIP("192.0.2.100"), State: netlink.NUD_STALE, HardwareAddr: net.HardwareAddr{2, 9, 9, 9, 9, 9}})
		}
		if err != nil {
			t.Error(err)
		}
	})
	r.run(resources.ActionStart, resources.OK, append(fast, ip4)...)
	heard(t, s, "192.0.2.100", 2, soon)
	if out, err := stale(); err == nil && !strings.Contains(out, r.w.NearHW.String()) {
		t.Errorf("neighbour entry after the announcement: %s, want %v", out, r.w.NearHW)
	}

	// Nothing is announced that is not ours any more.
	if err := exec.Command("ip", "addr", "del", "192.0.2.100/24", "dev", r.w.Near).Run(); err != nil {
		t.Skip("needs the ip command: ", err)
	}
	heard(t, s, "192.0.2.100", many, quiet) // what was under way
	if got := heard(t, s, "192.0.2.100", many, quiet); len(got) != 0 {
		t.Errorf("announced after the address had gone: %v", got)
	}
	r.lease.end()
	heard(t, s, "2001:db8::100", many, quiet)
	if got := heard(t, s, "2001:db8::100", many, quiet); len(got) != 0 {
		t.Errorf("announced after the lease had ended: %v", got)
	}
}

func TestDuplicateIsRefused(t *testing.T) {
	if !nstest.Isolated(t) {
		return
	}
	r := newRig(t)
	for _, far := range []string{"ip=192.0.2.2", "ip=2001:db8::2"} {
		res := r.run(resources.ActionStart, resources.ErrGeneric, far)
		if !strings.Contains(res.Reason, r.w.FarHW.String()) {
			t.Errorf("reason %q does not name %v", res.Reason, r.w.FarHW)
		}
		if len(r.guard.calls) != 0 {
			t.Errorf("guard was asked: %v", r.guard.calls)
		}
	}
	r.run(resources.ActionStart, resources.OK, "ip=192.0.2.2", "duplicate_check=off")
	r.run(resources.ActionStop, resources.OK, "ip=192.0.2.2")
	gone := op(resources.ActionStart, "ip=192.0.2.2")
	gone.Meta = map[string]string{MetaOwnerGone: "true"}
	if res := r.a.Execute(t.Context(), gone); res.Code != resources.OK {
		t.Errorf("start after proof: %+v", res)
	}
}

func TestWatchNoticesRemoval(t *testing.T) {
	if !nstest.Isolated(t) {
		return
	}
	r := newRig(t)
	r.run(resources.ActionStart, resources.OK, ip4)
	noticed := make(chan bool, 1)
	go func() { noticed <- r.a.Watch(t.Context(), op(resources.ActionMonitor, ip4)) }()
	select {
	case <-noticed:
		t.Fatal("noticed something while the address is there")
	case <-time.After(50 * time.Millisecond):
	}
	began := time.Now()
	r.run(resources.ActionStop, resources.OK, ip4)
	if !<-noticed {
		t.Error("watch ended without notice")
	}
	t.Logf("noticed after %v", time.Since(began))
	if !r.a.Watch(t.Context(), op(resources.ActionMonitor, ip4)) {
		t.Error("an address that is not there is not noticed")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r.run(resources.ActionStart, resources.OK, ip4)
	if r.a.Watch(ctx, op(resources.ActionMonitor, ip4)) {
		t.Error("noticed after the end of its context")
	}
}

func TestLVSKeepsTheAddressOnLoopback(t *testing.T) {
	if !nstest.Isolated(t) {
		return
	}
	r := newRig(t)
	lvs := []string{ip4, "lvs_support=true"}
	// Where the kernel would answer for it, it does not go to lo.
	r.run(resources.ActionStart, resources.OK, lvs...)
	r.run(resources.ActionStop, resources.OK, lvs...)
	if present("lo", "192.0.2.100") {
		t.Error("on lo, though the kernel answers ARP for it there")
	}
	if err := os.WriteFile("/proc/sys/net/ipv4/conf/all/arp_ignore", []byte("1"), 0); err != nil {
		t.Fatal(err)
	}
	r.run(resources.ActionStart, resources.OK, lvs...)
	r.run(resources.ActionStop, resources.OK, lvs...)
	if !present("lo", "192.0.2.100") || present(r.w.Near, "192.0.2.100") {
		t.Errorf("after stop: lo %v, %s %v", addresses("lo"), r.w.Near, addresses(r.w.Near))
	}
	if last := r.guard.calls[len(r.guard.calls)-1]; last != "free "+r.w.Near+" 192.0.2.100 there=false" {
		t.Errorf("guard was asked last: %s", last)
	}
	r.run(resources.ActionMonitor, resources.NotRunning, lvs...)
	r.run(resources.ActionStart, resources.OK, lvs...)
	if present("lo", "192.0.2.100") || !present(r.w.Near, "192.0.2.100") {
		t.Errorf("after start: lo %v, %s %v", addresses("lo"), r.w.Near, addresses(r.w.Near))
	}
}
