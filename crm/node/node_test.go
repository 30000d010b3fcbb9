package node

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"systole/crm/api"
	"systole/crm/attrs"
	"systole/crm/cib"
	"systole/crm/cluster"
	"systole/resources"
)

var noFencing = []string{"stonith-enabled", "false"}

func TestOneNodeStartsItsResources(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := grow(t, 1, 2, noFencing...)
		c.runsOn("r1", "a")
		c.runsOn("r2", "a")
	})
}

func TestLostFollowerMovesOnlyAfterProof(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := grow(t, 3, 1, noFencing...)
		n := c.holder("r1")
		n.powerOff()
		took := c.until("r1 runs elsewhere", func() bool { return len(c.world.where("r1")) == 1 })
		c.neverTwice()
		timing := n.cfg.Timing
		if least := timing.DetectWithin - timing.Beat; took < least {
			t.Errorf("moved after %v, before the node was lost (%v)", took, least)
		}
		if most := timing.DetectWithin + timing.GiveUp + 50*time.Millisecond; took > most {
			t.Errorf("moved after %v, want at most %v", took, most)
		}
		t.Logf("moved after %v", took)
	})
}

func TestLostDC(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := grow(t, 3, 1, noFencing...)
		c.runsOn("r1", "a")
		c.until("all are in", func() bool { return len(c.nodes["a"].Store().Servers()) == 3 && c.settled() })
		c.until("b and c hold leases", func() bool { return c.nodes["b"].Remaining() > 0 && c.nodes["c"].Remaining() > 0 })
		c.nodes["a"].powerOff()
		took := c.until("r1 runs elsewhere", func() bool { return len(c.world.where("r1")) == 1 })
		c.neverTwice()
		if took > 700*time.Millisecond {
			t.Errorf("moved after %v", took)
		}
		t.Logf("moved after %v", took)
	})
}

// A node that is cut off stops what it runs by itself, before it is started elsewhere.
func TestCutOffNodeStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := grow(t, 3, 1, noFencing...)
		n := c.holder("r1")
		c.net.Isolate(n.addr())
		c.until("r1 runs elsewhere", func() bool {
			on := c.world.where("r1")
			return len(on) == 1 && on[0] != n.name
		})
		c.neverTwice()
		if c.world.count("stop r1 "+n.name) == 0 {
			t.Error("the node did not stop r1 when its lease ended")
		}
		c.net.HealAll()
		c.until("the node is back", func() bool { return n.Remaining() > 0 && c.settled() })
		time.Sleep(5 * time.Second)
		c.neverTwice()
	})
}

// The daemon is killed and back within the lease: nothing is stopped or started.
func TestRestartWithinTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := grow(t, 3, 1, noFencing...)
		n := c.holder("r1")
		starts := c.world.count("start r1 " + n.name)
		n.kill()
		time.Sleep(150 * time.Millisecond)
		n.daemon(nil)
		time.Sleep(10 * time.Second)
		c.until("settled", c.settled)
		if on := c.world.where("r1"); !slices.Equal(on, []string{n.name}) {
			t.Errorf("r1 runs on %v, want it where it was: %s", on, n.name)
		}
		if got := c.world.count("start r1 " + n.name); got != starts {
			t.Errorf("%d starts, want none", got-starts)
		}
		c.neverTwice()
	})
}

// The same on the DC, whose lease nobody grants: another DC is elected and answers it in time.
func TestRestartOfTheDCWithinTheLease(t *testing.T) {
	for _, away := range []time.Duration{10 * time.Millisecond, 150 * time.Millisecond, 280 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			c := grow(t, 3, 1, noFencing...)
			c.runsOn("r1", "a")
			c.until("all hold leases", func() bool { return c.nodes["b"].Remaining() > 0 && c.nodes["c"].Remaining() > 0 && c.settled() })
			a := c.nodes["a"]
			starts := c.world.count("start r1 a")
			a.kill()
			time.Sleep(away)
			a.daemon(nil)
			for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
				if on := c.world.where("r1"); !slices.Equal(on, []string{"a"}) {
					t.Fatalf("away for %v: r1 is active on %v", away, on)
				}
			}
			c.until("settled", c.settled)
			if got := c.world.count("start r1 a"); got != starts {
				t.Errorf("away for %v: %d starts, want none", away, got-starts)
			}
			if c.dc() == a {
				t.Error("no other DC was elected: this proves nothing")
			}
			c.neverTwice()
		})
	}
}

