package store

import (
	"errors"
	"fmt"

	"systole/crm/command"
)

var (
	// ErrMaybe is wrapped when an entry may or may not be committed: the answer was
	// lost with the leadership or with the caller's patience.
	ErrMaybe = errors.New("the outcome is unknown: the change may still be committed")
	// ErrLeaseLost refuses a linearizable read: this node leads, but its DC lease is
	// not valid now.
	ErrLeaseLost = errors.New("the DC lease is not valid now: a majority of voters has not answered")
	// ErrTooLarge refuses an entry above command.MaxEntry.
	ErrTooLarge = command.ErrTooLarge
	// ErrClosed is returned by everything once the store has stopped.
	ErrClosed = errors.New("the store is closed")

	// ErrCorrupt means that raft.db or the snapshots cannot be read. The node must be
	// taken out and join again with an empty directory, under a new raft id.
	ErrCorrupt = errors.New("the store is damaged")
	// ErrFull means that there is no room for the store.
	ErrFull = errors.New("no space left for the store")
	// ErrLocked means that another process has the store open.
	ErrLocked = errors.New("the store is in use by another process")
	// ErrMissing means that raft.db is gone although the directory was in use.
	ErrMissing = errors.New("the store's log is missing")
)

// NotLeaderError says that this node does not lead, and who does as far as it knows.
type NotLeaderError struct{ Leader, Addr string }

func (e *NotLeaderError) Error() string {
	if e.Leader == "" {
		return "there is no DC now: no voter has been elected"
	}
	return fmt.Sprintf("this node is not the DC; %s at %s is", e.Leader, e.Addr)
}

// EntryError takes a node out of service: it cannot apply a committed entry, so its
// CIB would differ from the others'.
type EntryError struct {
	Index uint64
	Err   error
}

func (e *EntryError) Error() string {
	return fmt.Sprintf("log entry %d cannot be applied by this version: %v; upgrade this node", e.Index, e.Err)
}

func (e *EntryError) Unwrap() error { return e.Err }
