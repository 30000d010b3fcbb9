package nfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"systole/agents/internal/mounts"
	"systole/agents/internal/ocferr"
	"systole/agents/process"
	"systole/resources"
)

// paths are where the server and its daemons keep what they know.
type paths struct {
	lib  string // what nfs-utils keeps
	nfsd string // the kernel's own, mount point of nfsd
}

var system = paths{lib: "/var/lib/nfs", nfsd: "/proc/fs/nfsd"}

func (p paths) state(name string) string { return filepath.Join(p.lib, name) }

// threads is how many the server has; 0 when it does not run.
func (p paths) threads() (int, error) {
	text, err := os.ReadFile(filepath.Join(p.nfsd, "threads"))
	if errors.Is(err, fs.ErrNotExist) { // no nfsd in this kernel, or its files are not mounted
		return threadsOf("/proc/net/rpc/nfsd")
	}
	if err != nil {
		return 0, fmt.Errorf("threads of the server: %w", err)
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}

// threadsOf reads the line "th N ..." of the server's statistics.
func threadsOf(file string) (int, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "th" {
			return strconv.Atoi(f[1])
		}
	}
	return 0, err
}

// unlock has the kernel forget the clients' locks on a file system.
func (p paths) unlock(dir string) error {
	err := os.WriteFile(filepath.Join(p.nfsd, "unlock_filesystem"), []byte(dir+"\n"), 0)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("give back the locks on %s: %w", dir, err)
	}
	return nil
}

// leaseSlack is for the kernel, which looks for ended leases now and then.
const leaseSlack = 2 * time.Second

// awaitLease waits for the lease time, after which no client holds a file.
func (p paths) awaitLease(ctx context.Context) error {
	text, err := os.ReadFile(filepath.Join(p.nfsd, "nfsv4leasetime"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	seconds, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return fmt.Errorf("lease time: %w", err)
	}
	wait := time.NewTimer(time.Duration(seconds)*time.Second + leaseSlack)
	defer wait.Stop()
	select {
	case <-wait.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the leases of %d s had not ended: give the stop more time", seconds)
	}
}

// mounted makes sure that a kernel file system is mounted.
func mounted(fstype, dir string) error {
	t, err := mounts.Read()
	if err != nil {
		return err
	}
	if m, ok := t.At(dir); ok && m.Type == fstype {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("mount point of %s: %w", fstype, err)
	}
	if err := unix.Mount(fstype, dir, fstype, unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount %s on %s: %w", fstype, dir, err)
	}
	return nil
}

// environment is for the programs of nfs-utils.
var environment = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}

// tool is a program's path, "" if it is not installed.
func tool(name string) string {
	for _, dir := range []string{"/usr/sbin", "/sbin", "/usr/bin", "/bin"} {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return ""
}

// installed wants programs.
func installed(names ...string) error {
	for _, name := range names {
		if tool(name) == "" {
			return ocferr.Errorf(resources.ErrInstalled, "%s is not installed on this node: install nfs-kernel-server (nfs-utils)", name)
		}
	}
	return nil
}

// run runs a program that must succeed.
func run(ctx context.Context, name string, args ...string) error {
	exit, err := process.Run(ctx, process.Command{Path: tool(name), Args: args, Env: environment})
	return verdict(name, args, exit, err)
}

func verdict(name string, args []string, exit process.Exit, err error) error {
	switch {
	case err != nil:
		return err
	case exit.Killed:
		return fmt.Errorf("%s %s did not end in time", name, strings.Join(args, " "))
	case exit.Code != 0:
		return fmt.Errorf("%s %s: exit %d: %s", name, strings.Join(args, " "), exit.Code, strings.ReplaceAll(exit.Text(), "\n", "; "))
	}
	return nil
}
