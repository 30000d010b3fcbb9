package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"systole/agents/ipvs/table"
	"systole/agents/realserver/survey"
)

var (
	addr = netip.MustParseAddr
	end  = netip.MustParseAddrPort
)

// healthy is a site of two directors, two web nodes and a storage node, on which all is well.
func healthy(f table.Forward) Site {
	node := func(name string, n int) Facts {
		x := Facts{Node: name}
		x.Addresses = []survey.Address{{IP: addr(fmt.Sprintf("10.0.0.%d", n)), Device: "eth0"}, {IP: addr("127.0.0.1"), Device: "lo"}}
		x.Links = []survey.Link{{Name: "lo", Up: true, MTU: 65536}, {Name: "eth0", Up: true, MTU: 1500, Hardware: fmt.Sprintf("02:00:00:00:00:%02x", n)}}
		x.Settings = map[string]string{"net.ipv4.ip_forward": "0", "net.ipv4.conf.all.arp_ignore": "0", "net.ipv4.conf.all.rp_filter": "0"}
		x.Modules = map[string]string{"ip_vs": "there", "ipip": "there"}
		x.Routes = []survey.Route{{To: Outside[0], Device: "eth0", Gateway: addr("10.0.0.254"), MTU: 1500}, {To: addr("10.0.0.11"), Device: "eth0", MTU: 1500}, {To: addr("10.0.0.12"), Device: "eth0", MTU: 1500}}
		return x
	}
	s := Site{Nodes: []Facts{node("dir-1", 1), node("dir-2", 2), node("store", 3), node("web-1", 11), node("web-2", 12)}, Directors: []string{"dir-1", "dir-2"}}
	d := s.of("dir-1")
	d.Modules["ip_vs"], s.of("dir-2").Modules["ip_vs"] = "loaded", "loaded"
	d.Addresses = append(d.Addresses, survey.Address{IP: addr("192.0.2.10"), Device: "eth0"}, survey.Address{IP: addr("10.0.0.9"), Device: "eth0"})
	service := Service{Service: "tcp 192.0.2.10:80", Addr: end("192.0.2.10:80"), TCP: true}
	for _, web := range []string{"10.0.0.11:80", "10.0.0.12:80"} {
		service.Servers = append(service.Servers, RealServer{Addr: end(web), Forward: f, Weight: 1})
	}
	d.Services = []Service{service}
	for _, n := range []string{"dir-2", "store"} {
		n := s.of(n)
		n.Claims = []survey.Claim{{VIP: addr("192.0.2.10"), Hardware: "02:00:00:00:00:01", Device: "eth0"}}
		n.Tried = []Tried{{To: end("192.0.2.10:80"), Times: 4}}
	}
	for _, web := range []string{"web-1", "web-2"} {
		n := s.of(web)
		switch f {
		case table.Masquerade:
			n.Routes[0].Gateway = addr("10.0.0.9")
			d.Settings["net.ipv4.ip_forward"] = "1"
			continue
		case table.Tunneling:
			n.Links = append(n.Links, survey.Link{Name: "tunl0", Up: true, MTU: 1480})
			n.Settings["net.ipv4.conf.tunl0.rp_filter"] = "2"
			n.Modules["ipip"] = "loaded"
			n.Routes[0].MSS = 1440
			n.Addresses = append(n.Addresses, survey.Address{IP: addr("192.0.2.10"), Device: "tunl0"})
		case table.DirectRouting:
			n.Addresses = append(n.Addresses, survey.Address{IP: addr("192.0.2.10"), Device: "lo"})
		}
		n.Settings["net.ipv4.conf.all.arp_ignore"], n.Settings["net.ipv4.conf.all.arp_announce"] = "1", "2"
	}
	return s
}

func (s Site) of(name string) *Facts {
	i := slices.IndexFunc(s.Nodes, func(n Facts) bool { return n.Node == name })
	return &s.Nodes[i]
}

func (f *Facts) lose(ip string) {
	f.Addresses = slices.DeleteFunc(f.Addresses, func(a survey.Address) bool { return a.IP == addr(ip) })
}

func (f *Facts) link(name string) *survey.Link {
	return &f.Links[slices.IndexFunc(f.Links, func(l survey.Link) bool { return l.Name == name })]
}

func TestNothingWrong(t *testing.T) {
	for _, f := range []table.Forward{table.DirectRouting, table.Tunneling, table.Masquerade} {
		if got := Diagnose(healthy(f)); len(got) != 0 {
			t.Errorf("%s: %s", f, Text(got))
		}
	}
	if got := Diagnose(Site{}); len(got) != 0 {
		t.Errorf("of no nodes: %v", got)
	}
}

