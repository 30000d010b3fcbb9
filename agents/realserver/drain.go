package realserver

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/vishvananda/netlink"

	"systole/agents/internal/addrs"
)

// settle is how long nothing must be left before the address goes: until then the
// director may not have heard yet, and still send new connections here.
const settle = time.Second

const (
	lookEvery = 100 * time.Millisecond
	// reserve is what a stop needs after draining.
	reserve = 2 * time.Second
)

// await waits until count has been 0 for the time quiet, or until ctx ends; what
// cannot be counted is taken for busy. left is the last count, -1 when unknown.
func await(ctx context.Context, quiet time.Duration, count func() (int, error)) (left int, err error) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	began := time.Now()
	idle := began
	for {
		now := time.Now()
		if left, err = count(); err != nil {
			left = -1
		}
		if left != 0 {
			idle = now
		}
		if left == 0 && now.Sub(idle) >= quiet {
			return 0, nil
		}
		select {
		case <-ctx.Done():
			return left, err
		case <-ticker.C:
		}
	}
}

// States of a TCP connection over which data may still have to go (net/tcp_states.h).
var busyStates = []uint8{
	1,  // established
	3,  // SYN received
	4,  // FIN-WAIT-1: closed here, data not yet acknowledged
	8,  // CLOSE-WAIT
	9,  // LAST-ACK
	11, // CLOSING
	12, // SYN received, no socket yet
}

// timeWait is how long the kernel remembers a connection that was closed here (TCP_TIMEWAIT_LEN, net/tcp.h).
const timeWait = 60 * time.Second

// Of a closed connection that is remembered (net/ipv4/inet_diag.c).
const (
	stateTimeWait  = 6
	timerRemembers = 3
)

// busy tells whether data may still go over a connection, or it has been there
// within the time settle: short ones fall between two looks, and yet say that the
// director goes on sending. Behind NAT that cannot be told from its own checks.
func (c config) busy(s *netlink.Socket) bool {
	if s.State == stateTimeWait && s.Timer == timerRemembers && c.mode != nat {
		return time.Duration(s.Expires)*time.Millisecond > timeWait-settle
	}
	return slices.Contains(busyStates, s.State)
}

// connections counts the local ends of TCP connections to the service.
func (c config) connections() (int, error) {
	n := 0
	for _, f := range []uint8{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		sockets, err := addrs.Dump(func() ([]*netlink.Socket, error) { return netlink.SocketDiagTCP(f) })
		if err != nil {
			return 0, fmt.Errorf("list TCP connections: %w", err)
		}
		for _, s := range sockets {
			ip, ok := netip.AddrFromSlice(s.ID.Source)
			if ok && c.busy(s) && c.serves(ip.Unmap(), s.ID.SourcePort) {
				n++
			}
		}
	}
	return n, nil
}

// serves tells whether a connection with this local end belongs to the service.
func (c config) serves(ip netip.Addr, port uint16) bool {
	if c.mode == nat {
		return slices.Contains(c.ports, port)
	}
	return slices.Contains(c.vips, ip) && (len(c.ports) == 0 || slices.Contains(c.ports, port))
}
