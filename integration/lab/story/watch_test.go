package story

import (
	"regexp"
	"slices"
	"testing"
	"time"
)

// looks are sightings half a second long, one each second; a look without answer is "?".
func looks(node string, began time.Time, found ...string) *sightings {
	l := &sightings{node: node}
	for i, what := range found {
		from := began.Add(time.Duration(i) * time.Second)
		s := sighting{from: from, to: from.Add(500 * time.Millisecond)}
		if what != "?" {
			s.running = map[string]bool{what: what != ""}
		}
		l.add(s)
	}
	return l
}

func TestOverlap(t *testing.T) {
	began := time.Now()
	for _, c := range []struct {
		name        string
		here, there *sightings
		want        int
	}{
		{"one machine", looks("a", began, "db", "db", "db"), looks("b", began, "", "", ""), 0},
		{"both, all the time", looks("a", began, "db", "db"), &sightings{"b", []sighting{{began.Add(600 * time.Millisecond), began.Add(900 * time.Millisecond), map[string]bool{"db": true}}}}, 1},
		{"a move during one look", looks("a", began, "db", "", ""), &sightings{"b", []sighting{{began.Add(200 * time.Millisecond), began.Add(2 * time.Second), map[string]bool{"db": true}}}}, 0},
		{"a move between two looks", looks("a", began, "db", "", ""), looks("b", began.Add(600*time.Millisecond), "db", "db"), 0},
		{"a machine that did not answer", looks("a", began, "db", "?", "db"), looks("b", began.Add(600*time.Millisecond), "db", "?"), 0},
		{"another service", looks("a", began, "db", "db"), &sightings{"b", []sighting{{began.Add(600 * time.Millisecond), began.Add(900 * time.Millisecond), map[string]bool{"nfs": true}}}}, 0},
	} {
		if got := overlap(c.here, c.there); len(got) != c.want {
			t.Errorf("%s: %q, want %d", c.name, got, c.want)
		}
	}
}

func TestLook(t *testing.T) {
	got := look([]Service{Mounted("/srv/site"), {"x", "/proc/x", regexp.MustCompile("^y$")}})
	if want := "grep -shE -e ' /srv/site |^y$' /proc/mounts /proc/x; true"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestJudge(t *testing.T) {
	var said []string
	fail := func(_ string, args ...any) { said = append(said, args[1].(string)) }
	row{"a cut", 4 * time.Second, 6 * time.Second, 0, Targets{time.Second, time.Second}}.judge(defaultDetect, fail)
	row{"with patience", 4 * time.Second, 6 * time.Second, 0, Targets{time.Second, time.Second}}.judge(time.Second, fail)
	row{"another", time.Hour, time.Hour, 0, Targets{}}.judge(0, fail)
	if !slices.Equal(said, []string{"writes"}) {
		t.Errorf("judged too slow: %q", said)
	}
}
