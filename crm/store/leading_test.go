package store

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"systole/crm/lease"
	"systole/integration/sim/fabric"
)

func TestProposeOnAFollower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := grow(t, 3, rules{})
		dc := c.dc()
		for _, n := range c.running() {
			if n.name == dc.name {
				continue
			}
			_, err := n.Propose(t.Context(), set("x", "1"))
			e, ok := errors.AsType[*NotLeaderError](err)
			if !ok || e.Leader != dc.name || e.Addr != dc.addr() {
				t.Errorf("%s: %v, want a NotLeaderError that names %s", n.name, err, dc.name)
			}
			if _, err := n.Read(t.Context()); !errors.As(err, &e) {
				t.Errorf("%s reads: %v", n.name, err)
			}
			index, err := dc.ReadIndex(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := n.WaitIndex(t.Context(), index); err != nil {
				t.Error(err)
			}
		}
	})
}

// Cut off, a DC loses its lease before the others can have a new one, says so, and
// does not know what became of its last entry.
func TestCutOffDC(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := grow(t, 3, rules{})
		old := c.dc()
		next := old.DC().Next
		c.net.Isolate(old.addr())
		cut := time.Now()
		for old.DC().Active {
			<-next
			next = old.DC().Next
		}
		if took := time.Since(cut); took > lease.Default().DCLease+2*time.Millisecond {
			t.Errorf("the lease was lost %v after the cut, want at most %v", took, lease.Default().DCLease)
		}
		if _, err := old.Read(t.Context()); err == nil {
			t.Error("a linearizable read without a lease")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := old.Propose(ctx, set("x", "lost")); err != nil && !errors.Is(err, ErrMaybe) {
			if _, ok := errors.AsType[*NotLeaderError](err); !ok {
				t.Errorf("propose without a majority: %v", err)
			}
		}
		dc := c.dc()
		dc.must(set("x", "kept"))
		c.net.HealAll()
		time.Sleep(time.Second)
		c.settle()
		if got := value(old.Snapshot().CIB, "x"); got != "kept" {
			t.Errorf("the returning node has x=%s", got)
		}
		c.sameCIB()
	})
}

func TestHandOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := grow(t, 3, rules{})
		for range 5 {
			old := c.dc()
			term := old.DC().Term
			start := time.Now()
			if err := old.HandOver(t.Context()); err != nil {
				t.Fatal(err)
			}
			if old.LeaseEnd(term) != 0 || old.DC().Active {
				t.Error("the old DC may still order")
			}
			dc := c.dc()
			if took := time.Since(start); dc.name == old.name || took > 30*time.Millisecond {
				t.Errorf("%s took over from %s after %v", dc.name, old.name, took)
			}
			if f := dc.DC().Former; f != "" {
				t.Errorf("former %q: after a hand-over its services go on", f)
			}
			time.Sleep(time.Second)
			c.settle()
		}
		for _, n := range c.running() {
			if n.name != c.dc().name {
				if _, ok := errors.AsType[*NotLeaderError](n.HandOver(t.Context())); !ok {
					t.Errorf("%s hands over, a follower", n.name)
				}
			}
		}
	})
}

// A voter that was released, with nobody able to take over, goes on after an election.
func TestHandOverWithoutASuccessor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := grow(t, 3, rules{})
		old := c.dc()
		for _, n := range c.running() {
			if n.name != old.name {
				c.net.Isolate(n.addr())
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := old.HandOver(ctx); err == nil {
			t.Error("handed over to nobody")
		}
		c.net.HealAll()
		c.dc().must(set("x", "1"))
	})
}

// Half released is worse than not at all: the leader must make way all the same.
func TestHandOverHalfDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := grow(t, 5, rules{})
		old := c.dc()
		term := old.DC().Term
		for _, n := range c.running() {
			if n.name != old.name {
				n.streams.release = func(conn net.Conn) {}
			}
		}
		if err := old.HandOver(t.Context()); err == nil {
			t.Fatal("handed over without a release")
		}
		if old.LeaseEnd(term) != 0 {
			t.Error("the old DC may order again")
		}
		dc := c.dc()
		if dc.DC().Term == term {
			t.Error("the old term goes on")
		}
		dc.must(set("x", "1"))
	})
}

func TestHandOverAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := grow(t, 1, rules{})
		if err := c.dc().HandOver(t.Context()); err == nil {
			t.Error("handed over to nobody")
		}
		c.dc().must(set("x", "1"))
	})
}

// A DC that gave its own services a right helps no other candidate for a promise, not
// even one that was told to hurry.
func TestDCIsBoundToItself(t *testing.T) {
	for _, r := range []rules{{}, {selfless: true}} {
		synctest.Test(t, func(t *testing.T) {
			c := grow(t, 3, r)
			dc := c.dc()
			ask := func() bool {
				q := &raft.RequestVoteRequest{RPCHeader: raft.RPCHeader{ID: []byte("x/1")}, Term: dc.raft.CurrentTerm() + 1, LeadershipTransfer: true}
				rpc := &raft.RPC{Command: q, RespChan: make(chan raft.RPCResponse, 1)}
				passed := dc.gate.vote(rpc, q)
				if passed { // raft's part
					rpc.Respond(&raft.RequestVoteResponse{}, nil)
					synctest.Wait()
				}
				return passed
			}
			dc.LeaseEnd(dc.raft.CurrentTerm())
			if got := ask(); got != r.selfless {
				t.Errorf("%+v: helped %v", r, got)
			}
			for _, n := range c.running() {
				if n.name != dc.name {
					n.crash()
				}
			}
			time.Sleep(dc.cfg.Timing.Promise)
			if !ask() {
				t.Error("bound for longer than a promise after its last answered request")
			}
		})
	}
}

