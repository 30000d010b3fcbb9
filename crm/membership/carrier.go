package membership

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"

	"systole/crm/transport"
)

// carrier is memberlist's Transport over a Fabric. It copies what it sends,
// since memberlist uses its buffers again, and drops what nobody reads: a
// stopped peer never blocks a sender.
type carrier struct {
	fabric   transport.Fabric
	listener net.Listener
	packets  chan *memberlist.Packet
	streams  chan net.Conn
	ctx      context.Context // of dials in progress; done at Shutdown
	stop     context.CancelFunc
	running  sync.WaitGroup
}

var _ memberlist.NodeAwareTransport = (*carrier)(nil)

// newCarrier starts the two pumps; Shutdown ends them.
func newCarrier(f transport.Fabric) (*carrier, error) {
	if _, err := netip.ParseAddrPort(f.Addr()); err != nil {
		return nil, fmt.Errorf("fabric address %q is not ip:port", f.Addr())
	}
	ctx, stop := context.WithCancel(context.Background())
	c := &carrier{
		fabric: f, listener: f.Listener(transport.ProtoGossip),
		packets: make(chan *memberlist.Packet), streams: make(chan net.Conn),
		ctx: ctx, stop: stop,
	}
	c.running.Go(c.pumpPackets)
	c.running.Go(c.pumpStreams)
	return c, nil
}

func (c *carrier) pumpPackets() {
	queue := c.fabric.Datagrams(transport.ChannelGossip)
	for {
		select {
		case d, ok := <-queue:
			if !ok {
				return
			}
			from, err := netip.ParseAddrPort(d.From)
			if err != nil {
				continue // not from a fabric of ours
			}
			p := &memberlist.Packet{Buf: d.Payload, From: net.UDPAddrFromAddrPort(from), Timestamp: time.Now()}
			select {
			case c.packets <- p:
			case <-c.ctx.Done():
				return
			}
		case <-c.ctx.Done():
			return
		}
	}
}

func (c *carrier) pumpStreams() {
	for {
		conn, err := c.listener.Accept()
		if err != nil {
			return
		}
		select {
		case c.streams <- conn:
		case <-c.ctx.Done():
			conn.Close()
			return
		}
	}
}

// FinalAdvertiseAddr implements memberlist.Transport: the fabric knows best.
func (c *carrier) FinalAdvertiseAddr(string, int) (net.IP, int, error) {
	a := netip.MustParseAddrPort(c.fabric.Addr()) // checked by newCarrier
	return a.Addr().AsSlice(), int(a.Port()), nil
}

// WriteTo implements memberlist.Transport.
func (c *carrier) WriteTo(b []byte, addr string) (time.Time, error) {
	err := c.fabric.Send(addr, transport.ChannelGossip, slices.Clone(b))
	return time.Now(), err
}

// WriteToAddress implements memberlist.NodeAwareTransport.
func (c *carrier) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	return c.WriteTo(b, a.Addr)
}

// PacketCh implements memberlist.Transport.
func (c *carrier) PacketCh() <-chan *memberlist.Packet { return c.packets }

// StreamCh implements memberlist.Transport.
func (c *carrier) StreamCh() <-chan net.Conn { return c.streams }

// DialTimeout implements memberlist.Transport.
func (c *carrier) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	return c.DialAddressTimeout(memberlist.Address{Addr: addr}, timeout)
}

// DialAddressTimeout implements memberlist.NodeAwareTransport.
func (c *carrier) DialAddressTimeout(a memberlist.Address, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(c.ctx, timeout)
	defer cancel()
	return c.fabric.Dial(ctx, a.Addr, a.Name, transport.ProtoGossip)
}

// Shutdown implements memberlist.Transport; it returns when the pumps have ended.
func (c *carrier) Shutdown() error {
	c.stop()
	c.listener.Close()
	c.running.Wait()
	return nil
}
