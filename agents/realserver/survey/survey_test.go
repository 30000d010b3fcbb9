package survey

import (
	"net"
	"net/netip"
	"slices"
	"testing"

	"github.com/vishvananda/netlink"

	"systole/agents/internal/nstest"
)

// A node sees what it is, which way things go, and who on the link has an address.
func TestLook(t *testing.T) {
	if !nstest.Isolated(t) {
		return
	}
	w := nstest.NewWire(t)
	via := &netlink.Route{Gw: net.ParseIP("192.0.2.2"), AdvMSS: 1400}
	if err := netlink.RouteAdd(via); err != nil {
		t.Fatal(err)
	}
	addr := netip.MustParseAddr
	f, err := Look(t.Context(), Questions{
		VIPs:   []netip.Addr{addr("192.0.2.2"), addr("2001:db8::2"), addr("192.0.2.77"), addr("192.0.2.1")},
		Toward: []netip.Addr{addr("198.51.100.1"), addr("192.0.2.2"), addr("2001:db8:ffff::1")},
	})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(f.Addresses, Address{addr("192.0.2.1"), w.Near}) || !slices.Contains(f.Addresses, Address{addr("2001:db8::1"), w.Near}) {
		t.Errorf("addresses: %v", f.Addresses)
	}
	if !slices.Contains(f.Links, Link{Name: w.Near, Up: true, MTU: 1500, Hardware: w.NearHW.String()}) {
		t.Errorf("links: %v", f.Links)
	}
	for _, key := range []string{"net.ipv4.ip_forward", "net.ipv4.conf.all.arp_ignore", "net.ipv4.conf.near0.rp_filter"} {
		if f.Settings[key] == "" {
			t.Errorf("setting %s is not known", key)
		}
	}
	want := []Claim{{addr("192.0.2.2"), w.FarHW.String(), w.Near}, {addr("2001:db8::2"), w.FarHW.String(), w.Near}}
	if !slices.Equal(f.Claims, want) {
		t.Errorf("claims: %v, want %v", f.Claims, want)
	}
	routes := []Route{
		{To: addr("198.51.100.1"), Device: w.Near, Gateway: addr("192.0.2.2"), MTU: 1500, MSS: 1400},
		{To: addr("192.0.2.2"), Device: w.Near, MTU: 1500},
		{To: addr("2001:db8:ffff::1")},
	}
	if !slices.Equal(f.Routes, routes) {
		t.Errorf("routes: %+v, want %+v", f.Routes, routes)
	}
	if len(f.Modules) != len(modules) || f.Modules["ip_vs"] == "" {
		t.Errorf("modules: %v", f.Modules)
	}
}

func FuzzClaimed(f *testing.F) {
	f.Add([]byte{})
	f.Add(make([]byte, 42))
	f.Fuzz(func(t *testing.T, b []byte) {
		if vip, hw, ok := claimed(b, net.HardwareAddr{2, 0, 0, 0, 0, 1}); ok && (!vip.IsValid() || len(hw) != 6) {
			t.Errorf("%x claims %v by %v", b, vip, hw)
		}
	})
}
