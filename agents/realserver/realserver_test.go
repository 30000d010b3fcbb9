package realserver

import (
	"context"
	"errors"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"systole/agents/internal/frame"
	"systole/agents/internal/nstest"
	"systole/resources"
)

// rig is an agent on the near end of a wire.
type rig struct {
	t    *testing.T
	w    *nstest.Wire
	s    *nstest.Socket
	a    *Agent
	dir  string
	mu   sync.Mutex
	said []string // attributes set, "name=value"
	deaf bool     // the cluster takes none
}

func newRig(t *testing.T) *rig {
	r := &rig{t: t, w: nstest.NewWire(t), dir: t.TempDir()}
	r.s = r.w.FarSocket(t)
	r.restart()
	return r
}

// restart is a new daemon that knows what is in files only.
func (r *rig) restart() {
	r.a = New(Config{Dir: r.dir, Attribute: func(_ context.Context, _ resources.Op, name, value string) error {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.deaf {
			return errors.New("no quorum")
		}
		r.said = append(r.said, name+"="+value)
		return nil
	}})
}

func (r *rig) run(user string, action resources.Action, want resources.Code, params string) resources.Result {
	r.t.Helper()
	op := resources.Op{Resource: user, Action: action, Params: parameters(params)}
	if action == resources.ActionMonitor {
		op.Interval = 10 * time.Second
	}
	res := r.a.Execute(r.t.Context(), op)
	if res.Code != want {
		r.t.Fatalf("%s %s %s = %d (%s), want %d", action, user, params, res.Code, res.Reason, want)
	}
	return res
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

const vip4, vip6 = "192.0.2.100", "2001:db8::100"

// settled is every IPv4 setting that concerns a real server.
func settings(t *testing.T) map[string]string {
	t.Helper()
	keys := []string{}
	for _, d := range []string{"all", "lo", "near0"} {
		for _, s := range []string{"arp_ignore", "arp_announce", "rp_filter", "accept_redirects"} {
			keys = append(keys, "net/ipv4/conf/"+d+"/"+s)
		}
	}
	now, err := present(keys)
	if err != nil {
		t.Fatal(err)
	}
	return now
}

const (
	patience = 30 * time.Second       // something must come; a busy machine takes its time
	silence  = 200 * time.Millisecond // nothing may come
)

// wireAnswers asks the link who has the address, as a router would, and tells
// whether this node says in time that it does.
func (r *rig) wireAnswers(addr string, within time.Duration) bool {
	r.t.Helper()
	ip := netip.MustParseAddr(addr)
	ask := frame.Detect(r.w.FarHW, ip).Marshal
	if ip.Is4() {
		ask = frame.ARP{Dest: frame.Broadcast, Source: r.w.FarHW, Op: frame.Request, SenderHW: r.w.FarHW, Sender: netip.MustParseAddr("192.0.2.2"), TargetHW: make(net.HardwareAddr, 6), Target: ip}.Marshal
	}
	r.must(r.s.Send(ask()))
	for end := time.Now().Add(within); ; {
		b, err := r.s.Receive(max(0, int(time.Until(end)/time.Millisecond)))
		r.must(err)
		if b == nil {
			return false
		}
		if a, err := frame.ParseARP(b); err == nil && a.Sender == ip {
			return true
		}
		if n, err := frame.ParseNeighbour(b); err == nil && n.Advertise && n.Target == ip {
			return true
		}
	}
}

// takes tells whether a packet that a director sends on unchanged, to this
// node's hardware address, is taken in.
func (r *rig) takes(addr string) bool {
	r.t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(addr)})
	if err != nil {
		return false
	}
	defer conn.Close()
	r.w.Do(r.t, func() {
		link, err := netlink.LinkByName(r.w.Far)
		if err == nil {
			err = netlink.NeighSet(&netlink.Neigh{LinkIndex: link.Attrs().Index, IP: net.ParseIP(addr), State: netlink.NUD_PERMANENT, HardwareAddr: r.w.NearHW})
		}
		if err != nil {
			r.t.Error(err)
			return
		}
		c, err := net.Dial("udp", conn.LocalAddr().String())
		if err != nil {
			r.t.Error(err)
			return
		}
		defer c.Close()
		if _, err := c.Write([]byte("hello")); err != nil {
			r.t.Error(err)
		}
	})
	r.must(conn.SetReadDeadline(time.Now().Add(patience)))
	n, err := conn.Read(make([]byte, 16))
	return err == nil && n == 5
}

