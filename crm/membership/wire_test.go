package membership

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"

	"systole/crm/transport"
)

// wire is a network in memory for testing/synctest: pipes for streams, queues
// for datagrams, and cuts between any two addresses.
type wire struct {
	mu    sync.Mutex
	ends  map[string]*end
	cut   map[[2]string]bool
	pipes map[*pipe]struct{}
}

func newWire() *wire {
	return &wire{ends: map[string]*end{}, cut: map[[2]string]bool{}, pipes: map[*pipe]struct{}{}}
}

// end is one node's Fabric.
type end struct {
	wire    *wire
	name    string
	addr    string
	streams chan net.Conn
	packets chan transport.Datagram
	done    chan struct{}
	once    sync.Once
}

var _ transport.Fabric = (*end)(nil)

// pipe is one half of a stream, which a cut breaks.
type pipe struct {
	net.Conn
	from, to string
	peer     string
}

func (p *pipe) PeerName() string { return p.peer }

func (w *wire) attach(name, addr string) *end {
	w.mu.Lock()
	defer w.mu.Unlock()
	e := &end{wire: w, name: name, addr: addr, streams: make(chan net.Conn, 16),
		packets: make(chan transport.Datagram, 64), done: make(chan struct{})}
	w.ends[addr] = e
	return e
}

// set cuts (or heals) both directions between two addresses.
func (w *wire) set(a, b string, cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut[[2]string{a, b}], w.cut[[2]string{b, a}] = cut, cut
	for p := range w.pipes {
		if cut && (p.from == a && p.to == b || p.from == b && p.to == a) {
			p.Conn.Close()
			delete(w.pipes, p)
		}
	}
}

// peer is the end at an address, if one can get there from from.
func (w *wire) peer(from, to string) *end {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cut[[2]string{from, to}] {
		return nil
	}
	return w.ends[to]
}

func (e *end) Addr() string                                          { return e.addr }
func (e *end) Listener(transport.Proto) net.Listener                 { return (*endListener)(e) }
func (e *end) Datagrams(transport.Channel) <-chan transport.Datagram { return e.packets }
func (e *end) Serve(transport.Channel, func(transport.Datagram))     {}

func (e *end) Dial(ctx context.Context, addr, name string, _ transport.Proto) (net.Conn, error) {
	to := e.wire.peer(e.addr, addr)
	if to == nil || name != "" && to.name != name {
		return nil, fmt.Errorf("dial %s at %s: nobody there", name, addr)
	}
	near, far := net.Pipe()
	a, b := &pipe{near, e.addr, addr, to.name}, &pipe{far, addr, e.addr, e.name}
	e.wire.mu.Lock()
	e.wire.pipes[a], e.wire.pipes[b] = struct{}{}, struct{}{}
	e.wire.mu.Unlock()
	select {
	case to.streams <- b:
		return a, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-to.done:
		return nil, net.ErrClosed
	}
}

func (e *end) Send(addr string, _ transport.Channel, payload []byte) error {
	if len(payload) > transport.MaxDatagram {
		return transport.ErrTooLarge
	}
	to := e.wire.peer(e.addr, addr)
	if to == nil {
		return nil
	}
	select {
	case <-to.done:
	case to.packets <- transport.Datagram{From: e.addr, Payload: slices.Clone(payload)}:
	default: // a full queue loses the newest here; gossip does not care which
	}
	return nil
}

// Close takes the end off the wire without a word.
func (e *end) Close() error {
	e.once.Do(func() {
		e.wire.mu.Lock()
		delete(e.wire.ends, e.addr)
		e.wire.mu.Unlock()
		close(e.done)
	})
	return nil
}

type endListener end

func (l *endListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.streams:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}
func (l *endListener) Close() error   { return (*end)(l).Close() }
func (l *endListener) Addr() net.Addr { return &net.TCPAddr{} }
