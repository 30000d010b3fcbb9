package status

import (
	"testing"

	"systole/crm/cib"
)

// Whatever the document, Unpack ends, within its bounds, and says the same twice.
func FuzzUnpack(f *testing.F) {
	for _, d := range []doc{
		{resources: withFencing + dummy, a: ran("p", run{task: "start"}, run{task: "monitor", intervalMillis: 10000, rc: 1, status: execError})},
		{resources: `<clone id="c"><meta_attributes id="m"><nvpair id="n" name="clone-max" value="99999999"/></meta_attributes>` + dummy + `</clone>`, a: ran("p:7", run{task: "start"})},
		{resources: `<bundle id="b"><podman image="i" replicas="99999999"/><network ip-range-start="255.255.255.250"/>` + dummy + `</bundle>`},
		{resources: `<group id="g">` + dummy + `</group>`, a: moved("migrate_to 0 2"), b: moved("migrate_from 1 3")},
		{resources: `<primitive id="r" class="ocf" provider="pacemaker" type="remote"/>`, a: ran("gone", run{task: "start"}), status: `<node_state id="r" uname="r" remote_node="true"/>`},
	} {
		f.Add(document(f, d).String())
	}
	f.Fuzz(func(t *testing.T, text string) {
		root, err := cib.Parse([]byte(text))
		if err != nil {
			return
		}
		s := Unpack(root, testNow)
		again := Unpack(root, testNow)
		if len(s.Resources) != len(again.Resources) || len(s.Wants) != len(again.Wants) || len(s.Problems) != len(again.Problems) || !s.RecheckBy.Equal(again.RecheckBy) {
			t.Fatal("the same document reads differently the second time")
		}
		for i := range s.Resources {
			if r := &s.Resources[i]; r.Parent >= r.Index || r.Index != ResID(i) {
				t.Fatalf("resource %s at %d has number %d and parent %d", r.ID, i, r.Index, r.Parent)
			}
		}
	})
}
