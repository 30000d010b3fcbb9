package guard

import (
	"fmt"
	"testing"
	"time"
)

// A guard process that could not run for a while finds its timer expired and a
// renewal waiting: the renewal counts.
func TestLastWord(t *testing.T) {
	removed := 0
	k := &keeper{
		addrs:   map[Address]time.Duration{{"eth0", netipMust(vip4)}: 0},
		until:   boottime() - 1,
		remove:  func(Address) error { removed++; return nil },
		shorten: func(Address, int) (bool, error) { return true, nil },
	}
	commands := make(chan command, 1)
	commands <- command{fmt.Sprintf("until %d", boottime()+time.Hour), make(chan string, 1)}
	k.lastWord(commands)
	if removed != 0 {
		t.Error("removed although a renewal was waiting")
	}
	k.until = boottime() - 1
	commands <- command{fmt.Sprintf("until %d", k.until), make(chan string, 1)}
	k.lastWord(commands)
	if removed == 0 {
		t.Error("kept although what was waiting had expired as well")
	}
	removed, k.until = 0, boottime()-1
	k.lastWord(commands)
	if removed != 1 {
		t.Errorf("removed %d times without a renewal", removed)
	}
}
