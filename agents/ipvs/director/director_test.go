package director

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"systole/agents/check"
	"systole/agents/ipvs/config"
	"systole/agents/ipvs/table"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// site is a director in a test: a configuration, what checks say, a kernel that
// takes every decision.
type site struct {
	*testing.T
	d  Director
	in Inputs
}

func newSite(t *testing.T, text string) *site {
	t.Helper()
	s := &site{T: t, in: Inputs{Now: epoch, Checks: map[string]check.Status{}, Nodes: map[string]Weight{}, Own: map[ServerID]Weight{}, Active: true}}
	s.configure(text)
	return s
}

func (s *site) configure(text string) {
	s.Helper()
	c, err := config.Parse(text, config.Defaults{})
	if err != nil {
		s.Fatal(err)
	}
	s.in.Config = c
}

// say sets what the checks of the servers with an address ending so know.
func (s *site) say(v check.Verdict, ends ...string) {
	for _, virtual := range s.in.Config.Virtuals {
		for _, r := range virtual.Reals {
			for _, c := range Checks(r) {
				if slices.ContainsFunc(ends, func(e string) bool { return strings.HasSuffix(r.Addr.Addr().String(), e) }) {
					s.in.Checks[c.Key()] = check.Status{Verdict: v, Since: s.in.Now, Reason: "said so"}
				}
			}
		}
	}
}

// decide lets the kernel have what is decided, and returns it in short:
// "1=2 2=0" is the server ending in 1 with weight 2 and the one ending in 2 with 0.
func (s *site) decide() (string, Decision) {
	dec := s.d.Decide(s.in)
	counts := map[netip.AddrPort]table.ServerEntry{}
	for _, e := range s.in.Kernel {
		for _, r := range e.Servers {
			counts[r.Addr] = r
		}
	}
	s.in.Kernel = nil
	var parts []string
	for _, v := range dec.Wanted {
		e := table.Entry{Service: v.Service}
		for _, r := range v.Servers {
			entry := counts[r.Addr]
			entry.Server = r
			e.Servers = append(e.Servers, entry)
			addr := r.Addr.Addr().String()
			parts = append(parts, fmt.Sprintf("%s=%d", addr[strings.LastIndexByte(addr, '.')+1:], r.Weight))
		}
		s.in.Kernel = append(s.in.Kernel, e)
	}
	return strings.Join(parts, " "), dec
}

func (s *site) want(want string) Decision {
	s.Helper()
	got, dec := s.decide()
	if got != want {
		s.Fatalf("the table is %q, want %q", got, want)
	}
	return dec
}

// conns gives the kernel's server a number of connections.
func (s *site) conns(end string, n uint32) {
	for i, e := range s.in.Kernel {
		for j, r := range e.Servers {
			if strings.HasSuffix(r.Addr.Addr().String(), end) {
				s.in.Kernel[i].Servers[j].Active = n
			}
		}
	}
}

const three = "virtual tcp 192.0.2.10:80; real 10.0.0.1 weight=2; real 10.0.0.2; real 10.0.0.3 on-failure=inhibit"

func TestHealth(t *testing.T) {
	s := newSite(t, three)
	if dec := s.want("3=0"); dec.Ready { // inhibited, as it may be dead
		t.Error("ready before the first result")
	}
	s.say(check.Up, ".1")
	if dec := s.want("1=2 3=0"); !dec.Ready || dec.Report[0].Servers[1].State != StateUnknown {
		t.Errorf("one of three is known: %+v", dec)
	}
	s.say(check.Up, ".2", ".3")
	s.want("1=2 2=1 3=1")
	s.say(check.Down, ".1", ".3")
	dec := s.want("2=1 3=0") // taken out, inhibited
	if r := dec.Report[0].Servers[0]; r.State != StateDown || r.Reason != "said so" || r.InTable {
		t.Errorf("the dead server is reported as %+v", r)
	}
}

func TestSeveralChecksMustAllPass(t *testing.T) {
	s := newSite(t, "virtual tcp 192.0.2.10:80 panic=off; real 10.0.0.1; check tcp; check http")
	s.say(check.Up, ".1")
	s.want("1=1")
	s.in.Checks[Checks(s.in.Config.Virtuals[0].Reals[0])[1].Key()] = check.Status{Verdict: check.Down, Reason: "status 500"}
	if dec := s.want(""); dec.Report[0].Servers[0].Reason != "status 500" {
		t.Errorf("the reason is %q", dec.Report[0].Servers[0].Reason)
	}
}

