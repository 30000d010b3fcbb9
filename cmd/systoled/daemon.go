package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"

	"systole/agents"
	"systole/agents/fence"
	"systole/agents/guard"
	"systole/agents/ocf"
	"systole/conf"
	"systole/crm/api"
	"systole/crm/cib"
	"systole/crm/cluster"
	"systole/crm/controller"
	"systole/crm/fencing"
	"systole/crm/lease"
	"systole/crm/lvs/doctor"
	"systole/crm/membership"
	"systole/crm/metrics"
	"systole/crm/node"
	"systole/crm/recheck"
	"systole/crm/scheduler"
	"systole/crm/secret"
	"systole/crm/store"
	"systole/crm/transport"
	"systole/crm/watchdog"
	"systole/resources"
	"systole/resources/executor"
)

// daemon holds what run opens, in the order in which it is opened.
type daemon struct {
	conf    conf.Config
	log     *slog.Logger
	signals <-chan os.Signal

	dir    *cluster.Dir
	id     cluster.Identity
	timing lease.Timing
	fabric *transport.Secure
	guard  *guard.Guard // nil where the kernel offers none
	// watchdog is nil unless one is configured.
	watchdog watchdog.Device
	agents   *agents.Registry
	node     *node.Node
	gossip   *membership.Membership
	admin    *cluster.Server
	secrets  *secret.Server
	vault    *secret.Vault
}

// restartPause is the grant asked for by a planned restart: an upgrade replaces
// the binary and starts it within a few seconds.
const restartPause = 30 * time.Second

