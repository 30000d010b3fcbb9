package process

import (
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// urgentNice goes before everything ordinary, and after what keeps the node alive.
const urgentNice = -10

// begin starts a command with the scheduling every other service has, or a higher one: the
// daemon may run real-time, niced up and spared by the OOM killer, and services must not
// inherit that.
//
// Its thread is ordinary itself until the program runs, though before all that is ordinary, as the
// daemon may wait for it. A child that began real-time would on a machine with one processor go before
// the thread that is to lower it, and what it began meanwhile would stay real-time: leases ended for that.
func begin(cmd *exec.Cmd, urgent bool) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	mine, err := unix.SchedGetAttr(0, 0)
	realtime := err == nil && mine.Policy != unix.SCHED_NORMAL &&
		unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_NORMAL, Nice: -20}, 0) == nil
	err = cmd.Start()
	if realtime {
		_ = unix.SchedSetAttr(0, mine, 0) // it was permitted when the daemon began
	}
	if err != nil {
		return err
	}
	prioritize(cmd.Process.Pid, urgent)
	return nil
}

// prioritize sets what a child has inherited. It follows the fork by microseconds, before the program has
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
