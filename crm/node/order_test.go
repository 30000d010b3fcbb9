package node

import (
	"testing"
	"time"

	"systole/crm/controller"
)

// An order that was under way while its node was fenced is not for the node that comes back.
func TestOrderForAnEarlierRunIsRefused(t *testing.T) {
	n := &Node{incarnation: 7 << 16, cfg: Config{Name: "b"}}
	refused := n.accept(t.Context(), orderMessage{DC: "a", Term: 1, Incarnation: 6 << 16})
	if refused == nil || refused.Later {
		t.Errorf("order for another run: %+v, want a refusal for good", refused)
	}
}

// What is planned for a node whose loss is already known is not sent: it would wait for the node's return.
func TestNothingIsSentToALostNode(t *testing.T) {
	d := &director{events: newQueue[controller.Event](), gone: map[string]bool{}, orders: map[string]orders{}}
	d.giveUpOn("b")
	d.order(controller.Order{Node: "b", Transition: 3, Action: 4})
	events := d.events.take()
	if len(events) != 1 {
		t.Fatalf("events %v, want one refusal", events)
	}
	if r, ok := events[0].(controller.OrderRefused); !ok || r.Transition != 3 || r.Action != 4 {
		t.Errorf("event %+v, want the refusal of action 4 of transition 3", events[0])
	}
	d.beforeStep(t.Context(), controller.NodeReady{Node: "b"})
	if d.gone["b"] {
		t.Error("a node that is ready again is still counted as gone")
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
