package node

import (
	"context"
	"sync"
)

// queue hands values from many goroutines to one, in order, without ever making
// the sender wait. Its length is bounded by what the senders can owe: events of
// the detector and answers to effects, a few for each node and action.
type queue[T any] struct {
	mu    sync.Mutex
	items []T
	more  chan struct{}
}

func newQueue[T any]() *queue[T] { return &queue[T]{more: make(chan struct{}, 1)} }

// post appends.
func (q *queue[T]) post(v T) {
	q.mu.Lock()
	q.items = append(q.items, v)
	q.mu.Unlock()
	select {
	case q.more <- struct{}{}:
	default:
	}
}

// take removes and returns everything that waits.
func (q *queue[T]) take() []T {
	q.mu.Lock()
	defer q.mu.Unlock()
	items := q.items
	q.items = nil
	return items
}

// next waits for at least one value; false when ctx is done.
func (q *queue[T]) next(ctx context.Context) ([]T, bool) {
	for {
		if items := q.take(); len(items) > 0 {
			return items, true
		}
		select {
		case <-ctx.Done():
			return nil, false
		case <-q.more:
		}
	}
}
