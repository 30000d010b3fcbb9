package keepalived_test

import (
	"strings"
	"testing"

	"systole/crm/importer"
	"systole/crm/importer/importertest"
	"systole/crm/importer/keepalived"
)

// The files of two directors in the shape of the tutorials.
func TestTwoDirectors(t *testing.T) {
	a, b := importertest.File(t, "director-a.conf"), importertest.File(t, "director-b.conf")
	r := keepalived.Import(keepalived.Source{File: a, Node: "director-a"}, keepalived.Source{File: b, Node: "director-b"})
	if r.Err != nil {
		t.Error(r.Err)
	}
	importertest.Check(t, r, a, b)
	importertest.Golden(t, r, "two-directors")
}

func TestEverything(t *testing.T) {
	f := importertest.File(t, "everything.conf")
	r := keepalived.Import(keepalived.Source{File: f, Node: "one", Open: importertest.Open(t)})
	if r.Err != nil {
		t.Error(r.Err)
	}
	importertest.Check(t, r, f, importertest.File(t, "extra-1.conf"))
	importertest.Golden(t, r, "everything")
}

// What breaks the syntax is named with its line; the rest is read.
func TestBroken(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"global_defs {\n", "conf:1: the block of global_defs has no }"},
		{"}\n", "conf:1: a } without a {"},
		{"\n{\n}\n", "conf:2: a { without a keyword before it"},
	} {
		f := importer.File{Name: "conf", Text: c.text}
		r := keepalived.Import(keepalived.Source{File: f})
		importertest.Check(t, r, f)
		if r.Err == nil || !strings.Contains(r.Err.Error(), c.want) {
			t.Errorf("%q: error %v, want %q", c.text, r.Err, c.want)
		}
	}
}

// The second file counts for its priority; where it says something else, the report does too.
func TestDirectorsDiffer(t *testing.T) {
	a, b := importertest.File(t, "director-a.conf"), importertest.File(t, "director-b.conf")
	b.Text = strings.Replace(strings.Replace(b.Text, "delay_loop 6", "delay_loop 9", 1), "        10.77.0.100\n", "        10.77.0.101\n", 1)
	r := keepalived.Import(keepalived.Source{File: a, Node: "director-a"}, keepalived.Source{File: b, Node: "director-b"})
	report := r.Report.String()
	for _, want := range []string{"the first file has other addresses for VI_1", "configures tcp 10.77.0.100:80 otherwise (director-a.conf:28)"} {
		if !strings.Contains(report, want) {
			t.Errorf("the report does not say %q:\n%s", want, report)
		}
	}
}

func FuzzImport(f *testing.F) {
	for _, name := range []string{"director-a.conf", "everything.conf", "extra-1.conf"} {
		f.Add(importertest.File(&testing.T{}, name).Text)
	}
	f.Add("$A=$A$A\nx $A\n~LST(v, a, b) ~SEQ(w, 1, 9) real_server $v.$w\n@x @^y z {\n")
	f.Add("virtual_server group g {\nreal_server ::1 {\n}\n}\nvirtual_server_group g {\n::-ffff::\n1.2.3.4-3\n0.0.0.0/0\n}\n")
	f.Add("vrrp_instance a b {\nvirtual_ipaddress {\n1.1.1.1/33\n1.1.1.1 dev\n}\n}\nvrrp_sync_group g { group { a a b } }")
	f.Fuzz(func(t *testing.T, text string) {
		file := importer.File{Name: "keepalived.conf", Text: text}
		loop := func(string) ([]importer.File, error) { return []importer.File{file}, nil }
		r := keepalived.Import(keepalived.Source{File: file, Node: "a", Open: loop}, keepalived.Source{File: importer.File{Name: "b", Text: text}, Node: "b"})
		importertest.Check(t, r, file)
	})
}
