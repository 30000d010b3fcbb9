package guard

import (
	"encoding/binary"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// Offsets of the addresses from the network header (RFC 826, 791, 8200, 4861).
const (
	arpSender = 14 // 8 bytes of header, 6 of the sender's Ethernet address
	ip4Source = 12
	ip4Dest   = 16
	ip6Next   = 6
	ip6Source = 8
	ip6Dest   = 24
	ndType    = 40
	ndTarget  = 48
	typeNA    = 136
)

// addChains puts the rules of a device in place: drop what speaks for, or is
// meant for, an address that is guarded and not live.
func (n *nft) addChains(t *nftables.Table, device string) {
	g4, l4 := sets(t, true)
	g6, l6 := sets(t, false)
	accept := nftables.ChainPolicyAccept
	out := n.chain(&nftables.Chain{
		Name: "out", Table: t, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookEgress,
		Priority: nftables.ChainPriorityFilter, Policy: &accept, Device: device,
	})
	in := n.chain(&nftables.Chain{
		Name: "in", Table: t, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookIngress,
		Priority: nftables.ChainPriorityFilter, Policy: &accept, Device: device,
	})
	neighbour := append(protocol(unix.ETH_P_IPV6), append(equals(ip6Next, unix.IPPROTO_ICMPV6), equals(ndType, typeNA)...)...)
	for _, r := range []struct {
		chain         *nftables.Chain
		match         []expr.Any
		offset        uint32
		guarded, live *nftables.Set
	}{
		{out, protocol(unix.ETH_P_ARP), arpSender, g4, l4},
		{out, protocol(unix.ETH_P_IP), ip4Source, g4, l4},
		{out, neighbour, ndTarget, g6, l6}, // its source may be another address
		{out, protocol(unix.ETH_P_IPV6), ip6Source, g6, l6},
		{in, protocol(unix.ETH_P_IP), ip4Dest, g4, l4},
		{in, protocol(unix.ETH_P_IPV6), ip6Dest, g6, l6},
	} {
		length := uint32(16)
		if r.guarded == g4 {
			length = 4
		}
		n.conn.AddRule(&nftables.Rule{Table: t, Chain: r.chain, Exprs: append(r.match,
			&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: r.offset, Len: length},
			&expr.Lookup{SourceRegister: 1, SetName: r.guarded.Name, SetID: r.guarded.ID},
			&expr.Lookup{SourceRegister: 1, SetName: r.live.Name, SetID: r.live.ID, Invert: true},
			&expr.Verdict{Kind: expr.VerdictDrop},
		)})
	}
}

// chain makes the chain, or empties the one that is there.
func (n *nft) chain(c *nftables.Chain) *nftables.Chain {
	n.conn.AddChain(c)
	n.conn.FlushChain(c)
	return c
}

// protocol matches the link layer's protocol number.
func protocol(ethertype uint16) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyPROTOCOL, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binary.BigEndian.AppendUint16(nil, ethertype)},
	}
}

// equals matches one byte at an offset of the network header.
func equals(offset uint32, value byte) []expr.Any {
	return []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{value}},
	}
}
