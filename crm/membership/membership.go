// Package membership says who is there: memberlist over the fabric, with
// addresses, versions and the key ring. It is an opinion with an age, shown in
// status and used to find addresses; nothing is ever stopped, started or fenced
// because of it. The failure detector is the beat (crm/lease).
//
// A [Membership] owns memberlist's goroutines and two of its own, from Open to
// Close. Nothing of it blocks memberlist's callbacks: they fill a bounded queue.
package membership

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"

	"systole/crm/transport"
)

// Role of a node in the cluster.
type Role string

// The roles.
const (
	RoleMember  Role = "member"
	RoleWitness Role = "witness" // votes, runs nothing
)

// Meta is what a node tells about itself; its JSON must fit MaxMeta.
type Meta struct {
	ID       string `json:"id"`      // identity of this join (cluster.Identity.ID)
	Version  string `json:"version"` // of the program
	Protocol int    `json:"protocol"`
	Role     Role   `json:"role"`
	// Leaving is set by Leave, so that others can tell it from a failure.
	Leaving bool `json:"leaving,omitempty"`
}

// MaxMeta is memberlist's bound for metadata in bytes.
const MaxMeta = memberlist.MetaMaxSize

// State of a member as gossip sees it.
type State string

// The states.
const (
	StateAlive  State = "alive"
	StateFailed State = "failed"
	StateLeft   State = "left"
)

// Member is one node as gossip sees it.
type Member struct {
	Name  string
	Addr  string // "ip:port" of its fabric
	State State
	Since time.Time // of the state
	Meta  Meta
}

// EventKind says what happened to a member.
type EventKind string

// The kinds. EventConflict: a second node announces a name that is alive
// elsewhere; its Member is the newcomer.
const (
	EventJoined   EventKind = "joined"
	EventUpdated  EventKind = "updated"
	EventFailed   EventKind = "failed"
	EventLeft     EventKind = "left"
	EventConflict EventKind = "conflict"
)

// Event is one change, in the order in which gossip told it.
type Event struct {
	Kind   EventKind
	Member Member
}

// Options of [Open].
type Options struct {
	Fabric transport.Fabric
	Name   string
	Meta   Meta
	// Keys are cluster keys; the first encrypts, all decrypt.
	Keys [][]byte
	// Seeds gives the addresses of all configured nodes. Those that are not
	// alive here are contacted at once and every RejoinInterval; memberlist by
	// itself never heals a partition that lasted. May be nil.
	Seeds func() []string
	// Compatible refuses nodes that speak a protocol this one does not; nil takes all.
	Compatible func(protocol int) error
	Log        *slog.Logger
}

// RejoinInterval is how often absent seeds are tried again: a handshake each,
// and an opinion may be this late.
const RejoinInterval = 10 * time.Second

// Membership is this node's view. All methods are safe for concurrent use.
type Membership struct {
	list    *memberlist.Memberlist
	ring    *memberlist.Keyring
	view    *view
	seeds   func() []string
	log     *slog.Logger
	stop    context.CancelFunc
	running sync.WaitGroup
	once    sync.Once
}

// Open starts memberlist's goroutines; Close ends them. The fabric's gossip
// listener and queue are taken for good.
func Open(o Options) (*Membership, error) {
	ring, err := newRing(o.Keys)
	if err != nil {
		return nil, fmt.Errorf("membership: %w", err)
	}
	v := newView(o.Compatible)
	if err := v.setMeta(o.Meta); err != nil {
		return nil, err
	}
	carrier, err := newCarrier(o.Fabric)
	if err != nil {
		return nil, fmt.Errorf("membership: %w", err)
	}
	list, err := memberlist.Create(config(o, ring, v, carrier))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("membership: %w", err), carrier.Shutdown())
	}
	ctx, stop := context.WithCancel(context.Background())
	m := &Membership{list: list, ring: ring, view: v, seeds: o.Seeds, log: o.Log, stop: stop}
	if o.Seeds != nil {
		m.running.Go(func() { m.rejoin(ctx) })
	}
	return m, nil
}

