package node

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"systole/crm/api"
	"systole/crm/lease"
)

// In maintenance nothing is managed: a daemon that is away for long, by accident or on
// purpose, leaves what runs alone, goes on to on its return, and nobody else starts it.
func TestMaintenance(t *testing.T) {
	for _, c := range []struct {
		what string
		end  func(*testing.T, *testNode)
		dc   bool
		over bool // maintenance ends while the daemon is away
		opts []string
	}{
		{"killed", func(_ *testing.T, n *testNode) { n.kill() }, false, false, noFencing},
		{"killed, the DC", func(_ *testing.T, n *testNode) { n.kill() }, true, false, noFencing},
		{"killed, and maintenance ends", func(_ *testing.T, n *testNode) { n.kill() }, false, true, noFencing},
		{"stopped", leave, false, false, noFencing},
		{"stopped, the DC", leave, true, false, noFencing},
		{"stopped, with fencing", leave, false, false, nil},
		{"stopped, and maintenance ends", leave, false, true, noFencing},
	} {
		t.Run(c.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { maintenance(t, c.end, c.dc, c.over, c.opts) })
		})
	}
}

func leave(t *testing.T, n *testNode) {
	if err := n.Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	n.halt()
}

func maintenance(t *testing.T, end func(*testing.T, *testNode), onDC, over bool, options []string) {
	c := grow(t, 3, 1, append([]string{"maintenance-mode", "false"}, options...)...)
	n := c.holder("r1")
	if onDC {
		c.until("all hold leases", func() bool {
			return c.nodes["a"].Remaining() > 0 && c.nodes["b"].Remaining() > 0 && c.nodes["c"].Remaining() > 0
		})
		if err := c.dc().Store().HandOver(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.until("another DC", func() bool { return c.dc() != nil && c.settled() })
		for c.dc() != n {
			dc := c.dc()
			_ = dc.Store().HandOver(t.Context())
			c.until("another DC", func() bool { return c.dc() != nil && c.dc() != dc && c.settled() })
		}
	}
	set := func(value string) {
		t.Helper()
		r, err := backend{c.dc().Node}.Propose(t.Context(), api.Proposal{Operations: []api.CIBOperation{{Op: api.OpModify, Section: "crm_config",
			XML: `<nvpair id="o-maintenance-mode" name="maintenance-mode" value="` + value + `"/>`}}})
		if err != nil || r.Code != 0 {
			t.Fatalf("propose: %+v, %v", r, err)
		}
	}
	set("true")
	c.until("the policy is granted", func() bool { return n.right.policy() == lease.PolicyIgnore && c.settled() })
	starts, stops := c.world.count("start r1 "+n.name), c.world.count("stop r1 "+n.name)
	still := func(span time.Duration, when string) {
		t.Helper()
		for end := time.Now().Add(span); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
			if on := c.world.where("r1"); !slices.Equal(on, []string{n.name}) {
				t.Fatalf("%s: r1 is active on %v, want %s\n%s", when, on, n.name, c.dump())
			}
		}
	}
	end(t, n)
	still(10*time.Second, "away")
	if over {
		c.until("a DC", func() bool { return c.dc() != nil })
		set("false")
		still(10*time.Second, "away after maintenance")
	}
	n.daemon(nil)
	still(10*time.Second, "back")
	if !over {
		set("false")
	}
	c.until("managed again", func() bool { return n.right.policy() == lease.PolicyStop && n.Remaining() > 0 && c.settled() })
	still(10*time.Second, "managed")
	if got := c.world.count("start r1 " + n.name); got != starts {
		t.Errorf("%d starts, want none", got-starts)
	}
	if got := c.world.count("stop r1 " + n.name); got != stops {
		t.Errorf("%d stops, want none", got-stops)
	}
	c.neverTwice()
}
