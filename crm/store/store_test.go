package store

import (
	"testing"
	"testing/synctest"
	"time"
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
