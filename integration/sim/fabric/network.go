// Package fabric is a network in memory for whole clusters in one process: it gives
// each node a [transport.Fabric] whose streams and datagrams obey the faults set on
// the [Network] — loss, duplication, delay, cuts in one or both directions, crashes
// and power losses.
//
// It uses only the time package, channels and mutexes, so it runs in a
// testing/synctest bubble, where delays cost nothing. A lost segment of a stream is
// a delay of one retransmission, as TCP would show it; a cut stream stands still and
// goes on when the cut heals. All randomness comes from the seed; goroutines may
// still draw from it in another order.
package fabric

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"systole/crm/transport"
)

// Retransmit is how much later a lost segment of a stream arrives: the smallest
// retransmission time-out of Linux (RFC 6298 with TCP_RTO_MIN).
const Retransmit = 200 * time.Millisecond

// Faults are what happens to everything that travels; the zero value is a perfect
// network without delay.
type Faults struct {
	Delay     time.Duration // of everything, one way
	Jitter    time.Duration // added at random, up to this
	Loss      float64       // of a datagram or a stream segment
	Duplicate float64       // of a datagram
	NoUDP     bool          // every datagram is lost
}

// Network joins the nodes attached to it. It is safe for concurrent use.
type Network struct {
	mu     sync.Mutex
	rand   *rand.Rand
	faults Faults
	nodes  map[string]*Node
	cuts   map[link]bool
	holds  map[link]bool
	conns  map[*conn]bool
}

type link struct{ from, to string }

// New makes a network without faults.
func New(seed uint64) *Network {
	return &Network{
		rand:  rand.New(rand.NewPCG(seed, 0x5e5701e)),
		nodes: make(map[string]*Node),
		cuts:  make(map[link]bool),
		holds: make(map[link]bool),
		conns: make(map[*conn]bool),
	}
}

// Attach adds a node, or a rebooted one once the earlier one was closed or lost its
// power. name is what peers see as its verified name.
func (n *Network) Attach(addr, name string) *Node {
	node := &Node{
		net: n, addr: addr, name: name,
		done:      make(chan struct{}),
		listeners: make(map[transport.Proto]*listener),
		queues:    make(map[transport.Channel]*queue),
	}
	n.mu.Lock()
	if old := n.nodes[addr]; old != nil {
		panic(fmt.Sprintf("fabric: %s is still attached at %s", old.name, addr))
	}
	n.nodes[addr] = node
	n.mu.Unlock()
	n.wake()
	return node
}

// SetFaults replaces the faults for everything sent from now on.
func (n *Network) SetFaults(f Faults) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.faults = f
}

// Cut stops everything from one address to the other, one way; "" stands for all.
func (n *Network) Cut(from, to string) {
	n.mu.Lock()
	n.cuts[link{from, to}] = true
	n.mu.Unlock()
}

// Heal undoes the Cut of the same addresses.
func (n *Network) Heal(from, to string) {
	n.mu.Lock()
	delete(n.cuts, link{from, to})
	n.mu.Unlock()
	n.wake()
}

// HealAll undoes every cut.
func (n *Network) HealAll() {
	n.mu.Lock()
	clear(n.cuts)
	n.mu.Unlock()
	n.wake()
}

// Hold keeps back what streams carry from one address to the other, until the function it
// returns is called; datagrams pass.
func (n *Network) Hold(from, to string) (release func()) {
	n.mu.Lock()
	n.holds[link{from, to}] = true
	n.mu.Unlock()
	return func() {
		n.mu.Lock()
		delete(n.holds, link{from, to})
		n.mu.Unlock()
		n.wake()
	}
}

// Isolate cuts an address from all others, both ways.
func (n *Network) Isolate(addr string) {
	n.Cut(addr, "")
	n.Cut("", addr)
}

// Partition cuts every link between the two sides, both ways.
func (n *Network) Partition(left, right []string) {
	for _, a := range left {
		for _, b := range right {
			n.Cut(a, b)
			n.Cut(b, a)
		}
	}
}

// PowerOff removes a node without a word: its peers' streams stand still, as when a
// machine loses its power.
func (n *Network) PowerOff(addr string) {
	n.mu.Lock()
	node := n.nodes[addr]
	n.mu.Unlock()
	if node != nil {
		node.end(false)
	}
}

// Reachable says whether anything sent from one address reaches the other now.
func (n *Network) Reachable(from, to string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.open(from, to) && n.nodes[to] != nil
}

// open says whether no cut stands in the way; a node always reaches itself. The lock is held.
func (n *Network) open(from, to string) bool {
	return from == to || !n.cuts[link{from, to}] && !n.cuts[link{from, ""}] && !n.cuts[link{"", to}]
}

// travel draws how long something takes, and whether it is lost on the way.
func (n *Network) travel(from, to string) (d time.Duration, lost, again bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if from == to {
		return 0, false, false
	}
	d = n.faults.Delay
	if n.faults.Jitter > 0 {
		d += time.Duration(n.rand.Int64N(int64(n.faults.Jitter)))
	}
	return d, n.rand.Float64() < n.faults.Loss, n.rand.Float64() < n.faults.Duplicate
}

func (n *Network) noUDP() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.faults.NoUDP
}

// wake lets every stream look at its link again.
func (n *Network) wake() {
	n.mu.Lock()
	conns := slices.Collect(maps.Keys(n.conns))
	n.mu.Unlock()
	for _, c := range conns {
		c.in.signal()
	}
}
