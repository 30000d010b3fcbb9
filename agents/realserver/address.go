package realserver

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

// lifetimeForever is INFINITY_LIFE_TIME of IFA_CACHEINFO.
const lifetimeForever = 1<<32 - 1

// holders are the devices that have the address.
func holders(ip netip.Addr) (devices []string, err error) {
	held, err := addrs.Dump(func() ([]netlink.Addr, error) { return netlink.AddrList(nil, addrs.Family(ip)) })
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	for _, a := range held {
		if have, ok := netip.AddrFromSlice(a.IP); !ok || have.Unmap() != ip {
			continue
		}
		if link, err := netlink.LinkByIndex(a.LinkIndex); err == nil {
			devices = append(devices, link.Attrs().Name)
		}
	}
	return devices, nil
}

// hostAddr is the address as a real server holds it: for this host alone, and
// never chosen as the source of what the host itself begins.
func hostAddr(ip netip.Addr) *netlink.Addr {
	a := &netlink.Addr{IPNet: &net.IPNet{IP: ip.AsSlice(), Mask: net.CIDRMask(ip.BitLen(), ip.BitLen())}}
	if ip.Is4() {
		a.Scope = unix.RT_SCOPE_HOST
		a.Broadcast = net.IPv4zero.To4() // without one the library would work one out
		return a
	}
	a.Flags = unix.IFA_F_NODAD // others have it too; lo asks nobody, a tunnel might
	a.PreferedLft, a.ValidLft = 0, lifetimeForever
	return a
}

// hold puts the address on the device; one that is there is fine.
func hold(ip netip.Addr, device string) error {
	link, err := netlink.LinkByName(device)
	if err != nil {
		return fmt.Errorf("device %s: %w", device, err)
	}
	if err := netlink.AddrAdd(link, hostAddr(ip)); err != nil && !errors.Is(err, syscall.EEXIST) {
		return fmt.Errorf("add %v to %s: %w", ip, device, err)
	}
	return nil
}

// drop takes the address from the device; one that is not there is fine.
func drop(ip netip.Addr, device string) error {
	link, err := netlink.LinkByName(device)
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("device %s: %w", device, err)
	}
	err = netlink.AddrDel(link, hostAddr(ip))
	if err != nil && !errors.Is(err, syscall.EADDRNOTAVAIL) && !errors.Is(err, syscall.ENODEV) {
		return fmt.Errorf("remove %v from %s: %w", ip, device, err)
	}
	return nil
}

// raise makes sure that a device is there and up. The two tunnel devices that
// take packets from any peer come with their kernel module, which asking for
// one loads.
func raise(device string) error {
	link, err := netlink.LinkByName(device)
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		var made netlink.Link
		switch attrs := (netlink.LinkAttrs{Name: device}); device {
		case "tunl0":
			made = &netlink.Iptun{LinkAttrs: attrs}
		case "ip6tnl0":
			made = &netlink.Ip6tnl{LinkAttrs: attrs}
		default:
			return fmt.Errorf("there is no device %s on this node: make it, or set nic", device)
		}
		if err := netlink.LinkAdd(made); err != nil && !errors.Is(err, syscall.EEXIST) {
			return fmt.Errorf("make %s: %w; is the kernel module ipip (ip6_tunnel for IPv6) there?", device, err)
		}
		link, err = netlink.LinkByName(device)
	}
	if err != nil {
		return fmt.Errorf("device %s: %w", device, err)
	}
	if link.Attrs().Flags&net.FlagUp != 0 {
		return nil
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("set %s up: %w", device, err)
	}
	return nil
}
