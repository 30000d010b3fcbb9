package fabric

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// window bounds what a stream holds that its reader has not taken.
const window = 1 << 20

// conn is one end of a stream. What the other end writes arrives in its half in.
type conn struct {
	net   *Network
	owner *Node
	peer  *Node
	in    *half
	other *conn
}

// newStream makes both ends of a stream from one node to another.
func newStream(n *Network, from, to *Node) (near, far *conn) {
	near = &conn{net: n, owner: from, peer: to, in: newHalf()}
	far = &conn{net: n, owner: to, peer: from, in: newHalf()}
	near.other, far.other = far, near
	n.mu.Lock()
	n.conns[near], n.conns[far] = true, true
	n.mu.Unlock()
	return near, far
}

// half is one direction: segments on their way to a reader.
type half struct {
	mu       sync.Mutex
	changed  chan struct{} // closed and replaced whenever anything here changes
	segments []segment
	held     int
	arrival  time.Time // of the last segment: streams keep their order
	finished bool      // the writer has closed: EOF after the last segment
	closed   bool      // the reader has closed
	readBy   time.Time
	writeBy  time.Time
}

type segment struct {
	at   time.Time
	data []byte
}

func newHalf() *half { return &half{changed: make(chan struct{})} }

func (h *half) signal() {
	h.mu.Lock()
	h.signalLocked()
	h.mu.Unlock()
}

func (h *half) signalLocked() {
	close(h.changed)
	h.changed = make(chan struct{})
}

// wait sleeps until something changes, or until the earlier of the instants that are
// not zero. The lock is released meanwhile.
func (h *half) wait(until ...time.Time) {
	changed := h.changed
	var at time.Time
	for _, u := range until {
		if !u.IsZero() && (at.IsZero() || u.Before(at)) {
			at = u
		}
	}
	h.mu.Unlock()
	defer h.mu.Lock()
	if at.IsZero() {
		<-changed
		return
	}
	timer := time.NewTimer(time.Until(at))
	defer timer.Stop()
	select {
	case <-changed:
	case <-timer.C:
	}
}

func past(t time.Time) bool { return !t.IsZero() && !time.Now().Before(t) }

func (c *conn) Read(p []byte) (int, error) {
	h := c.in
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		if h.closed {
			return 0, net.ErrClosed
		}
		if past(h.readBy) {
			return 0, os.ErrDeadlineExceeded
		}
		through := c.through(c.peer, c.owner)
		switch {
		case !through:
			h.wait(h.readBy)
		case c.rebooted():
			return 0, syscall.ECONNRESET
		case len(h.segments) == 0 && h.finished:
			return 0, io.EOF
		case len(h.segments) == 0:
			h.wait(h.readBy)
		case !past(h.segments[0].at):
			h.wait(h.segments[0].at, h.readBy)
		default:
			s := &h.segments[0]
			k := copy(p, s.data)
			s.data = s.data[k:]
			if len(s.data) == 0 {
				h.segments = h.segments[1:]
			}
			h.held -= k
			h.signalLocked()
			return k, nil
		}
	}
}

func (c *conn) Write(p []byte) (int, error) {
	h := c.other.in
	d, lost, _ := c.net.travel(c.owner.addr, c.peer.addr)
	if lost {
		d += Retransmit
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		switch {
		case h.finished:
			return 0, net.ErrClosed
		case past(h.writeBy):
			return 0, os.ErrDeadlineExceeded
		case h.closed && c.through(c.owner, c.peer):
			return 0, syscall.EPIPE
		case h.held+len(p) > window && h.held > 0:
			h.wait(h.writeBy)
			continue
		}
		at := time.Now().Add(d)
		if at.Before(h.arrival) {
			at = h.arrival
		}
		h.arrival = at
		h.segments = append(h.segments, segment{at, append([]byte(nil), p...)})
		h.held += len(p)
		h.signalLocked()
		return len(p), nil
	}
}

func (c *conn) through(from, to *Node) bool {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	return c.net.open(from.addr, to.addr) && !c.net.holds[link{from.addr, to.addr}]
}

// rebooted says that the peer's machine is back without knowing this stream.
func (c *conn) rebooted() bool {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	now := c.net.nodes[c.peer.addr]
	return now != nil && now != c.peer
}

// Close ends both directions; the peer reads what is under way, then EOF.
func (c *conn) Close() error {
	c.end(true)
	return nil
}

func (c *conn) end(politely bool) {
	c.net.mu.Lock()
	delete(c.net.conns, c)
	c.net.mu.Unlock()
	c.in.mu.Lock()
	c.in.closed = true
	c.in.signalLocked()
	c.in.mu.Unlock()
	if !politely {
		return
	}
	h := c.other.in
	h.mu.Lock()
	h.finished = true
	h.signalLocked()
	h.mu.Unlock()
}

// PeerName is the other end's node name; see transport.PeerName.
func (c *conn) PeerName() string     { return c.peer.name }
func (c *conn) LocalAddr() net.Addr  { return address(c.owner.addr) }
func (c *conn) RemoteAddr() net.Addr { return address(c.peer.addr) }

func (c *conn) SetDeadline(t time.Time) error {
	c.SetReadDeadline(t)
	return c.SetWriteDeadline(t)
}

func (c *conn) SetReadDeadline(t time.Time) error {
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	c.in.readBy = t
	c.in.signalLocked()
	return nil
}

func (c *conn) SetWriteDeadline(t time.Time) error {
	h := c.other.in
	h.mu.Lock()
	defer h.mu.Unlock()
	h.writeBy = t
	h.signalLocked()
	return nil
}
