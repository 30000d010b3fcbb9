// Package cluster forms a cluster and keeps its identity: certificates, the
// cluster key, join tokens, who votes, backup and recovery. Its protocol and
// the reasons are in DESIGN.md.
//
// Three kinds of callers use it. The shell calls the offline functions [Init],
// [Join], [Restore], [Recover], and the [Admin] client of a running daemon.
// The daemon reads a [Dir] at start and mounts a [Server], whose Run loop renews
// certificates, fetches newer trust and keeps the set of voters. The Server
// acts on the cluster only through a [Host].
//
// It never logs, prints or returns in an error a key, a token or its secret.
package cluster

// Protocol is the version of everything nodes say to each other; a node talks
// with versions from ProtocolMin to Protocol.
const (
	Protocol    = 1
	ProtocolMin = 1
)

// DefaultPort is the TCP and UDP port of a node (conf: bind). Chosen because IANA has it unassigned.
const DefaultPort = 7737

// DefaultVoters is how many nodes vote unless configured (conf: voters): five survive two failures.
const DefaultVoters = 5
