// Package ldirectord imports ldirectord.cf (4.12). Its virtual services become
// one IPVS director; the addresses are no part of that file, so the director is a
// primitive to be put into the group with them.
package ldirectord

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"systole/crm/clitext"
	"systole/crm/importer"
)

// Import translates a file to a configuration of one primitive.
func Import(f importer.File) importer.Result {
	report := &importer.Report{}
	d := Director(report.Add(f), report)
	r := importer.Result{Report: report}
	if len(d.Services) > 0 {
		d.Define(&r.Config, "director")
	}
	r.Config.Define(importer.Object{Kind: "property", ID: "cib-bootstrap-options", Words: []string{"stonith-enabled=false"}})
	report.Settle()
	return r
}

// Director translates a file, as [importer.Report.Add] returned it, to its director.
func Director(f importer.File, report *importer.Report) importer.Director {
	t := &translator{report: report, global: section{values: map[string]setting{}}}
	t.read(f)
	d := importer.Director{}
	for _, v := range t.virtuals {
		if s, ok := t.service(v); ok {
			d.Services = append(d.Services, s)
		}
	}
	d.Sound(report)
	return d
}

// setting is `key = value` and where it stands.
type setting struct {
	at    importer.Place
	value string
}

// section are the settings of the file, or of one virtual service.
type section struct {
	setting // the line virtual=
	six     bool
	values  map[string]setting
	reals   []setting
}

type translator struct {
	report   *importer.Report
	global   section
	virtuals []*section
}

// kind says what becomes of a key.
type kind int

const (
	unknown  kind = iota
	anywhere      // global, or of one virtual service
	globally
	virtually
)

// keys are all keys; those with a note have their purpose reached otherwise or
// not at all.
var keys = map[string]struct {
	kind kind
	lost bool
	note string
}{
	"checktimeout": {kind: anywhere}, "negotiatetimeout": {kind: anywhere}, "checkinterval": {kind: anywhere}, "failurecount": {kind: anywhere},
	"checkcount": {kind: anywhere, note: "repetitions of a failed check (old name of failurecount, for ping)"},
	"fallback":   {kind: anywhere}, "fallback6": {kind: anywhere}, "fallbackcommand": {kind: anywhere}, "quiescent": {kind: anywhere},
	"cleanstop":        {kind: anywhere, note: "a director that stops takes its services out; a restart of the daemon does not stop it"},
	"readdquiescent":   {kind: anywhere, note: "the kernel's table is always made what the configuration says; use crm lvs drain for maintenance"},
	"connecttimeout":   {kind: globally, note: "checktimeout decides, as in ldirectord since 1.5"},
	"autoreload":       {kind: globally, note: "the configuration is in the CIB: a committed change is in force at once on all directors"},
	"callback":         {kind: globally, note: "the configuration is in the CIB and needs no copying to other machines"},
	"logfile":          {kind: globally, note: "the log goes to the journal"},
	"supervised":       {kind: globally, note: "the cluster supervises the director"},
	"fork":             {kind: globally, note: "all checks run at their own time in one process"},
	"maintenancedir":   {kind: globally, note: "instead of a file, crm lvs drain NODE and crm lvs undrain NODE"},
	"execute":          {kind: globally, lost: true, note: "import that file too and give its services to the same director"},
	"emailalert":       {kind: anywhere, lost: true, note: mail},
	"emailalertfrom":   {kind: anywhere, lost: true, note: mail},
	"emailalertfreq":   {kind: anywhere, lost: true, note: mail},
	"emailalertstatus": {kind: anywhere, lost: true, note: mail},
	"smtp":             {kind: anywhere, lost: true, note: mail},
	"checktype":        {kind: virtually}, "service": {kind: virtually}, "checkcommand": {kind: virtually}, "checkport": {kind: virtually},
	"request": {kind: virtually}, "receive": {kind: virtually}, "httpmethod": {kind: virtually}, "virtualhost": {kind: virtually},
	"login": {kind: virtually}, "passwd": {kind: virtually}, "database": {kind: virtually}, "scheduler": {kind: virtually},
	"schedflags": {kind: virtually}, "persistent": {kind: virtually}, "netmask": {kind: virtually}, "protocol": {kind: virtually}, "ops": {kind: virtually},
	"secret":      {kind: virtually, lost: true, note: "RADIUS is not spoken by the checks"},
	"load":        {kind: virtually, lost: true, note: "a weight that follows a load: let a check by script (dynamic) tell it"},
	"monitorfile": {kind: virtually, note: "every server's last failure and its reason are in crm lvs status and in the journal"},
	"servicename": {kind: virtually, note: "services are named by their addresses"},
	"comment":     {kind: virtually, note: "comments belong into the description of the resource"},
}

const mail = "the cluster sends no mail: watch crm_mon or the metrics, or write an alert agent"

