package agents

import (
	"maps"
	"slices"

	"systole/resources"
)

// natives makes the native agents by type.
func natives(cfg Config) map[string]resources.Agent {
	return map[string]resources.Agent{}
}

// Native is the types of the native agents, sorted.
func Native() []string { return slices.Sorted(maps.Keys(natives(Config{}))) }

// RunChild runs this program as one of the small helper processes native agents
// start, if its environment says so; every program that uses a Registry calls
// it first and exits with the code when ran is true.
func RunChild() (ran bool, code int) { return false, 0 }
