package agents

import (
	"slices"
	"testing"
)

func TestNodeAttributes(t *testing.T) {
	got, err := nodeAttributes([]byte(`<nodes><node id="1" uname="a"><instance_attributes id="n1"><nvpair id="x" name="db-lineage" value="primary term=1 nonce=ab at=0-1-2 gen=0 with="/></instance_attributes></node><node id="2" uname="b"/></nodes>`))
	if err != nil || got["a"]["db-lineage"] != "primary term=1 nonce=ab at=0-1-2 gen=0 with=" || got["b"] == nil {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := nodeAttributes([]byte("no xml")); err == nil {
		t.Error("nonsense is no node")
	}
}

func TestTransientAttributes(t *testing.T) {
	got, err := transientAttributes([]byte(`<status><node_state uname="a"><transient_attributes id="1"><instance_attributes id="s"><nvpair id="x" name="site-version" value="6.1"/></instance_attributes></transient_attributes></node_state></status>`))
	if err != nil || got["a"]["site-version"] != "6.1" {
		t.Errorf("%v, %v", got, err)
	}
}

func TestActiveNodes(t *testing.T) {
	node := func(name, ops string) string {
		return `<node_state uname="` + name + `"><lrm id="x"><lrm_resources><lrm_resource id="db:0">` + ops + `</lrm_resource></lrm_resources></lrm></node_state>`
	}
	doc := "<status>" +
		node("stopped", `<lrm_rsc_op operation="start" call-id="3" rc-code="0" op-status="0"/><lrm_rsc_op operation="stop" call-id="9" rc-code="0" op-status="0"/><lrm_rsc_op operation="notify" call-id="12" rc-code="0" op-status="0"/>`) +
		node("started", `<lrm_rsc_op operation="stop" call-id="3" rc-code="0" op-status="0"/><lrm_rsc_op operation="start" call-id="9" rc-code="0" op-status="0"/>`) +
		node("probed", `<lrm_rsc_op operation="monitor" call-id="3" rc-code="7" op-status="0"/>`) +
		node("pending", `<lrm_rsc_op operation="stop" call-id="3" rc-code="0" op-status="0"/><lrm_rsc_op operation="start" call-id="-1" rc-code="193" op-status="-1"/>`) +
		node("stuck", `<lrm_rsc_op operation="stop" call-id="3" rc-code="1" op-status="2"/>`) +
		`<node_state uname="empty"/></status>`
	got, err := activeNodes([]byte(doc), "db")
	if want := []string{"started", "pending", "stuck"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("active on %v, %v; want %v", got, err, want)
	}
	if got, _ := activeNodes([]byte(doc), "other"); len(got) != 0 {
		t.Errorf("other on %v", got)
	}
}

func FuzzRecord(f *testing.F) {
	f.Add([]byte(`<status><node_state uname="a"><lrm><lrm_resources><lrm_resource id="db"><lrm_rsc_op operation="start" call-id="3"/></lrm_resource></lrm_resources></lrm></node_state></status>`))
	f.Add([]byte(`<nodes><node uname="a"/></nodes>`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		_, _ = nodeAttributes(doc)
		_, _ = transientAttributes(doc)
		_, _ = activeNodes(doc, "db")
	})
}