// read sorts the lines into the global section and those of virtual services.
func (t *translator) read(f importer.File) {
	current := &t.global
	for i, text := range f.Lines() {
		at := importer.Place{File: f.Name, Line: i + 1}
		line := strings.TrimRight(withoutComment(text), " \t")
		if strings.TrimSpace(line) == "" {
			t.report.Comment(at)
			continue
		}
		indented := strings.HasPrefix(line, "    ") || strings.HasPrefix(line, "\t")
		key, value, ok := strings.Cut(line, "=")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		if !indented {
			current = &t.global
		}
		switch {
		case !ok || value == "":
			t.report.Unsupported(at, "want KEY = VALUE")
		case indented && current == &t.global:
			t.report.Unsupported(at, "an indented line belongs to a virtual service, and none is above")
		case key == "virtual" || key == "virtual6":
			t.report.Taken(at)
			current = &section{setting: setting{at, value}, six: key == "virtual6", values: map[string]setting{}}
			t.virtuals = append(t.virtuals, current)
		case key == "real" || key == "real6":
			t.report.Taken(at)
			current.reals = append(current.reals, setting{at, value})
			if current == &t.global {
				t.report.Unsupported(at, "a real server outside of a virtual service: indent it")
			}
		default:
			t.key(current, key, setting{at, unquote(value)})
		}
	}
}

func (t *translator) key(current *section, key string, s setting) {
	k, known := keys[key]
	isGlobal := current == &t.global
	switch {
	case !known:
		names := make([]string, 0, len(keys))
		for name := range keys {
			names = append(names, name)
		}
		slices.Sort(names)
		hint := ""
		if near := clitext.Nearest(key, names); near != "" {
			hint = "; did you mean " + near + "?"
		}
		t.report.Unsupported(s.at, "%q is no keyword%s", key, hint)
		return
	case isGlobal && k.kind == virtually:
		t.report.Unsupported(s.at, "%s belongs to a virtual service: indent it", key)
		return
	case !isGlobal && k.kind == globally:
		t.report.Unsupported(s.at, "%s stands before the virtual services, not in one", key)
		return
	case k.lost:
		t.report.Unsupported(s.at, "%s", k.note)
	case k.note != "":
		t.report.Changed(s.at, "%s", k.note)
	default:
		t.report.Taken(s.at)
	}
	if key == "passwd" || key == "secret" {
		t.report.Hide(s.at, s.value)
	}
	current.values[key] = s
}

// withoutComment cuts a line at # outside quotation marks.
func withoutComment(s string) string {
	quoted := false
	for i, r := range s {
		switch {
		case r == '"':
			quoted = !quoted
		case r == '#' && !quoted:
			return s[:i]
		}
	}
	return s
}

func unquote(s string) string {
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		return s[1 : len(s)-1]
	}
	return s
}

// get is a setting of the service, else the global one, else what is given.
func (t *translator) get(v *section, key, standard string) string {
	if s, ok := v.values[key]; ok {
		return s.value
	}
	if s, ok := t.global.values[key]; ok && keys[key].kind != virtually {
		return s.value
	}
	return standard
}

// service writes a virtual service in the director's text.
func (t *translator) service(v *section) (importer.Service, bool) {
	s := importer.Service{At: v.at}
	for _, r := range v.reals {
		s.Parts = append(s.Parts, r.at)
	}
	for _, value := range v.values {
		s.Parts = append(s.Parts, value.at)
	}
	protocol := t.get(v, "protocol", "")
	key, port := "", uint16(0)
	if mark, err := strconv.ParseUint(v.value, 10, 32); err == nil && mark > 0 {
		key = fmt.Sprintf("fwmark %d", mark)
		if v.six {
			key += " family=ipv6"
		}
	} else {
		ap, _, err := importer.AddrPort(v.value)
		if err != nil {
			t.report.Unsupported(v.at, "the service is left out: %v", err)
			return s, false
		}
		s.Addr, port = ap.Addr(), ap.Port()
		if protocol == "" || protocol == "fwm" {
			protocol = "tcp"
			if port == 53 {
				protocol = "udp"
			}
		}
		key = protocol + " " + ap.String()
	}
	options := []string{"virtual " + key, importer.Option("scheduler", t.get(v, "scheduler", "wrr"))}
	for _, o := range []struct{ key, option string }{{"schedflags", "flags"}, {"persistent", "persistent"}, {"netmask", "netmask"}} {
		if value := t.get(v, o.key, ""); value != "" {
			options = append(options, importer.Option(o.option, value))
		}
	}
	if yes(t.get(v, "ops", "no")) {
		options = append(options, "ops=yes")
	}
	if quiescent := t.get(v, "quiescent", ""); yes(quiescent) {
		options = append(options, "on-failure=inhibit")
	} else if quiescent == "" {
		t.report.Changed(v.at, "quiescent is not set: a dead server is taken out, as the program does (its manual says weight 0)")
	}
	options = append(options, t.hooks(v, protocol)...)
	s.Lines = append(s.Lines, strings.Join(append(options, "panic=off"), " "))
	for _, r := range v.reals {
		s.Lines = append(s.Lines, t.real(v, r, protocol, port)...)
	}
	s.Lines = append(s.Lines, t.sorry(v, port)...)
	return s, true
}

