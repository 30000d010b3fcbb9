package realserver

import "systole/resources"

// Metadata describes the agent.
var Metadata = resources.Metadata{
	Name: "realserver", Version: "1.0", API: "1.0",
	Short: "Makes this node a real server of an LVS site",
	Long: "Run it as a clone on the nodes behind the director, ordered after the service they offer. " +
		"For direct routing and tunnels it gives the node the virtual address without the link ever hearing of it; for NAT it sends the replies back through the director. " +
		"A stop first tells the director to send nothing new (node attribute lvs-drain-RESOURCE) and waits for the connections there are.",
	Parameters: []resources.Parameter{
		{Name: "vip", Type: resources.ParamString, Short: "Virtual addresses",
			Long: "The IPv4 and IPv6 addresses of the virtual services, separated by blanks. Required but for mode=nat."},
		{Name: "mode", Type: resources.ParamString, Default: "dr", Short: "How the director forwards",
			Long: "dr is direct routing, tun is a tunnel (the node decapsulates and answers by itself), nat is masquerading (replies go back through the director)."},
		{Name: "nic", Type: resources.ParamString, Short: "Device that holds the addresses",
			Long: "Left out, it is lo; for mode=tun it is tunl0 for IPv4 and ip6tnl0 for IPv6 addresses, which is made if it is not there. For mode=nat, the device towards the gateway; left out, the one with a direct route to it."},
		{Name: "gateway", Type: resources.ParamString, Short: "The director's inner address (mode=nat)",
			Long: "Replies go there. It should be an address that moves with the active director. Left out, routing is not touched: then the node's default gateway must be the director."},
		{Name: "ports", Type: resources.ParamString, Short: "Ports of the service",
			Long: "TCP ports, separated by blanks or commas: the local connections that count while draining. Left out, all to the virtual addresses count, and with mode=nat none. With a gateway, only replies from these ports (TCP and UDP) go to it; left out, everything does that leaves the node's own networks."},
		{Name: "drain_timeout", Type: resources.ParamTime, Default: "30s", Short: "Longest wait for connections",
			Long: "How long a stop waits for established connections to end; 0 does not drain. It ends two seconds before the operation's own time-out at the latest, so give stop more than this."},
	},
	Actions: []resources.ActionSpec{
		{Name: "start", Timeout: "20s"}, {Name: "stop", Timeout: "60s"}, {Name: "monitor", Timeout: "20s", Interval: "10s", Depth: "0"},
		{Name: "validate-all", Timeout: "20s"}, {Name: "meta-data", Timeout: "5s"},
	},
}
