// Package guard makes virtual addresses fall silent when the node's lease ends,
// even if this process is stopped, hangs or is killed.
//
// The nftables guard (nftables.go) keeps it in the kernel: an address answers
// only while it is an element of a set whose elements expire. Where nf_tables
// has no netdev family, the process guard (process.go) has a small process of
// its own remove the address, with the kernel's valid_lft behind that. See
// DESIGN.md for what each holds against, and what neither does.
//
// [Guard.Run] owns the backend in one goroutine. Renew never blocks; Protect
// and Release return when the kernel has it.
package guard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"systole/resources"
)

// Kind is how an address is silenced.
type Kind string

// The kinds, best first.
const (
	KindNftables Kind = "nftables" // an expiring set element on the device's egress and ingress hooks
	KindProcess  Kind = "process"  // a process of its own removes the address; valid_lft behind it
)

// Address is one address on one device.
type Address struct {
	Device string
	Addr   netip.Addr
}

// backend holds addresses in the kernel. Its methods are called by one
// goroutine at a time.
type backend interface {
	// protect makes the address answer only while it is live.
	protect(a Address) error
	// release keeps the address silent as long as anything in its name may still
	// be queued, free lets it alone at once.
	release(a Address) error
	free(a Address) error
	// leaving: the address is about to be removed, and is not to be touched any more.
	leaving(Address) error
	// renew makes every protected address live for the time from now, or not at
	// all when that is too short to be told to the kernel.
	renew(remaining time.Duration) error
	// guards says whether any address is protected.
	guards() bool
	// protected is what is protected already, by an earlier daemon.
	protected() ([]Address, error)
	kind() Kind
	bound() time.Duration
	close() error
}

// Guard is the address guard of this node; it implements resources.AddressGuard.
type Guard struct {
	backend backend
	lease   resources.Lease
	log     *slog.Logger
	until   chan time.Duration // the newest end of the lease, on CLOCK_BOOTTIME
	calls   chan call
	ended   chan struct{}
	delay   time.Duration // what telling the kernel took last; Run's goroutine owns it

	mu    sync.Mutex    // guards what follows
	told  time.Duration // the end that was handed to Run last, 0 when the kernel may not have it
	heard time.Duration // the end that Renew was called with last
}

type call struct {
	do   func() error
	done chan error
}

// Config is what a guard is made of.
type Config struct {
	// Lease is asked again after each renewal, so that a pause between reading
	// it and telling the kernel is noticed and undone. nil trusts Renew alone.
	Lease resources.Lease
	// Dir is where the process guard has its socket (/run/systole).
	Dir string
	// Self is the program to run as the process guard; it must call
	// agents.RunChild. "" is this executable.
	Self string
	// Log; nil discards.
	Log *slog.Logger
}

// Open finds the best guard this kernel offers. Its error names what is missing
// from each.
func Open(cfg Config) (*Guard, error) {
	nft, nftErr := openNftables()
	if nftErr == nil {
		return newGuard(cfg, nft), nil
	}
	proc, err := openProcess(cfg)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("nftables guard: %w", nftErr), fmt.Errorf("process guard: %w", err))
	}
	g := newGuard(cfg, proc)
	g.log.Warn("addresses are guarded by a process, not by nftables: give-up bounds are longer", "err", nftErr)
	return g, nil
}

func newGuard(cfg Config, b backend) *Guard {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Guard{
		backend: b, lease: cfg.Lease, log: cfg.Log,
		until: make(chan time.Duration, 1), calls: make(chan call), ended: make(chan struct{}),
	}
}

// Kind says how addresses are silenced.
func (g *Guard) Kind() Kind { return g.backend.kind() }

// Bound is how long after the end of the lease every guarded address is
// certainly silent, whatever became of this process. The give-up bound of the
// node must not be smaller.
func (g *Guard) Bound() time.Duration { return g.backend.bound() }

// Renew lets protected addresses answer for the remaining time from now; 0 or
// less silences them. It returns at once; the newest call counts. What lengthens
// the time by little is left to the next call, which may say the same once more, when nothing
// else comes: telling the kernel costs more than all else that a beat does.
func (g *Guard) Renew(remaining time.Duration) {
	until := boottime() + remaining
	g.mu.Lock()
	defer g.mu.Unlock()
	newer := until-g.heard > same
	g.heard = until
	if more := until - g.told; more >= 0 && more < remaining/little && newer {
		return
	}
	g.told = until
	g.renewUntil(until)
}

const (
	// little is the part of a lease that is little: of eight beats' lease every second one is told.
	little = 6
	// same is how far two sayings of one end may be apart: the clock is read between.
	same = time.Millisecond
)

