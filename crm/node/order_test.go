package node

import (
	"testing"
	"time"
)

// An order that was under way while its node was fenced is not for the node that comes back.
func TestOrderForAnEarlierRunIsRefused(t *testing.T) {
	n := &Node{incarnation: 7 << 16, cfg: Config{Name: "b"}}
	refused := n.accept(t.Context(), orderMessage{DC: "a", Term: 1, Incarnation: 6 << 16})
	if refused == nil || refused.Later {
		t.Errorf("order for another run: %+v, want a refusal for good", refused)
	}
}

// Two boots in one second are two boots.
func TestBootsOfOneSecondDiffer(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	first := nextIncarnation(Kept{}, false, 0, now)
	second := nextIncarnation(Kept{}, false, 0, now.Add(300*time.Millisecond))
	if first >= second || first>>16 == second>>16 {
		t.Errorf("boots 300 ms apart: incarnations %d and %d", first, second)
	}
}
