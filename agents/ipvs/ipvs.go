// Package ipvs is the agent ocf:systole:ipvs: the director of an LVS site.
// See DESIGN.md. The agent starts and asks a process of its own, which keeps the
// kernel's table ([Child]); packages below decide (director), speak with the
// kernel (kernel) and read the configuration (config).
package ipvs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"systole/agents/internal/proc"
	"systole/agents/ipvs/control"
	"systole/agents/ipvs/kernel"
	"systole/agents/ipvs/table"
	"systole/agents/process"
	"systole/resources"
)

// Promotion scores. A preference for a node that is smaller than the difference
// waits until the node's table is warm.
const (
	scoreCold     = 1
	scoreWarm     = 100
	scorePromoted = 105 // or a warm standby on a node earlier in the alphabet would take over
)

const (
	// respawnWithin: a process that dies twice in this time fails the resource.
	respawnWithin = time.Minute
	// promotedDelay: the address waits for the promotion, and a changed score makes the
	// cluster plan anew before it starts anything else. The first monitor writes it sooner.
	promotedDelay = time.Second
	// askTime bounds a question to the process, which only touches memory and netlink.
	askTime = 10 * time.Second
)

// Config is what the agent needs of the node.
type Config struct {
	Dir  string // for sockets and files; default control.DefaultDir
	Self string // program to run as the director's process; it must call agents.RunChild; default this one
	// Score sets the promotion score of a promotable clone, after a delay unless it is set
	// again before; nil: nobody asks for it.
	Score func(ctx context.Context, op resources.Op, score int, delay time.Duration) error
	// Feed is the program, with arguments, that prints the cluster's weights
	// (`crm lvs feed`), and FeedEnv its environment; nil: there is none.
	Feed, FeedEnv []string
}

// Agent is safe for concurrent use.
type Agent struct{ cfg Config }

// New makes the agent.
func New(cfg Config) *Agent { return &Agent{cfg} }

// MetaData is the OCF document.
func (a *Agent) MetaData(context.Context) ([]byte, error) { return Metadata.XML(), nil }

// instance is one resource on this node.
type instance struct {
	cfg   Config
	op    resources.Op
	name  string
	dir   string
	setup control.Setup
	// scoreDelay is how long the promotion score may wait.
	scoreDelay time.Duration
}

// read reads the parameters.
func (a *Agent) read(op resources.Op) (instance, error) {
	i := instance{cfg: a.cfg, op: op, name: cmp.Or(op.Instance, op.Resource), dir: cmp.Or(a.cfg.Dir, control.DefaultDir)}
	v, err := Metadata.Resolve(op.Params)
	if err != nil {
		return i, err
	}
	i.setup = control.Setup{
		Services: v.String("services"), File: v.String("config"),
		CheckDefaults: v.String("check_defaults"), Sorry: v.String("sorry"),
		Warmup: v.Duration("warmup"), Promotable: promotable(op), Feed: a.cfg.Feed, FeedEnv: a.cfg.FeedEnv,
	}
	if i.setup.Services != "" && i.setup.File != "" {
		return i, errors.New("parameters services and config of ipvs: give one of them")
	}
	if i.setup.Sync, err = readSync(v); err != nil {
		return i, err
	}
	if i.setup.Services == "" && i.setup.File == "" && i.setup.Sync == nil {
		return i, errors.New("ipvs has nothing to do: set the parameter services or config, or sync_interface")
	}
	return i, nil
}

func promotable(op resources.Op) bool {
	return op.Meta["promoted_max"] != "" || op.Meta["master_max"] != ""
}

