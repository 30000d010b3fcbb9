package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"
)

// Bounds of the accepting side. A peer without a certificate can reach the
// handshake, so both are small.
const (
	handshakeTimeout = 3 * time.Second
	maxHandshakes    = 256 // at once; further connections are closed unheard
	backlog          = 64  // finished connections waiting for their listener
)

const alpnPrefix = "systole-"

func alpn(p Proto) string { return alpnPrefix + string(p) }

// listener is the net.Listener of one protocol; Secure.accept feeds it.
type listener struct {
	fabric *Secure
	queue  chan *conn
	done   chan struct{} // closed by Close
}

// Listener implements Fabric. A second call for one protocol panics: two owners would share its streams.
func (s *Secure) Listener(p Proto) net.Listener {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listeners[p] != nil {
		panic("transport: a second listener for " + string(p))
	}
	l := &listener{s, make(chan *conn, backlog), make(chan struct{})}
	s.listeners[p] = l
	return l
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.queue:
		return c, nil
	case <-l.done:
	case <-l.fabric.closed:
	}
	return nil, net.ErrClosed
}

// Close implements net.Listener; open connections stay.
func (l *listener) Close() error {
	l.fabric.mu.Lock()
	defer l.fabric.mu.Unlock()
	select {
	case <-l.done:
	default:
		close(l.done)
	}
	return nil
}

// Addr implements net.Listener.
func (l *listener) Addr() net.Addr { return l.fabric.tcp.Addr() }

// accept takes connections until the port is closed.
func (s *Secure) accept() {
	slots := make(chan struct{}, maxHandshakes)
	for {
		raw, err := s.tcp.AcceptTCP()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil: // out of descriptors, or a connection that died at once
			s.log.Warn("connection not accepted", "err", err)
			s.pause()
			continue
		}
		select {
		case slots <- struct{}{}:
			s.running.Go(func() {
				defer func() { <-slots }()
				s.welcome(raw)
			})
		default:
			s.counters.handshakes.Add(1)
			raw.Close()
		}
	}
}

// pause keeps a lasting accept or read error from taking a whole CPU.
func (s *Secure) pause() {
	select {
	case <-time.After(50 * time.Millisecond):
	case <-s.closed:
	}
}

// welcome does the handshake of one connection and hands it to its listener.
func (s *Secure) welcome(raw *net.TCPConn) {
	c, l, err := s.handshake(raw)
	if err != nil {
		s.counters.handshakes.Add(1)
		s.log.Debug("handshake refused", "peer", raw.RemoteAddr().String(), "err", err)
		raw.Close()
		return
	}
	if s.adopt(c) != nil {
		return
	}
	select {
	case l.queue <- c:
		select { // after the queue: a listener closed meanwhile empties nothing
		case <-l.done:
			c.Close()
		default:
		}
	default:
		s.log.Warn("connection dropped: nobody accepts", "peer", c.peer)
		c.Close()
	}
}

// handshake verifies the peer and says so to it; nothing of what the peer sent
// has been read by anyone else before.
func (s *Secure) handshake(raw *net.TCPConn) (*conn, *listener, error) {
	if err := s.prepare(raw); err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), handshakeTimeout)
	defer cancel()
	defer context.AfterFunc(ctx, func() { raw.Close() })()

	tr := s.trust.Load()
	tc := tls.Server(raw, &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		return s.configFor(tr, hello)
	}, MinVersion: tls.VersionTLS13})
	if err := tc.HandshakeContext(ctx); err != nil {
		return nil, nil, err
	}
	state := tc.ConnectionState()
	proto := Proto(strings.TrimPrefix(state.NegotiatedProtocol, alpnPrefix))
	c := &conn{Conn: tc}
	var refusal error
	if proto != ProtoJoin {
		c.cert = state.PeerCertificates[0] // configFor required one
		c.peer, refusal = tr.Verify(c.cert)
	}
	l, v := s.listenerOf(proto), verdictOf(refusal)
	if v == accepted && l == nil {
		v, refusal = refusedBusy, fmt.Errorf("nobody listens for %s", proto)
	}
	if _, err := tc.Write([]byte{byte(v)}); err != nil {
		return nil, nil, err
	}
	if refusal != nil {
		_ = tc.CloseWrite() // an orderly end: a reset would overtake the verdict
		return nil, nil, refusal
	}
	return c, l, nil
}

// prepare sets the accepted socket as dialled ones are.
func (s *Secure) prepare(raw *net.TCPConn) error {
	if err := raw.SetKeepAliveConfig(keepAlive(s.deadPeer)); err != nil {
		return err
	}
	sys, err := raw.SyscallConn()
	if err != nil {
		return err
	}
	return userTimeout(s.deadPeer)("", "", sys)
}

// configFor asks every peer for a certificate but the one that comes to get its
// first. Whether the certificate is good is for handshake to say.
func (s *Secure) configFor(tr *trust, hello *tls.ClientHelloInfo) (*tls.Config, error) {
	cfg := &tls.Config{
		MinVersion:             tls.VersionTLS13,
		Certificates:           []tls.Certificate{tr.Certificate},
		ClientAuth:             tls.RequireAnyClientCert,
		SessionTicketsDisabled: true, // a resumed session would outlive a revocation
	}
	if slices.Equal(hello.SupportedProtos, []string{alpn(ProtoJoin)}) {
		cfg.ClientAuth = tls.NoClientCert
		cfg.NextProtos = hello.SupportedProtos
		return cfg, nil
	}
	for _, p := range []Proto{ProtoRaft, ProtoRPC, ProtoAPI, ProtoGossip} {
		cfg.NextProtos = append(cfg.NextProtos, alpn(p))
	}
	if len(hello.SupportedProtos) == 0 {
		return nil, errors.New("the peer names no protocol")
	}
	return cfg, nil
}

// listenerOf is the open listener of a protocol, nil without one.
func (s *Secure) listenerOf(p Proto) *listener {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.listeners[p]
	if l == nil {
		return nil
	}
	select {
	case <-l.done:
		return nil
	default:
		return l
	}
}
