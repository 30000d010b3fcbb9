package keepalived

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"systole/crm/importer"
)

// settings are what a virtual server hands down to its real servers, and they to
// their checkers. An empty value is not set.
type settings struct {
	alpha, inhibit            bool
	retry, delayRetry         string
	connectTimeout, delayLoop string
	warmup, weight            string
	virtualhost               string
	method                    []string
}

// keepalived's defaults (keepalived.conf(5)).
const (
	defaultDelayLoop      = "60"
	defaultConnectTimeout = "5"
	defaultPersistence    = "360"
	defaultScheduler      = "wlc"
)

// virtual is a virtual_server while it is read.
type virtual struct {
	settings
	at         importer.Place
	protocol   string
	scheduler  string
	options    []string // of the director's virtual line
	flags      []string
	ip6        bool
	quorum     int
	hysteresis int
	sorry      *statement
	sorryOpt   []string
	reals      []*real
}

// real is a real_server.
type real struct {
	settings
	at      importer.Place
	addr    string
	port    string
	options []string
	checks  []*checker
}

func (t *translator) virtual(s *statement) {
	t.taken(s)
	v := &virtual{at: s.at, scheduler: defaultScheduler, quorum: 1,
		settings: settings{delayLoop: defaultDelayLoop, connectTimeout: defaultConnectTimeout, weight: "1"}}
	t.each(s.block, virtualKeywords(v))
	t.guessProtocol(v)
	keys := t.keys(s, v)
	var parts []importer.Place
	if len(keys) == 1 { // with more, the lines go on to serve the others
		t.inside(s, func(at importer.Place) { parts = append(parts, at) })
	}
	for _, key := range keys {
		t.site.services = append(t.site.services, importer.Service{At: s.at, Parts: parts, Addr: key.addr, Lines: t.service(v, key)})
	}
}

// guessProtocol chooses where a file does not say: older versions of keepalived
// took TCP, 2.2 takes UDP, whatever the checkers ask.
func (t *translator) guessProtocol(v *virtual) {
	if v.protocol != "" {
		return
	}
	v.protocol = "tcp"
	for _, r := range v.reals {
		for _, c := range r.checks {
			if c.kind == "udp" || c.kind == "dns" {
				v.protocol = "udp"
			}
		}
	}
	t.report.Changed(v.at, "no protocol is set, and keepalived's versions differ in what that means: %s is taken, by the checks", v.protocol)
}

// key is how a virtual service is named in the director's text.
type key struct {
	text string
	addr netip.Addr
	port string
}

// keys are the addresses or marks of a virtual server, of which a group has several.
func (t *translator) keys(s *statement, v *virtual) []key {
	args := s.args()
	switch {
	case len(args) >= 2 && args[0] == "group":
		lines, ok := t.addresses[args[1]]
		if !ok {
			t.lost(s, "there is no virtual_server_group %q", args[1])
		}
		var keys []key
		for _, l := range lines {
			keys = append(keys, t.groupLine(l, v)...)
		}
		return keys
	case len(args) >= 2 && args[0] == "fwmark":
		return t.mark(s, args[1:], v)
	case len(args) == 0:
		t.lost(s, "a virtual server without an address")
		return nil
	}
	addr, err := netip.ParseAddr(args[0])
	if err != nil {
		t.lost(s, "%q is not an address", args[0])
		return nil
	}
	return []key{addressKey(v.protocol, addr.Unmap(), cmp.Or(s.arg(1), "0"))}
}

func addressKey(protocol string, addr netip.Addr, port string) key {
	at := addr.String()
	if addr.Is6() {
		at = "[" + at + "]"
	}
	return key{protocol + " " + at + ":" + port, addr, port}
}

func (t *translator) mark(s *statement, words []string, v *virtual) []key {
	if n, err := strconv.ParseUint(words[0], 10, 32); err != nil || n == 0 {
		t.lost(s, "%q is not a firewall mark", words[0])
		return nil
	}
	text := "fwmark " + words[0]
	if v.ip6 || slices.Contains(words, "inet6") {
		text += " family=ipv6"
	}
	return []key{{text: text}}
}

// maxRange is how many addresses a line of a group may stand for.
const maxRange = 1 << 10

