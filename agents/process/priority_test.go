package process

import (
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// On one processor a real-time child would go before the daemon that began it, with all it begins
// itself, until it sleeps: leases ended for that. So it is ordinary when its program begins.
func TestChildOfRealtimeIsOrdinary(t *testing.T) {
	runtime.LockOSThread() // and never unlocked
	first := 0
	var ours, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &ours); err != nil {
		t.Fatal(err)
	}
	for !ours.IsSet(first) {
		first++
	}
	one.Set(first)
	realtime := &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_RR, Priority: 1}
	if err := unix.SchedSetAttr(0, realtime, 0); err != nil {
		t.Skip("real-time scheduling is not permitted: ", err)
	}
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		t.Fatal(err)
	}
	exit, err := Run(t.Context(), Command{Path: "/bin/sh", Args: []string{"-c", "read -r stat </proc/self/stat; echo $stat"}})
	if err != nil {
		t.Fatal(err)
	}
	const policy = 41 // proc(5), counted from 1
	fields := strings.Fields(string(exit.Stdout))
	if len(fields) < policy || fields[policy-1] != "0" {
		t.Errorf("the child began with another policy than SCHED_OTHER (0): %q", fields)
	}
	if now, err := unix.SchedGetAttr(0, 0); err != nil || now.Policy != unix.SCHED_RR || now.Priority != 1 {
		t.Errorf("the thread that began it is no longer real-time: %+v %v", now, err)
	}
}

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