// config is memberlist's LAN profile with longer intervals, since nothing acts on its opinion:
// membership is shown, not acted on, so quiet matters more than speed.
func config(o Options, ring *memberlist.Keyring, v *view, carrier *carrier) *memberlist.Config {
	c := memberlist.DefaultLANConfig()
	c.Name = o.Name
	c.Transport = carrier
	c.ProbeInterval = 2 * time.Second
	c.ProbeTimeout = 500 * time.Millisecond
	c.SuspicionMult = 4
	c.GossipInterval = 500 * time.Millisecond
	c.SuspicionMaxTimeoutMult = 1
	c.TCPTimeout = 5 * time.Second
	c.UDPBufferSize = packetSize
	c.DeadNodeReclaimTime = 5 * time.Second // a failed node may return with another address
	c.Keyring = ring
	c.Delegate = v
	c.Events = v
	c.Conflict = v
	c.Alive = v
	c.Logger = log.New(adapter{o.Log}, "", 0)
	c.LogOutput = nil
	return c
}

// packetSize leaves room in a datagram for what memberlist adds outside its
// own count: encryption, checksum and compression headers.
const packetSize = transport.MaxDatagram - 100

// rejoin contacts seeds that are not alive, at once and at each interval.
func (m *Membership) rejoin(ctx context.Context) {
	tick := time.NewTicker(RejoinInterval)
	defer tick.Stop()
	for {
		absent := slices.DeleteFunc(slices.Clone(m.seeds()), func(addr string) bool { return addr == "" || m.view.alive(addr) })
		if len(absent) > 0 {
			_, _ = m.Join(ctx, absent) // an absent node stays absent; status shows it
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// Join contacts addresses and says how many answered; the error names those
// that did not, if none did.
func (m *Membership) Join(ctx context.Context, addrs []string) (answered int, err error) {
	var errs []error
	for _, a := range addrs {
		if ctx.Err() != nil {
			return answered, context.Cause(ctx)
		}
		if _, err := m.list.Join([]string{a}); err != nil {
			errs = append(errs, fmt.Errorf("gossip with %s: %w", a, err))
			continue
		}
		answered++
	}
	if answered > 0 {
		return answered, nil
	}
	return 0, errors.Join(errs...)
}

// Members are all nodes heard of since Open, this one included, by name.
func (m *Membership) Members() []Member {
	all := m.view.members()
	slices.SortFunc(all, func(a, b Member) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// Events is the queue of changes: bounded, oldest dropped; Members is always
// the truth of the moment. It is closed by Close.
func (m *Membership) Events() <-chan Event { return m.view.events }

// State is gossip's opinion of a node, "" for one never heard of.
func (m *Membership) State(node string) State { return m.view.state(node) }

// Run writes what gossip tells into the log until ctx is done, then closes. Use
// it instead of Events where nobody else wants them.
func (m *Membership) Run(ctx context.Context) error {
	for {
		select {
		case e, ok := <-m.Events():
			if !ok {
				return nil
			}
			m.log.Info("member "+string(e.Kind), "node", e.Member.Name, "addr", e.Member.Addr, "version", e.Member.Meta.Version)
		case <-ctx.Done():
			return m.Close()
		}
	}
}

// Update replaces this node's metadata and tells the others, for at most a few seconds.
func (m *Membership) Update(meta Meta) error {
	if err := m.view.setMeta(meta); err != nil {
		return err
	}
	if err := m.list.UpdateNode(broadcastTimeout); err != nil {
		return fmt.Errorf("membership: tell the others: %w", err)
	}
	return nil
}

// broadcastTimeout bounds the wait for a broadcast's last retransmission: a few gossip intervals.
const broadcastTimeout = 3 * time.Second

// SetKeys replaces the key ring: the first key encrypts, all decrypt.
func (m *Membership) SetKeys(keys [][]byte) error {
	if err := setRing(m.ring, keys); err != nil {
		return fmt.Errorf("membership: %w", err)
	}
	return nil
}

// Leave tells the others that this node goes on purpose, then closes. It takes
// a few seconds at most; its error means only that some may call it failed.
// After Close it does nothing.
func (m *Membership) Leave() error {
	if m.view.ended() {
		return nil
	}
	meta := m.view.ownMeta()
	meta.Leaving = true
	told := m.Update(meta)
	left := m.list.Leave(broadcastTimeout)
	return errors.Join(told, left, m.Close())
}

// Linger is how long a probe or stream of memberlist that was under way may
// outlive Close: it uses nothing of the fabric any more, and there is no way to
// wait for it. A test in virtual time must let this much pass.
const Linger = 10 * time.Second

// Close ends everything at once, without a word to the others.
func (m *Membership) Close() (err error) {
	m.once.Do(func() {
		m.stop()
		err = m.list.Shutdown()
		m.running.Wait()
		m.view.close()
	})
	return err
}
