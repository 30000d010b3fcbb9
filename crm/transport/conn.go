package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"
)

// conn is one verified stream. Embedding the interface, not *tls.Conn, keeps
// net/http from looking for HTTP/2 in it.
type conn struct {
	net.Conn
	peer    string
	cert    *x509.Certificate // nil on ProtoJoin
	once    sync.Once
	release func() // forgets it in its Secure; nil before it is adopted
}

// PeerName makes [PeerName] work.
func (c *conn) PeerName() string { return c.peer }

// Close implements net.Conn; repeated calls are harmless.
func (c *conn) Close() (err error) {
	c.once.Do(func() {
		if c.release != nil {
			c.release()
		}
		err = c.Conn.Close()
	})
	return err
}

// adopt registers a new connection, so that Close and Reload reach it.
func (s *Secure) adopt(c *conn) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.closed:
		_ = c.Conn.Close()
		return net.ErrClosed
	default:
	}
	c.release = func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.conns, c)
	}
	s.conns[c] = struct{}{}
	if c.cert == nil {
		return nil
	}
	s.seen[c.peer] = c.cert.NotAfter
	if sentence := Expiry(c.cert, time.Now()); sentence != "" && !s.warned[sentence] {
		s.warned[sentence] = true
		s.log.Warn("certificate accepted past its dates", "peer", c.peer, "reason", sentence)
	}
	return nil
}

// connections is a copy of the open ones: closing one changes the map.
func (s *Secure) connections() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		all = append(all, c)
	}
	return all
}

// verdict is the first byte the accepting end sends inside TLS. In TLS 1.3 a
// dialler's handshake ends before its own certificate was looked at; without
// this byte a refusal would surface later, as a reset without a reason.
type verdict byte

// The verdicts.
const (
	accepted verdict = iota
	refusedCluster
	refusedRevoked
	refusedBusy
)

func (v verdict) err() error {
	switch v {
	case accepted:
		return nil
	case refusedCluster:
		return fmt.Errorf("the peer refuses this node: %w", ErrWrongCluster)
	case refusedRevoked:
		return fmt.Errorf("the peer refuses this node: %w", ErrRevoked)
	case refusedBusy:
		return errors.New("the peer does not take connections of this kind now")
	}
	return fmt.Errorf("the peer answers in an unknown way (%d): it may run an incompatible version", v)
}

func verdictOf(err error) verdict {
	switch {
	case err == nil:
		return accepted
	case errors.Is(err, ErrRevoked):
		return refusedRevoked
	}
	return refusedCluster
}

// dialling is what a dialler brings along.
type dialling struct {
	creds    *Credentials
	local    netip.Addr
	deadPeer time.Duration
}

// DialPeer opens a stream like [Fabric.Dial], for a program that has a node's
// credentials but runs no fabric.
func DialPeer(ctx context.Context, creds Credentials, addr, name string, p Proto) (net.Conn, error) {
	return dial(ctx, dialling{&creds, netip.Addr{}, DefaultDeadPeer}, addr, name, p)
}

func dial(ctx context.Context, d dialling, addr, name string, p Proto) (*conn, error) {
	c := &conn{}
	cfg := &tls.Config{
		MinVersion:         tls.VersionTLS13,
		NextProtos:         []string{alpn(p)},
		Certificates:       []tls.Certificate{d.creds.Certificate},
		InsecureSkipVerify: true, // VerifyConnection does it, without names and dates of the web's rules
		VerifyConnection: func(cs tls.ConnectionState) (err error) {
			c.cert = cs.PeerCertificates[0]
			c.peer, err = d.creds.Verify(c.cert)
			if err == nil && name != "" && c.peer != name {
				err = fmt.Errorf("%w: it is %s", ErrWrongNode, c.peer)
			}
			return err
		},
	}
	if err := c.open(ctx, d, addr, cfg); err != nil {
		if name == "" {
			return nil, fmt.Errorf("dial %s for %s: %w", addr, p, err)
		}
		return nil, fmt.Errorf("dial %s at %s for %s: %w", name, addr, p, err)
	}
	return c, nil
}

// open dials, does the handshake and waits for the verdict; ctx bounds all of it.
func (c *conn) open(ctx context.Context, d dialling, addr string, cfg *tls.Config) error {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	dialer := net.Dialer{KeepAliveConfig: keepAlive(d.deadPeer), Control: userTimeout(d.deadPeer)}
	if d.local.IsValid() && !d.local.IsUnspecified() {
		dialer.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(d.local, 0))
	}
	raw, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	tc := tls.Client(raw, cfg)
	if err := tc.HandshakeContext(ctx); err != nil {
		raw.Close()
		return err
	}
	stop := context.AfterFunc(ctx, func() { raw.Close() })
	defer stop()
	var v [1]byte
	if _, err := tc.Read(v[:]); err != nil {
		raw.Close()
		return fmt.Errorf("no answer after the handshake: %w", cmpErr(context.Cause(ctx), err))
	}
	if err := verdict(v[0]).err(); err != nil {
		raw.Close()
		return err
	}
	if !stop() {
		return context.Cause(ctx)
	}
	c.Conn = tc
	return nil
}

// cmpErr prefers the cause of a cancelled context over the error it provoked.
func cmpErr(cause, err error) error {
	if cause != nil {
		return cause
	}
	return err
}

// dialTimeout bounds TCP, TLS and verdict together; a healthy peer needs milliseconds.
const dialTimeout = 5 * time.Second
