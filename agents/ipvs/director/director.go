// Package director decides what the kernel's IPVS table should be: it turns
// the configuration, the results of the checks, the weights operators and the
// cluster ask for, and what the kernel has, into the wanted services, a
// report for people, and the hooks to run.
//
// It is pure: it reads no clock and opens nothing. [Director] remembers only
// what a decision depends on from before: quorums, who was up, who is leaving.
package director

import (
	"net/netip"
	"slices"
	"time"

	"systole/agents/check"
	"systole/agents/ipvs/config"
	"systole/agents/ipvs/table"
)

// ServerID names a real server of a virtual service.
type ServerID struct {
	Virtual table.Key
	Addr    netip.AddrPort
}

// Weight is what somebody asks for a server's weight. The zero value is the configured one.
type Weight struct {
	Drain bool `json:"drain,omitempty"` // no new connections
	Set   bool `json:"set,omitempty"`   // N instead of the configured weight
	N     int  `json:"n,omitempty"`
}

// Inputs are what a decision is made from.
type Inputs struct {
	Now    time.Time
	Config config.Config
	// Checks are what is known, by [Checks]' key; a missing one is unknown.
	Checks map[string]check.Status
	// Nodes are the cluster's wishes, by node.
	Nodes map[string]Weight
	// Own are an operator's wishes for this director.
	Own map[ServerID]Weight
	// Kernel is the table as it is.
	Kernel []table.Entry
	// Active: it forwards, so hooks run.
	Active bool
}

// Checks are the checks of a real server, as the runner knows them.
func Checks(r config.Real) []check.Check {
	cs := make([]check.Check, len(r.Checks))
	for i, s := range r.Checks {
		cs[i] = check.Check{Target: r.Addr, Spec: s}
	}
	return cs
}

// Decision is what comes of them.
type Decision struct {
	Wanted []table.Virtual
	Report []Virtual
	Hooks  []Hook
	// Ready: every service has a server that takes connections, or nothing is unknown any more.
	Ready bool
}

// Hook is a program to run because something changed.
type Hook struct {
	Argv    []string
	Virtual table.Key
	Server  netip.AddrPort // invalid for a quorum
	Up      bool
}

// Director decides. It belongs to one goroutine; the zero value has decided nothing yet.
type Director struct {
	quorum  map[table.Key]bool
	up      map[ServerID]bool
	leaving map[ServerID]time.Time // since when
	active  bool
}

// Decide makes the next decision.
func (d *Director) Decide(in Inputs) Decision {
	kernel := make(map[table.Key]table.Entry, len(in.Kernel))
	for _, e := range in.Kernel {
		kernel[e.Key] = e
	}
	dec := Decision{Ready: true}
	switch {
	case in.Active && !d.active:
		d.quorum, d.up = nil, nil // hooks hear of everything anew
	case !in.Active:
		dec.Hooks = d.End(in.Config)
	}
	next := Director{quorum: map[table.Key]bool{}, up: map[ServerID]bool{}, leaving: map[ServerID]time.Time{}, active: in.Active}
	for _, v := range in.Config.Virtuals {
		s := service{cfg: v, in: in, kernel: kernel[v.Key], before: d, next: &next, dec: &dec}
		s.decide()
	}
	*d = next
	return dec
}

// End makes the hooks of a director that forwards no more, by plan: services that
// want it hear that what was up is down.
func (d *Director) End(c config.Config) (hooks []Hook) {
	if !d.active {
		return nil
	}
	d.active = false
	for _, v := range c.Virtuals {
		if !v.Omega {
			continue
		}
		for _, r := range v.Reals {
			if len(r.NotifyDown) > 0 && d.up[ServerID{v.Key, r.Addr}] {
				hooks = append(hooks, Hook{Argv: r.NotifyDown, Virtual: v.Key, Server: r.Addr})
			}
		}
		if len(v.QuorumDown) > 0 && d.quorum[v.Key] {
			hooks = append(hooks, Hook{Argv: v.QuorumDown, Virtual: v.Key})
		}
	}
	return hooks
}

