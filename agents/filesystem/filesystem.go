// Package filesystem is the agent ocf:systole:Filesystem: a file system mounted
// while it runs.
//
// The table of mounts is the only state, so everything is idempotent, adopts what
// is mounted and survives a restart of the daemon. What touches a file system or
// a device is done in a child process, which can be left behind when it hangs;
// nothing else ever blocks. It never unmounts what is not the configured mount, never says stopped while
// the file system is mounted anywhere in this kernel it can see, and lets go of
// one lazily only when a server, not this kernel, guards the data.
package filesystem

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"systole/agents/internal/mounts"
	"systole/agents/internal/ocferr"
	"systole/agents/internal/proc"
	"systole/resources"
)

// Config is what the agent needs of the node.
type Config struct {
	Lease resources.Lease // nil means always; a stop after its end kills at once
	Log   *slog.Logger    // nil discards
	Self  string          // program that calls Child; "" is this one
}

// Agent has no state and is safe for concurrent use.
type Agent struct{ cfg Config }

// New makes the agent.
func New(cfg Config) *Agent {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	cfg.Self = cmp.Or(cfg.Self, "/proc/self/exe")
	return &Agent{cfg}
}

// MetaData is the OCF document.
func (*Agent) MetaData(context.Context) ([]byte, error) { return Metadata.XML(), nil }

// Execute runs one operation.
func (a *Agent) Execute(ctx context.Context, op resources.Op) resources.Result {
	c, err := read(op.Params)
	if err != nil {
		return resources.Result{Code: resources.ErrConfigured, Reason: err.Error()}
	}
	switch op.Action {
	case resources.ActionStart:
		err = a.start(ctx, c, op)
	case resources.ActionStop:
		err = a.stop(ctx, c)
	case resources.ActionMonitor, "status":
		err = a.monitor(ctx, c, op)
	case resources.ActionValidateAll:
		err = a.validate(ctx, c, op)
	default:
		err = ocferr.Errorf(resources.ErrUnimplemented, "Filesystem has no action %s", op.Action)
	}
	return ocferr.Result(ctx, err)
}

// locate finds the configured mount; false if it is not there. stranger is what is
// mounted at the directory in its place.
func (a *Agent) locate(ctx context.Context, c *config) (m mounts.Mount, mine bool, stranger string, err error) {
	t, err := mounts.Read()
	if err != nil {
		return m, false, "", err
	}
	m, ok := t.At(c.dir)
	if !ok {
		real, err := a.try(ctx, "realpath", c.dir)
		switch {
		case errors.Is(err, unix.ENOENT):
			return m, false, "", nil
		case err != nil:
			return m, false, "", fmt.Errorf("cannot tell whether %s is mounted: %w", c.dir, err)
		}
		c.dir = real
		if m, ok = t.At(real); !ok {
			return m, false, "", nil
		}
	}
	if mine, err = a.isMine(ctx, *c, t, m); err != nil {
		return m, false, "", err
	}
	if !mine {
		stranger = fmt.Sprintf("%s (%s)", m.Source, m.Type)
	}
	return m, mine, stranger, nil
}

func (a *Agent) start(ctx context.Context, c config, op resources.Op) error {
	m, mine, stranger, err := a.locate(ctx, &c)
	switch {
	case err != nil:
		return err
	case mine:
		return c.sound(m)
	case stranger != "":
		return fmt.Errorf("%s has %s mounted, not %s: unmount it", c.dir, stranger, c.device)
	}
	if err := c.unfinished(); err != nil {
		return err
	}
	if err := a.validate(ctx, c, op); err != nil {
		return err
	}
	if _, err := a.try(ctx, "mkdir", c.dir); err != nil {
		return fmt.Errorf("mount point: %w", err)
	}
	source, hint := c.device, ""
	if k := c.kind(); k == onBlock || k == onCluster {
		d, err := c.find(ctx)
		if err != nil {
			return err
		}
		source = d.path
		if k == onBlock && c.writable() {
			if hint, err = a.alone(ctx, c, d); err != nil {
				return err
			}
		}
	}
	if c.checked() {
		if err := check(ctx, c.fstype, source); err != nil {
			return err
		}
	}
	if a.cfg.Lease != nil && a.cfg.Lease.Remaining() <= 0 {
		return errors.New("the node lease has ended: nothing is mounted")
	}
	return a.mount(ctx, c, source, hint)
}

// alone refuses a device that something in this kernel uses. Its hint is for a
// mount that fails although nothing here does.
func (a *Agent) alone(ctx context.Context, c config, d device) (hint string, err error) {
	t, err := mounts.Read()
	if err != nil {
		return "", err
	}
	for _, m := range t {
		if d.dev != "" && (m.Dev == d.dev || number(m.Source) == d.dev) {
			return "", fmt.Errorf("%s is mounted on %s already: unmount it there", c.device, m.Point)
		}
	}
	ext, err := a.try(ctx, "claim", d.path)
	switch {
	case errors.Is(err, unix.EBUSY):
		return "", fmt.Errorf("%s is in use: mounted in another mount namespace%s, or part of another device", c.device, inNamespaces(d.dev))
	case err != nil:
		return "", err
	case ext == "mmp":
		hint = "; the file system has multi-mount protection: another node may have it mounted"
	}
	return hint, nil
}

// inNamespaces names processes that have a file system mounted elsewhere.
func inNamespaces(dev string) string {
	if dev == "" {
		return ""
	}
	var names []string
	for _, p := range mounts.Elsewhere(dev) {
		names = append(names, fmt.Sprintf("%d %s", p.PID, p.Name))
	}
	if len(names) == 0 {
		return ""
	}
	return " (that of process " + strings.Join(names, ", ") + ")"
}