func addressesOf(t *testing.T, ip string) []string {
	t.Helper()
	have, err := holders(netip.MustParseAddr(ip))
	if err != nil {
		t.Fatal(err)
	}
	return have
}

func TestDirectRouting(t *testing.T) {
	if !nstest.Isolated(t) {
		return
	}
	r := newRig(t)
	before := settings(t)
	const rs = "vip=" + vip4 + " " + vip6
	r.run("rs", resources.ActionValidateAll, resources.OK, rs)
	r.run("rs", resources.ActionMonitor, resources.NotRunning, rs)
	r.run("rs", resources.ActionStop, resources.OK, rs)
	r.run("rs", resources.ActionStart, resources.OK, rs)
	r.run("rs", resources.ActionStart, resources.OK, rs)
	began := time.Now()
	res := r.run("rs", resources.ActionMonitor, resources.OK, rs)
	t.Logf("monitor took %v %s", time.Since(began), res.Output)
	for _, addr := range []string{vip4, vip6} {
		if r.wireAnswers(addr, silence) {
			t.Errorf("the link hears that this node has %s", addr)
		}
		if !r.takes(addr) {
			t.Errorf("packets to %s are not taken", addr)
		}
	}
	r.restart()
	r.run("rs", resources.ActionMonitor, resources.OK, rs)
	r.run("rs", resources.ActionStop, resources.OK, rs)
	r.run("rs", resources.ActionMonitor, resources.NotRunning, rs)
	if got := settings(t); !maps.Equal(got, before) {
		t.Errorf("settings after the stop: %v\nbefore: %v", got, before)
	}
	if a, b := addressesOf(t, vip4), addressesOf(t, vip6); len(a)+len(b) != 0 {
		t.Errorf("after the stop the addresses are on %v and %v", a, b)
	}
	// The director is told at a stop, and when the address is back: if the cluster
	// does not take that, the next monitor says it again.
	r.deaf = true
	r.run("rs", resources.ActionStart, resources.OK, rs)
	r.run("rs", resources.ActionMonitor, resources.OK, rs)
	r.deaf = false
	r.run("rs", resources.ActionMonitor, resources.OK, rs)
	r.run("rs", resources.ActionMonitor, resources.OK, rs)
	if want := []string{"lvs-drain-rs=true", "lvs-drain-rs="}; !slices.Equal(r.said, want) {
		t.Errorf("attributes: %q, want %q", r.said, want)
	}
	r.run("rs", "promote", resources.ErrUnimplemented, rs)
	r.run("rs", resources.ActionStart, resources.ErrConfigured, "vip=x")
}

// The wire test itself can hear an answer, and so can the agent's own: without
// arp_ignore this node answers for an address of lo. IPv6 never does.
func TestAnswersAreHeard(t *testing.T) {
	if !nstest.Isolated(t) {
		return
	}
	r := newRig(t)
	vips := []netip.Addr{netip.MustParseAddr(vip4), netip.MustParseAddr(vip6)}
	for _, ip := range vips {
		r.must(hold(ip, loopback))
	}
	if !r.wireAnswers(vip4, patience) {
		t.Error("the kernel does not answer for an address of lo: this test hears nothing")
	}
	if r.wireAnswers(vip6, silence) {
		t.Error("the kernel answers for an IPv6 address of lo: it needs keeping quiet, too")
	}
	if talker, err := answers(t.Context(), r.dir, vips); err != nil || talker != vips[0] {
		t.Errorf("asked itself, the kernel answers for %v, %v", talker, err)
	}
	if _, err := netlink.LinkByName(askedDevice); err == nil {
		t.Error("the cards of the test stay")
	}
	r.must(write(map[string]string{"net/ipv4/conf/all/arp_ignore": "1"}))
	if talker, err := answers(t.Context(), r.dir, vips); err != nil || talker.IsValid() {
		t.Errorf("asked itself with arp_ignore, the kernel answers for %v, %v", talker, err)
	}
}