// A planned restart may take longer than the lease, under a grant.
func TestRestartGrant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := grow(t, 3, 1, noFencing...)
		n := c.holder("r1")
		starts := c.world.count("start r1 " + n.name)
		if err := n.Restart(t.Context(), 10*time.Second); err != nil {
			t.Fatal(err)
		}
		n.kill()
		time.Sleep(7 * time.Second)
		n.daemon(nil)
		time.Sleep(20 * time.Second)
		c.until("settled", c.settled)
		if on := c.world.where("r1"); !slices.Equal(on, []string{n.name}) {
			t.Errorf("r1 runs on %v, want it where it was: %s", on, n.name)
		}
		if got := c.world.count("start r1 " + n.name); got != starts {
			t.Errorf("%d starts, want none", got-starts)
		}
		if r := recordOf(c.dc().CIB(), n.name); r.Restart != 0 {
			t.Errorf("the grant stands after the return: %v", r)
		}
	})
}

// Not back in time: silent here, started there, never both.
func TestNotBackInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := grow(t, 3, 1, noFencing...)
		n := c.holder("r1")
		n.kill()
		c.until("r1 runs elsewhere", func() bool {
			on := c.world.where("r1")
			return len(on) == 1 && on[0] != n.name
		})
		n.daemon(nil)
		c.until("the node is back", func() bool { return n.Remaining() > 0 && c.settled() })
		time.Sleep(5 * time.Second)
		c.neverTwice()
		if on := c.world.where("r1"); len(on) != 1 || on[0] == n.name {
			t.Errorf("r1 runs on %v", on)
		}
	})
}

func TestOrderOfAnOlderTermIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := grow(t, 3, 1, noFencing...)
		n := c.holder("r1")
		_, term := n.right.dc()
		r := n.accept(t.Context(), orderMessage{DC: "a", Term: term - 1, Op: resources.Op{Resource: "r1", Action: resources.ActionStop}})
		if r == nil || r.Term != term || r.Later {
			t.Errorf("got %+v, want a refusal that names term %d", r, term)
		}
	})
}

// A result that comes while there is no DC waits and is in the log once there is one.
func TestResultsWaitForADC(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := grow(t, 3, 1, noFencing...)
		n := c.holder("r1")
		for _, other := range c.nodes {
			if other != n {
				other.powerOff()
			}
		}
		c.until("the node stopped r1 by itself", func() bool { return c.world.count("stop r1 "+n.name) == 1 })
		for _, other := range c.nodes {
			if other != n {
				other.start(nil)
			}
		}
		c.until("the stop is in the log", func() bool {
			d := c.dc()
			if d == nil {
				return false
			}
			op := lastOp(d.CIB(), n.name, "r1")
			return op != nil && c.settled()
		})
		c.until("r1 runs", func() bool { return len(c.world.where("r1")) == 1 })
		c.neverTwice()
	})
}

// A node that leaves hands its resources over first.
func TestLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := grow(t, 3, 1, noFencing...)
		n := c.holder("r1")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := n.Leave(ctx); err != nil {
			t.Fatal(err)
		}
		if on := c.world.where("r1"); len(on) != 1 || on[0] == n.name {
			t.Errorf("r1 runs on %v after %s has left", on, n.name)
		}
		n.halt()
		c.neverTwice()
	})
}

// The DC leaves: it gives its office away and nothing is lost.
func TestDCLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := grow(t, 3, 1, noFencing...)
		c.runsOn("r1", "a")
		c.until("all hold leases", func() bool { return c.nodes["b"].Remaining() > 0 && c.nodes["c"].Remaining() > 0 && c.settled() })
		if err := c.nodes["a"].Leave(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.nodes["a"].halt()
		c.until("another DC", func() bool { return c.dc() != nil && c.settled() })
		c.neverTwice()
		if on := c.world.where("r1"); len(on) != 1 || on[0] == "a" {
			t.Errorf("r1 runs on %v", on)
		}
	})
}

