package keepalived

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"systole/agents/check"
	"systole/crm/importer"
)

// checker is one block of checks while it is read. Its parts (a url or host
// block) are checks of their own; all must pass.
type checker struct {
	settings
	at      importer.Place
	kind    string
	route   []string // connect_ip and the like, as options
	options []string
	parts   [][]string // options of each part
	own     struct {   // of MISC_CHECK
		timeout string
	}
	useSNI bool
}

// checkers are keepalived's checkers, the kind of check each becomes and its default of retry.
var checkers = map[string]struct{ kind, retry string }{
	"TCP_CHECK":  {"tcp", "1"},
	"HTTP_GET":   {"http", "1"},
	"SSL_GET":    {"https", "1"},
	"SMTP_CHECK": {"smtp", "1"},
	"DNS_CHECK":  {"dns", "3"},
	"MISC_CHECK": {"script", "0"},
	"UDP_CHECK":  {"udp", "1"},
	"PING_CHECK": {"ping", "1"},
	"FILE_CHECK": {"file", "0"},
	"BFD_CHECK":  {"", ""},
}

func (t *translator) checker(s *statement, r *real) {
	c := &checker{at: s.at, kind: checkers[s.keyword()].kind}
	if c.kind == "" {
		t.lost(s, "BFD sessions are not watched: check what the server offers, with TCP_CHECK or HTTP_GET")
		return
	}
	t.taken(s)
	t.each(s.block, checkerKeywords(c))
	if c.kind == "smtp" && c.options == nil {
		c.options = []string{"helo=smtpchecker.keepalived.org"} // keepalived's default
	}
	r.checks = append(r.checks, c)
}

// timing are the keywords that all checkers but FILE and BFD have.
func timing(to *settings) keywords {
	k := inherited(to)
	for _, not := range []string{"inhibit_on_failure", "weight", "virtualhost", "lvs_method", "lb_kind"} {
		delete(k, not)
	}
	return k
}

func routing(c *checker, to *[]string) keywords {
	k := keywords{}
	for name, option := range map[string]string{"connect_ip": "connect-to", "connect_port": "port", "bindto": "source", "bind_if": "device", "fwmark": "source-mark"} {
		k[name] = keep(func(_ *translator, s *statement) { *to = importer.With(*to, importer.Option(option, s.arg(0))) })
	}
	k["bind_port"] = drop("the source port of checks is the kernel's choice")
	return k
}

func checkerKeywords(c *checker) keywords {
	k := timing(&c.settings)
	for name, do := range routing(c, &c.route) {
		k[name] = do
	}
	option := func(name string) handler {
		return keep(func(_ *translator, s *statement) {
			c.options = importer.With(c.options, importer.Option(name, s.arg(0)))
		})
	}
	switch c.kind {
	case "http", "https":
		k["url"] = func(t *translator, s *statement) { t.url(s, c) }
		k["virtualhost"] = keep(func(_ *translator, s *statement) { c.virtualhost = s.arg(0) })
		k["http_protocol"] = note("HTTP/1.1 is spoken, with a Host header")
		k["fast_recovery"] = note("one success brings a server back in any case (rise=1)")
		k["enable_sni"] = keep(func(t *translator, s *statement) { c.useSNI = t.on(s) })
		k["tls_compliant"] = note("a connection that ends without TLS's own goodbye is accepted")
	case "smtp":
		k["helo_name"] = option("helo")
		k["host"] = func(t *translator, s *statement) {
			t.taken(s)
			var part []string
			t.each(s.block, routing(c, &part).with(timing(&c.settings)))
			c.parts = append(c.parts, part)
		}
	case "dns":
		k["type"] = option("type")
		k["name"] = option("name")
	case "script":
		k["misc_path"] = keep(func(t *translator, s *statement) { c.options = append(c.options, t.commandLine(s)...) })
		k["misc_timeout"] = keep(func(_ *translator, s *statement) { c.own.timeout = s.arg(0) })
		k["misc_dynamic"] = keep(func(t *translator, s *statement) {
			if t.on(s) {
				c.options = append(c.options, "dynamic=yes")
			}
		})
		k["user"] = drop("the program runs as the daemon's user: let it drop its rights itself")
	case "udp":
		k["payload"] = keep(func(_ *translator, s *statement) {
			c.options = append(c.options, importer.Option("send", "hex:"+bytes(s.args())))
		})
		k["require_reply"] = keep(func(_ *translator, s *statement) {
			want := "^" // any answer
			if len(s.args()) > 0 {
				want = "hex:" + bytes(s.args())
			}
			c.options = append(c.options, importer.Option("expect", want))
		})
		k["min_reply_length"] = replyLength("0")
		k["max_reply_length"] = replyLength("255")
	case "file":
		k = keywords{
			"track_file": keep(func(t *translator, s *statement) { c.options = append(c.options, t.fileOptions(s, c)...) }),
			"weight": keep(func(_ *translator, s *statement) {
				if c.weight = s.arg(0); s.arg(1) == "reverse" {
					c.weight = strings.Replace("-"+c.weight, "--", "", 1)
				}
			}),
			"alpha":   k["alpha"],
			"dynamic": note("the number in the file is read at every check"),
		}
	}
	return k
}