// What the kernel does counts, not what its settings promise.
func TestKernelAnswersInSpite(t *testing.T) {
	if !nstest.Isolated(t) {
		return
	}
	r := newRig(t)
	const rs = "vip=" + vip4
	talks := func(_ context.Context, _ string, vips []netip.Addr) (netip.Addr, error) { return vips[0], nil }
	r.a.talker = talks
	if res := r.run("rs", resources.ActionStart, resources.ErrGeneric, rs); !strings.Contains(res.Reason, "answers ARP for "+vip4) {
		t.Errorf("the start failed for another reason: %s", res.Reason)
	}
	if have := addressesOf(t, vip4); len(have) != 0 {
		t.Errorf("the address stayed on %v", have)
	}
	r.restart()
	r.run("rs", resources.ActionStart, resources.OK, rs)
	r.a.talker = talks
	if res := r.run("rs", resources.ActionMonitor, resources.ErrGeneric, rs); !strings.Contains(res.Reason, "answers ARP for "+vip4) {
		t.Errorf("the monitor failed for another reason: %s", res.Reason)
	}
}

// A stop that cannot take the address away leaves the kernel quiet about it.
func TestQuietWhileTheAddressIsThere(t *testing.T) {
	if !nstest.Isolated(t) {
		return
	}
	r := newRig(t)
	before := settings(t)
	const rs = "vip=" + vip4
	r.run("rs", resources.ActionStart, resources.OK, rs)
	quiet := settings(t)
	powerless(t, func() { r.run("rs", resources.ActionStop, resources.ErrGeneric, rs) })
	if have := addressesOf(t, vip4); len(have) != 1 {
		t.Fatalf("the address is on %v: nothing is proved", have)
	}
	if now := settings(t); !maps.Equal(now, quiet) {
		t.Errorf("settings with the address still there: %v, want %v", now, quiet)
	}
	r.run("rs", resources.ActionStop, resources.OK, rs)
	if now := settings(t); !maps.Equal(now, before) {
		t.Errorf("settings after the stop: %v, want %v", now, before)
	}
}

// powerless does something without the right to change addresses; settings are
// files, which their owner may write.
func powerless(t *testing.T, do func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var sets [2]unix.CapUserData
		if err := unix.Capget(&header, &sets[0]); err != nil {
			t.Error(err)
			return
		}
		sets[0].Effective &^= 1 << unix.CAP_NET_ADMIN
		if err := unix.Capset(&header, &sets[0]); err != nil {
			t.Error(err)
			return
		}
		do()
	}()
	<-done
}

func TestMonitorSeesWhatBreaksIt(t *testing.T) {
	if !nstest.Isolated(t) {
		return
	}
	r := newRig(t)
	const rs = "vip=" + vip4 + " " + vip6
	r.run("rs", resources.ActionStart, resources.OK, rs)
	for key, value := range map[string]string{
		"net/ipv4/conf/all/arp_ignore": "0", "net/ipv4/conf/all/arp_announce": "0", "net/ipv4/conf/lo/arp_ignore": "0", "net/ipv4/conf/near0/arp_ignore": "3",
	} {
		now, err := sysctl(key)
		r.must(err)
		r.must(write(map[string]string{key: value}))
		res := r.run("rs", resources.ActionMonitor, resources.ErrGeneric, rs)
		if name := strings.ReplaceAll(key, "/", "."); !strings.Contains(res.Reason, name) {
			t.Errorf("%s=%s: the reason is %q", name, value, res.Reason)
		}
		r.must(write(map[string]string{key: now}))
		r.run("rs", resources.ActionMonitor, resources.OK, rs)
	}
	noticed := make(chan bool, 1)
	go func() {
		noticed <- r.a.Watch(t.Context(), resources.Op{Resource: "rs", Action: resources.ActionMonitor, Params: parameters(rs)})
	}()
	r.must(drop(netip.MustParseAddr(vip4), loopback))
	if !<-noticed {
		t.Error("the watch does not notice that an address has gone")
	}
	r.run("rs", resources.ActionMonitor, resources.ErrGeneric, rs)
	r.must(drop(netip.MustParseAddr(vip6), loopback))
	r.run("rs", resources.ActionMonitor, resources.NotRunning, rs)
	r.run("rs", resources.ActionStart, resources.OK, rs)
	r.run("rs", resources.ActionMonitor, resources.OK, rs)
}

