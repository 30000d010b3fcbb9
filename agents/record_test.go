package agents

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"systole/agents/ocf"
	"systole/resources"
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

// Agents of the daemon's own process start no process to set an attribute.
func TestAttributesWithoutProcess(t *testing.T) {
	var set []string
	r := record{Config{OCF: ocf.Config{SbinDir: t.TempDir()}, Attribute: func(_ context.Context, name, value string, delay time.Duration) error {
		set = append(set, fmt.Sprint(name, "=", value, " ", delay))
		return nil
	}}}
	op := resources.Op{Resource: "db:0", Instance: "db", Node: "a"}
	for _, err := range []error{
		r.Score(t.Context(), op, 0), r.scoreLater(t.Context(), op, 105, time.Second), r.Score(t.Context(), op, -1),
		r.Set(t.Context(), op, "x", "1"), r.Set(t.Context(), op, "x", ""),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	if want := []string{"master-db=0 0s", "master-db=105 1s", "master-db= 0s", "x=1 0s", "x= 0s"}; !slices.Equal(set, want) {
		t.Errorf("set %q, want %q", set, want)
	}
}

// Without a daemon around them they call crm_attribute, as a script does.
func TestAttributesByTool(t *testing.T) {
	dir := t.TempDir()
	calls := filepath.Join(dir, "calls")
	if err := os.WriteFile(filepath.Join(dir, "crm_attribute"), []byte("#!/bin/sh\necho \"$OCF_RESOURCE_INSTANCE $*\" >>"+calls+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	r := record{Config{OCF: ocf.Config{SbinDir: dir}}}
	op := resources.Op{Resource: "db:0", Instance: "db", Node: "a"}
	for _, err := range []error{
		r.Score(t.Context(), op, 105), r.Score(t.Context(), op, -1),
		r.Set(t.Context(), op, "x", "1"), r.Set(t.Context(), op, "x", ""),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	got, err := os.ReadFile(calls)
	want := "db --promotion -v 105\ndb --promotion -D\n" +
		"db --lifetime reboot --name x --node a --update 1\ndb --lifetime reboot --name x --node a --delete\n"
	if err != nil || string(got) != want {
		t.Errorf("called\n%swant\n%s%v", got, want, err)
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
