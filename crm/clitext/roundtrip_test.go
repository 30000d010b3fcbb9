package clitext

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
	"systole/crm/cib"
)

// TestPropShowLoadsBack is the promise of the package: what show prints makes the
// same configuration in an empty cluster. In document order every object comes
// back in its place; in crmsh's order the places of equals may differ.
func TestPropShowLoadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		conf := configuration(t)
		for _, ordered := range []bool{true, false} {
			text, err := NewDraft(conf).Show(nil, nil, ShowOptions{DocumentOrder: ordered})
			if err != nil {
				t.Fatalf("show: %v\n%s", err, conf)
			}
			back := NewDraft(nil)
			if err := back.Load(text, LoadUpdate); err != nil {
				t.Fatalf("load: %v\ntext:\n%s\nof:\n%s", err, text, conf)
			}
			want, got := conf, back.Configuration()
			if !ordered {
				want, got = sortSections(want), sortSections(got)
			}
			if !Equivalent(want, got) {
				t.Fatalf("text:\n%s\nmade:\n%s\nof:\n%s", text, got, want)
			}
			again, err := back.Show(nil, nil, ShowOptions{DocumentOrder: ordered})
			if err != nil || again != text {
				t.Fatalf("printed again: %v\n%s\nfirst:\n%s", err, again, text)
			}
		}
	})
}

// sortSections orders the objects of each section by id.
func sortSections(conf *cib.Element) *cib.Element {
	var sections []*cib.Element
	for _, s := range conf.Children() {
		children := slices.Clone(s.Children())
		slices.SortStableFunc(children, func(a, b *cib.Element) int { return strings.Compare(a.ID(), b.ID()) })
		sections = append(sections, s.WithChildren(children...))
	}
	return conf.WithChildren(sections...)
}

// TestExamples prints testdata/*.crm and compares with the text itself where it
// is canonical already (its first line says so), and checks the round trip.
func TestExamples(t *testing.T) {
	files, err := filepath.Glob("testdata/*.crm")
	if err != nil || len(files) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			d := NewDraft(nil)
			if err := d.Load(string(text), LoadUpdate); err != nil {
				t.Fatal(err)
			}
			shown, err := d.Show(nil, nil, ShowOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(filepath.Base(file), "canonical") && shown != string(text) {
				t.Errorf("shown:\n%s\nwant:\n%s", shown, text)
			}
			back := NewDraft(nil)
			if err := back.Load(shown, LoadUpdate); err != nil {
				t.Fatalf("%v\n%s", err, shown)
			}
			if got, want := sortSections(back.Configuration()), sortSections(d.Configuration()); !Equivalent(got, want) {
				t.Errorf("loaded back:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

// withoutSectionComments is the configuration without comments between objects,
// which belong to none.
func withoutSectionComments(d *Draft) *cib.Element {
	var sections []*cib.Element
	for _, s := range d.Configuration().Children() {
		sections = append(sections, withoutComments(s))
	}
	return d.Configuration().WithChildren(sections...)
}
