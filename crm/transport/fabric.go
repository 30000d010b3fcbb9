// Package transport carries everything between nodes: byte streams for raft,
// node RPC, the API and gossip, and datagrams for beats and gossip packets.
//
// [Fabric] is the whole interface. The real one is one TLS 1.3 port (dispatch
// by ALPN, mutual certificates) with one UDP port of the same number beside it;
// the simulation's one is made of pipes in virtual time. Users of a Fabric
// never see certificates, keys or sockets.
package transport

import (
	"context"
	"net"
)

// Proto is the protocol spoken on a stream; it is the ALPN name on the wire
// with the prefix "systole-".
type Proto string

// The stream protocols.
const (
	ProtoRaft   Proto = "raft"
	ProtoRPC    Proto = "rpc"
	ProtoAPI    Proto = "api"
	ProtoGossip Proto = "gossip"
	ProtoJoin   Proto = "join" // the only one offered to a peer without a certificate
)

// Channel is the use of a datagram; it is the first byte on the wire.
type Channel byte

// The datagram channels.
const (
	ChannelBeat   Channel = 1
	ChannelGossip Channel = 2
)

// MaxDatagram is the largest payload a Fabric promises to carry: the usual
// MTU of 1500 less IPv6, UDP and sealing overhead.
const MaxDatagram = 1400

// Datagram is one received packet. Payload belongs to the receiver.
type Datagram struct {
	From    string // "ip:port" of the sender's fabric
	Payload []byte
}

// Fabric connects this node to the others. All methods are safe for concurrent
// use. Addresses are "ip:port" of a peer's fabric.
type Fabric interface {
	// Addr is this node's own address as others dial it.
	Addr() string
	// Listener gives the incoming streams of one protocol. Call once for each.
	Listener(Proto) net.Listener
	// Dial opens a stream; its error says which address and why. The peer's
	// node name is verified against its certificate when name is not empty.
	Dial(ctx context.Context, addr, name string, p Proto) (net.Conn, error)
	// Send sends a datagram: at most once, maybe never, maybe out of order.
	// Only local refusals (too large, closed) are errors. ChannelBeat payloads
	// are sealed with the cluster key; gossip seals its own.
	Send(addr string, ch Channel, payload []byte) error
	// Datagrams is the bounded queue of received packets; when full the oldest
	// are dropped.
	Datagrams(Channel) <-chan Datagram
	// Serve has take called for each packet of the channel from now on, instead of
	// queueing it: one at a time, by the goroutine that has read it, so that nobody
	// else is woken. take must not wait. Serve returns after Close. Call once for each.
	Serve(ch Channel, take func(Datagram))
	// Close ends listeners, connections and the queue channels.
	Close() error
}

// PeerName returns the verified node name of the other end of a stream accepted
// from or dialled by a Fabric, or "" where the protocol has none (ProtoJoin).
func PeerName(c net.Conn) string {
	if n, ok := c.(interface{ PeerName() string }); ok {
		return n.PeerName()
	}
	return ""
}
