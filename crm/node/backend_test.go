package node

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"systole/crm/api"
	"systole/crm/cib"
	"systole/crm/controller"
	"systole/resources"
)

// Everything the tools ask for works on a node that is not the DC.
func TestAPIOnAFollower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := grow(t, 3, 1, noFencing...)
		c.runsOn("r1", "a")
		c.until("b and c have their leases, and the CIB says so", func() bool {
			return c.nodes["b"].Remaining() > 0 && c.settled() && !controller.Gone(c.dc().CIB(), "c")
		})
		b := backend{c.nodes["b"].Node}
		ctx := t.Context()

		s, err := b.Status(ctx)
		if err != nil || s.DC != "a" || !s.Quorum || s.Transition.State != api.TransitionIdle || len(s.Nodes) != 3 || !s.Nodes[2].Online {
			t.Errorf("status: %+v, %v", s, err)
		}

		value := "7"
		if err := b.UpdateAttr(ctx, api.AttrUpdate{Name: "ping", Value: &value}); err != nil {
			t.Fatal(err)
		}
		if got, err := b.Attrs(ctx, "b", "ping"); err != nil || !slices.Equal(got, []api.Attr{{Node: "b", Name: "ping", Value: "7"}}) {
			t.Errorf("just written: %v, %v", got, err)
		}
		fresh, err := b.CIB(ctx, false)
		if err != nil || !fresh.Linearizable || fresh.Index < c.nodes["a"].Store().Snapshot().Index {
			t.Errorf("fresh read: index %d, %v", fresh.Index, err)
		}
		if local, err := b.CIB(ctx, true); err != nil || local.Linearizable || local.Index < b.n.told.Load() {
			t.Errorf("local read: index %d, own writes up to %d, %v", local.Index, b.n.told.Load(), err)
		}

		if s, err := b.Settle(ctx, 10*time.Second); err != nil || !s.Settled {
			t.Errorf("settle: %+v, %v", s, err)
		}
		c.world.mu.Lock()
		c.world.slow = time.Minute
		c.world.mu.Unlock()
		if r, err := b.Propose(ctx, api.Proposal{Operations: []api.CIBOperation{{Op: api.OpCreate, Section: "resources", XML: toy(2)}}}); err != nil || r.Code != 0 {
			t.Fatalf("propose: %+v, %v", r, err)
		}
		if s, err := b.Settle(ctx, 5*time.Second); err != nil || s.Settled || len(s.Pending) == 0 {
			t.Errorf("settle while r2 starts: %+v, %v", s, err)
		}

		stale, err := b.Propose(ctx, api.Proposal{ExpectVersion: "0.1.0", Operations: []api.CIBOperation{{Op: api.OpBump}}})
		if err != nil || stale.Code != api.CodeOld {
			t.Errorf("old version: %+v, %v", stale, err)
		}
	})
}

func TestDampenedAttribute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := grow(t, 1, 0, noFencing...)
		n := c.nodes["a"]
		b := backend{n.Node}
		value, dampen := "100", api.FromDuration(5*time.Second)
		if err := b.UpdateAttr(t.Context(), api.AttrUpdate{Name: "ping", Value: &value, Dampen: &dampen}); err != nil {
			t.Fatal(err)
		}
		if _, there := transient(n.CIB(), "a", "ping"); there {
			t.Error("written at once")
		}
		if got, _ := b.Attrs(t.Context(), "a", "ping"); len(got) != 1 || got[0].Value != "100" {
			t.Errorf("a query sees %v", got)
		}
		took := c.until("it is written", func() bool { v, _ := transient(n.CIB(), "a", "ping"); return v == "100" })
		if took < 4*time.Second || took > 6*time.Second {
			t.Errorf("written after %v", took)
		}
	})
}

func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := grow(t, 1, 0, noFencing...)
		b := backend{c.nodes["a"].Node}
		c.until("settled", c.settled)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		seen, before := make(chan api.Event, 100), b.n.Store().Snapshot().Index
		go func() {
			defer close(seen)
			for e, err := range b.Watch(ctx, before) {
				if err != nil {
					return
				}
				seen <- e
			}
		}()
		value := "1"
		if err := b.UpdateAttr(ctx, api.AttrUpdate{Name: "x", Value: &value}); err != nil {
			t.Fatal(err)
		}
		want := b.n.Store().Snapshot().Index
		for e := range seen {
			if e.Index >= want {
				cancel()
				break
			}
		}
		for range seen {
		}
	})
}

// Without a majority nothing can be written, and the answer says what to do.
func TestLostQuorum(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := grow(t, 3, 0, noFencing...)
		c.until("all are in", func() bool {
			return c.settled() && c.nodes["b"].Remaining() > 0 && c.nodes["c"].Remaining() > 0
		})
		c.nodes["b"].powerOff()
		c.nodes["c"].powerOff()
		b := backend{c.nodes["a"].Node}
		c.until("the DC lease ended", func() bool { return b.n.Remaining() == 0 })
		value := "1"
		err := b.UpdateAttr(t.Context(), api.AttrUpdate{Name: "x", Value: &value})
		if api.ExitCode(err) != api.CodeQuorum && api.ExitCode(err) != api.CodeTemporary {
			t.Errorf("write: %v", err)
		}
		if _, err := b.CIB(t.Context(), false); api.ExitCode(err) != api.CodeQuorum {
			t.Errorf("fresh read: %v", err)
		}
		b.n.cfg.Gossip = func() map[string]string { return map[string]string{"a": "alive", "b": "failed", "c": "alive"} }
		r, err := b.CIB(t.Context(), true)
		if err != nil {
			t.Errorf("local read: %v", err)
		}
		seen, err := cib.ParseCIB([]byte(r.XML))
		if err != nil {
			t.Fatal(err)
		}
		crmd := map[string]string{}
		for e := range seen.Status().Each("node_state") {
			crmd[e.Get("uname")] = e.Get("crmd")
		}
		if seen.Root().Get("have-quorum") != "0" || seen.Root().Get("dc-uuid") != "" || crmd["a"] != "online" || crmd["b"] != "offline" {
			t.Errorf("what is seen without quorum: %s", r.XML)
		}
		// crmsh reads twice, and what it has seen must not vanish meanwhile.
		for _, known := range b.n.CIB().Root().Attrs() {
			if _, there := seen.Root().Lookup(known.Name); !there {
				t.Errorf("%s is not seen without quorum: %s", known.Name, r.XML)
			}
		}
		if s, err := b.Status(t.Context()); err != nil || s.Quorum {
			t.Errorf("status: quorum %v, %v", s.Quorum, err)
		}
	})
}

