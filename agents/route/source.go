package route

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"systole/agents/internal/ocferr"
	"systole/resources"
)

// Source is the agent of the preferred source address. It has no state and is safe for
// concurrent use.
type Source struct{}

// MetaData is the OCF document.
func (Source) MetaData(context.Context) ([]byte, error) { return SourceMetadata.XML(), nil }

// source is one as configured.
type source struct {
	ip     netip.Addr
	bits   int // of the subnet; -1 is by its route
	to     netip.Prefix
	proto  int // -1 is any
	metric int // -1 is any
	table  int
}

// Execute runs one operation.
func (Source) Execute(ctx context.Context, op resources.Op) resources.Result {
	s, err := readSource(op.Params)
	if err != nil {
		return resources.Result{Code: resources.ErrConfigured, Reason: err.Error()}
	}
	switch op.Action {
	case resources.ActionStart:
		err = s.start()
	case resources.ActionStop:
		err = s.stop()
	case resources.ActionMonitor, "status":
		err = s.monitor()
	case resources.ActionValidateAll:
	default:
		err = ocferr.Errorf(resources.ErrUnimplemented, "IPsrcaddr has no action %s", op.Action)
	}
	return ocferr.Result(ctx, err)
}

func readSource(params map[string]string) (source, error) {
	v, err := SourceMetadata.Resolve(params)
	if err != nil {
		return source{}, err
	}
	s := source{bits: -1, proto: -1, metric: -1}
	var errs []error
	problem := func(name string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("parameter %s of IPsrcaddr: %w", name, err))
		}
	}
	if s.ip, err = netip.ParseAddr(v.String("ipaddress")); err != nil || s.ip.Zone() != "" {
		problem("ipaddress", fmt.Errorf("%q is not an IP address", v.String("ipaddress")))
	}
	s.ip = s.ip.Unmap()
	if mask := v.String("cidr_netmask"); mask != "" {
		s.bits, err = prefixLength(mask, s.ip.BitLen())
		problem("cidr_netmask", err)
	}
	switch to := v.String("destination"); to {
	case "default", "0.0.0.0/0", "::/0":
		s.to = anywhere(s.ip.Is6())
	default:
		s.to, err = network(to)
		problem("destination", err)
		if err == nil && s.to.Addr().BitLen() != s.ip.BitLen() {
			problem("destination", fmt.Errorf("%v is not of the family of %v", s.to, s.ip))
		}
	}
	if p := v.String("proto"); p != "" {
		s.proto, err = number(protocols, p)
		problem("proto", err)
	}
	if m := v.String("metric"); m != "" {
		s.metric, err = number(nil, m)
		problem("metric", err)
	}
	s.table, err = number(tables, v.String("table"))
	problem("table", err)
	return s, errors.Join(errs...)
}

// found is what the kernel has of it.
type found struct {
	here   bool            // the address is on this node
	routes []netlink.Route // to the destination; one, where metric or proto choose
	subnet *netlink.Route  // of the address itself; nil without one
	addrs  []netlink.Addr
}

func (s source) find() (f found, err error) {
	family := familyOf(s.ip)
	if f.addrs, err = netlink.AddrList(nil, family); err != nil {
		return f, fmt.Errorf("addresses: %w", err)
	}
	device := 0
	for _, a := range f.addrs {
		if sameIP(a.IP, s.ip) {
			f.here, device = true, a.LinkIndex
		}
	}
	all, err := routes(s.table, family)
	if err != nil {
		return f, err
	}
	for _, r := range all {
		if r.Type != unix.RTN_UNICAST || r.MultiPath != nil {
			continue
		}
		to := prefixOf(r.Dst, s.ip.Is6())
		if to == s.to && (s.proto < 0 || int(r.Protocol) == s.proto) && (s.metric < 0 || r.Priority == s.metric) {
			f.routes = append(f.routes, r)
		}
		own := to.Contains(s.ip) && to.Bits() > 0 && to.Bits() < s.ip.BitLen() && r.Gw == nil && device != 0 && r.LinkIndex == device
		if own && (s.bits < 0 || to.Bits() == s.bits) && (f.subnet == nil || to.Bits() > prefixOf(f.subnet.Dst, s.ip.Is6()).Bits()) {
			f.subnet = &r
		}
	}
	return f, nil
}

// usual is the address the kernel prefers on a device without this agent, nil if there
// is none but ours.
func (s source) usual(f found, device int) net.IP {
	for _, a := range f.addrs {
		if a.LinkIndex == device && a.Flags&unix.IFA_F_SECONDARY == 0 && a.Scope == unix.RT_SCOPE_UNIVERSE && !sameIP(a.IP, s.ip) {
			return a.IP
		}
	}
	return nil
}

func (s source) start() error {
	f, err := s.find()
	switch {
	case err != nil:
		return err
	case !f.here:
		return ocferr.Errorf(resources.ErrInstalled, "%v is not on this node: order IPsrcaddr after its IPaddr2, on the same node", s.ip)
	case len(f.routes) == 0:
		return fmt.Errorf("there is no route to %v", s.to)
	case len(f.routes) > 1:
		return fmt.Errorf("several routes go to %v: choose one by metric or proto", s.to)
	}
	if f.subnet != nil {
		if err := prefer(*f.subnet, s.ip.AsSlice()); err != nil {
			return err
		}
	}
	return prefer(f.routes[0], s.ip.AsSlice())
}

// prefer sets a route's source address; nil leaves it to the kernel.
func prefer(r netlink.Route, src net.IP) error {
	if r.Src.Equal(src) {
		return nil
	}
	r.Src = src
	if err := netlink.RouteReplace(&r); err != nil {
		return fmt.Errorf("route to %v: prefer %v: %w", r.Dst, src, err)
	}
	return nil
}

func (s source) monitor() error {
	f, err := s.find()
	if err != nil {
		return err
	}
	prefers := slices.ContainsFunc(f.routes, func(r netlink.Route) bool { return sameIP(r.Src, s.ip) })
	switch {
	case !prefers:
		return ocferr.Errorf(resources.NotRunning, "no route to %v prefers %v", s.to, s.ip)
	case !f.here:
		return fmt.Errorf("the route to %v prefers %v, which is not on this node", s.to, s.ip)
	case f.subnet != nil && !sameIP(f.subnet.Src, s.ip):
		return fmt.Errorf("the route of the subnet %v does not prefer %v, the one to %v does", f.subnet.Dst, s.ip, s.to)
	}
	return nil
}

// stop gives the routes back to the addresses the kernel would choose.
func (s source) stop() error {
	f, err := s.find()
	if err != nil {
		return err
	}
	if f.subnet != nil {
		f.routes = append(f.routes, *f.subnet)
	}
	for _, r := range f.routes {
		if !sameIP(r.Src, s.ip) {
			continue
		}
		if err := prefer(r, s.usual(f, r.LinkIndex)); err != nil {
			return err
		}
	}
	return nil
}