// service is the decision about one virtual service.
type service struct {
	cfg    config.Virtual
	in     Inputs
	kernel table.Entry
	before *Director
	next   *Director
	dec    *Decision

	servers []server
	report  Virtual
}

// server is one real server under consideration.
type server struct {
	config.Real
	report *Server
	up     bool
	known  bool // its checks have said something
	weight int  // it takes part with, if it is up
	full   int  // the same if checks were not believed
	drain  bool
}

func (s *service) decide() {
	s.report = Virtual{Service: s.cfg.Key.String(), Scheduler: string(s.cfg.Scheduler), Servers: make([]Server, len(s.cfg.Reals))}
	for i, r := range s.cfg.Reals {
		s.servers = append(s.servers, s.judge(r, &s.report.Servers[i]))
	}
	s.panic()
	quorum := s.decideQuorum()
	wanted := table.Virtual{Service: s.cfg.Service}
	sorry := !quorum && s.cfg.Sorry != nil
	for _, v := range s.servers {
		wanted.Servers = append(wanted.Servers, s.place(v, sorry)...)
	}
	if sorry {
		wanted.Servers = append(wanted.Servers, *s.cfg.Sorry)
		s.report.Sorry = s.cfg.Sorry.Addr.String()
	}
	wanted.Servers = append(wanted.Servers, s.leave(wanted.Servers)...)
	s.dec.Wanted = append(s.dec.Wanted, wanted)
	s.dec.Report = append(s.dec.Report, s.report)
	serves := slices.ContainsFunc(wanted.Servers, func(v table.Server) bool { return v.Weight > 0 })
	if !serves && s.pending() {
		s.dec.Ready = false
	}
}

// judge tells what is known of a server and what it would weigh.
func (s *service) judge(r config.Real, report *Server) server {
	v := server{Real: r, report: report, up: true, known: true}
	base := r.Weight
	cluster := s.in.Nodes[r.Node]
	if r.Node == "" {
		cluster = Weight{}
	}
	own := s.in.Own[ServerID{s.cfg.Key, r.Addr}]
	for _, w := range []Weight{cluster, own} {
		if w.Set {
			base = w.N
		}
		v.drain = v.drain || w.Drain
	}
	v.weight, v.full = base, base
	*report = Server{Server: r.Addr.String(), Node: r.Node, Forward: r.Forward.String(), Configured: r.Weight}
	for _, c := range Checks(r) {
		st := s.in.Checks[c.Key()]
		verdict := st.Verdict
		if verdict == check.Unknown {
			v.known = false
			verdict = c.Spec.Initial
			report.note("not checked yet", time.Time{})
		}
		if verdict != check.Up {
			v.up = false
		}
		if st.Verdict == check.Down || report.Reason == "" && st.Reason != "" {
			report.note(st.Reason, st.Since)
		}
		v.weight = st.Effective(v.weight, s.in.Now)
	}
	report.Drained = drainedBy(cluster, own)
	report.State = StateDown
	switch {
	case v.up:
		report.State = StateUp
	case !v.known:
		report.State = StateUnknown
	}
	for _, e := range s.kernel.Servers {
		if e.Addr == r.Addr {
			report.Active, report.Inactive = e.Active, e.Inactive
		}
	}
	s.noteChange(v)
	return v
}

func drainedBy(cluster, own Weight) string {
	switch {
	case own.Drain:
		return "operator"
	case cluster.Drain:
		return "cluster"
	}
	return ""
}

// noteChange makes the hooks of a server whose state is known.
func (s *service) noteChange(v server) {
	id := ServerID{s.cfg.Key, v.Addr}
	was, told := s.before.up[id]
	if !v.known && !v.up {
		if told {
			s.next.up[id] = was
		}
		return
	}
	s.next.up[id] = v.up
	argv := v.NotifyDown
	if v.up {
		argv = v.NotifyUp
	}
	if s.in.Active && len(argv) > 0 && (!told || was != v.up) {
		s.dec.Hooks = append(s.dec.Hooks, Hook{argv, s.cfg.Key, v.Addr, v.up})
	}
}