func TestWeights(t *testing.T) {
	s := newSite(t, "virtual tcp 192.0.2.10:80; real 10.0.0.1 weight=10 node=a; real 10.0.0.2 weight=10 node=b; real 10.0.0.3 weight=10")
	s.say(check.Up, ".1", ".2", ".3")
	s.in.Nodes["a"] = Weight{Drain: true}
	s.in.Nodes["b"] = Weight{Set: true, N: 4}
	s.in.Nodes[""] = Weight{Drain: true} // no server is of no node
	dec := s.want("1=0 2=4 3=10")
	if got := dec.Report[0].Servers[0].Drained; got != "cluster" {
		t.Errorf("drained by %q", got)
	}
	id := ServerID{s.in.Config.Virtuals[0].Key, netip.MustParseAddrPort("10.0.0.2:80")}
	s.in.Own[id] = Weight{Set: true, N: 7}
	s.want("1=0 2=7 3=10")
	third := Checks(s.in.Config.Virtuals[0].Reals[2])[0].Key()
	s.in.Checks[third] = check.Status{Verdict: check.Up, Weight: check.Weight{Mode: check.Relative, Value: -3}}
	s.want("1=0 2=7 3=7")
}

func TestQuorum(t *testing.T) {
	s := newSite(t, "virtual tcp 192.0.2.10:80 quorum=3 hysteresis=1 quorum-up=/up quorum-down=/down; real 10.0.0.1; real 10.0.0.2; real 10.0.0.3; real 10.0.0.4; sorry 10.0.0.9")
	hooks := func(dec Decision) string {
		var names []string
		for _, h := range dec.Hooks {
			names = append(names, h.Argv[0])
		}
		return strings.Join(names, " ")
	}
	if dec := s.want(""); hooks(dec) != "" || dec.Report[0].Sorry != "" {
		t.Errorf("before the first result: %+v", dec)
	}
	s.say(check.Up, ".1", ".2", ".3", ".4")
	if dec := s.want("1=1 2=1 3=1 4=1"); hooks(dec) != "/up" {
		t.Errorf("hooks at first: %s", hooks(dec))
	}
	s.say(check.Down, ".3", ".4")
	if dec := s.want("1=1 2=1"); hooks(dec) != "" { // 2 is not below 3-1
		t.Errorf("hooks: %s", hooks(dec))
	}
	s.say(check.Down, ".2")
	if dec := s.want("1=0 9=1"); hooks(dec) != "/down" || dec.Report[0].Sorry != "10.0.0.9:80" {
		t.Errorf("the quorum is lost: %+v", dec)
	}
	s.say(check.Up, ".2", ".3")
	s.want("1=0 2=0 3=0 9=1") // 3 is not 3+1
	s.say(check.Up, ".4")
	s.conns(".9", 5)
	if dec := s.want("1=1 2=1 3=1 4=1 9=0"); hooks(dec) != "/up" { // the sorry server's connections end in peace
		t.Errorf("hooks: %s", hooks(dec))
	}
	s.conns(".9", 0)
	s.want("1=1 2=1 3=1 4=1")
}

func TestWithoutSorryTheLivingGoOn(t *testing.T) {
	s := newSite(t, "virtual tcp 192.0.2.10:80 quorum=2 panic=off; real 10.0.0.1; real 10.0.0.2")
	s.say(check.Up, ".1", ".2")
	s.want("1=1 2=1")
	s.say(check.Down, ".2")
	if dec := s.want("1=1"); dec.Report[0].Quorum {
		t.Error("the quorum of 2 is there with 1")
	}
}

func TestPanic(t *testing.T) {
	for _, c := range []struct {
		options string
		dead    []string
		want    string
	}{
		{"", []string{".1", ".2"}, "3=1 4=1"},
		{"", []string{".1", ".2", ".3", ".4"}, "1=1 2=1 3=1 4=1"}, // never everybody
		{"panic=off", []string{".1", ".2", ".3", ".4"}, ""},
		{"panic=50", []string{".1", ".2"}, "3=1 4=1"},
		{"panic=50", []string{".1", ".2", ".3"}, "1=1 2=1 3=1 4=1"},
		{"panic=50; sorry 10.0.0.9", []string{".1", ".2", ".3", ".4"}, "9=1"},
		{"panic=last; sorry 10.0.0.9", []string{".1", ".2", ".3", ".4"}, "9=1"},
	} {
		s := newSite(t, "virtual tcp 192.0.2.10:80 "+c.options+"; real 10.0.0.1; real 10.0.0.2; real 10.0.0.3; real 10.0.0.4")
		s.say(check.Up, ".1", ".2", ".3", ".4")
		s.want("1=1 2=1 3=1 4=1")
		s.say(check.Down, c.dead...)
		if got, _ := s.decide(); got != c.want {
			t.Errorf("%q, dead %v: %q, want %q", c.options, c.dead, got, c.want)
		}
	}
	s := newSite(t, three)
	s.say(check.Down, ".1", ".2")
	s.want("3=0") // the third is not known yet: no reason for panic

	// Who is drained counts for nothing: of the other two one is left, which is less than 60 %.
	s = newSite(t, "virtual tcp 192.0.2.10:80 panic=60; real 10.0.0.1 node=a; real 10.0.0.2 node=a; real 10.0.0.3; real 10.0.0.4")
	s.in.Nodes["a"] = Weight{Drain: true}
	s.say(check.Up, ".1", ".2", ".3")
	s.say(check.Down, ".4")
	s.want("1=0 2=0 3=1 4=1")
}