func readSync(v resources.Values) (*table.Daemon, error) {
	d := table.Daemon{Interface: v.String("sync_interface"), ID: v.Int("sync_id"), MaxLen: v.Int("sync_maxlen")}
	if d.Interface == "" {
		return nil, nil
	}
	if len(d.Interface) > 15 {
		return nil, fmt.Errorf("parameter sync_interface of ipvs: %q is not an interface's name", d.Interface)
	}
	if d.ID < 0 || d.ID > 255 {
		return nil, fmt.Errorf("parameter sync_id of ipvs: %d is not from 0 to 255", d.ID)
	}
	if d.MaxLen < 0 || d.MaxLen > 65507 {
		return nil, fmt.Errorf("parameter sync_maxlen of ipvs: %d is not from 1 to 65507", d.MaxLen)
	}
	if g := v.String("sync_group"); g != "" {
		addr, err := netip.ParseAddr(g)
		if err != nil || !addr.IsMulticast() {
			return nil, fmt.Errorf("parameter sync_group of ipvs: %q is not a multicast address such as 224.0.0.81", g)
		}
		d.Group = addr
	}
	return &d, nil
}

// Execute runs one operation.
func (a *Agent) Execute(ctx context.Context, op resources.Op) resources.Result {
	i, err := a.read(op)
	if err != nil && op.Action != resources.ActionStop { // a stop needs no parameters
		return failed(resources.ErrConfigured, err)
	}
	var code resources.Code
	var note string
	switch op.Action {
	case resources.ActionStart:
		role := control.Active
		if i.setup.Promotable {
			role = control.Standby
		}
		code, err = i.become(ctx, role)
	case resources.ActionPromote:
		i.setup.Promotable, i.scoreDelay = true, promotedDelay
		code, err = i.become(ctx, control.Active)
	case resources.ActionDemote:
		i.setup.Promotable = true
		code, err = i.become(ctx, control.Standby)
	case resources.ActionStop:
		code, err = i.stop(ctx)
	case resources.ActionMonitor, "status":
		code, note, err = i.monitor(ctx)
	case resources.ActionReload, resources.ActionReloadAgent:
		code, err = i.reload(ctx)
	case resources.ActionValidateAll:
		code, err = i.validate()
	default:
		code, err = resources.ErrUnimplemented, fmt.Errorf("ipvs has no action %s", op.Action)
	}
	if err != nil {
		res := failed(code, err)
		if ctx.Err() != nil {
			res.Status = resources.StatusTimeout
		}
		return res
	}
	return resources.Result{Code: code, Output: note}
}

func failed(code resources.Code, err error) resources.Result {
	return resources.Result{Code: code, Reason: err.Error()}
}

// validate reads the configuration as the process will.
func (i instance) validate() (resources.Code, error) {
	if _, err := load(i.setup); err != nil {
		return resources.ErrConfigured, err
	}
	return resources.OK, nil
}

// become starts the process if need be, and gives it setup and role. It waits
// until the checks have said who serves, for half of the time it has.
func (i instance) become(ctx context.Context, role control.Role) (resources.Code, error) {
	if code, err := i.validate(); err != nil {
		return code, err
	}
	if err := i.ensure(ctx, false); err != nil {
		if errors.Is(err, kernel.ErrNoIPVS) {
			return resources.ErrInstalled, err
		}
		return resources.ErrGeneric, err
	}
	if _, err := i.ask(ctx, control.Request{Do: control.Configure, Setup: &i.setup}); err != nil {
		return resources.ErrGeneric, err
	}
	wait := i.op.Timeout / 2
	if deadline, ok := ctx.Deadline(); ok {
		wait = time.Until(deadline) / 2
	}
	st, err := i.ask(ctx, control.Request{Do: control.SetRole, Role: role, Wait: wait})
	if err != nil {
		return resources.ErrGeneric, err
	}
	i.score(ctx, st)
	return resources.OK, nil
}

func (i instance) reload(ctx context.Context) (resources.Code, error) {
	if code, err := i.validate(); err != nil {
		return code, err
	}
	if st, err := i.ask(ctx, control.Request{Do: control.Show}); err == nil {
		i.setup.Promotable = i.setup.Promotable || st.Promotable
	}
	if _, err := i.ask(ctx, control.Request{Do: control.Configure, Setup: &i.setup}); err != nil {
		return resources.ErrGeneric, err
	}
	return resources.OK, nil
}

