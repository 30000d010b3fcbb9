// Package frame makes and reads the link-layer frames by which an IP address
// is claimed and asked for: ARP (RFC 826, 5227) and the neighbour messages of
// IPv6 (RFC 4861), on Ethernet. It is pure; sockets are its users'.
package frame

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
)

// EtherTypes.
const (
	TypeARP  = 0x0806
	TypeIPv6 = 0x86dd
)

// Operations of ARP.
const (
	Request = 1
	Reply   = 2
)

// Broadcast is every station of the link.
var Broadcast = net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

var zero = net.HardwareAddr{0, 0, 0, 0, 0, 0}

const (
	hardwareLen = 6
	etherLen    = 14
	arpLen      = 28
	ip6Len      = 40
	naLen       = 32 // neighbour advertisement with one link-layer option
)

// ARP is an ARP packet for IPv4 over Ethernet in its frame.
type ARP struct {
	Dest     net.HardwareAddr // of the frame
	Source   net.HardwareAddr // of the frame; the sender's, usually
	Op       uint16
	SenderHW net.HardwareAddr
	Sender   netip.Addr
	TargetHW net.HardwareAddr
	Target   netip.Addr
}

// Gratuitous announces that ip is at hw, as a request or as a reply; some
// stations heed only the one, some only the other.
func Gratuitous(op uint16, hw net.HardwareAddr, ip netip.Addr) ARP {
	target := zero
	if op == Reply {
		target = Broadcast
	}
	return ARP{Dest: Broadcast, Source: hw, Op: op, SenderHW: hw, Sender: ip, TargetHW: target, Target: ip}
}

// Probe asks whether anyone has ip, without claiming it (RFC 5227: sender 0.0.0.0).
func Probe(hw net.HardwareAddr, ip netip.Addr) ARP {
	return ARP{Dest: Broadcast, Source: hw, Op: Request, SenderHW: hw, Sender: netip.IPv4Unspecified(), TargetHW: zero, Target: ip}
}

// Marshal is the whole frame.
func (a ARP) Marshal() []byte {
	b := make([]byte, 0, etherLen+arpLen)
	b = ether(b, a.Dest, a.Source, TypeARP)
	b = binary.BigEndian.AppendUint16(b, 1) // Ethernet
	b = binary.BigEndian.AppendUint16(b, 0x0800)
	b = append(b, hardwareLen, 4)
	b = binary.BigEndian.AppendUint16(b, a.Op)
	b = append(b, a.SenderHW[:hardwareLen]...)
	b = append(b, a.Sender.AsSlice()...)
	b = append(b, a.TargetHW[:hardwareLen]...)
	return append(b, a.Target.AsSlice()...)
}

func ether(b []byte, dest, source net.HardwareAddr, typ uint16) []byte {
	b = append(b, dest[:hardwareLen]...)
	b = append(b, source[:hardwareLen]...)
	return binary.BigEndian.AppendUint16(b, typ)
}

// ErrOther: the frame is whole, but of another protocol.
var ErrOther = errors.New("a frame of another protocol")

// ParseARP reads a frame.
func ParseARP(b []byte) (ARP, error) {
	if len(b) < etherLen {
		return ARP{}, fmt.Errorf("frame of %d bytes is shorter than its header", len(b))
	}
	if binary.BigEndian.Uint16(b[12:]) != TypeARP {
		return ARP{}, ErrOther
	}
	p := b[etherLen:]
	if len(p) < arpLen {
		return ARP{}, fmt.Errorf("ARP packet of %d bytes is cut off", len(p))
	}
	if binary.BigEndian.Uint16(p) != 1 || binary.BigEndian.Uint16(p[2:]) != 0x0800 || p[4] != hardwareLen || p[5] != 4 {
		return ARP{}, ErrOther
	}
	return ARP{
		Dest: b[0:6:6], Source: b[6:12:12], Op: binary.BigEndian.Uint16(p[6:]),
		SenderHW: p[8:14:14], Sender: netip.AddrFrom4([4]byte(p[14:18])),
		TargetHW: p[18:24:24], Target: netip.AddrFrom4([4]byte(p[24:28])),
	}, nil
}

// Claims tells whether the packet shows that another station than hw has ip:
// whatever is sent from it, or probes for it at the same time (RFC 5227, 2.1.1).
func (a ARP) Claims(ip netip.Addr, hw net.HardwareAddr) bool {
	if string(a.SenderHW) == string(hw) {
		return false
	}
	return a.Sender == ip || (a.Op == Request && a.Sender == netip.IPv4Unspecified() && a.Target == ip)
}