// Servers that are drained serve nobody new: they are no quorum.
func TestAllDrained(t *testing.T) {
	s := newSite(t, "virtual tcp 192.0.2.10:80; real 10.0.0.1 node=a; real 10.0.0.2 node=a; sorry 10.0.0.9")
	s.say(check.Up, ".1", ".2")
	s.want("1=1 2=1")
	s.in.Nodes["a"] = Weight{Drain: true}
	s.want("1=0 2=0 9=1")
}

func TestLeaving(t *testing.T) {
	s := newSite(t, "virtual tcp 192.0.2.10:80 drain-timeout=10s; real 10.0.0.1; real 10.0.0.2; real 10.0.0.3")
	s.say(check.Up, ".1", ".2", ".3")
	s.want("1=1 2=1 3=1")
	s.configure("virtual tcp 192.0.2.10:80 drain-timeout=10s; real 10.0.0.1")
	s.conns(".2", 3) // the third has none, and goes at once
	dec := s.want("1=1 2=0")
	if r := dec.Report[0].Servers[1]; r.State != StateLeaving || r.Active != 3 {
		t.Errorf("the leaving server: %+v", r)
	}
	s.in.Now = epoch.Add(9 * time.Second)
	s.want("1=1 2=0")
	s.in.Now = epoch.Add(10 * time.Second)
	s.want("1=1")
}

// A director that ends by plan tells that what it told up is down, once, and only where asked to.
func TestOmega(t *testing.T) {
	const hooks = " quorum-up=/q-up quorum-down=/q-down; check tcp; real 10.0.0.1 notify-down=/down-1; real 10.0.0.2 notify-down=/down-2; "
	s := newSite(t, "virtual tcp 192.0.2.10:80 panic=off omega"+hooks+"virtual tcp 192.0.2.10:81 panic=off"+hooks)
	told := func(hooks []Hook) string {
		var names []string
		for _, h := range hooks {
			names = append(names, fmt.Sprint(h.Argv[0], " ", h.Virtual, " ", h.Up))
		}
		return strings.Join(names, ", ")
	}
	s.say(check.Up, ".1")
	s.say(check.Down, ".2")
	s.decide()
	s.in.Active = false
	want := "/down-1 tcp 192.0.2.10:80 false, /q-down tcp 192.0.2.10:80 false"
	if _, dec := s.decide(); told(dec.Hooks) != want {
		t.Errorf("demoted: %s, want %s", told(dec.Hooks), want)
	}
	if _, dec := s.decide(); told(dec.Hooks) != "" || told(s.d.End(s.in.Config)) != "" {
		t.Errorf("a standby tells something: %s", told(dec.Hooks))
	}
	s.in.Active = true
	if _, dec := s.decide(); !strings.Contains(told(dec.Hooks), "/q-up tcp 192.0.2.10:80 true") {
		t.Errorf("promoted: %s", told(dec.Hooks))
	}
	if got := told(s.d.End(s.in.Config)); got != want {
		t.Errorf("stopped: %s, want %s", got, want)
	}
	s.say(check.Down, ".1")
	s.decide()
	if got := told(s.d.End(s.in.Config)); got != "" {
		t.Errorf("all was down: %s", got)
	}
}

func TestHooksOfServers(t *testing.T) {
	s := newSite(t, "virtual tcp 192.0.2.10:80 panic=off; real 10.0.0.1 notify-up=/up notify-down=/down")
	told := func() string {
		_, dec := s.decide()
		var names []string
		for _, h := range dec.Hooks {
			names = append(names, fmt.Sprint(h.Argv[0], " ", h.Server, " ", h.Up))
		}
		return strings.Join(names, " ")
	}
	s.in.Active = false
	s.say(check.Up, ".1")
	if got := told(); got != "" {
		t.Errorf("a standby runs %s", got)
	}
	s.in.Active = true
	if got := told(); got != "/up 10.0.0.1:80 true" {
		t.Errorf("after the promotion: %q", got)
	}
	if got := told(); got != "" {
		t.Errorf("nothing happened, and it runs %s", got)
	}
	s.say(check.Down, ".1")
	if got := told(); got != "/down 10.0.0.1:80 false" {
		t.Errorf("down: %q", got)
	}
}
