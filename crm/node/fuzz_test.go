package node

import (
	"testing"
)

// FuzzAgentID: what is accepted prints as it was written.
func FuzzAgentID(f *testing.F) {
	for _, s := range []string{"ocf:heartbeat:Dummy", "systemd:nginx@1", "lsb:x", "ocf:x", "", ":::", "stonith:fence_virsh"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, err := agentID(s)
		if err == nil && id.String() != s {
			t.Errorf("%q reads as %q", s, id)
		}
	})
}

// FuzzSpan: a duration in a node_state is itself again, and rubbish is none.
func FuzzSpan(f *testing.F) {
	for _, s := range []string{"30s", "", "-1s", "24.03s", "x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d := spanOf(s)
		if d < 0 || spanOf(spanText(d)) != d {
			t.Errorf("%q reads as %v, which prints as %q", s, d, spanText(d))
		}
	})
}
