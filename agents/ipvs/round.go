package ipvs

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"systole/agents/check"
	"systole/agents/ipvs/control"
	"systole/agents/ipvs/director"
	"systole/agents/ipvs/kernel"
	"systole/agents/ipvs/table"
)

// round looks at the kernel, decides, and changes what differs. What cannot be
// done is the status's problem, and is tried again in the next round.
//
// The order is the safety of the standby: it has services only while backup_only
// is set and the backup daemon runs. The active director stops that daemon last.
func (k *keeper) round(now time.Time) {
	if k.record.Role == "" || !k.configured {
		return // not told yet what to be; what an earlier process made stays
	}
	settings := errors.Join(k.keepSettings(), k.keepTimeouts())
	var services, daemons error
	if k.record.Role == control.Active {
		services = k.keepServices(now, true)
		daemons = k.keepDaemons(table.Master)
	} else {
		daemons = k.keepDaemons(table.Backup)
		services = k.keepServices(now, k.setup.Sync != nil && settings == nil && daemons == nil)
	}
	k.take(errors.Join(settings, daemons, services, k.measure(now)), now)
}

// take notes what a round came to.
func (k *keeper) take(err error, now time.Time) {
	problem := ""
	if err != nil {
		problem = strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	if problem != "" && problem != k.status.Problem {
		k.events.add(problem)
	}
	k.status.Problem, k.status.Looked = problem, now
}

// keepServices decides about the services and programs them. Without serve,
// none of ours may be there.
func (k *keeper) keepServices(now time.Time, serve bool) error {
	entries, err := k.kernel.Services()
	if err != nil {
		return err
	}
	dec := k.director.Decide(director.Inputs{
		Now: now, Config: k.cfg, Checks: k.results(), Nodes: k.nodes, Own: k.own, Kernel: entries,
		Active: k.record.Role == control.Active,
	})
	for _, h := range dec.Hooks {
		k.hooks.add(h)
	}
	k.status.Services, k.status.Ready = dec.Report, dec.Ready
	if !serve {
		dec.Wanted = nil
	}
	return k.program(dec.Wanted, entries)
}

// program turns what the kernel has into what is wanted. A difference although
// nothing else is wanted than before was made by somebody else.
func (k *keeper) program(wanted []table.Virtual, entries []table.Entry) error {
	owned := keys(wanted)
	if err := k.remember(func(r *record) { r.Owned = union(r.Owned, owned) }); err != nil {
		return err
	}
	ops := table.Diff(wanted, k.record.Owned, entries)
	if len(ops) > 0 && k.wanted != nil && reflect.DeepEqual(wanted, *k.wanted) {
		k.status.Repairs += len(ops)
		k.events.add("somebody changed the table; done again: " + summary(ops))
	}
	k.wanted = nil
	if err := k.applyAll(ops, wanted); err != nil {
		return err
	}
	k.wanted = &wanted
	return k.remember(func(r *record) { r.Owned = owned })
}

// applyAll does the operations at once, and what is left of them if some were
// refused one by one, to learn which and why.
func (k *keeper) applyAll(ops []table.Op, wanted []table.Virtual) error {
	if len(ops) > 1 && k.kernel.ApplyAll(ops) == nil {
		return nil
	}
	if len(ops) > 1 {
		entries, err := k.kernel.Services()
		if err != nil {
			return err
		}
		ops = table.Diff(wanted, k.record.Owned, entries)
	}
	var errs []error
	for _, op := range ops {
		errs = append(errs, k.apply(op))
	}
	return errors.Join(errs...)
}

// apply does one operation. The table may have changed since it was read.
func (k *keeper) apply(op table.Op) error {
	err := k.kernel.Apply(op)
	switch {
	case errors.Is(err, kernel.ErrExists) && op.Verb == table.AddServer:
		op.Verb = table.SetServer
		return k.kernel.Apply(op)
	case errors.Is(err, kernel.ErrExists) && op.Verb == table.AddService:
		op.Verb = table.SetService
		return k.kernel.Apply(op)
	case errors.Is(err, kernel.ErrNotFound) && (op.Verb == table.DeleteServer || op.Verb == table.DeleteService):
		return nil
	}
	return err
}

// results are the checks' newest, by key.
func (k *keeper) results() map[string]check.Status {
	m := make(map[string]check.Status, len(k.checks))
	for key, s := range k.checks {
		m[key] = s.Status()
	}
	return m
}

// keepDaemons runs the sync daemon of a state and no other. Where
// synchronisation is configured both daemons are ours.
func (k *keeper) keepDaemons(state table.DaemonState) error {
	running, err := k.kernel.Daemons()
	if err != nil {
		return err
	}
	there := false
	if k.setup.Sync != nil {
		want := *k.setup.Sync
		want.State = state
		if i := slices.IndexFunc(running, func(d table.Daemon) bool { return d.State == state }); i >= 0 {
			there = serves(running[i], want)
		}
		if !there {
			if err := k.restartDaemon(want, running); err != nil {
				return err
			}
		}
	}
	var errs []error
	for _, d := range running {
		if k.setup.Sync != nil && d.State == state || k.setup.Sync == nil && !slices.Contains(k.record.Daemons, d.State) {
			continue // as it should be, or somebody else's
		}
		if err := k.kernel.StopDaemon(d.State); err != nil && !errors.Is(err, kernel.ErrNotFound) {
			errs = append(errs, err)
			continue
		}
		k.events.add("sync daemon stopped: " + d.State.String())
	}
	if k.status.Daemons = nil; k.setup.Sync != nil {
		k.status.Daemons = []control.Daemon{{State: state.String(), Interface: k.setup.Sync.Interface, ID: k.setup.Sync.ID}}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return k.remember(func(r *record) {
		if r.Daemons = nil; k.setup.Sync != nil {
			r.Daemons = []table.DaemonState{state}
		}
	})
}

// restartDaemon starts a daemon in the place of one that is set up otherwise.
func (k *keeper) restartDaemon(want table.Daemon, running []table.Daemon) error {
	if err := k.remember(func(r *record) { r.Daemons = union(r.Daemons, []table.DaemonState{want.State}) }); err != nil {
		return err
	}
	if slices.ContainsFunc(running, func(d table.Daemon) bool { return d.State == want.State }) {
		if err := k.kernel.StopDaemon(want.State); err != nil && !errors.Is(err, kernel.ErrNotFound) {
			return err
		}
	}
	if want.State == table.Backup && !k.warmth.began.IsZero() {
		k.warmth.reset() // what was sent meanwhile is unknown here
	}
	if err := k.kernel.StartDaemon(want); err != nil {
		return err
	}
	k.events.add(fmt.Sprintf("sync daemon started: %s on %s, id %d", want.State, want.Interface, want.ID))
	return nil
}

// serves tells whether a daemon that runs is the one wanted; what was left to
// the kernel is right in any case.
func serves(have, want table.Daemon) bool {
	return have.Interface == want.Interface && have.ID == want.ID &&
		(want.MaxLen == 0 || have.MaxLen == want.MaxLen) && (!want.Group.IsValid() || have.Group == want.Group)
}

// keepSettings gives the kernel's settings the wanted values, and those no
// longer wanted their former ones.
func (k *keeper) keepSettings() error {
	wanted := append(wantedSettings(k.cfg, k.setup.Sync != nil, k.sysctls.interfaces(), k.sysctls.has), k.quietSettings(time.Now())...)
	var errs []error
	k.status.Settings = nil
	for _, s := range wanted {
		errs = append(errs, k.keepSetting(s))
		k.status.Settings = append(k.status.Settings, control.Setting{Name: dotted(s.path), Value: s.value, Former: k.record.Former[s.path]})
	}
	for path := range k.record.Former {
		if !slices.ContainsFunc(wanted, func(s setting) bool { return s.path == path }) {
			errs = append(errs, k.restore(path))
		}
	}
	return errors.Join(errs...)
}

func (k *keeper) keepSetting(s setting) error {
	have, err := k.sysctls.read(s.path)
	if err != nil {
		return err
	}
	_, ours := k.record.Former[s.path]
	if !ours {
		if err := k.remember(func(r *record) { r.Former = with(r.Former, s.path, have) }); err != nil {
			return err
		}
	}
	if have == s.value {
		return nil
	}
	if ours {
		k.status.Repairs++
		k.events.add(fmt.Sprintf("somebody set %s to %s; it is %s again", dotted(s.path), have, s.value))
	}
	return k.sysctls.write(s.path, s.value)
}

// restore gives a setting its former value. An interface may have gone with its settings.
func (k *keeper) restore(path string) error {
	if err := k.sysctls.write(path, k.record.Former[path]); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return k.remember(func(r *record) { r.Former = without(r.Former, path) })
}

// keepTimeouts sets the kernel's timeouts of connections.
func (k *keeper) keepTimeouts() error {
	have, err := k.kernel.Timeouts()
	if err != nil {
		return err
	}
	want := k.cfg.Timeouts
	if want == (table.Timeouts{}) {
		return k.restoreTimeouts()
	}
	if k.record.Timeouts == nil {
		if err := k.remember(func(r *record) { r.Timeouts = &have }); err != nil {
			return err
		}
	}
	if (want.TCP == 0 || want.TCP == have.TCP) && (want.TCPFin == 0 || want.TCPFin == have.TCPFin) && (want.UDP == 0 || want.UDP == have.UDP) {
		return nil
	}
	return k.kernel.SetTimeouts(want)
}

func (k *keeper) restoreTimeouts() error {
	if k.record.Timeouts == nil {
		return nil
	}
	if err := k.kernel.SetTimeouts(*k.record.Timeouts); err != nil {
		return err
	}
	return k.remember(func(r *record) { r.Timeouts = nil })
}

// measure finds out whether a standby's table of connections is warm.
func (k *keeper) measure(now time.Time) error {
	if k.record.Role == control.Active {
		k.warmth.warm = true // what there is, it knows
	}
	if k.warmth.warm || k.setup.Sync == nil {
		return nil
	}
	count, err := k.synced()
	if err == nil && k.warmth.observe(count, now) {
		k.events.add(fmt.Sprintf("warm: %d connections known", count))
	}
	return err
}

// stop undoes everything. A standby's daemon goes after its services. Programs
// for what ends by it run when the answer is out.
func (k *keeper) stop() error {
	entries, err := k.kernel.Services()
	if err != nil {
		return err
	}
	if err := k.program(nil, entries); err != nil {
		return err
	}
	for _, h := range k.director.End(k.cfg) {
		k.hooks.add(h)
		k.farewell = true
	}
	k.setup.Sync, k.cfg.Virtuals = nil, nil
	if err := k.keepDaemons(0); err != nil {
		return err
	}
	errs := []error{k.restoreTimeouts()}
	for path := range k.record.Former {
		errs = append(errs, k.restore(path))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if err := os.Remove(k.recordPath); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	k.record = record{}
	k.stopped = true
	return nil
}

// remember changes the record, in the file first if there is a difference.
func (k *keeper) remember(change func(*record)) error {
	next := k.record
	change(&next)
	if reflect.DeepEqual(next, k.record) {
		return nil
	}
	if err := next.write(k.recordPath); err != nil {
		return fmt.Errorf("remember what was changed: %w", err)
	}
	k.record = next
	return nil
}

func keys(vs []table.Virtual) []table.Key {
	ks := make([]table.Key, len(vs))
	for i, v := range vs {
		ks[i] = v.Key
	}
	return ks
}

// union is a followed by what only b has, in a new slice.
func union[T comparable](a, b []T) []T {
	u := slices.Clone(a)
	for _, v := range b {
		if !slices.Contains(u, v) {
			u = append(u, v)
		}
	}
	return u
}

// summaryOps are named in a message; the rest is counted.
const summaryOps = 3

func summary(ops []table.Op) string {
	var parts []string
	for _, op := range ops[:min(summaryOps, len(ops))] {
		parts = append(parts, op.String())
	}
	if more := len(ops) - summaryOps; more > 0 {
		parts = append(parts, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(parts, "; ")
}
