//go:build mutants

package node

import "fmt"

// Break switches one rule of the node off, for make sim-mutants: a simulation that
// does not notice proves nothing. It exists under the build tag mutants only.
func Break(cfg *Config, rule string) {
	switch rule {
	case "an order has no end":
		cfg.rules.endless = true
	default:
		panic(fmt.Sprintf("no such rule: %q", rule))
	}
}