func TestFormerDC(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := grow(t, 3, rules{})
		for _, marked := range []bool{true, false, true} {
			old := c.dc()
			if marked {
				if err := old.MarkDC(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			old.crash()
			want := ""
			if marked {
				want = old.name
			}
			if got := c.dc().DC().Former; got != want {
				t.Errorf("marked %v: former %q, want %q", marked, got, want)
			}
			old.reboot()
			time.Sleep(time.Second)
		}
	})
}

func TestMembership(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := grow(t, 3, rules{})
		d := c.add("d")
		d.start(nil)
		c.join(d)
		dc := c.dc()
		var gone *node
		for _, n := range c.running() {
			if n.name != dc.name && n.name != "d" {
				gone = n
			}
		}
		id := gone.ID()
		if err := dc.Demote(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if err := dc.Remove(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		gone.crash()
		if err := dc.Promote(t.Context(), id); err == nil {
			t.Error("promoted a stranger")
		}
		if n := len(dc.voterIDs()); n != 3 {
			t.Errorf("%d voters, want 3", n)
		}
		dc.must(set("x", "1"))
		// its store comes back as it was: nobody talks to it, and it disturbs nobody
		gone.reboot()
		time.Sleep(5 * time.Second)
		if now := c.dc(); now.name != dc.name || now.DC().Term != dc.DC().Term {
			t.Errorf("a removed server took the leadership from %s to %s", dc.name, now.name)
		}
		// the DC itself
		if err := dc.Remove(t.Context(), dc.ID()); err != nil && !errors.Is(err, ErrMaybe) {
			t.Fatal(err)
		}
		dc.crash()
		c.dc().must(set("x", "2"))
	})
}

func TestNextChange(t *testing.T) {
	voter := func(n string) Server { return Server{ID: n + "/1", Node: n, Voter: true} }
	learner := func(n string) Server { return Server{ID: n + "/1", Node: n} }
	alive := map[string]Peer{"a": {}, "b": {}, "c": {}, "d": {}}
	with := func(n string, p Peer) map[string]Peer {
		m := map[string]Peer{}
		for k, v := range alive {
			m[k] = v
		}
		m[n] = p
		return m
	}
	for _, c := range []struct {
		name    string
		servers []Server
		peers   map[string]Peer
		want    string
	}{
		{"all vote", []Server{voter("a"), voter("b"), voter("c")}, alive, ""},
		{"a vote is free", []Server{voter("a"), voter("b"), learner("c")}, alive, "+c/1"},
		{"one after the other", []Server{voter("a"), learner("b"), learner("c")}, alive, "+b/1"},
		{"enough vote", []Server{voter("a"), voter("b"), voter("c"), learner("d")}, alive, ""},
		{"not caught up", []Server{voter("a"), voter("b"), learner("c")}, with("c", Peer{Behind: 129}), ""},
		{"not alive", []Server{voter("a"), voter("b"), learner("c")}, with("c", Peer{Dead: time.Second}), ""},
		{"unknown", []Server{voter("a"), voter("b"), learner("z")}, alive, ""},
		{"a voter just died", []Server{voter("a"), voter("b"), voter("c"), learner("d")}, with("b", Peer{Dead: time.Minute}), ""},
		{"a voter is dead", []Server{voter("a"), voter("b"), voter("c"), learner("d")}, with("b", Peer{Dead: DeadVoter}), "-b/1"},
		{"nobody to take its place", []Server{voter("a"), voter("b"), voter("c")}, with("b", Peer{Dead: DeadVoter}), ""},
	} {
		got := ""
		if m, ok := NextChange(c.servers, c.peers, 3); ok {
			got = map[bool]string{true: "+", false: "-"}[m.Promote] + m.ID
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// One survivor of three begins anew, with everything it had; the others join again.
func TestRecover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := grow(t, 3, rules{})
		c.dc().must(set("x", "1"))
		c.settle()
		for _, n := range c.running() {
			n.crash()
		}
		a := c.nodes["a"]
		a.fabric = c.net.Attach(a.addr(), "a")
		r, err := Recover(a.config())
		a.fabric.Close()
		if err != nil {
			t.Fatal(err)
		}
		if r.ID != "a/1" || len(r.Dropped) != 2 || r.Index == 0 {
			t.Errorf("recovered: %+v", r)
		}
		a.reboot()
		dc := c.dc()
		if value(dc.Snapshot().CIB, "x") != "1" || len(dc.History()) != 2 {
			t.Errorf("x=%q and %d revisions after the recovery", value(dc.Snapshot().CIB, "x"), len(dc.History()))
		}
		b := c.nodes["b"]
		b.memory, b.life = NewMemory(), "2"
		b.reboot()
		c.join(b)
		c.dc().must(set("x", "2"))
		c.sameCIB()
	})
}

func TestRecoverRefusesAnEmptyStore(t *testing.T) {
	f := fabric.New(1).Attach("a:1", "a")
	defer f.Close()
	_, err := Recover(Config{Dir: t.TempDir(), Node: "a", Fabric: f, Timing: lease.Default(), Clock: Boottime})
	if err == nil || !strings.Contains(err.Error(), "is empty") {
		t.Errorf("recover: %v", err)
	}
}

// Two nodes with timings that do not fit must not form a quorum: I1 spans both.
func TestTimingsMustFit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := grow(t, 1, rules{})
		quick, err := lease.Derive(200 * time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		b := c.add("b")
		b.timing = &quick
		b.start(nil)
		dc := c.dc()
		if err := dc.AddNonvoter(t.Context(), b.ID(), b.addr()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		if b.Snapshot().Index != 0 {
			t.Error("a node with a promise too short for the DC's lease takes part")
		}
	})
}
