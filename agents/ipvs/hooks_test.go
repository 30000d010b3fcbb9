package ipvs

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"systole/agents/ipvs/control"
	"systole/agents/ipvs/director"
)

// A planned end is told where the configuration asks for it, and the process does
// not end before that.
func TestStopTellsHooks(t *testing.T) {
	keep(t, func(d *desk) {
		var mu sync.Mutex
		var told []string
		d.hooks.program = func(_ context.Context, h director.Hook) error {
			time.Sleep(time.Second)
			mu.Lock()
			defer mu.Unlock()
			told = append(told, fmt.Sprint(h.Argv[0], " ", h.Up))
			return nil
		}
		s := shop
		s.Services = strings.Replace(s.Services, "forward=dr", "forward=dr quorum-up=/up quorum-down=/down omega", 1)
		d.become(control.Active, s)
		time.Sleep(2 * time.Second)
		d.must(control.Request{Do: control.Stop})
		d.isTable("")
		<-d.ended
		if want := []string{"/up true", "/down false"}; !slices.Equal(told, want) {
			t.Errorf("told %q, want %q", told, want)
		}
	})
	keep(t, func(d *desk) { // who did not ask for it does not wait for a program that hangs
		d.hooks.program = func(ctx context.Context, _ director.Hook) error { <-ctx.Done(); return nil }
		s := shop
		s.Services = strings.Replace(s.Services, "forward=dr", "forward=dr quorum-up=/hangs", 1)
		d.become(control.Active, s)
		time.Sleep(2 * time.Second)
		began := time.Now()
		d.must(control.Request{Do: control.Stop})
		<-d.ended
		if took := time.Since(began); took != 0 {
			t.Errorf("the stop took %v", took)
		}
	})
}

// A program that hangs holds up the end for its time, and no longer.
func TestHookHangsAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said []string
		h := newHooks(func(s string) { said = append(said, s) })
		h.program = func(ctx context.Context, _ director.Hook) error { <-ctx.Done(); return nil }
		ctx, cancel := context.WithCancel(t.Context())
		go h.run(ctx)
		h.add(director.Hook{Argv: []string{"/hangs"}})
		began := time.Now()
		h.finish(lastHooks)
		if took := time.Since(began); took != lastHooks || len(said) != 1 {
			t.Errorf("the end took %v, want %v; said %q", took, lastHooks, said)
		}
		cancel()
		<-h.done
	})
}
