package cib

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"systole/crm/exit"
)

const opBase = `<cib crm_feature_set="3.16.1" validate-with="pacemaker-3.9" epoch="5" num_updates="7" admin_epoch="1">
  <configuration>
    <crm_config>
      <cluster_property_set id="cib-bootstrap-options">
        <nvpair id="o1" name="stonith-enabled" value="false"/>
      </cluster_property_set>
    </crm_config>
    <nodes><node id="1" uname="a"/><node id="2" uname="b"/></nodes>
    <resources>
      <!-- a comment -->
      <primitive id="p" class="ocf" provider="heartbeat" type="Dummy">
        <operations><op id="p-mon" name="monitor" interval="10s"/></operations>
      </primitive>
      <primitive id="q" class="ocf" provider="heartbeat" type="Dummy"/>
    </resources>
    <constraints/>
  </configuration>
  <status><node_state id="1" uname="a"/></status>
</cib>`

// Recorded from cibadmin 2.1.5 working on the document above (CIB_file), except
// where a comment says that we do otherwise and why.
var opCases = []struct {
	name string
	op   Op
	data string
	code exit.Code
	find string // XPath that must match afterwards
	gone string // XPath that must not
	at   string // version afterwards; "" for unchanged
}{
	{name: "create in a section", op: Op{Kind: OpCreate, Section: "resources"}, data: `<primitive id="r" class="ocf" provider="heartbeat" type="Dummy"/>`,
		find: `//resources/primitive[3][@id='r']`, at: "1.6.0"},
	{name: "create with the section around", op: Op{Kind: OpCreate, Section: "resources"}, data: `<resources><primitive id="r" class="lsb" type="x"/><primitive id="s" class="lsb" type="x"/></resources>`,
		find: `//resources[primitive/@id='r' and primitive/@id='s']`, at: "1.6.0"},
	{name: "create what is there", op: Op{Kind: OpCreate, Section: "resources"}, data: `<primitive id="p" class="lsb" type="x"/>`, code: exit.Exists},
	{name: "create without a section", op: Op{Kind: OpCreate}, data: `<primitive id="r" class="lsb" type="x"/>`, code: exit.NoSuch},
	{name: "create in the whole document", op: Op{Kind: OpCreate}, data: `<cib><configuration><resources><primitive id="n" class="lsb" type="x"/></resources></configuration></cib>`,
		find: `//resources/primitive[@id='n']`, at: "1.6.0"},
	// cibadmin 2.1.5 ends with 70 here; a missing section is no reason to refuse.
	{name: "create in a section that is not there", op: Op{Kind: OpCreate, Section: "tags"}, data: `<tag id="t"><obj_ref id="p"/></tag>`,
		find: `/cib/configuration/tags/tag/obj_ref`, at: "1.6.0"},
	{name: "create an empty section", op: Op{Kind: OpCreate, Section: "configuration"}, data: `<tags/>`, find: `/cib/configuration/tags`, at: "1.6.0"},
	{name: "create by XPath", op: Op{Kind: OpCreate, XPath: `//primitive[@id='q']`}, data: `<meta_attributes id="m"/>`, find: `//primitive[@id='q']/meta_attributes`, at: "1.6.0"},
	{name: "create what is invalid", op: Op{Kind: OpCreate, Section: "resources"}, data: `<op id="z" name="monitor" interval="0"/>`, code: exit.Config},
	{name: "create in the status", op: Op{Kind: OpCreate, Section: "status"}, data: `<node_state id="2" crmd="online"/>`, find: `//node_state[@id='2']`, at: "1.5.8"},

	{name: "modify merges", op: Op{Kind: OpModify, Section: "resources"}, data: `<primitive id="p"><meta_attributes id="pm"><nvpair id="pmn" name="target-role" value="Stopped"/></meta_attributes></primitive>`,
		find: `//primitive[@id='p' and @class='ocf' and operations/op]/meta_attributes/nvpair`, at: "1.6.0"},
	{name: "modify adds an operation", op: Op{Kind: OpModify, Section: "resources"}, data: `<primitive id="p"><operations><op id="o" name="monitor" interval="20s"/></operations></primitive>`,
		find: `//primitive[@id='p']/operations[count(op)=2]`, at: "1.6.0"},
	{name: "modify deep inside", op: Op{Kind: OpModify}, data: `<nvpair id="o1" value="true"/>`, find: `//nvpair[@id='o1' and @name and @value='true']`, at: "1.6.0"},
	{name: "modify by XPath", op: Op{Kind: OpModify, XPath: `//nvpair`}, data: `<nvpair id="o1" value="true"/>`, find: `//nvpair[@value='true']`, at: "1.6.0"},
	{name: "modify with the section around", op: Op{Kind: OpModify, Section: "resources"}, data: `<resources><primitive id="p" description="x"/><primitive id="n" class="lsb" type="x"/></resources>`,
		find: `//resources[primitive[@id='n']]/primitive[@description='x']`, at: "1.6.0"},
	{name: "modify the whole document", op: Op{Kind: OpModify}, data: `<cib><configuration><resources><primitive id="p" description="x"/></resources></configuration></cib>`,
		find: `//primitive[@id='p' and @description='x']`, at: "1.6.0"},
	{name: "modify what is not there", op: Op{Kind: OpModify, Section: "resources"}, data: `<primitive id="z" class="lsb" type="x"/>`, code: exit.NoSuch},
	// cibadmin 2.1.5 on a file raises num_updates only; on a cluster it raises epoch.
	{name: "modify may create", op: Op{Kind: OpModify, Section: "resources", AllowCreate: true}, data: `<primitive id="z" class="lsb" type="x"/>`, find: `//primitive[@id='z']`, at: "1.6.0"},
	{name: "modify may create a section", op: Op{Kind: OpModify, Section: "tags", AllowCreate: true}, data: `<tag id="t"><obj_ref id="p"/></tag>`, find: `//tags/tag`, at: "1.6.0"},
	{name: "count up what is no number", op: Op{Kind: OpModify}, data: `<nvpair id="o1" value="value++"/>`, find: `//nvpair[@value='1']`, at: "1.6.0"},
	{name: "count up what is not there", op: Op{Kind: OpModify, Section: "nodes"}, data: `<node id="1" description="description+=5"/>`, find: `//node[@description='5']`, at: "1.6.0"},
	{name: "modify the status", op: Op{Kind: OpModify, Section: "status"}, data: `<node_state id="1" crmd="online"/>`, find: `//node_state[@uname='a' and @crmd='online']`, at: "1.5.8"},
	{name: "modify nothing", op: Op{Kind: OpModify, Section: "nodes"}, data: `<node id="1" uname="a"/>`},
	{name: "raise admin_epoch by hand", op: Op{Kind: OpModify}, data: `<cib admin_epoch="7"/>`, at: "7.5.8"},
	{name: "raise admin_epoch by one", op: Op{Kind: OpModify}, data: `<cib admin_epoch="admin_epoch++"/>`, at: "2.5.8"},
	{name: "lower epoch by hand", op: Op{Kind: OpModify}, data: `<cib epoch="3"/>`, code: exit.Old},
	{name: "change a setting", op: Op{Kind: OpModify}, data: `<cib have-quorum="1"/>`, at: "1.5.8"},

	{name: "replace an element", op: Op{Kind: OpReplace, Section: "resources"}, data: `<primitive id="p" class="lsb" type="x"/>`, find: `//resources/primitive[1][@class='lsb' and not(operations)]`, at: "1.6.0"},
	{name: "replace a section", op: Op{Kind: OpReplace, Section: "resources"}, data: `<resources><primitive id="n" class="lsb" type="x"/></resources>`, find: `//resources[count(*)=1]/primitive[@id='n']`, at: "1.6.0"},
	{name: "replace a section without naming it", op: Op{Kind: OpReplace}, data: `<resources><primitive id="n" class="lsb" type="x"/></resources>`, find: `//resources[count(*)=1]/primitive[@id='n']`, at: "1.6.0"},
	{name: "replace by XPath", op: Op{Kind: OpReplace, XPath: `//primitive[@id='p']`}, data: `<primitive id="n" class="lsb" type="x"/>`, find: `//primitive[@id='n']`, gone: `//primitive[@id='p']`, at: "1.6.0"},
	{name: "replace what is not there", op: Op{Kind: OpReplace, Section: "resources"}, data: `<primitive id="z" class="lsb" type="x"/>`, code: exit.NoSuch},
	{name: "replace a section out of a whole document", op: Op{Kind: OpReplace, Section: "resources"}, data: strings.Replace(opBase, `id="q"`, `id="qq"`, 1), find: `//primitive[@id='qq']`, at: "1.6.0"},
	{name: "replace the document", op: Op{Kind: OpReplace}, data: strings.Replace(opBase, `id="q"`, `id="qq"`, 1), find: `//primitive[@id='qq']`, at: "1.6.0"},
	{name: "replace with a document without status", op: Op{Kind: OpReplace}, data: strings.Replace(strings.Replace(opBase, `id="q"`, `id="qq"`, 1), `<status><node_state id="1" uname="a"/></status>`, "", 1),
		find: `/cib[configuration//primitive[@id='qq']]/status/node_state`, at: "1.6.0"},
	{name: "replace with the same document", op: Op{Kind: OpReplace}, data: opBase},
	{name: "replace with a later document", op: Op{Kind: OpReplace}, data: strings.NewReplacer(`epoch="5"`, `epoch="9"`, `id="q"`, `id="qq"`).Replace(opBase), find: `//primitive[@id='qq']`, at: "1.10.0"},
	{name: "replace with an older document", op: Op{Kind: OpReplace}, data: strings.Replace(opBase, `num_updates="7"`, `num_updates="6"`, 1), code: exit.Old},

	{name: "delete by attribute", op: Op{Kind: OpDelete, Section: "nodes"}, data: `<node uname="b"/>`, gone: `//node[@id='2']`, at: "1.6.0"},
	{name: "delete the first of several", op: Op{Kind: OpDelete, Section: "resources"}, data: `<primitive class="ocf"/>`, find: `//primitive[@id='q']`, gone: `//primitive[@id='p']`, at: "1.6.0"},
	{name: "delete inside", op: Op{Kind: OpDelete, Section: "resources"}, data: `<op id="p-mon"/>`, find: `//operations`, gone: `//op`, at: "1.6.0"},
	{name: "delete with the section around", op: Op{Kind: OpDelete, Section: "resources"}, data: `<resources><primitive id="p"/></resources>`, find: `//primitive[@id='q']`, gone: `//primitive[@id='p']`, at: "1.6.0"},
	{name: "delete by XPath, first only", op: Op{Kind: OpDelete, XPath: `//primitive`}, find: `//primitive[@id='q']`, gone: `//primitive[@id='p']`, at: "1.6.0"},
	{name: "delete what is not there", op: Op{Kind: OpDelete}, data: `<primitive id="p" class="lsb"/>`},
	{name: "delete by XPath what is not there", op: Op{Kind: OpDelete, XPath: `//zzz`}},
	{name: "delete all by XPath", op: Op{Kind: OpDeleteAll, XPath: `//primitive`}, gone: `//primitive`, at: "1.6.0"},
	// cibadmin 2.1.5 deletes one only, against its own manual.
	{name: "delete all by pattern", op: Op{Kind: OpDeleteAll, Section: "resources"}, data: `<primitive class="ocf"/>`, gone: `//primitive`, at: "1.6.0"},
	{name: "delete the document", op: Op{Kind: OpDelete, XPath: `/cib`}, code: exit.DataErr},

	{name: "erase", op: Op{Kind: OpErase}, find: `/cib/configuration/resources[not(*)]`, gone: `//node_state`, at: "2.6.0"},
	// cibadmin 2.1.5 on a file leaves num_updates at 8.
	{name: "bump", op: Op{Kind: OpBump}, at: "1.6.0"},
	{name: "upgrade what is current", op: Op{Kind: OpUpgrade}},
	{name: "bad XPath", op: Op{Kind: OpDelete, XPath: `//[`}, code: exit.DataErr},
	{name: "unknown section", op: Op{Kind: OpModify, Section: "nonsense"}, data: `<x/>`, code: exit.NoSuch},
	{name: "unknown operation", op: Op{Kind: "frobnicate"}, data: `<x/>`, code: exit.Usage},

	{name: "patch without version", op: Op{Kind: OpPatch}, data: `<diff format="2"><change operation="create" path="/cib/configuration/resources" position="1"><primitive id="z" class="lsb" type="x"/></change></diff>`,
		find: `//resources/primitive[1][@id='z']`, at: "1.6.0"},
	{name: "patch with its version", op: Op{Kind: OpPatch}, data: `<diff format="2"><version><source admin_epoch="1" epoch="5" num_updates="7"/><target admin_epoch="1" epoch="8" num_updates="0"/></version>` +
		`<change operation="modify" path="/cib"><change-list><change-attr name="epoch" operation="set" value="8"/><change-attr name="num_updates" operation="set" value="0"/></change-list></change>` +
		`<change operation="delete" path="/cib/configuration/resources/primitive[@id='q']"/></diff>`, gone: `//primitive[@id='q']`, at: "1.8.0"},
	{name: "patch with an older version", op: Op{Kind: OpPatch}, data: `<diff format="2"><version><source admin_epoch="1" epoch="5" num_updates="6"/><target admin_epoch="1" epoch="6" num_updates="0"/></version></diff>`, code: exit.Old},
	{name: "patch with a later version", op: Op{Kind: OpPatch}, data: `<diff format="2"><version><source admin_epoch="1" epoch="8" num_updates="6"/><target admin_epoch="1" epoch="9" num_updates="0"/></version></diff>`, code: exit.Error},
	{name: "patch that makes an id twice", op: Op{Kind: OpPatch}, data: `<diff format="2"><change operation="create" path="/cib/configuration/resources" position="0"><primitive id="p" class="lsb" type="x"/></change></diff>`, code: exit.Config},
	{name: "patch that is none", op: Op{Kind: OpPatch}, data: `<diff format="1"/>`, code: exit.DataErr},
}

