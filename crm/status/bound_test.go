package status

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"systole/crm/cib"
)

// A number in a CIB cannot take all memory: what clones and bundles multiply is cut, and Problems says so.
func TestMultipliedResourcesAreBounded(t *testing.T) {
	clone := func(id, meta string) string {
		return `<clone id="` + id + `"><meta_attributes id="` + id + `-m">` + meta + `</meta_attributes><primitive id="` + id + `-p" class="ocf" provider="heartbeat" type="Dummy"/></clone>`
	}
	pair := func(name, value string) string {
		return `<nvpair id="` + name + `" name="` + name + `" value="` + value + `"/>`
	}
	for _, c := range []struct {
		name, resources string
		children        int // of the first resource that has any
		problem         string
	}{
		{"as many as asked for", clone("c", pair("clone-max", "5")), 5, ""},
		{"at the bound", clone("c", pair("clone-max", "1000")), cib.MaxCloneInstances, ""},
		{"clone-max", clone("c", pair("clone-max", "20000000")), cib.MaxCloneInstances, "clone c: clone-max=20000000 is more than this cluster can hold: 1000 are made, write that or less"},
		{"the largest number there is", clone("c", pair("clone-max", "9223372036854775807")), cib.MaxCloneInstances, "clone c: clone-max=2147483647"},
		{"clone-node-max", clone("c", pair("clone-node-max", "9223372036854775807")), 2, ""},
		{"promoted-max", clone("c", pair("promotable", "true")+pair("promoted-max", "20000000")), 2, ""},
		{"instances without a number", clone("c", pair("clone-max", "many")), 1, ""},
		{"replicas", `<bundle id="b"><podman image="i" replicas="10000000"/></bundle>`, cib.MaxReplicas, "bundle b: replicas=10000000"},
		{"replicas of a bundle with a resource", `<bundle id="b"><podman image="i" replicas="10000000" replicas-per-host="9223372036854775807"/><network ip-range-start="10.0.0.1"/>` +
			`<primitive id="p" class="ocf" provider="heartbeat" type="Dummy"/></bundle>`, 3*cib.MaxReplicas + 1, "bundle b: replicas=10000000"},
		{"promoted-max for replicas", `<bundle id="b"><podman image="i" promoted-max="10000000"/></bundle>`, cib.MaxReplicas, "bundle b: replicas=10000000"},
	} {
		s := Unpack(document(t, doc{resources: c.resources}), testNow)
		if got := len(s.Resources[0].Children); got != c.children {
			t.Errorf("%s: %d children, want %d", c.name, got, c.children)
		}
		if told := strings.Join(s.Problems, "\n"); (c.problem == "") != (told == "") || !strings.Contains(told, c.problem) {
			t.Errorf("%s: the problems are %q, want %q", c.name, told, c.problem)
		}
	}
}

// Many clones at their bound are bounded together, and each still has its first instance.
func TestAllClonesTogetherAreBounded(t *testing.T) {
	var b strings.Builder
	for i := range 30 {
		fmt.Fprintf(&b, `<clone id="c%d"><meta_attributes id="m%d"><nvpair id="n%d" name="clone-max" value="1000"/></meta_attributes><group id="g%d">`, i, i, i, i)
		for j := range 20 {
			fmt.Fprintf(&b, `<primitive id="p%d-%d" class="ocf" provider="heartbeat" type="Dummy"/>`, i, j)
		}
		b.WriteString(`</group></clone>`)
	}
	s := Unpack(document(t, doc{resources: b.String()}), testNow)
	if slack := 30 * 22; len(s.Resources) > maxMultiplied+slack {
		t.Errorf("%d resources, want at most %d", len(s.Resources), maxMultiplied+slack)
	}
	for i := range 30 {
		if r, ok := s.Resource(fmt.Sprintf("c%d", i)); !ok || len(r.Children) == 0 {
			t.Errorf("clone c%d has no instance", i)
		}
	}
	if !slices.ContainsFunc(s.Problems, func(p string) bool { return strings.HasPrefix(p, "clone c29: clone-max=1000") }) {
		t.Errorf("nothing is said of the clone that was cut: %q", s.Problems)
	}
}

// A cluster of more nodes than the bound still has an instance on each, and nobody complains.
func TestInstanceForEveryNode(t *testing.T) {
	var nodes strings.Builder
	for i := range cib.MaxCloneInstances + 5 {
		fmt.Fprintf(&nodes, `<node id="%d" uname="n%d"/>`, i, i)
	}
	root := document(t, doc{nodes: nodes.String(), resources: `<clone id="c"><primitive id="p" class="ocf" provider="heartbeat" type="Dummy"/></clone>`})
	s := Unpack(root, testNow)
	if c, _ := s.Resource("c"); len(c.Children) != cib.MaxCloneInstances+5 || c.Clone.Max != len(c.Children) || len(s.Problems) > 0 {
		t.Errorf("%d instances of %d, problems %q", len(c.Children), c.Clone.Max, s.Problems)
	}
}
