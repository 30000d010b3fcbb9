// Package realserver is the agent ocf:systole:realserver: a node behind an LVS
// director. See DESIGN.md.
//
// The order is the point. On start the kernel is made to keep quiet about the
// virtual address before the address appears; on stop the director sends
// nothing new, then connections end, then the address goes, then the kernel
// gets its settings back. What was changed is in a ledger in /run, shared by all
// real servers of the node. No goroutine outlives an operation.
package realserver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/vishvananda/netlink"

	"systole/resources"
)

// Config is what the agent needs of the node.
type Config struct {
	// Dir is for the ledger (/run/resource-agents).
	Dir string
	// Attribute sets a transient attribute of the node, or removes it when value
	// is "". nil means that nobody would heed it: then a stop does not wait for
	// the director.
	Attribute func(ctx context.Context, op resources.Op, name, value string) error
	// Lease; nil means always. Without it a stop does not drain: there is no
	// director to tell, and no time.
	Lease resources.Lease
	Log   *slog.Logger // nil discards
}

// Agent is safe for concurrent use.
type Agent struct {
	cfg    Config
	talker func(ctx context.Context, dir string, vips []netip.Addr) (netip.Addr, error) // answers
}

// New makes the agent.
func New(cfg Config) *Agent {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Agent{cfg, answers}
}

// DrainAttribute begins the name of the node attribute by which a real server
// that stops asks for no new connections; the resource's id follows.
const DrainAttribute = "lvs-drain-"

// MetaData is the OCF document.
func (a *Agent) MetaData(context.Context) ([]byte, error) { return Metadata.XML(), nil }

// Execute runs one operation.
func (a *Agent) Execute(ctx context.Context, op resources.Op) resources.Result {
	c, err := read(op.Params)
	if err != nil {
		return resources.Result{Code: resources.ErrConfigured, Reason: err.Error()}
	}
	user, note := cmp.Or(op.Instance, op.Resource), ""
	switch op.Action {
	case resources.ActionStart:
		note, err = a.start(ctx, c, op, user)
	case resources.ActionStop:
		note, err = a.stop(ctx, c, op, user)
	case resources.ActionMonitor, "status":
		return a.monitor(ctx, c, op, user)
	case resources.ActionValidateAll:
		_, err = c.towards()
	default:
		return resources.Result{Code: resources.ErrUnimplemented, Reason: fmt.Sprintf("%s has no action %s", Metadata.Name, op.Action)}
	}
	if err != nil {
		return resources.Result{Code: resources.ErrGeneric, Reason: err.Error(), Output: note}
	}
	return resources.Result{Output: note}
}

// things are what the ledger counts besides settings.
func (c config) things() []string {
	names := c.routing()
	for _, vip := range c.local() {
		names = append(names, addressName(vip, c.device(vip)))
	}
	return names
}

func addressName(vip netip.Addr, device string) string { return fmt.Sprintf("%v on %s", vip, device) }

func (a *Agent) start(ctx context.Context, c config, op resources.Op, user string) (note string, err error) {
	if err := a.quieten(ctx, c, user); err != nil {
		return "", err
	}
	for _, vip := range c.local() {
		have, err := holders(vip)
		if err != nil {
			return "", err
		}
		if len(have) > 0 { // ours from before, or the director's: then it is on its network card
			continue
		}
		if err := hold(vip, c.device(vip)); err != nil {
			return "", err
		}
	}
	device, err := c.towards()
	if err == nil {
		err = c.lead(device)
	}
	if err != nil {
		return "", err
	}
	talker, err := a.talker(ctx, a.cfg.Dir, c.local())
	if talker.IsValid() {
		return "", errors.Join(fmt.Errorf("the kernel answers ARP for %v in spite of arp_ignore: the address is taken away again", talker), c.withdraw(func(string) bool { return true }))
	}
	if err != nil {
		note = err.Error()
	}
	return join(note, a.takeBack(ctx, op, user)), nil
}