func TestOperations(t *testing.T) {
	for _, c := range opCases {
		t.Run(c.name, func(t *testing.T) {
			before, err := ParseCIB([]byte(opBase))
			if err != nil {
				t.Fatal(err)
			}
			if c.data != "" {
				c.op.Data = mustParse(t, c.data)
			}
			after, err := before.Apply([]Op{c.op}, nil, Stamp{})
			if exit.Of(err) != c.code {
				t.Fatalf("status %d (%v), want %d", exit.Of(err), err, c.code)
			}
			if c.at == "" && after != before {
				t.Errorf("changed though it should not have: %s", after)
			}
			if c.at != "" && after.Version().String() != c.at {
				t.Errorf("version %s, want %s", after.Version(), c.at)
			}
			if c.find != "" && len(mustSelect(t, after.Root(), c.find)) == 0 {
				t.Errorf("%s matches nothing in\n%s", c.find, after)
			}
			if c.gone != "" && len(mustSelect(t, after.Root(), c.gone)) > 0 {
				t.Errorf("%s still matches in\n%s", c.gone, after)
			}
		})
	}
}

func mustSelect(t *testing.T, root *Element, expr string) []*Element {
	t.Helper()
	found, err := Select(root, expr)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestOperationsAllOrNone(t *testing.T) {
	before, _ := ParseCIB([]byte(opBase))
	ops := []Op{
		{Kind: OpDelete, XPath: "//primitive[@id='p']"},
		{Kind: OpModify, Section: "resources", Data: mustParse(t, `<primitive id="p" description="x"/>`)},
	}
	after, err := before.Apply(ops, nil, Stamp{})
	if exit.Of(err) != exit.NoSuch || after != before || !strings.Contains(err.Error(), "operation 2 (modify resources)") {
		t.Errorf("%v, changed: %v", err, after != before)
	}
}

func TestCompareAndSet(t *testing.T) {
	before, _ := ParseCIB([]byte(opBase))
	op := []Op{{Kind: OpBump}}
	if _, err := before.Apply(op, &Version{1, 5, 6}, Stamp{}); exit.Of(err) != exit.Old {
		t.Errorf("with an old version: %v", err)
	}
	if _, err := before.Apply(op, &Version{1, 4, AnyNumUpdates}, Stamp{}); exit.Of(err) != exit.Old {
		t.Errorf("with an old configuration: %v", err)
	}
	if _, err := before.Apply(op, &Version{1, 5, AnyNumUpdates}, Stamp{}); err != nil {
		t.Errorf("with the configuration's version: %v", err)
	}
	if after, err := before.Apply(op, &Version{1, 5, 7}, Stamp{}); err != nil || after.Version() != (Version{1, 6, 0}) {
		t.Errorf("with the version: %v, %v", after.Version(), err)
	}
}

func TestStampGoesWithConfigurationOnly(t *testing.T) {
	before, _ := ParseCIB([]byte(opBase))
	by := Stamp{Time: time.Date(2026, 11, 2, 3, 4, 5, 6, time.UTC), User: "hacluster", Client: "crm", Origin: "node1"}
	after, err := before.Apply([]Op{{Kind: OpBump}}, nil, by)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"cib-last-written": "Mon Nov  2 03:04:05 2026", "update-user": "hacluster", "update-client": "crm", "update-origin": "node1"} {
		if got := after.Root().Get(name); got != want {
			t.Errorf("%s=%q, want %q", name, got, want)
		}
	}
	status, err := before.Apply([]Op{{Kind: OpModify, Section: "status", Data: New("node_state", "id", "1", "crmd", "online")}}, nil, by)
	if _, stamped := status.Root().Lookup("update-user"); stamped || err != nil {
		t.Errorf("status change: stamped %v, %v", stamped, err)
	}
}

