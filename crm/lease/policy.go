package lease

import "fmt"

// Policy is what a node does by itself when its lease ends: the cluster option
// no-quorum-policy (Pacemaker Explained, "Cluster Options").
type Policy byte

// The policies. NoPolicy is "not known", never something a node acts on.
const (
	NoPolicy Policy = iota
	PolicyStop
	PolicySuicide
	PolicyDemote
	PolicyFreeze
	PolicyIgnore
)

var policyNames = [...]string{"", "stop", "suicide", "demote", "freeze", "ignore"}

// String is the value as it stands in the CIB, "" for NoPolicy.
func (p Policy) String() string {
	if int(p) < len(policyNames) {
		return policyNames[p]
	}
	return fmt.Sprintf("policy(%d)", byte(p))
}

// ParsePolicy reads a value of no-quorum-policy; "fence" is the newer name of suicide.
func ParsePolicy(s string) (Policy, error) {
	if s == "fence" {
		return PolicySuicide, nil
	}
	for p, name := range policyNames {
		if p > 0 && s == name {
			return Policy(p), nil
		}
	}
	return NoPolicy, fmt.Errorf("no-quorum-policy %q is unknown: use stop, suicide, demote, freeze or ignore", s)
}

// Proves says whether the end of the lease of a node with this policy, and the
// give-up bound after it, prove that its exclusive resources are silent.
// Demoted, frozen and ignoring nodes keep things running.
func (p Policy) Proves() bool { return p == PolicyStop || p == PolicySuicide }
