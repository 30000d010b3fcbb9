// Package check is what a health check is, as values: its [Spec] read from one
// line of text, and the [State] that decides when to probe and what a run of
// results means. It reads no clock and opens nothing; package probe asks the
// servers, package runner does it on time. See DESIGN.md.
package check

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Kind is how a server is asked; DESIGN.md says what each finds well.
type Kind string

// The kinds.
const (
	None   Kind = "none"
	TCP    Kind = "tcp"
	HTTP   Kind = "http"
	HTTPS  Kind = "https"
	DNS    Kind = "dns"
	SMTP   Kind = "smtp"
	FTP    Kind = "ftp"
	IMAP   Kind = "imap"
	POP3   Kind = "pop3"
	LDAP   Kind = "ldap"
	MySQL  Kind = "mysql"
	PgSQL  Kind = "pgsql"
	Ping   Kind = "ping"
	UDP    Kind = "udp"
	Script Kind = "script"
	File   Kind = "file"
)

// Check is one server asked in one way. Equal checks (by Key) share one probe.
type Check struct {
	// Target is the real server. Its port may be 0: then the spec's port or the
	// kind's own one is asked.
	Target netip.AddrPort
	Spec   Spec
}

// Key identifies the check: same key, same probe.
func (c Check) Key() string { return c.Target.String() + " " + c.Spec.String() }

// Spec is one health check, without its target. Build it with [Parse]; options
// that its kind does not have stay zero.
type Spec struct {
	Kind Kind
	Timing
	Route

	// Probes that speak TLS.
	TLS    bool // always for https
	SNI    string
	Verify bool
	CAFile string

	// Probes that log in. A secret is never in the text: only where it is.
	User         string
	PasswordFile string
	PasswordEnv  string

	Path      string // of http, script, file
	Host      string
	Method    string
	Headers   []Header
	Status    StatusSet
	Regex     *regexp.Regexp // http: the body; dns: a record
	NoRegex   *regexp.Regexp
	Digest    Digest
	BodyLimit int // bytes
	Follow    int // redirects
	Name      string
	Type      string
	Helo      string
	Base      string
	Database  string
	Query     string
	Send      []byte
	Expect    Pattern
	Args      []string
	Dynamic   bool
	Weight    int
}

// Timing is when a server is asked and how many results make a verdict.
type Timing struct {
	Interval   time.Duration
	Timeout    time.Duration // of one probe
	Rise, Fall int           // results in a row that turn the verdict
	Retry      int           // repetitions of a failed probe before it counts
	DelayRetry time.Duration
	Jitter     time.Duration // each probe is up to this much later than its slot
	Warmup     time.Duration // the first probe comes within this time
	SlowStart  time.Duration // after a recovery the weight grows to its full value over this time
	Initial    Verdict       // what an unknown server counts as
}

// Route is how the probe's packets go.
type Route struct {
	Port       uint16 // 0 is the target's
	ConnectTo  netip.Addr
	Source     netip.Addr
	Device     string
	SourceMark uint32 // SO_MARK
}

// Timing's defaults: a dead server gets nothing new after 6 s at the latest.
func defaultTiming() Timing {
	return Timing{
		Interval: 2 * time.Second, Timeout: 2 * time.Second, Rise: 2, Fall: 2,
		DelayRetry: time.Second, Initial: Down,
	}
}

// Defaults are the common options of checks that do not say otherwise.
// The zero value is the built-in ones.
type Defaults struct{ words []word }

// ParseDefaults reads common options alone: `interval=1s fall=3`.
func ParseDefaults(text string) (Defaults, error) {
	words, err := split(text)
	if err != nil {
		return Defaults{}, fmt.Errorf("check defaults: %w", err)
	}
	var s Spec
	if err := s.set("check defaults", words, func(o option) bool { return o.common }); err != nil {
		return Defaults{}, err
	}
	return Defaults{words}, nil
}

// Parse reads a check: its kind, then `option=value` words. Values may be quoted
// by ' (literally) or " (in which \" and \\ stand for " and \). All problems
// are reported.
func Parse(text string) (Spec, error) {
	return Defaults{}.Parse(text)
}

