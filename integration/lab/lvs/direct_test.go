package lvs

import (
	"os"
	"regexp"
	"testing"
)

// direct is the example all faults are played on.
func direct(s site) {
	s.balanced(exampleOf(s), vip)
	for _, act := range []struct {
		name string
		play func(site)
	}{
		{"persistence, UDP, marks", kinds},
		{"web servers die", webFaults},
		{"planned standby", plannedStandby},
		{"nobody left", nobodyLeft},
		{"systoled killed", daemonKilled},
		{"power cuts", powerCuts},
		{"reloads", reloading},
	} {
		if only := os.Getenv(actEnv); !regexp.MustCompile(only).MatchString(act.name) {
			continue
		}
		if !s.Run(act.name, func(t *testing.T) { act.play(s.with(t)) }) {
			return
		}
	}
	alike(s, s.active())
}
