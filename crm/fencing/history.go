package fencing

import (
	"slices"
	"sync"
	"time"
)

// Event is one fencing, asked for or done.
type Event struct {
	Target, Action         string
	State                  State
	Delegate               string
	Client, Origin, Reason string
	Requested, Completed   time.Time
}

// State of an event.
type State string

// The states.
const (
	Pending State = "pending"
	Success State = "success"
	Failed  State = "failed"
)

// historyKept bounds the events kept (Pacemaker's fencer keeps 500).
const historyKept = 500

// History remembers what this node, as DC, asked for. The zero value is ready;
// safe for concurrent use. It ends with the daemon: what was fenced is in the CIB.
type History struct {
	mu     sync.Mutex
	events []*Event
}

// Begin records a request; the returned function records its outcome.
func (h *History) Begin(e Event) (end func(delegate string, err error, at time.Time)) {
	e.State = Pending
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events = append(h.events, &e)
	if len(h.events) > historyKept {
		h.events = slices.Delete(h.events, 0, len(h.events)-historyKept)
	}
	return func(delegate string, err error, at time.Time) {
		h.mu.Lock()
		defer h.mu.Unlock()
		e.Delegate, e.Completed, e.State = delegate, at, Success
		if err != nil {
			e.State, e.Reason = Failed, err.Error()
		}
	}
}

// List is newest first; an empty target means all.
func (h *History) List(target string) []Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []Event
	for _, e := range slices.Backward(h.events) {
		if target == "" || e.Target == target {
			out = append(out, *e)
		}
	}
	return out
}

// Forget drops finished events of a target, or of all.
func (h *History) Forget(target string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events = slices.DeleteFunc(h.events, func(e *Event) bool {
		return e.State != Pending && (target == "" || e.Target == target)
	})
}
