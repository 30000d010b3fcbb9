package store

// MemberChange is one membership change to make.
type MemberChange struct {
	Server  string // raft id
	Promote bool   // else demote
	Why     string
}