// A failed start bars the node; the resource starts on the next one.
func TestFailedStartMovesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := grow(t, 3, 0, noFencing...)
		c.allIn()
		c.world.failOn["start r1 a"] = resources.ErrGeneric
		r, err := backend{c.nodes["b"].Node}.Propose(t.Context(), api.Proposal{Operations: []api.CIBOperation{
			{Op: api.OpCreate, Section: "resources", XML: toy(1)},
		}})
		if err != nil || r.Code != 0 {
			t.Fatalf("propose: %+v, %v", r, err)
		}
		c.runsOn("r1", "b")
		if n, _ := transient(c.dc().CIB(), "a", "fail-count-r1#start_0"); n != "INFINITY" {
			t.Errorf("fail count %q", n)
		}
	})
}

// A node that comes back as a witness is known as one, and the other way round.
func TestWitnessOfAKnownName(t *testing.T) {
	node, err := cib.Parse([]byte(`<node id="3" uname="c"><instance_attributes id="nodes-3"><nvpair id="x" name="site" value="north"/></instance_attributes></node>`))
	if err != nil {
		t.Fatal(err)
	}
	witness := asWitness(node, true)
	if !isWitness(witness) || isWitness(asWitness(witness, false)) {
		t.Errorf("as a witness: %s; no longer: %s", witness, asWitness(witness, false))
	}
	if back := asWitness(witness, false); back.String() != node.String() {
		t.Errorf("its own attributes changed: %s", back)
	}
	synctest.Test(t, func(t *testing.T) {
		c := grow(t, 3, 1, noFencing...)
		c.until("settled", c.settled)
		if err := c.dc().configure(t.Context(), cluster.Entrant{Name: "c", Witness: true}); err != nil {
			t.Fatal(err)
		}
		c.until("c is a witness", func() bool {
			for e := range c.dc().CIB().Section("nodes").Each("node") {
				if e.Get("uname") == "c" {
					return isWitness(e) && e.ID() == "3"
				}
			}
			return false
		})
	})
}

// allIn waits until b and c have their leases.
func (c *testCluster) allIn() {
	c.until("all are in", func() bool {
		return c.settled() && c.nodes["b"].Remaining() > 0 && c.nodes["c"].Remaining() > 0
	})
}

// What was set through a follower and is not yet known there is deleted through it all the same.
func TestAttributeSetThenDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := grow(t, 3, 0, noFencing...)
		c.allIn()
		b := c.nodes["b"]
		for i := range 20 {
			if err := errors.Join(b.SetAttribute(t.Context(), "foo", "1", 0), b.SetAttribute(t.Context(), "foo", "", 0)); err != nil {
				t.Fatal(err)
			}
			if v, has := transient(c.dc().CIB(), "b", "foo"); has {
				t.Fatalf("round %d: foo is %q after its deletion", i, v)
			}
		}
	})
}

// An attribute that may wait is written when it has waited, unless it was set again before.
func TestAttributeSetLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := grow(t, 3, 0, noFencing...)
		c.allIn()
		b := c.nodes["b"]
		set := func(value string, delay time.Duration) {
			t.Helper()
			if err := b.SetAttribute(t.Context(), "foo", value, delay); err != nil {
				t.Fatal(err)
			}
		}
		is := func(want string) {
			t.Helper()
			if got, _ := transient(c.dc().CIB(), "b", "foo"); got != want {
				t.Errorf("foo is %q, want %q", got, want)
			}
		}
		set("1", 0)
		set("2", time.Second)
		time.Sleep(900 * time.Millisecond)
		is("1")
		time.Sleep(200 * time.Millisecond)
		is("2")
		set("3", time.Second)
		set("4", 0)
		is("4")
		time.Sleep(2 * time.Second)
		is("4")
	})
}

