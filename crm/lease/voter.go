package lease

import "time"

// Voter is the conscience of one raft voter: what it has promised to the leader it
// answered, and the term below which it answers nobody (rules V1 to V4). The caller
// asks it before raft sees or sends a message, under one lock.
//
// Peers are named by raft id. The zero value is not usable; see [NewVoter].
type Voter struct {
	promise  time.Duration
	self     string
	leader   string        // whom the promise binds to, "" for nobody
	term     uint64        // of the promise
	until    time.Duration // no other candidate is helped before
	floor    uint64        // a candidate of this term was helped: no answers below it
	released uint64        // no promise is renewed for this term: its leader is handing over
}

// NewVoter starts a voter that does not know what it promised before it was
// stopped, so it is bound to nobody for one whole promise (V3). stored is the term
// in raft's stable store.
func NewVoter(t Timing, self string, stored uint64, now time.Duration) *Voter {
	return &Voter{promise: t.Promise, self: self, floor: stored, until: now + t.Promise}
}

// Heard is called with a heartbeat or append of a leader before it is answered.
// It records the promise and returns true, or returns false: then no success may
// be answered (V1).
func (v *Voter) Heard(now time.Duration, leader string, term uint64) bool {
	if term < v.floor || term < v.term || term == v.released {
		return false
	}
	if term == v.term && v.leader != "" && v.leader != leader {
		return false // two leaders of one term cannot be; a forgery binds nobody
	}
	v.leader, v.term, v.until = leader, term, max(v.until, now+v.promise)
	return true
}

// Vote is asked before a RequestVote is handed to raft, or sent by raft with this
// node as the candidate. It refuses while a promise to another binds (V2), else
// raises the floor to the candidate's term; undo is for a candidate that raft itself
// refused without taking its term.
func (v *Voter) Vote(now time.Duration, candidate string, term uint64) (undo func(), ok bool) {
	if term < v.floor || now < v.until && candidate != v.leader {
		return nil, false
	}
	before := v.floor
	v.floor = term
	return func() {
		if v.floor == term {
			v.floor = before
		}
	}, true
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

// Seen is told every term seen in an answer: it is as binding as a vote.
func (v *Voter) Seen(term uint64) { v.floor = max(v.floor, term) }

// Bound is until when, and to whom, the voter is bound; for display and for the
// election's slots.
func (v *Voter) Bound() (leader string, term uint64, until time.Duration) {
	return v.leader, v.term, v.until
}

// Floor is the term below which nothing is answered.
func (v *Voter) Floor() uint64 { return v.floor }
