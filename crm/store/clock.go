package store

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Boottime reads CLOCK_BOOTTIME: it cannot be set and counts suspended time, as a
// lease must. It is the daemon's lease.Clock. The call never waits, so the Go
// scheduler is not told of it: being told hundreds of times a second was a third of what an idle
// daemon cost.
func Boottime() time.Duration {
	var ts unix.Timespec
	if _, _, errno := unix.RawSyscall(unix.SYS_CLOCK_GETTIME, unix.CLOCK_BOOTTIME, uintptr(unsafe.Pointer(&ts)), 0); errno != 0 {
		panic(errno) // the clock exists since Linux 2.6.39
	}
	return time.Duration(ts.Nano())
}
