//go:build mutants

package store

import "fmt"

// Break switches one rule of the gate off, for make sim-mutants: a simulation that
// does not notice proves nothing. It exists under the build tag mutants only.
func Break(cfg *Config, rule string) {
	switch rule {
	case "vote right after a restart":
		cfg.rules.noStartWait = true
	case "heartbeat fast path":
		cfg.rules.fastPath, cfg.rules.chatty = true, true // heartbeats must pass to pass beside
	case "a grant counts from its arrival":
		cfg.rules.countArrival, cfg.rules.chatty = true, true // late answers come on streams
	case "lead without a lease":
		cfg.rules.noLease = true
	case "act without a barrier":
		cfg.rules.noBarrier = true
	case "obey TimeoutNow and the transfer flag":
		cfg.rules.obeyTimeoutNow, cfg.rules.transferFlag = true, true
	default:
		panic(fmt.Sprintf("no such rule: %q", rule))
	}
}