func (d *daemon) run(ctx context.Context) error {
	realtime := prioritize(d.conf.Realtime)
	if err := d.openCluster(); err != nil {
		return err
	}
	defer d.fabric.Close()
	local, err := d.listen()
	if err != nil {
		return err
	}
	defer local.Close()

	if d.conf.Watchdog != "" && !d.conf.Witness {
		if d.watchdog, err = watchdog.Open(d.conf.Watchdog, watchdogTimeout); err != nil {
			return err
		}
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	if err := d.build(local, realtime, stop); err != nil {
		return err
	}
	return d.serve(ctx, stop)
}

// openCluster reads who this node is and opens the network.
func (d *daemon) openCluster() (err error) {
	if d.timing, err = lease.Derive(d.conf.DetectWithin); err != nil {
		return fmt.Errorf("detect-within: %w", err)
	}
	if d.dir, err = cluster.OpenDir(d.conf.ClusterDir); err != nil {
		return err
	}
	d.id = d.dir.Identity()
	advertise := d.id.Addr
	if d.conf.Advertise.IsValid() {
		advertise = d.conf.Advertise.String()
	}
	d.fabric, err = transport.Open(transport.Options{
		Bind: d.conf.Bind.String(), Advertise: advertise, Credentials: d.dir.Credentials(), Log: d.log.With("part", "transport"),
	})
	return err
}

// listen opens the local socket. Who may use it is decided by the kernel's word
// on the peer, request by request; the mode keeps strangers from trying.
func (d *daemon) listen() (net.Listener, error) {
	if err := os.MkdirAll(d.conf.RunDir, 0o755); err != nil {
		return nil, err
	}
	path := filepath.Join(d.conf.RunDir, "api.sock")
	if c, err := net.Dial("unix", path); err == nil {
		c.Close()
		return nil, fmt.Errorf("%s: another daemon answers there; stop it first", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("local socket: %w", err)
	}
	mode := os.FileMode(0o600)
	if g, err := user.LookupGroup(d.conf.Group); err == nil {
		if gid, err := strconv.Atoi(g.Gid); err == nil && os.Chown(path, -1, gid) == nil {
			mode = 0o660
		}
	}
	return l, os.Chmod(path, mode)
}

// build puts the node together.
func (d *daemon) build(local net.Listener, realtime string, stop context.CancelCauseFunc) error {
	late := &lateNode{}
	var err error
	if !d.conf.Witness {
		d.guard, err = guard.Open(guard.Config{Lease: late, Dir: d.conf.RunDir, Log: d.log.With("part", "guard")})
		if err != nil {
			d.log.Warn("no kernel guard: an address may outlive the lease of a hung daemon", "err", err)
		}
	}
	d.agents = agents.New(agents.Config{
		OCF:   ocf.Config{SbinDir: toolDir(), Env: []string{api.SocketEnv + "=" + local.Addr().String()}},
		Lease: late, Attribute: late.SetAttribute, Guard: addressGuard(d.guard), Log: d.log.With("part", "agents"),
	})

	if err := d.openSecrets(); err != nil {
		return err
	}

	first, err := d.firstCIB()
	if err != nil {
		return err
	}
	alarm, err := newKernelAlarm()
	if err != nil {
		return err
	}
	c := node.Config{
		Name: d.id.Node, Cluster: d.id.Cluster, Version: programVersion(), Witness: d.conf.Witness || d.id.Witness,
		Fabric: d.fabric, Clock: store.Boottime, Alarm: alarm, Timing: d.timing, Planner: recheck.Planner(plan), Log: d.log,
		Store: store.Config{Dir: d.dir.StorePath(), Incarnation: d.id.ID, Bootstrap: first},
		Peers: d.peers, Voters: d.conf.Voters, Gossip: d.opinions, Warnings: d.warnings,
		Lookup: d.secrets.Agents(d.agents.Lookup), Catalog: d.agents, Fencer: fencer{d.agents, d.secrets}, Harmless: harmless(d.guard != nil, d.agents.Runs),
		State:  executor.FileStore(filepath.Join(d.conf.RunDir, "lrm.json")),
		Right:  &rightFile{path: filepath.Join(d.conf.RunDir, "lease")},
		Inputs: &inputDir{path: filepath.Join(d.conf.ClusterDir, "inputs"), keep: d.conf.Inputs},
		Local:  local, Access: api.Access{UID: os.Getuid(), Group: d.conf.Group},
		Metrics: metrics.Handler(d.source), Realtime: realtime, Stop: func(cause string) { stop(ended(cause)) },
	}
	if d.guard != nil {
		c.Guard = d.guard
		c.Timing.GiveUp = max(c.Timing.GiveUp, d.guard.Bound())
	}
	if d.node, err = node.New(c); err != nil {
		return err
	}
	late.node.Store(d.node)
	if err := d.openGossip(c.Witness); err != nil {
		return err
	}
	if err := d.dir.Bootstrapped(); err != nil {
		return err
	}
	d.admin = cluster.NewServer(cluster.ServerOptions{
		Dir: d.dir, Host: d.node.Host(), Reload: d.reload, Log: d.log.With("part", "cluster"), Peers: d.peerClient(),
	})
	lvs := doctor.NewServer(doctor.ServerOptions{Node: d.id.Node, Members: d.dir.Members, Peers: d.peerClient()})
	d.node.Mount(node.Administration{
		Admin:   either(doctor.AdminPrefix, lvs.AdminHandler(), either(secret.AdminPrefix, d.secrets.AdminHandler(), d.admin.AdminHandler())),
		Peers:   either(doctor.PeerPrefix, lvs.PeerHandler(), either(secret.PeerPrefix, d.secrets.PeerHandler(), d.admin.PeerHandler())),
		Joining: d.admin.JoinHandler(), Prefix: cluster.PeerPrefix,
	})
	return nil
}

// openSecrets reads the secrets this node holds.
func (d *daemon) openSecrets() error {
	vault, spoilt, err := secret.Open(filepath.Join(d.conf.ClusterDir, "secrets"), d.dir.Credentials().Keys)
	if err != nil {
		return err
	}
	if spoilt != nil {
		d.log.Warn("secrets lost on this node", "err", spoilt)
	}
	d.vault = vault
	d.secrets = secret.NewServer(secret.ServerOptions{
		Vault: vault, Node: d.id.Node, Members: d.dir.Members, Peers: d.peerClient(), Log: d.log.With("part", "secret"),
	})
	return nil
}

// peerClient asks other nodes by name.
func (d *daemon) peerClient() *http.Client {
	return &http.Client{Transport: transport.RoundTripper(d.fabric, transport.ProtoRPC, d.resolve)}
}

// either hands paths below the prefix to one handler, and all others to another.
func either(prefix string, below, other http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle(prefix, below)
	mux.Handle("/", other)
	return mux
}

// openGossip starts membership; its opinion is shown in status.
func (d *daemon) openGossip(witness bool) (err error) {
	role := membership.RoleMember
	if witness {
		role = membership.RoleWitness
	}
	d.gossip, err = membership.Open(membership.Options{
		Fabric: d.fabric, Name: d.id.Node, Keys: d.dir.Credentials().Keys, Seeds: d.seeds,
		Meta:       membership.Meta{ID: d.id.ID, Version: programVersion(), Protocol: cluster.Protocol, Role: role},
		Compatible: cluster.Compatible, Log: d.log.With("part", "membership"),
	})
	return err
}

// seeds are the addresses of the other nodes.
func (d *daemon) seeds() []string {
	known := d.peers()
	for _, s := range d.node.Store().Servers() {
		known[s.Node] = s.Addr
	}
	delete(known, d.id.Node)
	return slices.Sorted(maps.Values(known))
}

// opinions are what gossip thinks of each node.
func (d *daemon) opinions() map[string]string {
	out := map[string]string{}
	if d.gossip == nil {
		return out
	}
	for _, m := range d.gossip.Members() {
		out[m.Name] = string(m.State)
	}
	return out
}

// reload hands new credentials to everything that uses them.
func (d *daemon) reload(c transport.Credentials) error {
	return errors.Join(d.fabric.Reload(c), d.gossip.SetKeys(c.Keys), d.vault.Rekey(c.Keys))
}

func (d *daemon) firstCIB() (*cib.CIB, error) {
	doc, err := d.dir.FirstCIB()
	if err != nil || doc == nil {
		return nil, err
	}
	return cib.ParseCIB(doc)
}

// peers are the nodes this one was told of when it joined, or knew last.
func (d *daemon) peers() map[string]string {
	out := map[string]string{}
	for _, m := range d.dir.Members() {
		out[m.Name] = m.Addr
	}
	return out
}

// warnings are the administration's, for status.
func (d *daemon) warnings(ctx context.Context) []string {
	if d.admin == nil {
		return nil
	}
	return d.admin.Warnings(ctx)
}

// resolve finds a node's address for the administration.
func (d *daemon) resolve(name string) (string, bool) {
	for _, s := range d.node.Store().Servers() {
		if s.Node == name {
			return s.Addr, true
		}
	}
	addr, ok := d.peers()[name]
	return addr, ok
}

// serve runs everything until a signal, the cluster or a failure ends it.
func (d *daemon) serve(ctx context.Context, stop context.CancelCauseFunc) error {
	var wait sync.WaitGroup
	part := func(f func(context.Context) error) {
		wait.Go(func() {
			if err := f(ctx); err != nil && ctx.Err() == nil {
				stop(err)
			}
		})
	}
	part(d.node.Run)
	part(d.admin.Run)
	part(d.secrets.Run)
	part(d.enter)
	if d.conf.Metrics.IsValid() {
		part(d.serveMetrics)
	}
	if d.guard != nil {
		part(d.guard.Run)
	}
	if d.watchdog != nil {
		part(watchdog.Watchdog{Device: d.watchdog, May: d.mayLive, Log: d.log.With("part", "watchdog")}.Run)
	}
	wait.Go(func() { d.obey(ctx, stop) })
	d.log.Info("node started", "node", d.id.Node, "cluster", d.id.Cluster, "addr", d.fabric.Addr(), "version", programVersion())
	_, _ = sd.SdNotify(false, sd.SdNotifyReady)

	<-ctx.Done()
	_, _ = sd.SdNotify(false, sd.SdNotifyStopping)
	wait.Wait()
	d.agents.Close()
	d.endGossip()
	cause := context.Cause(ctx)
	if _, wanted := errors.AsType[ended](cause); wanted {
		d.log.Info("node ended", "cause", cause.Error())
		return nil
	}
	return cause
}

// watchdogTimeout is asked of the device; stonith-watchdog-timeout must be at
// least twice what the device then says (the give-up bound, crm/lease/DESIGN.md).
const watchdogTimeout = 5 * time.Second

// mayLive says whether the watchdog is to be fed: the node has its lease, or has
// promised to go on without, or nothing runs here that could hurt.
func (d *daemon) mayLive() bool {
	return d.node.Remaining() > 0 || d.node.Ignoring() || len(d.node.Executor().Active()) == 0
}

// endGossip says good-bye to the other nodes' gossip.
func (d *daemon) endGossip() {
	if err := d.gossip.Leave(); err != nil {
		d.log.Debug("gossip not left in order", "err", err)
	}
}

// ended is a wanted end.
type ended string

func (e ended) Error() string { return string(e) }

// enter asks to be taken into the cluster when raft's configuration does not
// have this node under its present address.
func (d *daemon) enter(ctx context.Context) error {
	id := d.node.Store().ID()
	for _, s := range d.node.Store().Servers() {
		if s.ID == id && s.Addr == d.fabric.Addr() {
			return nil
		}
	}
	return d.admin.Enter(ctx, cluster.Entrant{
		Name: d.id.Node, Addr: d.fabric.Addr(), RaftID: id, Version: programVersion(), Protocol: cluster.Protocol,
		Witness: d.conf.Witness || d.id.Witness,
	})
}

// obey carries out signals; a second one ends at once.
func (d *daemon) obey(ctx context.Context, stop context.CancelCauseFunc) {
	var first os.Signal
	select {
	case <-ctx.Done():
		return
	case first = <-d.signals:
	}
	done := make(chan error, 1)
	go func() {
		if first.String() == "hangup" {
			done <- d.node.Restart(ctx, restartPause)
		} else {
			done <- d.node.Leave(ctx)
		}
	}()
	select {
	case err := <-done:
		if err != nil {
			d.log.Error("no good end", "signal", first.String(), "err", err)
		}
		stop(ended("signal " + first.String()))
	case again := <-d.signals:
		stop(ended("signal " + again.String() + " while ending"))
	case <-ctx.Done():
	}
}

// toolDir is where agents find crm_attribute and its kin: beside this program.
func toolDir() string {
	self, err := os.Executable()
	if err != nil {
		return ""
	}
	dir := filepath.Dir(self)
	if _, err := os.Stat(filepath.Join(dir, "crm_attribute")); err != nil {
		return ""
	}
	return dir
}

// fencer runs fence devices with the installed fence agents.
type fencer struct {
	agents  *agents.Registry
	secrets *secret.Server
}

// Fence implements node.Fencer.
func (f fencer) Fence(ctx context.Context, c fencing.Call) resources.Result {
	// A device whose password is not known is tried without: fencing must not wait for it.
	params, _ := f.secrets.Resolve(ctx, c.Device.ID, c.Device.Params)
	return f.agents.Fence(ctx, c.Device.Agent, fence.Call{Params: params, Action: c.Action, Target: c.Target, Port: c.Port})
}

// plan is the scheduler as the controller asks it.
func plan(c *cib.CIB, now time.Time) (controller.Plan, error) {
	r := scheduler.Schedule(c.Root(), now, scheduler.Options{})
	return controller.Plan{Graph: r.Graph, RecheckBy: r.RecheckBy}, nil
}

// addressGuard is nil as an interface when there is no guard.
func addressGuard(g *guard.Guard) resources.AddressGuard {
	if g == nil {
		return nil
	}
	return g
}
