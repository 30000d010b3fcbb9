package route

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"systole/agents/internal/nstest"
	"systole/resources"
)

func TestParameters(t *testing.T) {
	for _, good := range []map[string]string{
		{"destination": "198.51.100.0/24", "gateway": "192.0.2.9"},
		{"destination": "default", "device": "eth0"},
		{"destination": "0.0.0.0/0", "gateway": "192.0.2.9", "source": "192.0.2.1", "table": "100"},
		{"destination": "default", "gateway": "2001:db8::9"},
		{"destination": "2001:db8:1::/48", "gateway": "2001:db8::9", "family": "ip6", "table": "local"},
	} {
		if _, err := readRoute(good); err != nil {
			t.Errorf("%v: %v", good, err)
		}
	}
	if r, _ := readRoute(map[string]string{"destination": "default", "gateway": "2001:db8::9"}); r.to != anywhere(true) {
		t.Errorf("default by an IPv6 gateway: %v", r)
	}
	for _, bad := range []map[string]string{
		{"destination": "198.51.100.0/24"}, {"gateway": "192.0.2.9"}, {"destination": "there", "device": "x"},
		{"destination": "198.51.100.0/24", "gateway": "2001:db8::9"}, {"destination": "198.51.100.0/24", "gateway": "x"},
		{"destination": "198.51.100.0/24", "device": "x", "family": "ip6"}, {"destination": "198.51.100.0/24", "device": "x", "family": "ip5"},
		{"destination": "198.51.100.0/24", "device": "x", "table": "mine"},
	} {
		if r, err := readRoute(bad); err == nil {
			t.Errorf("%v was read as %v", bad, r)
		}
	}
	for _, bad := range []map[string]string{
		nil, {"ipaddress": "x"}, {"ipaddress": "192.0.2.1", "destination": "2001:db8::/32"}, {"ipaddress": "192.0.2.1", "cidr_netmask": "33"},
		{"ipaddress": "192.0.2.1", "proto": "x"}, {"ipaddress": "192.0.2.1", "metric": "main"}, {"ipaddress": "192.0.2.1", "table": "-1"},
	} {
		if s, err := readSource(bad); err == nil {
			t.Errorf("%v was read as %+v", bad, s)
		}
	}
	if s, err := readSource(map[string]string{"ipaddress": "2001:db8::5", "cidr_netmask": "64"}); err != nil || s.to != anywhere(true) || s.bits != 64 {
		t.Errorf("%+v, %v", s, err)
	}
}

func FuzzNames(f *testing.F) {
	for _, s := range []string{"198.51.100.7/24", "::/0", "255.255.0.0", "main", "24", "1.2.3.4"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if p, err := network(s); err == nil && p != p.Masked() {
			t.Errorf("%q is %v", s, p)
		}
		if n, err := prefixLength(s, 32); err == nil && (n < 0 || n > 32) {
			t.Errorf("%q is %d bits", s, n)
		}
		if n, err := number(tables, s); err == nil && n < 0 {
			t.Errorf("%q is table %d", s, n)
		}
	})
}

// world runs agents in a network namespace with a wire.
type world struct {
	*testing.T
	resources.Agent
	params map[string]string
}

func (w world) must(want resources.Code, action resources.Action) string {
	w.Helper()
	res := w.Execute(w.Context(), resources.Op{Action: action, Params: w.params})
	if res.Code != want {
		w.Fatalf("%s with %v: code %d (%s), want %d", action, w.params, res.Code, res.Reason, want)
	}
	return res.Reason
}

// life is start and stop, each twice.
func (w world) life() {
	w.Helper()
	w.must(resources.OK, resources.ActionValidateAll)
	w.must(resources.NotRunning, resources.ActionMonitor)
	w.must(resources.OK, resources.ActionStop)
	for range 2 {
		w.must(resources.OK, resources.ActionStart)
		w.must(resources.OK, resources.ActionMonitor)
	}
	for range 2 {
		w.must(resources.OK, resources.ActionStop)
		w.must(resources.NotRunning, resources.ActionMonitor)
	}
}

