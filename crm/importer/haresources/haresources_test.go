package haresources_test

import (
	"strings"
	"testing"

	"systole/crm/importer"
	"systole/crm/importer/haresources"
	"systole/crm/importer/importertest"
)

func TestEverything(t *testing.T) {
	src := haresources.Source{Resources: importertest.File(t, "haresources"), Cluster: importertest.File(t, "ha.cf"), Open: importertest.Open(t)}
	r := haresources.Import(src)
	importertest.Check(t, r, src.Resources, src.Cluster, importertest.File(t, "ldirectord.cf"))
	importertest.Golden(t, r, "everything")
	if strings.Contains(r.Report.String(), "hunter2") {
		t.Error("the report shows the password of the fence device")
	}
}

func TestSimple(t *testing.T) {
	f := importertest.File(t, "simple")
	r := haresources.Import(haresources.Source{Resources: f})
	importertest.Check(t, r, f)
	importertest.Golden(t, r, "simple")
}

func FuzzImport(f *testing.F) {
	f.Add(importertest.File(&testing.T{}, "haresources").Text, importertest.File(&testing.T{}, "ha.cf").Text)
	f.Add("a \\\n\\\n#x\na 1.2.3.4/ 1.2.3.4//x/y :: drbddisk drbddisk::a ldirectord LVSSyncDaemonSwap::master::x #clone:c", "stonith_host\nnode\nping_group\nrespawn\n")
	f.Add("a 1.2.3.4\nb 1.2.3.4 mysql::a::b::c::d::e Raid1 LVM::vg #1", "stonith_host * ssh a b c\nauto_failback\ncrm on")
	f.Fuzz(func(t *testing.T, resources, cluster string) {
		src := haresources.Source{Resources: importer.File{Name: "haresources", Text: resources}, Cluster: importer.File{Name: "ha.cf", Text: cluster}}
		sources := []importer.File{src.Resources}
		if cluster != "" {
			sources = append(sources, src.Cluster)
		}
		importertest.Check(t, haresources.Import(src), sources...)
	})
}
