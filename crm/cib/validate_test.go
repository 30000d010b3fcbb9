package cib

import (
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

const validityBase = `<cib crm_feature_set="3.16.1" validate-with="pacemaker-3.9" epoch="5" num_updates="7" admin_epoch="1"><configuration>
<crm_config><cluster_property_set id="cib-bootstrap-options"><nvpair id="o1" name="stonith-enabled" value="false"/></cluster_property_set>@crm_config@</crm_config>
<nodes><node id="1" uname="a"/>@nodes@</nodes>
<resources><primitive id="p" class="ocf" provider="heartbeat" type="Dummy"><operations id="p-ops"/><meta_attributes id="pmeta"/></primitive><primitive id="q" class="lsb" type="x"/>@resources@</resources>
<constraints>@constraints@</constraints>@configuration@</configuration><status/></cib>`

// inSection is the base document with something added to one section.
func inSection(t testing.TB, section, xml string) *Element {
	t.Helper()
	doc := strings.Replace(validityBase, "@"+section+"@", xml, 1)
	for _, s := range []string{"crm_config", "nodes", "resources", "constraints", "configuration"} {
		doc = strings.Replace(doc, "@"+s+"@", "", 1)
	}
	return mustParse(t, doc)
}

func TestValidity(t *testing.T) {
	text, err := os.ReadFile("testdata/validity.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.SplitN(strings.TrimSpace(line), "|", 3)
		errs := Errors(Validate(inSection(t, f[1], f[2])))
		if (len(errs) == 0) != (f[0] == "ok") {
			t.Errorf("%s should be %s: %v", f[2], f[0], errs)
		}
	}
}

// What problems say: where, and what to do.
func TestProblems(t *testing.T) {
	for _, c := range []struct{ section, xml, want string }{
		{"resources", `<primitive id="x" class="ocf" type="Dummy"/>`, "error: /cib/configuration/resources/primitive[@id='x'] line 4: an ocf resource needs a provider, such as heartbeat"},
		{"resources", `<primitive id="p" class="lsb" type="x"/>`, `error: /cib/configuration/resources/primitive[@id='p'] line 4: the id "p" is used twice, also by the <primitive> on line 4: rename one`},
		{"resources", `<primitive id="x" class="lsb" type="x" colour="red"/>`, "error: /cib/configuration/resources/primitive[@id='x'] line 4: <primitive> has no attribute colour: remove it"},
		{"constraints", `<rsc_location id="l" rsc="gone" node="a" score="1"/>`, `error: /cib/configuration/constraints/rsc_location[@id='l'] line 5: rsc="gone" is no resource, template or tag: create it or name another`},
		{"constraints", `<rsc_order id="o" first="p" then="q" kind="Foo"/>`, `error: /cib/configuration/constraints/rsc_order[@id='o'] line 5: kind="Foo" is not valid: write one of Optional, Mandatory, Serialize`},
		{"constraints", `<rsc_order id="o" first="p" then="q"/><rsc_order id="o2" first="q" then="p"/>`,
			"warning: /cib/configuration/constraints/rsc_order[@id='o2'] line 5: these must start one after the other in a circle, so none ever will: p, q, p"},
		{"constraints", `<rsc_order id="o" first="p" then="p"/>`, `warning: /cib/configuration/constraints/rsc_order[@id='o'] line 5: "p" is ordered after itself`},
		{"crm_config", `<cluster_property_set id="c"><nvpair id="n" name="no-quorum-policy" value="panic"/></cluster_property_set>`,
			`warning: /cib/configuration/crm_config/cluster_property_set[@id='c']/nvpair[@id='n'] line 2: no-quorum-policy="panic" is not valid, so the default is used: write one of stop, freeze, ignore, demote, suicide, fence`},
		{"resources", `<primitive id="x" class="lsb" type="x"><operations><op id="o1x" name="monitor" interval="10s"/><op id="o2x" name="monitor" interval="10000ms"/></operations></primitive>`,
			`warning: /cib/configuration/resources/primitive[@id='x'] line 4: the operations "o1x" and "o2x" have the same name and interval: only one will run`},
		{"configuration", `<fencing-topology><fencing-level id="f" index="1" target="a" devices="p,gone"/></fencing-topology>`,
			`warning: /cib/configuration/fencing-topology/fencing-level[@id='f'] line 5: the device "gone" is no resource: the level cannot succeed`},
		{"resources", `<clone id="c"><meta_attributes id="cm"><nvpair id="cx" name="clone-max" value="20000000"/></meta_attributes><primitive id="x" class="lsb" type="x"/></clone>`,
			`warning: /cib/configuration/resources/clone[@id='c']/meta_attributes[@id='cm']/nvpair[@id='cx'] line 4: clone-max="20000000" is more than this program makes: 1000 will be, write that or less`},
		{"resources", `<bundle id="b"><podman image="i" replicas="10000000"/></bundle>`,
			`warning: /cib/configuration/resources/bundle[@id='b'] line 4: replicas="10000000" is more than this program makes: 250 will be, write that or less`},
	} {
		var got []string
		for _, p := range Validate(inSection(t, c.section, c.xml)) {
			got = append(got, p.String())
		}
		if !slices.Equal(got, []string{c.want}) {
			t.Errorf("%s\ngot  %s\nwant %s", c.xml, strings.Join(got, "\n     "), c.want)
		}
	}
}

func TestAllProblemsAreListed(t *testing.T) {
	root := inSection(t, "resources", `<group id="g"/><clone id="1"/><primitive id="x" class="ocf"/>`)
	if errs := Errors(Validate(root)); len(errs) != 4 {
		t.Errorf("%d errors, want 4 (group, clone's id and content, agent): %v", len(errs), errs)
	}
}

func TestSchemaNames(t *testing.T) {
	broken := inSection(t, "resources", `<group id="g"/>`)
	old := inSection(t, "resources", `<primitive id="x" class="lsb" type="x"><operations><op id="o" name="start" interval="0" requires="quorum"/></operations></primitive>`)
	for _, c := range []struct {
		schema            string
		broken, old, name bool // whether each document has errors, and whether the name alone is one
	}{
		{"pacemaker-3.9", true, true, false}, {"pacemaker-3.0", true, true, false}, {"pacemaker-3.10", true, true, false}, {"pacemaker-2.10", true, false, false},
		{"pacemaker-1.2", true, false, false}, {"pacemaker-0.6", false, false, false}, {"transitional-0.6", false, false, false},
		{"none", false, false, false}, {"pacemaker-3.11", true, true, true}, {"pacemaker-9.0", true, true, true}, {"heartbeat", true, true, true},
	} {
		if got := len(Errors(Validate(broken.With("validate-with", c.schema)))) > 0; got != c.broken {
			t.Errorf("%s: broken document has errors: %v", c.schema, got)
		}
		if got := len(Errors(Validate(old.With("validate-with", c.schema)))) > 0; got != c.old && !c.name {
			t.Errorf("%s: old document has errors: %v", c.schema, got)
		}
		if got := len(Errors(Validate(Empty().Root().With("validate-with", c.schema)))) > 0; got != c.name {
			t.Errorf("%s: the name is an error: %v", c.schema, got)
		}
	}
	if problems := Validate(Empty().Root()); len(problems) > 0 {
		t.Errorf("a new CIB has problems: %v", problems)
	}
}

// Whatever the document, Validate ends, and what it says can be found.
func TestValidateAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		root := drawDocument(t).With("validate-with", rapid.SampledFrom([]string{"pacemaker-3.9", "pacemaker-1.2", "none"}).Draw(t, "schema"))
		for _, p := range Validate(root) {
			if p.Msg == "" || !strings.HasPrefix(p.Path, "/cib") {
				t.Fatalf("%+v", p)
			}
		}
		upgraded, notes, err := Upgrade(root)
		if err != nil {
			t.Fatal(err)
		}
		if again, notes, err := Upgrade(upgraded); again != upgraded || len(notes) > 0 || err != nil {
			t.Fatalf("upgraded twice: %v %v", notes, err)
		}
		if len(notes) == 0 && upgraded != root {
			t.Fatalf("changed without a note: %s", upgraded)
		}
	})
}
