package lvs

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"systole/crm/cib"
)

// site is a CIB with a node for each story; web nodes ran the real server rs.
func site(t *testing.T, nodes map[string]string) *cib.Element {
	t.Helper()
	var config, state strings.Builder
	i := 0
	for name, story := range nodes {
		i++
		permanent, transient, history := "", "", ""
		for _, word := range strings.Fields(story) {
			k, v, _ := strings.Cut(word, "=")
			nv := func(set string) string {
				return fmt.Sprintf(`<nvpair id="%s-%d-%s" name="%s" value="%s"/>`, set, i, k, k, v)
			}
			switch {
			case k == "rs" || k == "rs2":
				rc := map[string]string{"runs": "0", "off": "7"}[v]
				history += fmt.Sprintf(`<lrm_resource id="%s" class="ocf" provider="systole" type="realserver"><lrm_rsc_op id="%[1]s_monitor_0" operation="monitor" interval="0" call-id="1" rc-code="%[2]s" op-status="0" operation_key="%[1]s_monitor_0" transition-key="1:1:7:x" transition-magic="0:%[2]s;1:1:7:x"/></lrm_resource>`, k, rc)
			case strings.HasPrefix(k, "t:"):
				k = k[2:]
				transient += nv("t")
			default:
				permanent += nv("p")
			}
		}
		fmt.Fprintf(&config, `<node id="%d" uname="%s"><instance_attributes id="n%[1]d">%[3]s</instance_attributes></node>`, i, name, permanent)
		fmt.Fprintf(&state, `<node_state id="%d" uname="%s" in_ccm="true" crmd="online" join="member" expected="member"><lrm id="%[1]d"><lrm_resources>%[3]s</lrm_resources></lrm><transient_attributes id="%[1]d"><instance_attributes id="s%[1]d">%[4]s</instance_attributes></transient_attributes></node_state>`, i, name, history, transient)
	}
	const rs = `<clone id="cl-%[1]s"><primitive id="%[1]s" class="ocf" provider="systole" type="realserver"/></clone>`
	doc := `<cib validate-with="pacemaker-3.9" epoch="1" num_updates="0" admin_epoch="0"><configuration><crm_config><cluster_property_set id="b"><nvpair id="b-s" name="stonith-enabled" value="false"/></cluster_property_set></crm_config><nodes>` +
		config.String() + `</nodes><resources>` + fmt.Sprintf(rs, "rs") + fmt.Sprintf(rs, "rs2") + `</resources><constraints/></configuration><status>` + state.String() + `</status></cib>`
	c, err := cib.ParseCIB([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	return c.Root()
}

func TestWeights(t *testing.T) {
	for _, tt := range []struct{ story, want, why string }{
		{"", "-", ""},
		{"rs=runs", "-", ""},
		{"rs=runs lvs-weight=7", "7", "lvs-weight is set"},
		{"rs=runs lvs-weight=0", "0", "lvs-weight is set"},
		{"rs=runs lvs-weight=lots", "-", "lvs-weight=lots is not a number from 0 to 65535 and does not count"},
		{"rs=runs lvs-drain=true lvs-weight=7", "drain", "lvs-drain is set"},
		{"rs=runs t:lvs-drain=true", "drain", "lvs-drain is set"},
		{"rs=runs lvs-drain=false", "-", ""},
		{"rs=runs standby=on", "drain", "standby"},
		{"rs=runs t:standby=on", "drain", "standby"},
		{"rs=runs maintenance=true", "drain", "maintenance"},
		{"rs=runs t:shutdown=1700000000", "drain", "it shuts down"},
		{"rs=runs t:lvs-drain-rs=true", "drain", "rs is stopping"},
		// A stop leaves its attribute; while another real server runs here it does not count.
		{"rs=runs rs2=off t:lvs-drain-rs2=true", "-", ""},
		{"rs=off t:lvs-drain-rs=true", "drain", "rs does not run"},
		{"rs=off", "drain", "rs does not run"},
		{"rs=off rs2=off", "drain", "rs2 does not run"},
		// Of a resource that has left the configuration.
		{"t:lvs-drain-old=true", "-", ""},
	} {
		ws := Weights(site(t, map[string]string{"web": tt.story}), time.Unix(1700000000, 0))
		if len(ws) != 1 || ws[0].Node != "web" || ws[0].String() != tt.want || ws[0].Why != tt.why {
			t.Errorf("%q: %+v, want %s because %q", tt.story, ws, tt.want, tt.why)
		}
	}
}

func TestWriteTable(t *testing.T) {
	var b strings.Builder
	ws := Weights(site(t, map[string]string{"web-2": "lvs-weight=3", "web-1": "standby=on", "db": ""}), time.Unix(1700000000, 0))
	if err := WriteTable(&b, ws); err != nil || b.String() != "db -\nweb-1 drain\nweb-2 3\n\n" {
		t.Errorf("%v:\n%s", err, b.String())
	}
}
