package node

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// The only node has nobody to wait for, and nobody who would start elsewhere what it runs.
func TestRestartOfTheOnlyNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := grow(t, 1, 1, noFencing...)
		n := c.nodes["a"]
		c.until("r1 runs", func() bool { return slices.Equal(c.world.where("r1"), []string{"a"}) && c.settled() })
		began := time.Now()
		if err := n.Restart(t.Context(), 10*time.Second); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("it waited for %v", took)
		}
		n.kill()
		time.Sleep(200 * time.Millisecond)
		n.daemon(nil)
		time.Sleep(20 * time.Second)
		c.until("settled", c.settled)
		if on := c.world.where("r1"); !slices.Equal(on, []string{"a"}) {
			t.Errorf("r1 runs on %v, want a", on)
		}
		c.neverTwice()
	})
}
