package transport

import (
	"net"
	"net/netip"
	"testing"
)

// TestUDPSocket: datagrams pass between sockets of every family, whole, and name their sender.
func TestUDPSocket(t *testing.T) {
	for _, c := range []struct{ what, network, listen, from string }{
		{"IPv4", "udp", "127.0.0.1:0", "127.0.0.1"},
		{"IPv6", "udp", "[::1]:0", "::1"},
		{"IPv4 through a socket of both families", "udp", ":0", "127.0.0.1"},
	} {
		t.Run(c.what, func(t *testing.T) {
			open := func(listen string) *udpSocket {
				addr, err := net.ResolveUDPAddr(c.network, listen)
				if err != nil {
					t.Fatal(err)
				}
				udp, err := net.ListenUDP(c.network, addr)
				if err != nil {
					t.Skipf("this machine cannot listen on %s: %v", listen, err)
				}
				t.Cleanup(func() { udp.Close() })
				s, err := newUDPSocket(udp)
				if err != nil {
					t.Fatal(err)
				}
				return s
			}
			there, here := open(c.listen), open(netip.AddrPortFrom(netip.MustParseAddr(c.from), 0).String())
			port := func(s *udpSocket) uint16 { return s.LocalAddr().(*net.UDPAddr).AddrPort().Port() }
			to := netip.AddrPortFrom(netip.MustParseAddr(c.from), port(there))
			for _, text := range []string{"one", "", "three"} {
				if err := here.send([]byte(text), to); err != nil {
					t.Fatal(err)
				}
				buf := make([]byte, 100)
				n, from, err := there.receive(buf)
				if want := netip.AddrPortFrom(to.Addr(), port(here)); err != nil || string(buf[:n]) != text || from != want {
					t.Errorf("received %q from %v, %v; want %q from %v", buf[:n], from, err, text, want)
				}
			}
			there.Close()
			if _, _, err := there.receive(make([]byte, 1)); err == nil {
				t.Error("a closed socket receives")
			}
		})
	}
}
