package node

import (
	"testing"
	"testing/synctest"
	"time"

	"systole/crm/controller"
	"systole/resources"
)

// An order that was under way while its node was fenced is not for the node that comes back.
func TestOrderForAnEarlierRunIsRefused(t *testing.T) {
	n := &Node{incarnation: 7 << 16, cfg: Config{Name: "b"}}
	refused := n.accept(t.Context(), orderMessage{DC: "a", Term: 1, Incarnation: 6 << 16})
	if refused == nil || refused.Later {
		t.Errorf("order for another run: %+v, want a refusal for good", refused)
	}
}

// An order is held up on its way; its node is lost, and back in the same run. What the order
// would start has been given to another node.
func TestLateOrderIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := grow(t, 3, 1, noFencing...)
		holder := c.holder("r1")
		var n *testNode
		for _, o := range c.nodes {
			if o != holder && o != c.dc() {
				n = o
			}
		}
		c.until("it holds a lease", func() bool { return n.Remaining() > 0 })
		dc := c.dc()
		late := orderMessage{DC: dc.name, Term: dc.Store().DC().Term, Incarnation: n.incarnation, Key: "1:1:0:late",
			Op: resources.Op{Instance: "r1", Resource: "r1", Node: n.name, Action: resources.ActionStart, Agent: resources.AgentID{Class: "ocf", Provider: "test", Type: "Toy"}}}
		if err := dc.relyOn(&late, n.name, 0); err != nil {
			t.Fatal(err)
		}
		c.net.Isolate(n.addr())
		c.until("it is lost", func() bool { return controller.Gone(c.dc().CIB(), n.name) })
		c.net.HealAll()
		c.until("it is back", func() bool { return n.Remaining() > 0 && c.settled() })
		if r := n.accept(t.Context(), late); r == nil {
			t.Error("the late order is taken")
		}
		if err := dc.relyOn(&late, n.name, 0); err == nil {
			t.Error("an order planned before the loss is renewed after it")
		}
		time.Sleep(time.Second)
		c.neverTwice()
		if on := c.world.where("r1"); len(on) != 1 {
			t.Errorf("r1 runs on %v", on)
		}
	})
}

// What is planned for a node whose loss is already known is not sent: it would wait for the node's return.
func TestNothingIsSentToALostNode(t *testing.T) {
	d := &director{events: newQueue[controller.Event](), gone: map[string]bool{}, orders: map[string]orders{}}
	d.giveUpOn("b")
	d.order(controller.Order{Node: "b", Transition: 3, Action: 4})
	events := d.events.take()
	if len(events) != 1 {
		t.Fatalf("events %v, want one refusal", events)
	}
	if r, ok := events[0].(controller.OrderRefused); !ok || r.Transition != 3 || r.Action != 4 {
		t.Errorf("event %+v, want the refusal of action 4 of transition 3", events[0])
	}
	d.beforeStep(t.Context(), controller.NodeReady{Node: "b"})
	if d.gone["b"] {
		t.Error("a node that is ready again is still counted as gone")
	}
}

// Two boots in one second are two boots.
func TestBootsOfOneSecondDiffer(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	first := nextIncarnation(Kept{}, false, 0, now)
	second := nextIncarnation(Kept{}, false, 0, now.Add(300*time.Millisecond))
	if first >= second || first>>16 == second>>16 {
		t.Errorf("boots 300 ms apart: incarnations %d and %d", first, second)
	}
}
