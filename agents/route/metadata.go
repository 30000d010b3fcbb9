package route

import "systole/resources"

var actions = []resources.ActionSpec{
	{Name: "start", Timeout: "20s"},
	{Name: "stop", Timeout: "20s"},
	{Name: "status", Timeout: "20s", Interval: "10s", Depth: "0"},
	{Name: "monitor", Timeout: "20s", Interval: "10s", Depth: "0"},
	{Name: "meta-data", Timeout: "5s"},
	{Name: "validate-all", Timeout: "20s"},
}

// RouteMetadata describes Route. The names are those of ocf:heartbeat:Route, so that
// its configurations run unchanged.
var RouteMetadata = resources.Metadata{
	Name: "Route", Version: "1.0", API: "1.0",
	Short: "Manages a route",
	Long:  "Adds a route to a routing table and takes it out again. A route to the same destination that is another's is neither replaced nor removed.",
	Parameters: []resources.Parameter{
		{Name: "destination", Type: resources.ParamString, Required: true, Unique: true, Short: "Destination",
			Long: "A network with prefix length, a host without one, or default."},
		{Name: "device", Type: resources.ParamString, Short: "Device",
			Long: "The device packets leave by. Device, gateway or both are needed."},
		{Name: "gateway", Type: resources.ParamString, Short: "Gateway",
			Long: "The address of the next router."},
		{Name: "source", Type: resources.ParamString, Short: "Source address",
			Long: "The address this node uses for what it sends by the route; it must be on this node."},
		{Name: "table", Type: resources.ParamString, Short: "Routing table",
			Long: "Its number, or main, local or default; left out, main."},
		{Name: "family", Type: resources.ParamString, Default: "detect", Short: "Address family",
			Long: "ip4, ip6, or detect: by the destination, or by the gateway where that is default."},
	},
	Actions: actions,
}

// SourceMetadata describes IPsrcaddr; the names are those of ocf:heartbeat:IPsrcaddr.
var SourceMetadata = resources.Metadata{
	Name: "IPsrcaddr", Version: "1.0", API: "1.0",
	Short: "Prefers a source address",
	Long: "Makes a virtual address the one this node uses for what it sends by a route and in the address's own subnet, so that others see the address and not the node. " +
		"The address must be on this node: order and colocate it with its IPaddr2. After a stop the kernel chooses again.",
	Parameters: []resources.Parameter{
		{Name: "ipaddress", Type: resources.ParamString, Required: true, Short: "Address to prefer",
			Long: "An IPv4 or IPv6 address of this node."},
		{Name: "cidr_netmask", Type: resources.ParamString, Short: "Prefix length of its subnet",
			Long: "Prefix length or netmask of the subnet whose route prefers the address too. Left out, it is that of the narrowest route to the subnet on the address's device."},
		{Name: "destination", Type: resources.ParamString, Default: "0.0.0.0/0", Short: "Destination of the route",
			Long: "The route that is to prefer the address; 0.0.0.0/0 is the default route, of IPv6 too."},
		{Name: "proto", Type: resources.ParamString, Short: "Only routes with this origin",
			Long: "Number, or kernel, boot, static, dhcp or ra."},
		{Name: "metric", Type: resources.ParamString, Short: "Only routes with this metric",
			Long: "Needed only if several routes go to the destination."},
		{Name: "table", Type: resources.ParamString, Short: "Routing table",
			Long: "Its number, or main, local or default; left out, main."},
	},
	Actions: actions,
}
