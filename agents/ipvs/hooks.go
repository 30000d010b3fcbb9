package ipvs

import (
	"context"
	"fmt"
	"time"

	"systole/agents/ipvs/director"
	"systole/agents/process"
)

const (
	hookTimeout = 30 * time.Second
	// hooksWaiting bounds the queue: 200 services of 10 servers that all change at
	// once, twice. What comes above is dropped, and said.
	hooksWaiting = 4400
	// lastHooks is for what waits when the director stops. It has to leave time of
	// the operation's own, or a program that hangs would fail the stop.
	lastHooks = 10 * time.Second
)

// hooks runs programs one after the other, outside of the keeper's loop.
type hooks struct {
	queue   chan director.Hook
	done    chan struct{} // closed by run
	say     func(string)
	program func(context.Context, director.Hook) error // runs one
}

func newHooks(say func(string)) *hooks {
	return &hooks{queue: make(chan director.Hook, hooksWaiting), done: make(chan struct{}), say: say, program: runHook}
}

func (h *hooks) add(hook director.Hook) {
	select {
	case h.queue <- hook:
	default:
		h.say(fmt.Sprintf("%s was not run: %d programs wait already", hook.Argv[0], hooksWaiting))
	}
}

// run runs what is added until ctx is done, or all of it is after [hooks.finish].
func (h *hooks) run(ctx context.Context) {
	defer close(h.done)
	for {
		select {
		case <-ctx.Done():
			return
		case hook, more := <-h.queue:
			if !more {
				return
			}
			if err := h.program(ctx, hook); err != nil {
				h.say(fmt.Sprintf("%s: %v", hook.Argv[0], err))
			}
		}
	}
}

// finish waits for what was added, but not long. Nothing may be added after it.
func (h *hooks) finish(limit time.Duration) {
	close(h.queue)
	select {
	case <-h.done:
	case <-time.After(limit):
		h.say(fmt.Sprintf("the programs for changes took more than %v when the director stopped: ended", limit))
	}
}

func runHook(ctx context.Context, hook director.Hook) error {
	ctx, cancel := context.WithTimeout(ctx, hookTimeout)
	defer cancel()
	exit, err := process.Run(ctx, process.Command{Path: hook.Argv[0], Args: hook.Argv[1:], Env: environ(hook)})
	if err == nil && exit.Code != 0 {
		err = fmt.Errorf("exit %d: %s", exit.Code, exit.Text())
	}
	return err
}

// environ tells a hook what happened.
func environ(h director.Hook) []string {
	state := "down"
	if h.Up {
		state = "up"
	}
	env := []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "IPVS_SERVICE=" + h.Virtual.String(), "IPVS_STATE=" + state}
	if h.Server.IsValid() {
		env = append(env, "IPVS_SERVER="+h.Server.String())
	}
	return env
}
