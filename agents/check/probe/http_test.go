package probe

import (
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"systole/agents/check"
)

// site is a web server whose pages show what was asked.
func site() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "hello world") })
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		sni := ""
		if r.TLS != nil {
			sni = r.TLS.ServerName
		}
		fmt.Fprintf(w, "%s %s host=%s a=%q user=%s:%s sni=%s agent=%s", r.Method, r.URL, r.Host, r.Header["A"], user, password, sni, r.UserAgent())
	})
	mux.HandleFunc("/broken", func(w http.ResponseWriter, r *http.Request) { http.Error(w, "broken", 500) })
	mux.Handle("/moved", http.RedirectHandler("/", http.StatusFound))
	mux.Handle("/away", http.RedirectHandler("http://elsewhere.invalid/", http.StatusFound))
	mux.Handle("/loop", http.RedirectHandler("/loop", http.StatusFound))
	mux.HandleFunc("/long", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, strings.Repeat("x", 1<<20)+"end") })
	return mux
}

func addressOf(s *httptest.Server) netip.AddrPort {
	return netip.MustParseAddrPort(s.Listener.Addr().String())
}

func TestHTTP(t *testing.T) {
	s := httptest.NewServer(site())
	t.Cleanup(s.Close)
	secret := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(secret, []byte("pass\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	at := addressOf(s)
	for _, c := range []struct {
		spec   string
		up     bool
		reason string
	}{
		{"http", true, "HTTP status 200"},
		{"http regex=w.rld regex-not=bye", true, "HTTP status 200"},
		{"http regex=bye", false, "the body does not match regex"},
		{"http regex-not=hello", false, "the body matches regex-not"},
		{"http digest=md5:5eb63bbbe01eeed093cb22bb8f5acdc3", true, "200"},
		{"http digest=sha256:b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9", true, "200"},
		{"http digest=md5:00000000000000000000000000000000", false, "the body's digest is md5:5eb63bbbe01eeed093cb22bb8f5acdc3"},
		{"http path=/broken", false, "HTTP status 500: wanted 200-299"},
		{"http path=/broken status=500", true, "500"},
		{"http path=/none", false, "404"},
		{"http path=/moved", false, "HTTP status 302"},
		{"http path=/moved status=302", true, "302"},
		{"http path=/moved follow=1 regex=world", true, "200"},
		{"http path=/loop follow=3", false, "HTTP status 302"},
		{"http path=/away follow=1 regex=world", true, "200"}, // asked of the same server
		{"http path=/echo?x=1 regex='^GET /echo\\?x=1 host=127.0.0.1:[0-9]+ .*agent=systole-check$'", true, "200"},
		{"http path=/echo host=www.example.org regex=host=www.example.org\\b", true, "200"},
		{"http path=/echo method=POST header='A: b c' header=a:d regex='^POST.*a=\\[\"b c\" \"d\"\\]'", true, "200"},
		{"http path=/echo user=joe password-file=" + secret + " regex=user=joe:pass", true, "200"},
		{"http method=HEAD", true, "200"},
		{"http path=/long regex=end$", false, "does not match"},
		{"http path=/long regex=end$ body-limit=2000000", true, "200"},
		{"http path=/long body-limit=0", true, "200"},
		{"https", false, "HTTP"},
	} {
		r := ask(t, c.spec+" timeout=10s", at)
		if c.up {
			wantUp(t, c.spec, r, c.reason)
		} else {
			wantDown(t, c.spec, r, c.reason)
		}
	}
}

func TestHTTPS(t *testing.T) {
	s := httptest.NewUnstartedServer(site())
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	ca := authorityOf(t, s)
	at := addressOf(s)
	up := func(spec string) {
		t.Helper()
		wantUp(t, spec, ask(t, spec+" timeout=10s", at), "HTTP status 200")
	}
	up("https")
	up("https path=/echo sni=www.example.org regex=sni=www.example.org")
	up("https path=/echo host=www.example.org:8443 regex=sni=www.example.org")
	up("https path=/echo regex='sni= '") // an address is no name
	up("https verify ca-file=" + ca)
	up("https verify sni=example.com ca-file=" + ca)
	wantDown(t, "unknown authority", ask(t, "https verify timeout=10s", at), x509.UnknownAuthorityError{}.Error()[:20])
	wantDown(t, "another name", ask(t, "https verify timeout=10s sni=www.example.org ca-file="+ca, at), "www.example.org")

	for spec, want := range map[string]string{
		"https verify ca-file=/nonexistent":            "option ca-file: open /nonexistent",
		"https verify ca-file=" + emptyIn(t.TempDir()): "no certificate in PEM form",
	} {
		parsed, err := check.Parse(spec)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := New(check.Check{Target: at, Spec: parsed}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", spec, err, want)
		}
	}
}

func emptyIn(dir string) string {
	name := filepath.Join(dir, "empty.pem")
	_ = os.WriteFile(name, nil, 0o600) // a missing one fails the test as well
	return name
}
