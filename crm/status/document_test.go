package status

import (
	"testing"

	"systole/crm/cib"
)

// doc is a CIB of the nodes a (id 1) and b (id 2), with fencing unless options say otherwise.
type doc struct {
	options, resources string // nvpairs; resource elements
	nodes              string // in place of a and b
	a, b               string // what is in the node_state of each: the content of it
	stateA, stateB     string // attributes in place of a member's
	status             string // more entries of the status section
}

const memberState = `in_ccm="true" crmd="online" join="member" expected="member"`

// document makes the element of a doc.
func document(t testing.TB, d doc) *cib.Element {
	t.Helper()
	or := func(text, otherwise string) string {
		if text == "" {
			return otherwise
		}
		return text
	}
	root, err := cib.Parse([]byte(`<cib have-quorum="true" validate-with="pacemaker-3.9"><configuration><crm_config><cluster_property_set id="o">` + d.options +
		`</cluster_property_set></crm_config><nodes>` + or(d.nodes, `<node id="1" uname="a"/><node id="2" uname="b"/>`) +
		`</nodes><resources>` + d.resources + `</resources><constraints/></configuration><status>` +
		`<node_state id="1" uname="a" ` + or(d.stateA, memberState) + `>` + d.a + `</node_state><node_state id="2" uname="b" ` + or(d.stateB, memberState) + `>` + d.b +
		`</node_state>` + d.status + `</status></cib>`))
	if err != nil {
		t.Fatal(err)
	}
	return root
}
