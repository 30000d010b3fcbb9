package ipvs

import (
	"strings"

	"systole/agents/ipvs/config"
	"systole/resources"
)

// Metadata describes the agent.
var Metadata = resources.Metadata{
	Name: "ipvs", Version: "1.0", API: "1.1",
	Short: "IPVS director with health checks",
	Long: "Keeps virtual services of the kernel's IPVS: real servers are checked, weighted, drained and taken out, and the table is " +
		"repaired when somebody changes it. Services of others are left alone.\n\n" +
		"As a promotable clone the promoted instance forwards, the others keep a warm table of its connections (sync_interface); put the " +
		"address with the promoted one. As a plain resource, in a group before the address, it forwards wherever it is started.\n\n" + manual(),
	Parameters: []resources.Parameter{
		{Name: "services", Type: resources.ParamString, Unique: true, Reloadable: true, Short: "Virtual services", Long: "The configuration itself: see the description. Lines are separated by newlines or semicolons. Either this or config; with neither, only connections are synchronised."},
		{Name: "config", Type: resources.ParamString, Unique: true, Reloadable: true, Short: "File with the virtual services", Long: "A file with the configuration, the same on every director. A reload of the resource, or `crm lvs reload`, reads it again."},
		{Name: "check_defaults", Type: resources.ParamString, Reloadable: true, Short: "Options of all checks", Long: "Options for checks that do not say otherwise, such as: interval=1s timeout=1s rise=1 fall=3."},
		{Name: "sorry", Type: resources.ParamString, Reloadable: true, Short: "Sorry server", Long: "Address, with or without port, of the server that answers for every service that lost its quorum and has no sorry server of its own."},
		{Name: "sync_interface", Type: resources.ParamString, Reloadable: true, Short: "Interface for connection synchronisation", Long: "The network over which the active director tells the standby of its connections, so that they survive a fail-over. Left out, they do not."},
		{Name: "sync_id", Type: resources.ParamInteger, Default: "0", Reloadable: true, Short: "Id of the synchronisation", Long: "0 to 255; pairs of directors on one network need different ones. A backup with 0 takes what any master sends."},
		{Name: "sync_group", Type: resources.ParamString, Reloadable: true, Short: "Multicast group of the synchronisation", Long: "IPv4 or IPv6 multicast address; left out, the kernel's 224.0.0.81."},
		{Name: "sync_maxlen", Type: resources.ParamInteger, Reloadable: true, Short: "Largest synchronisation message", Long: "Bytes of payload; left out, what fits the interface's MTU."},
		{Name: "warmup", Type: resources.ParamTime, Default: "30s", Reloadable: true, Short: "Longest wait for a warm table", Long: "A standby whose table of connections is not complete yet is promoted only if no other can be. It is taken for complete when it stops growing, at the latest after this time."},
	},
	Actions: []resources.ActionSpec{
		{Name: "start", Timeout: "20s"},
		{Name: "stop", Timeout: "20s"},
		{Name: "promote", Timeout: "20s"},
		{Name: "demote", Timeout: "20s"},
		{Name: "monitor", Timeout: "20s", Interval: "10s", Depth: "0"},
		{Name: "monitor", Timeout: "20s", Interval: "10s", Depth: "0", Role: "Unpromoted"},
		{Name: "monitor", Timeout: "20s", Interval: "9s", Depth: "0", Role: "Promoted"},
		{Name: "reload-agent", Timeout: "20s"},
		{Name: "validate-all", Timeout: "5s"},
		{Name: "meta-data", Timeout: "5s"},
	},
}

// manual is the reference of the configuration's text, made from the table the parser uses.
func manual() string {
	var b strings.Builder
	b.WriteString(`The configuration has one line for each thing; words are separated by blanks, # begins a comment, quotes protect blanks, ; and #:

virtual tcp|udp|sctp ADDRESS:PORT [options]
virtual fwmark NUMBER [options]
  check KIND [options]            how the servers below are checked; several must all pass
  real ADDRESS[:PORT] [options]   a real server of the service
    check KIND [options]          instead, for this server alone
  sorry ADDRESS[:PORT] [options]  answers when the quorum is lost
timeouts [tcp=TIME] [tcpfin=TIME] [udp=TIME]
sysctl net.NAME=VALUE …

Example: virtual tcp 192.0.2.10:80 scheduler=wrr forward=dr persistent=50; check http path=/health; real 10.0.0.11:80 weight=2 node=web-1; real 10.0.0.12:80 node=web-2

TCP servers without a check get check tcp; all others must say, check none if they are not checked.
`)
	line := ""
	for _, o := range config.Options() {
		if o.Line != line {
			line = o.Line
			b.WriteString("\nOptions of " + line + ":\n")
		}
		b.WriteString("  " + o.Name + ": " + o.Short + "\n")
	}
	return b.String()
}
