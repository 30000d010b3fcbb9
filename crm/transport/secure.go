package transport

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Options of [Open].
type Options struct {
	// Bind is the "ip:port" listened on, TCP and UDP; port 0 takes a free one for both.
	Bind string
	// Advertise is the "ip:port" others dial; empty means Bind, which then must name an address.
	Advertise string
	// Credentials at the start; [Secure.Reload] replaces them.
	Credentials Credentials
	// DeadPeer is how long a connection may stay unacknowledged before it fails; 0 means DefaultDeadPeer.
	DeadPeer time.Duration
	Log      *slog.Logger
}

// DefaultDeadPeer fails connections to a dead peer; chosen well above a TCP
// retransmission burst, well below any operation's timeout.
const DefaultDeadPeer = 3 * time.Second

// Secure is the real Fabric: one TLS 1.3 port and the UDP port of the same
// number. Its goroutines are the accept loop, one short one for each handshake,
// and the datagram reader; Close ends and awaits them.
type Secure struct {
	log      *slog.Logger
	addr     string     // advertised
	local    netip.Addr // source of dialled streams; unspecified lets the kernel choose
	deadPeer time.Duration

	tcp *net.TCPListener
	udp *udpSocket

	trust    atomic.Pointer[trust]
	counters counters
	gossip   chan Datagram
	beats    chan Datagram
	taker    atomic.Pointer[func(Datagram)] // serves the beats
	received chan struct{}                  // closed when nothing is received any more

	closed  chan struct{}
	running sync.WaitGroup

	mu        sync.Mutex // guards what follows; held for map operations only
	listeners map[Proto]*listener
	conns     map[*conn]struct{}
	seen      map[string]time.Time // by peer: when its certificate ends
	warned    map[string]bool      // sentences of Expiry said already
}

// trust is one set of credentials with what is computed from it once.
type trust struct {
	Credentials
	*sealer
	*opener
}

func newTrust(c Credentials) (*trust, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	return &trust{c, newSealer(c.Keys[0]), newOpener(c.Keys)}, nil
}

// counters of a Secure, for [Stats].
type counters struct{ sent, received, dropped, refused, handshakes atomic.Uint64 }

// Stats are counts since Open.
type Stats struct {
	Sent             uint64 // datagrams handed to the kernel
	Received         uint64 // datagrams accepted
	Dropped          uint64 // accepted, then lost to a full queue
	Refused          uint64 // not sealed with a key we know, or malformed
	FailedHandshakes uint64
}

// Open listens. The caller ends it with Close.
func Open(o Options) (*Secure, error) {
	tr, err := newTrust(o.Credentials)
	if err != nil {
		return nil, fmt.Errorf("transport: %w", err)
	}
	bind, err := netip.ParseAddrPort(o.Bind)
	if err != nil {
		return nil, fmt.Errorf("transport: bind %q is not ip:port", o.Bind)
	}
	tcp, udp, err := listenBoth(bind)
	if err != nil {
		return nil, err
	}
	socket, err := newUDPSocket(udp)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("transport: %w", err), tcp.Close(), udp.Close())
	}
	s := &Secure{
		log: o.Log, addr: o.Advertise, local: bind.Addr(), deadPeer: o.DeadPeer,
		tcp: tcp, udp: socket,
		gossip: make(chan Datagram, gossipQueue), beats: make(chan Datagram, beatQueue),
		received: make(chan struct{}), closed: make(chan struct{}),
		listeners: map[Proto]*listener{}, conns: map[*conn]struct{}{},
		seen: map[string]time.Time{}, warned: map[string]bool{},
	}
	if s.deadPeer == 0 {
		s.deadPeer = DefaultDeadPeer
	}
	if s.addr == "" {
		s.addr = tcp.Addr().String()
		if bind.Addr().IsUnspecified() {
			return nil, errors.Join(fmt.Errorf("transport: bind %s names no address: set advertise to this node's own", bind), tcp.Close(), udp.Close())
		}
	}
	s.trust.Store(tr)
	s.running.Go(s.accept)
	s.running.Go(s.receive)
	return s, nil
}