// check has fsck make the repairs that need no answer from a person.
func check(ctx context.Context, fstype, device string) error {
	exit, err := run(ctx, "fsck", "-t", fstype, "-a", device)
	if err != nil {
		return err
	}
	const repaired = 1 // fsck(8): the exit status is a sum
	if exit.Code&^repaired != 0 {
		return fmt.Errorf("fsck of %s: exit %d: repair it by hand: %s", device, exit.Code, exit.Text())
	}
	return nil
}

// mount has mount(8) do it: it knows the helpers and options of all types. It is a
// process so that it can be ended; one that cannot be is found by unfinished.
func (a *Agent) mount(ctx context.Context, c config, source, hint string) error {
	var args []string
	if c.kind() != onTree {
		args = append(args, "-t", c.fstype)
	}
	if len(c.options) > 0 {
		args = append(args, "-o", strings.Join(c.options, ","))
	}
	exit, err := run(ctx, "mount", append(args, "--", source, c.dir)...)
	if err != nil {
		return fmt.Errorf("mount %s: %w", c.device, err)
	}
	m, mine, _, err := a.locate(ctx, &c)
	if err != nil {
		return err
	}
	if exit.Code != 0 || !mine {
		if mine { // a helper complained of something else, or mount was ended too late
			_, err = a.try(context.WithoutCancel(ctx), "unmount", "0", c.dir)
		}
		return errors.Join(fmt.Errorf("mount %s on %s: %s%s", c.device, c.dir, complaint(exit.Text()), hint), err)
	}
	if err := c.sound(m); err != nil {
		_, again := a.try(ctx, "unmount", "0", c.dir)
		return errors.Join(err, again)
	}
	return nil
}

// complaint makes one line of what mount said.
func complaint(text string) string {
	return cmp.Or(strings.Join(strings.Fields(strings.ReplaceAll(text, "dmesg(1) may have more information after failed mount system call.", "")), " "), "it was ended or failed without a word")
}

// sound refuses a mount that came out, or has become, read-only: mount falls back
// to it on a device that is write-protected, the kernel after errors.
func (c config) sound(m mounts.Mount) error {
	if c.kind() != onTree && c.writable() && m.ReadOnly() {
		return fmt.Errorf("%s on %s is read-only although its options do not say so: the device is write-protected, or the kernel found errors in it", c.device, c.dir)
	}
	return nil
}

// unfinished finds a mount of the directory that an earlier start could not end: it
// may still succeed, so nothing may be said of it.
func (c config) unfinished() error {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, d := range dirs {
		p, ok := proc.Find(atoi(filepath.Base(d)))
		if !ok || p.Name != "mount" && !strings.HasPrefix(p.Name, "mount.") {
			continue
		}
		if strings.HasSuffix(p.Command, " "+c.dir) || strings.Contains(p.Command, " "+c.dir+" ") {
			return fmt.Errorf("process %d still tries to mount %s (%s) and cannot be ended", p.PID, c.dir, p.Command)
		}
	}
	return nil
}

func (a *Agent) monitor(ctx context.Context, c config, op resources.Op) error {
	m, mine, stranger, err := a.locate(ctx, &c)
	switch {
	case err != nil:
		return err
	case stranger != "":
		return ocferr.Errorf(resources.NotRunning, "%s has %s mounted, not %s", c.dir, stranger, c.device)
	case !mine:
		return ocferr.Errorf(resources.NotRunning, "nothing is mounted on %s", c.dir)
	case op.IsProbe():
		return nil
	}
	if err := c.sound(m); err != nil {
		return err
	}
	if op.CheckLevel >= 10 {
		if err := a.readTest(ctx, c); err != nil {
			return err
		}
	}
	if op.CheckLevel >= 20 && c.writable() {
		if _, err := a.try(ctx, "write", c.statusFile(op)); err != nil {
			return fmt.Errorf("write test: %w", err)
		}
	}
	return nil
}

// readTest reads from the device, or from the directory where there is none.
func (a *Agent) readTest(ctx context.Context, c config) error {
	path := c.dir
	if k := c.kind(); k == onBlock || k == onCluster {
		d, err := c.find(ctx)
		if err != nil {
			return err
		}
		path = d.path
	}
	if _, err := a.try(ctx, "read", path); err != nil {
		return fmt.Errorf("read test: %w", err)
	}
	return nil
}

// validate checks what can be checked without mounting.
func (a *Agent) validate(ctx context.Context, c config, op resources.Op) error {
	if err := c.allowed(op); err != nil {
		return ocferr.Errorf(resources.ErrConfigured, "%w", err)
	}
	if k := c.kind(); k == onBlock || k == onCluster {
		if _, err := c.find(ctx); err != nil {
			return ocferr.Errorf(resources.ErrInstalled, "%w", err)
		}
	}
	return nil
}

// Watch notices that the file system is not mounted any more.
func (a *Agent) Watch(ctx context.Context, op resources.Op) bool {
	c, err := read(op.Params)
	if err == nil {
		_, _, _, err = a.locate(ctx, &c) // resolves the directory
	}
	gone := false
	if err == nil {
		gone, err = mounts.Gone(ctx, func(t mounts.Table) bool {
			_, there := t.At(c.dir)
			return there
		})
	}
	if err != nil {
		a.cfg.Log.Warn("changes of mounts are not watched; monitors will find them", "rsc", op.Resource, "err", err)
		<-ctx.Done()
	}
	return gone
}