// takeBack removes the attribute of the last stop, now that the address is here. When
// the cluster does not take it, the node stays drained, which is safe, and the
// next monitor tries again.
func (a *Agent) takeBack(ctx context.Context, op resources.Op, user string) (note string) {
	l, err := peek(a.cfg.Dir)
	if err != nil || !l.Told[user] || a.cfg.Attribute == nil {
		return ""
	}
	asking, cancel := context.WithTimeout(ctx, attributeWait)
	defer cancel()
	if err = a.cfg.Attribute(asking, op, DrainAttribute+user, ""); err == nil {
		err = a.tell(ctx, user, false)
	}
	if err != nil {
		a.cfg.Log.Warn("the director still drains this node; the next monitor tries again", "rsc", op.Resource, "err", err)
		return fmt.Sprintf("the director still drains this node: %v", err)
	}
	return ""
}

// tell notes in the ledger whether no new connections are wanted.
func (a *Agent) tell(ctx context.Context, user string, told bool) error {
	b, err := openBook(ctx, a.cfg.Dir)
	if err != nil {
		return err
	}
	defer b.close()
	b.ledger.tell(user, told)
	return b.save()
}

// join puts two notes into one line.
func join(notes ...string) string {
	return strings.Join(slices.DeleteFunc(notes, func(s string) bool { return s == "" }), "; ")
}

// quieten makes the kernel keep quiet about the addresses, before they appear.
func (a *Agent) quieten(ctx context.Context, c config, user string) error {
	for _, vip := range c.local() {
		if c.mode != tunnel {
			break
		}
		if err := raise(c.device(vip)); err != nil {
			return err
		}
	}
	device, err := c.towards()
	if err != nil {
		return err
	}
	b, err := openBook(ctx, a.cfg.Dir)
	if err != nil {
		return err
	}
	defer b.close()
	needs := c.needs(device)
	now, err := present(keysOf(needs))
	if err != nil {
		return err
	}
	todo := b.enter(user, needs, now, c.things()...)
	if err := b.save(); err != nil {
		return fmt.Errorf("note the settings to restore: %w", err)
	}
	if err := write(todo); err != nil {
		return err
	}
	wrong, err := c.wrong(needs)
	if err == nil && wrong != "" {
		err = errors.New(wrong)
	}
	return err
}

// wrong says which setting lets the kernel answer for an address of another
// device, or else breaks the mode; "" when none does.
func (c config) wrong(needs []need) (string, error) {
	wrong, err := unmet(needs)
	if err != nil || wrong != "" {
		return wrong, err
	}
	if slices.ContainsFunc(c.local(), netip.Addr.Is4) {
		return talkative()
	}
	return "", nil
}

func (a *Agent) stop(ctx context.Context, c config, op resources.Op, user string) (note string, err error) {
	l, err := peek(a.cfg.Dir)
	if errors.Is(err, errDamaged) {
		return a.abandon(c, err)
	}
	if err != nil {
		return "", err
	}
	if l.runs(user) {
		note = a.drain(ctx, c, op, user)
	}
	b, err := openBook(ctx, a.cfg.Dir)
	if err != nil {
		return note, err
	}
	defer b.close()
	alone := func(thing string) bool { return b.alone(user, thing) }
	if err := errors.Join(c.withdraw(alone), c.mislead(alone)); err != nil {
		return note, err
	}
	now := map[string]string{}
	for key := range b.Settings {
		now[key], _ = sysctl(key) // of a device that is gone: nothing to restore
	}
	// The kernel first: if this process ends in between, the next stop does it again.
	before := b.ledger.clone()
	if err := write(before.leave(user, now)); err != nil {
		return note, err
	}
	b.ledger = before
	return note, b.save()
}

// abandon is a stop without a ledger to go by: what could harm goes, the settings
// that keep the node quiet stay, and the file is put aside.
func (a *Agent) abandon(c config, why error) (note string, err error) {
	everything := func(string) bool { return true }
	path := filepath.Join(a.cfg.Dir, bookName)
	a.cfg.Log.Warn("kernel settings are not restored", "err", why)
	return why.Error(), errors.Join(c.withdraw(everything), c.mislead(everything), os.Rename(path, path+".damaged"))
}

// withdraw takes the addresses away that nobody else relies on. One that an
// active director has on a network card is not ours.
func (c config) withdraw(alone func(thing string) bool) error {
	var errs []error
	for _, vip := range c.local() {
		if d := c.device(vip); alone(addressName(vip, d)) {
			errs = append(errs, drop(vip, d))
		}
	}
	return errors.Join(errs...)
}

