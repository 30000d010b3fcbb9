package kernel

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/mdlayher/netlink"

	"systole/agents/ipvs/table"
)

// The wire: what is written for a service is read back as the kernel would
// send it, since both use the same attributes.
func TestServiceOnTheWire(t *testing.T) {
	for _, s := range []table.Service{
		{Key: table.AddrKey(table.TCP, netip.MustParseAddrPort("192.0.2.10:80")), Scheduler: "wlc"},
		{Key: table.AddrKey(table.SCTP, netip.MustParseAddrPort("[2001:db8::10]:80")), Scheduler: "mh", Flags: table.Sched1 | table.Sched2, Persistent: 50 * time.Second, Mask: 64},
		{Key: table.AddrKey(table.UDP, netip.MustParseAddrPort("192.0.2.10:5060")), Scheduler: "rr", Flags: table.OnePacket, Persistent: time.Second, Mask: 0xffffff00, Engine: "sip"},
		{Key: table.MarkKey(0x80000001, table.IPv6), Scheduler: "fo"},
	} {
		m, err := encodeOp(table.Op{Verb: table.AddService, Service: s})
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeService(m.Data)
		if d := cmp.Diff(s, got.Service, cmpopts.EquateComparable(table.Key{})); err != nil || d != "" {
			t.Errorf("%s: %v, sent -, read +:\n%s", s.Key, err, d)
		}
	}
}

func TestServerOnTheWire(t *testing.T) {
	for _, s := range []table.Server{
		{Addr: netip.MustParseAddrPort("10.0.0.1:8080"), Forward: table.Masquerade, Weight: 65535, Upper: 9, Lower: 3},
		{Addr: netip.MustParseAddrPort("10.0.0.1:80"), Forward: table.DirectRouting},
		{Addr: netip.MustParseAddrPort("[fd00::1]:80"), Forward: table.Tunneling, Weight: 1, Tunnel: table.Tunnel{Type: table.GUE, Port: 6080, Flags: table.RemoteChecksum}},
	} {
		ae := netlink.NewAttributeEncoder()
		encodeServer(ae, s)
		data, err := ae.Encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeServer(data, table.IPv4)
		if err != nil || got.Server != s {
			t.Errorf("sent %+v, read %+v, %v", s, got.Server, err)
		}
	}
}

// The older counters have 32 bits but for bytes; the newer win, wherever they stand.
func TestCounters(t *testing.T) {
	ae := netlink.NewAttributeEncoder()
	ae.Nested(attrDest, func(ae *netlink.AttributeEncoder) error {
		ae.Bytes(destAddr, []byte{10, 0, 0, 1})
		ae.Bytes(destPort, []byte{0, 80})
		ae.Nested(destStats64, func(ae *netlink.AttributeEncoder) error {
			ae.Uint64(statsConns, 1<<40)
			ae.Uint64(statsInBytes, 1<<41)
			ae.Uint64(statsOutByteRate, 7)
			return nil
		})
		ae.Nested(destStats, func(ae *netlink.AttributeEncoder) error {
			ae.Uint32(statsConns, 5)
			ae.Uint64(statsInBytes, 5)
			return nil
		})
		return nil
	})
	data, err := ae.Encode()
	if err != nil {
		t.Fatal(err)
	}
	s, err := decodeServer(data, table.IPv4)
	if want := (table.Counters{Conns: 1 << 40, InBytes: 1 << 41, OutByteRate: 7}); err != nil || s.Counters != want {
		t.Errorf("counters %+v, %v", s.Counters, err)
	}
}

const conns = `Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData
TCP 0A630001 D431 0A630064 0050 0A630004 0050 ESTABLISHED     899
UDP 0A630001 13C4 0A630064 13C4 0A630005 13C4 UDP             301 sip call-1@host
IP  0A630001 0000 00000007 0000 0A630004 0000 NONE             12
TCP fd77:0000:0000:0000:0000:0000:0000:0001 D431 2001:0db8:0000:0000:0000:0000:0000:0010 0050 fd77:0000:0000:0000:0000:0000:0000:0004 0050 FIN_WAIT        59
`

func TestConnections(t *testing.T) {
	var got []table.Connection
	if err := eachRow(strings.NewReader(conns), func(f []string) error {
		c, err := parseConnection(f)
		got = append(got, c)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	ap := netip.MustParseAddrPort
	want := []table.Connection{
		{Protocol: "TCP", Client: ap("10.99.0.1:54321"), Virtual: ap("10.99.0.100:80"), Server: ap("10.99.0.4:80"), State: "ESTABLISHED", Expires: 899 * time.Second},
		{Protocol: "UDP", Client: ap("10.99.0.1:5060"), Virtual: ap("10.99.0.100:5060"), Server: ap("10.99.0.5:5060"), State: "UDP", Expires: 301 * time.Second, Engine: "sip", EngineData: "call-1@host"},
		{Protocol: "IP", Client: ap("10.99.0.1:0"), Virtual: ap("0.0.0.7:0"), Server: ap("10.99.0.4:0"), State: "NONE", Expires: 12 * time.Second},
		{Protocol: "TCP", Client: ap("[fd77::1]:54321"), Virtual: ap("[2001:db8::10]:80"), Server: ap("[fd77::4]:80"), State: "FIN_WAIT", Expires: 59 * time.Second},
	}
	if d := cmp.Diff(want, got, cmpopts.EquateComparable(netip.AddrPort{})); d != "" {
		t.Errorf("want -, got +:\n%s", d)
	}
}

func FuzzConnections(f *testing.F) {
	f.Add(conns)
	f.Add("heading\nTCP 1 2\nTCP zz 0 0 0 0 0 S 1\n")
	f.Fuzz(func(t *testing.T, text string) {
		eachRow(strings.NewReader(text), func(fields []string) error {
			if c, err := parseConnection(fields); err == nil && (!c.Client.IsValid() || !c.Server.IsValid() || c.Expires < 0) {
				t.Errorf("%q is read as %+v", fields, c)
			}
			return nil
		})
	})
}

// Whatever the kernel sends: no panic, and an error or a value with an address.
func FuzzDecode(f *testing.F) {
	m, err := encodeOp(table.Op{Verb: table.AddServer,
		Service: table.Service{Key: table.AddrKey(table.TCP, netip.MustParseAddrPort("192.0.2.10:80")), Scheduler: "rr"},
		Server:  table.Server{Addr: netip.MustParseAddrPort("10.0.0.1:80"), Forward: table.Tunneling}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(m.Data)
	f.Add([]byte{4, 0, 1, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		if e, err := decodeService(data); err == nil && !e.IsMark() && !e.Addr.IsValid() {
			t.Errorf("a service without key: %+v", e)
		}
		if s, err := decodeServer(data, table.IPv4); err == nil && !s.Addr.IsValid() {
			t.Errorf("a server without address: %+v", s)
		}
		decodeDaemon(data)
		decodeInfo(data)
	})
}
