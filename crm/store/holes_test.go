package store

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"systole/crm/lease"
)

// Six ways in which hashicorp/raft's own timers let two nodes lead at once. Each test
// shows that the gate closes the hole, and that the hole is open with its rule
// switched off: a test that cannot fail proves nothing.

// hole runs a test with the rule and without it.
func hole(t *testing.T, off rules, test func(t *testing.T, r rules) (open bool)) {
	for _, c := range []struct {
		name  string
		rules rules
		open  bool
	}{{"with the rule", rules{}, false}, {"without the rule", off, true}} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if open := test(t, c.rules); open != c.open {
					t.Errorf("the hole is open: %v, want %v", open, c.open)
				}
			})
		})
	}
}

// ensemble is one real voter, c, whose peers a and b do what the test says.
func ensemble(t *testing.T, r rules) (c *cluster, voter *node, a, b *actor) {
	t.Helper()
	c = newCluster(t, r)
	voter = c.add("c")
	a, b = newActor(c, "a"), newActor(c, "b")
	seed(t, voter, a, b)
	voter.start(nil)
	t.Cleanup(func() {
		c.end()
		a.close()
		b.close()
	})
	return c, voter, a, b
}

// seed writes a configuration of the voter and its peers to the voter's disk.
func seed(t *testing.T, voter *node, peers ...*actor) {
	t.Helper()
	servers := []raft.Server{{ID: raft.ServerID(voter.name + "/" + voter.life), Address: raft.ServerAddress(voter.addr())}}
	for _, p := range peers {
		servers = append(servers, raft.Server{ID: p.id, Address: p.addr})
	}
	voter.memory.store.Set(keyID, []byte(servers[0].ID))
	err := voter.memory.store.StoreLog(&raft.Log{Index: 1, Term: 1, Type: raft.LogConfiguration, Data: raft.EncodeConfiguration(raft.Configuration{Servers: servers})})
	if err != nil {
		t.Fatal(err)
	}
}

// actor is a raft server that speaks when told to.
type actor struct {
	id      raft.ServerID
	addr    raft.ServerAddress
	trans   *raft.NetworkTransport
	streams *streams
	close   func()
}

func newActor(c *cluster, name string) *actor {
	f := c.net.Attach(name+":1", name)
	a := &actor{id: raft.ServerID(name + "/1"), addr: raft.ServerAddress(f.Addr())}
	a.streams = newStreams(f, a.id, lease.Default(), testLogger())
	go a.streams.serve()
	a.trans = raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{Stream: a.streams, MaxPool: 3, Timeout: 10 * time.Second, Logger: hclog.NewNullLogger()})
	a.close = func() {
		a.trans.Close()
		f.Close()
	}
	return a
}

func (a *actor) header() raft.RPCHeader {
	return raft.RPCHeader{ProtocolVersion: 3, ID: []byte(a.id), Addr: []byte(a.addr)}
}

// serve answers requests: answer returns the response, nil for an error.
func (a *actor) serve(answer func(command any) any) {
	go func() {
		for {
			select {
			case rpc := <-a.trans.Consumer():
				go func() {
					if r := answer(rpc.Command); r != nil {
						rpc.Respond(r, nil)
					} else {
						rpc.Respond(nil, raft.ErrNotLeader)
					}
				}()
			case <-a.streams.done:
				return
			}
		}
	}()
}

// deaf refuses everything.
func deaf(any) any { return nil }

// heartbeat sends one and says whether it was answered with success.
func (a *actor) heartbeat(to *node, term uint64) bool {
	var r raft.AppendEntriesResponse
	q := &raft.AppendEntriesRequest{RPCHeader: a.header(), Term: term}
	err := a.trans.AppendEntries("", to.target(), q, &r)
	return err == nil && r.Success
}

// heartbeats sends some, a beat apart.
func (a *actor) heartbeats(to *node, term uint64) {
	for range 5 {
		a.heartbeat(to, term)
		time.Sleep(20 * time.Millisecond)
	}
}

// vote asks for one and says whether it was granted.
func (a *actor) vote(to *node, term uint64, transfer bool) bool {
	var r raft.RequestVoteResponse
	q := &raft.RequestVoteRequest{RPCHeader: a.header(), Term: term, LastLogIndex: 1000, LastLogTerm: term - 1, LeadershipTransfer: transfer}
	err := a.trans.RequestVote("", to.target(), q, &r)
	return err == nil && r.Granted
}

func (n *node) target() raft.ServerAddress {
	return target(raft.ServerID(n.name+"/1"), raft.ServerAddress(n.addr()))
}

// Hole 1: a restarted voter has forgotten its leader and votes at once.
func TestHoleRestartedVoter(t *testing.T) {
	hole(t, rules{noStartWait: true}, func(t *testing.T, r rules) bool {
		_, voter, a, b := ensemble(t, r)
		a.serve(deaf)
		b.serve(deaf)
		time.Sleep(time.Second)
		a.heartbeats(voter, 7)
		voter.crash()
		voter.reboot()
		start := time.Now()
		open := b.vote(voter, 8, false)
		if !open {
			for !b.vote(voter, 8, false) {
				time.Sleep(time.Millisecond)
			}
			if waited := time.Since(start); waited < lease.Default().Promise {
				t.Errorf("voted %v after the start, before the promise it may have made had ended", waited)
			}
		}
		return open
	})
}

