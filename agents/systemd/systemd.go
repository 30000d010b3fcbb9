// Package systemd runs systemd units as resources, over D-Bus.
//
// A unit that is a resource gets a drop-in below /run/systemd/system while it
// is active: systemd must not restart it by itself, and at shutdown it must
// stop after the cluster daemon, which stops it in its own order. Nothing else
// is kept; the state of the unit is the state of the resource.
package systemd

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"systole/agents/internal/proc"
	"systole/resources"
)

// State is what systemd says of a unit.
type State struct {
	Load        string // "loaded", "not-found", "masked"…
	Active      string // "active", "reloading", "activating", "deactivating", "inactive", "failed"
	MainPID     int
	Description string
}

// Bus is the part of systemd's D-Bus interface this package needs.
type Bus interface {
	// Start and Stop queue a job (mode replace) and wait for its result.
	Start(ctx context.Context, unit string) error
	Stop(ctx context.Context, unit string) error
	// State of a unit, loading it if need be; an unknown unit is not an error.
	State(ctx context.Context, unit string) (State, error)
	// Reload has systemd read unit files and drop-ins again.
	Reload(ctx context.Context) error
	// UnitFiles are the names of all installed unit files.
	UnitFiles(ctx context.Context) ([]string, error)
	Close()
}

// Config is what the package needs of the node.
type Config struct {
	// Dial connects to systemd; nil is the system's own.
	Dial func(context.Context) (Bus, error)
	// RunDir is for drop-ins; default /run/systemd/system.
	RunDir string
	// Daemon is the unit that must stop before any resource; default systoled.service.
	Daemon string
}

// Agent is one unit. It has no state and is safe for concurrent use.
type Agent struct {
	cfg  Config
	unit string
}

// New makes the agent of a unit; a name without suffix is a service.
func (c Config) New(name string) (*Agent, error) {
	if name == "" || strings.ContainsAny(name, "/ \t\n") || name[0] == '.' {
		return nil, fmt.Errorf("systemd:%s: not the name of a unit", name)
	}
	return &Agent{c, unitName(name)}, nil
}

// suffixes of units that can be resources.
var suffixes = []string{".service", ".socket", ".mount", ".timer", ".path"}

func unitName(name string) string {
	if slices.Contains(suffixes, filepath.Ext(name)) {
		return name
	}
	return name + ".service"
}

func (c Config) dial(ctx context.Context) (Bus, error) {
	if c.Dial != nil {
		return c.Dial(ctx)
	}
	return dialSystem(ctx)
}

func (c Config) dropIn(unit string) string {
	return filepath.Join(cmp.Or(c.RunDir, "/run/systemd/system"), unit+".d", "50-systole.conf")
}

