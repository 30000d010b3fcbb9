package check

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// kinds are the kinds with their port where the target has none.
var kinds = []struct {
	kind Kind
	port uint16
	doc  string
}{
	{None, 0, "not asked: always up"},
	{TCP, 0, "a connection is accepted; with expect, an answer matches"},
	{HTTP, 80, "a page has an accepted status, and what else is asked of its body"},
	{HTTPS, 443, "the same over TLS"},
	{DNS, 53, "a question gets the answer NOERROR with at least one record"},
	{SMTP, 25, "greeting 220, then EHLO (or HELO) is accepted"},
	{FTP, 21, "greeting 220; with user, the log-in is accepted"},
	{IMAP, 143, "greeting OK; with user, the log-in is accepted"},
	{POP3, 110, "greeting +OK; with user, the log-in is accepted"},
	{LDAP, 389, "a bind is accepted (anonymous without user); with base, that entry is found"},
	{MySQL, 3306, "a greeting that is no error; with user, a query has a row"},
	{PgSQL, 5432, "the start-up is answered as by a server that takes connections; with user, a query has a row"},
	{Ping, 0, "an ICMP echo request is answered"},
	{UDP, 0, "a datagram causes no ICMP error until the timeout; with expect, an answer matches"},
	{Script, 0, "a program exits with 0; its environment has CHECK_ADDRESS, CHECK_PORT and CHECK_TIMEOUT (seconds), and {address} and {port} in args are replaced"},
	{File, 0, "the number in a file of this node is 0 (a missing file is); with weight, the number times it is added to the server's weight instead"},
}

// Kinds are all kinds.
func Kinds() []Kind {
	all := make([]Kind, len(kinds))
	for i, k := range kinds {
		all[i] = k.kind
	}
	return all
}

func kindNames() string {
	var b []string
	for _, k := range kinds {
		b = append(b, string(k.kind))
	}
	return strings.Join(b, ", ")
}

func parseKind(w word) (Kind, error) {
	if k := Kind(w.name); w.bare && slices.Contains(Kinds(), k) {
		return k, nil
	}
	return "", fmt.Errorf("check: no kind %q: begin with one of %s", w.name, kindNames())
}

// WellKnownPort is the port of the kind's service, 0 if it has none.
func (k Kind) WellKnownPort() uint16 {
	for _, known := range kinds {
		if known.kind == k {
			return known.port
		}
	}
	return 0
}

// has tells whether checks of the kind have the option.
func (k Kind) has(name string) bool {
	return slices.ContainsFunc(options, func(o option) bool { return o.name == name && o.of(k) })
}

// defaults are what a check of the kind is without options.
func defaults(k Kind) Spec {
	s := Spec{Kind: k, Timing: defaultTiming()}
	switch k {
	case HTTP, HTTPS:
		s.Path, s.Method, s.BodyLimit = "/", "GET", 256<<10
		s.Status = StatusSet{{200, 299}}
		s.TLS = k == HTTPS
	case DNS:
		s.Name, s.Type = ".", "SOA"
	case SMTP:
		s.Helo = "localhost"
	}
	return s
}

// option is one row of the table that Parse, String and the reference share.
type option struct {
	name   string
	kinds  []Kind // nil: all
	common bool   // may stand in defaults
	repeat bool
	doc    string
	field  func(*Spec) value
}

func (o option) of(k Kind) bool {
	if o.kinds == nil {
		return k != None
	}
	return slices.Contains(o.kinds, k)
}

// standard is an option with the texts of its default.
type standard struct {
	option
	texts []string
}

// standards are the options of each kind, made once: a director asks for the
// text of a thousand checks again and again.
var standards = func() map[Kind][]standard {
	all := map[Kind][]standard{}
	for _, k := range kinds {
		s := defaults(k.kind)
		for _, o := range options {
			if o.of(k.kind) {
				all[k.kind] = append(all[k.kind], standard{o, o.field(&s).texts()})
			}
		}
	}
	return all
}()

func names(of func(option) bool) string {
	var b []string
	for _, o := range options {
		if of(o) {
			b = append(b, o.name)
		}
	}
	if len(b) == 0 {
		return "none"
	}
	return strings.Join(b, ", ")
}

var (
	web     = []Kind{HTTP, HTTPS}
	socket  = []Kind{TCP, HTTP, HTTPS, DNS, SMTP, FTP, IMAP, POP3, LDAP, MySQL, PgSQL, Ping, UDP}
	ported  = []Kind{TCP, HTTP, HTTPS, DNS, SMTP, FTP, IMAP, POP3, LDAP, MySQL, PgSQL, UDP, Script}
	mayTLS  = []Kind{TCP, SMTP, FTP, IMAP, POP3, LDAP}
	withTLS = append([]Kind{HTTPS}, mayTLS...)
	logins  = []Kind{HTTP, HTTPS, FTP, IMAP, POP3, LDAP, MySQL, PgSQL}
)

