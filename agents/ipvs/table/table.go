// Package table is an IPVS table as values: virtual services, their real
// servers, sync daemons and timeouts, with the names people know from ipvsadm
// and keepalived; what is valid; and the operations that turn the table the
// kernel has into the one wanted ([Diff]).
//
// It is pure. The package kernel beside it reads and writes such tables.
// Numbers and bounds are those of linux/ip_vs.h.
package table

import (
	"cmp"
	"net/netip"
	"strconv"
	"time"
)

// Key names a virtual service: either protocol, address and port, or a
// firewall mark and the family of the packets that carry it. It is comparable.
type Key struct {
	Protocol Protocol       // 0 for a firewall mark
	Addr     netip.AddrPort // port 0: every port (only for persistent services)
	Mark     uint32         // 0 for an address
	Family   Family
}

// AddrKey is the key of a service with an address.
func AddrKey(p Protocol, addr netip.AddrPort) Key {
	addr = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
	return Key{Protocol: p, Addr: addr, Family: FamilyOf(addr.Addr())}
}

// MarkKey is the key of a service for a firewall mark.
func MarkKey(mark uint32, f Family) Key { return Key{Mark: mark, Family: f} }

// IsMark tells a service for a firewall mark from one with an address.
func (k Key) IsMark() bool { return k.Mark != 0 }

// String is the key as configurations write it: "tcp 192.0.2.10:80", "fwmark 7", "fwmark 7 ipv6".
func (k Key) String() string {
	if !k.IsMark() {
		return k.Protocol.String() + " " + k.Addr.String()
	}
	s := "fwmark " + strconv.FormatUint(uint64(k.Mark), 10)
	if k.Family == IPv6 {
		s += " ipv6"
	}
	return s
}

// Compare orders keys: addresses before marks, then by what a reader sees.
func (k Key) Compare(o Key) int {
	return cmp.Or(
		cmp.Compare(k.Mark, o.Mark), cmp.Compare(k.Family, o.Family),
		k.Addr.Addr().Compare(o.Addr.Addr()), cmp.Compare(k.Addr.Port(), o.Addr.Port()), cmp.Compare(k.Protocol, o.Protocol),
	)
}

// Service is how a virtual service is to distribute connections.
type Service struct {
	Key
	Scheduler Scheduler
	// Flags are [OnePacket] and the scheduler's. Persistence is in Persistent, and
	// the kernel's own bookkeeping (hashed) is never in here.
	Flags Flags
	// Persistent is how long a client stays with its server, in whole seconds; 0: not persistent.
	Persistent time.Duration
	// Mask groups persistent clients. For IPv4 it is a netmask (0xffffffff is one
	// client), for IPv6 a prefix length (128). 0 means one client.
	Mask uint32
	// Engine is the persistence engine, "sip"; "" for none.
	Engine string
}

// Server is a real server of a service.
type Server struct {
	Addr    netip.AddrPort // port 0 only for services whose port is 0 or that have a mark
	Forward Forward
	Weight  int // 0: no new connections
	// Upper is the number of connections at which the server gets no new ones
	// until it has fewer than Lower; 0: no bound.
	Upper, Lower uint32
	Tunnel       Tunnel // only for [Tunneling]
}

// Tunnel is how packets are wrapped on the way to a server.
type Tunnel struct {
	Type  TunnelType
	Port  uint16 // only GUE
	Flags TunnelFlags
}

// Virtual is a service with its servers.
type Virtual struct {
	Service
	Servers []Server
}

// Entry is a service as the kernel has it.
type Entry struct {
	Service
	Counters Counters
	Servers  []ServerEntry
}

// ServerEntry is a server as the kernel has it.
type ServerEntry struct {
	Server
	// Active, Inactive and Persistent are connections (Persistent: templates).
	Active, Inactive, Persistent uint32
	Counters                     Counters
}

// Virtual is the entry without what the kernel counts.
func (e Entry) Virtual() Virtual {
	v := Virtual{Service: e.Service, Servers: make([]Server, len(e.Servers))}
	for i, s := range e.Servers {
		v.Servers[i] = s.Server
	}
	return v
}

// Counters of a service or server: totals, and rates per second.
type Counters struct {
	Conns, InPackets, OutPackets, InBytes, OutBytes                uint64
	ConnRate, InPacketRate, OutPacketRate, InByteRate, OutByteRate uint64
}

// Timeouts of connections, in whole seconds. When set, 0 leaves a value alone.
type Timeouts struct {
	TCP, TCPFin, UDP time.Duration
}

// Daemon is a kernel thread that sends or receives the connection table.
type Daemon struct {
	State     DaemonState
	Interface string
	ID        int // 0…255; a backup takes every id when it is 0
	// MaxLen is the largest payload of a datagram, Group and Port where they go,
	// TTL how far. Zero values mean the kernel's: the interface's MTU, 224.0.0.81, 8848, 1.
	MaxLen int
	Group  netip.Addr
	Port   uint16
	TTL    int
}

// Info is what the kernel says about itself.
type Info struct {
	Version  uint32 // 0x010201 is 1.2.1
	ConnSize uint32 // buckets of the connection hash table
}

// Connection is a line of the connection table.
type Connection struct {
	Protocol string // as the kernel writes it: TCP, UDP, SCTP, or IP for a template of a mark
	Client   netip.AddrPort
	Virtual  netip.AddrPort
	Server   netip.AddrPort
	State    string
	Expires  time.Duration
	// Synced: it came from another director.
	Synced bool
	// Engine and EngineData are those of the persistence engine, "" without one.
	Engine, EngineData string
}
