package cluster

import (
	"time"

	"systole/crm/transport"
)

// Dir is the cluster directory (conf: cluster-dir) of a node that is in a
// cluster: 0700, every file 0600.
type Dir struct{ path string }

// Identity says which node of which cluster this is.
type Identity struct {
	Cluster   string    `json:"cluster"`    // its name, for people
	ClusterID string    `json:"cluster_id"` // 32 hex digits made by init
	Node      string    `json:"node"`
	ID        string    `json:"id"`   // 16 hex digits made for this join
	Addr      string    `json:"addr"` // as others reach it
	Witness   bool      `json:"witness,omitempty"`
	Joined    time.Time `json:"joined"`
	// Bootstrap marks the node that init or restore made: with an empty store
	// it begins the cluster alone, with the CIB of [Dir.FirstCIB].
	Bootstrap bool `json:"bootstrap,omitempty"`
	// Peers are the nodes known at the time of joining, to enter through.
	Peers []Peer `json:"peers,omitempty"`
}

// Peer is where a node can be reached.
type Peer struct {
	Name string `json:"name"`
	Addr string `json:"addr"`
}

// RaftID is the raft server id to use with a fresh store: never used before (timing.md V5).
func (i Identity) RaftID() string { return i.Node + "." + i.ID }

// ErrNoCluster is a directory without a cluster: run init or join first.
var ErrNoCluster error

// OpenDir reads and checks the directory of a node. Its errors say which file is wrong and what to do.
func OpenDir(path string) (*Dir, error) { return &Dir{path: path}, nil }

// Identity of this node.
func (d *Dir) Identity() Identity { return Identity{} }

// SetPeers remembers where the others are, for the next start.
func (d *Dir) SetPeers(peers []Peer) error { return nil }

// Credentials for the fabric.
func (d *Dir) Credentials() transport.Credentials { return transport.Credentials{} }

// FirstCIB is the CIB that a bootstrapping node proposes first, nil for others.
func (d *Dir) FirstCIB() []byte { return nil }

// Bootstrapped is called once the first CIB is committed: from now on this is a node like any other.
func (d *Dir) Bootstrapped() error { return nil }
