package membership

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var (
	key1 = bytes.Repeat([]byte{1}, 32)
	key2 = bytes.Repeat([]byte{2}, 32)
)

// cluster is some nodes on one wire inside a synctest bubble.
type cluster struct {
	t     *testing.T
	wire  *wire
	nodes map[string]*Membership
}

func addrOf(i int) string { return fmt.Sprintf("10.0.0.%d:7737", i) }

// start opens node i, which knows the addresses of nodes 1 to 3.
func (c *cluster) start(i int, change func(*Options)) *Membership {
	c.t.Helper()
	name := fmt.Sprintf("n%d", i)
	o := Options{
		Fabric: c.wire.attach(name, addrOf(i)), Name: name,
		Meta:  Meta{ID: fmt.Sprintf("id%d", i), Version: "1.0", Protocol: 1, Role: RoleMember},
		Keys:  [][]byte{key1},
		Seeds: func() []string { return []string{addrOf(1), addrOf(2), addrOf(3)} },
		Log:   slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
	if change != nil {
		change(&o)
	}
	m, err := Open(o)
	if err != nil {
		c.t.Fatal(err)
	}
	c.nodes[name] = m
	return m
}

// inBubble runs f with an empty wire and closes whatever it started.
func inBubble(t *testing.T, f func(t *testing.T, c *cluster)) {
	synctest.Test(t, func(t *testing.T) {
		c := &cluster{t, newWire(), map[string]*Membership{}}
		f(t, c)
		for name, m := range c.nodes {
			if err := m.Close(); err != nil {
				t.Errorf("close %s: %v", name, err)
			}
		}
		time.Sleep(Linger) // virtual time stands still once this function has returned
	})
}

// states is a view as text: "n1=alive n2=failed".
func states(m *Membership) string {
	var s []string
	for _, n := range m.Members() {
		s = append(s, n.Name+"="+string(n.State))
	}
	return strings.Join(s, " ")
}

// await lets virtual time pass until a view is as wanted.
func (c *cluster) await(m *Membership, want string, within time.Duration) {
	c.t.Helper()
	for end := time.Now().Add(within); ; time.Sleep(50 * time.Millisecond) {
		got := states(m)
		if got == want {
			return
		}
		if time.Now().After(end) {
			c.t.Fatalf("after %v: got %q, want %q", within, got, want)
		}
	}
}

const allAlive = "n1=alive n2=alive n3=alive"

func (c *cluster) startThree() (a, b, d *Membership) {
	a, b, d = c.start(1, nil), c.start(2, nil), c.start(3, nil)
	for _, m := range []*Membership{a, b, d} {
		c.await(m, allAlive, 20*time.Second)
	}
	return a, b, d
}

func TestFailureAndReturn(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster) {
		a, b, d := c.startThree()
		if got := a.Members()[1]; got.Addr != addrOf(2) || got.Meta.ID != "id2" || got.Meta.Role != RoleMember {
			t.Errorf("n2 as n1 sees it: %+v", got)
		}
		if err := d.Close(); err != nil { // a power cut, as the others see it
			t.Fatal(err)
		}
		c.await(a, "n1=alive n2=alive n3=failed", 20*time.Second)
		c.await(b, "n1=alive n2=alive n3=failed", 20*time.Second)
		c.start(3, nil)
		c.await(a, allAlive, 30*time.Second)

		var kinds []string
		for len(kinds) < 3 {
			e := <-a.Events()
			if e.Member.Name == "n3" && e.Kind != EventUpdated {
				kinds = append(kinds, string(e.Kind))
			}
		}
		if got := strings.Join(kinds, " "); got != "joined failed joined" {
			t.Errorf("events of n3: %q", got)
		}
	})
}

func TestRunLogsAndCloses(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster) {
		var log bytes.Buffer
		a := c.start(1, func(o *Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
		c.start(2, nil)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- a.Run(ctx) }()
		time.Sleep(20 * time.Second)
		if got := a.State("n2"); got != StateAlive {
			t.Errorf("n2 is %q", got)
		}
		if got := a.State("n9"); got != "" {
			t.Errorf("n9, never heard of, is %q", got)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if n := strings.Count(log.String(), "member joined"); n != 2 || !strings.Contains(log.String(), "node=n2 addr=10.0.0.2:7737 version=1.0") {
			t.Errorf("log:\n%s", log.String())
		}
	})
}

