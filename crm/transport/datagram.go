package transport

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
)

// Queue lengths. A beat is worth nothing once newer ones wait behind it, so its
// queue holds about one round of the largest cluster (32 nodes, beat and grant);
// memberlist's own handoff queue is 1024 deep, and drops too.
const (
	beatQueue   = 64
	gossipQueue = 256
)

// ErrTooLarge is a payload above MaxDatagram.
var ErrTooLarge = fmt.Errorf("datagram is larger than %d bytes", MaxDatagram)

// Send implements Fabric. What the network does to the datagram, a missing
// route included, is not an error.
func (s *Secure) Send(addr string, ch Channel, payload []byte) error {
	if len(payload) > MaxDatagram {
		return fmt.Errorf("send to %s: %w", addr, ErrTooLarge)
	}
	to, err := netip.ParseAddrPort(addr)
	if err != nil {
		return fmt.Errorf("send to %q: not an ip:port address", addr)
	}
	packet := make([]byte, 1, 1+sealOverhead+len(payload))
	packet[0] = byte(ch)
	switch ch {
	case ChannelBeat:
		packet = s.trust.Load().seal(packet, payload)
	case ChannelGossip:
		packet = append(packet, payload...)
	default:
		return fmt.Errorf("send to %s: channel %d is unknown", addr, ch)
	}
	err = s.udp.send(packet, to)
	switch {
	case err == nil:
		s.counters.sent.Add(1)
	case errors.Is(err, net.ErrClosed):
		return fmt.Errorf("send to %s: %w", addr, net.ErrClosed)
	default:
		s.log.Debug("datagram lost at once", "peer", addr, "err", err)
	}
	return nil
}

// Datagrams implements Fabric.
func (s *Secure) Datagrams(ch Channel) <-chan Datagram {
	switch ch {
	case ChannelBeat:
		return s.beats
	case ChannelGossip:
		return s.gossip
	}
	panic(fmt.Sprintf("transport: channel %d is unknown", ch))
}

// Serve implements Fabric.
func (s *Secure) Serve(ch Channel, take func(Datagram)) {
	if ch != ChannelBeat {
		panic(fmt.Sprintf("transport: channel %d is queued", ch))
	}
	s.taker.Store(&take)
	<-s.received
}

// receive reads datagrams until the port is closed. It is the queues' only sender.
func (s *Secure) receive() {
	defer close(s.received)
	defer close(s.beats)
	defer close(s.gossip)
	buf := make([]byte, 1+sealOverhead+MaxDatagram+1) // one more: a longer packet shows by filling it
	for {
		n, from, err := s.udp.receive(buf)
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			s.log.Warn("datagram not received", "err", err)
			s.pause()
			continue
		}
		ch, payload, ok := s.trust.Load().unwrap(buf[:n])
		if !ok || n == len(buf) {
			s.counters.refused.Add(1)
			continue
		}
		s.counters.received.Add(1)
		s.deliver(ch, Datagram{netip.AddrPortFrom(from.Addr().Unmap(), from.Port()).String(), payload})
	}
}

// unwrap gives channel and payload of a packet; the payload is a copy.
func (o *opener) unwrap(packet []byte) (ch Channel, payload []byte, ok bool) {
	if len(packet) == 0 {
		return 0, nil, false
	}
	switch ch = Channel(packet[0]); ch {
	case ChannelBeat:
		payload, ok = o.open(packet[:1], packet[1:])
	case ChannelGossip:
		payload, ok = append([]byte{}, packet[1:]...), true
	}
	return ch, payload, ok
}

// deliver hands a datagram to who serves its channel, or queues it, dropping the
// oldest when the queue is full.
func (s *Secure) deliver(ch Channel, d Datagram) {
	if take := s.taker.Load(); take != nil && ch == ChannelBeat {
		(*take)(d)
		return
	}
	queue := s.beats
	if ch == ChannelGossip {
		queue = s.gossip
	}
	for {
		select {
		case queue <- d:
			return
		default:
		}
		select {
		case <-queue:
			s.counters.dropped.Add(1)
		default:
		}
	}
}