// unsure makes sure that the next end is told, whatever it is.
func (g *Guard) unsure() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.told = 0
}

func (g *Guard) renewUntil(until time.Duration) {
	for {
		select {
		case g.until <- until:
			return
		default:
		}
		select {
		case <-g.until: // an older value nobody has taken yet
		default:
		}
	}
}

// Protect makes the address answer only while the lease is valid. It is called
// before the address is added and may be called again.
func (g *Guard) Protect(ctx context.Context, device, addr string) error {
	a, err := parse(device, addr)
	if err != nil {
		return err
	}
	return g.ask(ctx, func() error { return g.backend.protect(a) })
}

// Leaving is called before the address is removed. When it has returned, nothing here
// touches the address any more: to write its lifetime once more would bring it back.
func (g *Guard) Leaving(ctx context.Context, device, addr string) error {
	a, err := parse(device, addr)
	if err != nil {
		return err
	}
	return g.ask(ctx, func() error { return g.backend.leaving(a) })
}

// Release ends Protect; it is called after the address was removed. For a few
// seconds more nothing leaves in its name.
func (g *Guard) Release(ctx context.Context, device, addr string) error {
	a, err := parse(device, addr)
	if err != nil {
		return err
	}
	return g.ask(ctx, func() error { return g.backend.release(a) })
}

// Free ends Protect at once.
func (g *Guard) Free(ctx context.Context, device, addr string) error {
	a, err := parse(device, addr)
	if err != nil {
		return err
	}
	return g.ask(ctx, func() error { return g.backend.free(a) })
}

func parse(device, addr string) (Address, error) {
	ip, err := netip.ParseAddr(addr)
	if err != nil || device == "" || len(device) >= unix.IFNAMSIZ {
		return Address{}, fmt.Errorf("guard %q on device %q: not an address on a device", addr, device)
	}
	return Address{device, ip.Unmap().WithZone("")}, nil
}

func (g *Guard) ask(ctx context.Context, do func() error) error {
	c := call{do: do, done: make(chan error, 1)}
	select {
	case g.calls <- c:
		return <-c.done
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-g.ended:
		return errors.New("the address guard is not running")
	}
}

// Run serves until ctx is done, and then leaves everything as it is: protected
// addresses fall silent at the end of the lease unless a new daemon renews them.
func (g *Guard) Run(ctx context.Context) error {
	defer close(g.ended)
	defer g.backend.close()
	var until time.Duration
	known, err := g.backend.protected()
	if err != nil {
		return fmt.Errorf("read guarded addresses: %w", err)
	}
	if len(known) > 0 {
		g.log.Info("guarded addresses adopted", "count", len(known))
	}
	for {
		newer := g.until
		if !g.backend.guards() {
			newer = nil // renew takes it when there is an address
		}
		select {
		case <-ctx.Done():
			return nil
		case until = <-newer:
			until = g.renew(until)
		case c := <-g.calls:
			err := c.do()
			if err == nil {
				until = g.renew(until)
			}
			c.done <- err
		}
	}
}

// lateness is how much longer than expected telling the kernel may take before the
// remaining lease it was told counts as stale.
const lateness = 2 * time.Millisecond

// renew tells the kernel what remains, and returns the end that it told: the newest.
// The kernel counts from when it is told, so what telling took the last time is taken
// off. If it took longer now, because this process was paused between reading the clock
// and the kernel's commit, what the kernel has is too long: it is told again at once.
func (g *Guard) renew(until time.Duration) time.Duration {
	for {
		select {
		case until = <-g.until:
		default:
		}
		read := boottime()
		remaining := until - read
		if g.lease != nil && remaining < endless {
			remaining = min(remaining, g.lease.Remaining())
		}
		if err := g.backend.renew(remaining - g.delay); err != nil {
			g.unsure()
			g.log.Error("lease of addresses not renewed; they fall silent when the old one ends", "err", err)
			return until
		}
		took, expected := boottime()-read, g.delay
		g.delay = took
		if remaining <= 0 || took <= expected+lateness {
			return until
		}
	}
}

// endless is more than any lease: what is longer is not to end with one.
const endless = 24 * time.Hour

// boottime is a clock that counts suspended time, as leases do.
func boottime() time.Duration {
	var ts unix.Timespec
	// It cannot fail for a clock that every kernel has, and never waits: the Go scheduler need not know.
	unix.RawSyscall(unix.SYS_CLOCK_GETTIME, unix.CLOCK_BOOTTIME, uintptr(unsafe.Pointer(&ts)), 0)
	return time.Duration(ts.Nano())
}
