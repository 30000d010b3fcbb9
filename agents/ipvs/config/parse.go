package config

import (
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"systole/agents/check"
	"systole/agents/ipvs/table"
	"systole/resources"
)

// DefaultDrainTimeout is that of Virtual.DrainTimeout.
const DefaultDrainTimeout = time.Minute

// parser collects what the lines say. Options that servers inherit from their
// service are kept until the service's lines are over.
type parser struct {
	defaults Defaults
	cfg      Config
	errs     []error

	virtual *virtual // the last one; nil before the first
	real    *Real    // the last one of it; nil before the first
}

// virtual is a service being read.
type virtual struct {
	Virtual
	server   table.Server // what its servers inherit
	inhibit  bool
	checks   []check.Spec
	panicSet bool
}

func parse(text string, d Defaults) (Config, error) {
	ls, err := lines(text)
	if err != nil {
		return Config{}, err
	}
	p := &parser{defaults: d}
	for _, l := range ls {
		p.take(l)
	}
	p.finishVirtual()
	p.duplicates()
	return p.cfg, errors.Join(p.errs...)
}

func (p *parser) problem(l int, format string, args ...any) {
	p.errs = append(p.errs, fmt.Errorf("line %d: %w", l, fmt.Errorf(format, args...)))
}

// take reads one statement.
func (p *parser) take(l line) {
	if l.words[0].name != "" {
		p.problem(l.number, "%s= begins no line: begin with virtual, check, real, sorry, timeouts or sysctl", l.words[0].name)
		return
	}
	switch kind := l.words[0].value; kind {
	case "virtual":
		p.finishVirtual()
		p.takeVirtual(l)
	case "real":
		p.takeReal(l)
	case "sorry":
		p.takeSorry(l)
	case "check":
		p.takeCheck(l)
	case "timeouts":
		p.options(l, l.words[1:], timeoutOptions, &p.cfg.Timeouts)
	case "sysctl":
		p.takeSysctls(l)
	default:
		p.problem(l.number, "%q is not known: a line begins with virtual, check, real, sorry, timeouts or sysctl", kind)
	}
}

func (p *parser) takeSysctls(l line) {
	if len(l.words) == 1 {
		p.problem(l.number, "no setting: write sysctl net.ipv4.vs.sloppy_tcp=1")
	}
	for _, w := range l.words[1:] {
		if err := checkSysctl(w); err != nil {
			p.problem(l.number, "%w", err)
			continue
		}
		p.cfg.Sysctls = append(p.cfg.Sysctls, Sysctl{w.name, w.value})
	}
}

// checkSysctl allows the network's settings only: the rest is not a director's to change.
func checkSysctl(w word) error {
	if w.name == "" || w.value == "" {
		return fmt.Errorf("sysctl %q: write NAME=VALUE", w.name+w.value)
	}
	for part := range strings.SplitSeq(w.name, ".") {
		if part == "" || strings.Contains(part, "/") {
			return fmt.Errorf("sysctl %q: write the name with dots, as in net.ipv4.vs.sloppy_tcp", w.name)
		}
	}
	if !strings.HasPrefix(w.name, "net.") {
		return fmt.Errorf("sysctl %s: only net.… can be set here", w.name)
	}
	return nil
}

func (p *parser) takeVirtual(l line) {
	v := &virtual{Virtual: Virtual{Line: l.number, Quorum: 1, DrainTimeout: DefaultDrainTimeout}}
	v.Scheduler = table.DefaultScheduler
	v.server = table.Server{Forward: table.Masquerade, Weight: 1}
	p.virtual, p.real = v, nil
	rest := l.words[1:]
	if len(rest) < 2 || rest[0].name != "" || rest[1].name != "" {
		p.problem(l.number, "which service? Write virtual tcp 192.0.2.10:80, or virtual fwmark 7")
		return
	}
	key, err := parseKey(rest[0].value, rest[1].value)
	if err != nil {
		p.problem(l.number, "virtual: %w", err)
		return
	}
	v.Key = key
	// What masks and flags of the scheduler mean depends on these.
	early := func(w word) bool { return w.name == "family" || w.name == "scheduler" }
	options := rest[2:]
	p.options(l, slices.Collect(filter(options, early)), virtualOptions, v)
	p.options(l, slices.Collect(filter(options, func(w word) bool { return !early(w) })), virtualOptions, v)
}

