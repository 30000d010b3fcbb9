package cib

import "strconv"

// The most that a document may ask for in a few characters. Pacemaker has no such limits; without them one number in
// a CIB takes all the memory of the node that decides. Package status makes no more and says so.
const (
	// MaxCloneInstances bounds clone-max. A cluster of more nodes may have an instance for each.
	MaxCloneInstances = 1000
	// MaxReplicas bounds a bundle's replicas: each is told the addresses of all, so the text grows with the square.
	MaxReplicas = 250
)

// cloneMax warns of a clone-max that is cut.
func (v *validator) cloneMax(at Path, text string) {
	nodes := 0
	for range v.root.Path("configuration", "nodes").Each("node") {
		nodes++
	}
	v.bound(at, "clone-max", text, max(MaxCloneInstances, nodes))
}

// bound warns of a number that is cut to the limit.
func (v *validator) bound(at Path, name, text string, limit int) {
	if n, err := strconv.ParseUint(text, 10, 64); err == nil && n > uint64(limit) {
		v.add(Warning, at, "%s=%q is more than this program makes: %d will be, write that or less", name, text, limit)
	}
}