// groupLine reads ADDR [PORT], a range or a net of addresses, or fwmark N.
func (t *translator) groupLine(s *statement, v *virtual) []key {
	if s.keyword() == "fwmark" && s.arg(0) != "" {
		return t.mark(s, s.args(), v)
	}
	first, last, err := addressRange(s.keyword())
	if err != nil {
		t.lost(s, "%v", err)
		return nil
	}
	var keys []key
	for a := first; len(keys) < maxRange; a = a.Next() {
		keys = append(keys, addressKey(v.protocol, a, cmp.Or(s.arg(0), "0")))
		if a == last {
			return keys
		}
	}
	t.lost(s, "more than %d addresses: use a firewall mark for all of them", maxRange)
	return nil
}

// addressRange reads a.b.c.d, a.b.c.d-e, A-B and NET/LEN.
func addressRange(s string) (first, last netip.Addr, err error) {
	if p, err := netip.ParsePrefix(s); err == nil {
		first, last = p.Masked().Addr(), p.Masked().Addr()
		for n := 1; p.Contains(last.Next()) && n <= maxRange; n++ {
			last = last.Next()
		}
		if first.Is4() && p.Bits() < 31 { // without the net's own address and the broadcast
			if n := last; first != n {
				first, last = first.Next(), last.Prev()
			}
		}
		return first, last, nil
	}
	from, to, isRange := strings.Cut(s, "-")
	if first, err = netip.ParseAddr(from); err != nil {
		return first, last, fmt.Errorf("%q is not an address", from)
	}
	first = first.Unmap()
	if !isRange {
		return first, first, nil
	}
	if last, err = netip.ParseAddr(to); err != nil { // only the end of the address
		cut := strings.LastIndexAny(from, ".:") + 1
		if last, err = netip.ParseAddr(from[:cut] + to); err != nil {
			return first, last, fmt.Errorf("%q does not end with an address", s)
		}
	}
	if last = last.Unmap(); last.Less(first) {
		return first, last, fmt.Errorf("%q ends before it begins", s)
	}
	return first, last, nil
}

func virtualKeywords(v *virtual) keywords {
	k := inherited(&v.settings)
	option := func(name string) handler {
		return keep(func(_ *translator, s *statement) {
			v.options = importer.With(v.options, importer.Option(name, s.rest()))
		})
	}
	flag := func(name string) handler {
		return keep(func(*translator, *statement) { v.flags = importer.With(v.flags, name) })
	}
	number := func(at *int) handler {
		return keep(func(t *translator, s *statement) {
			n, err := strconv.Atoi(s.arg(0))
			if err != nil || n < 0 {
				t.lost(s, "%q is not a number", s.arg(0))
				return
			}
			*at = n
		})
	}
	for _, name := range []string{"flag-1", "flag-2", "flag-3", "sh-port", "sh-fallback", "mh-port", "mh-fallback"} {
		k[name] = flag(name)
	}
	k.alias(keep(func(_ *translator, s *statement) { v.scheduler = s.arg(0) }), "lvs_sched", "lb_algo")
	k["protocol"] = keep(func(_ *translator, s *statement) { v.protocol = strings.ToLower(s.arg(0)) })
	k["persistence_timeout"] = keep(func(_ *translator, s *statement) {
		v.options = importer.With(v.options, importer.Option("persistent", cmp.Or(s.arg(0), defaultPersistence)))
	})
	k["persistence_granularity"] = option("netmask")
	k["persistence_engine"] = option("engine")
	k["ops"] = keep(func(*translator, *statement) { v.options = importer.With(v.options, "ops=yes") })
	k["hashed"] = note("services are always in the kernel's hash table")
	k["ip_family"] = keep(func(_ *translator, s *statement) { v.ip6 = s.arg(0) == "inet6" })
	k["quorum"] = number(&v.quorum)
	k["hysteresis"] = number(&v.hysteresis)
	k["quorum_up"] = v.hook("quorum-up")
	k["quorum_down"] = v.hook("quorum-down")
	k["omega"] = keep(func(*translator, *statement) { v.options = importer.With(v.options, "omega=yes") })
	k["ha_suspend"] = note("the director runs, and checks, only where its address is")
	k["sorry_server"] = keep(func(_ *translator, s *statement) { v.sorry = s })
	k["sorry_server_inhibit"] = note("the sorry server is in the table only while it is needed")
	k["sorry_server_lvs_method"] = keep(func(t *translator, s *statement) { v.sorryOpt = t.method(s.args(), s) })
	k["smtp_alert"] = drop(mailText)
	k["snmp_name"] = note("names for SNMP; the metrics name services by their address")
	k["real_server"] = func(t *translator, s *statement) { t.real(s, v) }
	return k
}

