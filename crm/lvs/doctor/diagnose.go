package doctor

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"systole/agents/ipvs/table"
	"systole/agents/realserver/survey"
)

// Fault is a kind of fault; the texts are stable.
type Fault string

// The faults.
const (
	AnswersARP    Fault = "answers-arp"    // a real server says on the link that it has the virtual address
	VIPMissing    Fault = "vip-missing"    // a real server lacks it
	ARPSettings   Fault = "arp-settings"   // arp_ignore or arp_announce would let it speak
	ReversePath   Fault = "rp-filter"      // what comes out of the tunnel is dropped
	NATGateway    Fault = "nat-gateway"    // replies do not pass the director
	IPForward     Fault = "ip-forward"     // the director does not route
	TunnelMTU     Fault = "tunnel-mtu"     // full packets do not fit through the tunnel
	ModuleMissing Fault = "module-missing" // the kernel cannot do it
	PathDead      Fault = "path-dead"      // healthy by its checks, and no client gets through
	NodeUnknown   Fault = "node-unknown"   // it could not be looked at
)

// Finding is one fault of one node, with what to do.
type Finding struct {
	Fault  Fault  `json:"fault"`
	Node   string `json:"node,omitempty"`
	What   string `json:"what"`
	Remedy string `json:"remedy"`
}

// Site is all that is known: the facts of each node, and which nodes should be
// directors by the cluster's configuration.
type Site struct {
	Nodes     []Facts
	Directors []string
}

// Outside are addresses no site has (RFC 2544 and RFC 5180, for benchmarks): the way to them
// is the way to clients from elsewhere.
var Outside = []netip.Addr{netip.MustParseAddr("198.18.0.1"), netip.MustParseAddr("2001:2::1")}

// Diagnose compares the nodes with what the tables of the active directors need.
func Diagnose(s Site) []Finding {
	d := diagnosis{Site: s}
	for _, n := range s.Nodes {
		if n.Error != "" {
			d.find(NodeUnknown, n.Node, "it could not be looked at: "+n.Error, "crm lvs doctor --local on "+n.Node+" says more")
		}
	}
	for _, name := range s.Directors {
		if n := d.node(name); n != nil && n.Modules["ip_vs"] == "missing" {
			d.find(ModuleMissing, name, "the kernel of this director has no IPVS", "install the kernel's module ip_vs (modprobe ip_vs must work), or boot a kernel that has it")
		}
	}
	for i := range s.Nodes {
		n := &s.Nodes[i]
		for _, v := range n.Services {
			if n.speaksFor(v) {
				d.service(n, v)
			}
		}
	}
	slices.SortStableFunc(d.findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Node, b.Node), cmp.Compare(a.Fault, b.Fault), cmp.Compare(a.What, b.What))
	})
	return slices.Compact(d.findings)
}

type diagnosis struct {
	Site
	findings []Finding
}

func (d *diagnosis) find(f Fault, node, what, remedy string) {
	d.findings = append(d.findings, Finding{f, node, what, remedy})
}

func (d *diagnosis) node(name string) *Facts {
	if i := slices.IndexFunc(d.Nodes, func(n Facts) bool { return n.Node == name }); i >= 0 {
		return &d.Nodes[i]
	}
	return nil
}

// owner is the node that has the address, nil for a machine outside the cluster.
func (d *diagnosis) owner(ip netip.Addr) *Facts {
	for i := range d.Nodes {
		if len(d.Nodes[i].devices(ip)) > 0 {
			return &d.Nodes[i]
		}
	}
	return nil
}

// service looks at everything one service of an active director needs.
func (d *diagnosis) service(director *Facts, s Service) {
	before := len(d.findings)
	vip := s.Addr.Addr()
	d.claims(director, vip)
	for _, r := range s.Servers {
		n := d.owner(r.Addr.Addr())
		if n == nil || n == director { // not ours to look at, or served here
			continue
		}
		switch r.Forward {
		case table.DirectRouting:
			d.holdsVIP(n, vip, "lo")
		case table.Tunneling:
			d.tunnel(director, n, r, vip)
		case table.Masquerade:
			d.masquerade(director, n, r, s)
		}
	}
	if len(d.findings) == before {
		d.path(director, s)
	}
}

// claims looks for stations that answer for the address and are not the director.
func (d *diagnosis) claims(director *Facts, vip netip.Addr) {
	if !vip.IsValid() {
		return
	}
	var own []string
	for _, l := range director.Links {
		own = append(own, l.Hardware)
	}
	seen := map[string]bool{}
	for _, asker := range d.Nodes {
		for _, c := range asker.Claims {
			if c.VIP != vip || slices.Contains(own, c.Hardware) || seen[c.Hardware] {
				continue
			}
			seen[c.Hardware] = true
			if n := d.station(c.Hardware); n != nil {
				d.find(AnswersARP, n.Node, fmt.Sprintf("it says on the link that it has %v (from %s); the director is %s", vip, c.Hardware, director.Node),
					"run ocf:systole:realserver there, or set net.ipv4.conf.all.arp_ignore=1 and arp_announce=2 and keep the address on lo alone; then clear the caches of routers")
			} else {
				d.find(AnswersARP, "", fmt.Sprintf("a machine with the hardware address %s that is no node of this cluster says that it has %v", c.Hardware, vip), "find it by the tables of your switches, and take the address from it")
			}
		}
	}
}