// monitor tells whether the resource runs here, and how. A process that died
// is started again: the kernel has gone on without it.
func (i instance) monitor(ctx context.Context) (code resources.Code, note string, err error) {
	r, err := readRecord(i.record())
	if err != nil {
		return resources.ErrGeneric, "", err
	}
	if r == nil {
		return resources.NotRunning, "", nil
	}
	if _, alive := i.process(); !alive {
		left, err := leftBehind(r)
		if err != nil {
			return resources.ErrGeneric, "", err
		}
		if !left {
			return resources.NotRunning, "", nil
		}
		if err := i.revive(ctx, r); err != nil {
			return resources.ErrGeneric, "", err
		}
		note = "the director's process had died and was started again; the kernel went on without it"
	}
	st, err := i.ask(ctx, control.Request{Do: control.Show})
	if err != nil {
		return resources.ErrGeneric, note, err
	}
	promoted := st.Promotable && st.Role == control.Active
	switch {
	case st.Problem != "" && promoted:
		return resources.FailedPromoted, note, errors.New(st.Problem)
	case st.Problem != "":
		return resources.ErrGeneric, note, errors.New(st.Problem)
	}
	if !i.op.IsProbe() {
		note += i.score(ctx, st)
	}
	if promoted {
		return resources.RunningPromoted, note, nil
	}
	return resources.OK, note, nil
}

// revive starts a process that died, and tells it what it cannot read from the record.
func (i instance) revive(ctx context.Context, r *record) error {
	if past := time.Since(r.Respawned); past >= 0 && past < respawnWithin {
		return fmt.Errorf("the director's process died twice within %s", respawnWithin)
	}
	if err := i.ensure(ctx, true); err != nil {
		return err
	}
	i.setup.Promotable = i.setup.Promotable || r.Promotable
	_, err := i.ask(ctx, control.Request{Do: control.Configure, Setup: &i.setup})
	return err
}

// leftBehind tells whether the kernel has anything the record names. A standby
// without synchronisation has nothing there; its record alone says that it runs.
func leftBehind(r *record) (bool, error) {
	if len(r.Owned) == 0 && len(r.Daemons) == 0 {
		return true, nil
	}
	k, err := kernel.Open()
	if errors.Is(err, kernel.ErrNoIPVS) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer k.Close()
	entries, err := k.Services()
	if err != nil {
		return false, err
	}
	for _, e := range entries {
		for _, o := range r.Owned {
			if e.Key == o {
				return true, nil
			}
		}
	}
	daemons, err := k.Daemons()
	return len(daemons) > 0 && len(r.Daemons) > 0, err
}

// stop has the process undo everything; a dead one is started to do so.
func (i instance) stop(ctx context.Context) (resources.Code, error) {
	r, err := readRecord(i.record())
	if err != nil {
		return resources.ErrGeneric, err
	}
	if _, alive := i.process(); r != nil || alive {
		if err := i.ensure(ctx, false); err != nil {
			if errors.Is(err, kernel.ErrNoIPVS) { // nothing can be left
				return resources.OK, i.forget()
			}
			return resources.ErrGeneric, err
		}
		pid, _ := i.process()
		_, err := i.ask(ctx, control.Request{Do: control.Stop})
		if err != nil && !errors.Is(err, control.ErrNoProcess) { // it may end before its answer is out
			return resources.ErrGeneric, err
		}
		if err := i.await(ctx, pid); err != nil {
			return resources.ErrGeneric, err
		}
	}
	if r, err := readRecord(i.record()); err != nil || r != nil {
		return resources.ErrGeneric, errors.Join(errors.New("the director's process ended before it had undone everything"), err)
	}
	return resources.OK, i.forget()
}

