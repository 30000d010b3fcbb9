package probe

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
)

// story is what a probe says of a server that behaves in one way.
type story struct {
	name   string
	spec   string
	handle func(net.Conn)
	up     bool
	reason string
}

const silent = "no complete answer within 100ms"

func TestStreams(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(secret, []byte("s e\"c\nnot this\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CHECK_TEST_PASSWORD", "from-env")
	login := " user=joe password-file=" + secret
	smtp := map[string]string{"EHLO probe.example": "250-hello\r\n250 SIZE\r\n"}
	stories := []story{
		{"tcp", "tcp", hush, true, "connected"},
		{"tcp, greeting", "tcp expect='^hello'", say("hello there"), true, "the answer matches"},
		{"tcp, echo", "tcp send=hex:0102 expect=hex:0102", func(c net.Conn) { b := make([]byte, 2); c.Read(b); c.Write(b) }, true, "matches"},
		{"tcp, drip that matches at last", "tcp expect=xxxx timeout=10s", drip(""), true, "matches"},
		{"tcp, wrong", "tcp expect=hello", func(c net.Conn) { c.Write([]byte("bye\n")) }, false, `"bye" does not match expect`},
		{"tcp, endless", "tcp expect=hello timeout=10s", func(c net.Conn) {
			for _, err := c.Write(make([]byte, 1<<12)); err == nil; _, err = c.Write(make([]byte, 1<<12)) {
			}
		}, false, "does not match expect"},
		{"tcp, hangs up", "tcp expect=hello", func(net.Conn) {}, false, "closed the connection"},
		{"tcp, hush", "tcp expect=hello timeout=100ms", hush, false, silent},
		{"tcp, drip", "tcp expect=hello timeout=100ms", drip(""), false, silent},

		{"smtp", "smtp helo=probe.example", lines("220-mail\r\n220 ready\r\n", smtp), true, "220-mail"},
		{"smtp, old", "smtp", lines("220 ready\r\n", map[string]string{"EHLO": "500 what\r\n", "HELO localhost": "250 hello\r\n"}), true, "220 ready"},
		{"smtp, busy", "smtp", say("421 too many\r\n"), false, "the server said \"421 too many\": wanted 220"},
		{"smtp, refuses", "smtp", lines("220 x\r\n", map[string]string{"EHLO": "550 no\r\n", "HELO": "550 no\r\n"}), false, `"550 no": wanted 250`},
		{"smtp, hush", "smtp timeout=100ms", hush, false, silent},
		{"smtp, greeting without an end", "smtp timeout=100ms", drip("220 "), false, silent},
		{"smtp, endless", "smtp timeout=10s", func(c net.Conn) {
			for _, err := c.Write([]byte("220-more\r\n")); err == nil; _, err = c.Write([]byte("220-more\r\n")) {
			}
		}, false, "closed the connection"},
		{"smtp, drip", "smtp timeout=100ms", drip("220-"), false, silent},

		{"ftp", "ftp", say("220 files\r\n"), true, "220 files"},
		{"ftp, log-in", "ftp" + login, lines("220 x\r\n", map[string]string{"USER joe": "331 go on\r\n", `PASS s e"c`: "230 in\r\n"}), true, "230 in"},
		{"ftp, no password", "ftp" + login, lines("220 x\r\n", map[string]string{"USER joe": "230 in\r\n"}), true, "230 in"},
		{"ftp, wrong password", "ftp" + login, lines("220 x\r\n", map[string]string{"USER": "331 go on\r\n", "PASS": "530 out\r\n"}), false, `"530 out": wanted 230`},
		{"ftp, unknown user", "ftp" + login, lines("220 x\r\n", map[string]string{"USER": "530 who\r\n"}), false, `"530 who": wanted 230 or 331`},
		{"ftp, drip", "ftp timeout=100ms", drip("22"), false, silent},

		{"imap", "imap", say("* OK ready\r\n"), true, "* OK ready"},
		{"imap, log-in", "imap" + login, lines("* OK\r\n", map[string]string{`a LOGIN "joe" "s e\"c"`: "* CAPABILITY x\r\na OK in\r\n"}), true, "a OK in"},
		{"imap, wrong password", "imap" + login, lines("* OK\r\n", map[string]string{"a LOGIN": "a NO out\r\n"}), false, `said "a NO out": wanted * or a OK`},
		{"imap, bye", "imap", say("* BYE full\r\n"), false, `said "* BYE full": wanted * OK or * PREAUTH`},
		{"imap, drip", "imap timeout=100ms", drip("* OK"), false, silent},

		{"pop3", "pop3", say("+OK ready\r\n"), true, "+OK ready"},
		{"pop3, log-in", "pop3 user=joe password-env=CHECK_TEST_PASSWORD", lines("+OK\r\n", map[string]string{"USER joe": "+OK\r\n", "PASS from-env": "+OK in\r\n"}), true, "+OK in"},
		{"pop3, wrong password", "pop3" + login, lines("+OK\r\n", map[string]string{"USER": "+OK\r\n", "PASS": "-ERR out\r\n"}), false, `said "-ERR out": wanted +OK`},
		{"pop3, hush", "pop3 timeout=100ms", hush, false, silent},

		{"mysql", "mysql", say("\x0a\x00\x00\x00\x0a8.0.1\x00xxx"), true, "version 8.0.1"},
		{"mysql, full", "mysql", say("\x0b\x00\x00\x00\xff\x10\x04Too many"), false, "error 1040: Too many"},
		{"mysql, other protocol", "mysql", say("SSH-2.0-x\r\n"), false, "this is no MySQL server"},
		{"mysql, hush", "mysql timeout=100ms", hush, false, silent},
		{"mysql, drip", "mysql timeout=100ms", drip("\xff\x00\x00\x00\x0a"), false, silent},

		{"pgsql", "pgsql", say("R\x00\x00\x00\x08\x00\x00\x00\x03"), true, "takes connections"},
		{"pgsql, unknown user", "pgsql", say("E\x00\x00\x00\x0eC28000\x00Mno\x00\x00"), true, "takes connections"},
		{"pgsql, no such database", "pgsql", say("E\x00\x00\x00\x0eC3D000\x00Mno\x00\x00"), true, "takes connections"},
		{"pgsql, starting", "pgsql", say("E\x00\x00\x00\x10C57P03\x00Mwait\x00\x00"), false, "error 57P03: wait"},
		{"pgsql, other protocol", "pgsql", say("HTTP/1.0 400 Bad\r\n"), false, "this is no PostgreSQL server"},
		{"pgsql, drip", "pgsql timeout=100ms", drip("R\x00\x00\x80\x00"), false, silent},

		{"http, other protocol", "http", asked(say("220 mail\r\n")), false, "malformed HTTP"},
		{"http, hush", "http timeout=100ms", hush, false, silent},
		{"http, drip of headers", "http timeout=100ms", asked(drip("HTTP/1.1 200 OK\r\nX: ")), false, silent},
		{"http, drip of a body", "http timeout=100ms", asked(drip("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")), false, silent},
		{"http, short body", "http", asked(func(c net.Conn) {
			c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"))
		}), false, "closed the connection"},
		{"https, hush", "https timeout=100ms", hush, false, silent},
		{"https, drip", "https timeout=100ms", drip("\x16\x03\x03\x3f\xff"), false, silent},
		{"https, plain", "https", say("HTTP/1.1 400 Bad\r\n\r\n"), false, "HTTP"},

		{"ldap, hush", "ldap timeout=100ms", hush, false, silent},
		{"ldap, drip", "ldap timeout=100ms", drip("\x30\x84\x00\x00\xff\xff"), false, silent},
		{"mysql as a user, hush", "mysql user=u timeout=100ms", hush, false, silent},
		{"pgsql as a user, hush", "pgsql user=u timeout=100ms", hush, false, silent},
		{"no password file", "ftp user=u password-file=/nonexistent/file", say("220 x\r\n"), false, "option password-file: open /nonexistent/file"},
	}
	for _, s := range stories {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			r := ask(t, s.spec, serve(t, s.handle))
			if s.up {
				wantUp(t, s.spec, r, s.reason)
			} else {
				wantDown(t, s.spec, r, s.reason)
			}
		})
	}
}

