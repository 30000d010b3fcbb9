package systemd

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/coreos/go-systemd/v22/dbus"
)

// ErrNoSystemd: this machine was not booted with systemd (sd_booted(3)).
var ErrNoSystemd = errors.New("no systemd runs on this node")

type systemBus struct{ conn *dbus.Conn }

func dialSystem(ctx context.Context) (Bus, error) {
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		return nil, ErrNoSystemd
	}
	conn, err := dbus.NewWithContext(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect to systemd: %w", err)
	}
	return systemBus{conn}, nil
}

func (b systemBus) Close() { b.conn.Close() }

func (b systemBus) Start(ctx context.Context, unit string) error {
	result := make(chan string, 1)
	_, err := b.conn.StartUnitContext(ctx, unit, "replace", result)
	return job(ctx, "start", unit, result, err)
}

func (b systemBus) Stop(ctx context.Context, unit string) error {
	result := make(chan string, 1)
	_, err := b.conn.StopUnitContext(ctx, unit, "replace", result)
	return job(ctx, "stop", unit, result, err)
}

// job waits for the result of a job.
func job(ctx context.Context, verb, unit string, result <-chan string, err error) error {
	if err != nil {
		return fmt.Errorf("%s unit %s: %w", verb, unit, err)
	}
	select {
	case r := <-result:
		if r == "done" || r == "skipped" {
			return nil
		}
		return fmt.Errorf("%s unit %s: the job ended with %q; see systemctl status %s", verb, unit, r, unit)
	case <-ctx.Done():
		return fmt.Errorf("%s unit %s: %w", verb, unit, context.Cause(ctx))
	}
}

func (b systemBus) State(ctx context.Context, unit string) (State, error) {
	p, err := b.conn.GetUnitPropertiesContext(ctx, unit)
	if err != nil {
		return State{}, fmt.Errorf("state of unit %s: %w", unit, err)
	}
	st := State{}
	st.Load, _ = p["LoadState"].(string)
	st.Active, _ = p["ActiveState"].(string)
	st.Description, _ = p["Description"].(string)
	if st.Load == "" || st.Active == "" {
		return State{}, fmt.Errorf("state of unit %s: systemd's answer has none", unit)
	}
	if s, err := b.conn.GetUnitTypePropertiesContext(ctx, unit, "Service"); err == nil { // other units have no process
		if pid, ok := s["MainPID"].(uint32); ok {
			st.MainPID = int(pid)
		}
	}
	return st, nil
}

func (b systemBus) Reload(ctx context.Context) error {
	if err := b.conn.ReloadContext(ctx); err != nil {
		return fmt.Errorf("have systemd read its files again: %w", err)
	}
	return nil
}

func (b systemBus) UnitFiles(ctx context.Context) ([]string, error) {
	files, err := b.conn.ListUnitFilesContext(ctx)
	if err != nil {
		return nil, fmt.Errorf("list unit files: %w", err)
	}
	names := make([]string, len(files))
	for i, f := range files {
		names[i] = f.Path
	}
	return names, nil
}
