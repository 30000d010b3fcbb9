package probe

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/pem"
	"io"
	"net"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"systole/agents/check"
)

// ask runs one probe as the runner does. It fails the test if the probe does
// not end long after its timeout.
func ask(t *testing.T, text string, target netip.AddrPort) check.Result {
	t.Helper()
	spec, err := check.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	prober, err := New(check.Check{Target: target, Spec: spec})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), spec.Timeout)
	defer cancel()
	got := make(chan check.Result, 1)
	go func() { got <- prober(ctx) }()
	select {
	case r := <-got:
		if r.Reason == "" {
			t.Errorf("%s: no reason", text)
		}
		return r
	case <-time.After(20 * time.Second):
		t.Fatalf("%s: the probe outlasted its timeout by far", text)
	}
	panic("not reached")
}

// wantUp and wantDown check a result whose reason holds the text.
func wantUp(t *testing.T, what string, r check.Result, reason string) {
	t.Helper()
	if !r.OK || !strings.Contains(r.Reason, reason) {
		t.Errorf("%s: up=%v %q, want up with %q", what, r.OK, r.Reason, reason)
	}
}

func wantDown(t *testing.T, what string, r check.Result, reason string) {
	t.Helper()
	if r.OK || !strings.Contains(r.Reason, reason) {
		t.Errorf("%s: up=%v %q, want down with %q", what, r.OK, r.Reason, reason)
	}
}

// serve accepts connections until the test ends; each is handled on its own.
func serve(t *testing.T, handle func(net.Conn)) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				handle(conn)
			}()
		}
	}()
	return l.Addr().(*net.TCPAddr).AddrPort()
}

// serveTLS is serve under the certificate of httptest (example.com, 127.0.0.1), which is its own authority.
func serveTLS(t *testing.T, handle func(net.Conn)) (at netip.AddrPort, caFile string) {
	t.Helper()
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS()
	certificates := s.TLS.Certificates
	caFile = authorityOf(t, s)
	s.Close()
	return serve(t, func(c net.Conn) { handle(tls.Server(c, &tls.Config{Certificates: certificates})) }), caFile
}

// authorityOf is a file with the server's certificate.
func authorityOf(t *testing.T, s *httptest.Server) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(file, block, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// hush takes everything and says nothing.
func hush(conn net.Conn) { io.Copy(io.Discard, conn) }

// drip says the text, then a byte from time to time until the client leaves.
func drip(text string) func(net.Conn) {
	return func(conn net.Conn) {
		go hush(conn)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for _, err := conn.Write([]byte(text)); err == nil; <-tick.C {
			_, err = conn.Write([]byte("x"))
		}
	}
}

// asked waits for a request first. An HTTP client takes an answer that is there before
// its question for the rest of another.
func asked(then func(net.Conn)) func(net.Conn) {
	return func(conn net.Conn) {
		conn.Read(make([]byte, 1000))
		then(conn)
	}
}

// say says one thing and waits for the end.
func say(text string) func(net.Conn) {
	return func(conn net.Conn) {
		io.WriteString(conn, text)
		hush(conn)
	}
}

// lines greets, then answers each line by the reply to its longest known
// beginning, or else hangs up.
func lines(greeting string, replies map[string]string) func(net.Conn) {
	return func(conn net.Conn) {
		io.WriteString(conn, greeting)
		for in := bufio.NewScanner(conn); in.Scan(); {
			reply, longest := "", -1
			for begin, r := range replies {
				if strings.HasPrefix(in.Text(), begin) && len(begin) > longest {
					reply, longest = r, len(begin)
				}
			}
			if longest < 0 {
				return
			}
			io.WriteString(conn, reply)
		}
	}
}

// refusing is a port nobody listens at.
func refusing(t *testing.T) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).AddrPort()
}

// blackHole is a port that drops what comes: its queue of connections is full.
func blackHole(t *testing.T) netip.AddrPort {
	t.Helper()
	open := func() int {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		return fd
	}
	l := open()
	if err := unix.Bind(l, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(l, 0); err != nil {
		t.Fatal(err)
	}
	sa, err := unix.Getsockname(l)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		unix.Connect(open(), sa) // EINPROGRESS
	}
	return netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(sa.(*unix.SockaddrInet4).Port))
}
