package transition

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const smallGraph = `<transition_graph cluster-delay="60s" fencing-timeout="60s" failed-stop-offset="INFINITY" failed-start-offset="1" batch-limit="3" transition_id="4" migration-limit="2" recheck-by="1568993401">
  <synapse id="0" priority="10">
    <action_set>
      <rsc_op id="2" operation="start" operation_key="db_start_0" internal_operation_key="db:1_start_0" on_node="n1" on_node_uuid="1" router_node="n2" shutdown-lock="77">
        <primitive id="db" long-id="db:1" class="ocf" provider="heartbeat" type="mysql"/>
        <attributes CRM_meta_timeout="20000" text="a &lt;b&gt; &quot;c&quot; &amp;&#10;d">
          <param name="1" value="first"/>
        </attributes>
        <downed>
          <node id="g1"/>
        </downed>
      </rsc_op>
    </action_set>
    <inputs>
      <trigger>
        <crm_event id="1" operation="stonith" operation_key="stonith-n3-reboot" on_node="n3" on_node_uuid="3"/>
      </trigger>
    </inputs>
  </synapse>
  <synapse id="1">
    <action_set>
      <crm_event id="1" operation="stonith" operation_key="stonith-n3-reboot" on_node="n3" on_node_uuid="3">
        <attributes/>
      </crm_event>
    </action_set>
    <inputs/>
  </synapse>
</transition_graph>
`

func TestXMLRoundTrip(t *testing.T) {
	g, err := ParseXML([]byte(smallGraph))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := WriteXML(&b, g); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(smallGraph, b.String()); diff != "" {
		t.Errorf("written graph differs (-want +got):\n%s", diff)
	}
	if got := g.Action(2).Attribute("text"); got != "a <b> \"c\" &\nd" {
		t.Errorf("attribute text = %q", got)
	}
}

func TestXMLErrorsNameThePlace(t *testing.T) {
	for src, want := range map[string]string{
		"<a/>": "root element is not transition_graph",
		"<":    "transition graph: XML line 1",
		"<transition_graph>\n<synapse id=\"3\"/></transition_graph>":                                                                 "line 2: synapse 3 must hold exactly one action",
		"<transition_graph><synapse id='0'><action_set><thing/></action_set></synapse></transition_graph>":                           "line 1: thing is not an action",
		"<transition_graph batch-limit='many'/>":                                                                                     `batch-limit="many" of transition_graph is not a number`,
		"<transition_graph><synapse id='0'><action_set><rsc_op id='x'/></action_set></synapse></transition_graph>":                   `id="x" of rsc_op is not a number`,
		"<transition_graph><synapse id='0' priority=''><action_set><pseudo_event id='1'/></action_set></synapse></transition_graph>": `priority="" of synapse is not a number`,
	} {
		_, err := ParseXML([]byte(src))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", src, err, want)
		}
	}
}

func TestJSONCarriesEveryAction(t *testing.T) {
	g, err := ParseXML([]byte(smallGraph))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := WriteJSON(&b, g); err != nil {
		t.Fatal(err)
	}
	var doc jsonGraph
	if err := json.Unmarshal(b.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	if len(doc.Actions) != 2 || doc.Actions[0].Resource != "db:1" || doc.Actions[0].Agent != "ocf:heartbeat:mysql" ||
		doc.Actions[0].TimeoutMillis != 20000 || len(doc.Actions[0].After) != 1 || doc.Transition != 4 {
		t.Errorf("JSON graph: %s", b.String())
	}
}

func FuzzGraphXML(f *testing.F) {
	f.Add([]byte(smallGraph))
	f.Add([]byte("<transition_graph/>"))
	f.Add([]byte(`<transition_graph><synapse id="0"><action_set><pseudo_event id="1" operation="x"/></action_set><inputs><trigger><rsc_op id="9"/></trigger></inputs></synapse></transition_graph>`))
	f.Fuzz(func(t *testing.T, src []byte) {
		g, err := ParseXML(src)
		if err != nil {
			return
		}
		var b bytes.Buffer
		if err := WriteXML(&b, g); err != nil {
			t.Fatal(err)
		}
		if _, err := ParseXML(b.Bytes()); err != nil {
			t.Fatalf("written graph does not read back: %v\n%s", err, b.Bytes())
		}
		NewRun(g)
	})
}
