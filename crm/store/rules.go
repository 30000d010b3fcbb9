package store

// rules are rules of the gate that a test may switch off, to see the hole each one
// closes. The zero value keeps them all; nothing outside tests sets one.
type rules struct {
	noStartWait    bool // V3: a restarted voter votes at once
	obeyTimeoutNow bool // V4: TimeoutNow from anyone
	transferFlag   bool // V2: a vote with raft's transfer flag breaks a promise
	fastPath       bool // heartbeats pass beside raft's main loop
	countArrival   bool // D1: a grant counts from the arrival of the answer
	noStall        bool // D2: a hung disk changes nothing
	pipeline       bool // D2: appends are pipelined
	noLease        bool // D1: leading is enough to be the DC
	selfless       bool // D1: a DC helps others while its own services count on its lease
	chatty         bool // every message of raft's goes out, whatever datagrams have said
	rude           bool // a candidate does not wait for one it has helped
	noBarrier      bool // the DC acts before it has applied everything committed
}
