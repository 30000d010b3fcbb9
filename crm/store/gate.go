package store

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"systole/crm/lease"
)

var (
	errBound   = errors.New("bound by a promise to another leader")
	errNewer   = errors.New("bound to a newer term")
	errMute    = errors.New("this node no longer speaks for its term")
	errStalled = errors.New("the own disk is stalled")
	errNoHurry = errors.New("leadership is handed over by release only")
)

// askAgain is how often a voter that has not forgotten its leader is asked again for
// a pre-vote.
const askAgain = 5 * time.Millisecond

// gate stands between raft and the network. Every message in or out passes it, in
// order and under one lock, and is judged by the promises of crm/lease before raft,
// or a peer, sees it.
type gate struct {
	*raft.NetworkTransport
	self    raft.ServerID
	clock   lease.Clock
	rules   rules
	stalled func() bool // a write is in flight for too long
	slot    func() time.Duration
	ch      chan raft.RPC
	granted chan struct{} // cap 1: an answer came while wake is set
	wake    atomic.Bool
	done    chan struct{}
	once    sync.Once
	wg      sync.WaitGroup

	timing lease.Timing

	// What lets raft be quiet; see quiet.go.
	work, pulse bell
	beats       uint64        // renewals sent; only their sender counts
	renewals    uint64        // renewals taken that raft could be told of; only their taker counts
	told        chan raft.RPC // cap 1: heartbeats that came as datagrams
	ending      <-chan struct{}
	follows     func() (addr raft.ServerAddress, id raft.ServerID, term, commit uint64)
	behind      func(*raft.AppendEntriesRequest) bool // there is more to tell than this
	hurry       func()                                // raft is to send its next heartbeats at once

	mu       sync.Mutex
	contacts map[raft.ServerID]contact
	appended map[raft.ServerID]appended
	voter    *lease.Voter
	leader   *lease.Leader
	broken   bool          // the store has failed: nothing leaves any more
	silent   uint64        // no heartbeats of this term, or older ones: leadership was given back
	asked    uint64        // newest term this node has asked pre-votes for
	giveWay  time.Duration // until when another candidate goes first; see courtesy.go
}

func newGate(t *raft.NetworkTransport, self raft.ServerID, stored uint64, cfg *Config) *gate {
	now := cfg.Clock()
	g := &gate{
		NetworkTransport: t,
		self:             self,
		clock:            cfg.Clock,
		rules:            cfg.rules,
		ch:               make(chan raft.RPC),
		granted:          make(chan struct{}, 1),
		done:             make(chan struct{}),
		timing:           cfg.Timing,
		leader:           lease.NewLeader(cfg.Timing, string(self)),
		told:             make(chan raft.RPC, 1),
		contacts:         make(map[raft.ServerID]contact),
		appended:         make(map[raft.ServerID]appended),
	}
	if cfg.rules.noStartWait {
		now -= cfg.Timing.Promise
	}
	g.voter = lease.NewVoter(cfg.Timing, stored, now)
	return g
}

// Consumer is where raft takes the messages that were let through.
func (g *gate) Consumer() <-chan raft.RPC { return g.ch }

// SetHeartbeatHandler takes no handler: a heartbeat that passed beside raft's main
// loop could be answered while a vote is being written (upstream issue 695).
func (g *gate) SetHeartbeatHandler(cb func(raft.RPC)) {
	if g.rules.fastPath {
		g.NetworkTransport.SetHeartbeatHandler(cb)
	}
}

// AppendEntriesPipeline refuses: a pipeline's empty appends keep followers content
// although heartbeats have stopped, and it wedges after stalls (upstream issue 612).
func (g *gate) AppendEntriesPipeline(id raft.ServerID, a raft.ServerAddress) (raft.AppendPipeline, error) {
	if g.rules.pipeline {
		return g.NetworkTransport.AppendEntriesPipeline(id, target(id, a))
	}
	return nil, raft.ErrPipelineReplicationNotSupported
}

// pump hands incoming messages to raft, one after the other, until close.
func (g *gate) pump() {
	for {
		var rpc raft.RPC
		select {
		case rpc = <-g.told: // judged when it came
		case rpc = <-g.NetworkTransport.Consumer():
			if !g.admit(&rpc) {
				continue
			}
		case <-g.done:
			return
		}
		select {
		case g.ch <- rpc:
		case <-g.done:
			rpc.Respond(nil, raft.ErrTransportShutdown)
			return
		}
	}
}

