package store

import (
	"testing"
	"testing/synctest"
	"time"

	"systole/integration/sim/fabric"
)

func TestThreeNodesFormACluster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := grow(t, 3, rules{})
		dc := c.dc()
		dc.must(set("x", "1"))
		c.settle()
		for _, n := range c.running() {
			if got := value(n.Snapshot().CIB, "x"); got != "1" {
				t.Errorf("%s has x=%q, want 1", n.name, got)
			}
		}
		c.sameCIB()
		if got := len(dc.Servers()); got != 3 {
			t.Errorf("%d servers, want 3", got)
		}
	})
}

// Candidates hear of each other only when both have asked. One goes on all the same, and
// there is a new DC after one election; without the rule in courtesy.go there would be two.
func TestSlowCandidates(t *testing.T) {
	elections := func(r rules, voters int, delay time.Duration) (count uint64) {
		synctest.Test(t, func(t *testing.T) {
			c := grow(t, voters, r)
			time.Sleep(5 * time.Second)
			c.net.SetFaults(fabric.Faults{Delay: delay})
			c.settle()
			old := c.dc()
			term := old.DC().Term
			old.crash()
			count = c.dc().DC().Term - term
		})
		return count
	}
	for _, voters := range []int{3, 4, 5} {
		for _, delay := range []time.Duration{5 * time.Millisecond, 10 * time.Millisecond, 15 * time.Millisecond, 20 * time.Millisecond, 25 * time.Millisecond} {
			if n := elections(rules{}, voters, delay); n != 1 {
				t.Errorf("%d voters, messages take %v: a new DC after %d elections", voters, delay, n)
			}
		}
	}
	if n := elections(rules{rude: true}, 3, 25*time.Millisecond); n == 1 {
		t.Error("one election without the rule as well: nothing is proved")
	}
}

func TestFailover(t *testing.T) {
	for _, n := range []int{3, 5} {
		synctest.Test(t, func(t *testing.T) {
			c := grow(t, n, rules{})
			time.Sleep(5 * time.Second)
			for range 5 {
				old := c.dc()
				old.must(set("x", old.name))
				old.crash()
				died := time.Now()
				dc := c.dc()
				took := time.Since(died)
				// HB + one slot for each voter and one more; see lease.Check I7.
				limit := 400*time.Millisecond + time.Duration(n+1)*20*time.Millisecond + 50*time.Millisecond
				t.Logf("%d voters: %v", n, took)
				if took > limit {
					t.Errorf("a new DC after %v, want at most %v", took, limit)
				}
				if got := value(dc.Snapshot().CIB, "x"); got != old.name {
					t.Errorf("the acknowledged x=%s is lost: %q", old.name, got)
				}
				old.reboot()
				time.Sleep(2 * time.Second)
				c.settle()
				c.sameCIB()
			}
		})
	}
}
