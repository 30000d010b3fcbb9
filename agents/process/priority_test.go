package process

import (
	"runtime"
	"syscall"
	"testing"
)

func TestUrgentPriority(t *testing.T) {
	runtime.LockOSThread() // and never unlocked: the thread with the odd priority ends with the test
	want := "5 0"          // where no other is permitted it stays as it is
	if syscall.Setpriority(syscall.PRIO_PROCESS, 0, urgentNice) == nil {
		want = "-10 0"
	}
	if err := syscall.Setpriority(syscall.PRIO_PROCESS, 0, 5); err != nil {
		t.Fatal(err)
	}
	urgent := self(t, "nice", want)
	urgent.Urgent = true
	exit, err := Run(t.Context(), urgent)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(exit.Stdout); got != want {
		t.Errorf("urgent child has nice and oom_score_adj %q, want %q", got, want)
	}
}
