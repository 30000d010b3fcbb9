package node

import (
	"sync"
	"time"

	"systole/crm/lease"
)

// right is this node's right to run resources, shared by those who must ask for
// it. The lock guards the value only; nobody waits while holding it.
type right struct {
	clock lease.Clock
	guard Guard  // may be nil
	keep  Keeper // may be nil
	// moved tells whoever waits for the end that it need look again before it.
	moved func()

	mu          sync.Mutex
	lease       *lease.NodeLease
	incarnation uint64
	settled     bool   // the policy was carried out after the lease's end
	index       uint64 // of the CIB that promises were read from last
	promised    lease.Policy
	policyIndex uint64        // of the first CIB with the present policy
	ticked      time.Duration // the end at the last tick
}

// owing says that the lease has ended and what was promised for that moment is
// not done yet. Until it is, this node neither asks for a lease nor takes one: a
// grant that comes just after the end would wake addresses, and keep services,
// that may have begun elsewhere.
func (r *right) owing() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.owes()
}

func (r *right) owes() bool {
	end := r.lease.End()
	return end > 0 && r.clock() >= end && !r.settled
}

// settle notes that what was promised for the end of the lease is done.
func (r *right) settle() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.settled = true
}

// Remaining implements resources.Lease.
func (r *right) Remaining() time.Duration {
	now := r.clock()
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lease.Remaining(now)
}

// end is the instant the right ends or has ended.
func (r *right) end() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lease.End()
}

// policy is what to do when it ends.
func (r *right) policy() lease.Policy {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lease.Policy()
}

// beat makes the next beat. It may cut the lease (after a restart grant): the
// guard must know before the beat leaves, since the DC may count on the shorter
// lease as soon as it has it.
func (r *right) beat(applied uint64) lease.Beat {
	r.mu.Lock()
	before := r.state()
	b := r.lease.Beat(r.clock(), applied)
	after := r.state()
	r.mu.Unlock()
	if after != before {
		r.tell(after)
		r.moved()
	}
	return b
}

// order says whether an order of the term may be acted on, and acknowledges the term.
func (r *right) order(dc string, term, beat uint64) error {
	now := r.clock()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lease.Acknowledge(dc, term)
	return r.lease.Order(now, term, beat)
}

func (r *right) hello(h lease.Hello) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lease.Hello(h)
}

// promise takes what is to be promised from the CIB at the index. While this node has not
// caught up with what an earlier run of the daemon had read, its policy stays.
func (r *right) promise(p lease.Record, index uint64) {
	r.mu.Lock()
	before := r.state()
	if index < r.index {
		p.Policy = before.policy
	} else if r.index = index; p.Policy != r.promised {
		r.promised, r.policyIndex = p.Policy, index
	}
	r.lease.Promise(p)
	after := r.state()
	r.mu.Unlock()
	if after != before {
		r.tell(after)
	}
}

// dc is whom this node last acknowledged.
func (r *right) dc() (string, uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lease.DC()
}

func (r *right) granted(g lease.Grant) {
	r.change(func() { r.lease.Granted(r.clock(), g) })
}

func (r *right) lead(term uint64, end time.Duration) {
	r.change(func() { r.lease.Lead(term, end) })
}

// follow is not refused to a node that owes: it lengthens nothing.
func (r *right) follow() {
	r.mu.Lock()
	r.lease.Follow()
	r.mu.Unlock()
	r.moved()
}

// change runs f under the lock, unless this node is [right.owing], then hands the new end on to the kernel guard
// and the keeper. The guard gets the remaining lease at this very moment, never
// a constant: a late grant must not lengthen it.
func (r *right) change(f func()) {
	r.mu.Lock()
	if r.owes() {
		r.mu.Unlock()
		return
	}
	before := r.state()
	f()
	after := r.state()
	now := r.clock()
	r.settled = r.settled && after.end <= now
	r.mu.Unlock()
	if after != before {
		r.tell(after)
	}
	if after.end < before.end || before.end <= now && now < after.end {
		r.moved()
	}
}

// standing is what guard and keeper must know: when the right ends, and what happens then.
type standing struct {
	end    time.Duration
	policy lease.Policy
	index  uint64 // of the CIB of the newest policy promised
}

// tick is called every beat where no grant comes, now and then elsewhere: an end that has
// not moved since is told to the guard once more, which may have left it to the next.
func (r *right) tick() {
	r.mu.Lock()
	s := r.state()
	still := s.end == r.ticked
	r.ticked = s.end
	r.mu.Unlock()
	if still && s.end > r.clock() {
		r.renew(s)
	}
}

// state needs the lock.
func (r *right) state() standing {
	return standing{r.lease.End(), r.lease.Policy(), r.policyIndex}
}

// tell hands on what has changed.
func (r *right) tell(s standing) {
	r.renew(s)
	if r.keep != nil {
		// Losing the record costs adoption of the lease after a crash, nothing else.
		_ = r.keep.Save(Kept{Incarnation: r.incarnation, End: s.end, Policy: s.policy, Index: s.index})
	}
}

// renew gives the guard what remains.
func (r *right) renew(s standing) {
	switch {
	case r.guard == nil:
	case s.policy == lease.PolicyIgnore:
		r.guard.Renew(Forever)
	default:
		r.guard.Renew(max(0, s.end-r.clock()))
	}
}
