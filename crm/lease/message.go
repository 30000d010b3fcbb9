package lease

import "time"

// Record is what a node promises in each beat, and what the DC commits to the CIB
// before it answers: a grant says that the record of the beat is committed. A later DC
// reads it there.
type Record struct {
	// Policy the node acts on when its lease ends.
	Policy Policy
	// GiveUp is the node's own G; 0 means Timing.GiveUp.
	GiveUp time.Duration
	// Restart is a lease longer than N, asked for by a node that is about to restart
	// its daemon and that nobody renews meanwhile; 0 is none. At most MaxRestart.
	Restart time.Duration
}

// MaxRestart bounds a restart grant: while one stands, a node that really died is
// missed for that long. Five minutes cover a package upgrade with a slow disk.
const MaxRestart = 5 * time.Minute

// Beat is the node's question "may I go on?", sent every Timing.Beat.
type Beat struct {
	Node        string
	Incarnation uint64        // of this run of the daemon; grows with every start
	Seq         uint64        // of this beat within the incarnation, from 1
	Sent        time.Duration // the node's own clock; nobody else interprets it
	Term        uint64        // highest term acknowledged: orders of older terms are refused
	Applied     uint64        // raft index the node's CIB has reached
	Record      Record        // what the node promises from this beat on
	Leaving     bool          // stops on purpose: everything here is stopped, do not miss me
}

// Grant answers one beat. Only a DC whose lease is valid sends it, only to a beat that
// has acknowledged its term and whose record is committed.
type Grant struct {
	DC          string
	Term        uint64
	Node        string        // whose beat this answers
	Incarnation uint64        // of that beat
	Seq         uint64        // of that beat
	Length      time.Duration // the node's lease, from the beat's sending: N, or a committed restart grant
}

// Hello is said by a new DC to every node, and answers beats of an older term:
// acknowledge my term with a beat, now.
type Hello struct {
	DC   string
	Term uint64
}

// Renew asks a voter to promise again to the leader of a term, as raft's heartbeats
// do. Those travel on streams, where one lost segment costs at least 200 ms; with this
// beside them a lost packet costs one beat.
type Renew struct {
	Leader string // raft id
	Term   uint64
	Sent   time.Duration // the leader's own clock
}

// Renewed says that the voter has promised. It counts from when the Renew was sent.
type Renewed struct {
	Voter  string // raft id
	Leader string
	Term   uint64
	Sent   time.Duration // of the Renew
	Commit uint64        // commit index of the voter's raft; 0 when it does not follow this leader yet
}

// Message is one of the datagrams above; see [Encode].
type Message interface{ message() }

func (Beat) message()    {}
func (Grant) message()   {}
func (Hello) message()   {}
func (Renew) message()   {}
func (Renewed) message() {}
