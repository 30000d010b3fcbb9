package fastcgi

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/fcgi"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// serve is the standard library's FastCGI server, the other opinion on the protocol.
func serve(t *testing.T, network string, h http.HandlerFunc) string {
	t.Helper()
	addr := "127.0.0.1:0"
	if network == "unix" {
		addr = filepath.Join(t.TempDir(), "s")
	}
	l, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = fcgi.Serve(l, h) }()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String()
}

func TestAsk(t *testing.T) {
	long := strings.Repeat("x", 100_000) // more than one record
	for _, network := range []string{"unix", "tcp"} {
		addr := serve(t, network, func(w http.ResponseWriter, r *http.Request) {
			env := fcgi.ProcessEnv(r)
			w.Header().Set("X-Script", env["SCRIPT_FILENAME"])
			w.WriteHeader(http.StatusTeapot)
			fmt.Fprintf(w, "%s %s %s %s", r.Host, r.URL.RequestURI(), r.Header.Get("X-Long"), env["EXTRA"])
		})
		got, err := Ask(t.Context(), addr, Request{Script: "/srv/index.php", URL: "https://blog.example/?p=1", Params: map[string]string{"EXTRA": long, "HTTP_X_LONG": "y"}})
		if err != nil || got.Status != http.StatusTeapot || got.Header.Get("X-Script") != "/srv/index.php" || string(got.Body) != "blog.example /?p=1 y "+long {
			t.Errorf("%s: %+v, %v", network, got.Status, err)
		}
	}
}

func TestAskGivesUp(t *testing.T) {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() // nobody accepts
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := Ask(ctx, l.Addr().String(), Request{URL: "/ping"}); err == nil || !strings.Contains(err.Error(), "no answer in time") {
		t.Errorf("a silent server: %v", err)
	}
	if _, err := Ask(t.Context(), "/nonexistent/s", Request{URL: "/ping"}); err == nil {
		t.Error("no server answers")
	}
}

func TestAddress(t *testing.T) {
	for listen, want := range map[string]string{
		"/run/php.sock": "unix /run/php.sock", "unix:/run/php.sock": "unix /run/php.sock", "9000": "tcp 127.0.0.1:9000",
		":9000": "tcp 127.0.0.1:9000", "0.0.0.0:9000": "tcp 127.0.0.1:9000", "192.0.2.1:9000": "tcp 192.0.2.1:9000", "[::1]:9000": "tcp [::1]:9000",
	} {
		if network, addr := Address(listen); network+" "+addr != want {
			t.Errorf("%s is %s %s, want %s", listen, network, addr, want)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	end := record(nil, endRequest, make([]byte, 8))
	for name, c := range map[string]struct {
		answer []byte
		want   string
	}{
		"http":     {[]byte("HTTP/1.1 200 OK\r\n\r\n"), "not FastCGI"},
		"cut":      {record(nil, stdout, []byte("Status: 200\r\n\r\n")), "breaks off"},
		"overload": {record(nil, endRequest, []byte{0, 0, 0, 0, 2, 0, 0, 0}), "protocol status 2"},
		"status":   {append(record(nil, stdout, []byte("Status: ok\r\n\r\n")), end...), "no number"},
		"huge":     {bytes.Repeat(record(nil, stdout, make([]byte, 65535)), 70), "longer than"},
	} {
		if _, err := Read(bytes.NewReader(c.answer)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q in it", name, err, c.want)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(append(record(record(nil, stdout, []byte("Status: 404 Not Found\r\nContent-type: text/html\r\n\r\nFile not found.")), stderr, []byte("Primary script unknown")), record(nil, endRequest, make([]byte, 8))...))
	f.Add([]byte{1, 6, 0, 1, 0, 1, 255, 0, 'x'})
	f.Fuzz(func(t *testing.T, answer []byte) {
		r, err := Read(bytes.NewReader(answer))
		if err == nil && (r.Status < 100 || len(r.Body) > len(answer)) {
			t.Errorf("%+v", r)
		}
	})
}