// hook is a program run on a change; words after the quoted command are user and group.
func (v *virtual) hook(name string) handler {
	return keep(func(t *translator, s *statement) {
		v.options = importer.With(v.options, t.program(s, name))
	})
}

// program takes `KEYWORD "cmd args" [user [group]]`.
func (t *translator) program(s *statement, option string) string {
	if !strings.HasPrefix(s.arg(0), "/") {
		t.report.Changed(s.at, "a program is named by its whole path")
	}
	if s.arg(1) != "" {
		t.report.Unsupported(s.at, "it runs as the daemon's user, not as %s: let the script drop its rights itself", s.arg(1))
	}
	return importer.Option(option, s.arg(0))
}

// inherited are the keywords of virtual and real servers that are handed down.
func inherited(to *settings) keywords {
	value := func(at *string) handler { return keep(func(_ *translator, s *statement) { *at = s.arg(0) }) }
	return keywords{
		"alpha":              keep(func(t *translator, s *statement) { to.alpha = t.on(s) }),
		"inhibit_on_failure": keep(func(t *translator, s *statement) { to.inhibit = t.on(s) }),
		"retry":              value(&to.retry),
		"nb_get_retry": func(t *translator, s *statement) {
			to.retry = s.arg(0)
			t.changed(s, "an old name of retry; keepalived 2 knows it for HTTP_GET and SSL_GET only")
		},
		"delay_before_retry":   value(&to.delayRetry),
		"connect_timeout":      value(&to.connectTimeout),
		"delay_loop":           value(&to.delayLoop),
		"warmup":               value(&to.warmup),
		"weight":               value(&to.weight),
		"virtualhost":          value(&to.virtualhost),
		"lvs_method":           keep(func(t *translator, s *statement) { to.method = t.method(s.args(), s) }),
		"lb_kind":              keep(func(t *translator, s *statement) { to.method = t.method(s.args(), s) }),
		"log_all_failures":     note("every server's last failure and its reason are in crm lvs status"),
		"checker_log_all_fail": note("every server's last failure and its reason are in crm lvs status"),
	}
}

// method reads NAT, DR or TUN [type ipip|gue port N|gre] [nocsum|csum|remcsum]
// into options of the director's text.
func (t *translator) method(words []string, s *statement) []string {
	if len(words) == 0 {
		t.lost(s, "no forwarding method")
		return nil
	}
	out := []string{importer.Option("forward", map[string]string{"NAT": "masq", "DR": "dr", "TUN": "tun"}[strings.ToUpper(words[0])])}
	if out[0] == `forward=""` {
		t.lost(s, "forwarding is NAT, DR or TUN, not %q", words[0])
		return nil
	}
	for i := 1; i < len(words); i++ {
		switch w := words[i]; w {
		case "type":
			if i++; i < len(words) {
				out = append(out, importer.Option("tunnel", words[i]))
			}
		case "port":
			if i++; i < len(words) {
				out = append(out, importer.Option("tunnel-port", words[i]))
			}
		case "nocsum", "csum", "remcsum":
			out = append(out, importer.Option("tunnel-checksum", w))
		default:
			t.lost(s, "%q is not known after the forwarding method", w)
		}
	}
	return out
}

func (t *translator) real(s *statement, v *virtual) {
	t.taken(s)
	r := &real{at: s.at, addr: s.arg(0), port: s.arg(1)}
	if addr, err := netip.ParseAddr(r.addr); err != nil {
		t.lost(s, "%q is not an address", r.addr)
		return
	} else if addr.Is6() {
		r.addr = "[" + addr.String() + "]"
	}
	t.each(s.block, realKeywords(r))
	v.reals = append(v.reals, r)
}

