package store

import (
	"encoding/binary"
	"errors"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"systole/crm/lease"
)

// disk wraps raft's log and stable store. It times the write in flight, so that a
// hung disk is noticed (D2); it keeps the last write times for the check of I6 and
// I9; and it writes a vote in one piece: raft writes its term and its candidate one
// after the other, and a crash between the two would let the old candidate's name
// stand for the new term.
type disk struct {
	raft.LogStore
	stable raft.StableStore
	clock  lease.Clock
	fail   func(error) // takes the node out of service

	mu       sync.Mutex
	started  map[int]time.Duration // writes in flight
	next     int
	took     [256]time.Duration
	writes   int
	voteTerm uint64 // written with the candidate

	live atomic.Bool // raft runs on goroutines of its own

	last   atomic.Uint64 // index written last
	stored func()        // is told; must not wait
}

func newDisk(log raft.LogStore, stable raft.StableStore, clock lease.Clock, fail func(error)) *disk {
	return &disk{LogStore: log, stable: stable, clock: clock, fail: fail, started: make(map[int]time.Duration), stored: func() {}}
}

// write times one write.
func (d *disk) write(do func() error) error {
	d.mu.Lock()
	id, start := d.next, d.clock()
	d.next++
	d.started[id] = start
	d.mu.Unlock()
	err := do()
	d.mu.Lock()
	delete(d.started, id)
	d.took[d.writes%len(d.took)] = d.clock() - start
	d.writes++
	d.mu.Unlock()
	return err
}

// stalled is the age of the oldest write in flight, 0 without one.
func (d *disk) stalled() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.started) == 0 {
		return 0
	}
	oldest := time.Duration(1<<63 - 1)
	for _, at := range d.started {
		oldest = min(oldest, at)
	}
	return d.clock() - oldest
}

// p99 is the 99th percentile of the last writes.
func (d *disk) p99() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	last := slices.Clone(d.took[:min(d.writes, len(d.took))])
	if len(last) == 0 {
		return 0
	}
	slices.Sort(last)
	return last[(len(last)-1)*99/100]
}

func (d *disk) StoreLog(l *raft.Log) error { return d.StoreLogs([]*raft.Log{l}) }

func (d *disk) StoreLogs(logs []*raft.Log) error {
	err := d.write(func() error { return d.LogStore.StoreLogs(logs) })
	if err == nil && len(logs) > 0 {
		d.last.Store(logs[len(logs)-1].Index)
		d.stored()
	}
	return err
}

func (d *disk) DeleteRange(first, last uint64) error {
	return d.write(func() error { return d.LogStore.DeleteRange(first, last) })
}

// The keys raft uses, and the one under which the two of a vote are kept together.
var (
	keyTerm     = []byte("CurrentTerm")
	keyVoteTerm = []byte("LastVoteTerm")
	keyVoteCand = []byte("LastVoteCand")
	keyVote     = []byte("systole:vote")
	keyID       = []byte("systole:id")
)

// Set implements raft.StableStore.
func (d *disk) Set(key, val []byte) error {
	if string(key) != string(keyVoteCand) {
		return d.must(func() error { return d.stable.Set(key, val) })
	}
	d.mu.Lock()
	vote := append(binary.BigEndian.AppendUint64(nil, d.voteTerm), val...)
	d.mu.Unlock()
	return d.must(func() error { return d.stable.Set(keyVote, vote) })
}

// Get implements raft.StableStore.
func (d *disk) Get(key []byte) ([]byte, error) {
	if string(key) != string(keyVoteCand) {
		return d.stable.Get(key)
	}
	vote, err := d.stable.Get(keyVote)
	if err != nil || len(vote) < 8 {
		return nil, err
	}
	return vote[8:], nil
}

// SetUint64 implements raft.StableStore.
func (d *disk) SetUint64(key []byte, val uint64) error {
	if string(key) == string(keyVoteTerm) {
		d.mu.Lock()
		d.voteTerm = val
		d.mu.Unlock()
		return nil
	}
	return d.must(func() error { return d.stable.SetUint64(key, val) })
}

// GetUint64 implements raft.StableStore.
func (d *disk) GetUint64(key []byte) (uint64, error) {
	if string(key) != string(keyVoteTerm) {
		return d.stable.GetUint64(key)
	}
	vote, err := d.stable.Get(keyVote)
	if err != nil || len(vote) < 8 {
		return 0, err
	}
	return binary.BigEndian.Uint64(vote), nil
}

// must writes what raft cannot go on without. Raft panics when its term cannot be
// written, a full disk suffices, so the failure is reported and raft's goroutine ends
// here, its deferred calls included; the store then stops in order.
func (d *disk) must(do func() error) error {
	err := d.write(do)
	if err != nil && d.live.Load() {
		d.fail(err)
		runtime.Goexit()
	}
	return err
}

// readUint64 reads a number that may not be there yet.
func readUint64(s raft.StableStore, key []byte) (uint64, error) {
	n, err := s.GetUint64(key)
	if isNotFound(err) {
		return 0, nil
	}
	return n, err
}

// isNotFound tells a missing key; raft compares the text too, for want of a sentinel.
func isNotFound(err error) bool {
	return err != nil && err.Error() == errNotFound.Error()
}

var errNotFound = errors.New("not found")
