package clitext

import (
	"strings"
	"testing"
)

// load makes a draft of a text.
func load(t *testing.T, text string) *Draft {
	t.Helper()
	d := NewDraft(nil)
	if err := d.Load(text, LoadUpdate); err != nil {
		t.Fatal(err)
	}
	return d
}

// shown is the whole draft as text.
func shown(t *testing.T, d *Draft) string {
	t.Helper()
	text, err := d.Show(nil, nil, ShowOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

const site = "primitive a Dummy\nprimitive b Dummy\nprimitive c Dummy\nprimitive d Dummy\nprimitive e Dummy\n"

// TestEdits: what a change of the configuration does to the rest of it.
func TestEdits(t *testing.T) {
	remove := func(ids ...string) func(*Draft) error {
		return func(d *Draft) error { _, err := d.Delete(ids...); return err }
	}
	update := func(text string) func(*Draft) error {
		return func(d *Draft) error { return d.Load(text, LoadUpdate) }
	}
	for _, tt := range []struct {
		name, before string
		edit         func(*Draft) error
		after        string // only what is no primitive
	}{
		{"a constraint goes with its resource", "location l a 5: n\norder o a b\n", remove("a"), ""},
		{"a set loses a member", "order o a b ( c d )\n", remove("b"), "order o a ( c d )\n"},
		{"two that remain are no set any more", "order o Serialize: a b ( c d )\n", remove("b", "d"), "order o Serialize: a c\n"},
		{"the order of two in a colocation set turns round", "colocation k inf: a b c\n", remove("b"), "colocation k inf: c a\n"},
		{"two that remain of sets keep their order", "colocation k inf: ( c d ) ( a b )\n", remove("d", "b"), "colocation k inf: c a\n"},
		{"two that do not depend on each other stay a set", "colocation k inf: d ( a b c )\n", remove("d", "b"), "colocation k inf: ( a c )\n"},
		{"a group loses a member", "group g a b\n", remove("a"), "group g b\n"},
		{"an empty group goes, and what is about it", "group g a\nlocation l g 5: n\n", remove("a"), ""},
		{"members of a deleted group stay", "group g a b\nclone k g\n", remove("g"), ""},
		{"a device leaves its levels", "fencing_topology n: a,b c\n", remove("a"), "fencing_topology \\\n\tn: b c\n"},
		{"a tag loses a member", "tag t a b\n", remove("a"), "tag t b\n"},
		{"members change groups", "group g a b\ngroup h c d\n", update("group g a c\ngroup h b d\n"), "group g a c\ngroup h b d\n"},
		{"a group goes into a clone that held another", "group g a b\nclone k c\n", update("clone k g\n"), "group g a b\nclone k g\n"},
		{"properties add up", "property x=1\n", update("property y=2\n"), "property cib-bootstrap-options: \\\n\tx=1 \\\n\ty=2\n"},
		{"properties change", "property x=1 y=2\n", update("property x=3\n"), "property cib-bootstrap-options: \\\n\tx=3 \\\n\ty=2\n"},
		{"renaming changes what refers", "group g a b\nlocation l g 5: n\norder o c g\n", func(d *Draft) error { return d.Rename("g", "h") }, "group h a b\nlocation l h 5: n\norder o c h\n"},
		{"renaming a member", "group g a b\ntag t a\n", func(d *Draft) error { return d.Rename("a", "z") }, "group g z b\ntag t z\n"},
		{"push keeps only what the text has", "location l a 5: n\n", func(d *Draft) error { return d.Load(site+"location m a 5: n\n", LoadPush) }, "location m a 5: n\n"},
		{"text without an object deletes it on edit", "location l a 5: n\nlocation m a 6: n\n",
			func(d *Draft) error {
				_, err := d.Edit([]string{"l", "m"}, "location m a 7: n\n")
				return err
			}, "location m a 7: n\n"},
		{"properties left out on edit go", "property x=1 y=2\n",
			func(d *Draft) error {
				_, err := d.Edit([]string{"cib-bootstrap-options"}, "property cib-bootstrap-options: y=2\n")
				return err
			}, "property cib-bootstrap-options: \\\n\ty=2\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := load(t, site+tt.before)
			if err := tt.edit(d); err != nil {
				t.Fatal(err)
			}
			var rest strings.Builder
			for line := range strings.Lines(shown(t, d)) {
				if !strings.HasPrefix(line, "primitive ") {
					rest.WriteString(line)
				}
			}
			if rest.String() != tt.after {
				t.Errorf("got:\n%s\nwant:\n%s", rest.String(), tt.after)
			}
			again := NewDraft(d.Configuration())
			for id, n := range again.ids {
				if d.ids[id] != n {
					t.Errorf("id %s is counted %d times, is there %d times", id, d.ids[id], n)
				}
			}
		})
	}
}

// TestErrors: each says the line, the word and what to do; nothing is changed.
func TestErrors(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"primitve x Dummy", `line 6: at "primitve": unknown object; did you mean primitive?`},
		{"primitive", `line 6: the id of the primitive is missing at the end; add it`},
		{"primitive x", `line 6: the resource agent (class:provider:type) is missing at the end; add it`},
		{"primitive x ocf:heartbeat:", `at "ocf:heartbeat:": not a resource agent`},
		{"primitive x Dummy op", `the name of the operation is missing`},
		{"primitive x Dummy op monitor 10s", `at "10s": expected name=value after op monitor`},
		{"primitive x Dummy params a = b", `at "=": expected name=value`},
		{"primitive x @nosuch", `there is no rsc_template "nosuch"; define it first`},
		{"primitive 'a b' Dummy", `"a b" cannot be an id`},
		{"group g", `group g has no resource; name one`},
		{"group g a nosuch", `at "nosuch": there is no such resource; define it first`},
		{"group g a a", `a is named twice in g`},
		{"group g a\nclone k a", `line 7: at "a": a is already in group g; take it out first`},
		{"clone k a b", `a clone holds one resource; put several into a group`},
		{"location l a n", `at "n": expected SCORE: NODE, with the colon, or rule`},
		{"location l a 5: n m", `at "m": not expected here; one node to a constraint`},
		{"location l a rule 5: x eq", `the value to compare with is missing`},
		{"location l a rule 5: x equals y", `unknown comparison; use one of lt, gt`},
		{"location l a rule 5: x eq 1 and y eq 2 or z eq 3", `and and or cannot be mixed`},
		{"location l a rule 5: date in", `a range needs start=, end= or both`},
		{"location l { a b 5: n", `the brace is not closed`},
		{"colocation k a b", `expected a score with a colon`},
		{"colocation k inf: a", `a colocation needs two resources`},
		{"colocation k inf: ( a b", `the bracket is not closed; add )`},
		{"colocation k inf: ( a ( b ) )", `resource sets cannot be nested`},
		{"order o Sometimes: a b", `unknown kind of order; use Mandatory, Optional or Serialize`},
		{"order o a b symetrical=false", `what may follow is symmetrical=`},
		{"rsc_ticket t a", `expected the ticket with a colon`},
		{"tag t", `tag t names nothing`},
		{"role r look cib", `expected read, write or deny`},
		{"role r read everything", `not something a role can be about`},
		{"fencing_topology n:", `no fencing device named`},
		{"fencing_topology n: a,,b", `a device is missing beside a comma`},
		{"bundle bu network x=y", `bundle bu has no container engine`},
		{"alert x", `the path of the alert program is missing`},
		{"user joe role:r", `user belongs to the access control of old schemas`},
		{`primitive x Dummy params p="open`, `line 6: quotation mark without an end`},
		{"monitor nosuch 10s", `there is no such primitive`},
		{"xml <primitive", `not well-formed XML`},
		{"primitive x Dummy op monitor interval=1 id=dup op start id=dup", `the id "dup" is already in use`},
	} {
		t.Run(tt.text, func(t *testing.T) {
			d := load(t, site)
			before := d.Configuration()
			err := d.Load("\n\n\n\n\n"+tt.text+"\n", LoadUpdate)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v\nwant …%s…", err, tt.want)
			}
			if d.Configuration() != before {
				t.Error("the configuration was changed all the same")
			}
		})
	}
}