// Who waited for the cluster at a follower sees there what it waited for.
func TestSettledIsSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := grow(t, 3, 0, noFencing...)
		c.allIn()
		b := backend{c.nodes["b"].Node}
		if r, err := b.Propose(t.Context(), api.Proposal{Operations: []api.CIBOperation{{Op: api.OpCreate, Section: "resources", XML: toy(1)}}}); err != nil || r.Code != 0 {
			t.Fatalf("propose: %+v, %v", r, err)
		}
		s, err := b.Settle(t.Context(), 0)
		if err != nil || !s.Settled {
			t.Fatalf("settle: %+v, %v", s, err)
		}
		if r, err := b.CIB(t.Context(), true); err != nil || !strings.Contains(r.XML, "r1_last_0") {
			t.Errorf("b's CIB after waiting for index %d, %v: no start of r1 in %s", s.Index, err, r.XML)
		}
		if told := b.n.told.Load(); told < s.Index {
			t.Errorf("local reads at b wait for index %d; its user was told %d", told, s.Index)
		}
	})
}

// The DC dies; what runs on other nodes goes on running, and its lease never ends.
func TestDCLossLeavesOthersAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := grow(t, 3, 1, noFencing...)
		n := c.holder("r1")
		dc := c.dc()
		least := time.Hour
		dc.powerOff()
		c.until("another DC", func() bool {
			least = min(least, n.Remaining())
			return c.dc() != nil && n.Remaining() > 200*time.Millisecond
		})
		t.Logf("the lease was down to %v", least)
		time.Sleep(10 * time.Second)
		if stops := c.world.count("stop r1 " + n.name); stops > 0 {
			t.Errorf("r1 was stopped %d times\n%s", stops, c.dump())
		}
		if on := c.world.where("r1"); !slices.Equal(on, []string{n.name}) {
			t.Errorf("r1 runs on %v, want %s", on, n.name)
		}
	})
}

// With fencing, silence is no proof: the resource starts elsewhere after the
// device has spoken, and only then.
func TestLostNodeIsFencedFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := grow(t, 3, 1)
		n := c.holder("r1")
		n.kernel.timer.Stop() // no guard here: the machine hangs with its address up
		n.kill()
		c.until("r1 runs elsewhere", func() bool {
			on := c.world.where("r1")
			return len(on) == 1 && on[0] != n.name
		})
		c.neverTwice()
		if got := c.world.count("fence " + n.name); got != 1 {
			t.Errorf("fenced %d times", got)
		}
		c.until("settled", c.settled)
		events, err := backend{c.dc().Node}.FenceHistory(t.Context(), n.name)
		if err != nil || len(events) != 1 || events[0].State != "success" || events[0].Action != "reboot" {
			t.Errorf("history: %+v, %v", events, err)
		}
	})
}

// Without the device's word nothing moves, until a human gives theirs.
func TestFencingFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := grow(t, 3, 1)
		n := c.holder("r1")
		n.kernel.timer.Stop()
		c.world.failOn["fence "+n.name] = resources.ErrGeneric
		if err := (backend{c.dc().Node}).ConfirmFence(t.Context(), n.name); api.ExitCode(err) != api.CodeUnsafe {
			t.Errorf("a node that beats was taken for down: %v", err)
		}
		n.kill()
		time.Sleep(30 * time.Second)
		if on := c.world.where("r1"); !slices.Equal(on, []string{n.name}) {
			t.Fatalf("r1 runs on %v although %s was never fenced", on, n.name)
		}
		c.world.off(n.name)
		if err := (backend{c.dc().Node}).ConfirmFence(t.Context(), n.name); err != nil {
			t.Fatal(err)
		}
		c.until("r1 runs elsewhere", func() bool { return len(c.world.where("r1")) == 1 })
		c.neverTwice()
	})
}

