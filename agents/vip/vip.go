// Package vip is the agent ocf:systole:IPaddr2: a virtual address on a network
// device, by netlink, announced on the link by gratuitous ARP or unsolicited
// neighbour advertisements.
//
// Everything is idempotent and adopts what is there. The address is handed to
// the guard before it is added, so that it falls silent with the node's lease.
// One goroutine for each active address repeats announcements; it looks at the
// address and the lease before every frame. It never touches another address.
package vip

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/vishvananda/netlink"

	"systole/resources"
)

// Config is what the agent needs of the node.
type Config struct {
	Lease resources.Lease        // nil means always
	Guard resources.AddressGuard // nil means there is none
	Log   *slog.Logger           // nil discards
	// Leaving, if any, is told of an address before it leaves the device: what hands on
	// connections in its name takes no new ones. It must be quick.
	Leaving func(context.Context, netip.Addr)
	// Alone makes a start send all its announcements before it ends, closer
	// together: this process ends with it.
	Alone bool
}

// Agent is safe for concurrent use.
type Agent struct {
	cfg        Config
	announcing *announcers
}

// New makes the agent.
func New(cfg Config) *Agent {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Agent{cfg: cfg, announcing: &announcers{running: map[netip.Addr]*announcer{}}}
}

// Close ends all announcing and waits for it.
func (a *Agent) Close() { a.announcing.close() }

// MetaData is the OCF document.
func (a *Agent) MetaData(context.Context) ([]byte, error) { return Metadata.XML(), nil }

// Execute runs one operation.
func (a *Agent) Execute(ctx context.Context, op resources.Op) resources.Result {
	c, err := read(op.Params)
	if err != nil {
		return resources.Result{Code: resources.ErrConfigured, Reason: err.Error()}
	}
	switch op.Action {
	case resources.ActionStart:
		err = a.start(ctx, c, op)
	case resources.ActionStop:
		err = a.stop(ctx, c)
	case resources.ActionMonitor, "status":
		return a.monitor(c, op)
	case resources.ActionValidateAll:
		_, err = c.destine()
	default:
		return resources.Result{Code: resources.ErrUnimplemented, Reason: fmt.Sprintf("IPaddr2 has no action %s", op.Action)}
	}
	if err != nil {
		return resources.Result{Code: resources.ErrGeneric, Reason: err.Error()}
	}
	return resources.Result{}
}

// MetaOwnerGone is the operation meta attribute by which a start says that
// the former owner is proved to be gone, so that nobody needs to be asked.
const MetaOwnerGone = "owner_gone"

func (a *Agent) start(ctx context.Context, c config, op resources.Op) error {
	p, there, err := c.locate()
	if err != nil {
		return err
	}
	if !there {
		if p, err = c.destine(); err != nil {
			return err
		}
		if c.duplicate != "off" && op.Meta[MetaOwnerGone] != "true" {
			if err := a.askFor(ctx, c, p); err != nil {
				return err
			}
		}
	}
	if err := a.protect(ctx, c, p); err != nil {
		return err
	}
	if !there {
		if !a.leased() {
			return errors.New("the node lease has ended: the address is not added")
		}
		if err := c.add(p); err != nil {
			return err
		}
	}
	if c.lvs && p.device() != loopback {
		if err := c.leaveLoopback(); err != nil {
			return err
		}
	}
	a.begin(ctx, c, p)
	return nil
}

// askFor refuses an address another station answers for.
func (a *Agent) askFor(ctx context.Context, c config, p place) error {
	who, err := c.holder(ctx, p)
	if err != nil {
		a.cfg.Log.Warn("link not asked for the address", "vip", c.ip, "dev", p.device(), "err", err)
		return nil
	}
	if who == "" {
		return nil
	}
	if c.duplicate == "warn" {
		a.cfg.Log.Warn("address is in use by another station", "vip", c.ip, "dev", p.device(), "peer", who)
		return nil
	}
	return fmt.Errorf("%v is in use on %s by %s: stop it there", c.ip, p.device(), who)
}

func (a *Agent) protect(ctx context.Context, c config, p place) error {
	if !a.guards(p) {
		return nil
	}
	return a.cfg.Guard.Protect(ctx, p.device(), c.ip.String())
}

func (a *Agent) leased() bool { return a.cfg.Lease == nil || a.cfg.Lease.Remaining() > 0 }

// begin sends the first announcement now and sees to the others.
func (a *Agent) begin(ctx context.Context, c config, p place) {
	if !p.ethernet() || c.count <= 0 {
		return
	}
	a.announceNow(c, p)
	if a.cfg.Alone {
		c.interval, c.refresh = min(c.interval, aloneInterval), 0
	}
	if a.cfg.Alone || !c.background {
		once := c
		once.refresh = 0
		once.repeat(ctx, a.cfg.Log, p, c.count-1, a.mine(c, p))
	}
	if !a.cfg.Alone {
		count := c.count - 1
		if !c.background {
			count = 0
		}
		a.announcing.start(c.ip, func(ctx context.Context) { c.repeat(ctx, a.cfg.Log, p, count, a.mine(c, p)) })
	}
}

