package realserver

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vishvananda/netlink"

	"systole/resources"
)

func TestAwait(t *testing.T) {
	oops := errors.New("oops")
	for _, tt := range []struct {
		name         string
		limit, quiet time.Duration
		busyFor      time.Duration // connections are there as long
		fails        error
		left         int
		took         time.Duration
	}{
		{name: "nothing there, nobody told", limit: time.Minute, left: 0, took: 0},
		{name: "nothing there", limit: time.Minute, quiet: time.Second, left: 0, took: time.Second},
		{name: "busy, then quiet", limit: time.Minute, quiet: time.Second, busyFor: 5 * time.Second, left: 0, took: 6 * time.Second},
		{name: "busy for ever", limit: 3 * time.Second, quiet: time.Second, busyFor: time.Hour, left: 2, took: 3 * time.Second},
		{name: "not countable", limit: 3 * time.Second, fails: oops, left: -1, took: 3 * time.Second},
		{name: "not quiet long enough", limit: 500 * time.Millisecond, quiet: time.Second, left: 0, took: 500 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), tt.limit)
				defer cancel()
				began := time.Now()
				left, err := await(ctx, tt.quiet, func() (int, error) {
					if time.Since(began) < tt.busyFor {
						return 2, tt.fails
					}
					return 0, tt.fails
				})
				took := time.Since(began)
				if left != tt.left || !errors.Is(err, tt.fails) || took < tt.took-lookEvery || took > tt.took+lookEvery {
					t.Errorf("%d left, %v, after %v; want %d after %v", left, err, took, tt.left, tt.took)
				}
			})
		})
	}
}

// A cluster that does not take the word costs no more than the drain may: what
// outlasts its operation is a failed stop, and a fenced node.
func TestSlowWordIsPartOfTheLimit(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	c := config{drain: time.Hour, mode: nat, ports: []uint16{netip.MustParseAddrPort(l.Addr().String()).Port()}}
	for name, word := range map[string]time.Duration{"slow": 10 * time.Second, "never": time.Hour} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				var said error
				a := New(Config{Dir: dir, Log: slog.New(slog.DiscardHandler), Attribute: func(ctx context.Context, _ resources.Op, _, _ string) error {
					select {
					case <-time.After(word):
					case <-ctx.Done():
						said = ctx.Err()
					}
					return said
				}})
				const whole = 20 * time.Second
				ctx, cancel := context.WithTimeout(t.Context(), whole)
				defer cancel()
				began := time.Now()
				note := a.drain(ctx, c, resources.Op{}, "rs")
				if took := time.Since(began); took != whole-reserve || (said != nil) != (word > whole) || !strings.HasPrefix(note, "1 connections left") {
					t.Errorf("after %v: %q, the word: %v; want one connection left after %v", took, note, said, whole-reserve)
				}
			})
		})
	}
}

func TestBusy(t *testing.T) {
	for _, tt := range []struct {
		what    string
		s       netlink.Socket
		dr, nat bool
	}{
		{"established", netlink.Socket{State: 1}, true, true},
		{"listening", netlink.Socket{State: 10}, false, false},
		{"closed just now", netlink.Socket{State: stateTimeWait, Timer: timerRemembers, Expires: 59_900}, true, false},
		{"closed two seconds ago", netlink.Socket{State: stateTimeWait, Timer: timerRemembers, Expires: 58_000}, false, false},
	} {
		if dr, nat := (config{}).busy(&tt.s), (config{mode: nat}).busy(&tt.s); dr != tt.dr || nat != tt.nat {
			t.Errorf("%s: busy %v, behind NAT %v; want %v, %v", tt.what, dr, nat, tt.dr, tt.nat)
		}
	}
}

func TestServes(t *testing.T) {
	for params, want := range map[string][2]bool{ // VIP port 80, another address port 443
		"vip=192.0.2.1":          {true, false},
		"vip=192.0.2.1,ports=80": {true, false},
		"vip=192.0.2.1,ports=81": {false, false},
		"vip=192.0.2.1,mode=nat": {false, false},
		"mode=nat,ports=80 443":  {true, true},
	} {
		c, err := read(parameters(params))
		got := [2]bool{c.serves(netip.MustParseAddr("192.0.2.1"), 80), c.serves(netip.MustParseAddr("10.0.0.1"), 443)}
		if err != nil || got != want {
			t.Errorf("%s: %v, %v, want %v", params, got, err, want)
		}
	}
}
