package mysql

import (
	"strings"
	"testing"
)

func pos(t *testing.T, s string) Position {
	t.Helper()
	p, err := ParsePosition(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPosition(t *testing.T) {
	for _, c := range []struct {
		a, b            string
		covers, covers2 bool
		union           string
	}{
		{"", "", true, true, ""},
		{"0-1-5", "", true, false, "0-1-5"},
		{"0-1-5", "0-2-4", true, false, "0-1-5"},
		{"0-1-5", "0-2-5", false, false, "0-1-5"}, // one number of two servers
		{"0-1-5,1-1-1", "0-1-5", true, false, "0-1-5,1-1-1"},
		{"0-1-5,1-1-1", "0-1-4,1-1-2", false, false, "0-1-5,1-1-2"},
	} {
		a, b := pos(t, c.a), pos(t, c.b)
		if a.Covers(b) != c.covers || b.Covers(a) != c.covers2 || a.Union(b).String() != c.union {
			t.Errorf("%q and %q: covers %t, covered %t, union %q", a, b, a.Covers(b), b.Covers(a), a.Union(b))
		}
	}
	for _, bad := range []string{"0-1", "0-1-x", "a", "0-1-2,0-1-3", "4294967296-1-1", "0-1-2,"} {
		if p, err := ParsePosition(bad); err == nil {
			t.Errorf("%q was read as %v", bad, p)
		}
	}
}

func FuzzPosition(f *testing.F) {
	f.Add("0-1-42,1-7-3")
	f.Add(" 0-1-1 , 2-2-2")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParsePosition(s)
		if err != nil {
			return
		}
		again, err := ParsePosition(p.String())
		if err != nil || again.String() != p.String() || !p.Covers(again) || !again.Covers(p) {
			t.Errorf("%q: %q, %q, %v", s, p, again, err)
		}
	})
}

func FuzzNote(f *testing.F) {
	f.Add("primary term=3 nonce=ab12 at=0-1-5 gen=3 with=b:2,c.site:3:leaving")
	f.Add("demoted term=1 nonce=x at=")
	f.Add("replica term=3 nonce=ab12 gen=2 state=in")
	f.Fuzz(func(t *testing.T, s string) {
		n, err := ParseNote(s)
		if err != nil {
			return
		}
		again, err := ParseNote(n.String())
		if err != nil || again.String() != n.String() {
			t.Errorf("%q: %q, %q, %v", s, n, again, err)
		}
	})
}

// situation is what a promotion of b is judged by.
type situation struct {
	name      string
	instances []string // node term nonce applied received
	notes     map[string]string
	accept    bool
	source    string // "" when it is refused
	says      string
}

func TestJudge(t *testing.T) {
	const primary = "primary term=1 nonce=x at=0-1-1 gen=2 with=b:1,c:2"
	in := func(gen string) string { return "replica term=1 nonce=x gen=" + gen + " state=in" }
	for _, c := range []situation{
		{name: "first of all", instances: []string{"b", "c"}, source: "b", says: "first promotion"},
		{name: "an imported database goes first", instances: []string{"b", "c 0 - 0-9-7"}, source: "c", says: "first promotion"},
		{name: "two databases of their own", instances: []string{"b 0 - 0-1-7", "c 0 - 0-2-7"}, says: "rebuild all but one"},
		{name: "all confirmations are here", instances: []string{"b 1 x 0-1-8", "c 1 x 0-1-7 0-1-9"},
			notes: map[string]string{"a": primary, "b": in("1"), "c": in("2")}, source: "c", says: "confirmed by b or c first"},
		{name: "one who may have confirmed is missing", instances: []string{"b 1 x 0-1-8"},
			notes: map[string]string{"a": primary, "b": in("1"), "c": in("2")}, says: "c may have confirmed"},
		{name: "and what it had may be lost", instances: []string{"b 1 x 0-1-8"}, accept: true,
			notes: map[string]string{"a": primary, "b": in("1"), "c": in("2")}, source: "b", says: "accept_data_loss"},
		{name: "one who never confirmed is missing", instances: []string{"b 1 x 0-1-8"},
			notes: map[string]string{"a": primary, "b": in("1"), "c": in("1")}, source: "b", says: "confirmed by b first"},
		{name: "one that restarted", instances: []string{"b 1 x 0-1-8", "c 1 x 0-1-8"},
			notes: map[string]string{"a": primary, "b": in("1"), "c": "replica term=1 nonce=x gen=2 state=out"}, says: "c may have confirmed"},
		{name: "nobody had caught up", instances: []string{"b 1 x 0-1-8"},
			notes: map[string]string{"a": primary}, says: "no replica had caught up"},
		{name: "the primary was alone", instances: []string{"b 1 x 0-1-8"},
			notes: map[string]string{"a": "primary term=1 nonce=x at= gen=2 with="}, says: "without a replica that confirmed"},
		{name: "the primary is back", instances: []string{"a 1 x 0-1-9", "b 1 x 0-1-8"},
			notes: map[string]string{"a": "primary term=1 nonce=x at= gen=2 with="}, source: "a", says: "a, is among them"},
		{name: "it said good-bye", instances: []string{"b 1 x 0-1-8"},
			notes: map[string]string{"a": "demoted term=1 nonce=x at=0-1-8"}, source: "b", says: "demoted in order"},
		{name: "and nobody has all", instances: []string{"b 1 x 0-1-8"},
			notes: map[string]string{"a": "demoted term=1 nonce=x at=0-1-9"}, says: "nobody here reaches"},
		{name: "of an older term", instances: []string{"b 1 x 0-1-8", "c 2 y 0-3-9"},
			notes: map[string]string{"a": "primary term=1 nonce=x at= gen=0 with=", "c": "primary term=2 nonce=y at=0-1-8 gen=0 with="}, says: "does not hold the history of promotion 2"},
		{name: "the record was deleted", instances: []string{"b 1 x 0-1-8"}, says: "record of promotion 1 is missing"},
	} {
		f := Facts{Self: "b", Notes: map[string]Note{}, Accept: c.accept}
		for _, text := range c.instances {
			w := append(strings.Fields(text), "", "", "", "")
			i := Instance{Node: w[0], Applied: pos(t, w[3]), Received: pos(t, w[4])}
			if w[2] != "-" && w[2] != "" {
				i.Nonce = w[2]
				i.Term = uint64(w[1][0] - '0')
			}
			f.Instances = append(f.Instances, i)
		}
		for node, text := range c.notes {
			n, err := ParseNote(text)
			if err != nil {
				t.Fatal(err)
			}
			f.Notes[node] = n
		}
		v, err := Judge(f)
		said := v.Proof
		if err != nil {
			said = err.Error()
		}
		if v.Source != c.source || !strings.Contains(said, c.says) || v.Loss != c.accept {
			t.Errorf("%s: %q, loss %t: %s; want %q and %q", c.name, v.Source, v.Loss, said, c.source, c.says)
		}
	}
}

