package node

import (
	"testing"
	"testing/synctest"
	"time"

	"systole/crm/api"
	"systole/crm/controller"
	"systole/crm/lease"
	"systole/crm/transport"
	"systole/integration/sim/fabric"
)

// A success recent enough for the asker is the answer; the machine is not switched off once more.
func TestFenceTolerance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := grow(t, 3, 1)
		n := c.holder("r1")
		n.kernel.timer.Stop()
		n.kill()
		c.until("fenced", func() bool { return c.world.count("fence "+n.name) == 1 && c.settled() })
		b := backend{c.dc().Node}
		for _, q := range []struct {
			what      string
			action    string
			tolerance time.Duration
			fencings  int
		}{
			{"recent success", "reboot", time.Minute, 1},
			{"another action", "off", time.Minute, 2},
			{"no tolerance", "reboot", 0, 3},
		} {
			e, err := b.Fence(t.Context(), api.FenceRequest{Target: n.name, Action: q.action, Tolerance: api.FromDuration(q.tolerance)})
			if err != nil || e.State != "success" || e.Action != q.action {
				t.Errorf("%s: %+v, %v", q.what, e, err)
			}
			if got := c.world.count("fence " + n.name); got != q.fencings {
				t.Errorf("%s: fenced %d times in all, want %d", q.what, got, q.fencings)
			}
		}
		time.Sleep(2 * time.Minute)
		if _, err := b.Fence(t.Context(), api.FenceRequest{Target: n.name, Tolerance: api.FromDuration(time.Minute)}); err != nil {
			t.Error(err)
		}
		if got := c.world.count("fence " + n.name); got != 4 {
			t.Errorf("a success too old will not do: fenced %d times, want 4", got)
		}
	})
}

// A DC whose lease stands and who hears nobody must not shoot the majority that keeps it in office.
func TestDeafDCFencesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := grow(t, 5, 1)
		fenced := func() (n int) {
			for name := range c.nodes {
				n += c.world.count("fence " + name)
			}
			return n
		}
		// The last beats do not all come at the same moment: the first that are missed are a minority.
		c.net.SetFaults(fabric.Faults{Jitter: lease.Default().Beat})
		c.until("settled", c.settled)
		time.Sleep(time.Second)
		c.net.SetFaults(fabric.Faults{NoUDP: true})
		time.Sleep(30 * time.Second)
		if n := fenced(); n != 0 {
			t.Errorf("%d nodes fenced by a DC that hears nobody", n)
		}
		c.net.SetFaults(fabric.Faults{})
		c.until("settled again", func() bool { return c.settled() && len(c.world.where("r1")) == 1 })
		if n := fenced(); n != 0 {
			t.Errorf("%d nodes fenced although all are heard again", n)
		}
	})
}

// A datagram of a run that was fenced arrives late: nobody takes it for the node.
func TestLateBeatOfAFencedRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := grow(t, 3, 1)
		n := c.holder("r1")
		_, term := n.right.dc()
		late := lease.Encode(lease.Beat{Node: n.name, Incarnation: n.incarnation, Seq: 1 << 40, Term: term, Record: recordOf(n.CIB(), n.name)})
		n.powerOff()
		c.until("fenced", func() bool { return c.world.count("fence "+n.name) == 1 })
		var other *testNode
		for _, o := range c.nodes {
			if o != n && o != c.dc() {
				other = o
			}
		}
		c.until("settled elsewhere", func() bool {
			if err := other.fabric.Send(c.dc().addr(), transport.ChannelBeat, late); err != nil {
				t.Fatal(err)
			}
			if !controller.Gone(c.dc().CIB(), n.name) && len(c.world.where("r1")) > 0 {
				t.Fatal("the dead node is back in the cluster")
			}
			return len(c.world.where("r1")) == 1 && c.settled()
		})
		for end := time.Now().Add(3 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
			if err := other.fabric.Send(c.dc().addr(), transport.ChannelBeat, late); err != nil {
				t.Fatal(err)
			}
			if !controller.Gone(c.dc().CIB(), n.name) {
				t.Fatal("the dead node is back in the cluster")
			}
		}
		n.start(nil)
		c.until("the node itself is back", func() bool { return n.Remaining() > 0 && c.settled() })
		if got := c.world.count("fence " + n.name); got != 1 {
			t.Errorf("fenced %d times", got)
		}
	})
}
