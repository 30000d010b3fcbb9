package main

import (
	"fmt"
	"slices"

	"systole/crm/cib"
	"systole/crm/model"
	"systole/crm/scheduler"
	"systole/crm/status"
)

// State is what the nodes of a cluster say.
type State string

// The states.
const (
	Fresh    State = "fresh"     // every node is online and nothing was looked for yet
	Probed   State = "probed"    // nothing runs anywhere, and that is known
	Steady   State = "steady"    // everything runs where the scheduler wants it
	NodeLost State = "node lost" // the same, and the first node has vanished
)

// Shape says what cluster to make.
//
// Resources counts primitives in stacks: a stack is three groups of five that
// stand on each other (a database, what uses it, and its front), placed together
// more or less strictly and started in order. Stacks prefer a node and have a
// second choice; each avoids the one before. Every fourth needs one of a few
// clones that run everywhere. There is one fence device.
type Shape struct {
	Nodes, Resources int
	State            State
	// Utilization gives nodes capacities and resources needs, and balances by them.
	Utilization bool
}

// String is the shape in the table.
func (s Shape) String() string {
	extra := ""
	if s.Utilization {
		extra = " packed"
	}
	return fmt.Sprintf("%d x %d %s%s", s.Nodes, s.Resources, s.State, extra)
}

const (
	groupSize = 5
	stackSize = 3 // groups
)

// Generate makes the document of a shape. The same shape always gives the same bytes.
func Generate(s Shape) []byte {
	g := generator{shape: s}
	conf := g.configuration()
	if s.State == Fresh {
		return g.document(conf, nil).AppendXML(nil)
	}
	root := g.document(conf, map[string]string{})
	if s.State == Probed {
		return root.AppendXML(nil)
	}
	root = g.document(conf, runningWhere(root))
	if s.State == NodeLost {
		section := root.Child("status")
		lost := section.Children()[0].With("in_ccm", "false").With("crmd", "offline")
		root = root.WithChildren(conf, section.ReplaceChild(0, lost))
	}
	return root.AppendXML(nil)
}

// runningWhere is where the scheduler wants everything: instance names by history name and node.
func runningWhere(root *cib.Element) map[string]string {
	r := scheduler.Schedule(root, now, scheduler.Options{})
	where := map[string]string{}
	for i := range r.Status.Resources {
		rsc := &r.Status.Resources[i]
		if n := r.Placement.Node[i]; rsc.Kind == model.Primitive && n != status.NoNode {
			where[rsc.BaseID+" "+r.Status.Nodes[n].Name] = "run"
		}
	}
	return where
}

type generator struct {
	shape      Shape
	primitives []*cib.Element // in order, for the histories
}

func (g *generator) node(i int) string { return fmt.Sprintf("n%02d", i%g.shape.Nodes+1) }

func (g *generator) configuration() *cib.Element {
	options := set("cluster_property_set", "cib-bootstrap-options", "stonith-enabled", "true", "no-quorum-policy", "stop")
	if g.shape.Utilization {
		options = set("cluster_property_set", "cib-bootstrap-options", "stonith-enabled", "true", "placement-strategy", "balanced")
	}
	nodes := cib.New("nodes")
	for i := range g.shape.Nodes {
		n := cib.New("node", "id", fmt.Sprint(i+1), "uname", g.node(i))
		if g.shape.Utilization {
			room := max(8, 8*g.shape.Resources/g.shape.Nodes)
			n = n.Append(set("utilization", n.Get("uname")+"-u", "cpu", fmt.Sprint(room), "memory", fmt.Sprint(512*room)))
		}
		nodes = nodes.Append(n)
	}
	resources, constraints := g.resources()
	return cib.New("configuration").WithChildren(
		cib.New("crm_config").Append(options), nodes, resources, constraints,
		cib.New("rsc_defaults").Append(set("meta_attributes", "rsc-options", "resource-stickiness", "100")))
}

func set(tag, id string, pairs ...string) *cib.Element {
	var children []*cib.Element
	for p := range slices.Chunk(pairs, 2) {
		children = append(children, cib.New("nvpair", "id", id+"-"+p[0], "name", p[0], "value", p[1]))
	}
	return cib.New(tag, "id", id).WithChildren(children...)
}

func (g *generator) resources() (resources, constraints *cib.Element) {
	var all, rules []*cib.Element
	fence := cib.New("primitive", "id", "fencing", "class", "stonith", "type", "fence_ipmilan")
	g.primitives = append(g.primitives, fence)
	all = append(all, fence)
	clones := min(5, max(1, g.shape.Resources/100))
	for i := range clones {
		id := fmt.Sprintf("everywhere%d", i)
		p := g.primitive(id, "Dummy", "state", "/run/"+id)
		all = append(all, cib.New("clone", "id", id+"-clone").WithChildren(set("meta_attributes", id+"-clone-m", "interleave", "true"), p))
	}
	groups := g.shape.Resources / groupSize
	for i := range groups {
		id := fmt.Sprintf("group%04d", i)
		var members []*cib.Element
		for j := range groupSize {
			members = append(members, g.member(i, j))
		}
		all = append(all, cib.New("group", "id", id).WithChildren(members...))
		rules = append(rules, g.constraints(i, clones)...)
	}
	for i := range g.shape.Resources % groupSize {
		all = append(all, g.primitive(fmt.Sprintf("alone%d", i), "Dummy", "state", "/run/alone"))
	}
	return cib.New("resources").WithChildren(all...), cib.New("constraints").WithChildren(rules...)
}

