package transport

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// echo serves one protocol: each line comes back with the peer's name before it.
func echo(t *testing.T, s *Secure, p Proto) {
	l := s.Listener(p)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				for in := bufio.NewScanner(c); in.Scan(); {
					fmt.Fprintf(c, "%s: %s\n", PeerName(c), in.Text())
				}
			})
		}
	})
	t.Cleanup(func() { l.Close(); s.Close(); wg.Wait() })
}

// say sends one line and gives the answer.
func say(c net.Conn, line string) (string, error) {
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return "", err
	}
	if _, err := fmt.Fprintln(c, line); err != nil {
		return "", err
	}
	answer, err := bufio.NewReader(c).ReadString('\n')
	return strings.TrimSpace(answer), err
}

func TestStreamKnowsBothNames(t *testing.T) {
	ca := newTestCA(t)
	a, b := open(t, ca.node("a")), open(t, ca.node("b"))
	echo(t, b, ProtoRPC)
	c, err := a.Dial(t.Context(), b.Addr(), "b", ProtoRPC)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got := PeerName(c); got != "b" {
		t.Errorf("peer of the dialler: got %q, want b", got)
	}
	got, err := say(c, "hello")
	if err != nil || got != "a: hello" {
		t.Errorf("answer: got %q, %v, want a: hello", got, err)
	}
	if _, ok := a.CertificateEnds("b"); !ok {
		t.Error("the end of b's certificate is not known after a connection to it")
	}
}

func TestDialRefusals(t *testing.T) {
	ca, foreign := newTestCA(t), newTestCA(t)
	b := open(t, ca.node("b"))
	echo(t, b, ProtoRPC)
	// trusting dials with a certificate of one CA and believes in another.
	trusting := foreign.node("a")
	trusting.Authorities = ca.node("a").Authorities

	rows := []struct {
		name  string
		creds Credentials
		to    string
		proto Proto
		want  error
		text  string
	}{
		{"another node", ca.node("a"), "c", ProtoRPC, ErrWrongNode, "it is b"},
		{"server of another cluster", foreign.node("a"), "b", ProtoRPC, ErrWrongCluster, "dial b at"},
		{"dialler of another cluster", trusting, "b", ProtoRPC, ErrWrongCluster, "the peer refuses this node"},
		{"nobody listens", ca.node("a"), "b", ProtoRaft, nil, "does not take connections of this kind"},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			c, err := DialPeer(t.Context(), r.creds, b.Addr(), r.to, r.proto)
			if err == nil {
				c.Close()
				t.Fatal("the connection was made")
			}
			if r.want != nil && !errors.Is(err, r.want) {
				t.Errorf("got %v, want %v", err, r.want)
			}
			if !strings.Contains(err.Error(), r.text) {
				t.Errorf("error %q does not say %q", err, r.text)
			}
		})
	}
}

func TestOnlyJoinWithoutCertificate(t *testing.T) {
	ca, foreign := newTestCA(t), newTestCA(t)
	b := open(t, ca.node("b"))
	echo(t, b, ProtoRPC)
	echo(t, b, ProtoJoin)

	c, err := DialJoin(t.Context(), b.Addr(), FingerprintOf(ca.cert))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got, err := say(c, "hello"); err != nil || got != ": hello" {
		t.Errorf("join stream: got %q, %v, want no peer name", got, err)
	}
	if _, err := DialJoin(t.Context(), b.Addr(), FingerprintOf(foreign.cert)); !errors.Is(err, ErrWrongCA) {
		t.Errorf("another CA's fingerprint: got %v, want ErrWrongCA", err)
	}
	// Both orders, and no protocol at all: none may slip through without a certificate.
	for _, protos := range [][]string{{alpn(ProtoRPC)}, {alpn(ProtoRPC), alpn(ProtoJoin)}, {alpn(ProtoJoin), alpn(ProtoRPC)}, nil} {
		raw, err := tls.Dial("tcp", b.Addr(), &tls.Config{NextProtos: protos, InsecureSkipVerify: true})
		if err != nil {
			continue
		}
		if n, err := raw.Read(make([]byte, 1)); err == nil {
			t.Errorf("protocols %q without a certificate: %d byte of an answer", protos, n)
		}
		raw.Close()
	}
}

func TestExpiredCertificateServesOn(t *testing.T) {
	ca := newTestCA(t)
	var log lockedBuffer
	a := open(t, ca.issue("a", 1, time.Now().AddDate(0, -1, 0)))
	b := openLogged(t, ca.issue("b", 1, time.Now().AddDate(0, -2, 0)), &log)
	echo(t, b, ProtoRPC)
	for range 2 {
		c, err := a.Dial(t.Context(), b.Addr(), "b", ProtoRPC)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := say(c, "still here"); err != nil {
			t.Error(err)
		}
		c.Close()
	}
	if n := strings.Count(log.String(), "certificate of a expired on"); n != 1 {
		t.Errorf("%d warnings, want 1 for two connections:\n%s", n, log.String())
	}
}

