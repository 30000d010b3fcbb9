package config

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"systole/agents/check"
	"systole/agents/ipvs/table"
)

const shop = `
# the shop
timeouts tcp=900 tcpfin=2min
sysctl net.ipv4.vs.sloppy_tcp=1 net.ipv4.vs.sync_threshold="3 50"
virtual tcp 192.0.2.10:80 scheduler=wrr forward=dr persistent=50 netmask=24 quorum=2 hysteresis=1 quorum-up="/bin/echo up" omega # first
  check http path=/health status=200
  real 10.0.0.11:80 weight=2 node=web-1 upper=100 lower=50
  real 10.0.0.12 on-failure=inhibit notify-down=/bin/true
    check tcp; check ping
  sorry 10.0.0.99
virtual udp [2001:db8::10]:53 ops; check none; real fd00::1; panic
virtual fwmark 7 family=ipv6 scheduler=sh flags=sh-port panic=30%; check none; real fd00::2
`

func TestParse(t *testing.T) {
	c, err := Parse(strings.Replace(shop, "; panic\n", "\n", 1), Defaults{})
	if err != nil {
		t.Fatal(err)
	}
	if want := (table.Timeouts{TCP: 900 * time.Second, TCPFin: 2 * time.Minute}); c.Timeouts != want {
		t.Errorf("timeouts %v", c.Timeouts)
	}
	if want := []Sysctl{{"net.ipv4.vs.sloppy_tcp", "1"}, {"net.ipv4.vs.sync_threshold", "3 50"}}; !cmp.Equal(c.Sysctls, want) {
		t.Errorf("sysctls %v", c.Sysctls)
	}
	v := c.Virtuals[0]
	if v.Line != 5 || v.Quorum != 2 || v.Hysteresis != 1 || v.Mask != 0xffffff00 || v.Persistent != 50*time.Second || !v.Omega || !cmp.Equal(v.QuorumUp, []string{"/bin/echo", "up"}) || v.Panic != 0 {
		t.Errorf("the first service: %+v", v)
	}
	if r := v.Reals[0]; r.Line != 7 || r.Node != "web-1" || r.Weight != 2 || r.Upper != 100 || len(r.Checks) != 1 || r.Checks[0].Kind != check.HTTP {
		t.Errorf("the first server: %+v", r)
	}
	if r := v.Reals[1]; r.Addr.String() != "10.0.0.12:80" || !r.Inhibit || len(r.Checks) != 2 || r.Checks[1].Kind != check.Ping {
		t.Errorf("the second server: %+v", r)
	}
	if v.Sorry == nil || v.Sorry.Addr.String() != "10.0.0.99:80" || v.Sorry.Forward != table.DirectRouting {
		t.Errorf("the sorry server: %+v", v.Sorry)
	}
	if u := c.Virtuals[1]; u.Flags != table.OnePacket || u.Panic != PanicLast || u.Reals[0].Addr.String() != "[fd00::1]:53" {
		t.Errorf("the second service: %+v", u)
	}
	if m := c.Virtuals[2]; m.Mark != 7 || m.Family != table.IPv6 || m.Flags != table.Sched2 || m.Panic != 30 {
		t.Errorf("the third service: %+v", m)
	}
}

func TestDefaults(t *testing.T) {
	checks, err := check.ParseDefaults("interval=7s")
	if err != nil {
		t.Fatal(err)
	}
	sorry, err := parseServer("127.0.0.1", 0)
	if err != nil {
		t.Fatal(err)
	}
	c, err := Parse("virtual tcp 192.0.2.10:80; real 10.0.0.1:8080; real 10.0.0.2; check http", Defaults{Check: checks, Sorry: sorry})
	if err != nil {
		t.Fatal(err)
	}
	v := c.Virtuals[0]
	if v.Scheduler != "wlc" || v.Reals[0].Forward != table.Masquerade || v.Sorry.Addr.String() != "127.0.0.1:80" || v.Panic != 0 {
		t.Errorf("defaults: %+v", v)
	}
	for i, kind := range []check.Kind{check.TCP, check.HTTP} {
		if s := v.Reals[i].Checks[0]; s.Kind != kind || s.Interval != 7*time.Second {
			t.Errorf("check %d: %s", i, s)
		}
	}
}

