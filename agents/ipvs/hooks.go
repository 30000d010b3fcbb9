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
)

// hooks runs programs one after the other, outside of the keeper's loop.
type hooks struct {
	queue chan director.Hook
	say   func(string)
}

func newHooks(say func(string)) *hooks {
	return &hooks{queue: make(chan director.Hook, hooksWaiting), say: say}
}

func (h *hooks) add(hook director.Hook) {
	select {
	case h.queue <- hook:
	default:
		h.say(fmt.Sprintf("%s was not run: %d programs wait already", hook.Argv[0], hooksWaiting))
	}
}

// run runs what is added until ctx is done.
func (h *hooks) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case hook := <-h.queue:
			h.once(ctx, hook)
		}
	}
}

func (h *hooks) once(ctx context.Context, hook director.Hook) {
	ctx, cancel := context.WithTimeout(ctx, hookTimeout)
	defer cancel()
	exit, err := process.Run(ctx, process.Command{Path: hook.Argv[0], Args: hook.Argv[1:], Env: environ(hook)})
	if err == nil && exit.Code != 0 {
		err = fmt.Errorf("exit %d: %s", exit.Code, exit.Text())
	}
	if err != nil {
		h.say(fmt.Sprintf("%s: %v", hook.Argv[0], err))
	}
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
