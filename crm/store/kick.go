package store

import (
	"context"
	"slices"
	"time"

	"github.com/hashicorp/raft"
)

// kick makes raft notice a silent leader in time. Its own timer is not armed by the
// leader's messages and fires up to twice the heartbeat time-out later.
func (s *Store) kick(ctx context.Context) {
	hb := s.cfg.Timing.Heartbeat
	for wait := hb; ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		if _, id := s.raft.LeaderWithID(); s.raft.State() != raft.Follower || id == "" {
			wait = hb // a leader that is followed from now on cannot have been silent for longer then
			continue
		}
		wait = hb / 2
		silent := time.Since(s.raft.LastContact())
		if silent < hb+time.Millisecond {
			wait = hb + time.Millisecond - silent
			continue
		}
		s.hurry()
	}
}

// hurry lowers the heartbeat time-out by a hair, from a hair more than it is. That makes raft
// act at once on what it else waits for: a follower looks whether its leader
// is silent, a leader sends its next heartbeats.
func (s *Store) hurry() {
	hb := s.cfg.Timing.Heartbeat
	short := s.raft.ReloadableConfig()
	short.HeartbeatTimeout, short.ElectionTimeout = hb, hb
	long := short
	long.HeartbeatTimeout += time.Microsecond
	long.ElectionTimeout += time.Microsecond
	if err := s.raft.ReloadConfig(long); err == nil {
		s.raft.ReloadConfig(short)
	}
}

// slot is how long this node leaves its candidacy to others: one slot for each voter
// before it in the order of raft ids, not counting the leader that was lost, and one
// for itself, so that whoever notices first has asked before the next one does.
func (s *Store) slot() time.Duration {
	lost, _ := s.gate.bound()
	voters := slices.DeleteFunc(s.voterIDs(), func(id string) bool { return id == lost })
	slices.Sort(voters)
	rank := max(0, slices.Index(voters, string(s.id)))
	return s.cfg.Timing.Slot * time.Duration(1+rank)
}
