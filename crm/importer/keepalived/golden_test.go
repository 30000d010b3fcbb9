package keepalived_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"systole/crm/importer"
	"systole/crm/importer/keepalived"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

func file(t *testing.T, name string) importer.File {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return importer.File{Name: name, Text: string(text)}
}

func TestGolden(t *testing.T) {
	r := keepalived.Import(keepalived.Source{File: file(t, "director-a.conf"), Node: "director-a"}, keepalived.Source{File: file(t, "director-b.conf"), Node: "director-b"})
	t.Logf("%v\n%s\n%s", r.Err, r.Config.Text(), r.Report)
}
