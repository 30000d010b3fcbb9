// Package cluster forms a cluster and keeps its identity: certificates, the
// cluster key, join tokens, backup and recovery. Its protocol and
// the reasons are in DESIGN.md.
//
// Three kinds of callers use it. The shell calls the offline functions [Init],
// [Join], [Restore], [Recover], and the [Admin] client of a running daemon.
// The daemon reads a [Dir] at start and mounts a [Server], whose Run loop renews
// certificates and fetches newer trust. The Server acts on the cluster only
// through a [Host]; who votes is crm/store's rule.
//
// State on disk is owned by [Dir], one per process, which locks itself. No key,
// token or secret is ever logged, printed by %v, or part of an error.
package cluster

import (
	"fmt"
	"regexp"

	"systole/crm/api"
)

// Protocol is the version of everything nodes say to each other; a node talks
// with versions from ProtocolMin to Protocol.
const (
	Protocol    = 1
	ProtocolMin = 1
)

// Compatible says whether a node that speaks protocol can be in one cluster with this one.
func Compatible(protocol int) error {
	if protocol < ProtocolMin || protocol > Protocol {
		return fmt.Errorf("it speaks protocol %d, this node %d to %d: install the same release on all nodes", protocol, ProtocolMin, Protocol)
	}
	return nil
}

// DefaultPort is the TCP and UDP port of a node (conf: bind); chosen because no
// service of the usual clusters has it.
const DefaultPort = 7737

// nodeName is what a node may be called, in at most maxName bytes: it stands in
// certificates, URLs, the CIB and file names.
var nodeName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

const maxName = 63

// CheckName refuses what cannot be a node's name.
func CheckName(name string) error {
	if len(name) > maxName || !nodeName.MatchString(name) {
		return fmt.Errorf("%q cannot be a node's name: use up to 63 letters, digits, dots, dashes and underscores, a letter or digit first", name)
	}
	return nil
}

// refuse is an error with the exit status a tool ends with.
func refuse(code int, format string, args ...any) error {
	return &api.Error{Code: code, Message: fmt.Sprintf(format, args...)}
}