func yes(s string) bool { return s == "yes" || s == "on" || s == "true" }

// hooks are the fallbackcommand: start when all servers are down, stop when one is back.
func (t *translator) hooks(v *section, protocol string) []string {
	command := t.get(v, "fallbackcommand", "")
	if command == "" {
		return nil
	}
	args := " " + v.value + " " + cmp.Or(protocol, "fwm")
	return []string{importer.Option("quorum-down", command+" start"+args), importer.Option("quorum-up", command+" stop"+args)}
}

// sorry is the fallback server.
func (t *translator) sorry(v *section, port uint16) []string {
	key := "fallback"
	if v.six || s6(v.value) {
		key = "fallback6"
	}
	words := strings.Fields(t.get(v, key, ""))
	if len(words) == 0 {
		return nil
	}
	at, own := v.values[key]
	if !own {
		at = t.global.values[key]
	}
	ap, has, err := importer.AddrPort(words[0])
	if err != nil {
		t.report.Unsupported(at.at, "%v", err)
		return nil
	}
	forward := "gate"
	if len(words) > 1 {
		forward = words[1]
	}
	if !has || forward != "masq" {
		if has && port != 0 && ap.Port() != port {
			t.report.Changed(at.at, "only with masq can the port differ from the service's, so that is taken")
		}
		ap = netip.AddrPortFrom(ap.Addr(), port)
	}
	where := ap.String()
	if forward != "masq" && port == 0 {
		where = ap.Addr().String()
	}
	return []string{"sorry " + where + " " + importer.Option("forward", forward)}
}

func s6(s string) bool { return strings.HasPrefix(s, "[") }

// maxRange is how many servers one line may stand for.
const maxRange = 1 << 10

// real writes the servers of a line: IP[->IP][:port] METHOD [weight] ["request", "receive"] [l:N] [u:N].
func (t *translator) real(v *section, r setting, protocol string, vport uint16) []string {
	words := fields(r.value)
	lost := func(format string, args ...any) []string { t.report.Unsupported(r.at, format, args...); return nil }
	if len(words) < 2 {
		return lost("want ADDRESS:PORT and gate, masq or ipip")
	}
	from, to, isRange := strings.Cut(words[0], "->")
	first, has, err := importer.AddrPort(from)
	last := first.Addr()
	if isRange && err == nil {
		var end netip.AddrPort
		end, has, err = importer.AddrPort(to)
		first, last = netip.AddrPortFrom(first.Addr(), end.Port()), end.Addr()
	}
	if err != nil {
		return lost("%v", err)
	}
	port := first.Port()
	if forward := words[1]; forward != "masq" && port != vport {
		if has && vport != 0 {
			t.report.Changed(r.at, "only masq changes the port: %d is taken, the service's", vport)
		}
		port = vport
	} else if !has {
		port = vport
	}
	options := []string{importer.Option("forward", words[1])}
	var pair []string // request and receive
	for i, w := range words[2:] {
		n, err := strconv.Atoi(w)
		switch {
		case err == nil && i == 0:
			options = append(options, fmt.Sprintf("weight=%d", n))
		case threshold(w, "l:") != "":
			options = importer.With(options, "lower="+threshold(w, "l:"))
		case threshold(w, "u:") != "":
			options = importer.With(options, "upper="+threshold(w, "u:"))
		default:
			pair = append(pair, w)
		}
	}
	if len(pair) > 2 {
		return lost("%q is not known after the server", pair[2])
	}
	var lines []string
	for a := first.Addr(); ; a = a.Next() {
		real := netip.AddrPortFrom(a, port)
		text, off := t.check(v, r.at, pair, question{vip: v.value, protocol: protocol, vport: vport, real: real})
		own := options
		if off {
			own = importer.With(own, "weight=0")
		}
		lines = append(lines, "real "+real.String()+" "+strings.Join(own, " "), "check "+text)
		if a == last || !a.Less(last) {
			return lines
		}
		if len(lines) > 2*maxRange {
			return lost("more than %d servers in one line", maxRange)
		}
	}
}

func threshold(w, prefix string) string {
	n, ok := strings.CutPrefix(w, prefix)
	if _, err := strconv.ParseUint(n, 10, 32); !ok || err != nil {
		return ""
	}
	return n
}

// fields splits at blanks and commas; quotation marks group.
func fields(s string) []string {
	var out []string
	for s = strings.TrimLeft(s, " \t,"); s != ""; s = strings.TrimLeft(s, " \t,") {
		if s[0] == '"' {
			inner, rest, _ := strings.Cut(s[1:], `"`)
			out, s = append(out, inner), rest
			continue
		}
		end := strings.IndexAny(s, " \t,")
		if end < 0 {
			end = len(s)
		}
		out, s = append(out, s[:end]), s[end:]
	}
	return out
}
