package ldirectord

import (
	"cmp"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"systole/agents/check"
	"systole/crm/importer"
)

// question is whom a check is about.
type question struct {
	vip      string
	vport    uint16
	protocol string
	real     netip.AddrPort
}

// services by the port of the virtual service, where service= is missing.
var services = map[uint16]string{
	21: "ftp", 25: "smtp", 53: "dns", 80: "http", 110: "pop", 119: "nntp", 143: "imap", 389: "ldap", 443: "https", 587: "submission", 636: "ldaps",
	993: "imaps", 995: "pops", 1521: "oracle", 1812: "radius", 3128: "http_proxy", 3306: "mysql", 5432: "pgsql", 5060: "sip",
}

// check is a server's check in the director's text. off says that it is never to serve.
func (t *translator) check(v *section, at importer.Place, pair []string, q question) (text string, off bool) {
	kind := cmp.Or(t.get(v, "checktype", ""), "negotiate")
	var words []string
	timeoutKey := "checktimeout"
	n, numeric := strconv.Atoi(kind)
	switch {
	case kind == "on":
		return "none", false
	case kind == "off":
		t.report.Changed(at, "checktype=off: the server has weight 0 until you give it another")
		return "none", true
	case kind == "connect":
		words = t.connect(v, at, q)
	case kind == "ping":
		words = []string{"ping"}
	case kind == "external" || kind == "external-perl":
		if kind == "external-perl" {
			t.report.Changed(v.values["checktype"].at, "the script is run as a program each time")
		}
		command := strings.Fields(cmp.Or(t.get(v, "checkcommand", ""), "/bin/true"))
		words = []string{"script", importer.Option("path", command[0])}
		vip, _, err := importer.AddrPort(q.vip)
		target := q.vip
		if err == nil {
			target = vip.Addr().String()
		}
		for _, a := range append(command[1:], target, fmt.Sprint(q.vport), q.real.Addr().String(), fmt.Sprint(q.real.Port())) {
			words = append(words, importer.Option("arg", a))
		}
	case kind == "negotiate" || numeric == nil && n > 0:
		if kind != "negotiate" {
			t.report.Changed(v.values["checktype"].at, "every check is a whole one (negotiate)")
		}
		timeoutKey = "negotiatetimeout"
		words = t.negotiate(v, at, pair, q)
	default:
		t.report.Unsupported(v.values["checktype"].at, "%q is no checktype: a connection is tried instead", kind)
		words = t.connect(v, at, q)
	}
	if words[0] == "none" {
		return "none", false
	}
	words = append(words, t.timing(v, timeoutKey)...)
	if port := t.get(v, "checkport", ""); port != "" && words[0] != "ping" && words[0] != "script" {
		words = importer.With(words, importer.Option("port", port))
	}
	spec, err := check.Parse(strings.Join(words, " "))
	if err != nil {
		t.report.Unsupported(at, "its check is left out, a connection is tried instead: %s", strings.ReplaceAll(err.Error(), "\n", "; "))
		if spec, err = check.Parse(strings.Join(append(t.connect(v, at, q), "initial=down"), " ")); err != nil {
			return "ping", false
		}
	}
	return spec.String(), false
}

// timing are ldirectord's times: a server is down until its first success, and
// after failurecount failures in a row.
func (t *translator) timing(v *section, timeoutKey string) []string {
	standard := map[string]string{"checktimeout": "5", "negotiatetimeout": "30"}[timeoutKey]
	other := map[string]string{"checktimeout": "negotiatetimeout", "negotiatetimeout": "checktimeout"}[timeoutKey]
	timeout := cmp.Or(t.get(v, timeoutKey, ""), t.get(v, other, ""), standard)
	out := []string{
		importer.Option("interval", t.get(v, "checkinterval", "10")), importer.Option("timeout", timeout),
		"rise=1", importer.Option("fall", t.get(v, "failurecount", "1")), "initial=down",
	}
	if n, err := strconv.Atoi(t.get(v, "checkcount", "1")); err == nil && n > 1 {
		out = append(out, fmt.Sprintf("retry=%d", n-1))
	}
	return out
}

// connect is a connection; for UDP, and where no port is known, an echo request.
func (t *translator) connect(v *section, at importer.Place, q question) []string {
	if q.protocol == "udp" {
		return []string{"ping"}
	}
	if q.real.Port() == 0 && t.get(v, "checkport", "") == "" {
		t.report.Changed(at, "the server has no port to connect to: it is pinged; a checkport would be better")
		return []string{"ping"}
	}
	return []string{"tcp"}
}

