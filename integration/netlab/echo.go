package netlab

import (
	"net"

	"golang.org/x/net/ipv4"
)

// EchoUDP answers every IPv4 datagram to a port with a text, from the address it was sent
// to: with direct routing that is not the machine's own. It returns the error that ends it.
func EchoUDP(port, text string) error {
	conn, err := net.ListenPacket("udp4", ":"+port)
	if err != nil {
		return err
	}
	p := ipv4.NewPacketConn(conn)
	if err := p.SetControlMessage(ipv4.FlagDst, true); err != nil {
		return err
	}
	b := make([]byte, 1500)
	for {
		_, to, from, err := p.ReadFrom(b)
		if err != nil {
			return err
		}
		if _, err := p.WriteTo([]byte(text), &ipv4.ControlMessage{Src: to.Dst}, from); err != nil {
			return err
		}
	}
}
