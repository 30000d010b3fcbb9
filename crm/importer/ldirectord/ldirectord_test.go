package ldirectord_test

import (
	"strings"
	"testing"

	"systole/crm/importer"
	"systole/crm/importer/importertest"
	"systole/crm/importer/ldirectord"
)

func TestGolden(t *testing.T) {
	for _, name := range []string{"ldirectord.cf", "everything.cf"} {
		f := importertest.File(t, name)
		r := ldirectord.Import(f)
		importertest.Check(t, r, f)
		importertest.Golden(t, r, strings.TrimSuffix(name, ".cf"))
	}
}

// Neither report nor configuration shows a password.
func TestSecrets(t *testing.T) {
	r := ldirectord.Import(importertest.File(t, "everything.cf"))
	for _, secret := range []string{"geheim", "tief"} {
		if strings.Contains(r.Report.String()+r.Config.Text(), secret) {
			t.Errorf("the secret %q is shown", secret)
		}
	}
}

func FuzzImport(f *testing.F) {
	for _, name := range []string{"ldirectord.cf", "everything.cf"} {
		f.Add(importertest.File(&testing.T{}, name).Text)
	}
	f.Add("virtual=1.2.3.4:80\n\treal=1.1.1.1->9.9.9.9:80 masq \"\n\treal=::1 gate\n\treal=\n\tchecktype=\n")
	f.Add("virtual6=[::1]:99999\n    fallback6=[::1] masq\n    service=http\n    request=\"http://[::1]:8/%zz\"\n")
	f.Fuzz(func(t *testing.T, text string) {
		file := importer.File{Name: "ldirectord.cf", Text: text}
		importertest.Check(t, ldirectord.Import(file), file)
	})
}