func TestRoute(t *testing.T) {
	if !nstest.Isolated(t) {
		return
	}
	wire := nstest.NewWire(t)
	for _, params := range []map[string]string{
		{"destination": "198.51.100.0/24", "gateway": "192.0.2.9"},
		{"destination": "198.51.100.7", "device": wire.Near, "source": "192.0.2.1"},
		{"destination": "default", "gateway": "192.0.2.9", "table": "77"},
		{"destination": "2001:db8:1::/48", "gateway": "2001:db8::9"},
		{"destination": "default", "gateway": "2001:db8::9", "device": wire.Near},
	} {
		world{t, Route{}, params}.life()
	}
	w := world{t, Route{}, map[string]string{"destination": "198.51.100.0/24", "gateway": "192.0.2.9"}}
	w.must(resources.OK, resources.ActionStart)
	other := world{t, Route{}, map[string]string{"destination": "198.51.100.0/24", "gateway": "192.0.2.8"}}
	other.must(resources.NotRunning, resources.ActionMonitor)
	if reason := other.must(resources.ErrGeneric, resources.ActionStart); !strings.Contains(reason, "192.0.2.9") {
		t.Errorf("the route in the way is not named: %s", reason)
	}
	other.must(resources.OK, resources.ActionStop)
	w.must(resources.OK, resources.ActionMonitor) // a stop leaves what is another's

	missing := world{t, Route{}, map[string]string{"destination": "203.0.113.0/24", "device": "none0"}}
	missing.must(resources.NotRunning, resources.ActionMonitor)
	missing.must(resources.OK, resources.ActionStop)
	missing.must(resources.ErrInstalled, resources.ActionStart)
	far := world{t, Route{}, map[string]string{"destination": "203.0.113.0/24", "gateway": "203.0.113.1"}}
	far.must(resources.ErrInstalled, resources.ActionStart)
	far.must(resources.ErrUnimplemented, resources.ActionPromote)
}

func TestSource(t *testing.T) {
	if !nstest.Isolated(t) {
		return
	}
	wire := nstest.NewWire(t)
	link, err := netlink.LinkByName(wire.Near)
	if err != nil {
		t.Fatal(err)
	}
	vip, err := netlink.ParseAddr("192.0.2.99/24")
	if err == nil {
		err = netlink.AddrAdd(link, vip)
	}
	if err != nil {
		t.Fatal(err)
	}
	sources := func() (of []string) {
		t.Helper()
		all, err := routes(tables["main"], netlink.FAMILY_V4)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range all {
			of = append(of, r.Src.String())
		}
		return of
	}
	w := world{t, Source{}, map[string]string{"ipaddress": "192.0.2.99"}}
	if reason := w.must(resources.ErrGeneric, resources.ActionStart); !strings.Contains(reason, "no route") {
		t.Errorf("%s", reason)
	}
	def := world{t, Route{}, map[string]string{"destination": "default", "gateway": "192.0.2.9"}}
	def.must(resources.OK, resources.ActionStart)
	w.life()
	w.must(resources.OK, resources.ActionStart)
	if got := sources(); len(got) != 2 || got[0] != "192.0.2.99" || got[1] != "192.0.2.99" {
		t.Errorf("the routes prefer %v", got)
	}
	w.must(resources.OK, resources.ActionStop)
	if got := sources(); len(got) != 2 || got[0] != "192.0.2.1" || got[1] != "192.0.2.1" {
		t.Errorf("after the stop the routes prefer %v", got)
	}
	if err := netlink.RouteAdd(&netlink.Route{Dst: ipNet(netip.MustParsePrefix("0.0.0.0/0")), LinkIndex: link.Attrs().Index, Priority: 50}); err != nil {
		t.Fatal(err)
	}
	if reason := w.must(resources.ErrGeneric, resources.ActionStart); !strings.Contains(reason, "choose one") {
		t.Errorf("%s", reason)
	}
	w.params["metric"] = "50"
	w.life()
	absent := world{t, Source{}, map[string]string{"ipaddress": "192.0.2.55"}}
	absent.must(resources.NotRunning, resources.ActionMonitor)
	absent.must(resources.OK, resources.ActionStop)
	absent.must(resources.ErrInstalled, resources.ActionStart)
}
