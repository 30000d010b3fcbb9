// Package nfs is the agents ocf:systole:nfsserver and ocf:systole:exportfs: the
// kernel's NFS server, version 4 first, and what it exports.
//
// Neither keeps a state: the server is the kernel's threads, the daemons beside
// them and the mount of the recovery directory; an export is a line of etab. So
// both adopt what runs and survive a restart of the daemon. The programs of
// nfs-utils are started directly, with or without systemd. DESIGN.md says in which
// order an NFS service starts and stops, and why.
package nfs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"systole/agents/internal/mounts"
	"systole/agents/internal/ocferr"
	"systole/agents/process"
	"systole/resources"
)

// Config is what nfsserver needs of the node.
type Config struct {
	Log  *slog.Logger // nil discards
	Self string       // program that calls Child; "" is this one
}

// Server is the agent nfsserver. It has no state and is safe for concurrent use; there
// is one server in a network namespace.
type Server struct {
	paths paths
	log   *slog.Logger
	self  string
}

// NewServer makes the agent nfsserver.
func NewServer(cfg Config) *Server {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Server{system, cfg.Log, cmp.Or(cfg.Self, "/proc/self/exe")}
}

// MetaData is the OCF document.
func (*Server) MetaData(context.Context) ([]byte, error) { return ServerMetadata.XML(), nil }

// server is one as configured.
type server struct {
	infodir string // "" keeps what is known here
	ips     []string
	scope   string
	grace   time.Duration
	lease   time.Duration
	threads int
	v3      bool
	notify  bool
	wait    bool   // for the notification
	retry   string // minutes
	pipes   string
}

// Execute runs one operation.
func (a *Server) Execute(ctx context.Context, op resources.Op) resources.Result {
	s, err := readServer(op.Params)
	if err != nil {
		return resources.Result{Code: resources.ErrConfigured, Reason: err.Error()}
	}
	switch op.Action {
	case resources.ActionStart:
		err = a.start(ctx, s)
	case resources.ActionStop:
		err = a.stop(ctx, s)
	case resources.ActionMonitor, "status":
		err = a.monitor(ctx, s, op)
	case resources.ActionValidateAll:
		err = installed(s.programs()...)
	default:
		err = ocferr.Errorf(resources.ErrUnimplemented, "nfsserver has no action %s", op.Action)
	}
	return ocferr.Result(ctx, err)
}

// Bounds of lease and grace time (Linux, fs/nfsd/nfsctl.c).
const (
	shortestLease = 10 * time.Second
	longestLease  = time.Hour
)

func readServer(params map[string]string) (server, error) {
	v, err := ServerMetadata.Resolve(params)
	if err != nil {
		return server{}, err
	}
	s := server{
		infodir: v.String("nfs_shared_infodir"), grace: v.Duration("nfsv4_gracetime"), lease: v.Duration("nfsv4_leasetime"),
		threads: v.Int("threads"), v3: !v.Bool("nfsv4_only"), notify: !v.Bool("nfs_no_notify"),
		wait: v.Bool("nfs_notify_foreground"), retry: v.String("nfs_smnotify_retry_time"), pipes: filepath.Clean(v.String("rpcpipefs_dir")),
		ips: strings.FieldsFunc(v.String("nfs_ip"), func(r rune) bool { return r == ',' || r == ' ' }),
	}
	var errs []error
	problem := func(name, format string, args ...any) {
		errs = append(errs, fmt.Errorf("parameter %s of nfsserver: %s", name, fmt.Sprintf(format, args...)))
	}
	if s.infodir != "" {
		if s.infodir = filepath.Clean(s.infodir); !filepath.IsAbs(s.infodir) || mounts.Under(s.infodir, system.lib) {
			problem("nfs_shared_infodir", "%q is not an absolute path outside of %s", s.infodir, system.lib)
		}
	}
	if !filepath.IsAbs(s.pipes) {
		problem("rpcpipefs_dir", "%q is not an absolute path", s.pipes)
	}
	for _, ip := range s.ips {
		if net.ParseIP(ip) == nil {
			problem("nfs_ip", "%q is not an address", ip)
		}
	}
	s.scope = v.String("nfs_server_scope")
	if s.scope == "" && len(s.ips) > 0 {
		s.scope = s.ips[0]
	}
	if len(s.scope) > maxScope {
		problem("nfs_server_scope", "%d characters are more than the %d of a host name", len(s.scope), maxScope)
	}
	if s.lease < shortestLease || s.lease > longestLease {
		problem("nfsv4_leasetime", "%v is not between %v and %v", s.lease, shortestLease, longestLease)
	}
	if s.grace < s.lease || s.grace > longestLease {
		problem("nfsv4_gracetime", "%v is not between the lease time %v and %v", s.grace, s.lease, longestLease)
	}
	if s.threads < 1 || s.threads > maxThreads {
		problem("threads", "%d is not between 1 and %d", s.threads, maxThreads)
	}
	return s, errors.Join(errs...)
}

