package table

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func ap(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func web(servers ...Server) Virtual {
	return Virtual{Service: Service{Key: AddrKey(TCP, ap("192.0.2.10:80")), Scheduler: "wrr"}, Servers: servers}
}

func dr(addr string, weight int) Server {
	return Server{Addr: ap(addr), Forward: DirectRouting, Weight: weight}
}

// entry is what the kernel has of a service.
func entry(v Virtual) Entry {
	e := Entry{Service: v.Service}
	for _, s := range v.Servers {
		e.Servers = append(e.Servers, ServerEntry{Server: s})
	}
	return e
}

func TestDiff(t *testing.T) {
	a, b := dr("10.0.0.1:80", 1), dr("10.0.0.2:80", 1)
	heavy := dr("10.0.0.1:80", 9)
	local := a
	local.Forward = LocalNode
	full := web(a)
	full.Mask = 0xffffffff
	changed := web(a)
	changed.Scheduler = "rr"
	mark := Virtual{Service: Service{Key: MarkKey(7, IPv6), Scheduler: "rr"}}
	for _, c := range []struct {
		name    string
		desired []Virtual
		owned   []Key
		kernel  []Entry
		want    []string
	}{
		{"nothing", nil, nil, nil, nil},
		{"all new", []Virtual{web(a, b), mark}, nil, nil, []string{
			"-A -t 192.0.2.10:80 -s wrr", "-a -t 192.0.2.10:80 -r 10.0.0.1:80 -g -w 1", "-a -t 192.0.2.10:80 -r 10.0.0.2:80 -g -w 1", "-A -f 7 -6 -s rr",
		}},
		{"as it is", []Virtual{web(a, b)}, nil, []Entry{entry(web(b, a))}, nil},
		{"masks of one client are one", []Virtual{web(a)}, nil, []Entry{entry(full)}, nil},
		{"the kernel calls it local", []Virtual{web(a)}, nil, []Entry{entry(web(local))}, nil},
		{"weight", []Virtual{web(heavy)}, nil, []Entry{entry(web(a))}, []string{"-e -t 192.0.2.10:80 -r 10.0.0.1:80 -g -w 9"}},
		{"the new server comes before the old one goes", []Virtual{web(b)}, nil, []Entry{entry(web(a))}, []string{
			"-a -t 192.0.2.10:80 -r 10.0.0.2:80 -g -w 1", "-d -t 192.0.2.10:80 -r 10.0.0.1:80",
		}},
		{"scheduler", []Virtual{changed}, nil, []Entry{entry(web(a))}, []string{"-E -t 192.0.2.10:80 -s rr"}},
		{"ours goes, the foreign one stays", nil, []Key{web().Key, web().Key}, []Entry{entry(web(a)), entry(mark)}, []string{"-D -t 192.0.2.10:80"}},
		{"owned but not there", nil, []Key{web().Key}, nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, op := range Diff(c.desired, c.owned, c.kernel) {
				got = append(got, op.String())
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("want -, got +:\n%s", d)
			}
		})
	}
}

// TestPropDiff: after its operations the kernel has what is desired, foreign
// services are untouched, and nothing is left to do; compared with doing it.
func TestPropDiff(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		desired, kernel := drawTable(t, "desired"), drawTable(t, "kernel")
		var owned []Key
		for _, v := range kernel {
			if rapid.Bool().Draw(t, "owned") {
				owned = append(owned, v.Key)
			}
		}
		m := model{}
		for _, v := range kernel {
			m[v.Key] = v
		}
		for _, op := range Diff(desired, owned, m.entries()) {
			m.apply(t, op)
		}
		if ops := Diff(desired, owned, m.entries()); len(ops) > 0 {
			t.Fatalf("still to do: %v", ops)
		}
		for _, v := range kernel {
			_, there := m[v.Key]
			wanted := slices.ContainsFunc(desired, func(d Virtual) bool { return d.Key == v.Key })
			if foreign := !slices.Contains(owned, v.Key); there != (wanted || foreign) {
				t.Fatalf("%s: there %v, wanted %v, foreign %v", v.Key, there, wanted, foreign)
			}
		}
	})
}