// with adds keywords.
func (k keywords) with(more keywords) keywords {
	for name, do := range more {
		k[name] = do
	}
	return k
}

// bytes joins keepalived's groups of digits, of which the last in a group may stand alone: "ab1 2" is ab 01 02.
func bytes(groups []string) string {
	var b strings.Builder
	for _, g := range groups {
		if n := len(g); n%2 == 1 {
			g = g[:n-1] + "0" + g[n-1:]
		}
		b.WriteString(g)
	}
	return b.String()
}

func replyLength(standard string) handler {
	return func(t *translator, s *statement) {
		if t.taken(s); s.arg(0) != standard {
			t.lost(s, "the length of an answer is not looked at: use require_reply with the bytes that matter")
		}
	}
}

// url is one page: a check of its own.
func (t *translator) url(s *statement, c *checker) {
	t.taken(s)
	var part []string
	var regex, modifiers string
	var not bool
	var regexAt *statement
	option := func(name string) handler {
		return keep(func(_ *translator, s *statement) { part = importer.With(part, importer.Option(name, s.arg(0))) })
	}
	t.each(s.block, keywords{
		"path":        option("path"),
		"virtualhost": option("host"),
		"digest": keep(func(_ *translator, s *statement) {
			part = importer.With(part, importer.Option("digest", "md5:"+s.arg(0)))
		}),
		"status_code": keep(func(_ *translator, s *statement) {
			part = importer.With(part, importer.Option("status", strings.Join(strings.FieldsFunc(s.rest(), func(r rune) bool { return r == ',' || r == ' ' }), ",")))
		}),
		"regex":          keep(func(_ *translator, s *statement) { regex, regexAt = s.rest(), s }),
		"regex_no_match": keep(func(t *translator, s *statement) { not = t.on(s) }),
		"regex_options": keep(func(t *translator, s *statement) {
			for _, o := range s.args() {
				flag, ok := map[string]string{"caseless": "i", "multiline": "m", "dotall": "s", "utf": "", "ungreedy": "U"}[o]
				if !ok {
					t.lost(s, "the option %s is not known to RE2 expressions", o)
				}
				modifiers += flag
			}
		}),
		"regex_min_offset": drop("the expression is looked for in all of the page"),
		"regex_max_offset": drop("the expression is looked for in all of the page"),
		"regex_stack":      note("expressions need no stack"),
	})
	if regexAt != nil {
		if modifiers != "" {
			regex = "(?" + modifiers + ")" + regex
		}
		if _, err := regexp.Compile(regex); err != nil {
			t.report.Unsupported(regexAt.at, "expressions are RE2 here (no look-around, no back-references): %v", err)
		} else if not {
			part = importer.With(part, importer.Option("regex-not", regex))
		} else {
			part = importer.With(part, importer.Option("regex", regex))
		}
	}
	c.parts = append(c.parts, part)
}