func TestReload(t *testing.T) {
	ca := newTestCA(t)
	a, b := open(t, ca.node("a")), open(t, ca.node("b"))
	echo(t, b, ProtoRPC)
	c, err := a.Dial(t.Context(), b.Addr(), "b", ProtoRPC)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()

	renewed := ca.node("b")
	if err := b.Reload(renewed); err != nil {
		t.Fatal(err)
	}
	if got, err := say(c, "hello"); err != nil || got != "a: hello" {
		t.Fatalf("after a renewal the open connection gives %q, %v", got, err)
	}
	c2, err := a.Dial(t.Context(), b.Addr(), "b", ProtoRPC)
	if err != nil {
		t.Fatal(err)
	}
	defer c2.Close()
	if got := c2.(*conn).cert.SerialNumber; got.Cmp(renewed.Certificate.Leaf.SerialNumber) != 0 {
		t.Error("a new connection was shown the old certificate")
	}

	renewed.Revoked = map[string]uint64{"a": 1}
	if err := b.Reload(renewed); err != nil {
		t.Fatal(err)
	}
	if got, err := say(c, "hello"); err == nil {
		t.Errorf("after a's removal its connection still answers %q", got)
	}
	if _, err := a.Dial(t.Context(), b.Addr(), "b", ProtoRPC); !errors.Is(err, ErrRevoked) {
		t.Errorf("dial of a removed node: got %v, want ErrRevoked", err)
	}
	if err := a.Reload(ca.issue("a", 2, time.Now().AddDate(1, 0, 0))); err != nil {
		t.Fatal(err)
	}
	c3, err := a.Dial(t.Context(), b.Addr(), "b", ProtoRPC)
	if err != nil {
		t.Fatalf("a has joined again, yet: %v", err)
	}
	c3.Close()

	if err := b.Reload(Credentials{}); err == nil {
		t.Error("empty credentials were taken")
	}
}

// Replacing the CA breaks nothing that is open, and new connections need the new one.
func TestReloadOfAnotherCA(t *testing.T) {
	ca, next := newTestCA(t), newTestCA(t)
	a, b := open(t, ca.node("a")), open(t, ca.node("b"))
	echo(t, b, ProtoRPC)
	c, err := a.Dial(t.Context(), b.Addr(), "b", ProtoRPC)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := b.Reload(next.node("b")); err != nil {
		t.Fatal(err)
	}
	if got, err := say(c, "hello"); err != nil || got != "a: hello" {
		t.Errorf("the open connection: %q, %v", got, err)
	}
	if _, err := a.Dial(t.Context(), b.Addr(), "b", ProtoRPC); !errors.Is(err, ErrWrongCluster) {
		t.Errorf("a new connection under the former CA: %v", err)
	}
	removed := next.node("b")
	removed.Revoked = map[string]uint64{"a": 1}
	if err := b.Reload(removed); err != nil {
		t.Fatal(err)
	}
	if got, err := say(c, "hello"); err == nil {
		t.Errorf("after a's removal its connection under the former CA still answers %q", got)
	}
}

// Strangers that connect and say nothing take the slots for handshakes, and
// nothing else: what is open goes on, and when they are gone all is as before.
func TestHandshakeFlood(t *testing.T) {
	ca := newTestCA(t)
	a, b := open(t, ca.node("a")), open(t, ca.node("b"))
	echo(t, b, ProtoRPC)
	c, err := a.Dial(t.Context(), b.Addr(), "b", ProtoRPC)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var strangers []net.Conn
	for b.Stats().FailedHandshakes == 0 { // until the first is turned away
		s, err := net.Dial("tcp", b.Addr())
		if err != nil {
			t.Fatal(err)
		}
		strangers = append(strangers, s)
		if len(strangers) > 2*maxHandshakes {
			t.Fatalf("%d strangers, and none was turned away", len(strangers))
		}
	}
	if got, err := say(c, "hello"); err != nil || got != "a: hello" {
		t.Errorf("the open stream: %q, %v", got, err)
	}
	if err := a.Send(b.Addr(), ChannelBeat, []byte("beat")); err != nil {
		t.Fatal(err)
	}
	if d := receiveOne(t, b, ChannelBeat); string(d.Payload) != "beat" {
		t.Errorf("the beat: %q", d.Payload)
	}
	for _, s := range strangers {
		s.Close()
	}
	for ctx := t.Context(); ; {
		c, err := a.Dial(ctx, b.Addr(), "b", ProtoRPC)
		if err == nil {
			c.Close()
			return
		}
		if b.Stats().FailedHandshakes > uint64(3*maxHandshakes) {
			t.Fatalf("after the flood: %v", err)
		}
	}
}