// portAttempts bounds the search for a port that is free for TCP and UDP; only
// tests ask for one.
const portAttempts = 20

// listenBoth listens on one port number with TCP and UDP.
func listenBoth(bind netip.AddrPort) (*net.TCPListener, *net.UDPConn, error) {
	for attempt := 1; ; attempt++ {
		tcp, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(bind))
		if err != nil {
			return nil, nil, listenError(bind, err)
		}
		port := tcp.Addr().(*net.TCPAddr).AddrPort().Port()
		udp, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(bind.Addr(), port)))
		if err == nil {
			_ = udp.SetReadBuffer(socketBuffer) // the kernel caps it as it likes
			return tcp, udp, nil
		}
		tcp.Close()
		if bind.Port() != 0 || attempt == portAttempts {
			return nil, nil, listenError(bind, err)
		}
	}
}

// socketBuffer rides out a pause of the reader: a second of beats from 32 nodes is about 200 KiB.
const socketBuffer = 1 << 20

func listenError(bind netip.AddrPort, err error) error {
	remedy := ""
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		remedy = ": another systoled may be running; stop it, or set bind to another port"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		remedy = ": this machine has no such address yet; set bind to one it has"
	case errors.Is(err, syscall.EACCES):
		remedy = ": ports below 1024 need root"
	}
	return fmt.Errorf("transport: listen on %s: %w%s", bind, err, remedy)
}

// Reload replaces certificate, CAs and keys for everything that begins from now
// on. Open connections stay, but those of removed nodes are closed at once, and
// those under a CA that is no longer believed within two minutes: a stolen CA
// key must not keep what it opened, yet requests under way should end, and
// raft's streams should not break all together.
func (s *Secure) Reload(c Credentials) error {
	tr, err := newTrust(c)
	if err != nil {
		return fmt.Errorf("transport: reload: %w", err)
	}
	s.trust.Store(tr)
	for _, c := range s.connections() {
		if c.cert == nil {
			continue
		}
		_, generation, _ := NodeOf(c.cert) // it was read before
		switch _, err := tr.Verify(c.cert); {
		case tr.revoked(c.peer, generation): // whichever CA signed it
			s.log.Warn("connection closed", "peer", c.peer, "err", ErrRevoked)
			c.Close()
		case err != nil:
			time.AfterFunc(staleGrace+rand.N(staleGrace), func() { c.Close() })
		}
	}
	return nil
}

// staleGrace is the least time a connection under a former CA goes on; no request takes longer.
const staleGrace = time.Minute

// Addr implements Fabric.
func (s *Secure) Addr() string { return s.addr }

// Stats are the counts since Open.
func (s *Secure) Stats() Stats {
	c := &s.counters
	return Stats{c.sent.Load(), c.received.Load(), c.dropped.Load(), c.refused.Load(), c.handshakes.Load()}
}

// CertificateEnds tells when the certificate last seen of a peer runs out.
func (s *Secure) CertificateEnds(peer string) (ends time.Time, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ends, ok = s.seen[peer]
	return ends, ok
}

// Dial implements Fabric. It returns once the other end has accepted this
// node's certificate, so that a refusal is the dialler's error, with its reason.
func (s *Secure) Dial(ctx context.Context, addr, name string, p Proto) (net.Conn, error) {
	select {
	case <-s.closed:
		return nil, fmt.Errorf("dial %s: %w", addr, net.ErrClosed)
	default:
	}
	c, err := dial(ctx, dialling{&s.trust.Load().Credentials, s.local, s.deadPeer}, addr, name, p)
	if err != nil {
		return nil, err
	}
	return c, s.adopt(c)
}

// Close implements Fabric.
func (s *Secure) Close() error {
	s.mu.Lock()
	select {
	case <-s.closed:
		s.mu.Unlock()
		return nil
	default:
	}
	close(s.closed)
	s.mu.Unlock()
	err := errors.Join(s.tcp.Close(), s.udp.Close())
	for _, c := range s.connections() {
		c.Close()
	}
	s.running.Wait()
	return err
}
