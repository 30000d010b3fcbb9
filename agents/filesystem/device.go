package filesystem

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"systole/agents/internal/mounts"
	"systole/agents/process"
)

// device is a device as the machine has it.
type device struct {
	path string
	dev  string // "major:minor"; "" for a file no loop device has
}

// errNoDevice: there is no such device on this node.
var errNoDevice = errors.New("no such device on this node")

// find looks for the configured device.
func (c config) find(ctx context.Context) (device, error) {
	path := c.device
	if tag, ok := c.tag(); ok {
		var err error
		if path, err = tagged(ctx, tag); err != nil {
			return device{}, err
		}
	}
	info, err := os.Stat(path) // a directory of devices does not hang
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return device{}, fmt.Errorf("%s: %w", path, errNoDevice)
	case err != nil:
		return device{}, fmt.Errorf("device: %w", err)
	case info.Mode().IsRegular():
		return device{path, loopOf(path)}, nil
	case info.Mode()&fs.ModeType != fs.ModeDevice:
		return device{}, fmt.Errorf("%s is not a block device", path)
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return device{}, fmt.Errorf("device: %w", err)
	}
	return device{real, number(real)}, nil
}

// tagged is the device with a tag: udev's link if there is one, else what
// findfs finds by reading the devices.
func tagged(ctx context.Context, tag string) (string, error) {
	name, value, _ := strings.Cut(tag, "=")
	link := filepath.Join("/dev/disk/by-"+strings.ToLower(name), udevEscape(strings.Trim(value, `"`)))
	if _, err := os.Lstat(link); err == nil {
		return link, nil
	}
	exit, err := run(ctx, "findfs", tag)
	if err != nil {
		return "", err
	}
	path := string(bytes.TrimSpace(exit.Stdout))
	if exit.Code != 0 || path == "" {
		return "", fmt.Errorf("%s: %w", tag, errNoDevice)
	}
	return path, nil
}

// udevEscape writes a label as udev names its links (udev(7), string_escape).
func udevEscape(s string) string {
	var b strings.Builder
	for _, r := range []byte(s) {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r >= 0x80 || strings.IndexByte("#+-.:=@_", r) >= 0 {
			b.WriteByte(r)
		} else {
			fmt.Fprintf(&b, `\x%02x`, r)
		}
	}
	return b.String()
}

// number is a device's "major:minor", "" if path is none.
func number(path string) string {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFBLK {
		return ""
	}
	return fmt.Sprintf("%d:%d", unix.Major(st.Rdev), unix.Minor(st.Rdev))
}

// loopOf is the loop device a file is attached to, "" without one.
func loopOf(file string) string {
	backing, _ := filepath.Glob("/sys/block/loop*/loop/backing_file")
	for _, b := range backing {
		if name, err := os.ReadFile(b); err == nil && string(bytes.TrimSpace(name)) == file {
			dev, _ := os.ReadFile(filepath.Join(filepath.Dir(b), "..", "dev"))
			return string(bytes.TrimSpace(dev))
		}
	}
	return ""
}

// isMine tells whether a mount at the directory is the configured one. Where that
// cannot be known it says yes: a mount must not be forgotten.
func (a *Agent) isMine(ctx context.Context, c config, t mounts.Table, m mounts.Mount) (bool, error) {
	switch c.kind() {
	case onMemory:
		return m.Type == c.fstype, nil
	case onNetwork:
		return sameExport(c.device, m.Source) && kinds[m.Type] == onNetwork, nil
	case onTree:
		return a.isTree(ctx, c, t, m)
	}
	d, err := c.find(ctx)
	switch {
	case errors.Is(err, errNoDevice):
		return m.Source == c.device || m.Type == c.fstype, nil
	case err != nil:
		return false, err
	}
	// btrfs and others have a number of their own instead of their device's.
	return d.dev != "" && (m.Dev == d.dev || number(m.Source) == d.dev), nil
}

// isTree compares what a bind mount shows with the directory it should show.
func (a *Agent) isTree(ctx context.Context, c config, t mounts.Table, m mounts.Mount) (bool, error) {
	shows := func(path string) bool {
		dev, root, ok := t.Target(path)
		return ok && dev == m.Dev && root == m.Root
	}
	if shows(filepath.Clean(c.device)) {
		return true, nil
	}
	real, err := a.try(ctx, "realpath", c.device)
	if err != nil {
		return true, nil
	}
	return shows(real), nil
}

// sameExport compares HOST:/PATH as written with what the table of mounts says.
// Hosts have many names, so only the path counts.
func sameExport(a, b string) bool {
	path := func(s string) string {
		if i := strings.Index(s, ":/"); i >= 0 {
			s = s[i+1:]
		}
		return strings.TrimRight(s, "/")
	}
	return path(a) == path(b)
}

// environment is for mount's and fsck's helpers.
var environment = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}

// run runs a program of the system.
func run(ctx context.Context, name string, args ...string) (process.Exit, error) {
	for _, dir := range []string{"/usr/sbin", "/usr/bin", "/sbin", "/bin"} {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err == nil {
			return process.Run(ctx, process.Command{Path: path, Args: args, Env: environment})
		}
	}
	return process.Exit{}, fmt.Errorf("%s is not installed on this node", name)
}
