package explain

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"systole/crm/cib"
	"systole/integration/given"
)

// TestGivenCases asks about situations of the field's own regression data: the answer must name what decided, with
// its score, and every suggested command must lead to what it promises.
func TestGivenCases(t *testing.T) {
	dir := given.Cases(t)
	for _, tt := range []struct{ name, resource, node, names, command string }{
		{"clone_min_start_two", "FAKE", "c7auto1", "location location-FAKE-c7auto1--INFINITY -INFINITY",
			"echo 'location location-FAKE-c7auto1--INFINITY FAKE 1: c7auto1' | crm configure load update -"},
		{"coloc-attr", "group_test1", "power720-4", "location location_t12 -INFINITY",
			"echo 'location location_t12 group_test1 1: power720-4' | crm configure load update -"},
		{"bug-lf-2435", "dummy3", "c21.chepkov.lan", "only-one-0 -INFINITY", "crm configure delete only-one"},
		{"colocate-unmanaged-group", "grpTest", "", "colocation colocation-grpTest-prmStateful-clone-INFINITY -INFINITY (with prmStateful-clone, which is to be nowhere)",
			"crm configure delete colocation-grpTest-prmStateful-clone-INFINITY"},
		{"asymmetric", "vpool_ip_poolA", "", "nothing allows the resource there", "crm configure location vpool_ip_poolA-on-puma1 vpool_ip_poolA 0: puma1"},
		{"bug-5014-A-stop-B-started", "ClusterIP", "", "target-role -INFINITY", "crm resource start ClusterIP"},
		{"bug-lf-1852", "fs_mysql_ip", "mysql-01", "colocation group_on_drbd0 -INFINITY (with ms-drbd0", "crm resource meta fs_mysql_ip set resource-stickiness 0"},
		{"bug-lf-2160", "clone-dom0-iscsi1", "cardhu", "", "crm resource meta clone-dom0-iscsi1 set clone-max 3"},
		{"anti-colocation-order", "group1", "", "the node is in standby", "crm node online node1"},
		{"bug-cl-5170", "svc", "", "colocation colo_tomcat_nms -INFINITY (with cl_tomcat_nms, which is to be on TCS-2)", "crm resource cleanup d_tomcat_nms TCS-2"},
		{"coloc-optional-promoted-dependent-moves-2", "coloc_primary", "fastvm-fedora39-22", "its score is 1, and INFINITY on fastvm-fedora39-23",
			"crm resource clear coloc_primary fastvm-fedora39-23"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q := Question{Root: givenCase(t, dir, tt.name), Resource: tt.resource, Node: tt.node}
			q.Now = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			if at, err := strconv.ParseInt(q.Root.Get("execution-date"), 10, 64); err == nil {
				q.Now = time.Unix(at, 0).UTC()
			}
			a, err := Ask(q)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(a.String(), tt.names) {
				t.Errorf("the answer does not say %q:\n%s", tt.names, a)
			}
			if len(a.Suggestions) == 0 || a.Suggestions[0].Command != tt.command {
				t.Errorf("suggested %+v, want %s", a.Suggestions, tt.command)
			}
			keepsItsPromises(t, q, a)
		})
	}
}

func givenCase(t *testing.T, dir, name string) *cib.Element {
	t.Helper()
	doc, err := os.ReadFile(filepath.Join(dir, "xml", name+".xml"))
	if err != nil {
		t.Fatal(err)
	}
	root, err := cib.Parse(doc)
	if err != nil {
		t.Fatal(err)
	}
	return root
}
