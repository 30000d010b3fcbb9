package ipvsadm_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"systole/agents/ipvs/config"
	"systole/crm/importer"
	"systole/crm/importer/importertest"
	"systole/crm/importer/ipvsadm"
)

func TestGolden(t *testing.T) {
	for golden, name := range map[string]string{"saved": "saved.rules", "script": "script.sh"} {
		f := importertest.File(t, name)
		r := ipvsadm.Import(f)
		importertest.Check(t, r, f)
		importertest.Golden(t, r, golden)
	}
}

// The director is to make the table that was saved: written as ipvsadm writes
// it, its services are the lines of the source.
func TestTableIsTheSavedOne(t *testing.T) {
	f := importertest.File(t, "saved.rules")
	var got []string
	for _, text := range importertest.Services(t, ipvsadm.Import(f)) {
		c, err := config.Parse(text, config.Defaults{})
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range c.Virtuals {
			got = append(got, strings.Join(append([]string{"-A"}, v.Service.Args()...), " "))
			for _, r := range v.Reals {
				got = append(got, strings.Join(slices.Concat([]string{"-a"}, v.Key.Args(), r.Server.Args()), " "))
			}
		}
	}
	want := slices.DeleteFunc(f.Lines(), func(l string) bool { return strings.HasPrefix(l, "#") })
	for i := range want {
		want[i] = strings.Replace(want[i], " ops", " -o", 1) // what 1.26 wrote
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the table (-saved +made):\n%s", diff)
	}
}

func FuzzImport(f *testing.F) {
	for _, name := range []string{"saved.rules", "script.sh"} {
		f.Add(importertest.File(&testing.T{}, name).Text)
	}
	f.Add("-A -t\n-a -t 1.2.3.4:1 -r\n-A -A\n--set 1 -2\n-A -f 0x10 -6 -p -1\n-E -f 16 -s\n")
	f.Fuzz(func(t *testing.T, text string) {
		file := importer.File{Name: "rules", Text: text}
		importertest.Check(t, ipvsadm.Import(file), file)
	})
}
