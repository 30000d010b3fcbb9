package tools

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"systole/crm/shell/tool"
)

// story is a series of calls on one CIB in a file.
type story struct {
	t    *testing.T
	path string
	env  map[string]string
}

// twoNodes is a cluster of a and b; web runs on a.
const twoNodes = `<cib crm_feature_set="3.16.1" validate-with="pacemaker-3.9" epoch="5" num_updates="7" admin_epoch="1" have-quorum="1"><configuration>
<crm_config><cluster_property_set id="cib-bootstrap-options"><nvpair id="o1" name="stonith-enabled" value="false"/></cluster_property_set></crm_config>
<nodes><node id="1" uname="a"/><node id="2" uname="b"/></nodes>
<resources><primitive id="web" class="ocf" provider="heartbeat" type="Dummy"><instance_attributes id="web-i"><nvpair id="web-i-state" name="state" value="/run/web"/></instance_attributes><operations><op id="web-mon" name="monitor" interval="10s"/></operations></primitive>
<primitive id="idle" class="ocf" provider="heartbeat" type="Dummy"/></resources>
<constraints><rsc_colocation id="near" rsc="idle" with-rsc="web" score="10"/></constraints></configuration>
<status><node_state id="1" uname="a" in_ccm="true" crmd="online" join="member" expected="member"><transient_attributes id="1"><instance_attributes id="status-1">
<nvpair id="fc" name="fail-count-web#monitor_10000" value="3"/><nvpair id="ms" name="master-web" value="7"/></instance_attributes></transient_attributes>
<lrm id="1"><lrm_resources><lrm_resource id="web" class="ocf" provider="heartbeat" type="Dummy"><lrm_rsc_op id="web_last_0" operation_key="web_start_0" operation="start" interval="0" call-id="3" rc-code="0" op-status="0" transition-key="3:1:0:0f" transition-magic="0:0;3:1:0:0f" last-rc-change="1700000000"/></lrm_resource></lrm_resources></lrm></node_state>
<node_state id="2" uname="b" in_ccm="true" crmd="online" join="member" expected="member"/></status></cib>`

func newStory(t *testing.T) *story {
	t.Helper()
	path := filepath.Join(t.TempDir(), "cib.xml")
	if err := os.WriteFile(path, []byte(twoNodes), 0o600); err != nil {
		t.Fatal(err)
	}
	return &story{t: t, path: path, env: map[string]string{"CIB_file": path, "CRM_meta_on_node": "a"}}
}

// call runs a tool: its exit status and what it wrote.
func (s *story) call(run tool.Tool, args string) (code int, out, errs string) {
	s.t.Helper()
	var o, e bytes.Buffer
	code = run(s.t.Context(), &tool.IO{In: strings.NewReader(""), Out: &o, Err: &e, Env: func(name string) string { return s.env[name] }}, strings.Fields(args))
	return code, o.String(), e.String()
}

// step is one call and what must come of it.
type step struct {
	args string
	code int
	want string // the whole standard output; after a failure, what standard error holds
}

func (s *story) play(run tool.Tool, steps ...step) {
	s.t.Helper()
	for _, st := range steps {
		code, out, errs := s.call(run, st.args)
		if code != st.code {
			s.t.Errorf("%s: exit %d, want %d\n%s%s", st.args, code, st.code, out, errs)
		} else if code == 0 && out != st.want {
			s.t.Errorf("%s: printed\n%q, want\n%q", st.args, out, st.want)
		} else if code != 0 && !strings.Contains(errs, st.want) {
			s.t.Errorf("%s: standard error is %q, want %q in it", st.args, errs, st.want)
		}
	}
}

// cib is the document as it is now.
func (s *story) cib() string {
	s.t.Helper()
	doc, err := os.ReadFile(s.path)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(doc)
}