func (g *generator) member(group, i int) *cib.Element {
	id := fmt.Sprintf("r%04d-%d", group, i)
	switch i {
	case 0:
		return g.primitive(id, "Filesystem", "device", "/dev/vg/"+id, "directory", "/srv/"+id, "fstype", "xfs")
	case 1:
		return g.primitive(id, "IPaddr2", "ip", fmt.Sprintf("10.%d.%d.%d", group>>8, group&255, i), "cidr_netmask", "8")
	}
	return g.primitive(id, "Dummy", "state", "/run/"+id)
}

func (g *generator) primitive(id, kind string, params ...string) *cib.Element {
	op := func(name, interval, timeout string) *cib.Element {
		return cib.New("op", "id", id+"-"+name, "name", name, "interval", interval, "timeout", timeout)
	}
	p := cib.New("primitive", "id", id, "class", "ocf", "provider", "heartbeat", "type", kind).WithChildren(
		set("instance_attributes", id+"-p", params...), set("meta_attributes", id+"-m", "migration-threshold", "3"),
		cib.New("operations").WithChildren(op("monitor", "10s", "20s"), op("start", "0", "60s"), op("stop", "0", "60s")))
	if g.shape.Utilization {
		k := len(g.primitives)
		p = p.Append(set("utilization", id+"-u", "cpu", fmt.Sprint(1+k%4), "memory", fmt.Sprint(64+97*k%900)))
	}
	g.primitives = append(g.primitives, p)
	return p
}

// constraints are those of one group.
func (g *generator) constraints(i, clones int) []*cib.Element {
	id, before := fmt.Sprintf("group%04d", i), fmt.Sprintf("group%04d", i-1)
	together := func(with, score string) *cib.Element {
		return cib.New("rsc_colocation", "id", "with-"+id+"-"+with, "rsc", id, "with-rsc", with, "score", score)
	}
	after := func(first string) *cib.Element {
		return cib.New("rsc_order", "id", "after-"+id+"-"+first, "first", first, "then", id)
	}
	likes := func(n int, score string) *cib.Element {
		return cib.New("rsc_location", "id", fmt.Sprintf("likes-%s-%d", id, n), "rsc", id, "node", g.node(n), "score", score)
	}
	stack := i / stackSize
	switch i % stackSize {
	case 1:
		return []*cib.Element{together(before, "INFINITY"), after(before)}
	case 2:
		return []*cib.Element{together(before, "500"), after(before)}
	}
	out := []*cib.Element{likes(stack, "100"), likes(stack+1+stack/g.shape.Nodes%max(1, g.shape.Nodes-1), "50")}
	if stack > 0 {
		out = append(out, together(fmt.Sprintf("group%04d", (stack-1)*stackSize), "-50"))
	}
	if stack%4 == 0 {
		clone := fmt.Sprintf("everywhere%d-clone", stack/4%clones)
		out = append(out, together(clone, "INFINITY"), after(clone))
	}
	return out
}

// document puts a configuration and histories together. Without a map nothing was looked for; what it does not name is
// known to be stopped.
func (g *generator) document(conf *cib.Element, where map[string]string) *cib.Element {
	states := make([]*cib.Element, g.shape.Nodes)
	for i := range states {
		id, name := fmt.Sprint(i+1), g.node(i)
		var histories []*cib.Element
		for _, p := range g.primitives {
			if where != nil {
				histories = append(histories, history(p, name, where[p.ID()+" "+name] != ""))
			}
		}
		states[i] = cib.New("node_state", "id", id, "uname", name, "in_ccm", "true", "crmd", "online", "join", "member", "expected", "member").
			WithChildren(cib.New("lrm", "id", id).WithChildren(cib.New("lrm_resources").WithChildren(histories...)))
	}
	return cib.New("cib", "crm_feature_set", cib.CurrentFeatureSet, "validate-with", cib.CurrentSchema, "epoch", "1", "num_updates", "0",
		"admin_epoch", "0", "have-quorum", "1", "dc-uuid", "1").WithChildren(conf, cib.New("status").WithChildren(states...))
}

func history(p *cib.Element, node string, runs bool) *cib.Element {
	like := cib.New("lrm_resource", "id", p.ID(), "class", p.Get("class"))
	if provider := p.Get("provider"); provider != "" {
		like = like.With("provider", provider)
	}
	op := func(task, interval, rc, id string, call int) *cib.Element {
		key := fmt.Sprintf("%d:0:%s:00000000-0000-0000-0000-000000000000", call, rc)
		return cib.New("lrm_rsc_op", "id", p.ID()+id, "operation_key", p.ID()+"_"+task+"_"+interval, "operation", task,
			"crm_feature_set", cib.CurrentFeatureSet, "transition-key", key, "transition-magic", "0:"+rc+";"+key, "on_node", node,
			"call-id", fmt.Sprint(call), "rc-code", rc, "op-status", "0", "interval", interval)
	}
	ops := []*cib.Element{op("monitor", "0", "7", "_last_0", 1)}
	if runs {
		params := map[string]string{}
		for pair := range p.Child("instance_attributes").Each("nvpair") {
			params[pair.Get("name")] = pair.Get("value")
		}
		ops = []*cib.Element{op("start", "0", "0", "_last_0", 2).With("op-digest", status.DigestOf(params))}
		if p.Child("operations") != nil {
			params["CRM_meta_timeout"] = "20000"
			ops = append(ops, op("monitor", "10000", "0", "_monitor_10000", 3).With("op-digest", status.DigestOf(params)))
		}
	}
	return like.With("type", p.Get("type")).WithChildren(ops...)
}
