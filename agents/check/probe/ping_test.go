package probe

import (
	"net/netip"
	"os"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"

	"systole/agents/internal/nstest"
)

func addr(s string) netip.AddrPort { return netip.AddrPortFrom(netip.MustParseAddr(s), 0) }

func TestPing(t *testing.T) {
	if !nstest.Isolated(t) {
		return
	}
	nstest.NewWire(t)
	const slow = " timeout=10s"
	both := func(t *testing.T) {
		wantUp(t, "IPv4", ask(t, "ping"+slow, addr("192.0.2.2")), "echo after")
		wantUp(t, "IPv6", ask(t, "ping"+slow, addr("2001:db8::2")), "echo after")
		wantUp(t, "itself", ask(t, "ping"+slow, addr("127.0.0.1")), "echo after")
		wantUp(t, "connect-to", ask(t, "ping connect-to=192.0.2.2"+slow, addr("198.51.100.1")), "echo after")
		wantUp(t, "source and device", ask(t, "ping source=192.0.2.1 device=near0"+slow, addr("192.0.2.2")), "echo after")
		wantDown(t, "no route", ask(t, "ping"+slow, addr("198.51.100.1")), "network is unreachable (198.51.100.1)")
		wantDown(t, "nobody there", ask(t, "ping timeout=100ms", addr("192.0.2.99")), silent)
		wantDown(t, "nobody there, IPv6", ask(t, "ping timeout=100ms", addr("2001:db8::99")), silent)
		wantDown(t, "no such device", ask(t, "ping device=none0"+slow, addr("192.0.2.2")), "option device: none0: no such device")
	}
	t.Run("raw", both)
	if err := os.WriteFile("/proc/sys/net/ipv4/ping_group_range", []byte("0 0"), 0); err != nil {
		t.Fatal(err)
	}
	q := question{server: addr("127.0.0.1")}
	fd, err := q.openEcho(unix.SOCK_DGRAM)
	if err != nil {
		t.Fatalf("an unprivileged socket: %v", err)
	}
	unix.Close(fd)
	t.Run("unprivileged", both)
}

// The mark, the device and the own address of probes.
func TestRoute(t *testing.T) {
	if !nstest.Isolated(t) {
		return
	}
	nstest.NewWire(t) // brings lo up
	at := serve(t, hush)
	const slow = " timeout=10s"
	wantUp(t, "source", ask(t, "tcp source=127.0.0.9"+slow, at), "connected")
	wantUp(t, "device", ask(t, "tcp device=lo"+slow, at), "connected")
	echo := datagrams(t, func(b []byte) string { return "x" })
	wantUp(t, "UDP", ask(t, "udp expect=x source=127.0.0.9 source-mark=7"+slow, echo), "matches")

	// At the far end nobody listens, which every kind says; and what is marked gets nowhere.
	marked := netlink.NewRule()
	marked.Mark, marked.Type = 7, unix.FR_ACT_UNREACHABLE
	if err := netlink.RuleAdd(marked); err != nil {
		t.Fatal(err)
	}
	far, elsewhere := netip.MustParseAddrPort("192.0.2.2:9"), netip.MustParseAddrPort("198.51.100.1:9")
	for _, kind := range []string{"tcp", "http", "https", "dns", "smtp", "ftp", "imap", "pop3", "ldap", "mysql", "mysql user=u", "pgsql", "pgsql user=u", "udp"} {
		wantDown(t, kind, ask(t, kind+slow, far), "connection refused (192.0.2.2:9)")
		wantDown(t, kind+" by port", ask(t, kind+" port=10"+slow, far), "connection refused (192.0.2.2:10)")
		wantDown(t, kind+" elsewhere", ask(t, kind+slow, elsewhere), "network is unreachable")
		wantDown(t, kind+" by address", ask(t, kind+" connect-to=192.0.2.2"+slow, elsewhere), "connection refused (192.0.2.2:9)")
		wantDown(t, kind+" from a source of others", ask(t, kind+" source=192.0.2.77"+slow, far), "cannot assign requested address")
		wantDown(t, kind+" by no device", ask(t, kind+" device=none0"+slow, far), "option device: none0: no such device")
		wantDown(t, kind+" with a mark", ask(t, kind+" source-mark=7"+slow, far), "network is unreachable")
	}
	wantDown(t, "ping with a mark", ask(t, "ping source-mark=7"+slow, far), "network is unreachable")
	wantDown(t, "ping from a source of others", ask(t, "ping source=192.0.2.77"+slow, far), "cannot assign requested address")
}

func FuzzEchoes(f *testing.F) {
	cookie := []byte("12345678")
	for _, m := range []icmp.Message{
		{Type: ipv4.ICMPTypeEchoReply, Body: &icmp.Echo{Data: cookie}},
		{Type: ipv6.ICMPTypeEchoReply, Body: &icmp.Echo{Data: cookie}},
	} {
		b, err := m.Marshal(nil)
		if err != nil {
			f.Fatal(err)
		}
		if !echoes(b, cookie, m.Type == ipv6.ICMPTypeEchoReply) {
			f.Errorf("%v is not seen as an echo", m)
		}
		if echoes(b, []byte("87654321"), m.Type == ipv6.ICMPTypeEchoReply) {
			f.Error("the echo of another probe is taken for ours")
		}
		f.Add(b, true)
		f.Add(append([]byte{0x45, 19: 0}, b...), false)
	}
	f.Fuzz(func(t *testing.T, packet []byte, v6 bool) { echoes(packet, cookie, v6) })
}
