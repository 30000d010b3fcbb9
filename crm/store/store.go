package store

import (
	"context"
	"log/slog"
	"time"

	"systole/crm/cib"
	"systole/crm/command"
	"systole/crm/lease"
	"systole/crm/transport"
)

// Config says how to open a Store.
type Config struct {
	// Dir holds raft.db and snapshots/; it is made when missing. With "" everything
	// is kept in Memory.
	Dir string
	// Memory is the disk of a simulated node: opened again after a crash it holds
	// what was written. Only with an empty Dir; nil makes a fresh one.
	Memory *Memory
	// Node is this node's name.
	Node string
	// Incarnation makes the raft id "node/incarnation" of a store that is new. It must
	// never be used twice for one node; "" draws 64 random bits. An existing store
	// keeps the id it has.
	Incarnation string
	// Bootstrap begins a cluster of this node alone, with this CIB, if the store is
	// new; nil waits to be added by a DC ([Store.AddNonvoter]).
	Bootstrap *cib.CIB
	Fabric    transport.Fabric
	Timing    lease.Timing
	Clock     lease.Clock
	Log       *slog.Logger

	rules rules // tests switch single rules of the gate off
}

// Store is one node's replica. Make one with [Open], give it life with [Store.Run].
type Store struct{}

// Open reads the store and starts raft. It answers nobody before [Store.Run]. Errors
// name the file and the remedy: see [ErrCorrupt], [ErrFull], [ErrLocked].
func Open(cfg Config) (*Store, error) { return &Store{}, nil }

// Run serves until ctx is done, then stops raft and closes the files. The error is
// nil unless the store had to stop by itself. Call it once.
func (s *Store) Run(ctx context.Context) error { return nil }

// Snapshot is the CIB at one point of the log.
type Snapshot struct {
	CIB   *cib.CIB
	Index uint64 // of the last entry applied
	Term  uint64 // of that entry
	// Next is closed when a newer snapshot exists. Any number may wait; several
	// changes may be seen as one.
	Next <-chan struct{}
}

// Snapshot is what this node has applied; it may lag behind the DC.
func (s *Store) Snapshot() Snapshot { return Snapshot{} }

// Read is a linearizable read: on the DC under its lease, at once; elsewhere a
// [NotLeaderError]. Every entry acknowledged before the call is in it.
func (s *Store) Read(ctx context.Context) (Snapshot, error) { return Snapshot{}, nil }

// ReadIndex is the log index a linearizable read must have applied, for a follower
// that asks the DC and then waits with [Store.WaitIndex].
func (s *Store) ReadIndex(ctx context.Context) (uint64, error) { return 0, nil }

// WaitIndex waits until this node has applied the index.
func (s *Store) WaitIndex(ctx context.Context, index uint64) (Snapshot, error) {
	return Snapshot{}, nil
}

// Propose commits one entry and returns what it did, once it is applied here. Only
// the leader takes entries: elsewhere nothing happens and the error is a
// [NotLeaderError]. [ErrMaybe] means that the entry may or may not be committed,
// now or later; every other error means that it is not.
func (s *Store) Propose(ctx context.Context, e command.Entry) (command.Reply, error) {
	return command.Reply{}, nil
}

// DC is this node's part in the cluster's leadership.
type DC struct {
	// Leader is who leads as far as this node knows, "" for nobody; Addr its fabric.
	Leader, Addr string
	// Term is raft's present term.
	Term uint64
	// Elected is when this node was elected in Term (never later than that on
	// Config.Clock would be unsafe, so it is taken after); 0 when it is not the leader.
	Elected time.Duration
	// Active says that this node is the DC: elected, Barrier passed, and its lease
	// was valid when this was written. Ask [Store.LeaseEnd] before each act.
	Active bool
	// Former is the node whose own services ended with its DC lease when Term began,
	// "" when the log does not say (see [Store.MarkDC]). Only when Active.
	Former string
	// Next is closed when any of this has changed.
	Next <-chan struct{}
}

// DC tells the present state; wait for changes on Next.
func (s *Store) DC() DC { return DC{} }

// LeaseEnd is when the DC lease of the term ends on Config.Clock, now or earlier when
// it is not valid. This, not Active, is the right to order: nothing may be sent after it.
func (s *Store) LeaseEnd(term uint64) time.Duration { return 0 }

// MarkDC commits that this node's own services live on its DC lease of this term, so
// that the next DC knows they ended with it. Call it after the switch
// ([lease.NodeLease.Lead]), once per term, when Active.
func (s *Store) MarkDC(ctx context.Context) error { return nil }

// HandOver gives leadership away (D3): it commits that this node's services go on
// with the rest of the lease, ends the right to order, releases the voters from their
// promises and asks the most advanced one to be elected. Stop ordering before. An
// error means that leadership will be lost without a successor at hand.
func (s *Store) HandOver(ctx context.Context) error { return nil }

// Server is one raft server of the configuration.
type Server struct {
	ID    string // raft id: node name, slash, incarnation
	Node  string
	Addr  string
	Voter bool
}

// Servers is the latest configuration, committed or not, in its order.
func (s *Store) Servers() []Server { return nil }

// ID is this node's raft id.
func (s *Store) ID() string { return "" }

// Membership changes; only on the leader, one at a time. Each waits until it is
// committed. They fail with [NotLeaderError], [ErrMaybe] or what raft objects to.

// AddNonvoter adds a server that replicates without a vote, or updates its address.
func (s *Store) AddNonvoter(ctx context.Context, id, addr string) error { return nil }

// Promote gives a non-voter its vote. Its log must have caught up; see [Store.CaughtUp].
func (s *Store) Promote(ctx context.Context, id string) error { return nil }

// Demote takes the vote away.
func (s *Store) Demote(ctx context.Context, id string) error { return nil }

// Remove takes a server out.
func (s *Store) Remove(ctx context.Context, id string) error { return nil }

// Stats is for display and metrics.
type Stats struct {
	State           string // Follower, Candidate, Leader, Shutdown
	Term            uint64
	Commit, Applied uint64
	LastIndex       uint64
	LastContact     time.Duration // since the leader was heard; negative for never
	FsyncP99        time.Duration // of the last writes of the log
	ApplyMax        time.Duration // longest apply or restore since the start
	Stalled         time.Duration // age of the write in flight
	Promise         time.Duration // how long this voter is still bound
	PromisedTo      string        // node name
}

// Stats tells them.
func (s *Store) Stats() Stats { return Stats{} }

// SetTiming changes the spans; safe at any time because a promise and a lease keep
// the length they were made with, but every node must be told within one promise of
// each other or leadership is lost for a moment.
func (s *Store) SetTiming(t lease.Timing) {}
