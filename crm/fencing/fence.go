package fencing

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"systole/crm/cib"
	"systole/resources"
)

// Call is one use of one device.
type Call struct {
	Device Device
	// Action is the device's word: reboot, off, on, status, list, monitor.
	Action string
	// Target is the node, Port the device's name for it; empty for list and monitor.
	Target, Port string
	Timeout      time.Duration
}

// Runner uses a device, on a node of its choice that is neither the target nor
// banned from it, and says which.
type Runner interface {
	Run(ctx context.Context, c Call) (r resources.Result, node string)
}

// Request asks for one fencing.
type Request struct {
	Target, Action string // "reboot", "off" or "on"
	// Timeout bounds each use of a device; 0 means DefaultTimeout.
	Timeout time.Duration
	// Delay is added before the first device.
	Delay time.Duration
	// Share in [0, 1) draws the random part of pcmk_delay_max.
	Share float64
}

// ErrNoDevice: nothing is configured that can fence the target.
var ErrNoDevice = errors.New("no fence device can reach it; configure one, or when you have seen that the node is off, say so: stonith_admin --confirm NODE")

// Fence runs one request to its end: nil is the devices' word that the target is
// down (or, for "on", up). It blocks for as long as delays and retries take.
// delegate is the node that ran the last successful device.
func Fence(ctx context.Context, c *cib.CIB, r Request, run Runner) (delegate string, err error) {
	levels, topology := Levels(c, r.Target)
	if !topology {
		for _, d := range Devices(c) {
			levels = append(levels, Level{Devices: []Device{d}})
		}
	}
	f := fencing{Request: r, run: run, wait: r.Delay}
	var problems []error
	tried := false
	for _, l := range levels {
		if !topology && !f.able(ctx, l.Devices[0]) {
			continue
		}
		tried = true
		if err := f.level(ctx, l); err != nil {
			problems = append(problems, err)
			continue
		}
		return f.delegate, nil
	}
	if !tried {
		return "", fmt.Errorf("fence %s: %w", r.Target, ErrNoDevice)
	}
	return "", fmt.Errorf("fence %s: %w", r.Target, errors.Join(problems...))
}

// fencing is one request under way.
type fencing struct {
	Request
	run      Runner
	wait     time.Duration // before the next device
	delegate string
}

// able asks whether a device can fence the target.
func (f *fencing) able(ctx context.Context, d Device) bool {
	switch d.Knows(f.Target) {
	case Yes:
		return true
	case AskList:
		res, _ := f.run.Run(ctx, Call{Device: d, Action: d.Action("list"), Timeout: d.Timeout("list", f.Timeout)})
		return ok(res) && slices.Contains(ports(res.Stdout), d.Port(f.Target))
	case AskStatus:
		res, _ := f.run.Run(ctx, Call{Device: d, Action: d.Action("status"), Target: f.Target, Port: d.Port(f.Target), Timeout: d.Timeout("status", f.Timeout)})
		return ok(res) || res.Status == resources.StatusDone && res.Code == 2 // 2 is "off" (fence agent API)
	}
	return false
}

// ports reads the answer to "list": one "port,alias" a line.
func ports(b []byte) []string {
	var out []string
	for line := range bytes.Lines(b) {
		port, alias, _ := strings.Cut(strings.TrimSpace(string(line)), ",")
		out = append(out, port)
		if alias != "" {
			out = append(out, alias)
		}
	}
	return out
}

// level runs all devices of a level. Rebooting by several devices means off by
// all, then on by all: with two power supplies anything else is no reboot. Once
// all have switched off the target is fenced, whatever comes of switching on.
func (f *fencing) level(ctx context.Context, l Level) error {
	if f.Action != "reboot" || len(l.Devices) == 1 {
		for _, d := range l.Devices {
			if err := f.device(ctx, d, f.Action); err != nil {
				return err
			}
		}
		return nil
	}
	for _, d := range l.Devices {
		if err := f.device(ctx, d, "off"); err != nil {
			return err
		}
	}
	for _, d := range l.Devices {
		_ = f.device(ctx, d, "on")
	}
	return nil
}

// device tries one device as often as it is worth.
func (f *fencing) device(ctx context.Context, d Device, action string) error {
	if !pause(ctx, f.wait+d.Delay(f.Target, f.Share)) {
		return context.Cause(ctx)
	}
	f.wait = 0
	call := Call{Device: d, Action: d.Action(action), Target: f.Target, Port: d.Port(f.Target), Timeout: d.Timeout(action, f.Timeout)}
	var res resources.Result
	for range d.Tries(action) {
		var node string
		res, node = f.run.Run(ctx, call)
		if ok(res) && action == "off" && f.stillOn(ctx, d) {
			res = resources.Result{Code: resources.ErrGeneric, Reason: "said that it switched the node off, and says now that it is on"}
		}
		if ok(res) {
			f.delegate = node
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	reason := res.Reason
	if reason == "" {
		reason = fmt.Sprintf("exit %d, status %d", res.Code, res.Status)
	}
	return fmt.Errorf("device %s: %s: %s", d.ID, call.Action, reason)
}

// stillOn asks a device that has switched the target off. Only its clear answer
// "on" counts against its first word: many devices know no status.
func (f *fencing) stillOn(ctx context.Context, d Device) bool {
	res, _ := f.run.Run(ctx, Call{Device: d, Action: d.Action("status"), Target: f.Target, Port: d.Port(f.Target), Timeout: d.Timeout("status", f.Timeout)})
	return ok(res)
}

func ok(r resources.Result) bool { return r.Status == resources.StatusDone && r.Code == resources.OK }

// pause waits; false when ctx is done.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