// attributeWait bounds telling the director where the next monitor tells it again.
const attributeWait = 5 * time.Second

// drain has the director send nothing new and waits for what is there, within one
// limit for both. Nothing that goes wrong here keeps the stop from going on.
func (a *Agent) drain(ctx context.Context, c config, op resources.Op, user string) (note string) {
	limit := c.drain
	if end, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(end)-reserve)
	}
	if limit <= 0 || a.cfg.Lease != nil && a.cfg.Lease.Remaining() <= 0 {
		return "not drained"
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	quiet := settle
	if a.cfg.Attribute == nil {
		quiet = 0
	} else {
		err := a.tell(ctx, user, true)
		if err == nil {
			err = a.cfg.Attribute(ctx, op, DrainAttribute+user, "true")
		}
		if err != nil {
			a.cfg.Log.Warn("the director is not told to drain", "rsc", op.Resource, "err", err)
			quiet = 0
		}
	}
	began := time.Now()
	left, err := await(ctx, quiet, c.connections)
	took := time.Since(began).Round(time.Millisecond)
	if left == 0 {
		return fmt.Sprintf("drained in %v", took)
	}
	a.cfg.Log.Warn("stopped with connections left", "rsc", op.Resource, "count", left, "took", took, "err", err)
	return fmt.Sprintf("%d connections left after %v", left, took)
}

func (a *Agent) monitor(ctx context.Context, c config, op resources.Op, user string) resources.Result {
	l, err := peek(a.cfg.Dir)
	if err != nil {
		return unknown(err)
	}
	if !l.runs(user) {
		return resources.Result{Code: resources.NotRunning}
	}
	var gone []string
	for _, vip := range c.local() {
		have, err := holders(vip)
		if err != nil {
			return unknown(err)
		}
		if len(have) == 0 {
			gone = append(gone, addressName(vip, c.device(vip)))
		}
	}
	if n := len(gone); n > 0 && n == len(c.local()) {
		return resources.Result{Code: resources.NotRunning, Reason: "not there: " + strings.Join(gone, ", ")}
	} else if n > 0 {
		return failed("not there: " + strings.Join(gone, ", "))
	}
	device, err := c.towards()
	if err != nil {
		return failed(err.Error())
	}
	wrong, err := c.wrong(c.needs(device))
	if err == nil && wrong == "" {
		wrong, err = c.missing()
	}
	switch {
	case err != nil:
		return unknown(err)
	case wrong != "":
		return failed(wrong)
	case op.IsProbe():
		return resources.Result{}
	}
	note := a.takeBack(ctx, op, user)
	if !slices.ContainsFunc(c.local(), netip.Addr.Is4) {
		return resources.Result{Output: note}
	}
	talker, err := a.talker(ctx, a.cfg.Dir, c.local())
	if talker.IsValid() {
		return failed(fmt.Sprintf("this node answers ARP for %v, so clients may send to it past the director", talker))
	}
	if err != nil {
		note = join(note, err.Error())
	}
	return resources.Result{Output: note}
}

func failed(reason string) resources.Result {
	return resources.Result{Code: resources.ErrGeneric, Reason: reason}
}

func unknown(err error) resources.Result {
	return resources.Result{Status: resources.StatusError, Code: resources.ErrGeneric, Reason: err.Error()}
}

// Watch notices that a virtual address has gone.
func (a *Agent) Watch(ctx context.Context, op resources.Op) bool {
	c, err := read(op.Params)
	if err != nil || len(c.local()) == 0 {
		<-ctx.Done()
		return false
	}
	updates, done := make(chan netlink.AddrUpdate, 16), make(chan struct{})
	defer func() {
		close(done)
		go func() { // the library's goroutine must not hang on a full channel; it closes it
			for range updates {
			}
		}()
	}()
	if err := netlink.AddrSubscribe(updates, done); err != nil {
		close(updates)
		a.cfg.Log.Warn("changes of addresses are not watched; monitors will find them", "rsc", op.Resource, "err", err)
		<-ctx.Done()
		return false
	}
	for {
		for _, vip := range c.local() {
			if have, err := holders(vip); err == nil && len(have) == 0 {
				return true
			}
		}
		select {
		case <-ctx.Done():
			return false
		case _, ok := <-updates:
			if !ok {
				return true // overrun: better look
			}
		}
	}
}