// Hole 2: TimeoutNow is obeyed from anyone, and its vote requests break every promise.
func TestHoleTimeoutNow(t *testing.T) {
	hole(t, rules{obeyTimeoutNow: true}, func(t *testing.T, r rules) bool {
		_, voter, a, b := ensemble(t, r)
		a.serve(deaf)
		b.serve(deaf)
		time.Sleep(time.Second)
		a.heartbeats(voter, 7)
		var resp raft.TimeoutNowResponse
		b.trans.TimeoutNow("", voter.target(), &raft.TimeoutNowRequest{RPCHeader: b.header()}, &resp)
		time.Sleep(10 * time.Millisecond)
		return voter.raft.CurrentTerm() > 7
	})
}

func TestHoleTransferFlag(t *testing.T) {
	hole(t, rules{transferFlag: true}, func(t *testing.T, r rules) bool {
		_, voter, a, b := ensemble(t, r)
		a.serve(deaf)
		b.serve(deaf)
		time.Sleep(time.Second)
		a.heartbeats(voter, 7)
		return b.vote(voter, 8, true)
	})
}

// Hole 3: the heartbeat fast path answers the old leader while the vote for a new one
// is being written.
func TestHoleHeartbeatFastPath(t *testing.T) {
	hole(t, rules{fastPath: true}, func(t *testing.T, r rules) bool {
		_, voter, a, b := ensemble(t, r)
		a.serve(deaf)
		b.serve(deaf)
		time.Sleep(time.Second)
		a.heartbeats(voter, 7)
		time.Sleep(900 * time.Millisecond) // forgotten, and the promise is over
		voter.memory.Hang(true)
		time.AfterFunc(150*time.Millisecond, func() { voter.memory.Hang(false) })
		voted := make(chan bool)
		go func() { voted <- b.vote(voter, 8, false) }()
		time.Sleep(60 * time.Millisecond)
		renewed := a.heartbeat(voter, 7)
		if !<-voted {
			t.Fatal("the vote was not granted; nothing is tested")
		}
		return renewed
	})
}

// Hole 4: the leader counts an answer from its arrival, so it believes longer than
// the voter who gave it.
func TestHoleLateAnswer(t *testing.T) {
	hole(t, rules{countArrival: true}, func(t *testing.T, r rules) bool {
		_, leader, a, b := ensemble(t, r)
		var heard atomic.Int64 // by the voters, last; nanoseconds
		late := func(command any) any {
			switch q := command.(type) {
			case *raft.RequestPreVoteRequest:
				return &raft.RequestPreVoteResponse{Term: q.Term, Granted: true}
			case *raft.RequestVoteRequest:
				return &raft.RequestVoteResponse{Term: q.Term, Granted: true}
			case *raft.AppendEntriesRequest:
				age := time.Since(leader.c.born)
				if age > 3*time.Second {
					return nil // nothing is heard any more, but answers are under way
				}
				heard.Store(time.Now().UnixNano())
				if age > 2900*time.Millisecond {
					time.Sleep(200 * time.Millisecond)
				}
				return &raft.AppendEntriesResponse{Term: q.Term, Success: true, LastLog: q.PrevLogEntry + uint64(len(q.Entries))}
			}
			return nil
		}
		a.serve(late)
		b.serve(late)
		leader.c.dc()
		promise := lease.Default().Promise
		for time.Since(leader.c.born) < 6*time.Second {
			time.Sleep(time.Millisecond)
			if leader.LeaseEnd(leader.raft.CurrentTerm()) > leader.clock() && time.Now().UnixNano()-heard.Load() > int64(promise) {
				return true // a lease that no voter stands for
			}
		}
		return false
	})
}

// Hole 5: a leader whose disk hangs goes on with its heartbeats, and nobody replaces it.
func TestHoleHungDisk(t *testing.T) {
	for _, off := range []rules{{noStall: true}, {noStall: true, pipeline: true}} {
		hole(t, off, func(t *testing.T, r rules) bool {
			c := grow(t, 3, r)
			time.Sleep(2 * time.Second)
			old := c.dc()
			old.memory.Hang(true)
			go old.Propose(t.Context(), set("x", "1"))
			for end := time.Now().Add(6 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
				for _, n := range c.leased() {
					if n.name != old.name {
						return false
					}
				}
			}
			return true
		})
	}
}

// Hole 6: a voter that lost its store votes twice in one term under its old id.
func TestHoleAmnesia(t *testing.T) {
	for _, off := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			_, voter, a, b := ensemble(t, rules{})
			a.serve(deaf)
			b.serve(deaf)
			time.Sleep(time.Second)
			if !a.vote(voter, 8, false) {
				t.Fatal("the first vote was refused")
			}
			voter.crash()
			voter.memory = NewMemory()
			if !off {
				voter.life = "2" // what Open draws for an empty store
			}
			voter.reboot()
			time.Sleep(time.Second)
			if twice := b.vote(voter, 8, false); twice != off {
				t.Errorf("id kept: %v: voted twice in one term: %v", off, twice)
			}
		})
	}
}