// await waits for the process's end.
func (i instance) await(ctx context.Context, pid int) error {
	h, err := proc.Open(pid)
	if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EINVAL) {
		return nil
	}
	if err != nil {
		return err
	}
	defer h.Close()
	if !h.Wait(ctx) {
		return fmt.Errorf("the director's process (%d) does not end", pid)
	}
	return nil
}

// forget removes what a process leaves behind.
func (i instance) forget() error {
	for _, f := range []string{i.record(), i.socket(), i.pidfile()} {
		if err := os.Remove(f); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// score tells the cluster how much this instance ought to be promoted. That it
// could not is no failure of the resource, but a note.
func (i instance) score(ctx context.Context, st control.Status) (note string) {
	if !st.Promotable || i.cfg.Score == nil {
		return ""
	}
	score := scoreCold
	switch {
	case st.Role == control.Active:
		score = scorePromoted
	case st.Warm:
		score = scoreWarm
	}
	if err := i.cfg.Score(ctx, i.op, score, i.scoreDelay); err != nil {
		return fmt.Sprintf("promotion score not set: %v", err)
	}
	return ""
}

func (i instance) ask(ctx context.Context, r control.Request) (control.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, askTime+r.Wait)
	defer cancel()
	return control.Ask(ctx, i.socket(), r)
}

func (i instance) record() string  { return control.Record(i.dir, i.name) }
func (i instance) socket() string  { return control.Socket(i.dir, i.name) }
func (i instance) pidfile() string { return control.PIDFile(i.dir, i.name) }

// process is the living process of this resource.
func (i instance) process() (pid int, alive bool) {
	pid = proc.ReadPIDFile(i.pidfile())
	return pid, proc.Began(pid, envResource+"="+i.name, envDir+"="+i.dir)
}

// ensure makes the process run. Its socket exists before it does, so that the
// first question waits for it instead of failing.
func (i instance) ensure(ctx context.Context, again bool) error {
	if _, alive := i.process(); alive {
		return nil
	}
	k, err := kernel.Open() // better said here than by a process that ends at once
	if err != nil {
		return err
	}
	k.Close()
	if err := os.MkdirAll(i.dir, 0o755); err != nil {
		return err
	}
	file, err := i.listen()
	if err != nil {
		return err
	}
	defer file.Close()
	env := []string{"SYSTOLE_CHILD=" + ChildName, envResource + "=" + i.name, envDir + "=" + i.dir, "PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	if again {
		env = append(env, envAgain+"=1")
	}
	pid, err := process.Spawn(process.Command{Path: cmp.Or(i.cfg.Self, "/proc/self/exe"), Env: env, Files: []*os.File{file}})
	if err != nil {
		return err
	}
	if err := os.WriteFile(i.pidfile(), []byte(strconv.Itoa(pid)+"\n"), 0o644); err != nil {
		unix.Kill(pid, unix.SIGKILL) // nobody would find it again
		return err
	}
	// A busy machine may take long to begin it: only the operation's own time bounds that.
	if _, err := control.Ask(ctx, i.socket(), control.Request{Do: control.Show}); err != nil {
		return fmt.Errorf("the director's process does not answer, see the system's log (systole-ipvs): %w", err)
	}
	return nil
}

// listen makes the socket, which only root may use.
func (i instance) listen() (*os.File, error) {
	if err := os.Remove(i.socket()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	// Made under another name, so that it is never there with another mode.
	made := filepath.Join(i.dir, "."+filepath.Base(strings.TrimSuffix(i.socket(), ".sock")))
	os.Remove(made)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: made, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false)
	defer l.Close()
	if err := errors.Join(os.Chmod(made, 0o600), os.Rename(made, i.socket())); err != nil {
		return nil, err
	}
	return l.File()
}

// Watch notices the end of the process.
func (a *Agent) Watch(ctx context.Context, op resources.Op) bool {
	i, _ := a.read(op) // its name is enough
	pid, alive := i.process()
	h, err := proc.Open(pid)
	if !alive || err != nil {
		return ctx.Err() == nil
	}
	defer h.Close()
	return h.Wait(ctx)
}