const (
	maxScope   = 64   // __NEW_UTS_LEN
	maxThreads = 8192 // NFSD_MAXSERVS
)

// programs are what has to be installed.
func (s server) programs() []string {
	names := []string{"rpc.nfsd", "rpc.mountd", "exportfs"}
	if s.v3 {
		names = append(names, "rpcbind", "rpc.statd", "sm-notify")
	}
	return names
}

// daemons are what runs beside the kernel's threads, in the order of their start.
func (s server) daemons() []string {
	names := []string{"rpc.mountd"}
	if tool("nfsdcld") != "" {
		names = append([]string{"nfsdcld"}, names...)
	}
	if s.v3 {
		names = append(names, "rpc.statd")
	}
	if mapsNames() && tool("rpc.idmapd") != "" {
		names = append(names, "rpc.idmapd")
	}
	return names
}

// mapsNames tells whether the kernel's server wants users by name; by default it
// takes their numbers from clients without Kerberos.
func mapsNames() bool {
	text, err := os.ReadFile("/sys/module/nfsd/parameters/nfs4_disable_idmapping")
	return err == nil && strings.TrimSpace(string(text)) == "N"
}

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

func (a *Server) monitor(ctx context.Context, s server, op resources.Op) error {
	running, err := a.running(s)
	if err != nil {
		return err
	}
	if !running {
		return ocferr.Errorf(resources.NotRunning, "the server has no threads")
	}
	if op.CheckLevel >= 10 {
		return ping(ctx, "localhost:2049", 4)
	}
	return nil
}

// running looks at the parts: all of them run, none does, or the error says which.
func (a *Server) running(s server) (bool, error) {
	threads, err := a.paths.threads()
	if err != nil {
		return false, err
	}
	ours, other, err := a.bound(s)
	switch {
	case err != nil:
		return false, err
	case threads == 0 && ours && s.infodir != "":
		return false, fmt.Errorf("the server has no threads, and %s is mounted on %s still", s.infodir, a.paths.lib)
	case threads == 0:
		return false, nil
	case other != "":
		return false, fmt.Errorf("the server runs with %s in %s instead of %s", other, a.paths.lib, s.infodir)
	case !ours:
		return false, fmt.Errorf("the server runs without %s: it knows nothing of clients from before a failover", s.infodir)
	}
	for _, name := range s.daemons() {
		if len(daemons(name)) == 0 {
			return false, fmt.Errorf("%s does not run", name)
		}
	}
	return true, nil
}

func (a *Server) start(ctx context.Context, s server) error {
	if err := installed(s.programs()...); err != nil {
		return err
	}
	running, err := a.running(s)
	if running {
		return nil
	}
	if err != nil { // in parts: what there is may look into the wrong directory
		a.log.Warn("the server runs in parts and is started anew", "err", err)
	}
	if err := a.down(ctx, s); err != nil {
		return err
	}
	return a.up(ctx, s)
}