func realKeywords(r *real) keywords {
	k := inherited(&r.settings)
	option := func(name string) handler {
		return keep(func(_ *translator, s *statement) {
			r.options = importer.With(r.options, importer.Option(name, s.arg(0)))
		})
	}
	k["uthreshold"] = option("upper")
	k["lthreshold"] = option("lower")
	k["notify_up"] = keep(func(t *translator, s *statement) { r.options = importer.With(r.options, t.program(s, "notify-up")) })
	k["notify_down"] = keep(func(t *translator, s *statement) { r.options = importer.With(r.options, t.program(s, "notify-down")) })
	k["smtp_alert"] = drop(mailText)
	k["snmp_name"] = note("names for SNMP; the metrics name servers by their address")
	for name := range checkers {
		k[name] = func(t *translator, s *statement) { t.checker(s, r) }
	}
	return k
}

// handDown fills what is not set from above.
func (s *settings) handDown(from settings) {
	s.alpha = s.alpha || from.alpha
	s.inhibit = s.inhibit || from.inhibit
	for _, f := range []struct {
		to   *string
		from string
	}{
		{&s.retry, from.retry}, {&s.delayRetry, from.delayRetry}, {&s.connectTimeout, from.connectTimeout}, {&s.delayLoop, from.delayLoop},
		{&s.warmup, from.warmup}, {&s.weight, from.weight}, {&s.virtualhost, from.virtualhost},
	} {
		*f.to = cmp.Or(*f.to, f.from)
	}
	if s.method == nil {
		s.method = from.method
	}
}

// service are the lines of one virtual service in the director's text.
func (t *translator) service(v *virtual, k key) []string {
	if v.method == nil {
		v.method = []string{"forward=masq"} // NAT, if never set
	}
	head := []string{"virtual " + k.text, importer.Option("scheduler", v.scheduler)}
	head = append(head, v.method...)
	if len(v.flags) > 0 {
		head = append(head, importer.Option("flags", strings.Join(v.flags, ",")))
	}
	head = append(head, v.options...)
	if v.quorum != 1 {
		head = append(head, fmt.Sprintf("quorum=%d", v.quorum))
	}
	if v.hysteresis = min(v.hysteresis, max(v.quorum-1, 0)); v.hysteresis > 0 {
		head = append(head, fmt.Sprintf("hysteresis=%d", v.hysteresis))
	}
	// keepalived takes the last server out too when its check fails.
	lines := []string{strings.Join(append(head, "panic=off"), " ")}
	for _, r := range v.reals {
		lines = append(lines, t.realLines(v, *r, k)...)
	}
	if v.sorry != nil {
		lines = append(lines, t.sorryLine(v, k))
	}
	return lines
}

// sorryLine is the server of last resort. Only NAT can give it another port.
func (t *translator) sorryLine(v *virtual, k key) string {
	port := cmp.Or(v.sorry.arg(1), k.port, "0")
	method := v.method
	if v.sorryOpt != nil {
		method = v.sorryOpt
	}
	if own := cmp.Or(k.port, "0"); method[0] != "forward=masq" && port != own {
		t.report.Changed(v.sorry.at, "only NAT changes the port: %s is taken", own)
		port = own
	}
	return strings.Join(append([]string{"sorry " + hostPort(v.sorry.arg(0), port)}, v.sorryOpt...), " ")
}

func (t *translator) realLines(v *virtual, r real, k key) []string {
	own := r.method
	r.handDown(v.settings)
	port := cmp.Or(r.port, k.port, "0")
	checked := port
	if r.method[0] != "forward=masq" && port != cmp.Or(k.port, "0") {
		port = cmp.Or(k.port, "0")
		if port != "0" {
			t.report.Changed(r.at, "only NAT changes the port: connections go to %s, checks to %s", port, checked)
		}
	}
	words := []string{"real " + r.addr + ":" + port}
	if r.weight != "1" {
		words = append(words, importer.Option("weight", r.weight))
	}
	words = append(words, own...)
	words = append(words, r.options...)
	if r.inhibit {
		words = append(words, "on-failure=inhibit")
	}
	lines := []string{strings.Join(words, " ")}
	if len(r.checks) == 0 {
		return append(lines, "check none")
	}
	for _, c := range r.checks {
		ask := ""
		if checked != port {
			ask = checked
		}
		for _, text := range t.checkTexts(c, r.settings, ask) {
			lines = append(lines, "check "+text)
		}
	}
	return lines
}

func hostPort(addr, port string) string {
	if strings.Contains(addr, ":") {
		addr = "[" + addr + "]"
	}
	return addr + ":" + cmp.Or(port, "0")
}
