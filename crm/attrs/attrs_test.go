package attrs

import (
	"testing"
	"time"
)

func text(s string) *string { return &s }

func span(d time.Duration) *time.Duration { return &d }

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func TestWithoutDampeningCommitsAtOnce(t *testing.T) {
	var table Table
	k := Key{"a", "ping"}
	c, commit, err := table.Apply(Update{Key: k, Value: text("100")}, "", false, start)
	if err != nil || !commit || *c.Value != "100" {
		t.Fatalf("got %+v, %v, %v", c, commit, err)
	}
	if _, commit, _ := table.Apply(Update{Key: k, Value: text("100")}, "100", true, start); commit {
		t.Error("a value that is there already was committed again")
	}
	if c, commit, _ := table.Apply(Update{Key: k}, "100", true, start); !commit || c.Value != nil {
		t.Errorf("deletion gave %+v, %v", c, commit)
	}
}

// A flapping value is written once, when it has rested for the dampening.
func TestDampening(t *testing.T) {
	var table Table
	k := Key{"a", "ping"}
	set := func(v string, at time.Duration) {
		t.Helper()
		if _, commit, err := table.Apply(Update{Key: k, Value: text(v), Dampen: span(5 * time.Second)}, "0", true, start.Add(at)); commit || err != nil {
			t.Fatalf("dampened value %s: commit %v, %v", v, commit, err)
		}
	}
	set("100", 0)
	set("200", 3*time.Second)
	if v, ok := table.Get(k); !ok || *v != "200" {
		t.Errorf("a query sees %v, %v; want the newest value", v, ok)
	}
	if due := table.Due(start.Add(7 * time.Second)); len(due) != 0 {
		t.Errorf("due too early: %+v", due)
	}
	if next := table.Next(); next != start.Add(8*time.Second) {
		t.Errorf("next at %v", next.Sub(start))
	}
	due := table.Due(start.Add(8 * time.Second))
	if len(due) != 1 || *due[0].Value != "200" {
		t.Fatalf("due: %+v", due)
	}
	if !table.Next().IsZero() || len(table.Due(start.Add(time.Hour))) != 0 {
		t.Error("a value was due twice")
	}
	if _, ok := table.Get(k); ok {
		t.Error("the CIB is not asked although nothing waits")
	}
}

func TestPrivateNeverCommitted(t *testing.T) {
	var table Table
	k := Key{"a", "gtid"}
	if _, commit, _ := table.Apply(Update{Key: k, Value: text("7"), Private: true}, "", false, start); commit {
		t.Fatal("private value committed")
	}
	if _, commit, _ := table.Apply(Update{Key: k, Value: text("value+=3")}, "", false, start); commit {
		t.Fatal("private value committed by an update that does not say private")
	}
	if v, ok := table.Get(k); !ok || *v != "10" {
		t.Errorf("got %v, %v, want 10", v, ok)
	}
	table.Forget("a")
	if _, ok := table.Get(k); ok {
		t.Error("still known after Forget")
	}
}

func TestExpand(t *testing.T) {
	for _, c := range []struct{ value, current, want string }{
		{"value++", "", "1"},
		{"value++", "4", "5"},
		{"value++", "INFINITY", "INFINITY"},
		{"value+=10", "-3", "7"},
		{"value+=-INFINITY", "5", "-999995"},
		{"value+=-INFINITY", "-1", "-INFINITY"},
		{"value", "3", "value"},
		{"value++", "up", "1"},
	} {
		if got, err := expand(c.value, c.current); err != nil || got != c.want {
			t.Errorf("expand(%q, %q) = %q, %v; want %q", c.value, c.current, got, err, c.want)
		}
	}
	if _, err := expand("value+=x", "1"); err == nil {
		t.Error("value+=x accepted")
	}
}
