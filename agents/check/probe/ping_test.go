package probe

import (
	"net/netip"
	"os"
	"testing"

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

// The mark, the device and the own address of TCP and UDP probes.
func TestRoute(t *testing.T) {
	if !nstest.Isolated(t) {
		return
	}
	nstest.NewWire(t) // brings lo up
	at := serve(t, hush)
	const slow = " timeout=10s"
	wantUp(t, "mark", ask(t, "tcp source-mark=7"+slow, at), "connected")
	wantUp(t, "source", ask(t, "tcp source=127.0.0.9"+slow, at), "connected")
	wantUp(t, "device", ask(t, "tcp device=lo"+slow, at), "connected")
	wantDown(t, "another device", ask(t, "tcp device=none0"+slow, at), "option device: none0: no such device")
	wantDown(t, "a source of others", ask(t, "tcp source=192.0.2.77"+slow, at), "cannot assign requested address")
	echo := datagrams(t, func(b []byte) string { return "x" })
	wantUp(t, "UDP", ask(t, "udp expect=x source=127.0.0.9 source-mark=7"+slow, echo), "matches")
	wantUp(t, "port", ask(t, "tcp port="+portOf(at)+slow, netip.AddrPortFrom(at.Addr(), 1)), "connected")
	wantUp(t, "connect-to", ask(t, "tcp connect-to=127.0.0.1"+slow, netip.AddrPortFrom(netip.MustParseAddr("198.51.100.1"), at.Port())), "connected")
}

func portOf(a netip.AddrPort) string { return a.String()[len(a.Addr().String())+1:] }

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