// negotiate asks the service something.
func (t *translator) negotiate(v *section, at importer.Place, pair []string, q question) []string {
	request, receive := t.get(v, "request", ""), t.get(v, "receive", "")
	if len(pair) > 0 {
		request = pair[0]
	}
	if len(pair) > 1 {
		receive = pair[1]
	}
	service := cmp.Or(t.get(v, "service", ""), services[q.vport], "none")
	regex := func(name string) []string {
		if receive == "" {
			return nil
		}
		if _, err := regexp.Compile(receive); err != nil {
			t.report.Unsupported(at, "expressions are RE2 here (no look-around, no back-references), so the answer is not compared: %v", err)
			return nil
		}
		return []string{importer.Option(name, receive)}
	}
	switch service {
	case "none":
		return []string{"none"}
	case "http", "https":
		return append(t.page(v, at, service, request), regex("regex")...)
	case "dns":
		words := []string{"dns", importer.Option("name", cmp.Or(request, "."))}
		if addr, err := netip.ParseAddr(request); err == nil {
			words = []string{"dns", importer.Option("name", reverse(addr)), "type=PTR"}
		} else if request != "" {
			words = append(words, "type=A")
		}
		return append(words, regex("regex")...)
	case "smtp", "submission":
		if service == "submission" && q.real.Port() == 0 {
			return []string{"smtp", "port=587"}
		}
		return []string{"smtp"}
	case "ftp":
		return t.login(v, []string{"ftp"})
	case "imap", "imaps":
		return t.login(v, t.secure("imap", service, q))
	case "pop", "pops":
		return t.login(v, t.secure("pop3", service, q))
	case "ldap", "ldaps":
		words := t.secure("ldap", service, q)
		if request != "" {
			words = append(words, importer.Option("base", request))
		}
		return t.login(v, words)
	case "mysql", "pgsql":
		words := t.login(v, []string{service})
		if len(words) == 1 {
			return words
		}
		if d := t.get(v, "database", ""); d != "" {
			words = append(words, importer.Option("database", d))
		}
		if request != "" {
			words = append(words, importer.Option("query", request))
		}
		return words
	case "nntp":
		return []string{"tcp", importer.Option("expect", "^20[01]")}
	case "simpletcp":
		words := []string{"tcp"}
		if request != "" {
			words = append(words, importer.Option("send", "hex:"+fmt.Sprintf("%x", strings.ReplaceAll(request, `\n`, "\n"))))
		}
		return append(words, regex("expect")...)
	}
	place := at
	if s, ok := v.values["service"]; ok {
		place = s.at
	}
	t.report.Unsupported(place, "the protocol %s is not spoken by the checks: only a connection is tried (UDP: a ping); a check by script can do more", service)
	return t.connect(v, at, q)
}

// page is an HTTP request; a full URL names another host to ask.
func (t *translator) page(v *section, at importer.Place, service, request string) []string {
	words := []string{service, "follow=7"}
	host := t.get(v, "virtualhost", "")
	path := "/" + strings.TrimPrefix(request, "/")
	if u, err := url.Parse(request); err == nil && u.Host != "" {
		path = "/" + strings.TrimPrefix(u.RequestURI(), "/")
		host = cmp.Or(host, u.Host)
		if addr, err := netip.ParseAddr(u.Hostname()); err == nil {
			words = append(words, importer.Option("connect-to", addr.String()))
		} else {
			t.report.Changed(at, "the page is asked of the real server, with %s as its Host", u.Host)
		}
		if u.Port() != "" {
			words = append(words, importer.Option("port", u.Port()))
		}
	}
	words = append(words, importer.Option("path", path))
	if host != "" {
		words = append(words, importer.Option("host", host))
	}
	if m := t.get(v, "httpmethod", ""); m != "" {
		words = append(words, importer.Option("method", m))
	}
	return words
}

// secure chooses TLS for a service whose name ends with s.
func (t *translator) secure(kind, service string, q question) []string {
	words := []string{kind}
	if strings.HasSuffix(service, "s") {
		words = append(words, "tls=yes")
		if q.real.Port() == 0 {
			words = append(words, fmt.Sprintf("port=%d", map[string]int{"imap": 993, "pop3": 995, "ldap": 636}[kind]))
		}
	}
	return words
}

// login adds the user. The password of the old file stays out of the CIB.
func (t *translator) login(v *section, words []string) []string {
	user := t.get(v, "login", "")
	if user == "" {
		if s, ok := v.values["passwd"]; ok {
			t.report.Changed(s.at, "without login nobody logs in")
		}
		return words
	}
	words = append(words, importer.Option("user", user))
	if s, ok := v.values["passwd"]; ok {
		file := "/etc/systole/check-" + importer.SanitizeID(user)
		t.report.Changed(s.at, "secrets are not kept in the CIB: write the password into %s on each director, readable by root alone", file)
		words = append(words, importer.Option("password-file", file))
	}
	return words
}

// reverse is the name under which an address has its PTR record.
func reverse(a netip.Addr) string {
	a = a.Unmap()
	var b strings.Builder
	if a.Is4() {
		bytes := a.As4()
		for i := 3; i >= 0; i-- {
			fmt.Fprintf(&b, "%d.", bytes[i])
		}
		return b.String() + "in-addr.arpa."
	}
	bytes := a.As16()
	for i := 15; i >= 0; i-- {
		fmt.Fprintf(&b, "%x.%x.", bytes[i]&15, bytes[i]>>4)
	}
	return b.String() + "ip6.arpa."
}
