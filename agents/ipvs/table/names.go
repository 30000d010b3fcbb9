package table

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Family of addresses.
type Family uint16

// The families (AF_INET, AF_INET6).
const (
	IPv4 Family = 2
	IPv6 Family = 10
)

// FamilyOf is an address's.
func FamilyOf(a netip.Addr) Family {
	if a.Is4() || a.Is4In6() {
		return IPv4
	}
	return IPv6
}

// String is "ipv4" or "ipv6".
func (f Family) String() string { return nameOf(families, f) }

// ParseFamily reads ipv4 or ipv6, and keepalived's inet and inet6.
func ParseFamily(s string) (Family, error) { return parse(families, "address family", s) }

var families = []name[Family]{{IPv4, "ipv4"}, {IPv6, "ipv6"}, {IPv4, "inet"}, {IPv6, "inet6"}}

// Protocol of a service with an address.
type Protocol uint16

// The protocols IPVS balances (IPPROTO_*).
const (
	TCP  Protocol = 6
	UDP  Protocol = 17
	SCTP Protocol = 132
)

// String is "tcp", "udp" or "sctp".
func (p Protocol) String() string { return nameOf(protocols, p) }

// ParseProtocol reads tcp, udp or sctp in any case.
func ParseProtocol(s string) (Protocol, error) { return parse(protocols, "protocol", s) }

var protocols = []name[Protocol]{{TCP, "tcp"}, {UDP, "udp"}, {SCTP, "sctp"}}

// Scheduler is the name of a kernel scheduler.
type Scheduler string

// Schedulers are the kernel's (net/netfilter/ipvs/Kconfig), and what each does.
var Schedulers = []struct {
	Name  Scheduler
	Short string
}{
	{"rr", "each server in turn"},
	{"wrr", "in turn, as often as the weight says"},
	{"lc", "fewest connections"},
	{"wlc", "fewest connections for its weight"},
	{"lblc", "by destination, else fewest connections (proxies)"},
	{"lblcr", "as lblc, with several servers for a destination"},
	{"dh", "by a hash of the destination"},
	{"sh", "by a hash of the client"},
	{"sed", "shortest expected delay"},
	{"nq", "an idle server, else shortest expected delay"},
	{"fo", "the server of the highest weight"},
	{"ovf", "the highest weight until it has as many connections"},
	{"mh", "by a consistent (Maglev) hash of the client"},
	{"twos", "the better of two drawn at random"},
}

// DefaultScheduler is ipvsadm's.
const DefaultScheduler Scheduler = "wlc"

// ParseScheduler reads the name of a scheduler.
func ParseScheduler(s string) (Scheduler, error) {
	for _, k := range Schedulers {
		if string(k.Name) == s {
			return k.Name, nil
		}
	}
	names := make([]string, len(Schedulers))
	for i, k := range Schedulers {
		names[i] = string(k.Name)
	}
	return "", fmt.Errorf("scheduler %q is not known: use one of %s", s, strings.Join(names, " "))
}

// Flags of a service (IP_VS_SVC_F_*).
type Flags uint32

// The flags. The scheduler gives the last three their meaning.
const (
	FlagPersistent Flags = 1 << iota
	FlagHashed
	OnePacket // UDP: every packet is scheduled anew
	Sched1
	Sched2
	Sched3

	SchedMask = Sched1 | Sched2 | Sched3
)

// schedFlags are the names of scheduler flags, as ipvsadm's option -b has them;
// "" is any scheduler.
var schedFlags = []struct {
	flag      Flags
	scheduler Scheduler
	name      string
}{
	{Sched1, "sh", "sh-fallback"}, {Sched2, "sh", "sh-port"},
	{Sched1, "mh", "mh-fallback"}, {Sched2, "mh", "mh-port"},
	{Sched1, "", "flag-1"}, {Sched2, "", "flag-2"}, {Sched3, "", "flag-3"},
}

// SchedFlagNames are the names of the scheduler's flags that are set, in ipvsadm's order.
func (f Flags) SchedFlagNames(s Scheduler) []string {
	var names []string
	var done Flags
	for _, n := range schedFlags {
		if f&n.flag != 0 && done&n.flag == 0 && (n.scheduler == "" || n.scheduler == s) {
			done |= n.flag
			names = append(names, n.name)
		}
	}
	return names
}

