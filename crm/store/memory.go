package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/hashicorp/raft"
)

// Memory is the disk of a simulated node. What a Store wrote before it was stopped is
// there for the next one; Hang makes writes wait, as a dying disk does.
type Memory struct {
	store *raft.InmemStore
	snaps memorySnapshots

	mu   sync.Mutex
	hang chan struct{} // not nil while writes hang
	full bool
}

// NewMemory makes an empty disk.
func NewMemory() *Memory { return &Memory{store: raft.NewInmemStore()} }

var errMemoryFull = fmt.Errorf("simulated disk: %w", ErrFull)

// Hang makes every write from now on wait, or lets all of them go on.
func (m *Memory) Hang(on bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case on && m.hang == nil:
		m.hang = make(chan struct{})
	case !on && m.hang != nil:
		close(m.hang)
		m.hang = nil
	}
}

// Fill makes every write from now on fail for want of space, or no more.
func (m *Memory) Fill(on bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.full = on
}

// write waits while the disk hangs.
func (m *Memory) write() error {
	m.mu.Lock()
	hang, full := m.hang, m.full
	m.mu.Unlock()
	if hang != nil {
		<-hang
	}
	if full {
		return errMemoryFull
	}
	return nil
}

// memoryLog is Memory as raft's log and stable store.
type memoryLog struct {
	*raft.InmemStore
	m *Memory
}

func (l memoryLog) StoreLog(e *raft.Log) error { return l.StoreLogs([]*raft.Log{e}) }

func (l memoryLog) StoreLogs(es []*raft.Log) error {
	if err := l.m.write(); err != nil {
		return err
	}
	return l.InmemStore.StoreLogs(es)
}

func (l memoryLog) Set(k, v []byte) error {
	if err := l.m.write(); err != nil {
		return err
	}
	return l.InmemStore.Set(k, v)
}

func (l memoryLog) SetUint64(k []byte, v uint64) error {
	if err := l.m.write(); err != nil {
		return err
	}
	return l.InmemStore.SetUint64(k, v)
}

// memorySnapshots keeps the newest complete snapshot; raft's own in-memory store
// shows a snapshot before it is complete.
type memorySnapshots struct {
	mu   sync.Mutex
	meta *raft.SnapshotMeta
	data []byte
}

type memorySink struct {
	of   *memorySnapshots
	meta raft.SnapshotMeta
	bytes.Buffer
}

func (s *memorySnapshots) Create(v raft.SnapshotVersion, index, term uint64, c raft.Configuration, ci uint64, _ raft.Transport) (raft.SnapshotSink, error) {
	return &memorySink{of: s, meta: raft.SnapshotMeta{
		Version: v, ID: fmt.Sprintf("%d-%d", term, index), Index: index, Term: term, Configuration: c, ConfigurationIndex: ci,
	}}, nil
}

func (s *memorySnapshots) List() ([]*raft.SnapshotMeta, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.meta == nil {
		return nil, nil
	}
	meta := *s.meta
	return []*raft.SnapshotMeta{&meta}, nil
}

func (s *memorySnapshots) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.meta == nil || s.meta.ID != id {
		return nil, nil, errors.New("no such snapshot: " + id)
	}
	meta := *s.meta
	return &meta, io.NopCloser(bytes.NewReader(s.data)), nil
}

func (s *memorySink) ID() string    { return s.meta.ID }
func (s *memorySink) Cancel() error { return nil }

func (s *memorySink) Close() error {
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	s.meta.Size = int64(s.Len())
	s.of.meta, s.of.data = &s.meta, slices.Clone(s.Bytes())
	return nil
}
