package store

import "time"

// MemberChange is one membership change to make.
type MemberChange struct {
	ID      string // raft id
	Promote bool   // else demote
	Why     string
}

// Peer is what the DC knows of a server's node.
type Peer struct {
	Dead   time.Duration // how long it has been lost; 0 while it is heard
	Behind uint64        // entries it has not applied yet
}

// The rules of NextChange.
const (
	// DefaultVoters of a cluster vote; five survive two losses, and more would only
	// make commits slower.
	DefaultVoters = 5
	// DeadVoter is how long a voter must be lost before a non-voter takes its place.
	DeadVoter = 5 * time.Minute
	// caughtUp is how far behind a non-voter may be when it gets its vote.
	caughtUp = 128
)

// NextChange says which one membership change brings the configuration nearer to the
// rule that the first want servers vote: a server that has caught up is promoted while
// votes are free, and a voter dead for long yields to a living non-voter. One change
// at a time; ask again once it is committed. False when there is nothing to do.
func NextChange(servers []Server, peers map[string]Peer, want int) (MemberChange, bool) {
	voters := 0
	var dead, next *Server
	for i, v := range servers {
		p, known := peers[v.Node]
		switch {
		case v.Voter:
			voters++
			if known && p.Dead >= DeadVoter && dead == nil {
				dead = &servers[i]
			}
		case known && p.Dead == 0 && p.Behind <= caughtUp && next == nil:
			next = &servers[i]
		}
	}
	switch {
	case next != nil && voters < want:
		return MemberChange{ID: next.ID, Promote: true, Why: "a vote is free"}, true
	case next != nil && dead != nil:
		return MemberChange{ID: dead.ID, Why: "lost for " + DeadVoter.String() + "; " + next.Node + " takes its vote"}, true
	}
	return MemberChange{}, false
}
