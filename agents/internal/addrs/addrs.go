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

// Dump repeats a netlink dump that a change has interrupted; the last answer is
// taken as it is, since there may always be another change.
func Dump[T any](list func() ([]T, error)) ([]T, error) {
	for range 5 {
		all, err := list()
		if !errors.Is(err, netlink.ErrDumpInterrupted) {
			return all, err
		}
	}
	all, err := list()
	if errors.Is(err, netlink.ErrDumpInterrupted) {
		return all, nil
	}
	return all, err
}
