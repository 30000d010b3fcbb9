package store

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
)

// TestQuiet: while voters answer by datagram, raft's heartbeats and idle appends are
// answered in their name; what would tell them something goes out.
func TestQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := grow(t, 3, rules{})
		dc := c.dc()
		g := dc.gate
		time.Sleep(time.Second)
		var peer *node
		for _, n := range c.running() {
			if n.name != dc.name {
				peer = n
			}
		}
		id, term, last := raft.ServerID(peer.ID()), dc.raft.CurrentTerm(), dc.raft.LastIndex()
		header := raft.RPCHeader{ID: []byte(dc.ID())}
		for _, q := range []struct {
			what string
			raft.AppendEntriesRequest
			spared bool
		}{
			{"a heartbeat", raft.AppendEntriesRequest{Term: term}, true},
			{"an idle append", raft.AppendEntriesRequest{Term: term, PrevLogEntry: last, LeaderCommitIndex: last}, true},
			{"of another term", raft.AppendEntriesRequest{Term: term + 1}, false},
			{"an entry", raft.AppendEntriesRequest{Term: term, PrevLogEntry: last, Entries: []*raft.Log{{}}}, false},
			{"news of a commit", raft.AppendEntriesRequest{Term: term, PrevLogEntry: last, LeaderCommitIndex: last + 1}, false},
			{"a log the peer may not have", raft.AppendEntriesRequest{Term: term, PrevLogEntry: last - 1, LeaderCommitIndex: last}, false},
		} {
			q.RPCHeader = header
			var r raft.AppendEntriesResponse
			if got := g.spare(id, &q.AppendEntriesRequest, &r); got != q.spared || r.Success != q.spared {
				t.Errorf("%s: spared %v, answer %+v", q.what, got, r)
			}
			// Raft decodes the peer's next answer into r, in place.
			if len(r.ID) > 0 {
				t.Errorf("%s: the answer shares memory with the question", q.what)
			}
		}
		peer.crash()
		time.Sleep(g.fresh() + dc.cfg.Timing.Beat)
		if g.spare(id, &raft.AppendEntriesRequest{RPCHeader: header, Term: term}, &raft.AppendEntriesResponse{}) {
			t.Error("a dead peer is spoken for")
		}
	})
}

// TestQuietRestart: a voter that restarts within a promise has forgotten what is
// committed; a quiet leader tells it all the same.
func TestQuietRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := grow(t, 3, rules{})
		dc := c.dc()
		time.Sleep(time.Second)
		for _, n := range c.running() {
			if n.name == dc.name {
				continue
			}
			n.crash()
			n.reboot()
			began := time.Now()
			if _, err := c.nodes[n.name].WaitIndex(t.Context(), dc.Snapshot().Index); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took > dc.cfg.Timing.Heartbeat {
				t.Errorf("%s learns what is committed after %v", n.name, took)
			}
			if now := c.dc(); now.name != dc.name {
				t.Errorf("the DC changed to %s", now.name)
			}
		}
	})
}

// TestQuietTimers: a quiet leader's heartbeats wait in the gate for the next beat, never for a timer of raft's.
func TestQuietTimers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := grow(t, 3, rules{})
		dc := c.dc()
		time.Sleep(time.Second + time.Millisecond/2) // between the beats
		for range time.Second / time.Millisecond {
			time.Sleep(time.Millisecond)
			dc.gate.pulse.mu.Lock()
			waits := dc.gate.pulse.c != nil
			dc.gate.pulse.mu.Unlock()
			if !waits {
				t.Fatal("half a millisecond after a beat, heartbeats are not back")
			}
		}
	})
}
