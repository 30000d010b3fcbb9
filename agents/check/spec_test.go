package check_test

import (
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"systole/agents/check"
)

// Each text with its canonical form; "" is the text itself.
var good = []struct{ text, canonical string }{
	{"none", ""},
	{"tcp", ""},
	{"  tcp\t\n timeout=1 ", "tcp timeout=1s"},
	{"tcp interval=0.5 rise=3 fall=1 retry=3 delay-retry=3 jitter=100ms warmup=1m slow-start=30s initial=up", "tcp interval=500ms rise=3 fall=1 retry=3 delay-retry=3s jitter=100ms warmup=1m0s slow-start=30s initial=up"},
	{"tcp interval=2s timeout=2s rise=2 initial=down", "tcp"},
	{"tcp port=8080 connect-to=::ffff:192.0.2.1 source=192.0.2.2 device=eth0 source-mark=0x10", "tcp port=8080 connect-to=192.0.2.1 source=192.0.2.2 device=eth0 source-mark=16"},
	{"tcp tls send=hex:0d0a expect='^220 '", `tcp send=hex:0d0a expect="^220 " tls=yes`},
	{"udp send=hex:68656c6c6f expect=hex:00xX", "udp send=hello expect=hex:00xx"},
	{"udp send='hex:68' expect=.", "udp send=h expect=."},
	{"http", ""},
	{"http path=/ method=get status=200-299", "http"},
	{`http path=/a?b=c host=www.example.org method=HEAD header="X-A: b c" header=X-B:d status=200,300-302 regex="it \"works\\d\"" regex-not='\d "' digest=MD5:D41D8CD98F00B204E9800998ECF8427E body-limit=10 follow=2 user=u password-file=/etc/p`,
		`http path=/a?b=c host=www.example.org method=HEAD header="X-A: b c" header="X-B: d" status=200,300-302 regex="it \"works\\d\"" regex-not="\\d \"" digest=md5:d41d8cd98f00b204e9800998ecf8427e body-limit=10 follow=2 user=u password-file=/etc/p`},
	{"https sni=www.example.org verify=yes ca-file=/etc/ca.pem", ""},
	{"dns name=example.org type=aaaa regex=2001:", "dns regex=2001: name=example.org type=AAAA"},
	{"smtp helo=a.example tls=on sni=a", "smtp helo=a.example tls=yes sni=a"},
	{"ftp user=u password-env=P", ""},
	{"imap", ""},
	{"pop3 tls=no", "pop3"},
	{"ldap base=dc=example,dc=org", "ldap base=dc=example,dc=org"},
	{`mysql database=d query="select 1 from t" user=u`, ""},
	{"pgsql user=u database=d", "pgsql database=d user=u"},
	{"ping timeout=500ms", ""},
	{`script path=/bin/true arg="" arg={address} arg=b dynamic`, `script path=/bin/true arg="" arg={address} arg=b dynamic=yes`},
	{"file path=/run/weight weight=-2", ""},
}