func (a *Server) up(ctx context.Context, s server) error {
	if _, err := os.Stat("/proc/fs/nfsd"); errors.Is(err, fs.ErrNotExist) {
		if err := run(ctx, "modprobe", "nfsd"); err != nil {
			return fmt.Errorf("the kernel has no NFS server: %w", err)
		}
	}
	if err := errors.Join(mounted("nfsd", a.paths.nfsd), mounted("rpc_pipefs", s.pipes)); err != nil {
		return err
	}
	if err := a.recall(s); err != nil {
		return err
	}
	if s.v3 {
		if err := a.beginV3(ctx, s); err != nil {
			return err
		}
	}
	if tool("nfsdcld") != "" {
		if err := spawn(ctx, "nfsdcld", holds("main.sqlite"), "-F", "-p", s.pipes, "-s", a.paths.state("nfsdcld")); err != nil {
			return err
		}
	}
	mountd, nfsd := []string{"-F"}, []string{"-G", seconds(s.grace), "-L", seconds(s.lease), "-V", "4"}
	if s.v3 {
		nfsd = append(nfsd, "-V", "3")
	} else {
		mountd = append(mountd, "-N", "2", "-N", "3")
		nfsd = append(nfsd, "-N", "3")
	}
	if err := spawn(ctx, "rpc.mountd", holds("/net/rpc/"), mountd...); err != nil {
		return err
	}
	if slices.Contains(s.daemons(), "rpc.idmapd") {
		if err := spawn(ctx, "rpc.idmapd", holds("/net/rpc/"), "-f", "-S", "-p", s.pipes); err != nil {
			return err
		}
	}
	if err := a.nfsd(ctx, s.scope, append(nfsd, strconv.Itoa(s.threads))...); err != nil {
		return err
	}
	if running, err := a.running(s); !running {
		return errors.Join(errors.New("the server was started and does not run"), err)
	}
	if s.v3 && s.notify {
		return a.notifyV3(ctx, s)
	}
	return nil
}

func seconds(d time.Duration) string { return strconv.Itoa(int(d / time.Second)) }

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

// rpcbindSocket is where rpcbind listens.
const rpcbindSocket = "/run/rpcbind.sock"

// beginV3 starts what NFS 3 needs before the server.
func (a *Server) beginV3(ctx context.Context, s server) error {
	if conn, err := net.Dial("unix", rpcbindSocket); err == nil {
		conn.Close()
	} else if err := spawn(ctx, "rpcbind", holds("socket:"), "-f", "-w"); err != nil {
		return err
	}
	args := []string{"-F", "-L"}
	if len(s.ips) > 0 {
		args = append(args, "-n", s.ips[0])
	}
	return spawn(ctx, "rpc.statd", holds("socket:"), args...)
}

// notifyV3 tells the clients that had locks of the restart, in the name of each address.
func (a *Server) notifyV3(ctx context.Context, s server) error {
	ips := s.ips
	if len(ips) == 0 {
		ips = []string{""}
	}
	for _, ip := range ips {
		args := []string{"-f", "-d"} // again since this boot, in the foreground
		if ip != "" {
			args = append(args, "-v", ip)
		}
		if s.retry != "" {
			args = append(args, "-m", s.retry)
		}
		if s.wait {
			if err := run(ctx, "sm-notify", args...); err != nil {
				return err
			}
		} else if _, err := process.Spawn(process.Command{Path: tool("sm-notify"), Args: args, Env: environment}); err != nil {
			return err
		}
	}
	return nil
}

func (a *Server) stop(ctx context.Context, s server) error {
	if err := a.down(ctx, s); err != nil {
		return err
	}
	if running, err := a.running(s); running || err != nil {
		return errors.Join(errors.New("the server was stopped and runs still"), err)
	}
	return nil
}

// down ends the threads, which gives up all locks and open files here, then the
// daemons, and lets go of the recovery directory.
func (a *Server) down(ctx context.Context, s server) error {
	threads, err := a.paths.threads()
	if err != nil {
		return err
	}
	if threads > 0 {
		if err := a.nfsd(ctx, "", "0"); err != nil {
			return err
		}
		if threads, err = a.paths.threads(); err != nil || threads > 0 {
			return errors.Join(fmt.Errorf("the server has %d threads still", threads), err)
		}
	}
	names := []string{"rpc.mountd", "nfsdcld", "rpc.idmapd"}
	if s.v3 {
		names = append(names, "sm-notify", "rpc.statd")
	}
	if err := end(ctx, names...); err != nil {
		return err
	}
	if s.infodir == "" {
		return nil
	}
	return a.letGo(ctx, s)
}

// letGo unmounts the recovery directory.
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
		if ours, other, err := a.bound(s); err != nil || !ours {
			return errors.Join(fmt.Errorf("%s is mounted on %s, not %s: unmount it", other, a.paths.lib, s.infodir), err)
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
