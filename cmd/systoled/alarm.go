package main

import (
	"fmt"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// kernelAlarm is the alarm of the beats as a file that is readable when it rings. Every timer of
// the time package that comes up wakes two threads of an idle daemon and the Go scheduler's
// supervisor; this wakes one thread. It counts suspended time, as leases do.
type kernelAlarm struct {
	file *os.File
	conn syscall.RawConn
}

func newKernelAlarm() (*kernelAlarm, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_BOOTTIME, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("alarm of the beats: %w", err)
	}
	a := &kernelAlarm{file: os.NewFile(uintptr(fd), "alarm")}
	if a.conn, err = a.file.SyscallConn(); err != nil {
		a.file.Close()
		return nil, fmt.Errorf("alarm of the beats: %w", err)
	}
	return a, nil
}

// Set implements node.Alarm. Like the other calls here it never waits, so the Go
// scheduler is not told of it.
func (a *kernelAlarm) Set(d time.Duration) {
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(max(1, d)))} // zero would mean never
	_ = a.conn.Control(func(fd uintptr) {                                 // fails once it is closed
		if _, _, errno := unix.RawSyscall6(unix.SYS_TIMERFD_SETTIME, fd, 0, uintptr(unsafe.Pointer(&spec)), 0, 0, 0); errno != 0 {
			panic(errno) // of a good descriptor and a time above zero
		}
	})
}

// Run implements node.Alarm.
func (a *kernelAlarm) Run(ring func()) {
	for {
		var times [8]byte // how often it has rung, which is once
		rung := false
		err := a.conn.Read(func(fd uintptr) bool {
			n, _, errno := unix.RawSyscall(unix.SYS_READ, fd, uintptr(unsafe.Pointer(&times)), uintptr(len(times)))
			rung = n == uintptr(len(times))
			return errno != unix.EAGAIN
		})
		if err != nil {
			return
		}
		if rung {
			ring()
		}
	}
}

// Close implements node.Alarm.
func (a *kernelAlarm) Close() error { return a.file.Close() }
