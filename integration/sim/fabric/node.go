package fabric

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"systole/crm/transport"
)

// Node is one node's Fabric.
type Node struct {
	net  *Network
	addr string
	name string
	done chan struct{}
	once sync.Once

	mu        sync.Mutex
	listeners map[transport.Proto]*listener
	queues    map[transport.Channel]*queue
}

var _ transport.Fabric = (*Node)(nil)

// Addr implements transport.Fabric.
func (n *Node) Addr() string { return n.addr }

// Listener implements transport.Fabric.
func (n *Node) Listener(p transport.Proto) net.Listener {
	n.mu.Lock()
	defer n.mu.Unlock()
	l := n.listeners[p]
	if l == nil {
		l = &listener{node: n, backlog: make(chan *conn, 128), done: make(chan struct{})}
		n.listeners[p] = l
	}
	return l
}

// Dial implements transport.Fabric. A dial through a cut waits for it to heal, or for ctx.
func (n *Node) Dial(ctx context.Context, addr, name string, p transport.Proto) (net.Conn, error) {
	fail := func(why string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: "fabric", Addr: address(addr), Err: fmt.Errorf("%s: %s", p, why)}
	}
	for {
		d, lost, _ := n.net.travel(n.addr, addr)
		if lost {
			d += Retransmit
		}
		if d > 0 {
			select {
			case <-time.After(d):
			case <-ctx.Done():
				return fail("time-out")
			case <-n.done:
				return fail("closed")
			}
		}
		n.net.mu.Lock()
		peer := n.net.nodes[addr]
		through := n.net.open(n.addr, addr) && n.net.open(addr, n.addr)
		n.net.mu.Unlock()
		if through && peer != nil {
			if name != "" && name != peer.name {
				return fail("the peer is " + peer.name + ", not " + name)
			}
			return peer.accept(n, p)
		}
		select { // as a SYN is sent again
		case <-time.After(Retransmit):
		case <-ctx.Done():
			return fail("time-out")
		case <-n.done:
			return fail("closed")
		}
	}
}

// accept puts the other end of a new stream into the listener's backlog.
func (n *Node) accept(from *Node, p transport.Proto) (net.Conn, error) {
	refused := &net.OpError{Op: "dial", Net: "fabric", Addr: address(n.addr), Err: fmt.Errorf("%s: connection refused", p)}
	n.mu.Lock()
	l := n.listeners[p]
	n.mu.Unlock()
	if l == nil {
		return nil, refused
	}
	near, far := newStream(n.net, from, n)
	select {
	case <-l.done:
	case <-n.done:
	default:
		select {
		case l.backlog <- far:
			return near, nil
		default:
		}
	}
	near.Close()
	far.Close()
	return nil, refused
}

// Send implements transport.Fabric.
func (n *Node) Send(addr string, ch transport.Channel, payload []byte) error {
	if len(payload) > transport.MaxDatagram {
		return fmt.Errorf("datagram to %s: %d bytes are more than %d", addr, len(payload), transport.MaxDatagram)
	}
	select {
	case <-n.done:
		return net.ErrClosed
	default:
	}
	d, lost, again := n.net.travel(n.addr, addr)
	if lost || n.net.noUDP() {
		return nil
	}
	n.net.deliver(n.addr, addr, ch, slices.Clone(payload), d)
	if again {
		n.net.deliver(n.addr, addr, ch, slices.Clone(payload), 2*d)
	}
	return nil
}

// deliver hands a datagram over after its delay, if the way is open then.
func (n *Network) deliver(from, to string, ch transport.Channel, payload []byte, after time.Duration) {
	arrive := func() {
		n.mu.Lock()
		peer := n.nodes[to]
		through := n.open(from, to)
		n.mu.Unlock()
		if peer != nil && through {
			peer.queue(ch).put(transport.Datagram{From: from, Payload: payload})
		}
	}
	if after == 0 {
		arrive()
		return
	}
	time.AfterFunc(after, arrive)
}

// Datagrams implements transport.Fabric.
func (n *Node) Datagrams(ch transport.Channel) <-chan transport.Datagram { return n.queue(ch).out }

// Serve implements transport.Fabric.
func (n *Node) Serve(ch transport.Channel, take func(transport.Datagram)) {
	for d := range n.queue(ch).out {
		take(d)
	}
}

func (n *Node) queue(ch transport.Channel) *queue {
	n.mu.Lock()
	defer n.mu.Unlock()
	q := n.queues[ch]
	if q == nil {
		q = &queue{out: make(chan transport.Datagram, 256)}
		n.queues[ch] = q
		select {
		case <-n.done:
			q.close()
		default:
		}
	}
	return q
}

// Close implements transport.Fabric: peers see their streams end.
func (n *Node) Close() error {
	n.end(true)
	return nil
}

// end takes the node off the network; politely means that peers are told.
func (n *Node) end(politely bool) {
	n.once.Do(func() {
		close(n.done)
		n.net.mu.Lock()
		if n.net.nodes[n.addr] == n {
			delete(n.net.nodes, n.addr)
		}
		var mine []*conn
		for c := range n.net.conns {
			if c.owner == n {
				mine = append(mine, c)
			}
		}
		n.net.mu.Unlock()
		for _, c := range mine {
			c.end(politely)
		}
		n.mu.Lock()
		defer n.mu.Unlock()
		for _, l := range n.listeners {
			l.Close()
		}
		for _, q := range n.queues {
			q.close()
		}
	})
}

// queue keeps the newest datagrams of one channel.
type queue struct {
	mu     sync.Mutex
	out    chan transport.Datagram
	closed bool
}

func (q *queue) put(d transport.Datagram) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for !q.closed {
		select {
		case q.out <- d:
			return
		default:
		}
		select {
		case <-q.out: // the oldest makes room
		default:
		}
	}
}

func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.closed {
		q.closed = true
		close(q.out)
	}
}

// listener hands out the streams of one protocol.
type listener struct {
	node    *Node
	backlog chan *conn
	once    sync.Once
	done    chan struct{}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.backlog:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.once.Do(func() {
		close(l.done)
		for {
			select {
			case c := <-l.backlog:
				c.Close()
			default:
				return
			}
		}
	})
	return nil
}

func (l *listener) Addr() net.Addr { return address(l.node.addr) }

type address string

func (a address) Network() string { return "fabric" }
func (a address) String() string  { return string(a) }
