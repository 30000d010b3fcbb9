// Package survey looks at what a node's network is, as far as load balancing
// depends on it: addresses, cards, kernel settings, routes, modules, and who on
// the link says that it has a virtual address. It changes nothing; the only
// packets it sends are ARP probes and neighbour solicitations, which claim nothing.
package survey

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Questions are what can only be answered once the site is known.
type Questions struct {
	// VIPs are asked for on every link of the node.
	VIPs []netip.Addr `json:"vips,omitempty"`
	// Toward are destinations whose routes are wanted.
	Toward []netip.Addr `json:"toward,omitempty"`
}

// Facts are what the node is.
type Facts struct {
	Addresses []Address `json:"addresses"`
	Links     []Link    `json:"links"`
	// Settings are kernel settings by their dotted name.
	Settings map[string]string `json:"settings"`
	// Modules say for ip_vs, ipip and others: "loaded", "there" or "missing".
	Modules map[string]string `json:"modules"`
	// Replies are the gateways to which rules send replies from a port.
	Replies []Reply `json:"replies,omitempty"`
	Routes  []Route `json:"routes,omitempty"`
	Claims  []Claim `json:"claims,omitempty"`
}

// Address is one on a device.
type Address struct {
	IP     netip.Addr `json:"ip"`
	Device string     `json:"device"`
}

// Link is a network device.
type Link struct {
	Name     string `json:"name"`
	Up       bool   `json:"up"`
	MTU      int    `json:"mtu"`
	Hardware string `json:"hardware,omitempty"` // of Ethernet
}

// Route is the way to a destination.
type Route struct {
	To      netip.Addr `json:"to"`
	Device  string     `json:"device,omitempty"` // "" for no route
	Gateway netip.Addr `json:"gateway,omitzero"`
	MTU     int        `json:"mtu,omitempty"` // of the route, or the device
	MSS     int        `json:"mss,omitempty"` // advertised by TCP, if the route says
}

// Reply is a rule for replies of a service.
type Reply struct {
	Port    uint16     `json:"port"`
	Gateway netip.Addr `json:"gateway"`
}

// Claim is a station that answers for a virtual address.
type Claim struct {
	VIP      netip.Addr `json:"vip"`
	Hardware string     `json:"hardware"`
	Device   string     `json:"device"` // on whose link it was heard
}

// Look surveys this node.
func Look(ctx context.Context, q Questions) (Facts, error) {
	f := Facts{Settings: map[string]string{}, Modules: map[string]string{}}
	links, err := netlink.LinkList()
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return f, fmt.Errorf("list network devices: %w", err)
	}
	names := map[int]string{}
	for _, l := range links {
		a := l.Attrs()
		names[a.Index] = a.Name
		x := Link{Name: a.Name, Up: a.Flags&net.FlagUp != 0, MTU: a.MTU}
		if len(a.HardwareAddr) == 6 && a.Flags&net.FlagLoopback == 0 {
			x.Hardware = a.HardwareAddr.String()
		}
		f.Links = append(f.Links, x)
	}
	addrs, err := netlink.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return f, fmt.Errorf("list addresses: %w", err)
	}
	for _, a := range addrs {
		if ip, ok := netip.AddrFromSlice(a.IP); ok {
			f.Addresses = append(f.Addresses, Address{ip.Unmap(), names[a.LinkIndex]})
		}
	}
	f.settings()
	for _, m := range modules {
		f.Modules[m] = module(m)
	}
	f.Replies = replies()
	for _, to := range q.Toward {
		f.Routes = append(f.Routes, route(to, names, f.Links))
	}
	f.Claims, err = claims(ctx, links, q.VIPs)
	return f, err
}

// settings reads what LVS depends on, of each device.
func (f *Facts) settings() {
	keys := []string{"net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"}
	for _, d := range append([]string{"all"}, deviceNames(f.Links)...) {
		for _, s := range []string{"arp_ignore", "arp_announce", "rp_filter"} {
			keys = append(keys, "net/ipv4/conf/"+strings.ReplaceAll(d, ".", "/")+"/"+s)
		}
	}
	for _, key := range keys {
		if value, err := os.ReadFile(filepath.Join("/proc/sys", key)); err == nil { // a kernel without IPv6, a device just gone
			f.Settings[strings.ReplaceAll(key, "/", ".")] = strings.TrimSpace(string(value))
		}
	}
}

func deviceNames(links []Link) (names []string) {
	for _, l := range links {
		names = append(names, l.Name)
	}
	return names
}

// modules are those a director or a real server behind a tunnel needs.
var modules = []string{"ip_vs", "ipip", "ip6_tunnel", "ip_gre", "fou"}

// module says whether a module is loaded, could be, or is missing. A kernel
// that has it built in counts as loaded.
func module(name string) string {
	if _, err := os.Stat("/sys/module/" + name); err == nil {
		return "loaded"
	}
	if name == "ip_vs" {
		if _, err := os.Stat("/proc/net/ip_vs"); err == nil {
			return "loaded"
		}
	}
	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil {
		return "missing"
	}
	dir := filepath.Join("/lib/modules", unix.ByteSliceToString(uts.Release[:]))
	for _, list := range []string{"modules.builtin", "modules.dep"} {
		text, err := os.ReadFile(filepath.Join(dir, list))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			file, _, _ := strings.Cut(strings.TrimSpace(line), ":")
			base, _, _ := strings.Cut(filepath.Base(file), ".ko")
			if strings.ReplaceAll(base, "-", "_") != name {
				continue
			}
			if list == "modules.builtin" {
				return "loaded"
			}
			return "there"
		}
	}
	return "missing"
}

// replies are the rules for replies from ports, with the gateway of their table.
func replies() (rs []Reply) {
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		rules, err := netlink.RuleList(family)
		if err != nil {
			continue // a kernel without rules has none
		}
		for _, r := range rules {
			if r.Sport == nil || r.IPProto == unix.IPPROTO_UDP {
				continue
			}
			routes, err := netlink.RouteListFiltered(family, &netlink.Route{Table: r.Table}, netlink.RT_FILTER_TABLE)
			if err != nil {
				continue
			}
			for _, t := range routes {
				if gw, ok := netip.AddrFromSlice(t.Gw); ok {
					rs = append(rs, Reply{r.Sport.Start, gw.Unmap()})
				}
			}
		}
	}
	slices.SortFunc(rs, func(a, b Reply) int { return cmp.Or(cmp.Compare(a.Port, b.Port), a.Gateway.Compare(b.Gateway)) })
	return slices.Compact(rs)
}

// route is the way to a destination; one that is not reached has no device.
func route(to netip.Addr, names map[int]string, links []Link) Route {
	r := Route{To: to}
	found, err := netlink.RouteGet(to.AsSlice())
	if err != nil || len(found) == 0 {
		return r
	}
	r.Device, r.MTU, r.MSS = names[found[0].LinkIndex], found[0].MTU, found[0].AdvMSS
	if gw, ok := netip.AddrFromSlice(found[0].Gw); ok {
		r.Gateway = gw.Unmap()
	}
	if i := slices.IndexFunc(links, func(l Link) bool { return l.Name == r.Device }); r.MTU == 0 && i >= 0 {
		r.MTU = links[i].MTU
	}
	return r
}