func TestHTTP(t *testing.T) {
	ca := newTestCA(t)
	a, b := open(t, ca.node("a")), open(t, ca.node("b"))
	srv := &http.Server{ConnContext: ConnContext, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s asked %s", RequestPeer(r), r.URL.Path)
	})}
	go srv.Serve(b.Listener(ProtoRPC))
	t.Cleanup(func() { srv.Close() })

	client := &http.Client{Transport: RoundTripper(a, ProtoRPC, func(node string) (string, bool) { return b.Addr(), node == "b" })}
	t.Cleanup(client.CloseIdleConnections)
	resp, err := client.Get("http://b/rpc/order")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got, _ := io.ReadAll(resp.Body); string(got) != "a asked /rpc/order" {
		t.Errorf("got %q", got)
	}
	if _, err := client.Get("http://nobody/"); err == nil || !strings.Contains(err.Error(), "node nobody: no address is known") {
		t.Errorf("unknown node: got %v", err)
	}
}

func TestDeadPeerFailsFast(t *testing.T) {
	ca := newTestCA(t)
	a, b := open(t, ca.node("a")), open(t, ca.node("b"))
	echo(t, b, ProtoRPC)
	c, err := a.Dial(t.Context(), b.Addr(), "b", ProtoRPC)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	sys, err := c.(*conn).Conn.(*tls.Conn).NetConn().(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	_ = sys.Control(func(fd uintptr) {
		got, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT)
		if err != nil || got != int(DefaultDeadPeer.Milliseconds()) {
			t.Errorf("TCP_USER_TIMEOUT of a dialled stream: %d, %v", got, err)
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.Dial(ctx, b.Addr(), "b", ProtoRPC); !errors.Is(err, context.Canceled) {
		t.Errorf("dial with a cancelled context: %v", err)
	}
}

func TestCloseEndsEverything(t *testing.T) {
	ca := newTestCA(t)
	a, b := open(t, ca.node("a")), open(t, ca.node("b"))
	echo(t, b, ProtoRPC)
	c, err := a.Dial(t.Context(), b.Addr(), "b", ProtoRPC)
	if err != nil {
		t.Fatal(err)
	}
	l := a.Listener(ProtoRaft)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept: %v", err)
	}
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("an open connection survived")
	}
	for range a.Datagrams(ChannelBeat) {
	}
	for range a.Datagrams(ChannelGossip) {
	}
	if err := a.Send(b.Addr(), ChannelBeat, nil); !errors.Is(err, net.ErrClosed) {
		t.Errorf("send: %v", err)
	}
	if _, err := a.Dial(t.Context(), b.Addr(), "b", ProtoRPC); !errors.Is(err, net.ErrClosed) {
		t.Errorf("dial: %v", err)
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	ca := newTestCA(t)
	taken := open(t, ca.node("a"))
	rows := []struct{ bind, text string }{
		{"localhost", "not ip:port"},
		{taken.Addr(), "another systoled may be running"},
		{"192.0.2.1:0", "this machine has no such address"},
		{"0.0.0.0:0", "set advertise"},
	}
	for _, r := range rows {
		s, err := Open(Options{Bind: r.bind, Credentials: ca.node("b"), Log: nil})
		if err == nil {
			s.Close()
			t.Errorf("bind %s: opened", r.bind)
		} else if !strings.Contains(err.Error(), r.text) {
			t.Errorf("bind %s: %q does not say %q", r.bind, err, r.text)
		}
	}
}

// lockedBuffer is a log that may be read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestOfflineDoesNothing(t *testing.T) {
	f := Offline("10.0.0.1:7737")
	if f.Addr() != "10.0.0.1:7737" || f.Listener(ProtoRPC).Addr().String() != f.Addr() {
		t.Errorf("address %s", f.Addr())
	}
	_, accept := f.Listener(ProtoRPC).Accept()
	_, dial := f.Dial(t.Context(), "10.0.0.2:7737", "b", ProtoRPC)
	for what, err := range map[string]error{"accept": accept, "dial": dial, "send": f.Send("10.0.0.2:7737", ChannelBeat, nil)} {
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, open := <-f.Datagrams(ChannelBeat); open {
		t.Error("a datagram from nowhere")
	}
}
