package store

import (
	"time"

	"github.com/hashicorp/raft"
)

// A pre-vote binds nobody in raft. Two candidates that are slow to hear of each other both
// get all of them, each votes for itself, and a whole election time-out is lost: by then the
// leases of healthy nodes have ended. So a voter that has given its pre-vote away waits a
// little with its own candidacy. It gives way to whoever asked before it did, and among
// those that asked at the same time to the first in the order of raft ids: one goes on.

// courtesySlots is how long that is, in slots: the answer to a pre-vote and the request
// for the vote each take less than one.
const courtesySlots = 3

// helped notes that raft gave its pre-vote to a candidate. The lock is held.
func (g *gate) helped(now time.Duration, candidate raft.ServerID, term uint64) {
	if term > g.voter.Floor() && (term > g.asked || candidate < g.self) {
		g.giveWay = now + courtesySlots*g.timing.Slot
	}
}

// mayGoOn waits while another candidate is to go first. It is false when one has, in
// this term or a later one, or the gate was closed.
func (g *gate) mayGoOn(term uint64) bool {
	for {
		g.mu.Lock()
		wait, over := g.giveWay-g.clock(), term <= g.voter.Floor()
		if wait <= 0 && !over {
			g.asked = max(g.asked, term)
		}
		g.mu.Unlock()
		if wait <= 0 || over || !g.sleep(wait) {
			return wait <= 0 && !over
		}
	}
}