// Types are the services and other units installed, without ".service", sorted.
// Templates are named "name@", ready for an instance to be added.
func (c Config) Types(ctx context.Context) ([]string, error) {
	bus, err := c.dial(ctx)
	if err != nil {
		return nil, err
	}
	defer bus.Close()
	files, err := bus.UnitFiles(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, f := range files {
		if slices.Contains(suffixes, filepath.Ext(f)) {
			names = append(names, strings.TrimSuffix(filepath.Base(f), ".service"))
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// Installed tells whether the unit exists.
func (a *Agent) Installed(ctx context.Context) (bool, error) {
	bus, err := a.cfg.dial(ctx)
	if err != nil {
		return false, err
	}
	defer bus.Close()
	st, err := bus.State(ctx, a.unit)
	return err == nil && st.Load != notFound, err
}

const notFound = "not-found"

// MetaData is made from the unit's description.
func (a *Agent) MetaData(ctx context.Context) ([]byte, error) {
	bus, err := a.cfg.dial(ctx)
	if err != nil {
		return nil, err
	}
	defer bus.Close()
	st, err := bus.State(ctx, a.unit)
	if err != nil {
		return nil, err
	}
	if st.Load == notFound {
		return nil, fmt.Errorf("unit %s is not installed", a.unit)
	}
	m := resources.Metadata{
		Name: strings.TrimSuffix(a.unit, ".service"), Version: "1.0", API: "1.1",
		Short: "systemd unit " + a.unit, Long: cmp.Or(st.Description, "systemd unit "+a.unit),
		Actions: []resources.ActionSpec{
			{Name: "start", Timeout: "100s"}, {Name: "stop", Timeout: "100s"}, {Name: "status", Timeout: "100s"},
			{Name: "monitor", Timeout: "100s", Interval: "60s"}, {Name: "meta-data", Timeout: "5s"},
		},
	}
	return m.XML(), nil
}

// Execute runs one operation.
func (a *Agent) Execute(ctx context.Context, op resources.Op) resources.Result {
	bus, err := a.cfg.dial(ctx)
	if err != nil {
		return resources.Result{Status: resources.StatusNotConnected, Code: resources.ErrGeneric, Reason: err.Error()}
	}
	defer bus.Close()
	switch op.Action {
	case resources.ActionStart:
		err = a.start(ctx, bus)
	case resources.ActionStop:
		err = a.stop(ctx, bus)
	case resources.ActionMonitor, "status":
		return a.monitor(ctx, bus)
	default:
		return resources.Result{Code: resources.ErrUnimplemented, Reason: fmt.Sprintf("units have no action %s", op.Action)}
	}
	if err == nil {
		return resources.Result{}
	}
	return failure(ctx, err)
}

var errNotInstalled = errors.New("is not installed")

func failure(ctx context.Context, err error) resources.Result {
	res := resources.Result{Code: resources.ErrGeneric, Reason: err.Error()}
	switch {
	case errors.Is(err, errNotInstalled):
		res.Status, res.Code = resources.StatusNotInstalled, resources.ErrInstalled
	case ctx.Err() != nil:
		res.Status = resources.StatusTimeout
	}
	return res
}

func (a *Agent) start(ctx context.Context, bus Bus) error {
	st, err := bus.State(ctx, a.unit)
	if err != nil {
		return err
	}
	if st.Load == notFound {
		return fmt.Errorf("unit %s %w", a.unit, errNotInstalled)
	}
	if err := a.writeDropIn(ctx, bus); err != nil {
		return err
	}
	if err := bus.Start(ctx, a.unit); err != nil {
		return err
	}
	st, err = a.settled(ctx, bus)
	if err == nil && !running(st) {
		err = fmt.Errorf("unit %s is %s after its start", a.unit, st.Active)
	}
	return err
}

func (a *Agent) stop(ctx context.Context, bus Bus) error {
	st, err := bus.State(ctx, a.unit)
	if err != nil {
		return err
	}
	if st.Load != notFound {
		if err := bus.Stop(ctx, a.unit); err != nil {
			return err
		}
		if st, err = a.settled(ctx, bus); err != nil {
			return err
		}
		if running(st) {
			return fmt.Errorf("unit %s is %s after its stop", a.unit, st.Active)
		}
	}
	return a.removeDropIn(ctx, bus)
}

func (a *Agent) monitor(ctx context.Context, bus Bus) resources.Result {
	st, err := a.settled(ctx, bus)
	switch {
	case err != nil:
		res := failure(ctx, err)
		if res.Status == resources.StatusDone {
			res.Status = resources.StatusError
		}
		return res
	case st.Load == notFound:
		return failure(ctx, fmt.Errorf("unit %s %w", a.unit, errNotInstalled))
	case running(st):
		return resources.Result{}
	}
	return resources.Result{Code: resources.NotRunning, Reason: fmt.Sprintf("unit %s is %s", a.unit, st.Active)}
}

func running(st State) bool { return st.Active == "active" || st.Active == "reloading" }

const pollInterval = 50 * time.Millisecond

// settled waits while the unit is between two states.
func (a *Agent) settled(ctx context.Context, bus Bus) (State, error) {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		st, err := bus.State(ctx, a.unit)
		if err != nil || (st.Active != "activating" && st.Active != "deactivating") {
			return st, err
		}
		select {
		case <-ctx.Done():
			return st, fmt.Errorf("unit %s is still %s: %w", a.unit, st.Active, context.Cause(ctx))
		case <-tick.C:
		}
	}
}

// writeDropIn marks the unit as the cluster's. An unchanged one costs no reload.
func (a *Agent) writeDropIn(ctx context.Context, bus Bus) error {
	text := fmt.Sprintf("# Written by Systole while the unit is a cluster resource.\n[Unit]\nBefore=%s\n", cmp.Or(a.cfg.Daemon, "systoled.service"))
	if filepath.Ext(a.unit) == ".service" {
		text += "\n[Service]\nRestart=no\n"
	}
	path := a.cfg.dropIn(a.unit)
	if have, err := os.ReadFile(path); err == nil && bytes.Equal(have, []byte(text)) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		return err
	}
	return bus.Reload(ctx)
}

func (a *Agent) removeDropIn(ctx context.Context, bus Bus) error {
	path := a.cfg.dropIn(a.unit)
	err := os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_ = os.Remove(filepath.Dir(path)) // others may have drop-ins there
	return bus.Reload(ctx)
}

// Watch notices the end of a service's main process.
func (a *Agent) Watch(ctx context.Context, _ resources.Op) bool {
	bus, err := a.cfg.dial(ctx)
	if err != nil {
		<-ctx.Done()
		return false
	}
	st, err := bus.State(ctx, a.unit)
	bus.Close()
	if err == nil && !running(st) {
		return ctx.Err() == nil
	}
	if err != nil || st.MainPID == 0 {
		<-ctx.Done()
		return false
	}
	h, err := proc.Open(st.MainPID)
	if err != nil {
		return ctx.Err() == nil
	}
	defer h.Close()
	return h.Wait(ctx)
}