// Parse is the same with other defaults; those that the kind does not have are left out.
func (d Defaults) Parse(text string) (Spec, error) {
	words, err := split(text)
	if err != nil {
		return Spec{}, fmt.Errorf("check: %w", err)
	}
	if len(words) == 0 {
		return Spec{}, fmt.Errorf("check: no kind: begin with one of %s", kindNames())
	}
	kind, err := parseKind(words[0])
	if err != nil {
		return Spec{}, err
	}
	s := defaults(kind)
	place, has := "check "+string(kind), func(o option) bool { return o.of(kind) }
	common := slices.DeleteFunc(slices.Clone(d.words), func(w word) bool { return !kind.has(w.name) })
	if err = errors.Join(s.set(place, common, has), s.set(place, words[1:], has)); err == nil {
		err = s.validate()
	}
	if err != nil {
		return Spec{}, err
	}
	return s, nil
}

// set gives the options their values. Only allowed ones are taken.
func (s *Spec) set(place string, words []word, allowed func(option) bool) error {
	var errs []error
	seen := map[string]bool{}
	for _, w := range words {
		i := slices.IndexFunc(options, func(o option) bool { return o.name == w.name && allowed(o) })
		switch {
		case i < 0:
			errs = append(errs, fmt.Errorf("%s: no option %q: it has %s", place, w.name, names(allowed)))
			continue
		case seen[w.name] && !options[i].repeat:
			errs = append(errs, fmt.Errorf("%s: option %s is given twice: leave one", place, w.name))
			continue
		}
		seen[w.name] = true
		v := options[i].field(s)
		if _, isBool := v.(*boolValue); isBool && w.bare {
			w.value = "yes"
		} else if w.bare {
			errs = append(errs, fmt.Errorf("%s: option %s has no value: write %s=…", place, w.name, w.name))
			continue
		}
		if err := v.set(w.value); err != nil {
			errs = append(errs, fmt.Errorf("%s: option %s: %w", place, w.name, err))
		}
	}
	return errors.Join(errs...)
}

// validate checks what no option can say alone.
func (s Spec) validate() error {
	var errs []error
	problem := func(option, text string) {
		errs = append(errs, fmt.Errorf("check %s: option %s: %s", s.Kind, option, text))
	}
	if s.Jitter >= s.Interval {
		problem("jitter", fmt.Sprintf("%s is not shorter than the interval of %s: make it a part of that", s.Jitter, s.Interval))
	}
	switch s.Kind {
	case Script, File:
		if s.Path == "" {
			problem("path", "it is needed: path=/…")
		}
	case HTTP, HTTPS:
		if !strings.HasPrefix(s.Path, "/") {
			problem("path", "it begins with /")
		}
	}
	if s.PasswordFile != "" && s.PasswordEnv != "" {
		problem("password-env", "password-file is given too: leave one")
	}
	if s.User == "" && (s.PasswordFile != "" || s.PasswordEnv != "") {
		problem("user", "a password needs one")
	}
	if s.User == "" && (s.Kind == MySQL || s.Kind == PgSQL) && (s.Database != "" || s.Query != "") {
		problem("user", "a database or query needs one")
	}
	if !s.TLS && (s.SNI != "" || s.Verify || s.CAFile != "") {
		problem("tls", "sni, verify and ca-file need tls=yes")
	}
	if s.CAFile != "" && !s.Verify {
		problem("ca-file", "it is used with verify=yes only")
	}
	return errors.Join(errs...)
}

// String is the canonical text: what differs from the defaults, in the order
// of the option table. Parse reads it back to an equal Spec.
func (s Spec) String() string {
	var b strings.Builder
	b.WriteString(string(s.Kind))
	for _, o := range standards[s.Kind] {
		texts := o.field(&s).texts()
		if slices.Equal(texts, o.texts) {
			continue
		}
		for _, t := range texts {
			b.WriteString(" " + o.name + "=" + quote(t))
		}
	}
	return b.String()
}

// Verdict is what is known of a server.
type Verdict int

// The verdicts.
const (
	Unknown Verdict = iota // no result yet
	Up
	Down
)

var verdictNames = []string{"unknown", "up", "down"}

func (v Verdict) String() string { return verdictNames[v] }
