package frame

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
)

// ICMPv6 types and flags (RFC 4861, 4.3 and 4.4).
const (
	typeSolicitation  = 135
	typeAdvertisement = 136
	protoICMPv6       = 58
	hopLimit          = 255 // anything else came through a router and is ignored
	optSourceLink     = 1
	optTargetLink     = 2
	FlagRouter        = 0x80
	FlagSolicited     = 0x40
	FlagOverride      = 0x20
)

var allNodes = netip.MustParseAddr("ff02::1")

// Neighbour is a neighbour solicitation or advertisement in its frame.
type Neighbour struct {
	Dest, Source net.HardwareAddr // of the frame
	From, To     netip.Addr       // of the packet
	Advertise    bool
	Flags        byte // of an advertisement
	Target       netip.Addr
	Link         net.HardwareAddr // the link-layer option; nil for none
}

// Unsolicited announces to all nodes that ip is at hw, and overrides what they knew.
func Unsolicited(hw net.HardwareAddr, ip netip.Addr) Neighbour {
	return Neighbour{
		Dest: multicast(allNodes), Source: hw, From: ip, To: allNodes,
		Advertise: true, Flags: FlagOverride, Target: ip, Link: hw,
	}
}

// Detect asks whether anyone has ip, without claiming it (RFC 4862, 5.4.2).
func Detect(hw net.HardwareAddr, ip netip.Addr) Neighbour {
	to := solicited(ip)
	return Neighbour{Dest: multicast(to), Source: hw, From: netip.IPv6Unspecified(), To: to, Target: ip}
}

// solicited is the multicast address the owner of ip listens on.
func solicited(ip netip.Addr) netip.Addr {
	b := netip.MustParseAddr("ff02::1:ff00:0").As16()
	a := ip.As16()
	copy(b[13:], a[13:])
	return netip.AddrFrom16(b)
}

// multicast is the Ethernet address of an IPv6 multicast address (RFC 2464, 7).
func multicast(ip netip.Addr) net.HardwareAddr {
	b := ip.As16()
	return net.HardwareAddr{0x33, 0x33, b[12], b[13], b[14], b[15]}
}

// Marshal is the whole frame.
func (n Neighbour) Marshal() []byte {
	msg := make([]byte, 24, naLen)
	msg[0] = typeSolicitation
	option := byte(optSourceLink)
	if n.Advertise {
		msg[0], msg[4], option = typeAdvertisement, n.Flags, optTargetLink
	}
	copy(msg[8:], n.Target.AsSlice())
	if n.Link != nil {
		msg = append(msg, option, 1) // in units of 8 bytes
		msg = append(msg, n.Link[:hardwareLen]...)
	}
	binary.BigEndian.PutUint16(msg[2:], checksum(n.From, n.To, msg))

	b := ether(make([]byte, 0, etherLen+ip6Len+len(msg)), n.Dest, n.Source, TypeIPv6)
	b = append(b, 0x60, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(len(msg)))
	b = append(b, protoICMPv6, hopLimit)
	b = append(b, n.From.AsSlice()...)
	b = append(b, n.To.AsSlice()...)
	return append(b, msg...)
}

// checksum is that of ICMPv6 (RFC 4443, 2.3), over a message whose own field is 0.
func checksum(from, to netip.Addr, msg []byte) uint16 {
	var sum uint32
	add := func(b []byte) {
		for i := 0; i+1 < len(b); i += 2 {
			sum += uint32(binary.BigEndian.Uint16(b[i:]))
		}
		if len(b)%2 == 1 {
			sum += uint32(b[len(b)-1]) << 8
		}
	}
	add(from.AsSlice())
	add(to.AsSlice())
	sum += uint32(len(msg)) + protoICMPv6
	add(msg)
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// ParseNeighbour reads a frame. Packets with extension headers are ErrOther:
// neighbour messages with them are not valid on an ordinary link.
func ParseNeighbour(b []byte) (Neighbour, error) {
	if len(b) < etherLen {
		return Neighbour{}, fmt.Errorf("frame of %d bytes is shorter than its header", len(b))
	}
	if binary.BigEndian.Uint16(b[12:]) != TypeIPv6 {
		return Neighbour{}, ErrOther
	}
	p := b[etherLen:]
	if len(p) < ip6Len {
		return Neighbour{}, fmt.Errorf("IPv6 packet of %d bytes is cut off", len(p))
	}
	length := int(binary.BigEndian.Uint16(p[4:]))
	if p[0]>>4 != 6 || p[6] != protoICMPv6 || p[7] != hopLimit {
		return Neighbour{}, ErrOther
	}
	msg := p[ip6Len:]
	if length > len(msg) {
		return Neighbour{}, fmt.Errorf("ICMPv6 message of %d bytes is cut off after %d", length, len(msg))
	}
	msg = msg[:length]
	if len(msg) < 24 || (msg[0] != typeSolicitation && msg[0] != typeAdvertisement) || msg[1] != 0 {
		return Neighbour{}, ErrOther
	}
	from, to := netip.AddrFrom16([16]byte(p[8:24])), netip.AddrFrom16([16]byte(p[24:40]))
	if sum := checksum(from, to, msg); sum != 0 {
		return Neighbour{}, fmt.Errorf("ICMPv6 checksum is wrong by %#04x", sum)
	}
	n := Neighbour{
		Dest: b[0:6:6], Source: b[6:12:12], From: from, To: to,
		Advertise: msg[0] == typeAdvertisement, Target: netip.AddrFrom16([16]byte(msg[8:24])),
	}
	want := byte(optSourceLink)
	if n.Advertise {
		n.Flags, want = msg[4], optTargetLink
	}
	for opts := msg[24:]; len(opts) >= 8; {
		size := int(opts[1]) * 8
		if size == 0 || size > len(opts) {
			return Neighbour{}, fmt.Errorf("neighbour option of %d bytes does not fit into %d", size, len(opts))
		}
		if opts[0] == want && n.Link == nil {
			n.Link = opts[2:8:8]
		}
		opts = opts[size:]
	}
	return n, nil
}

// Claims tells whether the message shows that another station than hw has ip:
// it advertises it, sends from it, or asks for it at the same time.
func (n Neighbour) Claims(ip netip.Addr, hw net.HardwareAddr) bool {
	if string(n.Source) == string(hw) {
		return false
	}
	return n.From == ip || (n.Target == ip && (n.Advertise || n.From == netip.IPv6Unspecified()))
}
