package vip

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"github.com/vishvananda/netlink"

	"golang.org/x/sys/unix"
	"systole/agents/internal/addrs"
)

const loopback = "lo"

// place is where an address is, or is to be.
type place struct {
	link netlink.Link
	bits int
}

func (p place) device() string       { return p.link.Attrs().Name }
func (p place) hw() net.HardwareAddr { return p.link.Attrs().HardwareAddr }
func (p place) index() int           { return p.link.Attrs().Index }
func (p place) ethernet() bool       { return len(p.hw()) == 6 && p.device() != loopback }

// locate finds the address on the machine: on the nic if one is configured,
// else on any device but lo.
func (c config) locate() (place, bool, error) {
	held, err := addrs.Dump(func() ([]netlink.Addr, error) { return netlink.AddrList(nil, addrs.Family(c.ip)) })
	if err != nil {
		return place{}, false, fmt.Errorf("list addresses: %w", err)
	}
	for _, a := range held {
		if ip, ok := netip.AddrFromSlice(a.IP); !ok || ip.Unmap() != c.ip {
			continue
		}
		link, err := netlink.LinkByIndex(a.LinkIndex)
		if err != nil {
			continue // it went away in between, and the address with it
		}
		name := link.Attrs().Name
		if c.nic != "" && name != c.nic || c.nic == "" && name == loopback {
			continue
		}
		ones, _ := a.Mask.Size()
		return place{link, ones}, true, nil
	}
	return place{}, false, nil
}

// errNoDevice: there is no place for the address on this node.
var errNoDevice = errors.New("no device")

// destine says where the address is to be added: the configured device, or the
// one with the longest direct route to it.
func (c config) destine() (place, error) {
	var p place
	if c.nic != "" {
		link, err := netlink.LinkByName(c.nic)
		if errors.As(err, &netlink.LinkNotFoundError{}) {
			return p, fmt.Errorf("%w %s on this node", errNoDevice, c.nic)
		}
		if err != nil {
			return p, fmt.Errorf("device %s: %w", c.nic, err)
		}
		p.link = link
	}
	routes, err := addrs.Dump(func() ([]netlink.Route, error) { return netlink.RouteList(p.link, addrs.Family(c.ip)) })
	if err != nil {
		return p, fmt.Errorf("list routes: %w", err)
	}
	best := -1
	for _, r := range routes {
		if r.Gw != nil || r.Dst == nil || len(r.MultiPath) > 0 || r.Table != unix.RT_TABLE_MAIN || !r.Dst.Contains(c.ip.AsSlice()) {
			continue
		}
		ones, _ := r.Dst.Mask.Size()
		if ones <= best || ones == 0 {
			continue
		}
		link, err := netlink.LinkByIndex(r.LinkIndex)
		if err != nil || (c.nic == "" && link.Attrs().Name == loopback) {
			continue
		}
		best, p.link = ones, link
	}
	p.bits = best
	switch {
	case p.link == nil:
		return p, fmt.Errorf("%w has a direct route to %v: set nic, and cidr_netmask if needed", errNoDevice, c.ip)
	case c.bits >= 0:
		p.bits = c.bits
	case best < 0:
		p.bits = c.ip.BitLen()
	}
	return p, nil
}

// add puts the address on the device; one that is there already is fine.
func (c config) add(p place) error {
	prefix := netip.PrefixFrom(c.ip, p.bits)
	addr := &netlink.Addr{IPNet: &net.IPNet{IP: c.ip.AsSlice(), Mask: net.CIDRMask(p.bits, c.ip.BitLen())}}
	if c.ip.Is4() {
		if c.label != "" {
			addr.Label = p.device() + ":" + c.label
		}
		switch c.broadcast {
		case "", "+":
			if last := lastOf(prefix); last.IsValid() {
				addr.Broadcast = last.AsSlice()
			}
		case "-":
		default:
			addr.Broadcast = net.ParseIP(c.broadcast).To4()
		}
		// Without one the library would work one out by itself.
		if addr.Broadcast == nil {
			addr.Broadcast = net.IPv4zero.To4()
		}
	}
	if c.ip.Is6() && c.nodad {
		addr.Flags |= unix.IFA_F_NODAD
	}
	if c.noprefixroute {
		addr.Flags |= unix.IFA_F_NOPREFIXROUTE
	}
	if c.preferred >= 0 {
		addr.PreferedLft, addr.ValidLft = c.preferred, lifetimeForever
	}
	if err := netlink.AddrAdd(p.link, addr); err != nil && !errors.Is(err, syscall.EEXIST) {
		return fmt.Errorf("add %v to %s: %w", prefix, p.device(), err)
	}
	return nil
}

// lifetimeForever is INFINITY_LIFE_TIME of IFA_CACHEINFO.
const lifetimeForever = 1<<32 - 1

// remove takes the address from the device; one that is not there is fine.
func (c config) remove(p place) error {
	addr := &netlink.Addr{IPNet: &net.IPNet{IP: c.ip.AsSlice(), Mask: net.CIDRMask(p.bits, c.ip.BitLen())}}
	err := netlink.AddrDel(p.link, addr)
	if err != nil && !errors.Is(err, syscall.EADDRNOTAVAIL) && !errors.Is(err, syscall.ENODEV) {
		return fmt.Errorf("remove %v/%d from %s: %w", c.ip, p.bits, p.device(), err)
	}
	return nil
}