// panic stops believing the checks when too few servers are left. A server that
// was not checked yet is no evidence.
func (s *service) panic() {
	total, alive := 0, 0
	for _, v := range s.servers {
		if v.drain {
			continue
		}
		if !v.known && !v.up {
			return
		}
		total++
		if v.up {
			alive++
		}
	}
	few := alive*100 < s.cfg.Panic*total
	none := alive == 0 && total > 0
	switch {
	case none && s.cfg.Sorry != nil, s.cfg.Panic == 0: // somebody answers; or told to believe always
		return
	case s.cfg.Panic == config.PanicLast && !none, s.cfg.Panic > 0 && !few && !none:
		return
	}
	s.report.Panic = true
	for i := range s.servers {
		if v := &s.servers[i]; !v.up {
			v.up, v.weight = true, v.full
		}
	}
}

// decideQuorum follows keepalived: up from quorum+hysteresis on, down below
// quorum-hysteresis or at 0.
func (s *service) decideQuorum() bool {
	total := 0
	for _, v := range s.servers {
		if v.up && !v.drain {
			total += v.weight
		}
	}
	up, told := s.before.quorum[s.cfg.Key]
	switch {
	case !told:
		up = total >= s.cfg.Quorum
	case up:
		up = total > 0 && total >= s.cfg.Quorum-s.cfg.Hysteresis
	default:
		up = total >= s.cfg.Quorum+s.cfg.Hysteresis
	}
	s.report.Quorum, s.report.Alive, s.report.Needed = up, total, s.cfg.Quorum
	if !told && !up && s.pending() {
		return true // nothing is lost that was never there: no sorry server before the first results
	}
	was := told && s.before.quorum[s.cfg.Key]
	s.next.quorum[s.cfg.Key] = up
	argv := s.cfg.QuorumDown
	if up {
		argv = s.cfg.QuorumUp
	}
	if s.in.Active && len(argv) > 0 && (!told || was != up) {
		s.dec.Hooks = append(s.dec.Hooks, Hook{Argv: argv, Virtual: s.cfg.Key, Up: up})
	}
	return up
}

// pending: some server's checks have not answered yet.
func (s *service) pending() bool {
	return slices.ContainsFunc(s.servers, func(v server) bool { return !v.known })
}

// place is a server as it stands in the table, if it does.
func (s *service) place(v server, sorry bool) []table.Server {
	t := v.Server
	switch {
	case !v.up && !v.Inhibit:
		return nil
	case !v.up, v.drain, sorry:
		t.Weight = 0
	default:
		t.Weight = v.weight
	}
	v.report.Weight, v.report.InTable = t.Weight, true
	return []table.Server{t}
}

// leave keeps servers the kernel has but nobody configured, or a sorry server
// that is not needed any more, without new connections until theirs are over.
// A dead server is not kept.
func (s *service) leave(wanted []table.Server) []table.Server {
	var stay []table.Server
	for _, e := range s.kernel.Servers {
		is := func(t table.Server) bool { return t.Addr == e.Addr }
		if slices.ContainsFunc(wanted, is) || slices.ContainsFunc(s.cfg.Reals, func(r config.Real) bool { return r.Addr == e.Addr }) {
			continue
		}
		id := ServerID{s.cfg.Key, e.Addr}
		since, known := s.before.leaving[id]
		if !known {
			since = s.in.Now
		}
		if e.Active+e.Inactive+e.Persistent == 0 || s.in.Now.Sub(since) >= s.cfg.DrainTimeout {
			continue
		}
		s.next.leaving[id] = since
		e.Server.Weight = 0
		stay = append(stay, e.Server)
		s.report.Servers = append(s.report.Servers, Server{
			Server: e.Addr.String(), Forward: e.Forward.String(), State: StateLeaving, InTable: true,
			Reason: "not in the configuration, its connections end", Since: since, Active: e.Active, Inactive: e.Inactive,
		})
	}
	return stay
}