// Every kind that connects says the same of a server that refuses or swallows
// connections.
func TestConnectionsThatFail(t *testing.T) {
	for _, kind := range []string{"tcp", "http", "https", "smtp", "ftp", "imap", "pop3", "ldap", "mysql", "pgsql", "mysql user=u", "pgsql user=u"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			wantDown(t, "refused", ask(t, kind, refusing(t)), "connection refused (127.0.0.1:")
			wantDown(t, "black hole", ask(t, kind+" timeout=100ms", blackHole(t)), silent)
		})
	}
}

// Every kind that may speak TLS does so, and knows whom it speaks with if asked to.
func TestTLSStreams(t *testing.T) {
	for _, c := range []struct {
		kind   string
		handle func(net.Conn)
	}{
		{"tcp expect=ready", say("ready")},
		{"smtp", lines("220 ready\r\n", map[string]string{"EHLO": "250 hello\r\n"})},
		{"ftp", say("220 ready\r\n")},
		{"imap", say("* OK ready\r\n")},
		{"pop3", say("+OK ready\r\n")},
		{"ldap", ldapServer},
	} {
		t.Run(c.kind, func(t *testing.T) {
			at, ca := serveTLS(t, c.handle)
			secured := c.kind + " tls timeout=10s "
			wantUp(t, "TLS", ask(t, secured, at), "")
			wantUp(t, "verified", ask(t, secured+"verify ca-file="+ca, at), "")
			wantUp(t, "verified by name", ask(t, secured+"verify sni=example.com ca-file="+ca, at), "")
			wantDown(t, "verified without its authority", ask(t, secured+"verify", at), "TLS: tls: failed to verify certificate")
			wantDown(t, "verified by another name", ask(t, secured+"verify sni=www.example.org ca-file="+ca, at), "www.example.org")
			wantDown(t, "TLS to a plain port", ask(t, secured, serve(t, say("220 ready\r\n"))), "TLS: ")
			wantDown(t, "plain to a TLS port", ask(t, c.kind+" timeout=100ms", at), "")
		})
	}
}

