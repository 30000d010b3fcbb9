package realserver

import (
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"net/netip"
	"slices"
	"syscall"

	"github.com/vishvananda/netlink"

	"golang.org/x/sys/unix"
	"systole/agents/internal/addrs"
)

// Behind a masquerading director every reply must pass it again. Two ways:
//
// With ports, rules send replies from these ports to a table of their own whose
// only route is the director. They hold for clients on this node's own network
// too, and the node's other traffic is left alone.
//
// Without, two routes that together cover everything, each more specific than a
// default route, lead to the director. The default route stays as it is, so
// nothing has to be remembered.
//
// Rules and routes bear a protocol number, by which they are known as ours.
const (
	ownProtocol  = 83   // of routes and rules; not in rtnetlink.h, which leaves 64..185 to anybody
	rulePriority = 8300 // before main (32766)
	tablesFrom   = 0x53000000
)

// table is the routing table of a gateway's replies: the same on every start.
func table(gateway netip.Addr) int {
	h := fnv.New32a()
	h.Write(gateway.AsSlice()) // a hash takes everything
	return tablesFrom | int(h.Sum32()&0xffffff)
}

// towards is the device on which the gateway is a neighbour.
func (c config) towards() (string, error) {
	if !c.gateway.IsValid() {
		return "", nil
	}
	if c.nic != "" {
		return c.nic, nil
	}
	routes, err := netlink.RouteGet(c.gateway.AsSlice())
	if err != nil || len(routes) == 0 {
		return "", fmt.Errorf("there is no route to the gateway %v: it must be on a network of this node (%w)", c.gateway, cmpErr(err))
	}
	if routes[0].Gw != nil {
		return "", fmt.Errorf("the gateway %v is behind the router %v: it must be on a network of this node", c.gateway, routes[0].Gw)
	}
	link, err := netlink.LinkByIndex(routes[0].LinkIndex)
	if err != nil {
		return "", err
	}
	if routes[0].Type == unix.RTN_LOCAL {
		return "", fmt.Errorf("the gateway %v is this node itself: a director behind itself needs no gateway", c.gateway)
	}
	return link.Attrs().Name, nil
}

func cmpErr(err error) error {
	if err == nil {
		return syscall.ENETUNREACH
	}
	return err
}

// routes are the ones this configuration needs.
func (c config) routes(device string) ([]netlink.Route, error) {
	if !c.gateway.IsValid() {
		return nil, nil
	}
	link, err := netlink.LinkByName(device)
	if err != nil {
		return nil, fmt.Errorf("device %s: %w", device, err)
	}
	via := netlink.Route{
		LinkIndex: link.Attrs().Index, Gw: c.gateway.AsSlice(), Protocol: ownProtocol,
		Table: unix.RT_TABLE_MAIN, Family: addrs.Family(c.gateway), Flags: int(netlink.FLAG_ONLINK),
	}
	bits := c.gateway.BitLen()
	if len(c.ports) > 0 {
		via.Table = table(c.gateway)
		via.Dst = &net.IPNet{IP: make(net.IP, bits/8), Mask: net.CIDRMask(0, bits)}
		return []netlink.Route{via}, nil
	}
	low, high := via, via
	upper := make(net.IP, bits/8)
	upper[0] = 0x80
	low.Dst = &net.IPNet{IP: make(net.IP, bits/8), Mask: net.CIDRMask(1, bits)}
	high.Dst = &net.IPNet{IP: upper, Mask: net.CIDRMask(1, bits)}
	return []netlink.Route{low, high}, nil
}

// rules are the ones this configuration needs, one for each port and protocol.
func (c config) rules() []netlink.Rule {
	var rs []netlink.Rule
	if !c.gateway.IsValid() {
		return nil
	}
	for _, port := range c.ports {
		for _, proto := range []int{unix.IPPROTO_TCP, unix.IPPROTO_UDP} {
			r := netlink.NewRule()
			r.Family, r.Table, r.Priority, r.Protocol = addrs.Family(c.gateway), table(c.gateway), rulePriority, ownProtocol
			r.IifName, r.IPProto, r.Sport = loopback, proto, netlink.NewRulePortRange(port, port)
			rs = append(rs, *r)
		}
	}
	return rs
}

