package cluster

import (
	"context"
	"io"
	"time"
)

// InitOptions of [Init].
type InitOptions struct {
	Dir     string // cluster directory; must hold no cluster yet
	Cluster string // name of the cluster, for people
	Node    string // this node's name
	Addr    string // "ip:port" others reach it at
	Now     time.Time
}

// Init makes a new cluster of this one node: CA, certificate, cluster key,
// identity and first CIB. Nothing is started; systoled finds the files.
// The report says what was made and what to do next.
func Init(o InitOptions) (Report, error) { return Report{}, nil }

// JoinOptions of [Join].
type JoinOptions struct {
	Dir     string // cluster directory; must hold no cluster yet
	Host    string // "host" or "host:port" of any node of the cluster
	Token   string
	Node    string // this node's name
	Addr    string // "ip:port" others reach it at; empty: the address towards Host, with DefaultPort
	Version string // of the program
	Witness bool
	Now     func() time.Time
}

// Join gets this node's certificate and the cluster's trust with a token.
// Nothing is started; systoled enters the cluster when it finds the files.
func Join(ctx context.Context, o JoinOptions) (Report, error) { return Report{}, nil }

// ReadToken reads a token from the first line of r.
func ReadToken(r io.Reader) (string, error) { return "", nil }

// RestoreOptions of [Restore].
type RestoreOptions struct {
	Dir  string // must hold no cluster
	Addr string // "ip:port" others reach this node at
	Node string // this node's name; it must be one of the backup's
	Now  time.Time
}

// Restore makes, from a backup, a cluster of this one node with the backup's
// CIB, CA and name; the other nodes join again.
func Restore(archive io.Reader, o RestoreOptions) (Report, error) { return Report{}, nil }

// RecoverStore is the stopped node's raft store (crm/store).
type RecoverStore interface {
	// Voters are the voting servers of the newest configuration in the store.
	Voters() ([]Member, error)
	// Recover rewrites the configuration so that only keep votes.
	Recover(keep []Member) error
}

// RecoverOptions of [Recover].
type RecoverOptions struct {
	Dir string
	// Lost names every other voter, by hand: each is declared gone for ever.
	Lost  []string
	Store RecoverStore
	User  string // who does it, for the audit record
	Now   time.Time
}

// Recover rebuilds a cluster from this one survivor after the majority was lost
// for ever. The daemon must be stopped. It refuses while a majority answers,
// while a node called lost answers, or while a voter is not named.
func Recover(ctx context.Context, o RecoverOptions) (Report, error) { return Report{}, nil }
