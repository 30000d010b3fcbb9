package vip

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"time"
)

// announcers tell the link again and again where the addresses of this node
// are. Each address has at most one, with a goroutine that ends with stop, when
// the address or the lease is gone, or with close.
type announcers struct {
	mu      sync.Mutex
	running map[netip.Addr]*announcer
	closed  bool
	tasks   sync.WaitGroup
}

type announcer struct{ cancel context.CancelFunc }

// start begins announcing in the background; an earlier one of the address ends.
func (as *announcers) start(ip netip.Addr, run func(context.Context)) {
	as.mu.Lock()
	defer as.mu.Unlock()
	if as.closed {
		return
	}
	as.endLocked(ip)
	ctx, cancel := context.WithCancel(context.Background())
	a := &announcer{cancel}
	as.running[ip] = a
	as.tasks.Go(func() {
		defer cancel()
		run(ctx)
		as.mu.Lock()
		defer as.mu.Unlock()
		if as.running[ip] == a {
			delete(as.running, ip)
		}
	})
}

// active tells whether the address is being announced.
func (as *announcers) active(ip netip.Addr) bool {
	as.mu.Lock()
	defer as.mu.Unlock()
	return as.running[ip] != nil
}

func (as *announcers) end(ip netip.Addr) {
	as.mu.Lock()
	defer as.mu.Unlock()
	as.endLocked(ip)
}

func (as *announcers) endLocked(ip netip.Addr) {
	if a := as.running[ip]; a != nil {
		a.cancel()
		delete(as.running, ip)
	}
}

// close ends all and waits for them.
func (as *announcers) close() {
	as.mu.Lock()
	as.closed = true
	for ip := range as.running {
		as.endLocked(ip)
	}
	as.mu.Unlock()
	as.tasks.Wait()
}

// repeat announces count times, an interval apart, then once each refresh. It
// makes sure of the right to before every frame, and ends when it is gone.
func (c config) repeat(ctx context.Context, log *slog.Logger, p place, count int, mine func() bool) {
	s, err := openSocket(p, 0)
	if err != nil {
		log.Warn("address is not announced", "vip", c.ip, "dev", p.device(), "err", err)
		return
	}
	defer s.close()
	for sent := 0; ; sent++ {
		wait := c.interval
		if sent >= count {
			if wait = c.refresh; wait <= 0 {
				return
			}
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		if !mine() {
			return
		}
		if err := c.announce(s, p); err != nil {
			log.Warn("announcement not sent", "vip", c.ip, "dev", p.device(), "err", err)
		}
	}
}
