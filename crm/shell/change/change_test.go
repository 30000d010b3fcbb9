package change

import (
	"strings"
	"testing"
	"time"

	"systole/crm/cib"
	"systole/crm/exit"
)

const doc = `<cib validate-with="pacemaker-3.9" epoch="1" num_updates="0" admin_epoch="0" have-quorum="1"><configuration>
<crm_config><cluster_property_set id="cib-bootstrap-options"><nvpair id="se" name="stonith-enabled" value="false"/></cluster_property_set></crm_config>
<nodes><node id="1" uname="n1"/><node id="2" uname="n2"/></nodes>
<resources><primitive id="A" class="ocf" provider="systole" type="Dummy"><meta_attributes id="A-m"><nvpair id="A-m-t" name="target-role" value="Started"/></meta_attributes></primitive>
<clone id="C"><primitive id="c" class="ocf" provider="systole" type="Dummy"/></clone></resources><constraints/></configuration>
<status><node_state id="1" uname="n1" in_ccm="true" crmd="online" join="member" expected="member"><lrm id="1"><lrm_resources>
<lrm_resource id="A" type="Dummy" class="ocf" provider="systole"><lrm_rsc_op id="A_last_0" operation_key="A_start_0" operation="start" transition-key="4:1:0:aaaaaaaa-1111-1111-1111-111111111111" transition-magic="0:0;4:1:0:aaaaaaaa-1111-1111-1111-111111111111" call-id="5" rc-code="0" op-status="0" interval="0" on_node="n1"/></lrm_resource>
</lrm_resources></lrm></node_state><node_state id="2" uname="n2" in_ccm="true" crmd="online" join="member" expected="member"/></status></cib>`

func parsed(t *testing.T) *cib.Element {
	t.Helper()
	root, err := cib.Parse([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// TestSet: an attribute that is there keeps its place, a new one goes into the
// set with the usual id, and what was not touched is shared.
func TestSet(t *testing.T) {
	root := parsed(t)
	a, _ := Resource(root, "A")
	changed, set, pair := Set(a, ResourceAttr("meta_attributes", "A", "target-role"), "Stopped")
	if set != "A-m" || pair != "A-m-t" || !strings.Contains(changed.String(), `value="Stopped"`) {
		t.Errorf("changed in %s %s:\n%s", set, pair, changed)
	}
	changed, set, pair = Set(a, ResourceAttr("instance_attributes", "A", "a b"), "1")
	if set != "A-instance_attributes" || pair != "A-instance_attributes-a.b" {
		t.Errorf("new in %s %s", set, pair)
	}
	next := With(root, a, changed)
	if next.Child("status") != root.Child("status") {
		t.Error("the status section was copied")
	}
	changed, f, ok := Delete(a, ResourceAttr("meta_attributes", "A", "target-role"))
	if !ok || f.Value != "Started" || strings.Contains(changed.String(), "nvpair") {
		t.Errorf("deleted %v %v:\n%s", f, ok, changed)
	}
	if _, _, ok := Delete(a, ResourceAttr("meta_attributes", "A", "nosuch")); ok {
		t.Error("deleted what is not there")
	}
	if v, ok := Property(SetProperty(root, "stonith-enabled", "true"), "stonith-enabled"); !ok || v != "true" {
		t.Errorf("property is %q, %v", v, ok)
	}
}

// TestMove follows crm_resource's rules for moves and bans.
func TestMove(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name string
		r    Relocation
		want exit.Code
		ids  string // of the constraints afterwards
	}{
		{"to another node", Relocation{Resource: "A", Node: "n2"}, exit.OK, "cli-prefer-A"},
		{"to another node, by force", Relocation{Resource: "A", Node: "n2", Force: true}, exit.OK, "cli-prefer-A cli-ban-A-on-n1"},
		{"to where it is", Relocation{Resource: "A", Node: "n1"}, exit.Exists, ""},
		{"away from where it is", Relocation{Resource: "A"}, exit.OK, "cli-ban-A-on-n1"},
		{"away, being nowhere", Relocation{Resource: "C"}, exit.Usage, ""},
		{"to no node", Relocation{Resource: "A", Node: "n3"}, exit.NoSuch, ""},
		{"of no resource", Relocation{Resource: "B", Node: "n1"}, exit.NoSuch, ""},
		{"for a while", Relocation{Resource: "A", Node: "n2", Lifetime: "PT5M"}, exit.OK, "cli-prefer-A"},
		{"for no time", Relocation{Resource: "A", Node: "n2", Lifetime: "soon"}, exit.Usage, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root, done, err := Move(parsed(t), tt.r, now)
			if exit.Of(err) != tt.want {
				t.Fatalf("%v (status %d), want %d", err, exit.Of(err), tt.want)
			}
			var ids []string
			for e := range root.Path("configuration", "constraints").Each("rsc_location") {
				ids = append(ids, e.ID())
			}
			if got := strings.Join(ids, " "); got != tt.ids {
				t.Errorf("constraints %q, want %q", got, tt.ids)
			}
			if tt.r.Lifetime == "PT5M" && !done.Until.Equal(now.Add(5*time.Minute)) {
				t.Errorf("until %v", done.Until)
			}
			if _, removed := Clear(root, Cleared{Resource: tt.r.Resource}); strings.Join(removed, " ") != tt.ids {
				t.Errorf("clear takes %q, want %q", removed, tt.ids)
			}
		})
	}
}