func filter(words []word, keep func(word) bool) iter.Seq[word] {
	return func(yield func(word) bool) {
		for _, w := range words {
			if keep(w) && !yield(w) {
				return
			}
		}
	}
}

func parseKey(kind, where string) (table.Key, error) {
	if kind == "fwmark" {
		mark, err := strconv.ParseUint(where, 0, 32)
		if err != nil || mark == 0 {
			return table.Key{}, fmt.Errorf("fwmark %q: give a number from 1 to 4294967295", where)
		}
		return table.MarkKey(uint32(mark), table.IPv4), nil
	}
	proto, err := table.ParseProtocol(kind)
	if err != nil {
		return table.Key{}, fmt.Errorf("%w, or fwmark", err)
	}
	addr, err := netip.ParseAddrPort(where)
	if err != nil || addr.Addr().Zone() != "" {
		return table.Key{}, fmt.Errorf("%q is not an address and port: write 192.0.2.10:80 or [2001:db8::10]:80", where)
	}
	return table.AddrKey(proto, addr), nil
}

func (p *parser) takeReal(l line) {
	v := p.virtual
	if v == nil {
		p.problem(l.number, "a real server before any virtual service: put a line virtual above it")
		return
	}
	if len(l.words) < 2 || l.words[1].name != "" {
		p.problem(l.number, "which server? Write real 10.0.0.11:80")
		return
	}
	v.Reals = append(v.Reals, Real{Line: l.number, Server: v.server, Inhibit: v.inhibit})
	p.real = &v.Reals[len(v.Reals)-1]
	addr, err := parseServer(l.words[1].value, v.Addr.Port())
	if err != nil {
		p.problem(l.number, "real: %w", err)
		return
	}
	p.real.Addr = addr
	p.options(l, l.words[2:], realOptions, p.real)
	p.real.Server = p.real.settled()
}

// settled drops what only other forwarding methods have, when it was inherited.
func (r Real) settled() table.Server {
	s := r.Server
	if s.Forward != table.Tunneling {
		s.Tunnel = table.Tunnel{}
	}
	return s
}

// parseServer reads an address with or without port.
func parseServer(s string, port uint16) (netip.AddrPort, error) {
	if a, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil && a.Zone() == "" {
		return netip.AddrPortFrom(a.Unmap(), port), nil
	}
	a, err := netip.ParseAddrPort(s)
	if err != nil || a.Addr().Zone() != "" {
		return netip.AddrPort{}, fmt.Errorf("%q is not an address: write 10.0.0.11:80 or [fd00::11]:80", s)
	}
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()), nil
}

func (p *parser) takeSorry(l line) {
	v := p.virtual
	switch {
	case v == nil:
		p.problem(l.number, "a sorry server before any virtual service: put a line virtual above it, or use the parameter sorry")
		return
	case v.Sorry != nil:
		p.problem(l.number, "a second sorry server of %s: leave one", v.Key)
		return
	case len(l.words) < 2 || l.words[1].name != "":
		p.problem(l.number, "which server? Write sorry 127.0.0.1:80")
		return
	}
	addr, err := parseServer(l.words[1].value, v.Addr.Port())
	if err != nil {
		p.problem(l.number, "sorry: %w", err)
		return
	}
	r := Real{Server: table.Server{Addr: addr, Forward: v.server.Forward, Weight: 1, Tunnel: v.server.Tunnel}}
	p.options(l, l.words[2:], sorryOptions, &r)
	s := r.settled()
	v.Sorry = &s
}

// takeCheck reads a check: of the server above it, or of every server of the
// service when it stands before the first one.
func (p *parser) takeCheck(l line) {
	if p.virtual == nil {
		p.problem(l.number, "a check before any virtual service: put a line virtual above it, or use the parameter check_defaults")
		return
	}
	spec, err := p.defaults.Check.Parse(l.rest)
	if err != nil {
		p.problem(l.number, "%w", err)
		return
	}
	if p.real == nil {
		p.virtual.checks = append(p.virtual.checks, spec)
	} else {
		p.real.Checks = append(p.real.Checks, spec)
	}
}