// things are the names under which the ledger counts who relies on the routing.
func (c config) routing() []string {
	if !c.gateway.IsValid() {
		return nil
	}
	if len(c.ports) == 0 {
		return []string{"route via " + c.gateway.String()}
	}
	names := []string{"table via " + c.gateway.String()}
	for _, p := range c.ports {
		names = append(names, ruleName(c.gateway, p))
	}
	return names
}

func ruleName(gateway netip.Addr, port uint16) string {
	return fmt.Sprintf("rule via %v port %d", gateway, port)
}

// lead sends replies to the gateway.
func (c config) lead(device string) error {
	routes, err := c.routes(device)
	if err != nil {
		return err
	}
	for _, r := range routes {
		if err := netlink.RouteReplace(&r); err != nil {
			return fmt.Errorf("route through %v on %s: %w", c.gateway, device, err)
		}
	}
	for _, r := range c.rules() {
		if err := netlink.RuleAdd(&r); err != nil && !errors.Is(err, syscall.EEXIST) {
			return fmt.Errorf("rule for port %d through %v: %w", r.Sport.Start, c.gateway, err)
		}
	}
	return nil
}

// missing says which route or rule is not there, "" when all are.
func (c config) missing() (string, error) {
	if !c.gateway.IsValid() {
		return "", nil
	}
	there, err := c.routesThere()
	if err != nil {
		return "", err
	}
	want := 2
	if len(c.ports) > 0 {
		want = 1
	}
	if len(there) < want {
		return fmt.Sprintf("the route through the gateway %v has gone", c.gateway), nil
	}
	rules, err := c.rulesThere()
	if err != nil {
		return "", err
	}
	for _, need := range c.rules() {
		if !slices.ContainsFunc(rules, func(r netlink.Rule) bool { return sameRule(r, need) }) {
			return fmt.Sprintf("the rule that sends replies from port %d to %v has gone", need.Sport.Start, c.gateway), nil
		}
	}
	return "", nil
}

// routesThere are our routes through the gateway in the table the configuration uses.
func (c config) routesThere() ([]netlink.Route, error) {
	in := unix.RT_TABLE_MAIN
	if len(c.ports) > 0 {
		in = table(c.gateway)
	}
	filter := &netlink.Route{Table: in, Protocol: ownProtocol, Gw: c.gateway.AsSlice()}
	routes, err := addrs.Dump(func() ([]netlink.Route, error) {
		return netlink.RouteListFiltered(addrs.Family(c.gateway), filter, netlink.RT_FILTER_TABLE|netlink.RT_FILTER_PROTOCOL|netlink.RT_FILTER_GW)
	})
	if err != nil {
		return nil, fmt.Errorf("list routes: %w", err)
	}
	return routes, nil
}

func (c config) rulesThere() ([]netlink.Rule, error) {
	rules, err := addrs.Dump(func() ([]netlink.Rule, error) { return netlink.RuleList(addrs.Family(c.gateway)) })
	if err != nil {
		return nil, fmt.Errorf("list routing rules: %w", err)
	}
	return slices.DeleteFunc(rules, func(r netlink.Rule) bool { return r.Protocol != ownProtocol || r.Table != table(c.gateway) }), nil
}

func sameRule(a, b netlink.Rule) bool {
	return a.Table == b.Table && a.IPProto == b.IPProto && a.Sport != nil && b.Sport != nil && a.Sport.Start == b.Sport.Start
}

// mislead takes rules and routes away that nobody else relies on.
func (c config) mislead(alone func(thing string) bool) error {
	if !c.gateway.IsValid() {
		return nil
	}
	rules, err := c.rulesThere()
	if err != nil {
		return err
	}
	for _, r := range c.rules() {
		if !alone(ruleName(c.gateway, r.Sport.Start)) || !slices.ContainsFunc(rules, func(have netlink.Rule) bool { return sameRule(have, r) }) {
			continue
		}
		if err := netlink.RuleDel(&r); err != nil && !errors.Is(err, syscall.ENOENT) {
			return fmt.Errorf("remove the rule for port %d through %v: %w", r.Sport.Start, c.gateway, err)
		}
	}
	if !alone(c.routing()[0]) {
		return nil
	}
	routes, err := c.routesThere()
	if err != nil {
		return err
	}
	for _, r := range routes {
		if err := netlink.RouteDel(&r); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("remove the route through %v: %w", c.gateway, err)
		}
	}
	return nil
}
