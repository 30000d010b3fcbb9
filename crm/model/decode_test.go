package model

import (
	"slices"
	"strings"
	"testing"

	"systole/crm/cib"
)

// decode is the configuration with these sections in place of empty ones.
func decode(t testing.TB, sections string) *Config {
	t.Helper()
	root, err := cib.Parse([]byte(`<cib validate-with="pacemaker-3.9"><configuration>` + sections + `</configuration><status/></cib>`))
	if err != nil {
		t.Fatal(err)
	}
	return Decode(root)
}

func resources(t testing.TB, xml string) *Config {
	t.Helper()
	return decode(t, "<resources>"+xml+"</resources>")
}

// outline draws a resource as kind id(agent)[members].
func outline(r *Resource) string {
	s := r.Kind.String() + " " + r.ID
	if r.Kind == Primitive {
		s += "(" + strings.Join([]string{r.Class, r.Provider, r.Type}, ":") + ")"
	}
	var members []string
	for _, m := range r.Members {
		members = append(members, outline(m))
	}
	if members != nil {
		s += "[" + strings.Join(members, " ") + "]"
	}
	return s
}

// TestResources: the tree of what is configured, and what is left out of it.
func TestResources(t *testing.T) {
	const p, q = `<primitive id="p" class="ocf" provider="heartbeat" type="Dummy"/>`, `<primitive id="q" class="lsb" type="x"/>`
	for _, c := range []struct {
		name, xml string
		want      []string
		problem   string
	}{
		{"none", "", nil, ""},
		{"in document order", q + p, []string{"primitive q(lsb::x)", "primitive p(ocf:heartbeat:Dummy)"}, ""},
		{"group", `<group id="g">` + p + q + `</group>`, []string{"group g[primitive p(ocf:heartbeat:Dummy) primitive q(lsb::x)]"}, ""},
		{"empty group", `<group id="g"/>`, []string{"group g"}, ""},
		{"clone", `<clone id="c">` + p + `</clone>`, []string{"clone c[primitive p(ocf:heartbeat:Dummy)]"}, ""},
		{"clone of a group", `<clone id="c"><group id="g">` + p + `</group></clone>`, []string{"clone c[group g[primitive p(ocf:heartbeat:Dummy)]]"}, ""},
		{"empty clone", `<clone id="c"/>` + p, []string{"primitive p(ocf:heartbeat:Dummy)"}, "clone c has nothing to clone, left out"},
		{"bundle", `<bundle id="b"><podman image="i"/>` + p + `</bundle>`, []string{"bundle b[primitive p(ocf:heartbeat:Dummy)]"}, ""},
		{"bundle of no engine", `<bundle id="b"><jail image="i"/></bundle>`, nil, "bundle b: no known container engine, left out"},
		{"without id", `<primitive class="lsb" type="x"/>` + q, []string{"primitive q(lsb::x)"}, "primitive without id (line 1) left out"},
		{"a comment and a stranger", `<!-- note --><teapot id="t"/>` + q, []string{"primitive q(lsb::x)"}, ""},
		{"a template is no resource", `<template id="t" class="lsb" type="x"/>`, nil, ""},
		{"no template of that name", `<primitive id="p" template="t"/>`, []string{"primitive p(::)"}, "p: no template t"},
	} {
		conf := resources(t, c.xml)
		var got []string
		for _, r := range conf.Resources {
			got = append(got, outline(r))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		if told := strings.Join(conf.Problems, "; "); told != c.problem {
			t.Errorf("%s: the problems are %q, want %q", c.name, told, c.problem)
		}
	}
}

// The element master of old schemas is a promotable clone.
func TestMaster(t *testing.T) {
	r := resources(t, `<master id="m"><primitive id="p" class="lsb" type="x"/></master>`).Resources[0]
	if r.Kind != Clone || !r.OldPromotable {
		t.Errorf("%v, promotable %t", r.Kind, r.OldPromotable)
	}
}

// A template gives the agent, attribute sets and operations; the primitive's own operations replace the template's of
// the same name and role.
func TestTemplate(t *testing.T) {
	r := resources(t, `<template id="t" class="ocf" provider="heartbeat" type="Dummy">
		<meta_attributes id="tm"><nvpair id="tm1" name="priority" value="1"/></meta_attributes>
		<operations id="to"><op id="t-mon" name="monitor" interval="10s"/><op id="t-prom" name="monitor" role="Promoted" interval="11s"/><op id="t-stop" name="stop" interval="0"/></operations></template>
		<primitive id="p" template="t"><meta_attributes id="pm"/><instance_attributes id="pi"/><operations><op id="p-mon" name="monitor" interval="20s"/></operations></primitive>`).Resources[0]
	if r.ID != "p" || r.Template != "t" || r.Class != "ocf" || r.Type != "Dummy" {
		t.Errorf("%+v", r)
	}
	var ops, sets []string
	for _, op := range r.Ops {
		ops = append(ops, op.ID+" "+op.Interval)
	}
	for _, set := range slices.Concat(r.Meta, r.Params) {
		sets = append(sets, set.Source.ID())
	}
	if want := []string{"p-mon 20s", "t-prom 11s", "t-stop 0"}; !slices.Equal(ops, want) {
		t.Errorf("operations %q, want %q", ops, want)
	}
	if want := []string{"tm", "pm", "pi"}; !slices.Equal(sets, want) {
		t.Errorf("attribute sets %q, want %q", sets, want)
	}
}

// id-ref stands for an element elsewhere: whole operations lists and single ops. What refers to nothing stays as it is.
func TestIDReferences(t *testing.T) {
	conf := resources(t, `<primitive id="p" class="lsb" type="x"><operations id="shared"><op id="mon" name="monitor" interval="10s"/></operations></primitive>
		<primitive id="q" class="lsb" type="x"><operations id-ref="shared"/></primitive>
		<primitive id="r" class="lsb" type="x"><operations><op id-ref="mon"/><op id-ref="gone" name="start"/></operations></primitive>`)
	for i, want := range [][]string{{"mon"}, {"mon"}, {"mon", ""}} {
		var got []string
		for _, op := range conf.Resources[i].Ops {
			got = append(got, op.ID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s has the operations %q, want %q", conf.Resources[i].ID, got, want)
		}
	}
}

// Rules stay in the sets: what they say depends on the time and the node.
func TestSetsKeepRules(t *testing.T) {
	conf := decode(t, `<crm_config><cluster_property_set id="o1"/><cluster_property_set id="o2"><rule id="r" score="0"/></cluster_property_set></crm_config>
		<nodes><node id="1" uname="a"><instance_attributes id="n1"/><utilization id="n2"/></node></nodes>
		<rsc_defaults><meta_attributes id="rd"/></rsc_defaults><op_defaults><meta_attributes id="od"><rule id="r2"><op_expression id="x" name="start"/></rule></meta_attributes></op_defaults>`)
	if len(conf.Options) != 2 || conf.Options[1].Source.Child("rule") == nil {
		t.Errorf("options %v", conf.Options)
	}
	if len(conf.ResourceDefaults) != 1 || len(conf.OpDefaults) != 1 || conf.OpDefaults[0].Source.Child("rule") == nil {
		t.Errorf("defaults %v, %v", conf.ResourceDefaults, conf.OpDefaults)
	}
	if n := conf.Nodes[0]; n.Name != "a" || len(n.Attributes) != 1 || len(n.Utilization) != 1 {
		t.Errorf("node %+v", n)
	}
}

func TestBundle(t *testing.T) {
	b := resources(t, `<bundle id="b"><docker image="i" masters="2" replicas="3"/><network ip-range-start="10.0.0.1" control-port="99"><port-mapping id="pm" port="80"/></network>
		<storage><storage-mapping id="sm" source-dir="/a" target-dir="/b"/></storage></bundle>`).Resources[0].Bundle
	if b.Engine != "docker" || b.Replicas != "3" || b.PromotedMax != "2" || b.IPRangeStart != "10.0.0.1" || b.ControlPort != "99" || len(b.Ports) != 1 || len(b.Mounts) != 1 {
		t.Errorf("%+v", b)
	}
}

// Fencing levels are 1 to 9; devices are separated by commas or white space.
func TestFencingLevels(t *testing.T) {
	for _, c := range []struct {
		index, devices string
		want           []string // nil: left out
	}{
		{"1", "a", []string{"a"}}, {"9", "a,b", []string{"a", "b"}}, {"2", " a, b\tc\n", []string{"a", "b", "c"}},
		{"0", "a", nil}, {"10", "a", nil}, {"-1", "a", nil}, {"first", "a", nil}, {"", "a", nil},
	} {
		conf := decode(t, `<fencing-topology><fencing-level id="f" index="`+c.index+`" target="n" devices="`+c.devices+`"/></fencing-topology>`)
		var got []string
		for _, l := range conf.FencingLevels {
			got = l.Devices
		}
		if !slices.Equal(got, c.want) || (len(conf.Problems) == 0) != (c.want != nil) {
			t.Errorf("level %q of %q: %q, problems %q", c.index, c.devices, got, conf.Problems)
		}
	}
}

// Constraints keep document order; one without id is left out and named.
func TestConstraints(t *testing.T) {
	conf := decode(t, `<constraints><rsc_order id="o" first="p" then="q"/><rsc_location id="l" rsc="p"><rule id="r"/></rsc_location><rsc_location rsc="p" node="a"/>
		<rsc_colocation id="c" score="5"><resource_set id="s" sequential="false"><resource_ref id="p"/><resource_ref id="q"/></resource_set></rsc_colocation>
		<rsc_ticket id="t" rsc="p" ticket="T" loss-policy="stop"/><teapot id="x"/></constraints>`)
	if len(conf.Constraints) != 4 || len(conf.Problems) != 1 {
		t.Fatalf("%d constraints, problems %q", len(conf.Constraints), conf.Problems)
	}
	if o, ok := conf.Constraints[0].(*Order); !ok || o.First != "p" || o.Then != "q" {
		t.Errorf("%+v", conf.Constraints[0])
	}
	if l, ok := conf.Constraints[1].(*Location); !ok || len(l.Rules) != 1 {
		t.Errorf("%+v", conf.Constraints[1])
	}
	if c, ok := conf.Constraints[2].(*Colocation); !ok || len(c.Sets) != 1 || !slices.Equal(c.Sets[0].Members, []string{"p", "q"}) || c.Sets[0].Sequential != "false" {
		t.Errorf("%+v", conf.Constraints[2])
	}
	if k, ok := conf.Constraints[3].(*Ticket); !ok || k.Ticket != "T" || k.LossPolicy != "stop" {
		t.Errorf("%+v", conf.Constraints[3])
	}
}

func TestTags(t *testing.T) {
	conf := decode(t, `<tags><tag id="t"><obj_ref id="b"/><obj_ref id="a"/></tag></tags>`)
	if !slices.Equal(conf.Tags["t"], []string{"b", "a"}) {
		t.Errorf("%v", conf.Tags)
	}
}

// An empty document decodes to an empty configuration.
func TestDecodeNothing(t *testing.T) {
	if c := Decode(cib.New("cib")); len(c.Resources)+len(c.Nodes)+len(c.Constraints)+len(c.Problems) != 0 {
		t.Errorf("%+v", c)
	}
}
