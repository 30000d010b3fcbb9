package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"systole/crm/cib"
	"systole/crm/command"
)

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
func (s *Store) Snapshot() Snapshot { return s.machine.out.get() }

// Propose commits one entry and returns what it did, once it is applied here. Only
// the leader takes entries: elsewhere nothing happens and the error is a
// [NotLeaderError]. [ErrMaybe] means that the entry may or may not be committed,
// now or later; every other error means that it is not.
func (s *Store) Propose(ctx context.Context, e command.Entry) (command.Reply, error) {
	data, err := command.Encode(e)
	if err != nil {
		return command.Reply{}, err
	}
	response, err := s.commit(ctx, raft.Log{Data: data})
	if err != nil {
		return command.Reply{}, err
	}
	switch r := response.(type) {
	case command.Reply:
		return r, nil
	case error:
		return command.Reply{}, r
	default: // the node was stopping when the entry came
		return command.Reply{}, fmt.Errorf("%w: this node is stopping", ErrMaybe)
	}
}

// commit gives an entry to raft and waits until it is applied here.
func (s *Store) commit(ctx context.Context, l raft.Log) (any, error) {
	if s.raft.State() != raft.Leader {
		return nil, s.notLeader()
	}
	select {
	case s.proposals <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-s.done:
		return nil, ErrClosed
	}
	type outcome struct {
		response any
		err      error
	}
	out := make(chan outcome, 1)
	go func() {
		defer func() { <-s.proposals }()
		f := s.raft.ApplyLog(l, s.patience(ctx))
		err := f.Error()
		out <- outcome{f.Response(), err}
	}()
	select {
	case o := <-out:
		return o.response, s.verdict(o.err)
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", ErrMaybe, context.Cause(ctx))
	}
}

// patience is how long raft may take to accept an entry.
func (s *Store) patience(ctx context.Context) time.Duration {
	if deadline, ok := ctx.Deadline(); ok {
		return max(time.Millisecond, time.Until(deadline))
	}
	return 20 * s.cfg.Timing.Heartbeat
}

// verdict says what an error of raft means for the entry.
func (s *Store) verdict(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrLeadershipTransferInProgress):
		return s.notLeader()
	case errors.Is(err, raft.ErrEnqueueTimeout):
		return fmt.Errorf("the entry was not taken: the store is busy or its disk hangs")
	default: // leadership lost, shutdown, a failed write: it may be in some log
		return fmt.Errorf("%w: %w", ErrMaybe, err)
	}
}

func (s *Store) notLeader() error {
	addr, id := s.raft.LeaderWithID()
	if id == s.id { // between losing it and noticing
		return &NotLeaderError{}
	}
	return &NotLeaderError{Leader: nodeOf(id), Addr: string(addr)}
}

// Read is a linearizable read: on the DC under its lease, without a round trip;
// elsewhere a [NotLeaderError]. Every entry acknowledged before the call is in it.
func (s *Store) Read(ctx context.Context) (Snapshot, error) {
	index, err := s.ReadIndex(ctx)
	if err != nil {
		return Snapshot{}, err
	}
	return s.WaitIndex(ctx, index)
}

// ReadIndex is the log index a linearizable read must have applied, for a follower
// that asks the DC and then waits with [Store.WaitIndex].
func (s *Store) ReadIndex(ctx context.Context) (uint64, error) {
	dc := s.DC()
	if !dc.Active {
		if dc.Elected != 0 {
			return 0, ErrLeaseLost
		}
		return 0, s.notLeader()
	}
	index := s.raft.CommitIndex()
	if s.LeaseEnd(dc.Term) <= s.cfg.Clock() { // after the index was read: until now nobody else led
		return 0, ErrLeaseLost
	}
	return s.visible(index), nil
}

// visible is the last entry at or below a committed index that the machine sees:
// raft keeps its no-ops and barriers to itself.
func (s *Store) visible(index uint64) uint64 {
	for applied := s.machine.state().index; index > applied; index-- {
		var l raft.Log
		if err := s.disk.GetLog(index, &l); err != nil {
			return applied // compacted, hence in the snapshot we have
		}
		if l.Type == raft.LogCommand || l.Type == raft.LogConfiguration {
			return index
		}
	}
	return index
}

// WaitIndex waits until this node has applied the index.
func (s *Store) WaitIndex(ctx context.Context, index uint64) (Snapshot, error) {
	for {
		snap := s.Snapshot()
		if snap.Index >= index {
			return snap, nil
		}
		select {
		case <-snap.Next:
		case <-ctx.Done():
			return Snapshot{}, fmt.Errorf("wait for log index %d, %d applied: %w", index, snap.Index, context.Cause(ctx))
		case <-s.done:
			return Snapshot{}, ErrClosed
		}
	}
}