// finishVirtual gives the servers what they inherit, and checks the whole.
func (p *parser) finishVirtual() {
	v := p.virtual
	if v == nil {
		return
	}
	p.virtual = nil
	if !v.Key.Addr.IsValid() && !v.IsMark() {
		return // reported already
	}
	if v.Sorry == nil && p.defaults.Sorry.IsValid() {
		s := v.server
		s.Addr, s.Weight, s.Upper, s.Lower = p.defaults.Sorry, 1, 0, 0
		if s.Addr.Port() == 0 {
			s.Addr = netip.AddrPortFrom(s.Addr.Addr(), v.Addr.Port())
		}
		v.Sorry = &s
	}
	if !v.panicSet && v.Sorry == nil {
		v.Panic = PanicLast
	}
	for i := range v.Reals {
		r := &v.Reals[i]
		if len(r.Checks) == 0 && len(v.checks) == 0 && v.Protocol == table.TCP && r.Addr.Port() != 0 {
			v.checks = p.connects(r.Line)
		}
		if len(r.Checks) == 0 {
			r.Checks = v.checks
		}
		if len(r.Checks) == 0 {
			p.problem(r.Line, "real %s of %s: say how it is checked: add a line such as check ping, or check none", r.Addr, v.Key)
		}
	}
	p.validate(v)
	p.cfg.Virtuals = append(p.cfg.Virtuals, v.Virtual)
}

// connects are the checks of TCP servers without any.
func (p *parser) connects(line int) []check.Spec {
	spec, err := p.defaults.Check.Parse(string(check.TCP))
	if err != nil {
		p.problem(line, "%w", err)
	}
	return []check.Spec{spec}
}

func (p *parser) validate(v *virtual) {
	if err := v.Service.Validate(); err != nil {
		p.problem(v.Line, "%w", err)
	}
	seen := map[netip.AddrPort]int{}
	for _, r := range v.Reals {
		if !r.Addr.IsValid() {
			continue // reported already
		}
		if err := v.ValidateServer(r.Server); err != nil {
			p.problem(r.Line, "%w", err)
		}
		if first, twice := seen[r.Addr]; twice {
			p.problem(r.Line, "real %s of %s stands in line %d already: leave one", r.Addr, v.Key, first)
		}
		seen[r.Addr] = r.Line
	}
	if v.Sorry != nil {
		if err := v.ValidateServer(*v.Sorry); err != nil {
			p.problem(v.Line, "sorry: %w", err)
		}
		if first, twice := seen[v.Sorry.Addr]; twice {
			p.problem(v.Line, "the sorry server %s of %s is also the real server of line %d: leave one", v.Sorry.Addr, v.Key, first)
		}
	}
	if v.Quorum < 1 || v.Hysteresis < 0 || v.Hysteresis >= v.Quorum {
		p.problem(v.Line, "virtual %s: quorum %d, hysteresis %d: the quorum is at least 1 and the hysteresis smaller than it", v.Key, v.Quorum, v.Hysteresis)
	}
}

func (p *parser) duplicates() {
	first := map[table.Key]int{}
	for _, v := range p.cfg.Virtuals {
		if line, twice := first[v.Key]; twice {
			p.problem(v.Line, "virtual %s stands in line %d already: leave one", v.Key, line)
		} else {
			first[v.Key] = v.Line
		}
	}
}

// options sets the fields that words name.
func (p *parser) options(l line, words []word, known []option, of any) {
	seen := map[string]bool{}
	for _, w := range words {
		name, bare := w.name, w.name == ""
		if bare {
			name = w.value
		}
		i := slices.IndexFunc(known, func(o option) bool { return o.name == name })
		switch {
		case i < 0:
			var names []string
			for _, o := range known {
				names = append(names, o.name)
			}
			p.problem(l.number, "%s has no option %q: it has %s", l.words[0].value, name, strings.Join(names, " "))
			continue
		case seen[name]:
			p.problem(l.number, "option %s is given twice: leave one", name)
			continue
		case bare && !known[i].flag:
			p.problem(l.number, "option %s has no value: write %s=…", name, name)
			continue
		}
		seen[name] = true
		value := w.value
		if bare {
			value = "yes"
		}
		if err := known[i].set(of, value); err != nil {
			p.problem(l.number, "option %s: %w", name, err)
		}
	}
}

// duration reads a time of whole seconds.
func duration(s string) (time.Duration, error) {
	d, err := resources.ParseTime(s)
	if err == nil && d%time.Second != 0 {
		err = fmt.Errorf("%q: give whole seconds", s)
	}
	return d, err
}
