package realserver

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
)

// settle is how long nothing must be left before the address goes: until then the
// director may not have heard yet, and still send new connections here.
const settle = time.Second

const (
	lookEvery = 100 * time.Millisecond
	// reserve is what a stop needs after draining.
	reserve = 2 * time.Second
)

// await waits until count has been 0 for the time quiet, or until limit has
// passed; what cannot be counted is taken for busy. left is the last count, -1
// when unknown.
func await(ctx context.Context, limit, quiet time.Duration, count func() (int, error)) (left int, err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	ticker := time.NewTicker(min(lookEvery, max(limit, time.Millisecond)))
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

// connections counts the local ends of TCP connections to the service.
func (c config) connections() (int, error) {
	n := 0
	for _, f := range []uint8{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		sockets, err := dump(func() ([]*netlink.Socket, error) { return netlink.SocketDiagTCP(f) })
		if err != nil {
			return 0, fmt.Errorf("list TCP connections: %w", err)
		}
		for _, s := range sockets {
			ip, ok := netip.AddrFromSlice(s.ID.Source)
			if ok && slices.Contains(busyStates, s.State) && c.serves(ip.Unmap(), s.ID.SourcePort) {
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
