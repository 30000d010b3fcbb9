package ipvs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"systole/agents"
	"systole/integration/lab"
)

func TestMain(m *testing.M) {
	if ran, code := agents.RunChild(); ran {
		os.Exit(code)
	}
	if os.Getenv(insideEnv) != "" {
		if err := inside(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	lab.Main(m)
}

func isError(err, target error) bool { return errors.Is(err, target) }

// bench is one kernel with the machines of a site in namespaces.
type bench struct {
	*testing.T
	node    *lab.Node
	program string // this one, inside
	spaces  map[string]*lab.Space
}

func TestLabIPVS(t *testing.T) {
	l := lab.New(t)
	s := bench{T: t, node: l.Node("a"), spaces: map[string]*lab.Space{}}
	s.node.Env = []string{insideEnv + "=1"}
	self, err := os.Executable()
	s.must(err)
	s.program, err = l.Put(self)
	s.must(err)
	s.must(l.Boot(t.Context()))
	s.sh("modprobe -a ip_vs ip_vs_rr ip_vs_wrr ip_vs_pe_sip ipip && mkdir -p /run/resource-agents")
	names := []string{"client", "dir1", "dir2", "web1", "web2"}
	spaces, err := s.node.Spaces(t.Context(), names...)
	s.must(err)
	for i, n := range names {
		s.spaces[n] = spaces[i]
	}
	s.web()
	for _, story := range []struct {
		name string
		tell func(bench)
	}{
		{"round trip", roundTrip},
		{"features", kernelFeatures},
		{"plain", plain},
		{"omega", omega},
		{"drift", drift},
		{"reload", reload},
		{"many reloads", manyReloads},
		{"every way", everyWay},
		{"promotable", promotableRoles},
		{"killed", killed},
		{"survival", survival},
		{"ocf-tester", ocfTester},
		{"benchmark", programming},
	} {
		t.Run(story.name, func(t *testing.T) {
			b := s
			b.T = t
			story.tell(b)
		})
	}
}

func (s bench) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// sh runs a line of shell in the node itself.
func (s bench) sh(script string) string {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), time.Minute)
	defer cancel()
	out, err := s.node.Shell(ctx, script)
	s.must(err)
	return out
}

// in runs a program in one machine.
func (s bench) in(space string, argv ...string) string {
	s.Helper()
	out, err := s.spaces[space].Run(s.Context(), argv...)
	s.must(err)
	return out
}

// everything is a configuration with all that the save format can say.
const everything = `
virtual tcp 192.0.2.10:80 scheduler=wrr forward=dr persistent=50 netmask=24; real 10.99.0.4:80 weight=3 ; real 10.99.0.5 weight=0
virtual tcp 192.0.2.10:81 scheduler=sh flags=sh-fallback,sh-port forward=dr; real 10.99.0.4 upper=100 lower=50
virtual tcp 192.0.2.10:82 scheduler=mh flags=mh-port; real 10.99.0.4:8080; real 10.99.0.5:8081 weight=65535
virtual tcp 192.0.2.10:0 persistent=300 scheduler=rr forward=dr; check none; real 10.99.0.4
virtual udp 192.0.2.10:53 scheduler=rr ops; check none; real 10.99.0.4:53
virtual udp 192.0.2.10:5060 scheduler=rr persistent=60 engine=sip; check none; real 10.99.0.4:5060
virtual sctp 192.0.2.10:90 scheduler=lc; check none; real 10.99.0.4:90
virtual tcp 192.0.2.11:80 forward=tun; real 10.99.0.4; real 10.99.0.5 tunnel=gue tunnel-port=6080; real 10.99.0.6 tunnel=gue tunnel-port=6081 tunnel-checksum=csum; real 10.99.0.7 tunnel=gre tunnel-checksum=csum; real 10.99.0.8 tunnel=gue tunnel-port=6082 tunnel-checksum=remcsum
virtual tcp 192.0.2.11:81 forward=tun; real [fd77::4]:81; real 10.99.0.4
virtual tcp [2001:db8::10]:80 scheduler=wlc forward=dr persistent=1h netmask=64; real [fd77::4]:80 weight=7
virtual tcp [2001:db8::10]:81; real [fd77::4]:8080
virtual fwmark 7 scheduler=sed forward=dr; check none; real 10.99.0.4
virtual fwmark 7 family=ipv6 scheduler=nq forward=dr persistent=9; check none; real fd77::4
virtual fwmark 2147483647 scheduler=fo; check none; real 10.99.0.4:0; real 10.99.0.5:8080
virtual tcp 192.0.2.12:80 scheduler=lblc; real 10.99.0.4
virtual tcp 192.0.2.13:80 scheduler=lblcr; real 10.99.0.4
virtual tcp 192.0.2.14:80 scheduler=dh; real 10.99.0.4
virtual tcp 192.0.2.15:80 scheduler=ovf; real 10.99.0.4
`

// roundTrip: what we write ipvsadm saves as we print it, and what ipvsadm
// restores we read.
func roundTrip(s bench) {
	file, err := s.node.Write("everything.conf", everything, 0o644)
	s.must(err)
	s.in("dir1", s.program, "apply", file)
	ours := lines(s.in("dir1", s.program, "dump"))
	saved := lines(s.in("dir1", "ipvsadm", "-S", "-n"))
	if got, want := withoutThresholds(ours), saved; !slices.Equal(sorted(got), sorted(want)) {
		s.Errorf("differences between what we read and ipvsadm saves:\n%s", difference(got, want))
	}
	rules, err := s.node.Write("everything.rules", strings.Join(ours, "\n")+"\n", 0o644)
	s.must(err)
	s.in("dir2", "sh", "-c", "ipvsadm -R < "+rules)
	if got := lines(s.in("dir2", s.program, "dump")); !slices.Equal(sorted(got), sorted(ours)) {
		s.Errorf("differences after ipvsadm restored what we printed:\n%s", difference(got, ours))
	}
	s.in("dir1", "ipvsadm", "-C")
	s.in("dir2", "ipvsadm", "-C")
}

func kernelFeatures(s bench) { s.in("dir1", s.program, "features") }

func lines(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == '\n' })
}

func sorted(s []string) []string { return slices.Sorted(slices.Values(s)) }

// withoutThresholds drops what ipvsadm's save format forgets.
func withoutThresholds(rules []string) []string {
	var out []string
	for _, r := range rules {
		r, _, _ = strings.Cut(r, " -x ")
		out = append(out, r)
	}
	return out
}

// difference lists what only one side has.
func difference(got, want []string) string {
	var b strings.Builder
	for _, g := range got {
		if !slices.Contains(want, g) {
			fmt.Fprintln(&b, "ours:  ", g)
		}
	}
	for _, w := range want {
		if !slices.Contains(got, w) {
			fmt.Fprintln(&b, "theirs:", w)
		}
	}
	return b.String()
}