// model is an obvious kernel.
type model map[Key]Virtual

func (m model) entries() []Entry {
	var es []Entry
	for _, v := range m {
		es = append(es, entry(v))
	}
	slices.SortFunc(es, func(a, b Entry) int { return a.Key.Compare(b.Key) })
	return es
}

func (m model) apply(t *rapid.T, op Op) {
	v, there := m[op.Service.Key]
	i := slices.IndexFunc(v.Servers, func(s Server) bool { return s.Addr == op.Server.Addr })
	if there != (op.Verb != AddService) || (i >= 0) != (op.Verb == SetServer || op.Verb == DeleteServer) {
		t.Fatalf("the kernel would refuse %s", op)
	}
	v.Servers = slices.Clone(v.Servers)
	switch op.Verb {
	case AddService, SetService:
		v.Service = op.Service
	case AddServer:
		v.Servers = append(v.Servers, op.Server)
	case SetServer:
		v.Servers[i] = op.Server
	case DeleteServer:
		v.Servers = slices.Delete(v.Servers, i, i+1)
	case DeleteService:
		delete(m, op.Service.Key)
		return
	}
	m[op.Service.Key] = v
}

func drawTable(t *rapid.T, name string) []Virtual {
	var vs []Virtual
	for _, n := range rapid.SliceOfNDistinct(rapid.IntRange(1, 5), 0, 4, rapid.ID).Draw(t, name) {
		v := Virtual{Service: Service{Key: MarkKey(uint32(n), IPv4), Scheduler: rapid.SampledFrom([]Scheduler{"rr", "wrr"}).Draw(t, "scheduler")}}
		for _, s := range rapid.SliceOfNDistinct(rapid.IntRange(1, 4), 0, 4, rapid.ID).Draw(t, "servers") {
			v.Servers = append(v.Servers, dr(fmt.Sprintf("10.0.0.%d:80", s), rapid.IntRange(0, 2).Draw(t, "weight")))
		}
		vs = append(vs, v)
	}
	return vs
}

func TestNames(t *testing.T) {
	for _, p := range []Protocol{TCP, UDP, SCTP} {
		if got, err := ParseProtocol(strings.ToUpper(p.String())); got != p || err != nil {
			t.Errorf("ParseProtocol(%s) = %v, %v", p, got, err)
		}
	}
	for _, s := range Schedulers {
		if got, err := ParseScheduler(string(s.Name)); got != s.Name || err != nil {
			t.Errorf("ParseScheduler(%s) = %v, %v", s.Name, got, err)
		}
	}
	for text, want := range map[string]Forward{"DR": DirectRouting, "NAT": Masquerade, "TUN": Tunneling, "gate": DirectRouting, "ipip": Tunneling, "masq": Masquerade} {
		if got, err := ParseForward(text); got != want || err != nil {
			t.Errorf("ParseForward(%s) = %v, %v", text, got, err)
		}
	}
	if got := Family(7).String(); got != "unknown(7)" {
		t.Errorf("an unknown family is %q", got)
	}
	for _, bad := range []func() error{
		func() error { _, err := ParseProtocol("icmp"); return err },
		func() error { _, err := ParseScheduler("best"); return err },
		func() error { _, err := ParseForward("local"); return err },
		func() error { _, err := ParseSchedFlags("sh-port", "mh"); return err },
		func() error { _, err := ParseSchedFlags("fast", "sh"); return err },
	} {
		if bad() == nil {
			t.Error("a wrong name was taken")
		}
	}
	f, err := ParseSchedFlags("sh-port,flag-3", "sh")
	if got := f.SchedFlagNames("sh"); err != nil || !slices.Equal(got, []string{"sh-port", "flag-3"}) {
		t.Errorf("flags of sh: %v, %v", got, err)
	}
	if got := (Sched1 | Sched2).SchedFlagNames("rr"); !slices.Equal(got, []string{"flag-1", "flag-2"}) {
		t.Errorf("flags of rr: %v", got)
	}
}

