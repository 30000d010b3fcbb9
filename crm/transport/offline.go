package transport

import (
	"context"
	"fmt"
	"net"
)

// Offline is the Fabric of a node that does not run: its address, and nothing
// that moves. Work on a stopped store needs one.
type Offline string

var _ Fabric = Offline("")

// Addr implements Fabric.
func (o Offline) Addr() string { return string(o) }

// Listener implements Fabric; it is closed from the start.
func (o Offline) Listener(Proto) net.Listener { return offlineListener{o} }

// Dial implements Fabric and fails.
func (o Offline) Dial(_ context.Context, addr, _ string, _ Proto) (net.Conn, error) {
	return nil, fmt.Errorf("dial %s: this node is not running: %w", addr, net.ErrClosed)
}

// Send implements Fabric and fails.
func (o Offline) Send(addr string, _ Channel, _ []byte) error {
	return fmt.Errorf("send to %s: this node is not running: %w", addr, net.ErrClosed)
}

// Datagrams implements Fabric; the channel is closed.
func (o Offline) Datagrams(Channel) <-chan Datagram {
	c := make(chan Datagram)
	close(c)
	return c
}

// Serve implements Fabric; nothing comes.
func (o Offline) Serve(Channel, func(Datagram)) {}

// Close implements Fabric.
func (o Offline) Close() error { return nil }

type offlineListener struct{ o Offline }

func (offlineListener) Accept() (net.Conn, error) { return nil, net.ErrClosed }
func (offlineListener) Close() error              { return nil }
func (l offlineListener) Addr() net.Addr          { return offlineAddr(l.o) }

type offlineAddr string

func (offlineAddr) Network() string  { return "tcp" }
func (a offlineAddr) String() string { return string(a) }
