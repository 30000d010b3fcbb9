package store

import (
	"slices"
	"time"

	"github.com/hashicorp/raft"
)

// kick makes raft notice a silent leader in time, and says when to look again. Raft's own timer is not
// armed by the leader's messages and fires up to twice the heartbeat time-out later.
// While the leader is heard no timer is set: Renew tells when it has not been for a beat.
func (s *Store) kick() (again time.Duration) {
	hb := s.cfg.Timing.Heartbeat
	if _, id := s.raft.LeaderWithID(); s.raft.State() != raft.Follower || id == "" {
		return look
	}
	switch silent := time.Since(s.raft.LastContact()); {
	case silent >= hb+time.Millisecond:
		s.hurry()
		return hb / 2
	case silent < s.soon():
		return look
	default:
		return hb + time.Millisecond - silent
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
