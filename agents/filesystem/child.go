package filesystem

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"systole/agents/process"
)

// What touches a file system or a device can hang for as long as its server or
// cable is gone, in a way that not even KILL ends. So it is done in a child, this
// program again, which can be left behind.

// ChildName is what the environment variable of agents.RunChild says in the child.
const ChildName = "filesystem"

// unknownError is the child's exit status for an error that is no errno.
const unknownError = 255

// try has the child do one thing; its error is the system call's errno where there was one.
func (a *Agent) try(ctx context.Context, args ...string) (string, error) {
	exit, err := process.Run(ctx, process.Command{Path: a.cfg.Self, Args: args, Env: []string{"SYSTOLE_CHILD=" + ChildName}})
	switch {
	case errors.Is(err, process.ErrStuck):
		return "", fmt.Errorf("%s: %w: %w", strings.Join(args, " "), errHangs, err)
	case err != nil:
		return "", fmt.Errorf("%s: %w", strings.Join(args, " "), err)
	case exit.Killed:
		return "", fmt.Errorf("%s: %w", strings.Join(args, " "), errHangs)
	case exit.Code == 0:
		return strings.TrimSuffix(string(exit.Stdout), "\n"), nil
	case exit.Code < 0 || exit.Code == unknownError:
		return "", fmt.Errorf("%s: %s", strings.Join(args, " "), exit.Text())
	}
	return "", fmt.Errorf("%s: %w", strings.Join(args, " "), unix.Errno(exit.Code))
}

// errHangs: the operation had not ended when its time was up.
var errHangs = errors.New("it hangs")

// Child is the child; it returns the exit status.
func Child() int {
	err := errors.New("no such work")
	if len(os.Args) > 2 {
		err = work(os.Args[1], os.Args[2:])
	}
	if err == nil {
		return 0
	}
	fmt.Fprintln(os.Stderr, err)
	if errno, ok := errors.AsType[syscall.Errno](err); ok && errno < unknownError {
		return int(errno)
	}
	return unknownError
}

func work(verb string, args []string) error {
	switch verb {
	case "unmount":
		return unmount(args)
	case "claim":
		return claim(args[0])
	case "mkdir":
		return os.MkdirAll(args[0], 0o755)
	case "realpath":
		path, err := filepath.EvalSymlinks(args[0])
		if err == nil {
			fmt.Println(path)
		}
		return err
	case "read":
		return readSome(args[0])
	case "write":
		return writeTest(args[0])
	}
	return fmt.Errorf("no work is called %s", verb)
}

// unmount takes the flags of umount2(2) and directories, in order.
func unmount(args []string) error {
	flags, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	for _, dir := range args[1:] {
		if err := unix.Unmount(dir, flags|unix.UMOUNT_NOFOLLOW); err != nil {
			return fmt.Errorf("unmount %s: %w", dir, err)
		}
	}
	return nil
}

// claim opens a block device for itself alone, which fails with EBUSY while
// anything in this kernel has it mounted, in whatever namespace, or built upon. It
// prints "mmp" or "no mmp" for a file system of the ext family.
func claim(device string) error {
	f, err := os.OpenFile(device, os.O_RDONLY|unix.O_EXCL, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	block := make([]byte, superblockAt+superblockSize)
	if _, err := io.ReadFull(f, block); err != nil {
		return nil // too small for one
	}
	if mmp, ext := protected(block[superblockAt:]); ext && mmp {
		fmt.Println("mmp")
	} else if ext {
		fmt.Println("no mmp")
	}
	return nil
}

// firstBytes is what the read test reads of a device: 16 blocks of 4 KiB.
const firstBytes = 16 * 4096

// readSome reads the beginning of a device past the page cache, or a directory.
func readSome(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.IsDir() {
		d, err := os.Open(path)
		if err != nil {
			return err
		}
		defer d.Close()
		if _, err = d.ReadDir(1); errors.Is(err, io.EOF) {
			return nil
		}
		return err
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECT|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	defer unix.Close(fd)
	buf, err := unix.Mmap(-1, 0, firstBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON) // aligned, as O_DIRECT wants it
	if err != nil {
		return err
	}
	if _, err := unix.Read(fd, buf); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}

// writeTest writes a file to the disk or server and reads it back.
func writeTest(file string) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	want := fmt.Sprintf("%d %d\n", os.Getpid(), time.Now().UnixNano())
	f, err := os.OpenFile(file, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.WriteString(want); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	got := make([]byte, len(want))
	if _, err := f.ReadAt(got, 0); err != nil {
		return err
	}
	if string(got) != want {
		return fmt.Errorf("%s: what was written does not come back", file)
	}
	return nil
}

// The superblock of the ext family (Linux, fs/ext4/ext4.h, struct ext4_super_block).
const (
	superblockAt   = 1024
	superblockSize = 0x64
	magicAt        = 0x38
	incompatAt     = 0x60
	incompatMMP    = 0x100
)

// protected tells whether a superblock is of the ext family, and whether it has
// multi-mount protection: then the kernel itself refuses a mount while another
// node has the file system mounted.
func protected(superblock []byte) (mmp, ext bool) {
	if len(superblock) < superblockSize || superblock[magicAt] != 0x53 || superblock[magicAt+1] != 0xef {
		return false, false
	}
	return superblock[incompatAt+1]&(incompatMMP>>8) != 0, true
}