func TestParse(t *testing.T) {
	for _, g := range good {
		s, err := check.Parse(g.text)
		if err != nil {
			t.Errorf("%s: %v", g.text, err)
			continue
		}
		want := g.canonical
		if want == "" {
			want = g.text
		}
		if s.String() != want {
			t.Errorf("%s\n  is  %s\n  not %s", g.text, s, want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                               "check: no kind: begin with one of none, tcp, http",
		"tpc":                            `check: no kind "tpc": begin with one of`,
		"tcp=1":                          `no kind "tcp": begin`,
		"tcp path=/":                     `check tcp: no option "path": it has send, expect, tls`,
		"none interval=1s":               `check none: no option "interval": it has none`,
		"tcp interval=1s interval=2s":    "option interval is given twice: leave one",
		"tcp interval":                   "option interval has no value: write interval=…",
		"tcp interval=1ms":               `"1ms" is not a time from 100ms to 24h0m0s: write 500ms, 2s or 1m30s`,
		"tcp interval=nan":               "is not a time",
		"tcp timeout=soon":               `check tcp: option timeout: "soon" is not a time`,
		"tcp fall=0":                     `option fall: "0" is not a whole number from 1 to 1000`,
		"tcp jitter=2s":                  "option jitter: 2s is not shorter than the interval of 2s: make it a part of that",
		"tcp initial=unknown":            `"unknown" is neither up nor down`,
		"tcp port=0":                     `"0" is not a port from 1 to 65535`,
		"tcp source-mark=0":              "is not a firewall mark",
		"tcp connect-to=www.example.org": "is not an IP address",
		"tcp send=hex:1":                 "write hex: and pairs of digits",
		"tcp expect=hex:1g":              "write hex: and pairs of digits or x",
		"tcp expect=(":                   "is not a regular expression as RE2 has them",
		"tcp tls=maybe":                  `"maybe" is neither yes nor no`,
		"tcp sni=a":                      "option tls: sni, verify and ca-file need tls=yes",
		"https ca-file=/a":               "option ca-file: it is used with verify=yes only",
		"https ca-file=a verify":         `"a" is not an absolute path: begin it with /`,
		"http path=health":               "option path: it begins with /",
		"http status=99":                 `"99" is not an HTTP status or a range of them: write 200-299,304`,
		"http status=300-200":            "is not an HTTP status",
		"http method=DELETE":             `"DELETE" is none of GET, HEAD, OPTIONS, POST`,
		"http header=novalue":            `write "Name: value"`,
		"http header='A B: c'":           `write "Name: value"`,
		"http header=host:c":             "write host=…",
		"http host=":                     "option host: it is empty: leave the option out",
		"http digest=md5:00":             "is not a digest: write md5: and 32",
		"http digest=crc:00":             "is not a digest",
		"http regex=\"(\"":               "is not a regular expression",
		"http regex=\"open":              `option regex: the quote " is not closed`,
		"http regex='a\nb'":              "a control character (0x0a): write binary data as hex:…",
		"http \"path\"=/":                "column 6: quotes belong around values",
		"http user=u password-file=/a password-env=A": "option password-env: password-file is given too: leave one",
		"http password-env=A":                         "option user: a password needs one",
		"mysql query=x":                               "option user: a database or query needs one",
		"script":                                      "option path: it is needed: path=/…",
		"script path=true":                            "not an absolute path",
		"dns type=ANY":                                `"ANY" is none of A, AAAA`,
		"file path=/a weight=1.5":                     "is not a whole number",
	} {
		_, err := check.Parse(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v\n  lacks %q", text, err, want)
		}
	}
}

// All problems are in one error.
func TestParseNamesEveryProblem(t *testing.T) {
	_, err := check.Parse("http path=x fall=0 colour=red")
	for _, want := range []string{"fall", "colour"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v lacks %s", err, want)
		}
	}
}

func TestDefaults(t *testing.T) {
	d, err := check.ParseDefaults("interval=1s fall=3 port=81 source=192.0.2.1")
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"tcp":             "tcp interval=1s fall=3 port=81 source=192.0.2.1",
		"tcp fall=4":      "tcp interval=1s fall=4 port=81 source=192.0.2.1",
		"tcp interval=2s": "tcp fall=3 port=81 source=192.0.2.1",
		"ping":            "ping interval=1s fall=3 source=192.0.2.1",
		"none":            "none",
	} {
		if s, err := d.Parse(text); err != nil || s.String() != want {
			t.Errorf("%s is %s (%v), want %s", text, s, err, want)
		}
	}
	for text, want := range map[string]string{
		"path=/":      `check defaults: no option "path": it has interval`,
		"interval=no": "check defaults: option interval:",
	} {
		if _, err := check.ParseDefaults(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("defaults %s: %v, want %s", text, err, want)
		}
	}
	// What is right alone may be wrong together.
	if d, err = check.ParseDefaults("jitter=1s"); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Parse("tcp interval=500ms"); err == nil {
		t.Error("a jitter longer than the interval was taken")
	}
}

func TestDefaultsFitTheirPurpose(t *testing.T) {
	s, err := check.Parse("tcp")
	if err != nil {
		t.Fatal(err)
	}
	if worst := time.Duration(s.Fall)*s.Interval + s.Timeout; worst > 6*time.Second {
		t.Errorf("a dead server is found after %s only", worst)
	}
}

// DESIGN.md carries the reference as it is printed.
func TestReferenceIsInDesign(t *testing.T) {
	text, err := os.ReadFile("DESIGN.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(string(text), check.Reference()) {
		t.Errorf("DESIGN.md does not end with the reference, which is now:\n%s", check.Reference())
	}
}

func FuzzParse(f *testing.F) {
	for _, g := range good {
		f.Add(g.text)
	}
	f.Add(`tcp send="\\x" expect='"'`)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := check.Parse(text)
		if err != nil {
			return
		}
		again, err := check.Parse(s.String())
		if err != nil {
			t.Fatalf("%q printed as %q: %v", text, s, err)
		}
		if !reflect.DeepEqual(again, s) {
			t.Errorf("%q read again is %#v, was %#v", text, again, s)
		}
	})
}
