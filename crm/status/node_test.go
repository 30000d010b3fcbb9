package status

import "testing"

// withFencing makes node states matter: a device exists and stonith-enabled has its default.
const withFencing = `<primitive id="fence" class="stonith" type="fence_ipmilan"/>`

// TestMemberStates: what a node_state entry makes of a node in a cluster with fencing.
func TestMemberStates(t *testing.T) {
	attribute := func(name, value string) string {
		return `<transient_attributes id="1"><instance_attributes id="t"><nvpair id="tx" name="` + name + `" value="` + value + `"/></instance_attributes></transient_attributes>`
	}
	for _, c := range []struct {
		name, state, content                                            string
		online, unclean, pending, standby, maintenance, shutdown, proof bool
	}{
		{name: "member", state: memberState, online: true},
		{name: "joining", state: `in_ccm="true" crmd="online" join="pending" expected="member"`, online: true, pending: true, standby: true},
		{name: "not expected yet", state: `in_ccm="true" crmd="online" join="down" expected="down"`, online: true, pending: true, standby: true},
		{name: "left", state: `in_ccm="false" crmd="offline" join="down" expected="down"`},
		{name: "vanished", state: `in_ccm="false" crmd="offline" join="down" expected="member"`, unclean: true},
		{name: "daemon vanished", state: `in_ccm="true" crmd="offline" join="member" expected="member"`, online: true, unclean: true},
		{name: "banned", state: `in_ccm="true" crmd="online" join="banned" expected="member"`, online: true, unclean: true},
		{name: "no known state", state: `in_ccm="true" crmd="online" join="dancing" expected="member"`, online: true, unclean: true},
		{name: "membership with a time", state: `in_ccm="1799999000" crmd="1799999000" join="member" expected="member"`, online: true},
		{name: "standby", state: memberState, content: attribute("standby", "on"), online: true, standby: true},
		{name: "maintenance", state: memberState, content: attribute("maintenance", "true"), online: true, maintenance: true},
		{name: "shutting down", state: memberState, content: attribute("shutdown", "1799999999"), online: true, shutdown: true},
		{name: "shutdown 0 is none", state: memberState, content: attribute("shutdown", "0"), online: true},
		{name: "fencing asked for", state: memberState, content: attribute("terminate", "true"), online: true, unclean: true},
		{name: "unproven", state: `in_ccm="false" crmd="offline" join="down" expected="down" unproven="true"`, unclean: true, proof: true},
	} {
		n := Unpack(document(t, doc{resources: withFencing, stateA: c.state, a: c.content}), testNow).Nodes[0]
		got := []bool{n.Online, n.Unclean, n.Pending, n.Standby, n.Maintenance, n.Shutdown, n.Unproven}
		for i, want := range []bool{c.online, c.unclean, c.pending, c.standby, c.maintenance, c.shutdown, c.proof} {
			if got[i] != want {
				t.Errorf("%s: %s is %t", c.name, []string{"online", "unclean", "pending", "standby", "maintenance", "shutdown", "unproven"}[i], got[i])
			}
		}
		if usable := n.Score > minusInfinity; usable != (c.online && !c.shutdown) {
			t.Errorf("%s: the node's score is %d", c.name, n.Score)
		}
		if n.Unclean && n.UncleanReason == "" {
			t.Errorf("%s: nobody says why it is unclean", c.name)
		}
	}
}

// A node without any state is unclean until seen, unless startup-fencing=false.
func TestUnseenNode(t *testing.T) {
	for option, unclean := range map[string]bool{"": true, `<nvpair id="sf" name="startup-fencing" value="false"/>`: false} {
		s := Unpack(document(t, doc{options: option, resources: withFencing, nodes: `<node id="1" uname="a"/><node id="2" uname="b"/><node id="3" uname="c"/>`}), testNow)
		c, ok := s.Node("c")
		if !ok || !c.Unseen || c.Online || c.Unclean != unclean {
			t.Errorf("options %q: %+v", option, c)
		}
	}
}

// Nodes that cannot be understood are left out and named.
func TestNodesLeftOut(t *testing.T) {
	s := Unpack(document(t, doc{options: noFencing, nodes: `<node id="1" uname="a"/><node id="9" uname="x" type="teapot"/><node uname="y"/>`}), testNow)
	if len(s.Nodes) != 1 || len(s.Problems) != 2 {
		t.Errorf("%d nodes, problems %q", len(s.Nodes), s.Problems)
	}
}

// Remote nodes come from connection resources, guests from the meta attribute remote-node.
func TestImpliedNodes(t *testing.T) {
	s := Unpack(document(t, doc{options: noFencing, resources: `<primitive id="r" class="ocf" provider="pacemaker" type="remote"/>` +
		`<primitive id="vm" class="ocf" provider="heartbeat" type="VirtualDomain"><meta_attributes id="m"><nvpair id="rn" name="remote-node" value="inside"/></meta_attributes></primitive>`}), testNow)
	for name, kind := range map[string]NodeKind{"a": Member, "r": Remote, "inside": Guest} {
		if n, ok := s.Node(name); !ok || n.Kind != kind {
			t.Errorf("node %s: found %t, %+v", name, ok, n)
		}
	}
	inside, ok := s.Resource("inside")
	if vm, _ := s.Resource("vm"); !ok || !inside.RemoteConnection || inside.Container != vm.Index || !inside.Internal {
		t.Errorf("the guest's connection: found %t, %+v", ok, inside)
	}
}

// Tickets are sorted, with their state and every other attribute.
func TestTickets(t *testing.T) {
	s := Unpack(document(t, doc{status: `<tickets><ticket_state id="b" granted="false" standby="true"/><ticket_state id="a" granted="true" owner="north"/><ticket_state/></tickets>`}), testNow)
	if len(s.Tickets) != 2 || s.Tickets[0].ID != "a" || !s.Tickets[0].Granted || s.Tickets[0].Attributes["owner"] != "north" || s.Tickets[1].Granted || !s.Tickets[1].Standby {
		t.Errorf("%+v", s.Tickets)
	}
}
