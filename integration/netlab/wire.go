package netlab

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Probing of the wire: every probeEvery a question "who has the address?" goes
// out under a sender address of its own, so that two answers to one question
// are told from two answers to two.
const (
	probeEvery     = 5 * time.Millisecond
	firstProbeHost = 128 // senders 10.77.0.128 to .253, each asked again after 630 ms; .254 is a gateway's
	probeHosts     = 126
	// flapWindow: nobody can hand an address over and get it back within it;
	// the old owner speaking again that soon never had stopped.
	flapWindow = 50 * time.Millisecond
)

// askerMAC asks in the place of a machine that does not exist, so that the answers
// do not refresh the client's own idea of where the address is: that is what
// announcements are for.
var askerMAC = net.HardwareAddr{2, 0x77, 0, 0, 0, 0xfe}

// Wire watches who answers for one address. It sees every answer and every
// packet sent from the address towards the client.
type Wire struct {
	vip   netip.Addr
	names map[string]string // hardware address → node name

	onlyARP bool
	every   time.Duration // between two questions

	mu         sync.Mutex
	answers    [probeHosts]probe
	speakers   []Utterance // changes of speaker only
	last       map[string]time.Time
	violations []string
	probes     int
	answered   int
}

type probe struct {
	sent time.Time
	from string
}

// Utterance is a moment when another node than before began to speak for the address.
type Utterance struct {
	At   time.Time
	Node string
	What string // the frame
}

// NewWire prepares to watch vip among the lab's nodes.
func (l *Lab) NewWire(vip netip.Addr) *Wire {
	names := map[string]string{}
	for _, n := range l.nodes {
		names[n.MAC.String()] = n.Name
	}
	return Watch(vip, names)
}

// Watch prepares to watch vip among the machines behind the card [Bridge], whose
// names are given by hardware address.
func Watch(vip netip.Addr, names map[string]string) *Wire {
	return &Wire{vip: vip, names: names, every: probeEvery, last: map[string]time.Time{}}
}

// OnlyARP watches ARP alone: behind a director that routes directly, many nodes
// rightly send from the address. Call it before Run, as Every.
func (w *Wire) OnlyARP() { w.onlyARP = true }

// Every is how often is asked, when not every 5 ms: each question wakes every machine.
func (w *Wire) Every(d time.Duration) { w.every = d }

// Run watches until ctx ends.
func (w *Wire) Run(ctx context.Context) error {
	iface, err := net.InterfaceByName(Bridge)
	if err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(htons(unix.ETH_P_ALL)))
	if err != nil {
		return fmt.Errorf("watch the wire: %w", err)
	}
	defer unix.Close(fd)
	here := &unix.SockaddrLinklayer{Protocol: htons(unix.ETH_P_ALL), Ifindex: iface.Index, Halen: 6}
	if err := unix.Bind(fd, here); err != nil {
		return fmt.Errorf("watch the wire: %w", err)
	}
	promiscuous := &unix.PacketMreq{Ifindex: int32(iface.Index), Type: unix.PACKET_MR_PROMISC}
	if err := unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, promiscuous); err != nil {
		return fmt.Errorf("watch the wire: %w", err)
	}
	timeout := unix.NsecToTimeval(int64(20 * time.Millisecond))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout); err != nil {
		return err
	}
	// The time of a frame is when it came, not when this process got to it.
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1); err != nil {
		return fmt.Errorf("watch the wire: %w", err)
	}
	var asking sync.WaitGroup
	asking.Go(func() { w.ask(ctx, fd, here) })
	defer asking.Wait()
	frame, control := make([]byte, 2048), make([]byte, 128)
	for ctx.Err() == nil {
		n, controls, _, from, err := unix.Recvmsg(fd, frame, control, 0)
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("watch the wire: %w", err)
		}
		if ll, ok := from.(*unix.SockaddrLinklayer); ok && ll.Pkttype == unix.PACKET_OUTGOING {
			continue
		}
		at, err := stamp(control[:controls])
		if err != nil {
			return fmt.Errorf("watch the wire: %w", err)
		}
		w.hear(frame[:n], at)
	}
	return nil
}

// stamp is the SCM_TIMESTAMPNS of a received frame.
func stamp(control []byte) (time.Time, error) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return time.Time{}, err
	}
	for _, m := range messages {
		if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SCM_TIMESTAMPNS && len(m.Data) >= 16 {
			return time.Unix(int64(binary.NativeEndian.Uint64(m.Data)), int64(binary.NativeEndian.Uint64(m.Data[8:]))), nil
		}
	}
	return time.Time{}, errors.New("a frame without the time of its arrival")
}

func htons(v uint16) uint16 { return v<<8 | v>>8 }