func TestFaults(t *testing.T) {
	dr, tun, masq := table.DirectRouting, table.Tunneling, table.Masquerade
	for _, tt := range []struct {
		name    string
		forward table.Forward
		broken  func(s Site)
		want    []string // node: fault
	}{
		{"a web node answers ARP", dr, func(s Site) {
			s.of("dir-1").Claims = []survey.Claim{{VIP: addr("192.0.2.10"), Hardware: "02:00:00:00:00:0b", Device: "eth0"}}
			s.of("store").Claims = append(s.of("store").Claims, s.of("dir-1").Claims...)
		}, []string{"web-1: answers-arp"}},
		{"a stranger answers ARP", dr, func(s Site) {
			s.of("store").Claims = append(s.of("store").Claims, survey.Claim{VIP: addr("192.0.2.10"), Hardware: "02:00:00:00:00:77", Device: "eth0"})
		}, []string{": answers-arp"}},
		{"no address on lo", dr, func(s Site) { s.of("web-2").lose("192.0.2.10") }, []string{"web-2: vip-missing"}},
		{"arp_ignore", dr, func(s Site) { s.of("web-1").Settings["net.ipv4.conf.all.arp_ignore"] = "0" }, []string{"web-1: arp-settings"}},
		{"arp_ignore of one card", dr, func(s Site) { s.of("web-1").Settings["net.ipv4.conf.eth0.arp_ignore"] = "3" }, []string{"web-1: arp-settings"}},
		{"arp_announce", tun, func(s Site) { s.of("web-1").Settings["net.ipv4.conf.all.arp_announce"] = "1" }, []string{"web-1: arp-settings"}},
		{"rp_filter", tun, func(s Site) {
			s.of("web-1").Settings["net.ipv4.conf.tunl0.rp_filter"], s.of("web-1").Settings["net.ipv4.conf.all.rp_filter"] = "0", "1"
		}, []string{"web-1: rp-filter"}},
		{"gateway", masq, func(s Site) { s.of("web-1").Routes[0].Gateway = addr("10.0.0.254") }, []string{"web-1: nat-gateway"}},
		{"no gateway", masq, func(s Site) { s.of("web-1").Routes[0] = survey.Route{To: Outside[0]} }, []string{"web-1: nat-gateway"}},
		{"another gateway, but a rule for the port", masq, func(s Site) {
			s.of("web-1").Routes[0].Gateway = addr("10.0.0.254")
			s.of("web-1").Replies = []survey.Reply{{Port: 80, Gateway: addr("10.0.0.9")}}
		}, nil},
		{"ip_forward", masq, func(s Site) { s.of("dir-1").Settings["net.ipv4.ip_forward"] = "0" }, []string{"dir-1: ip-forward"}},
		{"MTU", tun, func(s Site) { s.of("web-1").Routes[0].MSS = 0 }, []string{"web-1: tunnel-mtu"}},
		{"larger MTU inside", tun, func(s Site) {
			s.of("web-1").Routes[0].MSS, s.of("dir-1").Routes[1].MTU = 0, 1520
		}, nil},
		{"no module ip_vs", dr, func(s Site) { s.of("dir-2").Modules["ip_vs"] = "missing" }, []string{"dir-2: module-missing"}},
		{"no module ipip", tun, func(s Site) { s.of("web-1").Modules["ipip"] = "missing" }, []string{"web-1: module-missing"}},
		{"no tunnel", tun, func(s Site) { n := s.of("web-1"); n.Links = n.Links[:2]; n.Modules["ipip"] = "there" }, []string{"web-1: module-missing"}},
		{"tunnel down", tun, func(s Site) { s.of("web-1").link("tunl0").Up = false }, []string{"web-1: module-missing"}},
		{"path dead", dr, func(s Site) { s.of("store").Tried[0].Failed = 2 }, []string{"dir-1: path-dead"}},
		{"path dead, with a reason", dr, func(s Site) {
			s.of("store").Tried[0].Failed = 2
			s.of("web-2").lose("192.0.2.10")
		}, []string{"web-2: vip-missing"}},
		{"no healthy server", dr, func(s Site) {
			s.of("store").Tried[0].Failed = 4
			for i := range s.of("dir-1").Services[0].Servers {
				s.of("dir-1").Services[0].Servers[i].Weight = 0
			}
		}, nil},
		{"tried from beside masqueraded servers", masq, func(s Site) { s.of("store").Tried[0].Failed = 4 }, nil},
		{"tried from a masqueraded server with rules", masq, func(s Site) {
			for _, web := range []string{"web-1", "web-2"} {
				s.of(web).Replies = []survey.Reply{{Port: 80, Gateway: addr("10.0.0.9")}}
			}
			s.of("web-1").Tried = []Tried{{To: end("192.0.2.10:80"), Times: 4, Failed: 2}}
		}, nil},
		{"a masqueraded path dead", masq, func(s Site) {
			for _, web := range []string{"web-1", "web-2"} {
				s.of(web).Replies = []survey.Reply{{Port: 80, Gateway: addr("10.0.0.9")}}
			}
			s.of("store").Tried[0].Failed = 4
		}, []string{"dir-1: path-dead"}},
		{"a node that cannot be asked", dr, func(s Site) { s.of("store").Error = "no route" }, []string{"store: node-unknown"}},
		// A standby has the table and the address on lo: it speaks for nobody.
		{"standby with a table", dr, func(s Site) {
			d := s.of("dir-2")
			d.Services = s.of("dir-1").Services
			d.Addresses = append(d.Addresses, survey.Address{IP: addr("192.0.2.10"), Device: "lo"})
		}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := healthy(tt.forward)
			tt.broken(s)
			var got []string
			for _, f := range Diagnose(s) {
				got = append(got, f.Node+": "+string(f.Fault))
				if f.What == "" || f.Remedy == "" || strings.HasSuffix(f.What, ".") {
					t.Errorf("%+v", f)
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("found %q, want %q\n%s", got, tt.want, Text(Diagnose(s)))
			}
		})
	}
}

func TestEnsue(t *testing.T) {
	q := Ensue(healthy(table.DirectRouting).Nodes)
	if want := []netip.Addr{addr("192.0.2.10")}; !slices.Equal(q.VIPs, want) {
		t.Errorf("virtual addresses: %v", q.VIPs)
	}
	if want := []Trial{{To: end("192.0.2.10:80"), Times: 4}}; !slices.Equal(q.Connect, want) {
		t.Errorf("trials: %v", q.Connect)
	}
	if !slices.Contains(q.Toward, addr("10.0.0.11")) || !slices.Contains(q.Toward, Outside[0]) || len(q.Toward) != 4 {
		t.Errorf("ways: %v", q.Toward)
	}
}