// admit judges an incoming message; false means that it was answered here.
func (g *gate) admit(rpc *raft.RPC) bool {
	switch c := rpc.Command.(type) {
	case *raft.AppendEntriesRequest:
		g.hear(rpc, c)
	case *raft.RequestPreVoteRequest:
		g.mu.Lock()
		now := g.clock()
		ok := g.mayHelp(now, raft.ServerID(c.ID)) && g.voter.MayCampaign(now, string(c.ID))
		g.mu.Unlock()
		if !ok {
			rpc.Respond(&raft.RequestPreVoteResponse{}, nil)
			return false
		}
		g.intercept(rpc, func(r raft.RPCResponse) raft.RPCResponse {
			if v, ok := r.Response.(*raft.RequestPreVoteResponse); ok && v.Granted && !g.rules.rude {
				g.mu.Lock()
				g.helped(g.clock(), raft.ServerID(c.ID), c.Term)
				g.mu.Unlock()
			}
			return r
		})
	case *raft.RequestVoteRequest:
		return g.vote(rpc, c)
	case *raft.TimeoutNowRequest:
		g.mu.Lock()
		ok := g.voter.MayTimeoutNow(string(c.ID))
		g.mu.Unlock()
		if !ok && !g.rules.obeyTimeoutNow {
			rpc.Respond(nil, errNoHurry)
			return false
		}
	}
	return true
}

// hear records the promise that an answered append is (V1). Where none may be made,
// no success leaves.
func (g *gate) hear(rpc *raft.RPC, c *raft.AppendEntriesRequest) {
	g.mu.Lock()
	promised := g.voter.Heard(g.clock(), string(c.ID), c.Term)
	g.leader.Seen(c.Term)
	g.mu.Unlock()
	if promised {
		return
	}
	g.intercept(rpc, func(r raft.RPCResponse) raft.RPCResponse {
		if v, ok := r.Response.(*raft.AppendEntriesResponse); ok && v.Success {
			return raft.RPCResponse{Error: errNewer}
		}
		return r
	})
}

// vote lets a request for a vote through unless a promise binds (V2), whatever its
// flags, and settles the floor once raft has answered.
func (g *gate) vote(rpc *raft.RPC, c *raft.RequestVoteRequest) bool {
	g.mu.Lock()
	now := g.clock()
	ok := g.mayHelp(now, raft.ServerID(c.ID)) && g.voter.Vote(now, string(c.ID), c.Term)
	if !ok && g.rules.transferFlag && c.LeadershipTransfer {
		leader, term, _ := g.voter.Bound()
		g.voter.Release(leader, term)
		ok = g.voter.Vote(now, string(c.ID), c.Term)
	}
	if ok {
		g.leader.Seen(c.Term)
	}
	g.mu.Unlock()
	if !ok {
		rpc.Respond(&raft.RequestVoteResponse{}, nil)
		return false
	}
	g.intercept(rpc, func(r raft.RPCResponse) raft.RPCResponse {
		v, ok := r.Response.(*raft.RequestVoteResponse)
		g.mu.Lock()
		g.voter.Settle(c.Term, !ok || v.Granted || v.Term >= c.Term)
		g.mu.Unlock()
		return r
	})
	return true
}

// mayHelp says whether a candidate may be helped as far as this node's own lease goes:
// for one promise after what it counts from, this voter is bound to itself. The lock is held.
func (g *gate) mayHelp(now time.Duration, candidate raft.ServerID) bool {
	return candidate == g.self || g.rules.selfless || now >= g.leader.Bound(g.timing.Promise)
}

// intercept looks at raft's answer before the peer gets it.
func (g *gate) intercept(rpc *raft.RPC, look func(raft.RPCResponse) raft.RPCResponse) {
	in, out := make(chan raft.RPCResponse, 1), rpc.RespChan
	rpc.RespChan = in
	g.mu.Lock()
	defer g.mu.Unlock()
	if isDone(g.done) {
		return // nobody is answered any more
	}
	g.wg.Go(func() {
		select {
		case r := <-in:
			out <- look(r)
		case <-g.done:
		}
	})
}

// AppendEntries sends, and counts a success as a grant from before the sending (D1).
func (g *gate) AppendEntries(id raft.ServerID, a raft.ServerAddress, q *raft.AppendEntriesRequest, r *raft.AppendEntriesResponse) error {
	if g.stalled() {
		return errStalled
	}
	g.mu.Lock()
	mute := g.broken || q.Term <= g.silent
	g.mu.Unlock()
	if mute {
		return errMute
	}
	if g.spare(id, q, r) {
		return nil
	}
	sent := g.clock()
	err := g.NetworkTransport.AppendEntries(id, target(id, a), q, r)
	if err != nil {
		return err
	}
	if g.rules.countArrival {
		sent = g.clock()
	}
	g.mu.Lock()
	if r.Success && r.Term == q.Term {
		g.leader.Granted(string(id), q.Term, sent)
		g.taken(id, q)
	}
	g.leader.Seen(r.Term)
	g.mu.Unlock()
	g.renewedLease()
	return nil
}

// renewedLease wakes who waits for the lease.
func (g *gate) renewedLease() {
	if g.wake.Load() {
		nudge(g.granted)
	}
}

// RequestVote asks for a vote, if this node may be a candidate at all (V2).
func (g *gate) RequestVote(id raft.ServerID, a raft.ServerAddress, q *raft.RequestVoteRequest, r *raft.RequestVoteResponse) error {
	g.mu.Lock()
	ok := !g.broken && g.voter.Vote(g.clock(), string(g.self), q.Term)
	if ok {
		g.voter.Settle(q.Term, true) // raft took the term before it asked
		g.leader.Seen(q.Term)
	}
	g.mu.Unlock()
	if !ok {
		return errBound
	}
	return g.NetworkTransport.RequestVote(id, target(id, a), q, r)
}