// What is not harmless is started only after the DC has recorded how long its stop
// may take, and its loss is proven that much later.
func TestExclusiveResourceMovesAfterItsStopTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := grow(t, 3, 0, noFencing...)
		for _, n := range c.nodes {
			n.exclusive.Store(true)
		}
		c.allIn()
		r, err := backend{c.nodes["b"].Node}.Propose(t.Context(), api.Proposal{Operations: []api.CIBOperation{
			{Op: api.OpCreate, Section: "resources", XML: `<primitive id="r1" class="ocf" provider="test" type="Toy"><operations><op id="r1-s" name="stop" interval="0" timeout="5s"/></operations></primitive>`},
		}})
		if err != nil || r.Code != 0 {
			t.Fatalf("propose: %+v, %v", r, err)
		}
		c.until("r1 is being started", func() bool { return len(c.world.where("r1")) == 1 })
		if g := recordOf(c.dc().CIB(), c.world.where("r1")[0]).GiveUp; g < 5*time.Second {
			t.Errorf("the recorded give-up bound was %v when r1 was started", g)
		}
		n := c.holder("r1")
		n.powerOff()
		took := c.until("r1 runs elsewhere", func() bool { return len(c.world.where("r1")) == 1 })
		if took < 5*time.Second || took > 8*time.Second {
			t.Errorf("moved after %v, want a little over 5 s", took)
		}
		c.neverTwice()
	})
}

// The DC dies with something exclusive: that waits for its bound. What is known not
// to have run there does not wait.
func TestLostDCDelaysOnlyWhatItRan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := grow(t, 3, 1, noFencing...)
		change := func(op api.Op, xml string) {
			t.Helper()
			r, err := backend{c.dc().Node}.Propose(t.Context(), api.Proposal{Operations: []api.CIBOperation{{Op: op, Section: "resources", XML: xml}}})
			if err != nil || r.Code != 0 {
				t.Fatalf("propose: %+v, %v", r, err)
			}
		}
		exclusive := func(on bool) {
			for _, n := range c.nodes {
				n.exclusive.Store(on)
			}
		}
		exclusive(true)
		c.runsOn("r1", "a")
		change(api.OpCreate, `<primitive id="r2" class="ocf" provider="test" type="Toy"><meta_attributes id="r2-m"><nvpair id="r2-m-t" name="target-role" value="Stopped"/></meta_attributes></primitive>`)
		c.until("all hold leases", func() bool { return c.nodes["b"].Remaining() > 0 && c.nodes["c"].Remaining() > 0 && c.settled() })
		c.until("the bound is recorded", func() bool { return recordOf(c.dc().CIB(), "a").GiveUp > 20*time.Second })
		c.nodes["a"].powerOff()
		c.until("another DC", func() bool { return c.dc() != nil && c.dc().name != "a" })
		exclusive(false)
		change(api.OpModify, `<nvpair id="r2-m-t" name="target-role" value="Started"/>`)
		if took := c.until("r2 runs", func() bool { return len(c.world.where("r2")) == 1 }); took > time.Second {
			t.Errorf("r2 was started after %v", took)
		}
		if len(c.world.where("r1")) > 0 {
			t.Error("r1 was started without proof")
		}
		c.until("r1 runs", func() bool { return len(c.world.where("r1")) == 1 })
		c.neverTwice()
	})
}

func TestCoarse(t *testing.T) {
	for _, c := range []struct{ d, want time.Duration }{
		{0, 0}, {1, time.Second}, {4 * time.Second, 4 * time.Second}, {5 * time.Second, 6 * time.Second},
		{20 * time.Second, 24 * time.Second}, {40 * time.Second, 48 * time.Second},
	} {
		if got := coarse(c.d); got != c.want || got < c.d {
			t.Errorf("coarse(%v) = %v, want %v", c.d, got, c.want)
		}
	}
	values := map[time.Duration]bool{}
	for n := range 100 {
		values[coarse(time.Duration(n)*20*time.Second)] = true
	}
	if len(values) > 40 {
		t.Errorf("%d different bounds while 100 resources start", len(values))
	}
}

// transient is a node's transient attribute in the CIB.
func transient(c *cib.CIB, node, name string) (string, bool) {
	v, ok := attributesOf(c)[attrs.Key{Node: node, Name: name}]
	return v, ok
}
