package node

import (
	"fmt"
	"slices"
	"time"
)

// stall is a node that beats and does not follow the log: the index its CIB has
// stood at, and since when, although there is more.
type stall struct {
	applied uint64
	since   time.Time
}

// stallPatience is how long a node may stand still before anybody is told: a
// snapshot of a large CIB takes a second.
const stallPatience = 3 * time.Second

// stalls compares what the nodes have applied with what the DC has.
func stalls(before map[string]stall, applied uint64, heard map[string]hearing, now time.Time) map[string]stall {
	out := map[string]stall{}
	for name, h := range heard {
		if h.applied >= applied {
			continue
		}
		s, ok := before[name]
		if !ok || s.applied != h.applied {
			s = stall{h.applied, now}
		}
		out[name] = s
	}
	return out
}

// stalled is for how long a node has not followed, 0 for one that does. Only the DC knows.
func (n *Node) stalled(name string) time.Duration {
	known := n.stalls.Load()
	if known == nil || !n.store.DC().Active {
		return 0
	}
	s, ok := (*known)[name]
	if took := time.Since(s.since); ok && took >= stallPatience {
		return took
	}
	return 0
}

// stallWarnings are sentences about the nodes that do not follow.
func (n *Node) stallWarnings() []string {
	var out []string
	for _, name := range nodeNames(n.CIB()) {
		if took := n.stalled(name); took > 0 {
			out = append(out, fmt.Sprintf("Node %s has not followed the cluster's log for %v, although it beats: its own log says why; another detect-within than here is one reason.", name, took.Round(time.Second)))
		}
	}
	slices.Sort(out)
	return out
}