func (w *Wire) ask(ctx context.Context, fd int, to *unix.SockaddrLinklayer) {
	tick := time.NewTicker(w.every)
	defer tick.Stop()
	for i := 0; ; i = (i + 1) % probeHosts {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		sender := netip.AddrFrom4([4]byte{10, 77, 0, byte(firstProbeHost + i)})
		w.mu.Lock()
		w.answers[i] = probe{sent: time.Now()}
		w.probes++
		w.mu.Unlock()
		unix.Sendto(fd, arpRequest(askerMAC, sender, w.vip), 0, to)
	}
}

// arpRequest is an Ethernet broadcast "who has target, tell sender" (RFC 826).
func arpRequest(mac net.HardwareAddr, sender, target netip.Addr) []byte {
	f := make([]byte, 0, 42)
	f = append(f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)
	f = append(f, mac...)
	f = append(f, 0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1)
	f = append(f, mac...)
	f = append(f, sender.AsSlice()...)
	f = append(f, 0, 0, 0, 0, 0, 0)
	return append(f, target.AsSlice()...)
}

// hear takes one frame that came in from the bridge.
func (w *Wire) hear(f []byte, at time.Time) {
	const ethernet = 14
	if len(f) < ethernet+20 {
		return
	}
	mac := net.HardwareAddr(f[6:12]).String()
	name, known := w.names[mac]
	if !known {
		return
	}
	body := f[ethernet:]
	switch binary.BigEndian.Uint16(f[12:]) {
	case unix.ETH_P_ARP:
		if len(body) < 28 || netip.AddrFrom4([4]byte(body[14:18])) != w.vip {
			return
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.spoke(name, at, fmt.Sprintf("ARP operation %d to %v", body[7], net.HardwareAddr(f[:6])))
		if reply := body[7] == 2; reply && body[24] == 10 && body[25] == 77 && body[26] == 0 && body[27] >= firstProbeHost {
			w.replied(int(body[27])-firstProbeHost, name, at)
		}
	case unix.ETH_P_IP:
		if !w.onlyARP && netip.AddrFrom4([4]byte(body[12:16])) == w.vip {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.spoke(name, at, packet(body))
		}
	}
}

// packet says in a few words what an IPv4 packet is.
func packet(p []byte) string {
	if header := int(p[0]&15) * 4; p[9] == unix.IPPROTO_TCP && len(p) >= header+14 {
		return fmt.Sprintf("TCP with flags %#x", p[header+13])
	}
	return fmt.Sprintf("IP protocol %d", p[9])
}

func (w *Wire) replied(i int, name string, at time.Time) {
	if i >= probeHosts {
		return
	}
	p := &w.answers[i]
	switch {
	case at.Before(p.sent): // of an earlier question from this sender, read late
	case p.from == "":
		p.from = name
		w.answered++
	case p.from != name:
		w.violate("%s and %s both answered one question for %s at %s", p.from, name, w.vip, at.Format("15:04:05.000"))
	}
}

func (w *Wire) spoke(name string, at time.Time, what string) {
	if n := len(w.speakers); n == 0 || w.speakers[n-1].Node != name {
		if n > 0 && at.Sub(w.last[name]) < flapWindow && !w.last[name].IsZero() {
			other := w.speakers[n-1]
			w.violate("%s spoke for %s at %s (%s), %v after it had last and %v after %s had taken over (%s)", name, w.vip, at.Format("15:04:05.000"), what,
				at.Sub(w.last[name]).Round(time.Millisecond), at.Sub(other.At).Round(time.Millisecond), other.Node, other.What)
		}
		w.speakers = append(w.speakers, Utterance{at, name, what})
	}
	w.last[name] = at
}

// maxViolations bounds what is kept; the count goes on.
const maxViolations = 20

func (w *Wire) violate(format string, args ...any) {
	if len(w.violations) < maxViolations {
		w.violations = append(w.violations, fmt.Sprintf(format, args...))
	}
}

// Owner is who spoke last for the address, and when; "" if nobody ever did.
func (w *Wire) Owner() (node string, at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.speakers) == 0 {
		return "", time.Time{}
	}
	node = w.speakers[len(w.speakers)-1].Node
	return node, w.last[node]
}

// Speakers are the changes of owner since the beginning.
func (w *Wire) Speakers() []Utterance {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]Utterance(nil), w.speakers...)
}

// Violations are the moments when two nodes answered for the address, at most maxViolations of them.
func (w *Wire) Violations() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.violations...)
}

// Asked is how many questions were sent and how many were answered; a watch that
// asked nothing has proved nothing.
func (w *Wire) Asked() (probes, answered int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.probes, w.answered
}
