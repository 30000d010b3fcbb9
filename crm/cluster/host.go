package cluster

import (
	"context"
	"time"
)

// Member is one configured node, as the CIB, raft's configuration and the DC's beats tell.
type Member struct {
	Name    string `json:"name"`
	Addr    string `json:"addr"` // "ip:port" of its fabric
	RaftID  string `json:"raft_id"`
	Voter   bool   `json:"voter"`
	Witness bool   `json:"witness,omitempty"`
	// Online is the DC's word, not gossip's; Since is when it last changed.
	Online bool      `json:"online"`
	Since  time.Time `json:"since,omitzero"`
}

// Entrant is a node that asks the DC to be taken into the cluster, or back
// with a new address or raft id.
type Entrant struct {
	Name     string `json:"name"`
	Addr     string `json:"addr"`
	RaftID   string `json:"raft_id"`
	Version  string `json:"version"`
	Protocol int    `json:"protocol"`
	Witness  bool   `json:"witness,omitempty"`
}

// Host is the running node, as the cluster's administration needs it; crm/node
// implements it. Methods marked DC are called only while DC reports this node.
type Host interface {
	// DC is the name of the current DC as known here; self says it is this node with a valid lease.
	DC() (name string, self bool)
	// Members lists all configured nodes by name.
	Members(ctx context.Context) ([]Member, error)
	// CIB is the configuration as XML, for a backup.
	CIB(ctx context.Context) ([]byte, error)
	// Drain (this node) moves everything away and returns when nothing runs here.
	Drain(ctx context.Context) error
	// Stop ends this daemon soon; the caller has got its answer before.
	Stop(cause string)

	// Admit (DC) puts the node into the CIB and into raft as a non-voter. A
	// known name with another raft id replaces the old raft server.
	Admit(ctx context.Context, e Entrant) error
	// SetVoter (DC) makes a member a voter or a non-voter.
	SetVoter(ctx context.Context, name string, voter bool) error
	// Remove (DC) takes a node out of raft and out of the CIB, with its status.
	Remove(ctx context.Context, name string) error
}