// Bounds of values. The shortest interval and timeout keep a thousand checks
// within one core; the longest of each is beyond any use.
const (
	minInterval = 100 * time.Millisecond
	maxInterval = 24 * time.Hour
	minTimeout  = 10 * time.Millisecond
	maxTimeout  = time.Hour
	maxCount    = 1000     // rise, fall, retry
	maxBody     = 64 << 20 // bytes
	maxRedirect = 20
	maxWeight   = 65535 // of a server, as ipvsadm takes it
)

// options are all options, in the order in which String prints them.
var options = []option{
	{name: "path", kinds: web, doc: "page, with its query", field: func(s *Spec) value { return (*textValue)(&s.Path) }},
	{name: "path", kinds: []Kind{Script, File}, doc: "absolute path of the program or file", field: func(s *Spec) value { return (*pathValue)(&s.Path) }},
	{name: "arg", kinds: []Kind{Script}, repeat: true, doc: "one argument; may be repeated", field: func(s *Spec) value { return (*listValue)(&s.Args) }},
	{name: "dynamic", kinds: []Kind{Script}, doc: "exit status n of 2 to 255 means up with the weight n-2; otherwise any but 0 is a failure", field: func(s *Spec) value { return (*boolValue)(&s.Dynamic) }},
	{name: "weight", kinds: []Kind{File}, doc: "factor of the number, may be negative; 0: the number itself says up (0) or down", field: func(s *Spec) value { return &intValue{&s.Weight, -maxWeight, maxWeight} }},
	{name: "host", kinds: web, doc: "the Host header (the target's address)", field: func(s *Spec) value { return (*textValue)(&s.Host) }},
	{name: "method", kinds: web, doc: "GET, HEAD, OPTIONS or POST", field: func(s *Spec) value { return &choiceValue{&s.Method, []string{"GET", "HEAD", "OPTIONS", "POST"}} }},
	{name: "header", kinds: web, repeat: true, doc: "\"Name: value\"; may be repeated", field: func(s *Spec) value { return (*headersValue)(&s.Headers) }},
	{name: "status", kinds: web, doc: "accepted statuses: 200-299,304", field: func(s *Spec) value { return (*statusValue)(&s.Status) }},
	{name: "regex", kinds: []Kind{HTTP, HTTPS, DNS}, doc: "the body, or one of the records as zone-file text, matches this regular expression (RE2)", field: func(s *Spec) value { return &regexValue{&s.Regex} }},
	{name: "regex-not", kinds: web, doc: "the body does not match this one", field: func(s *Spec) value { return &regexValue{&s.NoRegex} }},
	{name: "digest", kinds: web, doc: "digest of the body: md5:… or sha256:… in hexadecimal", field: func(s *Spec) value { return (*digestValue)(&s.Digest) }},
	{name: "body-limit", kinds: web, doc: "bytes of the body that are read; regex sees these only, and a digest needs a body within it", field: func(s *Spec) value { return &intValue{&s.BodyLimit, 0, maxBody} }},
	{name: "follow", kinds: web, doc: "how many redirects are followed, on the same server", field: func(s *Spec) value { return &intValue{&s.Follow, 0, maxRedirect} }},
	{name: "name", kinds: []Kind{DNS}, doc: "name asked for", field: func(s *Spec) value { return (*textValue)(&s.Name) }},
	{name: "type", kinds: []Kind{DNS}, doc: "A, AAAA, CNAME, MX, NS, PTR, SOA, SRV or TXT", field: func(s *Spec) value {
		return &choiceValue{&s.Type, []string{"A", "AAAA", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TXT"}}
	}},
	{name: "helo", kinds: []Kind{SMTP}, doc: "name to introduce ourselves by", field: func(s *Spec) value { return (*textValue)(&s.Helo) }},
	{name: "send", kinds: []Kind{TCP, UDP}, doc: "what is sent: text, or hex:…", field: func(s *Spec) value { return (*bytesValue)(&s.Send) }},
	{name: "expect", kinds: []Kind{TCP, UDP}, doc: "what the answer matches: a regular expression, or its first bytes as hex:… with x for any digit", field: func(s *Spec) value { return (*patternValue)(&s.Expect) }},
	{name: "base", kinds: []Kind{LDAP}, doc: "distinguished name of an entry that must be found", field: func(s *Spec) value { return (*textValue)(&s.Base) }},
	{name: "database", kinds: []Kind{MySQL, PgSQL}, doc: "database to use", field: func(s *Spec) value { return (*textValue)(&s.Database) }},
	{name: "query", kinds: []Kind{MySQL, PgSQL}, doc: "statement that must give a row (SELECT 1)", field: func(s *Spec) value { return (*textValue)(&s.Query) }},
	{name: "user", kinds: logins, doc: "user, or distinguished name, to log in as", field: func(s *Spec) value { return (*textValue)(&s.User) }},
	{name: "password-file", kinds: logins, doc: "file whose first line is the password; read for each probe", field: func(s *Spec) value { return (*pathValue)(&s.PasswordFile) }},
	{name: "password-env", kinds: logins, doc: "variable of the daemon's environment with the password", field: func(s *Spec) value { return (*textValue)(&s.PasswordEnv) }},
	{name: "tls", kinds: mayTLS, doc: "speak TLS from the first byte (smtps, imaps, …)", field: func(s *Spec) value { return (*boolValue)(&s.TLS) }},
	{name: "sni", kinds: withTLS, doc: "server name of the TLS greeting (host without its port, if given)", field: func(s *Spec) value { return (*textValue)(&s.SNI) }},
	{name: "verify", kinds: withTLS, doc: "check the certificate against sni; off by default, as it speaks of the clients' way, not of the server's health", field: func(s *Spec) value { return (*boolValue)(&s.Verify) }},
	{name: "ca-file", kinds: withTLS, doc: "certificates to trust (PEM) instead of the system's", field: func(s *Spec) value { return (*pathValue)(&s.CAFile) }},

	{name: "interval", common: true, doc: "time between probes", field: func(s *Spec) value { return &durationValue{&s.Interval, minInterval, maxInterval} }},
	{name: "timeout", common: true, doc: "time for one probe", field: func(s *Spec) value { return &durationValue{&s.Timeout, minTimeout, maxTimeout} }},
	{name: "rise", common: true, doc: "successes in a row that bring a server up again", field: func(s *Spec) value { return &intValue{&s.Rise, 1, maxCount} }},
	{name: "fall", common: true, doc: "failures in a row that take a server down", field: func(s *Spec) value { return &intValue{&s.Fall, 1, maxCount} }},
	{name: "retry", common: true, doc: "repetitions of a failed probe of a server that is up, before that counts as one failure", field: func(s *Spec) value { return &intValue{&s.Retry, 0, maxCount} }},
	{name: "delay-retry", common: true, doc: "time before each repetition", field: func(s *Spec) value { return &durationValue{&s.DelayRetry, 0, maxInterval} }},
	{name: "jitter", common: true, doc: "each probe is late by up to this, differently for each server and each time", field: func(s *Spec) value { return &durationValue{&s.Jitter, 0, maxInterval} }},
	{name: "warmup", common: true, doc: "the first probes of all servers are spread over this time (0: all at once)", field: func(s *Spec) value { return &durationValue{&s.Warmup, 0, maxInterval} }},
	{name: "slow-start", common: true, doc: "a server that comes back grows to its full weight over this time", field: func(s *Spec) value { return &durationValue{&s.SlowStart, 0, maxInterval} }},
	{name: "initial", common: true, doc: "what a new server counts as until its first result: up or down", field: func(s *Spec) value { return (*verdictValue)(&s.Initial) }},
	{name: "port", kinds: ported, common: true, doc: "port to ask instead of the server's", field: func(s *Spec) value { return (*portValue)(&s.Port) }},
	{name: "connect-to", kinds: append(socket[:len(socket):len(socket)], Script), common: true, doc: "address to ask instead of the server's", field: func(s *Spec) value { return (*addrValue)(&s.ConnectTo) }},
	{name: "source", kinds: socket, common: true, doc: "own address to ask from", field: func(s *Spec) value { return (*addrValue)(&s.Source) }},
	{name: "device", kinds: socket, common: true, doc: "network device to ask through", field: func(s *Spec) value { return (*textValue)(&s.Device) }},
	{name: "source-mark", kinds: socket, common: true, doc: "firewall mark of the probe's packets", field: func(s *Spec) value { return (*markValue)(&s.SourceMark) }},
}

// Reference is the manual of kinds and options: two lists in Markdown.
func Reference() string {
	var b strings.Builder
	b.WriteString("Kinds:\n\n")
	for _, k := range kinds {
		fmt.Fprintf(&b, "- `%s`: %s.", k.kind, k.doc)
		var own []string
		for _, o := range standards[k.kind] {
			if o.common {
				continue
			}
			text := o.name
			for _, t := range o.texts {
				text += "=" + quote(t)
			}
			own = append(own, text)
		}
		if len(own) > 0 {
			fmt.Fprintf(&b, " Own options: %s.", strings.Join(own, ", "))
		}
		b.WriteString("\n")
	}
	b.WriteString("\nOptions:\n\n")
	s := defaults(TCP)
	for _, o := range options {
		fmt.Fprintf(&b, "- `%s`: %s.", o.name, o.doc)
		if texts := o.field(&s).texts(); o.common && len(texts) > 0 {
			fmt.Fprintf(&b, " Default %s.", texts[0])
		}
		b.WriteString("\n")
	}
	return b.String()
}
