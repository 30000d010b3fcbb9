package realserver

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// mode is how the director forwards to this node.
type mode string

const (
	direct mode = "dr"
	tunnel mode = "tun"
	nat    mode = "nat"
)

// config is one resource as configured.
type config struct {
	mode    mode
	vips    []netip.Addr
	nic     string // "" is by mode and family
	gateway netip.Addr
	ports   []uint16
	drain   time.Duration
}

// read checks the parameters. It does not look at the machine.
func read(params map[string]string) (config, error) {
	v, err := Metadata.Resolve(params)
	if err != nil {
		return config{}, err
	}
	c := config{mode: mode(v.String("mode")), nic: v.String("nic"), drain: v.Duration("drain_timeout")}
	var errs []error
	problem := func(name, format string, args ...any) {
		errs = append(errs, fmt.Errorf("parameter %s of %s: %s", name, Metadata.Name, fmt.Sprintf(format, args...)))
	}
	if !slices.Contains([]mode{direct, tunnel, nat}, c.mode) {
		problem("mode", "%q is none of dr, tun, nat", c.mode)
	}
	for _, s := range words(v.String("vip")) {
		ip, err := netip.ParseAddr(s)
		switch ip = ip.Unmap(); {
		case err != nil || ip.Zone() != "":
			problem("vip", "%q is not an IP address without prefix length", s)
		case ip.IsUnspecified() || ip.IsLoopback() || ip.IsMulticast():
			problem("vip", "%v cannot be a virtual address", ip)
		case !slices.Contains(c.vips, ip):
			c.vips = append(c.vips, ip)
		}
	}
	if len(c.vips) == 0 && c.mode != nat && v.String("vip") == "" {
		problem("vip", "mode %s needs the virtual addresses: set it", c.mode)
	}
	if len(c.nic) >= unix.IFNAMSIZ || strings.ContainsAny(c.nic, "/ :") {
		problem("nic", "%q is not the name of a device", c.nic)
	}
	if s := v.String("gateway"); s != "" {
		if c.gateway, err = netip.ParseAddr(s); err != nil {
			problem("gateway", "%q is not an IP address", s)
		} else if c.mode != nat {
			problem("gateway", "only mode=nat sends replies through the director: leave it out or set mode=nat")
		}
		c.gateway = c.gateway.Unmap()
	}
	for _, s := range words(v.String("ports")) {
		n, err := strconv.ParseUint(s, 10, 16)
		if err != nil || n == 0 {
			problem("ports", "%q is not a port number", s)
			continue
		}
		c.ports = append(c.ports, uint16(n))
	}
	return c, errors.Join(errs...)
}

func words(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == '\n' })
}

// device is where a virtual address belongs when this node is only a real server.
func (c config) device(vip netip.Addr) string {
	switch {
	case c.nic != "":
		return c.nic
	case c.mode == tunnel && vip.Is4():
		return "tunl0"
	case c.mode == tunnel:
		return "ip6tnl0"
	}
	return loopback
}

// local are the addresses this node must hold: none behind masquerading.
func (c config) local() []netip.Addr {
	if c.mode == nat {
		return nil
	}
	return c.vips
}

// need is one kernel setting (below /proc/sys) and the values that will do. The
// first is written when the present one is none of them.
type need struct {
	key  string
	will []string
}

// needs are the settings of the mode. towards is the device to the gateway.
//
// The kernel takes the larger of all and the device for arp_ignore, arp_announce
// and rp_filter (Documentation/networking/ip-sysctl.rst), so all decides what
// no device may undercut.
func (c config) needs(towards string) []need {
	var ns []need
	add := func(family, setting string, devices []string, will ...string) {
		for _, d := range devices {
			ns = append(ns, need{"net/" + family + "/conf/" + strings.ReplaceAll(d, ".", "/") + "/" + setting, will})
		}
	}
	for _, vip := range c.local() {
		if d := c.device(vip); vip.Is4() {
			add("ipv4", "arp_ignore", []string{"all", d}, silent...)
			add("ipv4", "arp_announce", []string{"all", d}, "2")
			if c.mode == tunnel {
				// The reply's way is not back through the tunnel: a strict filter drops the
				// request. 2 on the device also beats a 1 of all.
				add("ipv4", "rp_filter", []string{d}, "2")
			}
		}
	}
	if c.gateway.Is4() && towards != "" {
		// On one network the director tells its senders of the shorter way; replies on it are lost.
		add("ipv4", "accept_redirects", []string{"all", towards}, "0")
	}
	if c.gateway.Is6() && towards != "" {
		add("ipv6", "accept_redirects", []string{towards}, "0")
	}
	slices.SortFunc(ns, func(a, b need) int { return strings.Compare(a.key, b.key) })
	return slices.CompactFunc(ns, func(a, b need) bool { return a.key == b.key })
}

// silent are the values of arp_ignore by which a device does not answer for an
// address that another one holds; 3 and above 8 do not keep quiet for one of lo.
var silent = []string{"1", "2", "8"}
