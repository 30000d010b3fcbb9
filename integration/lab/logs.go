package lab

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Logs are written into memory, and copied to the disk by somebody for whom nobody waits.
// A machine stands still while its kernel writes into a file outside, and the network while
// the capture does; a busy disk takes seconds for that, and a cluster calls it a failure.

// keepEvery is how much of the logs is lost when the test is killed.
const keepEvery = 5 * time.Second

// keepLogs copies what has changed until the lab ends.
func (l *Lab) keepLogs() {
	tick := time.NewTicker(keepEvery)
	defer tick.Stop()
	for {
		select {
		case <-l.ctx.Done():
			return
		case <-tick.C:
			if err := l.copyLogs(func(name string) bool { return name != captureName }); err != nil {
				l.say("keeping the logs: %v", err)
			}
		}
	}
}

// copyLogs copies the files that are wanted and have changed since they were copied.
func (l *Lab) copyLogs(wanted func(name string) bool) error {
	return filepath.WalkDir(l.dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a node removed it meanwhile
		}
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(strings.TrimPrefix(path, l.dir), "/")
		if d.IsDir() {
			if name == "share/bin" {
				return fs.SkipDir
			}
			return os.MkdirAll(filepath.Join(l.keep, name), 0o755)
		}
		info, err := d.Info()
		if err != nil || !info.Mode().IsRegular() || name == "share/guest" || !wanted(name) {
			return nil
		}
		to := filepath.Join(l.keep, name)
		if old, err := os.Stat(to); err == nil && old.Size() == info.Size() && !old.ModTime().Before(info.ModTime()) {
			return nil
		}
		return copyFile(path, to)
	})
}
