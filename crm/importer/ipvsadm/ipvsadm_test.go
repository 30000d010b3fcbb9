package ipvsadm_test

import (
	"testing"

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
