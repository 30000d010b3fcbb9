package lease

import (
	"slices"
	"time"
)

// Voter is the conscience of one raft voter: what it has promised to the leader it
// answered, and the term below which it answers nobody (rules V1 to V4). The caller
// asks it before raft sees or sends a message, under one lock.
//
// Peers are named by raft id. The zero value is not usable; see [NewVoter].
type Voter struct {
	promise  time.Duration
	leader   string        // whom the promise binds to, "" for nobody
	term     uint64        // of the promise
	until    time.Duration // no other candidate is helped before
	floor    uint64        // raft has taken this term: no answers below it
	votes    []uint64      // terms of candidates whose requests raft is looking at
	released uint64        // no promise is renewed for this term: its leader is handing over
}

// NewVoter starts a voter that does not know what it promised before it was
// stopped, so it is bound to nobody for one whole promise (V3). stored is the term
// in raft's stable store.
func NewVoter(t Timing, stored uint64, now time.Duration) *Voter {
	return &Voter{promise: t.Promise, floor: stored, until: now + t.Promise}
}

// Heard is called with a heartbeat or append of a leader before it is answered.
// It records the promise and returns true, or returns false: then no success may
// be answered (V1).
func (v *Voter) Heard(now time.Duration, leader string, term uint64) bool {
	if term < v.Floor() || term < v.term || term == v.released {
		return false
	}
	if term == v.term && v.leader != "" && v.leader != leader {
		return false // two leaders of one term cannot be; a forgery binds nobody
	}
	v.leader, v.term, v.until = leader, term, max(v.until, now+v.promise)
	return true
}

// Vote is asked before a RequestVote is handed to raft, or sent by raft with this
// node as the candidate. False means that a promise to another binds, or that the
// term is over: then raft must not see it (V2). True raises the floor to the term at
// once; [Voter.Settle] says later what came of it.
func (v *Voter) Vote(now time.Duration, candidate string, term uint64) bool {
	if term < v.Floor() || !v.MayCampaign(now, candidate) {
		return false
	}
	v.votes = append(v.votes, term)
	return true
}

// Settle ends one Vote that was allowed: taken says that raft is in the term now or
// beyond it, whether it granted the vote or not. Otherwise the floor comes down again.
func (v *Voter) Settle(term uint64, taken bool) {
	if i := slices.Index(v.votes, term); i >= 0 {
		v.votes = slices.Delete(v.votes, i, i+1)
	}
	if taken {
		v.floor = max(v.floor, term)
	}
}

// Release ends the promise to the leader of a term, at its own request, and bars new
// ones for that term (V4, D3). It reports whether the promise was to that leader.
func (v *Voter) Release(leader string, term uint64) bool {
	if leader != v.leader || term != v.term {
		return false
	}
	v.until, v.released = 0, term
	return true
}

// MayTimeoutNow says whether a TimeoutNow of this sender is to be obeyed: only from
// the leader that has released us before (V4).
func (v *Voter) MayTimeoutNow(sender string) bool {
	return sender == v.leader && v.released == v.term && v.term > 0
}

// Bound is until when, and to whom, the voter is bound; for display and for the
// election's slots.
func (v *Voter) Bound() (leader string, term uint64, until time.Duration) {
	return v.leader, v.term, v.until
}

// Floor is the term below which nothing is answered: a candidate of it was helped,
// or may be at this moment.
func (v *Voter) Floor() uint64 {
	floor := v.floor
	for _, term := range v.votes {
		floor = max(floor, term)
	}
	return floor
}

// MayCampaign says whether this node may be, or help, a candidate now; a pre-vote is
// refused when not, so that it tells the truth about the vote that would follow.
func (v *Voter) MayCampaign(now time.Duration, candidate string) bool {
	return now >= v.until || v.leader != "" && candidate == v.leader
}
