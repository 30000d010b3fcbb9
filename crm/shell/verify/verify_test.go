package verify

import (
	"context"
	"strings"
	"testing"

	"systole/crm/cib"
	"systole/crm/clitext"
	"systole/crm/exit"
	"systole/resources"
)

// agentStore knows two agents.
type agentStore struct{}

func (agentStore) Metadata(_ context.Context, id resources.AgentID) (*resources.Metadata, error) {
	switch id.Type {
	case "Dummy", "nginx":
		return &resources.Metadata{
			Parameters: []resources.Parameter{{Name: "state", Type: resources.ParamString}, {Name: "delay", Type: resources.ParamInteger}},
			Actions:    []resources.ActionSpec{{Name: "monitor", Timeout: "20s"}, {Name: "start", Timeout: "20s"}, {Name: "stop", Timeout: "20s"}},
		}, nil
	case "IPaddr2":
		return &resources.Metadata{Parameters: []resources.Parameter{{Name: "ip", Type: resources.ParamString, Required: true}, {Name: "nic", Type: resources.ParamString}}}, nil
	}
	return nil, exit.Errorf(exit.NotInstalled, "agent %s is not installed", id)
}

func (agentStore) Elsewhere(_ context.Context, id resources.AgentID) bool {
	return id.Provider == "linbit"
}

// TestCheck reads a configuration and lists what is wrong with it: each line of
// want must begin one finding, in any order, and nothing else may be found.
func TestCheck(t *testing.T) {
	const base = "node a\nnode b\nproperty stonith-enabled=false\nprimitive d Dummy\nprimitive e Dummy\nprimitive f Dummy\n"
	for _, tt := range []struct {
		name, text string
		want       []string
	}{
		{"nothing wrong", "location l d 5: a\norder o d e\ncolocation c inf: d e", nil},
		{"unknown agent", "primitive x Dumy", []string{"error: x: agent ocf:heartbeat:Dumy is not installed"}},
		{"agent of another machine", "primitive x ocf:linbit:drbd", []string{"warning: x: agent ocf:linbit:drbd is not installed"}},
		{"service of another machine", "primitive x systemd:foo", []string{"warning: x: agent systemd:foo is not installed"}},
		{"parameter missing", "primitive x IPaddr2", []string{"error: x: parameter ip is required by ocf:heartbeat:IPaddr2"}},
		{"parameter from a template", "rsc_template T IPaddr2 params ip=192.0.2.1\nprimitive x @T", nil},
		{"parameter by reference", "primitive x IPaddr2 params $addr:ip=192.0.2.1\nprimitive y IPaddr2 params @addr:ip", nil},
		{"parameter misspelled", "primitive x Dummy params stat=1", []string{`error: x: ocf:heartbeat:Dummy has no parameter "stat"; did you mean state?`}},
		{"parameter of the wrong type", "primitive x Dummy params delay=soon", []string{"warning: x: parameter delay:"}},
		{"defaults nobody reads", "rsc_defaults nonsense=1 migration-treshold=3\nop_defaults timout=20s", []string{
			`warning: rsc_defaults: meta attribute "nonsense" is unknown; the cluster ignores it`,
			`warning: rsc_defaults: meta attribute "migration-treshold" is unknown; did you mean migration-threshold?`,
			`warning: op_defaults: operation attribute "timout" is unknown; did you mean timeout?`}},
		{"meta attribute misspelled", "primitive x Dummy meta target-rol=Started", []string{`warning: x: meta attribute "target-rol" is unknown; did you mean target-role?`}},
		{"operation the agent lacks", "primitive x Dummy op promote interval=0", []string{"warning: x: op promote: the agent has no such action"}},
		{"short timeout", "primitive x Dummy op monitor interval=10s timeout=5s", []string{"warning: x: op monitor: timeout 5s is shorter than the 20s"}},
		{"interval that is no time", "primitive x Dummy op monitor interval=often", []string{`error: x: op monitor: interval "often" is not a time`}},
		{"equal intervals", "primitive x Dummy op monitor interval=10s op monitor interval=10s", []string{"warning: x: the operations"}},
		{"constraint to nothing", "location l nosuch 5: a", []string{`error: l: the location constraint names the resource "nosuch", which does not exist`}},
		{"constraint to a tag", "tag t d e\nlocation l t 5: a", nil},
		{"constraint to no node", "location l d 5: aa", []string{`warning: l: there is no node "aa"`}},
		{"constraint on a member", "group g d e\nlocation l d 5: a", []string{"warning: l: d is in the group g"}},
		{"circle of two", "order o1 d e\norder o2 e d", []string{"error: o1: the mandatory order goes round in a circle through"}},
		{"circle through a group", "group g d e\norder o e d", []string{"error: o: the mandatory order goes round in a circle through"}},
		{"circle of sets", "order o1 ( d e ) f\norder o2 f d", []string{"error: o1: the mandatory order goes round in a circle through"}},
		{"optional orders make no circle", "order o1 Optional: d e\norder o2 Mandatory: e d", nil},
		{"promote after start makes no circle", "clone c d meta promotable=true\norder o1 c:start e:start\norder o2 e:start c:promote", nil},
		{"property misspelled", "property no-quorum-polcy=stop", []string{`error: property: "no-quorum-polcy" is no property of the cluster; did you mean no-quorum-policy?`}},
		{"property of somebody else", "property mysql_replication: x_REPL_INFO=y", nil},
		{"property value", "property no-quorum-policy=shrug", []string{"error: property: no-quorum-policy:"}},
		{"no fencing", "property stonith-enabled=true", []string{"warning: property: stonith-enabled is true and there is no fence device"}},
		{"fence device missing in a level", "fencing_topology a: nosuch", []string{`error: fencing_topology: there is no fence device "nosuch"`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := clitext.NewDraft(nil)
			if err := d.Load(base+tt.text+"\n", clitext.LoadUpdate); err != nil {
				t.Fatal(err)
			}
			root := cib.Empty().Root()
			found := Check(t.Context(), root.WithChildren(d.Configuration(), root.Child("status")), agentStore{})
			rest := map[string]bool{}
			for _, f := range found {
				rest[f.String()] = true
			}
			for _, want := range tt.want {
				seen := false
				for text := range rest {
					if strings.HasPrefix(text, want) {
						seen = true
						delete(rest, text)
					}
				}
				if !seen {
					t.Errorf("not found: %s", want)
				}
			}
			for text := range rest {
				t.Errorf("found for no reason: %s", text)
			}
		})
	}
}

// TestNesting: containers that cannot hold one another come in as XML only.
func TestNesting(t *testing.T) {
	root, err := cib.Parse([]byte(`<cib validate-with="pacemaker-3.9" epoch="1" num_updates="0" admin_epoch="0"><configuration><crm_config/><nodes/><resources>
		<clone id="outer"><clone id="inner"><primitive id="p" class="ocf" provider="heartbeat" type="Dummy"/></clone></clone>
		<group id="g"/></resources><constraints/></configuration><status/></cib>`))
	if err != nil {
		t.Fatal(err)
	}
	var text []string
	for _, f := range Check(t.Context(), root, agentStore{}) {
		text = append(text, f.String())
	}
	all := strings.Join(text, "\n")
	for _, want := range []string{"error: outer: a clone cannot hold the clone inner", "error: g: the group has no resource"} {
		if !strings.Contains(all, want) {
			t.Errorf("not found: %s\nin:\n%s", want, all)
		}
	}
}
