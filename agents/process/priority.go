package process

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// urgentNice goes before everything ordinary, and after what keeps the node alive.
const urgentNice = -10

// prioritize gives a child the scheduling every other service has, or a higher one: the
// daemon may run real-time, niced up and spared by the OOM killer, and services must not
// inherit that. It follows the fork by microseconds, before the program has
// begun a child of its own. What is not permitted stays as it is.
func prioritize(pid int, urgent bool) {
	wanted := 0
	if urgent {
		wanted = urgentNice
	}
	if attr, err := unix.SchedGetAttr(pid, 0); err == nil && attr.Policy != unix.SCHED_NORMAL {
		_ = unix.SchedSetAttr(pid, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_NORMAL}, 0)
	}
	if nice, err := unix.Getpriority(unix.PRIO_PROCESS, pid); err == nil && 20-nice != wanted { // the system call answers 20 - nice
		_ = unix.Setpriority(unix.PRIO_PROCESS, pid, wanted)
	}
	file := "/proc/" + strconv.Itoa(pid) + "/oom_score_adj"
	if adj, err := os.ReadFile(file); err == nil && strings.TrimSpace(string(adj)) != "0" {
		_ = os.WriteFile(file, []byte("0"), 0)
	}
}