func TestJoins(t *testing.T) {
	history := []Promotion{{1, "a", "x", pos(t, "")}, {2, "b", "y", pos(t, "0-1-8")}, {4, "c", "z", pos(t, "0-2-20")}}
	primary := Instance{Node: "c", Term: 4, Nonce: "z", Applied: pos(t, "0-3-30"), History: history}
	for _, c := range []struct {
		name    string
		term    uint64
		nonce   string
		applied string
		joins   bool
	}{
		{"new", 0, "", "", true},
		{"a database of its own", 0, "", "0-9-1", false},
		{"behind since the first term", 1, "x", "0-1-8", true},
		{"one transaction too many in the first term", 1, "x", "0-1-9", false},
		{"fewer, and overtaken by number", 2, "y", "0-2-20", true},
		{"in the present term", 4, "z", "0-3-25", true},
		{"a promotion nobody knows", 3, "q", "0-2-18", false},
		{"another promotion of the same number", 2, "q", "0-2-9", false},
		{"a later one", 5, "q", "0-3-31", false},
	} {
		err := Joins(Instance{Node: "d", Term: c.term, Nonce: c.nonce, Applied: pos(t, c.applied)}, primary)
		if (err == nil) != c.joins {
			t.Errorf("%s: %v", c.name, err)
		}
		if err != nil && !strings.Contains(err.Error(), "fenced out: the data of d") {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestPlanMembers(t *testing.T) {
	note := func(with string) Note {
		n, err := ParseNote("primary term=1 nonce=x at= gen=2 with=" + with)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	out := Note{Role: RoleReplica, Term: 1, Nonce: "x", Gen: 1, State: StateOut}
	for _, c := range []struct {
		name  string
		with  string
		sight Sight
		want  string
		probe bool
		wait  bool
	}{
		{"alone", "", Sight{}, "", false, false},
		{"a replica comes", "", Sight{Connected: []string{"b"}}, "b:3", false, false},
		{"and confirms", "b:3", Sight{Connected: []string{"b"}, Confirming: 1}, "b:3", false, true},
		{"all is well", "b:3", Sight{Connected: []string{"b"}, Confirming: 1, Waiting: true}, "b:3", false, true},
		{"the only one is cut off", "b:3", Sight{Waiting: true}, "b:3:leaving", false, true},
		{"the only one has stopped", "b:1", Sight{Waiting: true, Stopped: []string{"b"}}, "", false, false},
		{"the only one has resigned and is back", "b:1:leaving", Sight{Waiting: true, Connected: []string{"b"}, Notes: map[string]Note{"b": out}}, "b:3", false, false},
		{"one of two has stopped", "b:1,c:2", Sight{Waiting: true, Connected: []string{"c"}, Confirming: 1, Stopped: []string{"b"}}, "c:2", true, true},
		{"one has stopped, one is cut off", "b:1,c:2", Sight{Waiting: true, Stopped: []string{"b"}}, "b:1:leaving,c:2:leaving", false, true},
		{"it never waited", "b:1,c:2", Sight{Connected: []string{"c"}, Stopped: []string{"b"}}, "c:2", false, false},
	} {
		p := PlanMembers(note(c.with), c.sight)
		var with []string
		for _, m := range p.Note.With {
			with = append(with, m.String())
		}
		if got := strings.Join(with, ","); got != c.want || p.Probe != c.probe || p.Wait != c.wait {
			t.Errorf("%s: with %q, probe %t, wait %t; want %q, %t, %t", c.name, got, p.Probe, p.Wait, c.want, c.probe, c.wait)
		}
	}
}

func TestServerIDs(t *testing.T) {
	seen := map[uint32]string{}
	for _, node := range []string{"a", "b", "store-a", "store-b", "db1.example", "db2.example", ""} {
		id := serverID(node)
		if id == 0 || seen[id] != "" {
			t.Errorf("%q has %d, as %q", node, id, seen[id])
		}
		seen[id] = node
	}
}
