package systemd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"systole/resources"
)

// fake is a systemd with state that can be read back.
type fake struct {
	mu      sync.Mutex
	units   map[string]*State
	slow    time.Duration // how long a job leaves the unit between states
	calls   []string
	failing bool
	dropIns func() int
}

func (f *fake) Close() {}
func (f *fake) Reload(context.Context) error {
	f.calls = append(f.calls, fmt.Sprintf("reload with %d drop-ins", f.dropIns()))
	return nil
}

func (f *fake) UnitFiles(context.Context) ([]string, error) {
	return []string{"/lib/systemd/system/web.service", "/lib/systemd/system/getty@.service", "/lib/systemd/system/a.target", "/etc/systemd/system/x.mount"}, nil
}

func (f *fake) State(_ context.Context, unit string) (State, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failing {
		return State{}, errors.New("the bus is gone")
	}
	if u := f.units[unit]; u != nil {
		return *u, nil
	}
	return State{Load: notFound, Active: "inactive"}, nil
}

func (f *fake) set(active string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.units["web.service"].Active = active
}

func (f *fake) become(unit, between, then string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	u := f.units[unit]
	if u.Load == "masked" {
		return errors.New("unit is masked")
	}
	if f.slow == 0 {
		u.Active = then
		return nil
	}
	u.Active = between
	time.AfterFunc(f.slow, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		u.Active = then
	})
	return nil
}

func (f *fake) Start(_ context.Context, unit string) error {
	f.calls = append(f.calls, "start "+unit)
	return f.become(unit, "activating", "active")
}

func (f *fake) Stop(_ context.Context, unit string) error {
	f.calls = append(f.calls, "stop "+unit)
	return f.become(unit, "deactivating", "inactive")
}

func rig(t *testing.T) (*fake, Config) {
	t.Helper()
	f := &fake{units: map[string]*State{"web.service": {Load: "loaded", Active: "inactive", Description: "The <web>"}}}
	cfg := Config{Dial: func(context.Context) (Bus, error) { return f, nil }, RunDir: t.TempDir()}
	f.dropIns = func() int {
		n, _ := os.ReadDir(cfg.RunDir)
		return len(n)
	}
	return f, cfg
}

func run(t *testing.T, cfg Config, unit string, action resources.Action, want resources.Code) resources.Result {
	t.Helper()
	a, err := cfg.New(unit)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	res := a.Execute(ctx, resources.Op{Resource: "r", Action: action})
	if res.Code != want {
		t.Errorf("%s %s = %d (%s), want %d", action, unit, res.Code, res.Reason, want)
	}
	return res
}

func TestLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, cfg := rig(t)
		f.slow = 10 * time.Second
		run(t, cfg, "web", resources.ActionMonitor, resources.NotRunning)
		run(t, cfg, "web", resources.ActionStart, resources.OK)
		text, err := os.ReadFile(cfg.RunDir + "/web.service.d/50-systole.conf")
		if err != nil || !strings.Contains(string(text), "Before=systoled.service\n") || !strings.Contains(string(text), "Restart=no\n") {
			t.Errorf("drop-in %q, %v", text, err)
		}
		run(t, cfg, "web.service", resources.ActionMonitor, resources.OK)
		f.set("reloading")
		run(t, cfg, "web", resources.ActionMonitor, resources.OK)
		run(t, cfg, "web", resources.ActionStop, resources.OK)
		f.set("failed")
		if res := run(t, cfg, "web", resources.ActionMonitor, resources.NotRunning); !strings.Contains(res.Reason, "failed") {
			t.Errorf("reason %q", res.Reason)
		}
		want := []string{"reload with 1 drop-ins", "start web.service", "stop web.service", "reload with 0 drop-ins"}
		if !slices.Equal(f.calls, want) {
			t.Errorf("systemd was asked %q, want %q", f.calls, want)
		}
		f.set("activating") // for ever
		if res := run(t, cfg, "web", resources.ActionMonitor, resources.ErrGeneric); res.Status != resources.StatusTimeout {
			t.Errorf("a unit that never settles: %+v", res)
		}
	})
}

func TestUnknownAndBroken(t *testing.T) {
	f, cfg := rig(t)
	if res := run(t, cfg, "none", resources.ActionMonitor, resources.ErrInstalled); res.Status != resources.StatusNotInstalled {
		t.Errorf("status %d", res.Status)
	}
	run(t, cfg, "none", resources.ActionStart, resources.ErrInstalled)
	run(t, cfg, "none", resources.ActionStop, resources.OK)
	run(t, cfg, "web", "promote", resources.ErrUnimplemented)
	f.units["web.service"].Load = "masked"
	run(t, cfg, "web", resources.ActionStart, resources.ErrGeneric)
	f.failing = true
	if res := run(t, cfg, "web", resources.ActionMonitor, resources.ErrGeneric); res.Status != resources.StatusError {
		t.Errorf("not to know is status %d, want an error", res.Status)
	}
	cfg.Dial = func(context.Context) (Bus, error) { return nil, ErrNoSystemd }
	if res := run(t, cfg, "web", resources.ActionMonitor, resources.ErrGeneric); res.Status != resources.StatusNotConnected {
		t.Errorf("without systemd: %+v", res)
	}
	for _, bad := range []string{"", "a/b", ".x", "a b"} {
		if _, err := cfg.New(bad); err == nil {
			t.Errorf("unit %q is taken", bad)
		}
	}
}

func TestTypesAndMetadata(t *testing.T) {
	_, cfg := rig(t)
	if got, err := cfg.Types(t.Context()); err != nil || !slices.Equal(got, []string{"getty@", "web", "x.mount"}) {
		t.Errorf("types %q, %v", got, err)
	}
	a, _ := cfg.New("web")
	data, err := a.MetaData(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if m, err := resources.ParseMetadata(data); err != nil || m.Name != "web" || m.Long != "The <web>" {
		t.Errorf("metadata %+v, %v", m, err)
	}
}

func TestWatch(t *testing.T) {
	f, cfg := rig(t)
	a, _ := cfg.New("web")
	if !a.Watch(t.Context(), resources.Op{}) {
		t.Error("an inactive unit is not noticed")
	}
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	*f.units["web.service"] = State{Load: "loaded", Active: "active", MainPID: cmd.Process.Pid}
	noticed := make(chan bool, 1)
	go func() { noticed <- a.Watch(t.Context(), resources.Op{}) }()
	cmd.Process.Kill()
	cmd.Wait()
	if !<-noticed {
		t.Error("the end of the main process is not noticed")
	}
}

// TestRealSystemd asks the machine's systemd, where one runs.
func TestRealSystemd(t *testing.T) {
	names, err := Config{}.Types(t.Context())
	if errors.Is(err, ErrNoSystemd) {
		t.Skip(err)
	}
	if err != nil || !slices.Contains(names, "systemd-journald") {
		t.Errorf("%d units, %v; want systemd-journald among them", len(names), err)
	}
}
