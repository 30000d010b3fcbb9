package ipvs

import (
	"log/slog"
	"slices"
	"sync"
	"time"

	"systole/agents/ipvs/control"
)

// eventsKept are shown by status; the log has them all.
const eventsKept = 100

// events are what happened last. Safe for concurrent use.
type events struct {
	log *slog.Logger

	mu   sync.Mutex
	ring []control.Event
}

func (e *events) add(text string) {
	e.log.Info(text)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ring = append(e.ring, control.Event{Time: time.Now(), Text: text})
	if over := len(e.ring) - eventsKept; over > 0 {
		e.ring = slices.Delete(e.ring, 0, over)
	}
}

func (e *events) last() []control.Event {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.ring)
}
