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
	// Members lists all configured nodes by name, as this node knows them.
	Members(ctx context.Context) ([]Member, error)
	// CIB is the configuration as XML, for a backup.
	CIB(ctx context.Context) ([]byte, error)
	// Drain moves everything away from this node and returns when nothing runs here.
	Drain(ctx context.Context) error
	// HandOver (DC) makes another node the DC.
	HandOver(ctx context.Context) error
	// Stop ends this daemon soon; it returns before.
	Stop(cause string)

	// Admit (DC) puts the node into the CIB and into raft as a non-voter. A
	// known name with another raft id replaces the old raft server.
	Admit(ctx context.Context, e Entrant) error
	// Remove (DC) takes a node out of raft and out of the CIB, with its status.
	Remove(ctx context.Context, name string) error
}