// Whatever was accepted can be read back from a snapshot, also what grew step by step.
func TestDepthIsBounded(t *testing.T) {
	c, _ := ParseCIB([]byte(opBase))
	var err error
	for n := 0; err == nil; n++ {
		if n > DefaultMaxDepth {
			t.Fatal("grows without end")
		}
		c, err = c.Apply([]Op{{Kind: OpCreate, XPath: "//status//*[not(*)]", Data: New("x")}}, nil, Stamp{})
	}
	if exit.Of(err) != exit.Config {
		t.Error(err)
	}
	if _, err := ParseCIB([]byte(c.String())); err != nil {
		t.Error(err)
	}
}

// An invalid configuration of old may still be changed, else it could never be repaired.
func TestInvalidMayBeRepaired(t *testing.T) {
	broken, _ := ParseCIB([]byte(strings.Replace(opBase, `name="monitor"`, ``, 1)))
	if after, err := broken.Apply([]Op{{Kind: OpModify, XPath: "//op", Data: New("op", "name", "monitor")}}, nil, Stamp{}); err != nil || len(Errors(Validate(after.Root()))) > 0 {
		t.Errorf("%v", err)
	}
}

// Old trees never change, whatever is done to their successors.
func TestOperationsLeaveTheirInputAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, err := FromRoot(drawDocument(t))
		if err != nil {
			t.Fatal(err)
		}
		before := c.String()
		op := drawOp(t)
		after, err := c.Apply([]Op{op}, nil, Stamp{})
		if got := c.String(); got != before {
			t.Fatalf("%v changed its input from\n%s\nto\n%s", op, before, got)
		}
		if err == nil && after != c && after.Version().Compare(c.Version()) <= 0 {
			t.Fatalf("%v: version %s after %s", op, after.Version(), c.Version())
		}
	})
}
