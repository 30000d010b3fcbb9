package vip

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"systole/agents/internal/frame"
)

// socket is a raw one on a device.
type socket struct {
	fd    int
	index int
}

// openSocket opens one that receives the protocol, or nothing for 0.
func openSocket(p place, protocol uint16) (*socket, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("raw socket: %w", err)
	}
	if protocol != 0 {
		if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: protocol<<8 | protocol>>8, Ifindex: p.index()}); err != nil {
			unix.Close(fd)
			return nil, fmt.Errorf("raw socket on %s: %w", p.device(), err)
		}
	}
	return &socket{fd, p.index()}, nil
}

// close takes the kernel a grace period of RCU, 10 ms and more: nobody should wait for it.
func (s *socket) close() { unix.Close(s.fd) }

func (s *socket) send(b []byte) error {
	return unix.Sendto(s.fd, b, 0, &unix.SockaddrLinklayer{Ifindex: s.index})
}

// receive returns the next frame, nil when none comes before the deadline.
func (s *socket) receive(deadline time.Time, buf []byte) ([]byte, error) {
	for {
		n, _, err := unix.Recvfrom(s.fd, buf, 0)
		if err == nil {
			return buf[:n], nil
		}
		left := time.Until(deadline)
		if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
			return nil, err
		}
		if left <= 0 {
			return nil, nil
		}
		_, err = unix.Poll([]unix.PollFd{{Fd: int32(s.fd), Events: unix.POLLIN}}, int(left/time.Millisecond)+1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return nil, err
		}
	}
}

// Bounds of the duplicate check. Stations on a LAN answer within a millisecond.
// One that answers is asked again: it may be just going.
const (
	askWait = 20 * time.Millisecond
	askMost = 3
)

// holder asks the link who else has the address: the station's link address,
// or "" when nobody answers within askWait.
func (c config) holder(ctx context.Context, p place) (string, error) {
	if !p.ethernet() {
		return "", nil
	}
	protocol, ask := uint16(frame.TypeARP), frame.Probe(p.hw(), c.ip).Marshal
	if c.ip.Is6() {
		protocol, ask = frame.TypeIPv6, frame.Detect(p.hw(), c.ip).Marshal
	}
	s, err := openSocket(p, protocol)
	if err != nil {
		return "", err
	}
	defer func() { go s.close() }()
	who, buf := "", make([]byte, 2048)
	for range askMost {
		if err := s.send(ask()); err != nil {
			return "", fmt.Errorf("ask for %v on %s: %w", c.ip, p.device(), err)
		}
		who = ""
		for deadline := time.Now().Add(askWait); who == "" && ctx.Err() == nil; {
			b, err := s.receive(deadline, buf)
			if err != nil {
				return "", fmt.Errorf("listen for %v on %s: %w", c.ip, p.device(), err)
			}
			if b == nil {
				return "", nil
			}
			who = c.claimant(b, p)
		}
	}
	return who, nil
}

// claimant is the station that claims the address by this frame, "" for none.
func (c config) claimant(b []byte, p place) string {
	if c.ip.Is4() {
		if a, err := frame.ParseARP(b); err == nil && a.Claims(c.ip, p.hw()) {
			return a.SenderHW.String()
		}
		return ""
	}
	if n, err := frame.ParseNeighbour(b); err == nil && n.Claims(c.ip, p.hw()) {
		return n.Source.String()
	}
	return ""
}

// announce sends one announcement: for IPv4 as request and as reply, since some
// stations heed only the one and some only the other.
func (c config) announce(s *socket, p place) error {
	if c.ip.Is6() {
		return s.send(frame.Unsolicited(p.hw(), c.ip).Marshal())
	}
	return errors.Join(
		s.send(frame.Gratuitous(frame.Request, p.hw(), c.ip).Marshal()),
		s.send(frame.Gratuitous(frame.Reply, p.hw(), c.ip).Marshal()),
	)
}