func (d *diagnosis) station(hardware string) *Facts {
	for i := range d.Nodes {
		if slices.ContainsFunc(d.Nodes[i].Links, func(l survey.Link) bool { return l.Hardware == hardware }) {
			return &d.Nodes[i]
		}
	}
	return nil
}

// holdsVIP looks whether a real server has the address, and keeps quiet about it.
func (d *diagnosis) holdsVIP(n *Facts, vip netip.Addr, device string) {
	if !vip.IsValid() { // a firewall mark does not say which address its packets have
		return
	}
	if len(n.devices(vip)) == 0 {
		d.find(VIPMissing, n.Node, fmt.Sprintf("it is a real server of %v and does not have the address: it drops what the director sends", vip),
			fmt.Sprintf("run ocf:systole:realserver there with vip=%v, or ip address add %v/%d dev %s", vip, vip, vip.BitLen(), device))
	}
	if vip.Is6() {
		return // neighbour solicitations are answered only on the card that has the address
	}
	var wrong []string
	for _, l := range n.Links {
		if !l.Up || l.Hardware == "" {
			continue
		}
		if v := n.effective("arp_ignore", l.Name); v != 1 && v != 2 && v != 8 {
			wrong = append(wrong, fmt.Sprintf("arp_ignore of %s is %d, not 1", l.Name, v))
		}
		if v := n.effective("arp_announce", l.Name); v < 2 {
			wrong = append(wrong, fmt.Sprintf("arp_announce of %s is %d, not 2", l.Name, v))
		}
	}
	if len(wrong) > 0 {
		d.find(ARPSettings, n.Node, "it would speak for a virtual address: "+strings.Join(wrong, ", "),
			"run ocf:systole:realserver there, or sysctl -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2 (a larger value of one device stands above all)")
	}
}

// tunnels are the device that takes packets of a tunnel from any peer, its
// module, and how much the tunnel adds to a packet.
func tunnelOf(r RealServer, v4 bool) (device, module string, overhead int) {
	header := 20
	if !r.Addr.Addr().Is4() {
		header = 40
	}
	switch r.Tunnel {
	case table.GUE:
		return "", "fou", header + 8 + 4 // UDP and GUE
	case table.GRE:
		return "gre0", "ip_gre", header + 4
	}
	if !r.Addr.Addr().Is4() || !v4 {
		return "ip6tnl0", "ip6_tunnel", header
	}
	return "tunl0", "ipip", header
}

func (d *diagnosis) tunnel(director, n *Facts, r RealServer, vip netip.Addr) {
	device, module, overhead := tunnelOf(r, vip.Is4() || !vip.IsValid())
	if n.Modules[module] == "missing" {
		d.find(ModuleMissing, n.Node, fmt.Sprintf("the director sends through a tunnel, and the kernel has no module %s", module), "install the kernel's module "+module+" (modprobe "+module+" must work)")
		return
	}
	d.holdsVIP(n, vip, cmp.Or(device, "lo"))
	if device != "" {
		i := slices.IndexFunc(n.Links, func(l survey.Link) bool { return l.Name == device })
		switch {
		case i < 0:
			d.find(ModuleMissing, n.Node, fmt.Sprintf("the director sends through a tunnel, and there is no device %s to take it: the module %s is not loaded", device, module), "modprobe "+module+" and ip link set "+device+" up, or run ocf:systole:realserver with mode=tun")
		case !n.Links[i].Up:
			d.find(ModuleMissing, n.Node, fmt.Sprintf("the device %s, which takes what the director sends through the tunnel, is down", device), "ip link set "+device+" up, or run ocf:systole:realserver with mode=tun")
		}
		if v := n.effective("rp_filter", device); i >= 0 && vip.Is4() && v == 1 {
			d.find(ReversePath, n.Node, fmt.Sprintf("rp_filter of %s is 1: what comes out of the tunnel is dropped, since the way back is another card", device),
				"run ocf:systole:realserver with mode=tun, or sysctl -w net.ipv4.conf."+device+".rp_filter=2")
		}
	}
	d.tunnelMTU(director, n, r, overhead)
}

// tunnelMTU compares the largest packet clients will send, by the MSS that the
// real server tells them, with what fits through the tunnel.
func (d *diagnosis) tunnelMTU(director, n *Facts, r RealServer, overhead int) {
	inner, ok := director.route(r.Addr.Addr())
	outside, known := n.outside(r.Addr.Addr().Is4())
	if !ok || !known || inner.MTU == 0 || outside.MTU == 0 {
		return
	}
	headers := 40 // of IP and TCP
	if !r.Addr.Addr().Is4() {
		headers = 60
	}
	largest := outside.MTU
	if outside.MSS > 0 {
		largest = min(largest, outside.MSS+headers)
	}
	if fits := inner.MTU - overhead; largest > fits {
		d.find(TunnelMTU, n.Node, fmt.Sprintf("clients may send packets of %d bytes, and only %d fit through the tunnel from %s: uploads hang where ICMP is filtered", largest, fits, director.Node),
			fmt.Sprintf("raise the MTU between director and real servers by %d, or on %s: ip route change default via … advmss %d", overhead, n.Node, fits-headers))
	}
}

