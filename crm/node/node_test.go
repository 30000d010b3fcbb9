package node

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestOneNodeStartsItsResources(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := grow(t, 1, 2)
		c.runsOn("r1", "a")
		c.runsOn("r2", "a")
	})
}

func TestLostFollowerMovesOnlyAfterProof(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := grow(t, 3, 1, "stonith-enabled", "false")
		c.runsOn("r1", "a")
		_ = time.Now()
	})
}
