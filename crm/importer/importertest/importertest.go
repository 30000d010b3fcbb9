// Package importertest holds what the tests of all importers require of a result.
package importertest

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"systole/agents/ipvs/config"
	"systole/crm/cib"
	"systole/crm/clitext"
	"systole/crm/importer"
)

var rewrite = flag.Bool("rewrite", false, "write golden files anew")

// File reads a source from testdata.
func File(t *testing.T, name string) importer.File {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return importer.File{Name: name, Text: string(text)}
}

// Open gives the files of testdata that a pattern names.
func Open(t *testing.T) func(string) ([]importer.File, error) {
	return func(pattern string) ([]importer.File, error) {
		names, err := filepath.Glob(filepath.Join("testdata", pattern))
		if err != nil || len(names) == 0 {
			return nil, os.ErrNotExist
		}
		var files []importer.File
		for _, n := range names {
			files = append(files, File(t, filepath.Base(n)))
		}
		return files, nil
	}
}

// Golden compares the script and the report with a file of testdata.
func Golden(t *testing.T, r importer.Result, name string) {
	t.Helper()
	file := filepath.Join("testdata", name+".golden")
	got := r.Config.Script("") + "\n" + r.Report.String()
	if *rewrite {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got); -rewrite accepts it:\n%s", file, diff)
	}
}

// Check requires what holds for every source, however broken: the report has
// each line once, with a fate, and a reason where it is lost; the configuration
// is one that crm configure and the director read.
func Check(t *testing.T, r importer.Result, sources ...importer.File) {
	t.Helper()
	lines := map[importer.Place]importer.Line{}
	for _, l := range r.Report.Lines() {
		if _, twice := lines[l.Place]; twice {
			t.Errorf("%s is in the report twice", l.Place)
		}
		lines[l.Place] = l
		if l.Fate == importer.Unread || l.Fate == importer.Unsupported && len(l.Notes) == 0 {
			t.Errorf("%s is lost without a reason: %q", l.Place, l.Text)
		}
	}
	for _, f := range sources {
		for i, text := range f.Lines() {
			l, ok := lines[importer.Place{File: f.Name, Line: i + 1}]
			if !ok || l.Text != text && !strings.Contains(l.Text, "******") {
				t.Errorf("line %d of %s is not in the report: %q, there %q", i+1, f.Name, text, l.Text)
			}
		}
	}
	for _, text := range Services(t, r) {
		if _, err := config.Parse(text, config.Defaults{}); err != nil {
			t.Errorf("the director does not read its services: %v\n%s", err, text)
		}
	}
}

// Services are the texts of all directors of a result, which crm configure must read.
func Services(t *testing.T, r importer.Result) []string {
	t.Helper()
	draft := clitext.NewDraft(cib.New("configuration"))
	if err := draft.Load(r.Config.Text(), clitext.LoadUpdate); err != nil {
		t.Fatalf("crm configure does not read it: %v\n%s", err, r.Config.Text())
	}
	return services(draft.Configuration())
}

// services are the values of parameters of this name.
func services(e *cib.Element) []string {
	var out []string
	if e.Name() == "nvpair" && e.Get("name") == "services" {
		out = append(out, e.Get("value"))
	}
	for _, c := range e.Children() {
		out = append(out, services(c)...)
	}
	return out
}