func TestLeaveIsNotFailure(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster) {
		a, b, d := c.startThree()
		for range 2 { // the second does nothing, memberlist itself would panic
			if err := d.Leave(); err != nil {
				t.Error(err)
			}
		}
		c.await(a, "n1=alive n2=alive n3=left", 10*time.Second)
		c.await(b, "n1=alive n2=alive n3=left", 10*time.Second)
	})
}

func TestPartitionHeals(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster) {
		a, _, d := c.startThree()
		c.wire.set(addrOf(3), addrOf(1), true)
		c.wire.set(addrOf(3), addrOf(2), true)
		c.await(a, "n1=alive n2=alive n3=failed", 30*time.Second)
		c.await(d, "n1=failed n2=failed n3=alive", 30*time.Second)
		time.Sleep(10 * time.Minute) // long enough for memberlist to give the others up
		c.wire.set(addrOf(3), addrOf(1), false)
		c.wire.set(addrOf(3), addrOf(2), false)
		c.await(a, allAlive, 2*RejoinInterval)
		c.await(d, allAlive, 2*RejoinInterval)
	})
}

func TestKeyRotation(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster) {
		a, b, d := c.startThree()
		for _, keys := range [][][]byte{{key1, key2}, {key2, key1}, {key2}} {
			for _, m := range []*Membership{a, b, d} {
				if err := m.SetKeys(keys); err != nil {
					t.Fatal(err)
				}
				time.Sleep(5 * time.Second) // nodes take the step one after the other
			}
		}
		for _, m := range []*Membership{a, b, d} {
			if got := states(m); got != allAlive {
				t.Errorf("after the rotation: %s", got)
			}
			for {
				select {
				case e := <-m.Events():
					if e.Kind == EventFailed {
						t.Errorf("%s failed during the rotation", e.Member.Name)
					}
					continue
				default:
				}
				break
			}
		}
		// A node that missed it is not heard, and hears nobody.
		late := c.start(4, nil)
		time.Sleep(30 * time.Second)
		if got := states(late); got != "n4=alive" {
			t.Errorf("with the removed key n4 sees %s", got)
		}
		if err := a.SetKeys(nil); err == nil {
			t.Error("an empty key ring was taken")
		}
	})
}

func TestIncompatibleNodeIsNotTakenIn(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster) {
		refuse := func(o *Options) {
			o.Compatible = func(protocol int) error {
				if protocol != 1 {
					return errors.New("speaks another protocol")
				}
				return nil
			}
		}
		a := c.start(1, refuse)
		c.start(2, func(o *Options) { o.Meta.Protocol = 2 })
		c.start(3, refuse)
		time.Sleep(30 * time.Second)
		if got := states(a); got != "n1=alive n3=alive" {
			t.Errorf("got %s", got)
		}
	})
}

func TestNameTwice(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster) {
		a, _, _ := c.startThree()
		c.nodes["twin"] = c.start(4, func(o *Options) { o.Name = "n2" })
		for e := range a.Events() {
			if e.Kind == EventConflict {
				if e.Member.Name != "n2" || e.Member.Addr != addrOf(4) {
					t.Errorf("conflict: %+v", e.Member)
				}
				return
			}
		}
	})
}

func TestUpdateReachesOthers(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster) {
		a, _, d := c.startThree()
		m := Meta{ID: "id3", Version: "2.0", Protocol: 1, Role: RoleWitness}
		if err := d.Update(m); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		if got := a.Members()[2].Meta; got != m {
			t.Errorf("got %+v, want %+v", got, m)
		}
		m.Version = strings.Repeat("x", MaxMeta)
		if err := d.Update(m); err == nil {
			t.Error("metadata larger than MaxMeta was taken")
		}
	})
}

func TestEventQueueDropsOldest(t *testing.T) {
	v := newView(nil)
	if err := v.setMeta(Meta{}); err != nil {
		t.Fatal(err)
	}
	for i := range eventQueue + 2 {
		v.note(EventUpdated, node(fmt.Sprint(i)), StateAlive)
	}
	if e := <-v.events; e.Member.Name != "2" {
		t.Errorf("oldest kept is %s, want 2", e.Member.Name)
	}
	v.close()
	v.note(EventUpdated, node("late"), StateAlive) // must not panic
}