func (d *diagnosis) masquerade(director, n *Facts, r RealServer, s Service) {
	v4 := r.Addr.Addr().Is4()
	key := "net.ipv4.ip_forward"
	if !v4 {
		key = "net.ipv6.conf.all.forwarding"
	}
	if director.Settings[key] == "0" {
		d.find(IPForward, director.Node, fmt.Sprintf("it masquerades %s and does not forward packets: %s is 0", s.Service, key), "sysctl -w "+key+"=1; ocf:systole:ipvs sets it")
	}
	for _, rule := range n.Replies {
		if rule.Port == r.Addr.Port() && len(director.devices(rule.Gateway)) > 0 {
			return
		}
	}
	outside, known := n.outside(v4)
	if !known || len(director.devices(outside.Gateway)) > 0 {
		return
	}
	gateway := "none"
	if outside.Gateway.IsValid() {
		gateway = outside.Gateway.String()
	}
	d.find(NATGateway, n.Node, fmt.Sprintf("its replies for %s must pass the director %s, and its gateway is %s", s.Service, director.Node, gateway),
		"run ocf:systole:realserver there with mode=nat, ports= and gateway= an address that moves with the director")
}

// path looks at connections that were tried where nothing explains a failure.
func (d *diagnosis) path(director *Facts, s Service) {
	if !slices.ContainsFunc(s.Servers, func(r RealServer) bool { return r.Weight > 0 }) {
		return // none is healthy, so nobody is promised anything
	}
	for i := range d.Nodes {
		n := &d.Nodes[i]
		if d.besides(n, s) {
			continue
		}
		for _, t := range n.Tried {
			if t.To == s.Addr && t.Failed > 0 {
				d.find(PathDead, director.Node, fmt.Sprintf("of %d connections from %s to %s %d failed (%s), though the table has servers that passed their checks", t.Times, n.Node, s.Service, t.Failed, t.Error),
					"look on the real servers for a firewall, a service that does not listen on the virtual address, or a route to clients that does not exist (ss -ltn, ip route get); crm lvs list -c on the director shows which server does not answer")
			}
		}
	}
}

// besides tells whether the trials of a node say nothing about clients: because a
// masqueraded server would answer it past the director, as they share a network,
// or because it is one of them and would be sent to itself.
func (d *diagnosis) besides(n *Facts, s Service) bool {
	return slices.ContainsFunc(s.Servers, func(r RealServer) bool {
		if r.Forward != table.Masquerade {
			return false
		}
		server := d.owner(r.Addr.Addr())
		if server == n {
			return true
		}
		if server != nil && slices.ContainsFunc(server.Replies, func(p survey.Reply) bool { return p.Port == r.Addr.Port() }) {
			return false
		}
		way, ok := n.route(r.Addr.Addr())
		return ok && way.Device != "" && !way.Gateway.IsValid()
	})
}

// speaksFor tells whether the node is the active director of a service: it has
// the address on a card, and not on lo as a real server or a standby has it.
func (f *Facts) speaksFor(s Service) bool {
	if !s.Addr.IsValid() {
		return true
	}
	return slices.ContainsFunc(f.devices(s.Addr.Addr()), func(device string) bool {
		return slices.ContainsFunc(f.Links, func(l survey.Link) bool { return l.Name == device && l.Hardware != "" })
	})
}

// devices are those that have the address.
func (f *Facts) devices(ip netip.Addr) (devices []string) {
	for _, a := range f.Addresses {
		if a.IP == ip && ip.IsValid() && !ip.IsLoopback() {
			devices = append(devices, a.Device)
		}
	}
	return devices
}

// effective is the value of an IPv4 setting on a device: the larger of all and its own.
func (f *Facts) effective(setting, device string) int {
	value := 0
	for _, d := range []string{"all", device} {
		var n int
		if _, err := fmt.Sscan(f.Settings["net.ipv4.conf."+d+"."+setting], &n); err == nil {
			value = max(value, n)
		}
	}
	return value
}

func (f *Facts) route(to netip.Addr) (survey.Route, bool) {
	i := slices.IndexFunc(f.Routes, func(r survey.Route) bool { return r.To == to })
	if i < 0 {
		return survey.Route{}, false
	}
	return f.Routes[i], true
}

// outside is the node's way to clients from elsewhere; known says that it was asked for.
func (f *Facts) outside(v4 bool) (r survey.Route, known bool) {
	if v4 {
		return f.route(Outside[0])
	}
	return f.route(Outside[1])
}
