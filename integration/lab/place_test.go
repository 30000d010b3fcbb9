package lab

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestMachinesTakeTurnsAtProcessors(t *testing.T) {
	var of unix.CPUSet
	of.Set(2)
	of.Set(5)
	for i, want := range []int{2, 5, 2} {
		if got := turn(of, i+1); got.Count() != 1 || !got.IsSet(want) {
			t.Errorf("machine %d does not run on processor %d alone", i+1, want)
		}
	}
}