// aloneInterval keeps a stand-alone start short.
const aloneInterval = 20 * time.Millisecond

func (a *Agent) announceNow(c config, p place) {
	s, err := openSocket(p, 0)
	if err == nil {
		defer func() { go s.close() }()
		if a.leased() {
			err = c.announce(s, p)
		}
	}
	if err != nil {
		a.cfg.Log.Warn("announcement not sent", "vip", c.ip, "dev", p.device(), "err", err)
	}
}

// mine looks whether the address is still this node's to announce.
func (a *Agent) mine(c config, p place) func() bool {
	return func() bool {
		now, there, err := c.locate()
		return err == nil && there && now.index() == p.index() && a.leased()
	}
}

func (a *Agent) stop(ctx context.Context, c config) error {
	a.announcing.end(c.ip)
	p, there, err := c.locate()
	if err != nil {
		return err
	}
	if there {
		if a.cfg.Leaving != nil {
			a.cfg.Leaving(ctx, c.ip)
		}
		if c.lvs && p.device() != loopback && c.keepsQuiet() {
			if err := c.moveToLoopback(); err != nil {
				return err
			}
		}
		if a.guards(p) {
			if err := a.cfg.Guard.Leaving(ctx, p.device(), c.ip.String()); err != nil {
				return err
			}
		}
		if err := c.remove(p); err != nil {
			return err
		}
		return a.release(ctx, c, p)
	}
	// The process guard or a person has removed it; the guard may still hold it.
	if p, err := c.destine(); err == nil {
		return a.release(ctx, c, p)
	}
	return nil
}

// guards tells whether addresses of the device are guarded.
func (a *Agent) guards(p place) bool { return a.cfg.Guard != nil && p.device() != loopback }

// release tells the guard that the address has left the device. With
// lvs_support it is on lo now, and this node answers what a director sends it.
func (a *Agent) release(ctx context.Context, c config, p place) error {
	switch {
	case !a.guards(p):
		return nil
	case c.lvs && c.keepsQuiet():
		return a.cfg.Guard.Free(ctx, p.device(), c.ip.String())
	}
	return a.cfg.Guard.Release(ctx, p.device(), c.ip.String())
}

func (a *Agent) monitor(c config, op resources.Op) resources.Result {
	p, there, err := c.locate()
	if err != nil {
		return resources.Result{Status: resources.StatusError, Code: resources.ErrGeneric, Reason: err.Error()}
	}
	if !there {
		a.announcing.end(c.ip)
		return resources.Result{Code: resources.NotRunning}
	}
	if !op.IsProbe() && p.ethernet() && !a.cfg.Alone {
		for range c.monitorCount {
			a.announceNow(c, p)
		}
		if c.refresh > 0 && !a.announcing.active(c.ip) && a.leased() { // adopted from an earlier daemon
			a.announcing.start(c.ip, func(ctx context.Context) { c.repeat(ctx, a.cfg.Log, p, 0, a.mine(c, p)) })
		}
	}
	return resources.Result{}
}

// onLoopback is where a stopped address of a real server is.
func (c config) onLoopback() (place, error) {
	link, err := netlink.LinkByName(loopback)
	return place{link, c.ip.BitLen()}, err
}

// keepsQuiet tells whether the kernel keeps from answering for the address when it
// is on lo: for IPv4 by conf/all/arp_ignore, as a real server sets it. Where it does
// not, nothing here is a real server, and the address would have two owners.
func (c config) keepsQuiet() bool {
	if c.ip.Is6() {
		return true
	}
	value, err := os.ReadFile("/proc/sys/net/ipv4/conf/all/arp_ignore")
	switch strings.TrimSpace(string(value)) {
	case "1", "2", "8":
		return err == nil
	}
	return false
}

func (c config) moveToLoopback() error {
	lo, err := c.onLoopback()
	if err != nil {
		return err
	}
	plain := c
	plain.label, plain.broadcast = "", "-"
	return plain.add(lo)
}

func (c config) leaveLoopback() error {
	lo, err := c.onLoopback()
	if err != nil {
		return err
	}
	return c.remove(lo)
}

// Watch notices that the address has gone.
func (a *Agent) Watch(ctx context.Context, op resources.Op) bool {
	c, err := read(op.Params)
	if err != nil {
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
		a.cfg.Log.Warn("changes of addresses are not watched; monitors will find them", "vip", c.ip, "err", err)
		<-ctx.Done()
		return false
	}
	if _, there, err := c.locate(); err == nil && !there {
		return true
	}
	for {
		select {
		case <-ctx.Done():
			return false
		case u, ok := <-updates:
			if !ok {
				return true // overrun: better look
			}
			if ip, ok := netip.AddrFromSlice(u.LinkAddress.IP); ok && ip.Unmap() == c.ip && !u.NewAddr {
				return true
			}
		}
	}
}
