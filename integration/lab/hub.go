package lab

import (
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
)

// socketBuffer holds the frames a port has not yet taken, in bytes.
const socketBuffer = 4 << 20

// maxFrame is more than a frame of any card here.
const maxFrame = 66 << 10

// Segment is one Ethernet segment: a learning switch in this process. A card
// hangs on it by a datagram socket that carries whole frames. Faults are laid
// on the cables, so neither end knows of them. Safe for concurrent use.
type Segment struct {
	name    string
	number  int // in the hardware addresses of its cards
	capture *Capture
	done    sync.WaitGroup

	mu      sync.Mutex // guards what follows; never held while sending
	ports   map[string]*port
	where   map[[6]byte]string // hardware address → port it was last heard on
	blocked map[way]bool
	pulled  map[string]bool
}

// way is a direction between two ports.
type way struct{ from, to string }

// port is one cable's end at the switch.
type port struct {
	name string
	file *os.File // frames in and out
	raw  syscall.RawConn
}

func newSegment(name string, number int, c *Capture) *Segment {
	return &Segment{
		name: name, number: number, capture: c,
		ports: map[string]*port{}, where: map[[6]byte]string{}, blocked: map[way]bool{}, pulled: map[string]bool{},
	}
}

// plug lays a cable and returns the end for the card.
func (s *Segment) plug(name string) (*os.File, error) {
	ends, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("lay a cable from %s to %s: %w", name, s.name, err)
	}
	for _, fd := range ends {
		syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_SNDBUF, socketBuffer)
		syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_RCVBUF, socketBuffer)
	}
	syscall.SetNonblock(ends[0], true)
	if err := s.attach(name, os.NewFile(uintptr(ends[0]), name)); err != nil {
		syscall.Close(ends[1])
		return nil, err
	}
	return os.NewFile(uintptr(ends[1]), name), nil
}

// attach takes a file that gives and takes whole frames as a port, until unplug.
func (s *Segment) attach(name string, file *os.File) error {
	raw, err := file.SyscallConn()
	if err != nil {
		file.Close()
		return err
	}
	p := &port{name, file, raw}
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.ports[name]; old != nil {
		file.Close()
		return fmt.Errorf("segment %s has a port %s already", s.name, name)
	}
	s.ports[name] = p
	s.done.Go(func() { s.serve(p) })
	return nil
}

// unplug removes a port, as when its card has no power; faults stay on the cable.
func (s *Segment) unplug(name string) {
	s.mu.Lock()
	p := s.ports[name]
	delete(s.ports, name)
	s.mu.Unlock()
	if p != nil {
		p.file.Close()
	}
}

// close removes all ports and waits for them.
func (s *Segment) close() {
	s.mu.Lock()
	for _, p := range s.ports {
		p.file.Close()
	}
	clear(s.ports)
	s.mu.Unlock()
	s.done.Wait()
}

// serve carries what comes in on a port, until it closes.
func (s *Segment) serve(p *port) {
	frame := make([]byte, maxFrame)
	for {
		n, err := p.file.Read(frame)
		if err != nil {
			return
		}
		if n < 14 {
			continue
		}
		for _, to := range s.route(p.name, frame[:n]) {
			to.send(frame[:n])
		}
	}
}

// route learns the sender and says who gets a frame.
func (s *Segment) route(from string, f []byte) (to []*port) {
	dst, src := [6]byte(f[0:6]), [6]byte(f[6:12])
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pulled[from] {
		return nil
	}
	s.capture.frame(f)
	s.where[src] = from
	only, known := s.where[dst]
	if dst[0]&1 == 1 { // to a group
		known = false
	}
	for name, p := range s.ports {
		switch {
		case name == from, s.pulled[name], s.blocked[way{from, name}]:
		case known && name != only:
		default:
			to = append(to, p)
		}
	}
	return to
}

// send gives a frame to the card, or loses it if the card takes none: a wire does not wait.
func (p *port) send(f []byte) {
	p.raw.Write(func(fd uintptr) bool {
		syscall.Write(int(fd), f)
		return true
	})
}

// pull takes the cable of a port out, or puts it back.
func (s *Segment) pull(name string, out bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pulled[name] = out
}

// block loses what goes from one port to another, and nothing else.
func (s *Segment) block(from, to string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blocked[way{from, to}] = true
}

// mend takes away all faults of a port, or of all with "".
func (s *Segment) mend(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for w := range s.blocked {
		if name == "" || w.from == name || w.to == name {
			delete(s.blocked, w)
		}
	}
	if name == "" {
		clear(s.pulled)
	} else {
		delete(s.pulled, name)
	}
}

// MAC is the hardware address of a node's card on the segment.
func (s *Segment) MAC(n *Node) net.HardwareAddr { return s.mac(n.number) }

// mac is the hardware address of a node's card on the segment.
func (s *Segment) mac(node int) net.HardwareAddr {
	return net.HardwareAddr{2, 0x77, 0, 0, byte(s.number), byte(firstHost + node)}
}
