package lease

import (
	"testing"
	"time"
)

// hour is some instant on the clock; nothing depends on it.
const hour = time.Hour

func newTestVoter() *Voter { return NewVoter(Default(), 6, hour-time.Second) }

func TestVoterKeepsItsPromise(t *testing.T) {
	v := newTestVoter()
	if !v.Heard(hour, "x", 7) {
		t.Fatal("a leader of a new term was refused")
	}
	p := Default().Promise
	if v.Vote(hour+p-1, "y", 8) {
		t.Error("voted for another before the promise ended")
	}
	if !v.Vote(hour+p-1, "x", 8) {
		t.Error("refused the leader promised to")
	}
	v.Settle(8, false)
	if !v.Vote(hour+p, "y", 8) {
		t.Error("refused after the promise ended")
	}
	if v.Heard(hour+p, "x", 7) {
		t.Error("answered the old leader while the new one's vote is being written")
	}
	v.Settle(8, true)
	if v.Heard(hour+p, "x", 7) {
		t.Error("answered the old leader after voting for a new one")
	}
	if !v.Heard(hour+p, "y", 8) {
		t.Error("refused the new leader")
	}
}

func TestVoterAfterAStartIsBoundToNobody(t *testing.T) {
	v := NewVoter(Default(), 6, hour)
	p := Default().Promise
	if v.Vote(hour+p-1, "x", 9) || v.Vote(hour+p-1, "", 9) {
		t.Error("voted within one promise of its start")
	}
	if v.Heard(hour, "x", 5) {
		t.Error("answered a leader below the stored term")
	}
	if !v.Heard(hour+p/2, "x", 6) {
		t.Error("refused the leader of the stored term")
	}
	if !v.Vote(hour+2*p, "y", 7) {
		t.Error("refused for ever")
	}
}

// Two requests may be with raft at once; the floor comes down only when neither was taken.
func TestVoterFloorWithVotesUnderWay(t *testing.T) {
	for _, c := range []struct {
		first, second bool
		floor         uint64
	}{{false, false, 6}, {true, false, 8}, {false, true, 8}, {true, true, 8}} {
		v := newTestVoter()
		if !v.Vote(hour, "x", 8) || !v.Vote(hour, "y", 8) {
			t.Fatal("refused")
		}
		v.Settle(8, c.first)
		if v.Floor() != 8 {
			t.Error("the floor came down with a vote under way")
		}
		v.Settle(8, c.second)
		if v.Floor() != c.floor {
			t.Errorf("taken %v, %v: floor %d, want %d", c.first, c.second, v.Floor(), c.floor)
		}
	}
}

func TestVoterRelease(t *testing.T) {
	v := newTestVoter()
	v.Heard(hour, "x", 7)
	if v.Release("y", 7) || v.Release("x", 6) {
		t.Error("released by somebody else, or for another term")
	}
	if v.MayTimeoutNow("x") {
		t.Error("TimeoutNow without a release")
	}
	if !v.Release("x", 7) {
		t.Fatal("the leader may not release")
	}
	if v.Heard(hour+1, "x", 7) {
		t.Error("promised again after the release")
	}
	if v.MayTimeoutNow("y") || !v.MayTimeoutNow("x") {
		t.Error("TimeoutNow must come from the leader that released")
	}
	if !v.Vote(hour+1, "y", 8) {
		t.Error("still bound after the release")
	}
	v.Settle(8, true)
	if !v.Heard(hour+2, "y", 8) || v.MayTimeoutNow("x") {
		t.Error("the next term begins without a release")
	}
}

func TestVoterOneLeaderForATerm(t *testing.T) {
	v := newTestVoter()
	v.Heard(hour, "x", 7)
	if v.Heard(hour, "z", 7) {
		t.Error("promised to two leaders of one term")
	}
	if v.MayCampaign(hour+1, "z") || !v.MayCampaign(hour+1, "x") {
		t.Error("a pre-vote must tell what the vote would be")
	}
}