// Without a readable ledger nobody guesses, but a stop takes the address away.
func TestDamagedLedger(t *testing.T) {
	if !nstest.Isolated(t) {
		return
	}
	r := newRig(t)
	const rs = "vip=" + vip4
	r.run("rs", resources.ActionStart, resources.OK, rs)
	r.must(os.WriteFile(filepath.Join(r.dir, bookName), []byte("{"), 0o600))
	r.run("rs", resources.ActionStart, resources.ErrGeneric, rs)
	if res := r.run("rs", resources.ActionMonitor, resources.ErrGeneric, rs); res.Status != resources.StatusError {
		t.Errorf("the monitor says %+v", res)
	}
	r.run("rs", resources.ActionStop, resources.OK, rs)
	if got := addressesOf(t, vip4); len(got) != 0 {
		t.Errorf("after the stop the address is on %v", got)
	}
	r.run("rs", resources.ActionMonitor, resources.NotRunning, rs)
}

// Two resources share settings and an address: the last one stopped takes them away.
func TestTwoResources(t *testing.T) {
	if !nstest.Isolated(t) {
		return
	}
	r := newRig(t)
	r.a.cfg.Attribute = nil // nobody to wait for
	before := settings(t)
	const one, two = "vip=" + vip4, "vip=" + vip4 + " 192.0.2.101"
	r.run("one", resources.ActionStart, resources.OK, one)
	r.run("two", resources.ActionStart, resources.OK, two)
	r.run("two", resources.ActionStop, resources.OK, two)
	r.run("one", resources.ActionMonitor, resources.OK, one)
	if got := addressesOf(t, "192.0.2.101"); len(got) != 0 {
		t.Errorf("the address of the stopped one is on %v", got)
	}
	r.run("one", resources.ActionStop, resources.OK, one)
	if got := settings(t); !maps.Equal(got, before) {
		t.Errorf("settings after both stopped: %v\nbefore: %v", got, before)
	}
}

// The active director on a real server has the address on its network card; the
// real server is content, and takes it to be the director's.
func TestDirectorOnTheSameNode(t *testing.T) {
	if !nstest.Isolated(t) {
		return
	}
	r := newRig(t)
	r.a.cfg.Attribute = nil
	const rs = "vip=" + vip4
	r.run("rs", resources.ActionStart, resources.OK, rs)
	near, err := netlink.LinkByName(r.w.Near)
	r.must(err)
	onCard, err := netlink.ParseAddr(vip4 + "/24")
	r.must(err)
	// As IPaddr2 with lvs_support does it.
	r.must(netlink.AddrAdd(near, onCard))
	r.must(drop(netip.MustParseAddr(vip4), loopback))
	r.run("rs", resources.ActionMonitor, resources.OK, rs)
	if !r.wireAnswers(vip4, patience) {
		t.Error("the active director does not answer for its address")
	}
	r.run("rs", resources.ActionStop, resources.OK, rs)
	if got := addressesOf(t, vip4); !slices.Equal(got, []string{r.w.Near}) {
		t.Errorf("after the real server has stopped the address is on %v", got)
	}
	r.run("rs", resources.ActionStart, resources.OK, rs)
	if got := addressesOf(t, vip4); !slices.Equal(got, []string{r.w.Near}) {
		t.Errorf("after the real server has started the address is on %v", got)
	}
	r.must(hold(netip.MustParseAddr(vip4), loopback))
	r.must(netlink.AddrDel(near, onCard))
	r.run("rs", resources.ActionMonitor, resources.OK, rs)
	if r.wireAnswers(vip4, silence) {
		t.Error("the former director answers for the address")
	}
}

