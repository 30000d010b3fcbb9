package mysql

import (
	"slices"
)

// Sight is what the primary sees when it looks after its members.
type Sight struct {
	// Connected are the nodes whose replicas fetch from it.
	Connected []string
	// Confirming is how many of them take part in semi-synchronous replication.
	Confirming int
	// Waiting says that commits wait for a confirmation (semi-sync is on).
	Waiting bool
	// Stopped are the nodes where the cluster says that no instance runs.
	Stopped []string
	Notes   map[string]Note
}

// Plan is what the primary does next, in this order: if Probe, write something
// and see it confirmed (give up the plan if it is not); put Note on record;
// set semi-sync to Wait.
type Plan struct {
	Note  Note
	Probe bool
	Wait  bool
}

// PlanMembers decides who may confirm. It keeps two promises: whoever may have
// confirmed a transaction is on record before it does, and is only taken off
// when another member is known to hold all, or when the record says that the
// primary is alone before a commit stops waiting.
func PlanMembers(note Note, s Sight) Plan {
	p := Plan{Note: note, Wait: s.Waiting}
	p.Note.With = slices.Clone(note.With)

	gone := func(m Member) bool {
		n := s.Notes[m.Node]
		resigned := n.Role == RoleReplica && note.Is(n.Term, n.Nonce) && n.Gen == m.Gen && n.State == StateOut
		return resigned || slices.Contains(s.Stopped, m.Node)
	}
	stays := slices.DeleteFunc(slices.Clone(note.With), gone)
	connected := slices.ContainsFunc(stays, func(m Member) bool { return slices.Contains(s.Connected, m.Node) })
	cutOff := s.Waiting && (s.Confirming == 0 || !connected) // then commits wait, maybe for ever
	switch {
	case len(stays) < len(note.With) && (len(stays) == 0 || !s.Waiting):
		p.Note.With = stays // alone, or it never confirmed
	case len(stays) < len(note.With) && !cutOff:
		p.Note.With, p.Probe = stays, true
		return p
	case len(stays) > 0 && cutOff:
		for i := range p.Note.With {
			p.Note.With[i].Leaving = true
		}
		return p
	}
	for _, node := range s.Connected {
		if _, is := p.Note.Member(node); !is && !slices.Contains(s.Stopped, node) {
			p.Note.Gen++
			p.Note.With = append(p.Note.With, Member{Node: node, Gen: p.Note.Gen})
		}
	}
	p.Wait = len(p.Note.With) > 0 && s.Confirming > 0
	return p
}

// Duty is what a replica does about its membership.
type Duty int

// The duties: nothing; begin to confirm (the note first); see whether it holds
// all, and say so; stop confirming and say so.
const (
	DutyNone Duty = iota
	DutyConfirm
	DutyCatchUp
	DutyResign
)

// ReplicaDuty compares what the primary has on record with the replica's own note.
func ReplicaDuty(node string, primary, own Note) Duty {
	m, is := primary.Member(node)
	mine := own.Role == RoleReplica && primary.Is(own.Term, own.Nonce) && own.Gen == m.Gen
	switch {
	case !is:
		return DutyNone
	case m.Leaving && mine && own.State == StateOut:
		return DutyNone
	case m.Leaving:
		return DutyResign
	case !mine:
		return DutyConfirm
	case own.State == StateAcking:
		return DutyCatchUp
	}
	return DutyNone // in; or out, until the primary makes it a new member
}
