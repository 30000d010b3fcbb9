// Package membership says who is there: memberlist over the fabric, with
// addresses, versions and the key ring. It is an opinion with an age, shown in
// status and used to find addresses; nothing is ever stopped, started or fenced
// because of it. The failure detector is the beat (crm/lease).
package membership

import (
	"context"
	"log/slog"
	"time"

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
}

// MaxMeta is memberlist's bound for metadata in bytes (memberlist.MetaMaxSize).
const MaxMeta = 512

// State of a member as gossip sees it.
type State string

// The states.
const (
	StateAlive   State = "alive"
	StateSuspect State = "suspect"
	StateFailed  State = "failed"
	StateLeft    State = "left"
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

// The kinds. EventConflict: a second node announces a name that is alive elsewhere.
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
	Log  *slog.Logger
}

// Membership is this node's view. All methods are safe for concurrent use.
type Membership struct{}

// Open starts memberlist's goroutines; Close ends them.
func Open(o Options) (*Membership, error) { return &Membership{}, nil }

// Join contacts addresses and says how many answered; the error names those that did not, if none did.
func (m *Membership) Join(ctx context.Context, addrs []string) (int, error) { return 0, nil }

// Members are all nodes known, this one included, by name.
func (m *Membership) Members() []Member { return nil }

// Events is the queue of changes: bounded, oldest dropped; Members is always the truth of the moment. It is closed by Close.
func (m *Membership) Events() <-chan Event { return nil }

// Update replaces this node's metadata and tells the others.
func (m *Membership) Update(meta Meta) error { return nil }

// SetKeys replaces the key ring: the first key encrypts, all decrypt.
func (m *Membership) SetKeys(keys [][]byte) error { return nil }

// Leave tells the others that this node goes on purpose, then Close.
func (m *Membership) Leave(ctx context.Context) error { return nil }

// Close ends everything at once, without a word to the others.
func (m *Membership) Close() error { return nil }