func TestProblems(t *testing.T) {
	for text, want := range map[string]string{
		"virtul tcp 1.2.3.4:80":                                    "line 1: \"virtul\" is not known",
		"\nreal 10.0.0.1":                                          "line 2: a real server before any virtual",
		"check tcp":                                                "before any virtual",
		"virtual tcp":                                              "which service?",
		"virtual icmp 1.2.3.4:80":                                  "or fwmark",
		"virtual tcp 1.2.3.4":                                      "write 192.0.2.10:80",
		"virtual fwmark 0":                                         "from 1 to",
		"virtual tcp 1.2.3.4:80 speed=1":                           "has no option \"speed\"",
		"virtual tcp 1.2.3.4:80 weight=1 weight=2":                 "given twice",
		"virtual tcp 1.2.3.4:80 weight":                            "has no value",
		"virtual tcp 1.2.3.4:80 quorum=2 hysteresis=2":             "hysteresis smaller",
		"virtual tcp 1.2.3.4:80 family=ipv6":                       "only for fwmark",
		"virtual tcp 1.2.3.4:80 netmask=24":                        "add persistent=300",
		"virtual tcp 1.2.3.4:80 quorum-up=echo":                    "absolute path",
		"virtual tcp 1.2.3.4:80; virtual tcp 1.2.3.4:80":           "stands in line 1 already",
		"virtual tcp 1.2.3.4:80; real 10.0.0.1; real 10.0.0.1":     "stands in line 1 already",
		"virtual tcp 1.2.3.4:80; real 10.0.0.1; sorry 10.0.0.1":    "is also the real server",
		"virtual tcp 1.2.3.4:80; sorry 10.0.0.1; sorry 10.0.0.2":   "a second sorry server",
		"virtual udp 1.2.3.4:53; real 10.0.0.1":                    "or check none",
		"virtual tcp 1.2.3.4:80; check http path=x; real 10.0.0.1": "check http",
		"virtual tcp 1.2.3.4:80; real host":                        "is not an address",
		"virtual tcp 1.2.3.4:80 forward=dr; real 10.0.0.1:81":      "use forward=masq",
		"virtual tcp 1.2.3.4:80 persistent=1.5":                    "whole seconds",
		"sysctl kernel.panic=1":                                    "only net.",
		"sysctl net/ipv4/ip_forward=1":                             "with dots",
		"sysctl":                                                   "no setting",
		"virtual tcp 1.2.3.4:80 quorum-up=\"/bin/x":                "not closed",
		"virtual tcp 1.2.3.4:80 quorum-up='/bin/x\n'":              "line 1: the quote",
		"virtual tcp 1.2.3.4:80\x00":                               "control character",
		"a=b":                                                      "begins no line",
	} {
		_, err := Parse(text, Defaults{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	_, err := Parse("virtual tcp 1.2.3.4:80 speed=1\nreal host\nfoo", Defaults{})
	for _, line := range []string{"line 1:", "line 2:", "line 3:"} {
		if err == nil || !strings.Contains(err.Error(), line) {
			t.Errorf("three problems are %v; %s is missing", err, line)
		}
	}
}

// same compares configurations but for where they stand.
var same = cmp.Options{
	cmpopts.IgnoreFields(Virtual{}, "Line"), cmpopts.IgnoreFields(Real{}, "Line"), cmpopts.EquateEmpty(), cmpopts.EquateComparable(table.Key{}, table.Server{}),
	cmp.Comparer(func(a, b check.Spec) bool { return a.String() == b.String() }),
	cmp.Comparer(func(a, b *regexp.Regexp) bool { return a.String() == b.String() }),
}

func FuzzParse(f *testing.F) {
	f.Add(shop)
	f.Add("virtual tcp 1.2.3.4:80 forward=tun tunnel=gue tunnel-port=9 tunnel-checksum=csum; real 10.0.0.1; real 10.0.0.2 forward=dr")
	f.Add("virtual tcp 1.2.3.4:80; check http path='/a;b#c' host=\"x y\"; real 10.0.0.1 node='a b'; sorry 1.1.1.1 forward=tun tunnel=gre")
	f.Add("virtual udp 1.2.3.4:5060 persistent=9 engine=sip drain-timeout=5 panic=off on-failure=inhibit\ncheck udp send=hex:00\nreal 10.0.0.1:5060 weight=0")
	f.Add("virtual fwmark 0x7; check none; real ::1")
	f.Add("sysctl net.a.b='x;y'; timeouts udp=1\n\"")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse(text, Defaults{})
		if err != nil {
			return
		}
		again, err := Parse(c.String(), Defaults{})
		if err != nil {
			t.Fatalf("%q is printed as\n%s\nwhich is refused: %v", text, c, err)
		}
		if d := cmp.Diff(c, again, same); d != "" {
			t.Fatalf("%q is printed as\n%s\nwhich is something else:\n%s", text, c, d)
		}
	})
}

// The reference has every option once, with an explanation.
func TestOptions(t *testing.T) {
	seen := map[string]bool{}
	for _, o := range Options() {
		id := o.Line + " " + o.Name
		if seen[id] || o.Short == "" {
			t.Errorf("option %s: twice, or without explanation", id)
		}
		seen[id] = true
	}
}

// BenchmarkParse reads 200 services of 10 servers.
func BenchmarkParse(b *testing.B) {
	var text strings.Builder
	for v := range 200 {
		fmt.Fprintf(&text, "virtual tcp 10.100.%d.1:80 scheduler=wrr weight=2\n", v)
		for r := range 10 {
			fmt.Fprintf(&text, "  real 10.101.%d.%d:80\n", v, r+1)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(text.String(), Defaults{}); err != nil {
			b.Fatal(err)
		}
	}
}