// A stop waits for the connections there are, after it has said that no new
// ones are wanted, and leaves what it said standing.
func TestStopDrains(t *testing.T) {
	if !nstest.Isolated(t) {
		return
	}
	r := newRig(t)
	const rs = "vip=" + vip4 + ",drain_timeout=60s"
	r.run("rs", resources.ActionStart, resources.OK, rs)
	l, err := net.Listen("tcp", vip4+":0")
	r.must(err)
	defer l.Close()
	var client net.Conn
	r.takes(vip4) // the far end learns where the address is
	r.w.Do(t, func() {
		if client, err = net.Dial("tcp", l.Addr().String()); err != nil {
			t.Error(err)
		}
	})
	r.must(err)
	server, err := l.Accept()
	r.must(err)
	c, err := read(parameters(rs))
	r.must(err)
	if n, err := c.connections(); err != nil || n != 1 {
		t.Errorf("%d connections, %v, want 1", n, err)
	}
	stopped := make(chan resources.Result, 1)
	go func() {
		stopped <- r.a.Execute(t.Context(), resources.Op{Resource: "rs", Action: resources.ActionStop, Params: parameters(rs)})
	}()
	select {
	case res := <-stopped:
		t.Fatalf("stopped with a connection left: %+v", res)
	case <-time.After(settle + 3*lookEvery):
	}
	if !slices.Equal(addressesOf(t, vip4), []string{loopback}) {
		t.Error("the address went before the connection")
	}
	client.Close()
	server.Close()
	if res := <-stopped; res.Code != resources.OK || !strings.HasPrefix(res.Output, "drained in ") {
		t.Errorf("the stop ended with %+v", res)
	}
	if last := r.said[len(r.said)-1]; last != "lvs-drain-rs=true" {
		t.Errorf("what the director was told last: %s", last)
	}
}

// The operation's own time-out, and the end of the lease, come before draining.
func TestStopDoesNotDrainForEver(t *testing.T) {
	ended := New(Config{Dir: t.TempDir(), Lease: leaseEnded{}})
	if note := ended.drain(t.Context(), config{drain: time.Hour}, resources.Op{}, "rs"); note != "not drained" {
		t.Errorf("without a lease: %s", note)
	}
	ctx, cancel := context.WithTimeout(t.Context(), reserve)
	defer cancel()
	if note := New(Config{Dir: t.TempDir()}).drain(ctx, config{drain: time.Hour}, resources.Op{}, "rs"); note != "not drained" {
		t.Errorf("with no time: %s", note)
	}
}

type leaseEnded struct{}

func (leaseEnded) Remaining() time.Duration { return 0 }

