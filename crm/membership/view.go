package membership

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

// view is what memberlist's callbacks have told, and what it asks about this
// node. The callbacks come under memberlist's own lock: they only note.
type view struct {
	compatible func(protocol int) error
	events     chan Event

	mu     sync.Mutex // guards what follows; never held while waiting
	known  map[string]Member
	meta   Meta
	coded  []byte // meta as JSON
	closed bool
}

// eventQueue holds a few changes of every node of the largest cluster.
const eventQueue = 256

func newView(compatible func(int) error) *view {
	return &view{compatible: compatible, events: make(chan Event, eventQueue), known: map[string]Member{}}
}

func (v *view) setMeta(m Meta) error {
	b, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("membership: metadata: %w", err)
	}
	if len(b) > MaxMeta {
		return fmt.Errorf("membership: metadata has %d bytes, more than %d", len(b), MaxMeta)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.meta, v.coded = m, b
	return nil
}

func (v *view) ownMeta() Meta {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.meta
}

func (v *view) members() []Member {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Collect(maps.Values(v.known))
}

func (v *view) state(name string) State {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.known[name].State
}

// alive says whether some node at this address is.
func (v *view) alive(addr string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, m := range v.known {
		if m.Addr == addr && m.State == StateAlive {
			return true
		}
	}
	return false
}

// note records a change and queues its event, dropping the oldest of a full queue.
func (v *view) note(kind EventKind, n *memberlist.Node, state State) {
	m := Member{Name: n.Name, Addr: n.Address(), State: state, Since: time.Now(), Meta: decodeMeta(n.Meta)}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		return
	}
	if kind != EventConflict {
		if old := v.known[m.Name]; old.State == state {
			m.Since = old.Since
		}
		v.known[m.Name] = m
	}
	for {
		select {
		case v.events <- Event{kind, m}:
			return
		default:
		}
		select {
		case <-v.events:
		default:
		}
	}
}

func (v *view) ended() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.closed
}

func (v *view) close() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.closed = true
	close(v.events)
}

// decodeMeta reads another node's metadata; what cannot be read is left out,
// since a newer version may say more than we know.
func decodeMeta(b []byte) Meta {
	var m Meta
	if json.Unmarshal(b, &m) != nil {
		return Meta{}
	}
	return m
}

// NotifyJoin implements memberlist.EventDelegate.
func (v *view) NotifyJoin(n *memberlist.Node) { v.note(EventJoined, n, StateAlive) }

// NotifyUpdate implements memberlist.EventDelegate.
func (v *view) NotifyUpdate(n *memberlist.Node) { v.note(EventUpdated, n, StateAlive) }

// NotifyLeave implements memberlist.EventDelegate. memberlist does not tell a
// node that left from one that failed; the node's own last word does.
func (v *view) NotifyLeave(n *memberlist.Node) {
	if decodeMeta(n.Meta).Leaving {
		v.note(EventLeft, n, StateLeft)
		return
	}
	v.note(EventFailed, n, StateFailed)
}

// NotifyConflict implements memberlist.ConflictDelegate.
func (v *view) NotifyConflict(_, other *memberlist.Node) { v.note(EventConflict, other, StateAlive) }

// NotifyAlive implements memberlist.AliveDelegate: an incompatible node is not taken in.
func (v *view) NotifyAlive(n *memberlist.Node) error {
	if v.compatible == nil {
		return nil
	}
	return v.compatible(decodeMeta(n.Meta).Protocol)
}

// NodeMeta implements memberlist.Delegate.
func (v *view) NodeMeta(int) []byte {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.coded
}

// The rest of memberlist.Delegate carries user data, of which there is none.

// NotifyMsg implements memberlist.Delegate.
func (v *view) NotifyMsg([]byte) {}

// GetBroadcasts implements memberlist.Delegate.
func (v *view) GetBroadcasts(_, _ int) [][]byte { return nil }

// LocalState implements memberlist.Delegate.
func (v *view) LocalState(bool) []byte { return nil }

// MergeRemoteState implements memberlist.Delegate.
func (v *view) MergeRemoteState([]byte, bool) {}
