package process

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ordinary gives a child the scheduling every other service has: the daemon may
// run real-time, niced up and spared by the OOM killer, and services must not
// inherit that. It follows the fork by microseconds, before the program has
// begun a child of its own. What is not permitted stays as it is.
func ordinary(pid int) {
	if attr, err := unix.SchedGetAttr(pid, 0); err == nil && attr.Policy != unix.SCHED_NORMAL {
		_ = unix.SchedSetAttr(pid, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_NORMAL}, 0)
	}
	if nice, err := unix.Getpriority(unix.PRIO_PROCESS, pid); err == nil && nice != 20 { // the system call answers 20 - nice
		_ = unix.Setpriority(unix.PRIO_PROCESS, pid, 0)
	}
	file := "/proc/" + strconv.Itoa(pid) + "/oom_score_adj"
	if adj, err := os.ReadFile(file); err == nil && strings.TrimSpace(string(adj)) != "0" {
		_ = os.WriteFile(file, []byte("0"), 0)
	}
}
