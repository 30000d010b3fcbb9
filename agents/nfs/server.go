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
	"os"
	"slices"
	"strconv"
	"time"

	"systole/agents/internal/ocferr"
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

func (a *Server) monitor(ctx context.Context, s server, op resources.Op) error {
	running, err := a.running(s)
	switch {
	case errors.Is(err, errAnother):
		return ocferr.Errorf(resources.NotRunning, "%w", err)
	case err != nil:
		return err
	case !running:
		return ocferr.Errorf(resources.NotRunning, "the server has no threads")
	}
	if op.CheckLevel >= 10 {
		return ping(ctx, "localhost:2049", 4)
	}
	return nil
}

// errAnother: the kernel's one server is somebody else's; it is left alone.
var errAnother = errors.New("the server runs with another recovery directory")

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
		return false, fmt.Errorf("%w: %s on %s, not %s: stop that server first", errAnother, other, a.paths.lib, s.infodir)
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
	if errors.Is(err, errAnother) {
		return err
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
	mountd, nfsd := s.arguments()
	if err := spawn(ctx, "rpc.mountd", holds("/net/rpc/"), mountd...); err != nil {
		return err
	}
	if slices.Contains(s.daemons(), "rpc.idmapd") {
		if err := spawn(ctx, "rpc.idmapd", holds("/net/rpc/"), "-f", "-S", "-p", s.pipes); err != nil {
			return err
		}
	}
	if err := a.nfsd(ctx, s.scope, nfsd...); err != nil {
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

// arguments are what rpc.mountd and rpc.nfsd are started with.
func (s server) arguments() (mountd, nfsd []string) {
	mountd, nfsd = []string{"-F"}, []string{"-G", seconds(s.grace), "-L", seconds(s.lease), "-V", "4"}
	if s.v3 {
		nfsd = append(nfsd, "-V", "3")
	} else {
		mountd = append(mountd, "-N", "2", "-N", "3")
		nfsd = append(nfsd, "-N", "3")
	}
	return mountd, append(nfsd, strconv.Itoa(s.threads))
}

func seconds(d time.Duration) string { return strconv.Itoa(int(d / time.Second)) }

func (a *Server) stop(ctx context.Context, s server) error {
	if _, err := a.running(s); errors.Is(err, errAnother) {
		return nil
	}
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
