package nfs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"systole/agents/internal/mounts"
)

// bound tells whether the recovery directory is where the server looks for it; other
// is what is mounted there in its place.
func (a *Server) bound(s server) (ours bool, other string, err error) {
	t, err := mounts.Read()
	if err != nil {
		return false, "", err
	}
	m, ok := t.At(a.paths.lib)
	if !ok {
		return s.infodir == "", "", nil
	}
	if s.infodir == "" {
		return true, "", nil // an administrator's own
	}
	infodir := s.infodir
	if real, err := filepath.EvalSymlinks(infodir); err == nil {
		infodir = real
	}
	dev, root, _ := t.Target(infodir)
	if m.Dev == dev && m.Root == root {
		return true, "", nil
	}
	return false, fmt.Sprintf("%s of %s", m.Root, m.Source), nil
}

// recall puts the recovery directory where the server looks for it.
func (a *Server) recall(s server) error {
	if s.infodir == "" {
		if a.paths.stale() {
			return a.forgetExports()
		}
		return nil
	}
	if err := a.furnish(s.infodir); err != nil {
		return err
	}
	if err := unix.Mount(s.infodir, a.paths.lib, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount %s on %s: %w", s.infodir, a.paths.lib, err)
	}
	return a.forgetExports()
}

// forgetExports empties etab: what is in it was exported by another node or before
// this boot, and whoever exports it now says so anew.
func (a *Server) forgetExports() error {
	if err := os.WriteFile(a.paths.state("etab"), nil, 0o644); err != nil {
		return fmt.Errorf("table of exports: %w", err)
	}
	return nil
}

// furnish makes what the daemons expect in a new recovery directory, with the owners
// this machine gives it.
func (a *Server) furnish(infodir string) error {
	for _, dir := range []string{"", "nfsdcld", "v4recovery", "sm", "sm.bak"} {
		path := filepath.Join(infodir, dir)
		if err := os.MkdirAll(path, 0o755); err != nil {
			return fmt.Errorf("recovery directory: %w", err)
		}
		var st unix.Stat_t
		if dir == "" || unix.Stat(a.paths.state(dir), &st) != nil {
			continue
		}
		if err := os.Lchown(path, int(st.Uid), int(st.Gid)); err != nil {
			return fmt.Errorf("recovery directory: %w", err)
		}
	}
	for _, file := range []string{"rmtab", "etab"} {
		f, err := os.OpenFile(filepath.Join(infodir, file), os.O_CREATE|os.O_RDONLY, 0o644)
		if err != nil {
			return fmt.Errorf("recovery directory: %w", err)
		}
		f.Close()
	}
	return nil
}

// letGo unmounts the recovery directory, and nothing it may have covered.
func (a *Server) letGo(ctx context.Context, s server) error {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		t, err := mounts.Read()
		if err != nil {
			return err
		}
		m, ok := t.At(a.paths.lib)
		if !ok {
			return nil
		}
		if ours, _, err := a.bound(s); err != nil || !ours {
			return err
		}
		for _, b := range t.Below(a.paths.lib) {
			if err := unix.Unmount(b.Point, unix.UMOUNT_NOFOLLOW); err != nil {
				return fmt.Errorf("unmount %s: %w", b.Point, err)
			}
		}
		err = unix.Unmount(a.paths.lib, unix.UMOUNT_NOFOLLOW)
		if err != nil && !errors.Is(err, unix.EBUSY) {
			return fmt.Errorf("unmount %s: %w", a.paths.lib, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s (%s) is in use: %v", a.paths.lib, m.Root, mounts.Users(a.paths.lib))
		case <-tick.C:
		}
	}
}
