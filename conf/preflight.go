package conf

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// minFree is what the cluster directory's file system must have left: room for
// a snapshot and a log of the largest CIB, several times.
const minFree = 32 << 20

// Preflight looks for what would stop the daemon soon after its start, and says
// all of it with the remedies. It makes the two directories if they are missing.
func Preflight(c Config) error {
	return errors.Join(
		directory("cluster-dir", c.ClusterDir, 0o700),
		directory("run-dir", c.RunDir, 0o755),
		room("cluster-dir", c.ClusterDir),
		device(c.Watchdog),
	)
}

// directory makes or checks a directory, and tries to write into it.
func directory(key, path string, mode os.FileMode) error {
	if err := os.MkdirAll(path, mode); err != nil {
		return fmt.Errorf("%s %s cannot be made: %w: make it by hand, or set %s to another place", key, path, err, key)
	}
	probe, err := os.CreateTemp(path, ".probe-*")
	switch {
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("%s %s: no permission to write: run systoled as root, or chown it", key, path)
	case errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%s %s is on a read-only file system: remount it, or set %s to another place", key, path, key)
	case errors.Is(err, syscall.ENOSPC):
		return nil // room says it with figures
	case err != nil:
		return fmt.Errorf("%s %s: %w", key, path, err)
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}

// room refuses a disk that is full or nearly so: the log could not grow, and a
// voter that cannot write cannot vote.
func room(key, path string) error {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return nil // directory has said what is wrong with it
	}
	free := st.Bavail * uint64(st.Bsize)
	if free < minFree {
		return fmt.Errorf("%s %s: only %d MiB are free on its file system, %d are needed: make room there", key, filepath.Clean(path), free>>20, minFree>>20)
	}
	return nil
}

// device wants a watchdog that is there; it is not opened, since that starts it.
func device(path string) error {
	if path == "" {
		return nil
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("watchdog %s is not there: load its module (modprobe softdog for the kernel's own), or leave watchdog empty", path)
	case err != nil:
		return fmt.Errorf("watchdog: %w", err)
	case info.Mode()&os.ModeCharDevice == 0:
		return fmt.Errorf("watchdog %s is not a device", path)
	}
	return nil
}
