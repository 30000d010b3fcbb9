package watchdog

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// bark is a watchdog that remembers whether it would have reset the machine.
type bark struct {
	mu       sync.Mutex
	timer    *time.Timer
	reset    bool
	disarmed bool
}

const timeout = 10 * time.Second

func newBark() *bark {
	b := &bark{}
	b.timer = time.AfterFunc(timeout, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.reset = true
	})
	return b
}

func (b *bark) Feed() error            { b.timer.Reset(timeout); return nil }
func (b *bark) Disarm() error          { b.timer.Stop(); b.disarmed = true; return nil }
func (b *bark) Timeout() time.Duration { return timeout }

func (b *bark) state() (reset, disarmed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.reset, b.disarmed
}

func TestFedWhileItMayLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBark()
		var mu sync.Mutex
		may := true
		w := Watchdog{Device: b, Log: slog.New(slog.DiscardHandler), May: func() bool {
			mu.Lock()
			defer mu.Unlock()
			return may
		}}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- w.Run(ctx) }()

		time.Sleep(time.Hour)
		if reset, _ := b.state(); reset {
			t.Fatal("reset although it may live")
		}
		mu.Lock()
		may = false
		mu.Unlock()
		began := time.Now()
		for reset := false; !reset; reset, _ = b.state() {
			time.Sleep(100 * time.Millisecond)
			if time.Since(began) > timeout+time.Second {
				t.Fatal("no reset although it may not live")
			}
		}
		cancel()
		if err := <-done; err == nil {
			t.Error("ended without a word although the watchdog stays armed")
		}
		if _, disarmed := b.state(); disarmed {
			t.Error("disarmed although it may not live")
		}
	})
}

func TestDisarmedAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBark()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		w := Watchdog{Device: b, Log: slog.New(slog.DiscardHandler), May: func() bool { return true }}
		if err := w.Run(ctx); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if reset, disarmed := b.state(); reset || !disarmed {
			t.Errorf("reset %v, disarmed %v", reset, disarmed)
		}
	})
}
