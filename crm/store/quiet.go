package store

import (
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"systole/crm/lease"
)

// Raft says the same thing many times a second to every peer: a heartbeat each tenth of
// its time-out, and the commit index each CommitTimeout, on streams under TLS. An idle
// node would do little else. But a voter that answers the datagrams of renew.go has
// promised, and says what its raft has committed; so such messages are answered here, in
// its name, as long as its answers are fresh. What raft then believes of its peers
// is older than it thinks by at most `fresh`; nothing but its own stepping down follows from that,
// since the right to order is the lease, which counts datagrams from their sending (D1).
// The voter's raft hears of its leader through [gate.tellRaft].

// contact is the newest answer of a peer by datagram in a term.
type contact struct {
	term   uint64
	sent   time.Duration // of what it answered
	commit uint64        // its raft's commit index; 0 when its raft does not know this leader
}

// appended is the newest append that a peer took on a stream.
type appended struct {
	term uint64
	last uint64 // index it has in its log
}

// fresh is how old a peer's answer may be to speak for it: one may be lost.
func (g *gate) fresh() time.Duration { return g.timing.Beat * 5 / 2 }

const (
	// beatsAhead is every how many renewals raft's heartbeats go on, at both ends: seldom enough
	// to be quiet, often enough for raft's own patience, which lasts HB, six beats.
	beatsAhead = 2
	// beatsIdle is every how many an idle append goes on: its request may not know of
	// what the machine never sees, a no-op that was committed.
	beatsIdle = 20
)

// spare answers in the name of a peer a message that would tell it nothing. It waits
// before: raft sends the next one soon after. False means: send it.
func (g *gate) spare(id raft.ServerID, q *raft.AppendEntriesRequest, r *raft.AppendEntriesResponse) bool {
	if len(q.Entries) > 0 || g.rules.chatty {
		return false
	}
	if !g.knows(id, q) || !g.idle(q) || !g.knows(id, q) {
		return false
	}
	// Its header stays empty: raft decodes the next answer into the same memory, so it must not be the question's.
	*r = raft.AppendEntriesResponse{Term: q.Term, LastLog: q.PrevLogEntry, Success: true}
	return true
}

// idle waits until raft may say something again; false when the store ends. It sets no
// timer: should Renew ring no more, this node is to lead no more.
func (g *gate) idle(q *raft.AppendEntriesRequest) bool {
	bell := &g.work
	if heartbeat(q) {
		bell = &g.pulse
	}
	rung := bell.wait()
	if bell == &g.work && g.behind(q) {
		return true
	}
	select {
	case <-rung:
		return true
	case <-g.ending:
		return false
	}
}

// goOn lets everything that waits go on.
func (g *gate) goOn() {
	g.pulse.ring()
	g.work.ring()
}

// heartbeat says that a message is raft's heartbeat, which has no place in the log.
func heartbeat(q *raft.AppendEntriesRequest) bool {
	return len(q.Entries) == 0 && q.PrevLogEntry == 0 && q.LeaderCommitIndex == 0
}

// knows says that the peer has answered lately, and has what the message would tell it.
func (g *gate) knows(id raft.ServerID, q *raft.AppendEntriesRequest) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := g.contacts[id]
	if c.term != q.Term || c.commit == 0 || g.clock()-c.sent > g.fresh() || g.broken || q.Term <= g.silent {
		return false
	}
	a := g.appended[id]
	return heartbeat(q) || a.term == q.Term && a.last == q.PrevLogEntry && c.commit >= q.LeaderCommitIndex
}

// heard notes the newest answer of a peer. One that has restarted has forgotten what is
// committed: an append that waits here tells it.
func (g *gate) heard(m lease.Renewed) {
	id := raft.ServerID(m.Voter)
	before := g.contacts[id]
	if m.Term < before.term || m.Term == before.term && m.Sent <= before.sent {
		return
	}
	g.contacts[id] = contact{m.Term, m.Sent, m.Commit}
	if m.Commit < before.commit {
		g.goOn()
	}
}

// taken notes what a peer has taken on a stream.
func (g *gate) taken(id raft.ServerID, q *raft.AppendEntriesRequest) {
	last := q.PrevLogEntry
	if n := len(q.Entries); n > 0 {
		last = q.Entries[n-1].Index
	}
	if last > 0 {
		g.appended[id] = appended{q.Term, last}
	}
}

// tellRaft gives raft the heartbeat that some renewals stand for, if it follows that very
// leader already; its commit index then, or 0. Raft takes it at once if it waits for
// messages, in its turn otherwise, or not at all while it is busy.
func (g *gate) tellRaft(m lease.Renew) (commit uint64) {
	addr, id, term, commit := g.follows()
	if string(id) != m.Leader || term != m.Term {
		return 0
	}
	if g.renewals++; g.renewals%beatsAhead != 0 {
		return commit
	}
	header := raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(id), Addr: g.EncodePeer(id, addr)}
	heartbeat := raft.RPC{
		Command:  &raft.AppendEntriesRequest{RPCHeader: header, Term: term},
		RespChan: make(chan raft.RPCResponse, 1),
	}
	select {
	case g.ch <- heartbeat:
		return commit
	default:
	}
	select {
	case g.told <- heartbeat:
	default:
	}
	return commit
}

// beaten counts the renewals, and lets the heartbeats that wait go on after some. A beat
// before, raft is told to hurry: so the heartbeats that go on then come back here at once, and the next ones wait
// here too, not for raft's timers. One of those costs an idle daemon more than all else a beat does.
func (g *gate) beaten() {
	switch g.beats++; g.beats % beatsAhead {
	case 0:
		g.pulse.ring()
	case beatsAhead - 1:
		g.hurry()
	}
	if g.beats%beatsIdle == 0 {
		g.work.ring()
	}
}

// follows is whom raft follows, and what it knows to be committed.
func (s *Store) follows() (addr raft.ServerAddress, id raft.ServerID, term, commit uint64) {
	addr, id = s.raft.LeaderWithID()
	return addr, id, s.raft.CurrentTerm(), s.raft.CommitIndex()
}

// moreThan says that the log or what is committed goes beyond what an append would tell.
func (s *Store) moreThan(q *raft.AppendEntriesRequest) bool {
	return s.disk.last.Load() > q.PrevLogEntry || s.machine.reached.Load() > q.LeaderCommitIndex
}

// bell wakes everybody who waits for it; the zero value is ready.
type bell struct {
	mu sync.Mutex
	c  chan struct{}
}

func (b *bell) wait() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.c == nil {
		b.c = make(chan struct{})
	}
	return b.c
}

func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.c != nil {
		close(b.c)
		b.c = nil
	}
}
