package secret

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"systole/crm/cluster"
)

// Key names one secret.
type Key struct {
	Resource  string `json:"resource"`
	Parameter string `json:"parameter"`
}

// Entry is a secret as it travels between nodes. A deleted one stays, without a value.
type Entry struct {
	Key
	Value   cluster.Secret `json:"value,omitempty"`
	Deleted bool           `json:"deleted,omitempty"`
	Version uint64         `json:"version"`
	Writer  string         `json:"writer"`
}

// Bounds of what is kept: a parameter must fit into an environment.
const (
	maxValue   = 64 << 10
	maxEntries = 10_000
	maxName    = 255
)

// Check refuses what cannot be a secret of a resource.
func (k Key) Check() error {
	for _, name := range []string{k.Resource, k.Parameter} {
		if name == "" || len(name) > maxName || strings.ContainsAny(name, "/\x00 \t\r\n") {
			return fmt.Errorf("%q cannot be the name of a resource or a parameter", name)
		}
	}
	return nil
}

func (e Entry) check() error {
	if len(e.Value) > maxValue {
		return fmt.Errorf("secret %s of %s: %d bytes are too many, at most %d", e.Parameter, e.Resource, len(e.Value), maxValue)
	}
	if bytes.IndexByte(e.Value, 0) >= 0 {
		return fmt.Errorf("secret %s of %s: a zero byte cannot be handed to an agent", e.Parameter, e.Resource)
	}
	return e.Key.Check()
}

// newer orders two entries of one key, the same on every node.
func newer(a, b Entry) bool {
	gone := func(e Entry) int {
		if e.Deleted {
			return 1
		}
		return 0
	}
	return cmp.Or(cmp.Compare(a.Version, b.Version), cmp.Compare(a.Writer, b.Writer),
		cmp.Compare(gone(a), gone(b)), bytes.Compare(a.Value, b.Value)) > 0
}

// set is all entries by key. It is a value: merge returns a new one.
type set map[Key]Entry

// merge takes in what is newer. changed is false if nothing was.
func (s set) merge(entries []Entry) (merged set, changed bool, err error) {
	merged = maps.Clone(s)
	if merged == nil {
		merged = set{}
	}
	for _, e := range entries {
		if err := e.check(); err != nil {
			return s, false, err
		}
		if old, ok := merged[e.Key]; !ok || newer(e, old) {
			merged[e.Key] = e
			changed = true
		}
	}
	if len(merged) > maxEntries {
		return s, false, errors.New("too many secrets are kept")
	}
	return merged, changed, nil
}

// next is the version of a change made now by one who knows this set.
func (s set) next(now time.Time) uint64 {
	version := uint64(max(now.UnixMicro(), 1))
	for _, e := range s {
		version = max(version, e.Version+1)
	}
	return version
}

// versions is what another node needs to know to tell what this one lacks.
func (s set) versions() []Entry {
	out := s.list()
	for i := range out {
		out[i].Value = nil
	}
	return out
}

// beyond is what one who knows the given versions lacks.
func (s set) beyond(known []Entry) (out []Entry) {
	theirs := map[Key]Entry{}
	for _, e := range known {
		theirs[e.Key] = e
	}
	for _, e := range s.list() {
		k, ok := theirs[e.Key]
		if !ok || k.Version < e.Version || (k.Version == e.Version && k.Writer != e.Writer) {
			out = append(out, e)
		}
	}
	return out
}

// list is in the order of the keys.
func (s set) list() []Entry {
	return slices.SortedFunc(maps.Values(s), func(a, b Entry) int {
		return cmp.Or(cmp.Compare(a.Resource, b.Resource), cmp.Compare(a.Parameter, b.Parameter))
	})
}
