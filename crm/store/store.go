package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"systole/crm/cib"
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
	// Node is this node's name, as its certificate says; without slash and at-sign.
	Node string
	// Incarnation makes the raft id "node/incarnation" of a store that is new. It must
	// never be used twice for one node; "" draws 65 random bits. An existing store
	// keeps the id it has.
	Incarnation string
	// Bootstrap begins a cluster of this node alone, with this CIB, if the store is
	// new; nil waits to be added by a DC ([Store.AddNonvoter]).
	Bootstrap *cib.CIB
	Fabric    transport.Fabric
	Timing    lease.Timing
	Clock     lease.Clock
	Log       *slog.Logger // nil discards

	rules rules // tests switch single rules of the gate off
}

// Store is one node's replica. Make one with [Open], give it life with [Store.Run].
type Store struct {
	cfg     Config
	id      raft.ServerID
	log     *slog.Logger
	files   files
	disk    *disk
	machine *machine
	streams *streams
	gate    *gate
	raft    *raft.Raft

	notify  chan bool // raft's leadership changes; always read
	passed  chan uint64
	near    chan struct{} // cap 1: a lease ends soon, or a leader is silent
	leader  level[DC]
	reign   reign
	reignMu sync.Mutex
	known   atomic.Pointer[members]

	proposals chan struct{} // as many as may be under way
	changes   chan struct{} // cap 1: membership changes go one by one
	failed    chan error    // cap 1: why the store stops by itself
	done      chan struct{}
}

const (
	// maxProposals under way at once; more wait. Far above any useful batch.
	maxProposals = 512
	// stopWait bounds how long stopping waits for a write that hangs.
	stopWait = 2 * time.Second
)

// Open reads the store and starts raft. It answers nobody before [Store.Run], which
// must be called. Errors name the file and the remedy: see [ErrCorrupt], [ErrFull],
// [ErrLocked], [ErrMissing].
func Open(cfg Config) (s *Store, err error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	f, err := openFiles(&cfg)
	if err != nil {
		return nil, err
	}
	defer func() {
		if p := recover(); p != nil { // raft panics when its term cannot be written, or a log entry is gone
			s, err = nil, corrupt(filepath.Join(cfg.Dir, logFile), fmt.Errorf("%v", p))
		}
		if err != nil {
			f.close()
		}
	}()
	s = &Store{
		cfg: cfg, files: f, log: cfg.Log,
		notify: make(chan bool, 64), passed: make(chan uint64, 1), near: make(chan struct{}, 1),
		proposals: make(chan struct{}, maxProposals), changes: make(chan struct{}, 1),
		failed: make(chan error, 1), done: make(chan struct{}),
	}
	if s.id, err = raftID(&cfg, f); err != nil {
		return nil, err
	}
	term, err := readUint64(f.stable, keyTerm)
	if err != nil {
		return nil, explain(filepath.Join(cfg.Dir, logFile), err)
	}
	s.disk = newDisk(f.log, f.stable, cfg.Clock, s.fail)
	s.machine = newMachine(s.fail)
	s.streams = newStreams(cfg.Fabric, s.id, cfg.Timing, cfg.Log)
	s.streams.release = s.serveRelease
	rc := raftConfig(&cfg, s.id, s.notify)
	trans := raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream: s.streams, MaxPool: 3, MaxRPCsInFlight: 1, Timeout: 2 * cfg.Timing.Heartbeat, Logger: rc.Logger,
	})
	s.gate = newGate(trans, s.id, term, &cfg)
	s.gate.stalled = s.stalled
	s.gate.slot = s.slot
	s.gate.ending = s.done
	s.gate.follows = s.follows
	s.gate.behind = s.moreThan
	s.gate.hurry = s.hurry
	s.disk.stored, s.machine.moved = s.gate.work.ring, s.gate.work.ring
	if cfg.Bootstrap != nil {
		if err := begin(&cfg, rc, f, trans); err != nil {
			trans.Close()
			return nil, err
		}
	}
	if s.raft, err = raft.NewRaft(rc, s.machine, s.disk, s.disk, f.snaps, s.gate); err != nil {
		trans.Close()
		return nil, corrupt(filepath.Join(cfg.Dir, logFile), err)
	}
	s.disk.live.Store(true)
	s.publish(DC{})
	return s, nil
}

// Run serves until ctx is done, then stops raft and closes the files. The error is
// nil unless the store had to stop by itself. Call it once.
func (s *Store) Run(ctx context.Context) error {
	inner, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(s.gate.pump)
	wg.Go(s.streams.serve)
	wg.Go(func() { s.lead(inner) })
	var err error
	select {
	case <-ctx.Done():
	case err = <-s.failed:
		s.log.Error("the store stops", "err", err)
		s.gate.breakDown()
	}
	close(s.done)
	cancel()
	stopped := make(chan struct{})
	go func() {
		s.raft.Shutdown().Error() // closes the gate too
		s.gate.Close()
		wg.Wait()
		s.files.close()
		close(stopped)
	}()
	select {
	case <-stopped:
	case <-time.After(stopWait):
		s.log.Warn("a write still hangs; the store is left as it is")
	}
	s.publish(DC{})
	return err
}

// fail takes the node out of service; the first reason counts.
func (s *Store) fail(err error) {
	if !isStoreError(err) {
		err = explain(filepath.Join(s.cfg.Dir, logFile), err)
	}
	select {
	case s.failed <- err:
	default:
	}
}

func isStoreError(err error) bool {
	_, entry := errors.AsType[*EntryError](err)
	return entry || errors.Is(err, ErrFull) || errors.Is(err, ErrCorrupt)
}

// stalled says whether a write has been in flight for longer than the bound (D2).
func (s *Store) stalled() bool {
	return !s.cfg.rules.noStall && s.disk.stalled() > s.cfg.Timing.Stall
}

// ID is this node's raft id.
func (s *Store) ID() string { return string(s.id) }

// nodeOf is the node's name in a raft id.
func nodeOf(id raft.ServerID) string {
	node, _, _ := strings.Cut(string(id), "/")
	return node
}

// Stats is for display and metrics.
type Stats struct {
	State           string // Follower, Candidate, Leader, Shutdown
	Term            uint64
	Commit, Applied uint64
	LastIndex       uint64
	LastContact     time.Duration // since the leader was heard; negative for never, 0 on the leader
	FsyncP99        time.Duration // of the last 256 writes
	ApplyMax        time.Duration // longest apply or restore since the start
	Stalled         time.Duration // age of the write in flight
	Promise         time.Duration // how long this voter is still bound
	PromisedTo      string        // node name
}

// Stats tells them.
func (s *Store) Stats() Stats {
	leader, left := s.gate.bound()
	state := s.raft.State()
	st := Stats{
		State: state.String(), Term: s.raft.CurrentTerm(),
		Commit: s.raft.CommitIndex(), Applied: s.machine.state().index, LastIndex: s.raft.LastIndex(),
		FsyncP99: s.disk.p99(), ApplyMax: s.machine.slowest(), Stalled: s.disk.stalled(),
		Promise: left, PromisedTo: nodeOf(raft.ServerID(leader)), LastContact: -1,
	}
	switch last := s.raft.LastContact(); {
	case state == raft.Leader:
		st.LastContact = 0
	case !last.IsZero():
		st.LastContact = time.Since(last)
	}
	return st
}