// commandLine splits a program and its arguments as a shell would, without expanding anything.
func (t *translator) commandLine(s *statement) []string {
	words := s.args()
	if len(words) == 1 {
		words = strings.Fields(words[0])
	}
	if len(words) == 0 || !strings.HasPrefix(words[0], "/") {
		t.lost(s, "a program is named by its whole path")
		return nil
	}
	out := []string{importer.Option("path", words[0])}
	for _, w := range words[1:] {
		out = append(out, importer.Option("arg", w))
	}
	return out
}

// trackFile is a block track_file or vrrp_track_file.
type trackFile struct {
	path, weight string
}

func (t *translator) fileOptions(s *statement, c *checker) []string {
	f, ok := t.files[s.arg(0)]
	if !ok {
		t.lost(s, "there is no track_file %q", s.arg(0))
		return nil
	}
	c.weight = cmp.Or(c.weight, f.weight)
	return []string{importer.Option("path", f.path)}
}

// checkTexts are the checks as ocf:systole:ipvs reads them. port is whom to ask
// where the server's own entry does not say it.
func (t *translator) checkTexts(c *checker, from settings, port string) []string {
	s := c.settings
	s.handDown(from)
	parts := c.parts
	if parts == nil {
		parts = [][]string{nil}
	}
	var out []string
	for _, part := range parts {
		words := slices.Concat([]string{c.kind}, c.options, part, c.route)
		if port != "" && !unported[c.kind] && !slices.ContainsFunc(words, func(w string) bool { return strings.HasPrefix(w, "port=") }) {
			words = append(words, importer.Option("port", port))
		}
		if c.kind == "http" || c.kind == "https" {
			words = append(words, hostOptions(part, s.virtualhost, c.useSNI)...)
		}
		if c.kind == "file" && c.weight != "" {
			words = append(words, importer.Option("weight", c.weight))
		}
		words = append(words, t.timingOptions(c, s)...)
		text := strings.Join(words, " ")
		spec, err := check.Parse(text)
		if err != nil {
			t.report.Unsupported(c.at, "the check is left out: %s", strings.ReplaceAll(err.Error(), "\n", "; "))
			continue
		}
		out = append(out, spec.String())
	}
	return out
}

// unported are the kinds of checks that ask no port.
var unported = map[string]bool{"ping": true, "file": true, "script": true}

// hostOptions add the name of the site where the page does not have its own.
func hostOptions(part []string, virtualhost string, sni bool) []string {
	var out []string
	i := slices.IndexFunc(part, func(o string) bool { return strings.HasPrefix(o, "host=") })
	if i >= 0 {
		virtualhost = strings.TrimPrefix(part[i], "host=")
	} else if virtualhost != "" {
		out = append(out, importer.Option("host", virtualhost))
	}
	if sni && virtualhost != "" {
		out = append(out, importer.Option("sni", virtualhost))
	}
	return out
}

// timingOptions are keepalived's: one failure after the repetitions takes a
// server down, one success brings it back.
func (t *translator) timingOptions(c *checker, s settings) []string {
	initial := "up"
	if s.alpha {
		initial = "down"
	}
	timeout, delay := s.connectTimeout, cmp.Or(s.delayRetry, "1")
	switch {
	case c.kind == "script":
		timeout = cmp.Or(c.own.timeout, s.delayLoop)
	case c.kind == "dns":
		delay = cmp.Or(s.delayRetry, s.delayLoop)
	case strings.HasPrefix(c.kind, "http"):
		delay = cmp.Or(s.delayRetry, "3")
	}
	retry := s.retry
	for _, known := range checkers {
		if known.kind == c.kind {
			retry = cmp.Or(retry, known.retry)
		}
	}
	out := []string{"interval=" + s.delayLoop, "timeout=" + timeout, "rise=1", "fall=1", "initial=" + initial}
	if n, err := strconv.Atoi(retry); err != nil || n > 0 {
		out = append(out, importer.Option("retry", retry), importer.Option("delay-retry", delay))
	}
	if s.warmup != "" {
		out = append(out, importer.Option("warmup", s.warmup))
	}
	return out
}
