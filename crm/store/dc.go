package store

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/raft"
)

// DC is this node's part in the cluster's leadership.
type DC struct {
	// Leader is who leads as far as this node knows, "" for nobody; Addr its fabric.
	Leader, Addr string
	// Term is raft's present term.
	Term uint64
	// Elected is when this node noticed its election in Term, on Config.Clock; 0 when
	// it is not the leader. It is never before the election itself.
	Elected time.Duration
	// Active says that this node is the DC: elected, Barrier passed, and its lease
	// was valid when this was written. Ask [Store.LeaseEnd] before each act.
	Active bool
	// Former is the node whose own services had their right from its DC lease when Term began,
	// "" when the log does not say (see [Store.MarkDC]). Only when Active.
	Former string
	// Next is closed when any of this has changed.
	Next <-chan struct{}
}

// DC tells the present state; wait for changes on Next.
func (s *Store) DC() DC { return s.leader.get() }

// LeaseEnd is when the DC lease of the term ends on Config.Clock, now or earlier when
// it is not valid. This, not Active, is the right to order: nothing may be sent after it.
func (s *Store) LeaseEnd(term uint64) time.Duration {
	s.reignMu.Lock()
	r := s.reign
	s.reignMu.Unlock()
	if r.term != term || !r.barrier || r.over {
		return 0
	}
	return s.gate.leaseEnd(term, s.members().voters)
}

// reign is one term in which this node leads.
type reign struct {
	term    uint64 // 0 when it does not
	elected time.Duration
	barrier bool // everything committed before is applied
	former  string
	over    bool // handed over
}

// look is how often the leadership is looked at when nothing was heard of it.
const look = time.Second

// lead follows raft's leadership and the lease, publishes every change, and sees to it that a silent
// leader is replaced, until ctx is done.
func (s *Store) lead(ctx context.Context) {
	observations := make(chan raft.Observation, 16)
	observer := raft.NewObserver(observations, false, func(o *raft.Observation) bool {
		switch o.Data.(type) {
		case raft.LeaderObservation, raft.RaftState:
			return true
		}
		return false
	})
	s.raft.RegisterObserver(observer)
	defer s.raft.DeregisterObserver(observer)
	for {
		timer := time.NewTimer(min(s.assess(), s.kick()))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-s.near:
		case up := <-s.notify:
			s.elected(up)
		case term := <-s.passed:
			s.barrierPassed(term)
		case <-s.gate.granted:
		case <-observations:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// elected begins or ends a reign.
func (s *Store) elected(up bool) {
	r := reign{}
	if up {
		r = reign{term: s.raft.CurrentTerm(), elected: s.cfg.Clock()}
	}
	s.reignMu.Lock()
	s.reign = r
	s.reignMu.Unlock()
	if !up {
		s.gate.goOn() // Renew rings no more
		return
	}
	if s.cfg.rules.noBarrier {
		s.barrierPassed(r.term)
		return
	}
	go func() {
		if s.raft.Barrier(0).Error() == nil {
			select {
			case s.passed <- r.term:
			case <-s.done:
			}
		}
	}()
}

func (s *Store) barrierPassed(term uint64) {
	if s.raft.CurrentTerm() != term || s.raft.State() != raft.Leader {
		return
	}
	former := s.former(term)
	s.reignMu.Lock()
	defer s.reignMu.Unlock()
	if s.reign.term == term {
		s.reign.barrier, s.reign.former = true, former
	}
}

// former is the DC of the term before, if its mark is of that term: no DC can have
// come between without an entry in our log.
func (s *Store) former(term uint64) string {
	m := s.machine.state().mark
	for index := s.raft.LastIndex(); index > 0; index-- {
		var l raft.Log
		if s.disk.GetLog(index, &l) != nil {
			return ""
		}
		if l.Term < term {
			if m.Node != "" && m.Term == l.Term {
				return m.Node
			}
			return ""
		}
	}
	return ""
}

// assess publishes the leadership as it is now, and says when to look again. The end of a
// lease is waited for when it is near, of which [Store.Renew] tells: else a timer would be set for
// an end that moves on at each beat.
func (s *Store) assess() (again time.Duration) {
	addr, id := s.raft.LeaderWithID()
	dc := DC{Leader: nodeOf(id), Addr: string(addr), Term: s.raft.CurrentTerm()}
	s.reignMu.Lock()
	r := s.reign
	s.reignMu.Unlock()
	again = look
	if r.term != 0 && r.term == dc.Term && s.raft.State() == raft.Leader {
		dc.Elected = r.elected
		left := s.LeaseEnd(r.term) - s.cfg.Clock()
		if dc.Active = left > 0; dc.Active {
			dc.Former = r.former
		}
		if 0 < left && left < s.soon() {
			again = left + time.Millisecond
		}
	}
	s.gate.wake.Store(!dc.Active && dc.Elected != 0)
	s.publish(dc)
	return again
}

// soon is what comes before Renew was called twice more.
func (s *Store) soon() time.Duration { return 2 * s.cfg.Timing.Beat }

// publish sets the level if anything has changed.
func (s *Store) publish(dc DC) {
	old := s.leader.get()
	dc.Next = old.Next
	if dc == old && old.Next != nil {
		return
	}
	if dc.Active != old.Active {
		s.log.Info("DC", "active", dc.Active, "term", dc.Term, "node", s.cfg.Node)
	}
	s.leader.set(func(next <-chan struct{}) DC {
		dc.Next = next
		return dc
	})
}

// MarkDC commits that this node's own services have their right from its DC lease of
// this term, so that the next DC knows when they lose it. Call it after the switch
// ([lease.NodeLease.Lead]), once per term, when Active.
func (s *Store) MarkDC(ctx context.Context) error {
	if err := s.mark(ctx, s.cfg.Node); err != nil {
		return fmt.Errorf("mark the DC: %w", err)
	}
	return nil
}

func (s *Store) mark(ctx context.Context, node string) error {
	_, err := s.commit(ctx, raft.Log{Extensions: encodeMark(node)})
	return err
}

// nudge fills a channel of one without waiting.
func nudge(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