func TestMask(t *testing.T) {
	for _, c := range []struct {
		text   string
		family Family
		want   string // "" is an error
		prefix bool
	}{
		{"24", IPv4, "255.255.255.0", true},
		{"255.255.0.0", IPv4, "255.255.0.0", true},
		{"255.0.255.0", IPv4, "255.0.255.0", false},
		{"32", IPv4, "255.255.255.255", true},
		{"64", IPv6, "64", true},
		{"0", IPv4, "", false}, {"33", IPv4, "", false}, {"0.0.0.0", IPv4, "", false}, {"ffff::", IPv6, "", false}, {"129", IPv6, "", false}, {"255.0.0.0", IPv6, "", false},
	} {
		m, err := ParseMask(c.text, c.family)
		s := Service{Key: MarkKey(1, c.family), Mask: m, Persistent: time.Second}
		if (err == nil) != (c.want != "") || err == nil && (s.MaskText() != c.want || s.MaskIsPrefix() != c.prefix) {
			t.Errorf("ParseMask(%s, %s): %s, prefix %v, %v", c.text, c.family, s.MaskText(), s.MaskIsPrefix(), err)
		}
	}
}

func TestValidate(t *testing.T) {
	six := AddrKey(TCP, ap("[2001:db8::10]:80"))
	for _, c := range []struct {
		name   string
		change func(*Virtual)
		want   string // "" is right
	}{
		{"right", func(*Virtual) {}, ""},
		{"mapped port", func(v *Virtual) { v.Servers[0].Forward, v.Servers[0].Addr = Masquerade, ap("10.0.0.1:8080") }, ""},
		{"another port", func(v *Virtual) { v.Servers[0].Addr = ap("10.0.0.1:8080") }, "write :80, or use forward=masq"},
		{"every port", func(v *Virtual) { v.Key = AddrKey(TCP, ap("192.0.2.10:0")) }, "add persistent=300"},
		{"family", func(v *Virtual) { v.Key = six }, "use forward=tun"},
		{"family in a tunnel", func(v *Virtual) { v.Key, v.Servers[0].Forward = six, Tunneling }, ""},
		{"mark with a port", func(v *Virtual) { v.Key = MarkKey(1, IPv4) }, "leave the port out"},
		{"engine", func(v *Virtual) { v.Engine = "sip" }, "add persistent=300"},
		{"one packet", func(v *Virtual) { v.Flags = OnePacket }, "UDP only"},
		{"thresholds", func(v *Virtual) { v.Servers[0].Lower, v.Servers[0].Upper = 5, 3 }, "above the upper"},
		{"lower alone", func(v *Virtual) { v.Servers[0].Lower = 5 }, "add upper="},
		{"weight", func(v *Virtual) { v.Servers[0].Weight = 65536 }, "give 0 to 65535"},
		{"gue", func(v *Virtual) { v.Servers[0].Forward, v.Servers[0].Tunnel = Tunneling, Tunnel{Type: GUE} }, "add tunnel-port"},
		{"tunnel of dr", func(v *Virtual) { v.Servers[0].Tunnel = Tunnel{Type: GRE} }, "only for forward=tun"},
		{"ipip checksum", func(v *Virtual) { v.Servers[0].Forward, v.Servers[0].Tunnel = Tunneling, Tunnel{Flags: Checksum} }, "no checksums"},
		{"twice", func(v *Virtual) { v.Servers = append(v.Servers, v.Servers[0]) }, "given twice"},
		{"scheduler", func(v *Virtual) { v.Scheduler = "" }, "use one of"},
		{"half a second", func(v *Virtual) { v.Persistent = time.Second / 2 }, "whole seconds"},
	} {
		v := web(dr("10.0.0.1:80", 1))
		c.change(&v)
		err := v.Validate()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}
