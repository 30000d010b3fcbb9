package store

import (
	"context"
	"fmt"
	"slices"

	"github.com/hashicorp/raft"
)

// Server is one raft server of the configuration.
type Server struct {
	ID    string // raft id: node name, slash, incarnation
	Node  string
	Addr  string
	Voter bool
}

// Servers is the latest configuration, committed or not, in its order.
func (s *Store) Servers() []Server { return slices.Clone(s.members().all) }

// voterIDs are the raft ids that count for the lease.
func (s *Store) voterIDs() []string { return slices.Clone(s.members().voters) }

// members are the servers of a configuration. They are made once for each, since every beat needs them.
type members struct {
	of     []raft.Server // never changed once raft has given it away
	all    []Server
	voters []string
}

// members of the latest configuration; not to be changed.
func (s *Store) members() *members {
	f := s.raft.GetConfiguration()
	if f.Error() != nil {
		return &members{}
	}
	of := f.Configuration().Servers
	known := s.known.Load()
	if known != nil && len(known.of) == len(of) && (len(of) == 0 || &known.of[0] == &of[0]) {
		return known
	}
	known = &members{of: of, all: servers(f.Configuration())}
	for _, v := range known.all {
		if v.Voter {
			known.voters = append(known.voters, v.ID)
		}
	}
	s.known.Store(known)
	return known
}

func servers(c raft.Configuration) []Server {
	out := make([]Server, len(c.Servers))
	for i, v := range c.Servers {
		out[i] = Server{ID: string(v.ID), Node: nodeOf(v.ID), Addr: string(v.Address), Voter: v.Suffrage == raft.Voter}
	}
	return out
}

// AddNonvoter adds a server that replicates without a vote, or corrects its address.
//
// Membership changes happen only on the leader, one at a time; each waits until it is
// committed. They fail with [NotLeaderError], [ErrMaybe] or what raft objects to.
func (s *Store) AddNonvoter(ctx context.Context, id, addr string) error {
	return s.change(ctx, "add "+id, func() raft.IndexFuture {
		return s.raft.AddNonvoter(raft.ServerID(id), raft.ServerAddress(addr), 0, s.patience(ctx))
	})
}

// Promote gives a non-voter its vote. Its log should have caught up first: a voter
// that lags delays every commit.
func (s *Store) Promote(ctx context.Context, id string) error {
	for _, v := range s.Servers() {
		if v.ID == id {
			return s.change(ctx, "promote "+id, func() raft.IndexFuture {
				return s.raft.AddVoter(raft.ServerID(id), raft.ServerAddress(v.Addr), 0, s.patience(ctx))
			})
		}
	}
	return fmt.Errorf("promote %s: it is not a server of this cluster", id)
}

// Demote takes the vote away.
func (s *Store) Demote(ctx context.Context, id string) error {
	return s.change(ctx, "demote "+id, func() raft.IndexFuture {
		return s.raft.DemoteVoter(raft.ServerID(id), 0, s.patience(ctx))
	})
}

// Remove takes a server out.
func (s *Store) Remove(ctx context.Context, id string) error {
	return s.change(ctx, "remove "+id, func() raft.IndexFuture {
		return s.raft.RemoveServer(raft.ServerID(id), 0, s.patience(ctx))
	})
}

// change makes one membership change after the other.
func (s *Store) change(ctx context.Context, what string, do func() raft.IndexFuture) error {
	select {
	case s.changes <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", what, context.Cause(ctx))
	case <-s.done:
		return ErrClosed
	}
	out := make(chan error, 1)
	go func() {
		defer func() { <-s.changes }()
		out <- do().Error()
	}()
	select {
	case err := <-out:
		if err = s.verdict(err); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s: %w: %w", what, ErrMaybe, context.Cause(ctx))
	}
}
