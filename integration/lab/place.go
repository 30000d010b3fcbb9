package lab

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// place says where and how urgently a machine runs that was just started, and so all it will start.
//
// It runs on one processor, since it has only one: at each system call and page fault of what runs
// inside, its kernel and its program wake one another, and on a virtual machine waking another
// processor takes several times as long as all the rest (a program's start: 60 ms, on one processor
// 23 ms). The machines take turns at the processors, by number.
func (n *Node) place(pid int) error {
	return errors.Join(n.onOneProcessor(pid), n.yield(pid))
}

func (n *Node) onOneProcessor(pid int) error {
	var ours unix.CPUSet
	if err := unix.SchedGetaffinity(0, &ours); err != nil {
		return fmt.Errorf("which processors there are: %w", err)
	}
	return unix.SchedSetaffinity(pid, turn(ours, n.number))
}

// turn is the processor of machine number n, counted from 1, of those in a set that is not empty.
func turn(of unix.CPUSet, n int) *unix.CPUSet {
	var one unix.CPUSet
	skip := (n - 1) % of.Count()
	for cpu := 0; ; cpu++ {
		if !of.IsSet(cpu) {
			continue
		}
		if skip == 0 {
			one.Set(cpu)
			return &one
		}
		skip--
	}
}

// yield lowers the priority of a process.
func (n *Node) yield(pid int) error {
	if n.Nice == 0 {
		return nil
	}
	const kernelCounts = 20 // getpriority(2) answers 20 - nice
	now, err := syscall.Getpriority(syscall.PRIO_PROCESS, pid)
	if err != nil {
		return err
	}
	return syscall.Setpriority(syscall.PRIO_PROCESS, pid, kernelCounts-now+n.Nice)
}
