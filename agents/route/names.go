package route

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// tables and protocols have numbers in the kernel (rt_tables, rt_protos of iproute2).
var (
	tables    = map[string]int{"": unix.RT_TABLE_MAIN, "main": unix.RT_TABLE_MAIN, "local": unix.RT_TABLE_LOCAL, "default": unix.RT_TABLE_DEFAULT}
	protocols = map[string]int{"kernel": unix.RTPROT_KERNEL, "boot": unix.RTPROT_BOOT, "static": unix.RTPROT_STATIC, "dhcp": unix.RTPROT_DHCP, "ra": unix.RTPROT_RA}
)

// number is a name of a table, or a number.
func number(names map[string]int, s string) (int, error) {
	if n, ok := names[s]; ok {
		return n, nil
	}
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil {
		return 0, fmt.Errorf("%q is neither a number nor a known name", s)
	}
	return int(n), nil
}

// anywhere is the destination of a default route.
func anywhere(v6 bool) netip.Prefix {
	if v6 {
		return netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	}
	return netip.PrefixFrom(netip.IPv4Unspecified(), 0)
}

// network reads a network, or a host without a prefix length.
func network(s string) (netip.Prefix, error) {
	if p, err := netip.ParsePrefix(s); err == nil {
		return p.Masked(), nil
	}
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return netip.Prefix{}, fmt.Errorf("%q is no network", s)
	}
	return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), nil
}

// prefixLength reads "24" or "255.255.255.0".
func prefixLength(s string, most int) (int, error) {
	if ip := net.ParseIP(s).To4(); ip != nil && most == 32 {
		if ones, size := net.IPMask(ip).Size(); size != 0 {
			return ones, nil
		}
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > most {
		return 0, fmt.Errorf("%q is not a prefix length of at most %d", s, most)
	}
	return n, nil
}

// ipNet is a prefix as netlink's library wants it.
func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// prefixOf reads a route's destination; nil is the default route's.
func prefixOf(n *net.IPNet, v6 bool) netip.Prefix {
	if n == nil {
		return anywhere(v6)
	}
	a, _ := netip.AddrFromSlice(n.IP)
	ones, _ := n.Mask.Size()
	return netip.PrefixFrom(a.Unmap(), ones).Masked()
}

// sameIP compares an address of netlink with one of ours; nil is none.
func sameIP(ip net.IP, a netip.Addr) bool {
	b, ok := netip.AddrFromSlice(ip)
	return ok == a.IsValid() && (!ok || b.Unmap() == a)
}

// words joins what is set, for messages.
func words(pairs ...string) string {
	var b []string
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			b = append(b, strings.TrimSpace(pairs[i]+" "+pairs[i+1]))
		}
	}
	return strings.Join(b, " ")
}