// ParseSchedFlags reads a list of flags separated by commas. A name that
// belongs to another scheduler is refused.
func ParseSchedFlags(s string, sched Scheduler) (Flags, error) {
	var f Flags
	for word := range strings.SplitSeq(s, ",") {
		i := slices.IndexFunc(schedFlags, func(n struct {
			flag      Flags
			scheduler Scheduler
			name      string
		}) bool {
			return n.name == word
		})
		if i < 0 {
			return 0, fmt.Errorf("scheduler flag %q is not known: use flag-1 flag-2 flag-3, with sh also sh-fallback sh-port, with mh also mh-fallback mh-port", word)
		}
		if n := schedFlags[i]; n.scheduler != "" && n.scheduler != sched {
			return 0, fmt.Errorf("scheduler flag %s is only for scheduler %s, not %s", word, n.scheduler, sched)
		}
		f |= schedFlags[i].flag
	}
	return f, nil
}

// Forward is how packets reach a server (IP_VS_CONN_F_FWD_MASK).
type Forward uint8

// The forwarding methods.
const (
	Masquerade    Forward = iota // NAT: addresses and port are rewritten, answers come back this way
	LocalNode                    // the director serves itself; only the kernel says so
	Tunneling                    // wrapped in another packet
	DirectRouting                // sent to the server's link address, unchanged
	Bypass                       // transparent caches; only the kernel says so
)

// String is the short form of configurations: "masq", "tun", "dr".
func (f Forward) String() string { return nameOf(forwards, f) }

// ParseForward reads a method by the names ipvsadm (gatewaying, ipip,
// masquerading), keepalived (NAT, DR, TUN) and ldirectord (gate, ipip, masq) use, in any case.
func ParseForward(s string) (Forward, error) { return parse(forwards, "forwarding method", s) }

var forwards = []name[Forward]{
	{DirectRouting, "dr"}, {Tunneling, "tun"}, {Masquerade, "masq"},
	{DirectRouting, "gate"}, {DirectRouting, "gatewaying"}, {Tunneling, "ipip"}, {Masquerade, "nat"}, {Masquerade, "masquerading"},
}

// TunnelType is a kind of tunnel.
type TunnelType uint8

// The tunnels (IP_VS_CONN_F_TUNNEL_TYPE_*).
const (
	IPIP TunnelType = iota
	GUE             // generic UDP encapsulation, to a port
	GRE
)

// String is "ipip", "gue" or "gre".
func (t TunnelType) String() string { return nameOf(tunnels, t) }

// ParseTunnelType reads ipip, gue or gre.
func ParseTunnelType(s string) (TunnelType, error) { return parse(tunnels, "tunnel type", s) }

var tunnels = []name[TunnelType]{{IPIP, "ipip"}, {GUE, "gue"}, {GRE, "gre"}}

// TunnelFlags say what checksums a tunnel has (IP_VS_TUNNEL_ENCAP_FLAG_*).
type TunnelFlags uint16

// The checksums.
const (
	NoChecksum     TunnelFlags = 0
	Checksum       TunnelFlags = 1
	RemoteChecksum TunnelFlags = 2
)

// String is "nocsum", "csum" or "remcsum".
func (f TunnelFlags) String() string { return nameOf(checksums, f) }

// ParseTunnelFlags reads nocsum, csum or remcsum.
func ParseTunnelFlags(s string) (TunnelFlags, error) {
	return parse(checksums, "checksum of a tunnel", s)
}

var checksums = []name[TunnelFlags]{{NoChecksum, "nocsum"}, {Checksum, "csum"}, {RemoteChecksum, "remcsum"}}

// DaemonState says what a sync daemon does (IP_VS_STATE_*).
type DaemonState uint8

// The states; both daemons may run at once.
const (
	Master DaemonState = 1 // sends
	Backup DaemonState = 2 // receives
)

// String is "master" or "backup".
func (s DaemonState) String() string { return nameOf(daemonStates, s) }

// ParseDaemonState reads master or backup.
func ParseDaemonState(s string) (DaemonState, error) { return parse(daemonStates, "sync daemon", s) }

var daemonStates = []name[DaemonState]{{Master, "master"}, {Backup, "backup"}}

// name is one way to write a value; the first of a value is the one printed.
type name[T ~uint8 | ~uint16] struct {
	value T
	text  string
}

func nameOf[T ~uint8 | ~uint16](names []name[T], v T) string {
	for _, n := range names {
		if n.value == v {
			return n.text
		}
	}
	return fmt.Sprintf("unknown(%d)", v)
}

func parse[T ~uint8 | ~uint16](names []name[T], what, s string) (T, error) {
	var known []string
	for _, n := range names {
		if strings.EqualFold(n.text, s) {
			return n.value, nil
		}
		known = append(known, n.text)
	}
	var none T
	return none, fmt.Errorf("%s %q is not known: use one of %s", what, s, strings.Join(known, " "))
}
