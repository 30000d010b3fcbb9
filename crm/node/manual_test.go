package node

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"systole/crm/api"
	"systole/resources"
)

const (
	modernAgent = `<resource-agent name="Toy"><version>1.1</version><parameters>
<parameter name="port"/><parameter name="colour" reloadable="1"/><parameter name="password" reloadable="1"/>
</parameters><actions><action name="start"/><action name="reload-agent"/></actions></resource-agent>`
	oldAgent = `<resource-agent name="Toy"><version>1.0</version><parameters>
<parameter name="port" unique="1"/><parameter name="colour" unique="0"/>
</parameters><actions><action name="start"/><action name="reload"/></actions></resource-agent>`
	plainAgent = `<resource-agent name="Toy"><version>1.0</version><parameters>
<parameter name="port"/><parameter name="colour"/></parameters><actions><action name="start"/></actions></resource-agent>`
)

// A changed parameter that the agent can reload is reloaded, by the action the agent has; any
// other restarts the resource.
func TestChangedParameter(t *testing.T) {
	for _, agent := range []struct {
		name, meta string
		reload     string // the call for a changed colour; "" for a restart
	}{
		{"OCF 1.1", modernAgent, "reload-agent r1 a"},
		{"OCF 1.0", oldAgent, "reload r1 a"},
		{"no reload", plainAgent, ""},
		{"no metadata", "", ""},
	} {
		t.Run(agent.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := grow(t, 1, 1, noFencing...)
				c.world.meta = agent.meta
				n := c.nodes["a"]
				set := func(port, colour int) {
					t.Helper()
					configureToy(t, n, port, colour)
					c.until("settled", c.settled)
				}
				set(1, 1)
				c.runsOn("r1", "a")
				starts := c.world.count("start r1 a")

				set(1, 2)
				restarted := c.world.count("start r1 a") - starts
				switch {
				case agent.reload == "" && restarted != 1:
					t.Errorf("colour changed: %d restarts, want one", restarted)
				case agent.reload != "" && (restarted != 0 || c.world.count(agent.reload) != 1):
					t.Errorf("colour changed: calls %v, want one %q and no start", c.world.calls, agent.reload)
				}
				if op := lastOp(n.CIB(), "a", "r1"); op.Get("operation") != "start" {
					t.Errorf("history has %s, want a start with the new parameters", op)
				}

				starts = c.world.count("start r1 a")
				set(2, 2)
				if got := c.world.count("start r1 a") - starts; got != 1 {
					t.Errorf("port changed: %d restarts, want one", got)
				}
				settled := len(c.world.calls)
				set(2, 2)
				if more := c.world.calls[settled:]; len(more) > 0 {
					t.Errorf("nothing changed: %v", more)
				}
			})
		})
	}
}

// A reload that fails is a failure of the resource: it is recovered.
func TestFailedReloadRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := grow(t, 1, 1, noFencing...)
		c.world.meta = modernAgent
		configureToy(t, c.nodes["a"], 1, 1)
		c.runsOn("r1", "a")
		starts := c.world.count("start r1 a")
		c.world.failOn["reload-agent r1 a"] = resources.ErrGeneric
		configureToy(t, c.nodes["a"], 1, 2)
		c.until("recovered", func() bool { return c.settled() && c.world.count("start r1 a") == starts+1 })
	})
}

func configureToy(t *testing.T, n *testNode, port, colour int) {
	t.Helper()
	xml := fmt.Sprintf(`<primitive id="r1" class="ocf" provider="test" type="Toy"><instance_attributes id="r1-i"><nvpair id="r1-p" name="port" value="%d"/>`+
		`<nvpair id="r1-c" name="colour" value="%d"/></instance_attributes><operations><op id="r1-m" name="monitor" interval="10s" timeout="20s"/></operations></primitive>`, port, colour)
	r, err := backend{n.Node}.Propose(t.Context(), api.Proposal{Operations: []api.CIBOperation{{Op: api.OpReplace, Section: "resources", XML: "<resources>" + xml + "</resources>"}}})
	if err != nil || r.Code != 0 {
		t.Fatal(r, err)
	}
}

func TestManual(t *testing.T) {
	m, err := resources.ParseMetadata([]byte(modernAgent))
	if err != nil {
		t.Fatal(err)
	}
	got := newManual(m)
	if got.reload != resources.ActionReloadAgent || !slices.Equal(got.restart, []string{"port"}) || !slices.Equal(got.private, []string{"password"}) {
		t.Errorf("got %+v", got)
	}
	op := resources.Op{Params: map[string]string{"port": "1", "colour": "2", "password": "x"}}
	d := digests(op, got)
	if d["op-force-restart"] != " port " || d["op-secure-params"] != " password " {
		t.Errorf("lists: %q", d)
	}
	op.Params["password"] = "y"
	if e := digests(op, got); e["op-digest"] == d["op-digest"] || e["op-secure-digest"] != d["op-secure-digest"] || e["op-restart-digest"] != d["op-restart-digest"] {
		t.Errorf("a new password gives %q, before %q", e, d)
	}
	op.Interval = 1e9
	if _, ok := digests(op, got)["op-restart-digest"]; ok {
		t.Error("a recurring operation cannot be reloaded")
	}
	if list(nil) != " " {
		t.Error("an empty list must still be one, or every parameter counts")
	}
}