// A CIB that was saved without quorum, or by hand without these facts, ends nothing
// when it is put in the place of the CIB.
func TestReplacedCIBKeepsQuorum(t *testing.T) {
	for name, says := range map[string]string{"saved without quorum": ` have-quorum="0" dc-uuid=""`, "by hand": ""} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := grow(t, 1, 1, noFencing...)
				c.until("r1 runs", func() bool { return c.settled() && len(c.world.where("r1")) == 1 })
				b := backend{c.nodes["a"].Node}
				r, err := b.CIB(t.Context(), true)
				if err != nil {
					t.Fatal(err)
				}
				doc := strings.Replace(r.XML, ` have-quorum="1" dc-uuid="1"`, says, 1)
				doc = strings.Replace(doc, ` epoch="`, ` epoch="1`, 1)
				if doc == r.XML || strings.Contains(doc, `have-quorum="1"`) {
					t.Fatalf("the CIB says otherwise who decides: %s", r.XML)
				}
				if _, err := b.Propose(t.Context(), api.Proposal{Operations: []api.CIBOperation{{Op: api.OpReplace, XML: doc}}}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				root := b.n.CIB().Root()
				if root.Get("have-quorum") != "1" || root.Get("dc-uuid") != "1" || c.world.count("stop r1 a") > 0 {
					t.Errorf("r1 runs on %v; the CIB: %s", c.world.where("r1"), b.n.CIB())
				}
			})
		})
	}
}

// catalog is what is installed on a toy node.
type catalog struct{}

func (catalog) Classes() []string         { return []string{"ocf", "systemd"} }
func (catalog) Providers(string) []string { return []string{"heartbeat", "systole"} }

func (catalog) List(class, provider string) ([]string, error) {
	return []string{class + provider + "A", class + provider + "B"}, nil
}

func (catalog) MetaData(context.Context, resources.AgentID) ([]byte, error) { return nil, nil }

// GET /agents as crm/api's client documents it.
func TestAgentLists(t *testing.T) {
	b := backend{&Node{cfg: Config{Catalog: catalog{}}}}
	for _, c := range []struct{ class, provider, want string }{
		{"", "", "[ocf systemd]"},
		{"ocf", "", "[heartbeat:ocfheartbeatA heartbeat:ocfheartbeatB systole:ocfsystoleA systole:ocfsystoleB]"},
		{"ocf", "systole", "[ocfsystoleA ocfsystoleB]"},
		{"systemd", "", "[systemdA systemdB]"},
	} {
		if got, err := b.Agents(t.Context(), c.class, c.provider); err != nil || fmt.Sprint(got) != c.want {
			t.Errorf("class %q, provider %q: %v, %v; want %s", c.class, c.provider, got, err, c.want)
		}
	}
}

// What a human forces has its turn among the operations of the resource, and starts nothing without a lease.
func TestForce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := grow(t, 3, 1, noFencing...)
		n := c.holder("r1")
		b := backend{n.Node}
		r, err := b.Force(t.Context(), api.ForceRequest{Resource: "r1", Action: "monitor"})
		if err != nil || r.Code != int(resources.OK) {
			t.Errorf("check: %+v, %v", r, err)
		}
		c.net.Isolate(n.addr())
		c.until("no lease", func() bool { return n.Remaining() == 0 })
		if r, err := b.Force(t.Context(), api.ForceRequest{Resource: "r1", Action: "start"}); err == nil {
			t.Errorf("started without a lease: %+v", r)
		}
		c.until("r1 runs elsewhere", func() bool { return len(c.world.where("r1")) == 1 && c.world.where("r1")[0] != n.name })
		c.neverTwice()
	})
}

// Who waits for the cluster to settle is not sent away because the DC dies meanwhile.
func TestSettleOutlivesTheDC(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := grow(t, 3, 0, noFencing...)
		c.until("all are in", func() bool { return c.settled() && c.nodes["b"].Remaining() > 0 && c.nodes["c"].Remaining() > 0 })
		c.world.mu.Lock()
		c.world.slow = 5 * time.Second
		c.world.mu.Unlock()
		b := backend{c.nodes["b"].Node}
		if r, err := b.Propose(t.Context(), api.Proposal{Operations: []api.CIBOperation{{Op: api.OpCreate, Section: "resources", XML: toy(1)}}}); err != nil || r.Code != 0 {
			t.Fatalf("propose: %+v, %v", r, err)
		}
		time.AfterFunc(time.Second, c.nodes["a"].powerOff)
		s, err := b.Settle(t.Context(), time.Minute)
		if err != nil || !s.Settled {
			t.Fatalf("settle: %+v, %v", s, err)
		}
		if on := c.world.where("r1"); len(on) != 1 || on[0] == "a" {
			t.Errorf("settled, and r1 is active on %v", on)
		}
	})
}
