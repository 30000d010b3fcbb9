package vip

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"systole/resources"
)

// config is one address as configured.
type config struct {
	ip            netip.Addr
	nic           string // "" is by route
	bits          int    // prefix length; -1 is by route
	broadcast     string // "", "+", "-" or an address
	label         string
	lvs           bool
	count         int
	interval      time.Duration
	monitorCount  int
	refresh       time.Duration
	background    bool
	duplicate     string
	nodad         bool
	noprefixroute bool
	preferred     int // seconds; -1 is for ever
}

// read checks the parameters. It does not look at the machine.
func read(params map[string]string) (config, error) {
	v, err := Metadata.Resolve(params)
	if err != nil {
		return config{}, err
	}
	c := config{
		nic: v.String("nic"), bits: -1, broadcast: v.String("broadcast"), label: v.String("iflabel"),
		lvs: v.Bool("lvs_support"), count: v.Int("arp_count"), monitorCount: v.Int("arp_count_refresh"),
		interval: time.Duration(v.Int("arp_interval")) * time.Millisecond, refresh: v.Duration("announce_refresh"),
		background: v.Bool("arp_bg"), duplicate: v.String("duplicate_check"),
		nodad: v.Bool("nodad"), noprefixroute: v.Bool("noprefixroute"), preferred: -1,
	}
	var errs []error
	problem := func(name, format string, args ...any) {
		errs = append(errs, fmt.Errorf("parameter %s of %s: %s", name, Metadata.Name, fmt.Sprintf(format, args...)))
	}
	if c.ip, err = netip.ParseAddr(v.String("ip")); err != nil || c.ip.Zone() != "" {
		problem("ip", "%q is not an IP address", v.String("ip"))
	}
	c.ip = c.ip.Unmap()
	if len(c.nic) >= unix.IFNAMSIZ || strings.ContainsAny(c.nic, "/ :") {
		problem("nic", "%q is not the name of a device", c.nic)
	}
	if s := v.String("cidr_netmask"); s != "" {
		if c.bits, err = prefixLength(s, c.ip.BitLen()); err != nil {
			problem("cidr_netmask", "%v", err)
		}
	}
	if b, err := netip.ParseAddr(c.broadcast); c.broadcast != "" && c.broadcast != "+" && c.broadcast != "-" && (err != nil || !b.Is4()) {
		problem("broadcast", "%q is not an IPv4 address, + or -", c.broadcast)
	}
	if c.label != "" && (len(c.nic)+1+len(c.label) >= unix.IFNAMSIZ || strings.ContainsAny(c.label, " \t\n")) {
		problem("iflabel", "%q is too long for a label: device and label together have %d characters at most", c.label, unix.IFNAMSIZ-2)
	}
	switch c.duplicate {
	case "refuse", "warn", "off":
	default:
		problem("duplicate_check", "%q is none of refuse, warn, off", c.duplicate)
	}
	if s := v.String("preferred_lft"); s != "forever" {
		if c.preferred, err = strconv.Atoi(s); err != nil || c.preferred < 0 {
			problem("preferred_lft", "%q is neither a number of seconds nor forever", s)
		}
	}
	for _, name := range elsewhere {
		if b, err := resources.ParseBool(params[name]); params[name] != "" && (err != nil || b) {
			problem(name, "this agent does not have it: use ocf:heartbeat:IPaddr2")
		}
	}
	return c, errors.Join(errs...)
}

// prefixLength reads "24" or "255.255.255.0".
func prefixLength(s string, most int) (int, error) {
	if ip := net.ParseIP(s).To4(); ip != nil && most == 32 {
		ones, size := net.IPMask(ip).Size()
		if size == 0 {
			return 0, fmt.Errorf("%q is not a netmask", s)
		}
		return ones, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > most {
		return 0, fmt.Errorf("%q is not a prefix length of at most %d", s, most)
	}
	return n, nil
}

// lastOf is the broadcast address of an IPv4 subnet, invalid when it has none.
func lastOf(p netip.Prefix) netip.Addr {
	if !p.Addr().Is4() || p.Bits() > 30 {
		return netip.Addr{}
	}
	b := p.Masked().Addr().As4()
	for i := p.Bits(); i < 32; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	return netip.AddrFrom4(b)
}
