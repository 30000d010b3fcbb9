package mounts

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Gone waits until holds is false for the table of mounts, and returns true;
// false when ctx ended first or changes cannot be seen. The kernel tells of every
// change of the table (proc(5): poll of mountinfo), so nothing wakes for nothing.
func Gone(ctx context.Context, holds func(Table) bool) (bool, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return false, fmt.Errorf("changes of mounts: %w", err)
	}
	defer f.Close()
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return false, fmt.Errorf("changes of mounts: %w", err)
	}
	written := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		unix.Write(wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
		close(written)
	})
	defer func() {
		if !stop() {
			<-written
		}
		unix.Close(wake)
	}()
	for {
		t, err := Read()
		if err != nil {
			return false, err
		}
		if !holds(t) {
			return true, nil
		}
		fds := []unix.PollFd{{Fd: int32(f.Fd()), Events: unix.POLLPRI}, {Fd: int32(wake), Events: unix.POLLIN}}
		if _, err := unix.Poll(fds, -1); err != nil && !errors.Is(err, unix.EINTR) {
			return false, fmt.Errorf("changes of mounts: %w", err)
		}
		if fds[1].Revents != 0 {
			return false, nil
		}
	}
}
