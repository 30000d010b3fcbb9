package lease

import (
	"math"
	"slices"
	"time"
)

// Leader counts the DC's lease of one term: for each voter, when the newest request
// that it answered with success was sent (D1). The zero value holds no lease.
type Leader struct {
	length time.Duration
	self   string
	term   uint64
	void   bool
	sent   map[string]time.Duration
	// counted is the newest sending that a lease was counted from, in any term.
	counted time.Duration
	counts  bool
}

// NewLeader starts counting for the raft id self, which holds no lease yet.
func NewLeader(t Timing, self string) *Leader {
	return &Leader{length: t.DCLease, self: self}
}

// Granted notes that a voter answered with success, in this term, a request sent at
// the instant. Answers of older terms and older requests change nothing.
func (l *Leader) Granted(voter string, term uint64, sent time.Duration) {
	if term < l.term {
		return
	}
	if term > l.term || l.sent == nil {
		l.term, l.void, l.sent = term, false, make(map[string]time.Duration)
	}
	if old, known := l.sent[voter]; !known || sent > old {
		l.sent[voter] = sent
	}
}

// Seen voids the lease for good when the term is newer: this node voted in it, or
// was told of it.
func (l *Leader) Seen(term uint64) {
	if term > l.term {
		l.void = true
	}
}

// Release gives the right to order back, for good in this term (D3), and with it the
// promise to itself: after the committed end of its office nobody counts on that.
func (l *Leader) Release() { l.void, l.counts = true, false }

// Bound is until when this node, as a voter, must help no other candidate: its own
// services have a right that lasts N from the sending counted, and the next DC takes it
// that every voter of the majority it rested on, this one included, was silent for P.
func (l *Leader) Bound(promise time.Duration) time.Duration {
	if !l.counts {
		return math.MinInt64
	}
	return l.counted + promise
}

// count notes what a lease is counted from.
func (l *Leader) count(sent time.Duration) time.Duration {
	if !l.counts || sent > l.counted {
		l.counted, l.counts = sent, true
	}
	return sent + l.length
}

// End is the instant the lease of the term ends or has ended, and whether there ever
// was one: the q-th newest sending among the voters, q a majority, plus L. voters is
// the latest configuration, committed or not; self counts as answering now, so a
// single voter's lease never ends.
func (l *Leader) End(now time.Duration, term uint64, voters []string) (time.Duration, bool) {
	if !slices.Contains(voters, l.self) || term < l.term || term == l.term && l.void {
		return 0, false
	}
	need := len(voters) / 2 // besides self
	if need == 0 {
		return l.count(now), true
	}
	if term != l.term {
		return 0, false
	}
	var sent []time.Duration
	for _, v := range voters {
		if s, ok := l.sent[v]; ok && v != l.self {
			sent = append(sent, s)
		}
	}
	if len(sent) < need {
		return 0, false
	}
	slices.SortFunc(sent, func(a, b time.Duration) int { return int(b - a) })
	return l.count(sent[need-1]), true
}
