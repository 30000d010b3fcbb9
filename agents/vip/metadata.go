package vip

import "systole/resources"

// Metadata describes the agent. The names are those of ocf:heartbeat:IPaddr2,
// so that its configurations run unchanged.
var Metadata = resources.Metadata{
	Name: "IPaddr2", Version: "1.0", API: "1.0",
	Short: "Manages a virtual IPv4 or IPv6 address",
	Long: "Adds an address to a network device, announces it on the link and takes it away again. " +
		"The address falls silent by itself when this node's lease ends, where the kernel can see to that.",
	Parameters: []resources.Parameter{
		{Name: "ip", Type: resources.ParamString, Required: true, Unique: true, Short: "IPv4 or IPv6 address",
			Long: "The address, in dotted quad or colon notation, without prefix length."},
		{Name: "nic", Type: resources.ParamString, Short: "Network device",
			Long: "The device to add the address to. Left out, it is the one whose subnet the address belongs to by the routing table."},
		{Name: "cidr_netmask", Type: resources.ParamString, Short: "Prefix length",
			Long: "Prefix length (24) or netmask (255.255.255.0). Left out, it is that of the device's route to the subnet, else the whole address."},
		{Name: "broadcast", Type: resources.ParamString, Short: "Broadcast address",
			Long: "IPv4 broadcast address; left out, or +, it is the last of the subnet; - is none."},
		{Name: "iflabel", Type: resources.ParamString, Short: "Label of the address",
			Long: "A label appended to the device's name (eth0:label), for tools that show interfaces by label. IPv4 only."},
		{Name: "lvs_support", Type: resources.ParamBoolean, Default: "false", Short: "Keep the address on lo when stopped",
			Long: "For LVS direct routing: a stopped address is moved to the loopback device, so that this node still takes what a director sends it, but does not announce it. It is moved only while the kernel keeps quiet about addresses of lo (net.ipv4.conf.all.arp_ignore, which ocf:systole:realserver sees to); else it is removed."},
		{Name: "arp_interval", Type: resources.ParamInteger, Default: "200", Short: "Time between announcements in ms",
			Long: "Milliseconds between the announcements after a start."},
		{Name: "arp_count", Type: resources.ParamInteger, Default: "5", Short: "Announcements after a start",
			Long: "How often the address is announced after a start: the first before the start ends, the others in the background. 0 is never, now or later: neighbours go on asking the old node until they look for themselves."},
		{Name: "arp_count_refresh", Type: resources.ParamInteger, Default: "0", Short: "Announcements in each monitor",
			Long: "How many announcements each recurring monitor sends."},
		{Name: "announce_refresh", Type: resources.ParamTime, Default: "60s", Short: "Time between later announcements",
			Long: "The address is announced again this often as long as it is here, for neighbours and switches that missed the first ones; 0 is never."},
		{Name: "arp_bg", Type: resources.ParamBoolean, Default: "true", Short: "Announce in the background",
			Long: "If false, the start ends after the last announcement."},
		{Name: "duplicate_check", Type: resources.ParamString, Default: "refuse", Short: "What to do when the address is in use",
			Long: "Before the address is added the link is asked for it, for at most 20 ms. If another station has it: refuse fails the start, warn only says so, off does not ask."},
		{Name: "nodad", Type: resources.ParamBoolean, Default: "true", Short: "IPv6: no duplicate detection by the kernel",
			Long: "The kernel's own detection takes a second and more, during which the address cannot be used. The agent's check does the same faster."},
		{Name: "noprefixroute", Type: resources.ParamBoolean, Default: "false", Short: "No route for the subnet",
			Long: "Do not let the kernel add a route to the address's subnet."},
		{Name: "preferred_lft", Type: resources.ParamString, Default: "forever", Short: "IPv6 preferred lifetime",
			Long: "Seconds, or forever; 0 keeps the address from being chosen as a source."},
	},
	Actions: []resources.ActionSpec{
		{Name: "start", Timeout: "20s"},
		{Name: "stop", Timeout: "20s"},
		{Name: "status", Timeout: "20s", Interval: "10s", Depth: "0"},
		{Name: "monitor", Timeout: "20s", Interval: "10s", Depth: "0"},
		{Name: "meta-data", Timeout: "5s"},
		{Name: "validate-all", Timeout: "20s"},
	},
}

// elsewhere are parameters of the foreign agent that this one has not; ignoring
// them would put the address in the wrong place.
var elsewhere = []string{"mac", "network_namespace", "unique_clone_address"}
