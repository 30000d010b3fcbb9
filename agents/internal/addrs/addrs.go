// Package addrs asks the kernel for addresses, for the agents that own them.
package addrs

import (
	"errors"
	"net/netip"

	"github.com/vishvananda/netlink"
)

// Family is the netlink family of an address.
func Family(ip netip.Addr) int {
	if ip.Is4() {
		return netlink.FAMILY_V4
	}
	return netlink.FAMILY_V6
}

// mostTries is far more often than anything changes addresses while one list is read.
const mostTries = 20

// Dump repeats a netlink dump that a change has interrupted. A list that stays incomplete
// is an error: what is missing in it may be there, and must not count as stopped.
func Dump[T any](list func() ([]T, error)) (all []T, err error) {
	for range mostTries {
		if all, err = list(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			return all, err
		}
	}
	return nil, err
}