// Every kind that logs in takes the password from either place.
func TestPasswords(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(secret, []byte("pass\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CHECK_TEST_PASSWORD", "pass")
	t.Setenv("CHECK_TEST_WRONG", "no")
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "cn=joe" || password != "pass" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	t.Cleanup(web.Close)
	for kind, at := range map[string]netip.AddrPort{
		"http":  addressOf(web),
		"ftp":   serve(t, lines("220 x\r\n", map[string]string{"USER cn=joe": "331 go on\r\n", "PASS": "530 out\r\n", "PASS pass": "230 in\r\n"})),
		"imap":  serve(t, lines("* OK\r\n", map[string]string{"a": "a NO out\r\n", `a LOGIN "cn=joe" "pass"`: "a OK in\r\n"})),
		"pop3":  serve(t, lines("+OK\r\n", map[string]string{"USER cn=joe": "+OK\r\n", "PASS": "-ERR out\r\n", "PASS pass": "+OK in\r\n"})),
		"ldap":  serve(t, ldapServer),
		"mysql": serve(t, mysqlServer),
		"pgsql": serve(t, pgsqlServer),
	} {
		user := kind + " user=cn=joe timeout=10s "
		wantUp(t, kind+": file", ask(t, user+"password-file="+secret, at), "")
		wantUp(t, kind+": environment", ask(t, user+"password-env=CHECK_TEST_PASSWORD", at), "")
		wantDown(t, kind+": wrong", ask(t, user+"password-env=CHECK_TEST_WRONG", at), "")
		wantDown(t, kind+": none", ask(t, user, at), "")
	}
}
