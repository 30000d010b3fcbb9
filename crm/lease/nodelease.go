package lease

import (
	"errors"
	"fmt"
	"time"
)

// ErrNoLease means that this node has no right to run anything now: the DC has not
// answered for a whole lease.
var ErrNoLease = errors.New("this node's lease has ended: the DC has not answered its beats")

// ErrStale refuses an order that was too long on its way: the DC may have lost this node
// since, and given what it orders to another.
var ErrStale = errors.New("the order came too late: the beat it relies on is older than a lease")

// OldTermError refuses an order of a DC that has been replaced.
type OldTermError struct{ Order, Acknowledged uint64 }

func (e OldTermError) Error() string {
	return fmt.Sprintf("order of term %d refused: term %d was acknowledged; ask the present DC", e.Order, e.Acknowledged)
}

// NodeLease is one node's right to run cluster resources, on its own clock, and what
// it has promised to the DC (N1, N2, D4).
type NodeLease struct {
	timing      Timing
	node        string
	incarnation uint64
	seq         uint64
	asked       []asked          // beats not yet answered, oldest first
	recent      [keepAsked]asked // beats, answered or not, by sequence
	end         time.Duration    // of the lease; 0 before the first grant
	dc          string
	term        uint64 // highest acknowledged
	dcEnd       time.Duration
	isDC        bool
	promise     Record // sent in every beat
	act         Policy // what the DC may be relying on
	askedSince  uint64 // first beat that carried promise.Policy
}

type asked struct {
	seq  uint64
	sent time.Duration
}

// keepAsked bounds the unanswered beats remembered; older ones could only grant
// leases that have nearly ended.
const keepAsked = 64

// NewNodeLease starts without a lease. incarnation must be larger than in every
// earlier run of this node. Until the first grant the node acts on stop, unless it
// promises to fence itself: a DC may still rely on what an earlier run promised.
func NewNodeLease(t Timing, node string, incarnation uint64, r Record) *NodeLease {
	n := &NodeLease{timing: t, node: node, incarnation: incarnation, promise: r, act: PolicyStop}
	if r.Policy.Proves() {
		n.act = r.Policy
	}
	return n
}

// Adopt takes over a lease that an earlier run of this node held until end, and the policy
// it was to act on, from a file that does not outlive a boot: no DC relies on more, as
// only this node's beats could have promised it. The first beat cuts the lease to what a beat may ask.
func (n *NodeLease) Adopt(end time.Duration, act Policy) {
	n.end = end
	if act != NoPolicy {
		n.act, n.promise.Policy = act, act
	}
}

// Promise changes what the beats promise from the next one on. A policy that proves
// binds at once, another when a beat that carries it is granted.
func (n *NodeLease) Promise(r Record) {
	if r.Policy != n.promise.Policy {
		n.askedSince = n.seq + 1
		if r.Policy.Proves() {
			n.act = r.Policy
		}
	}
	n.promise = r
}

// Beat makes the next beat; send it at once, its lease counts from now. A lease that
// is longer than this beat asks for is cut: the DC may count on that as soon as it
// has the beat. So set the kernel guard to Remaining before sending, when it shrank.
func (n *NodeLease) Beat(now time.Duration, applied uint64) Beat {
	n.seq++
	if len(n.asked) == keepAsked {
		n.asked = n.asked[1:]
	}
	n.asked = append(n.asked, asked{n.seq, now})
	n.recent[n.seq%keepAsked] = asked{n.seq, now}
	n.end = min(n.end, now+max(n.timing.NodeLease, n.promise.Restart))
	return Beat{Node: n.node, Incarnation: n.incarnation, Seq: n.seq, Sent: now, Term: n.term, Applied: applied, Record: n.promise}
}

// Granted takes the answer to one of our beats and reports whether the lease is now
// longer. Grants of older terms, other incarnations and unknown beats are ignored.
func (n *NodeLease) Granted(now time.Duration, g Grant) bool {
	if g.Node != n.node || g.Incarnation != n.incarnation || g.Term < n.term {
		return false
	}
	i := 0
	for i < len(n.asked) && n.asked[i].seq != g.Seq {
		i++
	}
	if i == len(n.asked) {
		return false
	}
	sent := n.asked[i].sent
	n.asked = n.asked[i+1:] // older answers can only be shorter
	n.Acknowledge(g.DC, g.Term)
	if g.Seq >= n.askedSince {
		n.act = n.promise.Policy
	}
	if n.isDC {
		return false
	}
	// No longer than the newest beat allows; see Beat.
	end := sent + min(g.Length, max(n.timing.NodeLease, n.promise.Restart))
	longer := end > n.end
	n.end = max(n.end, end)
	return longer && end > now
}

// Hello acknowledges a new DC's term; true means: beat at once.
func (n *NodeLease) Hello(h Hello) bool {
	if h.Term < n.term {
		return false
	}
	n.Acknowledge(h.DC, h.Term)
	return true
}

// Acknowledge takes a term from any message of its DC. From now on older orders are refused.
func (n *NodeLease) Acknowledge(dc string, term uint64) {
	if term > n.term || term == n.term && n.dc == "" {
		n.term, n.dc = term, dc
	}
}

// Lead makes this node's own right follow its DC lease, which ends at the instant;
// call it whenever that lease was renewed. The right lasts N from the sending that the lease
// counts from, as if a DC had granted a beat of that moment. The node lease of an
// earlier DC is dropped: the next DC counts on nothing but this.
func (n *NodeLease) Lead(term uint64, end time.Duration) {
	n.Acknowledge(n.node, term)
	n.isDC, n.dcEnd = true, end-n.timing.DCLease+n.timing.NodeLease
}

// Follow ends Lead. The rest of the right stays, as a node lease that the next DC may renew.
func (n *NodeLease) Follow() {
	if n.isDC {
		n.isDC, n.end = false, n.dcEnd
	}
}

// Order says whether an order of the term may be acted on now: nil, ErrNoLease, ErrStale
// or OldTermError. beat is the newest beat the DC had from this run when it sent the
// order; 0 is the DC's own order to itself.
func (n *NodeLease) Order(now time.Duration, term, beat uint64) error {
	if term < n.term {
		return OldTermError{Order: term, Acknowledged: n.term}
	}
	if n.Remaining(now) == 0 {
		return ErrNoLease
	}
	b := n.recent[beat%keepAsked]
	if beat == 0 && n.isDC || beat > 0 && b.seq == beat && now < b.sent+n.timing.NodeLease {
		return nil
	}
	return ErrStale
}

// End is the instant the right to run ends or has ended; 0 without any grant yet.
func (n *NodeLease) End() time.Duration {
	if n.isDC {
		return n.dcEnd
	}
	return n.end
}

// Remaining is how long the right still lasts, 0 once it has ended.
func (n *NodeLease) Remaining(now time.Duration) time.Duration { return max(0, n.End()-now) }

// Policy is what to act on when the lease ends: the policy that the DC may be relying on (N2).
func (n *NodeLease) Policy() Policy { return n.act }

// DC is the node last acknowledged as DC and its term.
func (n *NodeLease) DC() (dc string, term uint64) { return n.dc, n.term }
