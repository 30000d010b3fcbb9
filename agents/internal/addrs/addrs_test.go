package addrs

import (
	"errors"
	"testing"

	"github.com/vishvananda/netlink"
)

// A list that changes interrupt again and again is no answer; one that is whole at last is.
func TestDump(t *testing.T) {
	interrupted := 3
	list := func() ([]int, error) {
		if interrupted > 0 {
			interrupted--
			return []int{1}, netlink.ErrDumpInterrupted
		}
		return []int{1, 2}, nil
	}
	if all, err := Dump(list); err != nil || len(all) != 2 {
		t.Errorf("got %v, %v", all, err)
	}
	interrupted = 1000
	if all, err := Dump(list); !errors.Is(err, netlink.ErrDumpInterrupted) || all != nil {
		t.Errorf("an incomplete list counts: %v, %v", all, err)
	}
}
