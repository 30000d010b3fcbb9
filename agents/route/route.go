// Package route is the agents ocf:systole:Route, a route in a table, and
// ocf:systole:IPsrcaddr, the source address a node prefers; both by netlink.
//
// The kernel's tables are the only state, so everything is idempotent and adopts
// what is there. A route of somebody else is neither replaced nor removed.
package route

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"systole/agents/internal/ocferr"
	"systole/resources"
)

// Route is the agent of routes. It has no state and is safe for concurrent use.
type Route struct{}

// MetaData is the OCF document.
func (Route) MetaData(context.Context) ([]byte, error) { return RouteMetadata.XML(), nil }

// route is one as configured.
type route struct {
	to      netip.Prefix
	device  string
	gateway netip.Addr
	source  netip.Addr
	table   int
}

// Execute runs one operation.
func (Route) Execute(ctx context.Context, op resources.Op) resources.Result {
	r, err := readRoute(op.Params)
	if err != nil {
		return resources.Result{Code: resources.ErrConfigured, Reason: err.Error()}
	}
	switch op.Action {
	case resources.ActionStart:
		err = r.start()
	case resources.ActionStop:
		err = r.stop()
	case resources.ActionMonitor, "status":
		err = r.monitor()
	case resources.ActionValidateAll:
		_, err = r.make()
	default:
		err = ocferr.Errorf(resources.ErrUnimplemented, "Route has no action %s", op.Action)
	}
	return ocferr.Result(ctx, err)
}

func readRoute(params map[string]string) (route, error) {
	v, err := RouteMetadata.Resolve(params)
	if err != nil {
		return route{}, err
	}
	r := route{device: v.String("device")}
	var errs []error
	problem := func(name string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("parameter %s of Route: %w", name, err))
		}
	}
	address := func(name string) netip.Addr {
		if v.String(name) == "" {
			return netip.Addr{}
		}
		a, err := netip.ParseAddr(v.String(name))
		problem(name, err)
		return a.Unmap()
	}
	r.gateway, r.source = address("gateway"), address("source")
	family := v.String("family")
	switch family {
	case "ip4", "ip6", "detect":
	default:
		problem("family", fmt.Errorf("%q is none of ip4, ip6, detect", family))
	}
	if to := v.String("destination"); to == "default" {
		r.to = anywhere(family == "ip6" || family == "detect" && (r.gateway.Is6() || r.source.Is6()))
	} else {
		r.to, err = network(to)
		problem("destination", err)
	}
	for name, a := range map[string]netip.Addr{"gateway": r.gateway, "source": r.source} {
		if a.IsValid() && r.to.IsValid() && a.BitLen() != r.to.Addr().BitLen() {
			problem(name, fmt.Errorf("%v is not of the family of %v", a, r.to))
		}
	}
	if family == "ip4" && r.to.Addr().Is6() || family == "ip6" && r.to.Addr().Is4() {
		problem("family", fmt.Errorf("%v is not of %s", r.to, family))
	}
	r.table, err = number(tables, v.String("table"))
	problem("table", err)
	if r.device == "" && !r.gateway.IsValid() {
		problem("device", errors.New("set a device, a gateway or both"))
	}
	return r, errors.Join(errs...)
}

// String names it in messages.
func (r route) String() string {
	gateway, source := "", ""
	if r.gateway.IsValid() {
		gateway = r.gateway.String()
	}
	if r.source.IsValid() {
		source = r.source.String()
	}
	return words("route to", r.to.String(), "via", gateway, "dev", r.device, "src", source)
}

func (r route) family() int { return familyOf(r.to.Addr()) }

func familyOf(a netip.Addr) int {
	if a.Is6() {
		return unix.AF_INET6
	}
	return unix.AF_INET
}

// make is the route for the kernel.
func (r route) make() (netlink.Route, error) {
	n := netlink.Route{Dst: ipNet(r.to), Table: r.table, Family: r.family(), Protocol: unix.RTPROT_STATIC}
	if r.device != "" {
		link, err := netlink.LinkByName(r.device)
		if err != nil {
			return n, ocferr.Errorf(resources.ErrInstalled, "device %s: %w", r.device, err)
		}
		n.LinkIndex = link.Attrs().Index
	}
	if r.gateway.IsValid() {
		n.Gw = r.gateway.AsSlice()
	} else {
		n.Scope = unix.RT_SCOPE_LINK
	}
	if r.source.IsValid() {
		n.Src = r.source.AsSlice()
	}
	return n, nil
}

// find is the route in the kernel, and all to the same destination.
func (r route) find() (mine *netlink.Route, others []netlink.Route, err error) {
	all, err := routes(r.table, r.family())
	if err != nil {
		return nil, nil, err
	}
	index := 0
	if r.device != "" {
		link, err := netlink.LinkByName(r.device)
		if _, missing := errors.AsType[netlink.LinkNotFoundError](err); missing {
			return nil, nil, nil // a route leaves with its device
		}
		if err != nil {
			return nil, nil, fmt.Errorf("device %s: %w", r.device, err)
		}
		index = link.Attrs().Index
	}
	for _, have := range all {
		switch {
		case prefixOf(have.Dst, r.family() == unix.AF_INET6) != r.to || have.Type != unix.RTN_UNICAST:
		case sameIP(have.Gw, r.gateway) && (index == 0 || have.LinkIndex == index) && (!r.source.IsValid() || sameIP(have.Src, r.source)):
			mine = &have
		default:
			others = append(others, have)
		}
	}
	return mine, others, nil
}

// retries bounds how often a table is read that changes while it is read.
const retries = 5

// routes is a table.
func routes(table, family int) (rs []netlink.Route, err error) {
	for range retries {
		rs, err = netlink.RouteListFiltered(family, &netlink.Route{Table: table}, netlink.RT_FILTER_TABLE)
		if !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("routes of table %d: %w", table, err)
	}
	return rs, nil
}

func (r route) start() error {
	mine, others, err := r.find()
	if err != nil || mine != nil {
		return err
	}
	n, err := r.make()
	if err != nil {
		return err
	}
	err = netlink.RouteAdd(&n)
	switch {
	case errors.Is(err, unix.EEXIST) && len(others) > 0:
		return fmt.Errorf("%v: there is another: %v: remove it", r, others[0])
	case errors.Is(err, unix.ENETUNREACH), errors.Is(err, unix.EHOSTUNREACH):
		return ocferr.Errorf(resources.ErrInstalled, "%v: the gateway is not reached by any device that is up", r)
	case err != nil:
		return fmt.Errorf("%v: %w", r, err)
	}
	return nil
}

func (r route) stop() error {
	mine, _, err := r.find()
	if err != nil || mine == nil {
		return err
	}
	if err := netlink.RouteDel(mine); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("%v: %w", r, err)
	}
	return nil
}

func (r route) monitor() error {
	mine, _, err := r.find()
	if err == nil && mine == nil {
		err = ocferr.Errorf(resources.NotRunning, "no %v", r)
	}
	return err
}