// Behind masquerading only the replies of the service go to the director, even
// to clients on this node's own network.
func TestNATRoutes(t *testing.T) {
	if !nstest.Isolated(t) {
		return
	}
	r := newRig(t)
	r.a.cfg.Attribute = nil
	before := settings(t)
	via := func(to string) string {
		got, err := netlink.RouteGet(net.ParseIP(to))
		if err != nil || len(got) == 0 {
			return "nowhere"
		}
		return got[0].Gw.String()
	}
	const all, ports = "mode=nat,gateway=192.0.2.254", "mode=nat,gateway=192.0.2.254,ports=80 443"
	r.run("rs", resources.ActionStart, resources.OK, all)
	r.run("rs", resources.ActionMonitor, resources.OK, all)
	if far, near := via("198.51.100.1"), via("192.0.2.2"); far != "192.0.2.254" || near != "<nil>" {
		t.Errorf("the way to a far client is through %s, to a near one %s", far, near)
	}
	r.run("two", resources.ActionStart, resources.OK, ports)
	r.run("two", resources.ActionMonitor, resources.OK, ports)
	r.run("rs", resources.ActionStop, resources.OK, all)
	if far := via("198.51.100.1"); far != "nowhere" {
		t.Errorf("after the stop the way to a far client is through %s", far)
	}
	r.run("two", resources.ActionMonitor, resources.OK, ports)
	// A connection from port 80 to a near client leaves through the gateway: the
	// far end hears a question for the gateway, not for the client.
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP("192.0.2.1"), Port: 80})
	r.must(err)
	defer c.Close()
	_, err = c.WriteTo([]byte("reply"), &net.UDPAddr{IP: net.ParseIP("192.0.2.77"), Port: 4711})
	r.must(err)
	asked := ""
	for end := time.Now().Add(patience); asked == "" && time.Now().Before(end); {
		b, err := r.s.Receive(100)
		r.must(err)
		if a, err := frame.ParseARP(b); err == nil && a.Op == frame.Request {
			asked = a.Target.String()
		}
	}
	if asked != "192.0.2.254" {
		t.Errorf("for a reply to a near client the link is asked for %q, want the gateway", asked)
	}
	rules, err := netlink.RuleList(netlink.FAMILY_V4)
	r.must(err)
	for _, rule := range rules {
		if rule.Protocol == ownProtocol && rule.Sport.Start == 443 {
			r.must(netlink.RuleDel(&rule))
			break
		}
	}
	res := r.run("two", resources.ActionMonitor, resources.ErrGeneric, ports)
	if !strings.Contains(res.Reason, "port 443") {
		t.Errorf("a rule removed: %q", res.Reason)
	}
	r.run("two", resources.ActionStop, resources.OK, ports)
	rules, err = netlink.RuleList(netlink.FAMILY_V4)
	r.must(err)
	if slices.ContainsFunc(rules, func(rule netlink.Rule) bool { return rule.Protocol == ownProtocol }) {
		t.Errorf("rules left: %v", rules)
	}
	if got := settings(t); !maps.Equal(got, before) {
		t.Errorf("settings after the stop: %v\nbefore: %v", got, before)
	}
	r.run("rs", resources.ActionStart, resources.ErrGeneric, "mode=nat,gateway=203.0.113.1")
	r.run("rs", resources.ActionStart, resources.ErrGeneric, "mode=nat,gateway=192.0.2.1")
	for _, action := range []resources.Action{resources.ActionStart, resources.ActionMonitor, resources.ActionStop} {
		r.run("six", action, resources.OK, "mode=nat,gateway=2001:db8::fe,ports=80")
	}
}

func TestTunnel(t *testing.T) {
	if !nstest.Isolated(t) {
		return
	}
	r := newRig(t)
	if err := raise("tunl0"); err != nil {
		t.Skip("needs the kernel module ipip: ", err)
	}
	const rs = "vip=" + vip4 + ",mode=tun,drain_timeout=0"
	r.must(os.WriteFile(procSys+"/net/ipv4/conf/all/rp_filter", []byte("1"), 0))
	r.run("rs", resources.ActionStart, resources.OK, rs)
	r.run("rs", resources.ActionMonitor, resources.OK, rs)
	if got, err := sysctl("net/ipv4/conf/tunl0/rp_filter"); got != "2" {
		t.Errorf("rp_filter of the tunnel is %s, %v", got, err)
	}
	if r.wireAnswers(vip4, silence) {
		t.Error("the link hears that this node has the address")
	}
	r.run("rs", resources.ActionStop, resources.OK, rs)
	if got, err := sysctl("net/ipv4/conf/tunl0/rp_filter"); got == "2" {
		t.Errorf("rp_filter of the tunnel is still %s, %v", got, err)
	}
}
