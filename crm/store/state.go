package store

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"systole/crm/cib"
	"systole/crm/command"
)

// machine is the replicated state: what raft's log does. Raft calls it from one
// goroutine; readers take the published snapshot.
type machine struct {
	fail  func(error) // an entry this node cannot apply takes it out of service
	moved func()      // is told when reached has grown; must not wait

	reached atomic.Uint64 // index applied last

	cib     *cib.CIB
	index   uint64
	term    uint64
	mark    mark
	history history
	dead    bool

	out level[Snapshot]

	mu   sync.Mutex // guards what readers may ask for
	seen state
	slow time.Duration
}

// state is the replicated state at one index; immutable.
type state struct {
	cib     *cib.CIB
	index   uint64
	term    uint64
	mark    mark
	history history
}

// mark says whose own services have their right from its DC lease since which term; see MarkDC.
type mark struct {
	Node string
	Term uint64
}

func newMachine(fail func(error)) *machine {
	m := &machine{fail: fail, moved: func() {}, cib: cib.Empty()}
	m.publish()
	return m
}

// Apply is required by raft.FSM; raft calls ApplyBatch instead.
func (m *machine) Apply(l *raft.Log) any { return m.ApplyBatch([]*raft.Log{l})[0] }

// ApplyBatch applies committed entries and publishes once.
func (m *machine) ApplyBatch(logs []*raft.Log) []any {
	start := time.Now()
	out := make([]any, len(logs))
	for i, l := range logs {
		if m.dead {
			break // the node is stopping; what follows was not applied here
		}
		if l.Type == raft.LogCommand {
			out[i] = m.apply(l)
		}
		if !m.dead {
			m.index, m.term = l.Index, l.Term
		}
	}
	m.publish()
	m.took(time.Since(start))
	return out
}

// apply makes one entry's change.
func (m *machine) apply(l *raft.Log) any {
	if len(l.Extensions) > 0 {
		node, err := decodeMark(l.Extensions)
		if err != nil {
			m.stop(l.Index, err)
			return err
		}
		m.mark = mark{node, l.Term}
		return nil
	}
	e, err := command.Decode(l.Data)
	if err != nil {
		m.stop(l.Index, err)
		return err
	}
	before := m.cib
	after, reply := command.Apply(before, e)
	m.cib = after
	if after.Configuration() != before.Configuration() {
		m.history = m.history.with(l.Index, after, e)
	}
	return reply
}

// stop takes the node out of service: going on without an entry would give it
// another CIB than the others have.
func (m *machine) stop(index uint64, err error) {
	m.dead = true
	m.fail(&EntryError{Index: index, Err: err})
}

func (m *machine) publish() {
	m.mu.Lock()
	m.seen = state{m.cib, m.index, m.term, m.mark, m.history}
	m.mu.Unlock()
	m.reached.Store(m.index)
	m.moved()
	m.out.set(func(next <-chan struct{}) Snapshot {
		return Snapshot{CIB: m.cib, Index: m.index, Term: m.term, Next: next}
	})
}

// state is what was published last.
func (m *machine) state() state {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.seen
}

func (m *machine) took(d time.Duration) {
	m.mu.Lock()
	m.slow = max(m.slow, d)
	m.mu.Unlock()
}

// slowest is the longest ApplyBatch or Restore so far.
func (m *machine) slowest() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.slow
}

// level holds a value that readers want the newest of, and lets them wait for the next.
type level[T any] struct {
	mu   sync.Mutex
	v    T
	next chan struct{}
}

// set replaces the value; it is made with the channel that the following set closes.
func (l *level[T]) set(with func(next <-chan struct{}) T) {
	l.mu.Lock()
	defer l.mu.Unlock()
	old := l.next
	l.next = make(chan struct{})
	l.v = with(l.next)
	if old != nil {
		close(old)
	}
}

func (l *level[T]) get() T {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.v
}