// RequestPreVote waits for this node's turn among the candidates, then asks the voter
// again until it has forgotten the old leader too: without that, the first candidate
// is refused and a whole election time-out is lost.
func (g *gate) RequestPreVote(id raft.ServerID, a raft.ServerAddress, q *raft.RequestPreVoteRequest, r *raft.RequestPreVoteResponse) error {
	if !g.sleep(g.slot()) {
		return ErrClosed
	}
	if !g.mayGoOn(q.Term) {
		*r = raft.RequestPreVoteResponse{}
		return nil
	}
	until := g.clock() + g.timing.Promise
	for {
		*r = raft.RequestPreVoteResponse{}
		var err error
		if g.mayCampaign() { // this node's own promise may outlast raft's patience
			err = g.NetworkTransport.RequestPreVote(id, target(id, a), q, r)
		}
		if err == nil && r.Granted {
			r.Granted = g.mayGoOn(q.Term)
			return nil
		}
		if err != nil || r.Term > q.Term || g.clock() > until || !g.sleep(askAgain) {
			return err
		}
	}
}

func (g *gate) mayCampaign() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.voter.MayCampaign(g.clock(), string(g.self))
}

func (g *gate) sleep(d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-g.done:
		return false
	}
}

// InstallSnapshot sends one, unless nothing may leave.
func (g *gate) InstallSnapshot(id raft.ServerID, a raft.ServerAddress, q *raft.InstallSnapshotRequest, r *raft.InstallSnapshotResponse, data io.Reader) error {
	if g.stalled() {
		return errStalled
	}
	return g.NetworkTransport.InstallSnapshot(id, target(id, a), q, r, data)
}

// mayRenew says whether this node may ask for renewals at all.
func (g *gate) mayRenew() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return !g.broken && !g.stalled()
}

// renew promises again to a leader that asks by datagram (V1). A voter whose disk
// hangs does not: it could not follow.
func (g *gate) renew(m lease.Renew) (lease.Renewed, bool) {
	if g.stalled() {
		return lease.Renewed{}, false
	}
	g.mu.Lock()
	ok := g.rules.fastPath || !g.broken && g.voter.Heard(g.clock(), m.Leader, m.Term)
	if ok {
		g.leader.Seen(m.Term)
	}
	g.mu.Unlock()
	if !ok {
		return lease.Renewed{}, false
	}
	g.goOn() // what is left from an own term
	return lease.Renewed{Voter: string(g.self), Leader: m.Leader, Term: m.Term, Sent: m.Sent, Commit: g.tellRaft(m)}, true
}

// renewed counts such a promise from the sending of what it answers (D1).
func (g *gate) renewed(m lease.Renewed) {
	now := g.clock()
	if m.Leader != string(g.self) || m.Sent > now {
		return
	}
	if g.rules.countArrival {
		m.Sent = now
	}
	g.mu.Lock()
	g.leader.Granted(m.Voter, m.Term, m.Sent)
	g.heard(m)
	g.mu.Unlock()
	g.renewedLease()
}

// TimeoutNow asks a released voter to campaign.
func (g *gate) TimeoutNow(id raft.ServerID, a raft.ServerAddress, q *raft.TimeoutNowRequest, r *raft.TimeoutNowResponse) error {
	return g.NetworkTransport.TimeoutNow(id, target(id, a), q, r)
}

// leaseEnd is when the DC lease of the term ends, 0 when there is none.
func (g *gate) leaseEnd(term uint64, voters []string) time.Duration {
	if g.rules.noLease {
		return g.clock() + time.Hour
	}
	if g.stalled() {
		return 0
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.broken || g.voter.Floor() > term {
		return 0
	}
	end, ok := g.leader.End(g.clock(), term, voters)
	if !ok {
		return 0
	}
	return end
}

// giveBack ends the right to order in this node's term, for good (D3).
func (g *gate) giveBack() {
	g.mu.Lock()
	g.leader.Release()
	g.mu.Unlock()
}

// quit ends a term of this node's: no more heartbeats, so that another is elected.
func (g *gate) quit(term uint64) {
	g.mu.Lock()
	g.silent = max(g.silent, term)
	g.mu.Unlock()
	g.goOn()
}

// release frees this voter from its promise to the leader of the term (V4).
func (g *gate) release(leader string, term uint64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.voter.Release(leader, term)
}

// bound is to whom and how long this voter is still bound.
func (g *gate) bound() (leader string, left time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	leader, _, until := g.voter.Bound()
	return leader, max(0, until-g.clock())
}

// breakDown lets nothing more leave.
func (g *gate) breakDown() {
	g.mu.Lock()
	g.broken = true
	g.mu.Unlock()
}

// Close ends the gate and the transport behind it.
func (g *gate) Close() error {
	g.once.Do(func() {
		g.mu.Lock()
		close(g.done)
		g.mu.Unlock()
	})
	err := g.NetworkTransport.Close()
	g.wg.Wait()
	return err
}
