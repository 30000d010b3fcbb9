package node

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"systole/crm/cib"
	"systole/crm/controller"
	"systole/crm/transition"
)

// smallPlanner is a scheduler just large enough for these tests: primitives
// without constraints, each on the first node in order of name. The tests are
// about orders, results and leases; what is the best place is another package.
func smallPlanner(c *cib.CIB, _ time.Time) (controller.Plan, error) {
	p := &planning{c: c, stops: map[string][]transition.ActionID{}, graph: &transition.Graph{Options: transition.Options{ClusterDelay: "60s"}}}
	for s := range c.Status().Each("node_state") {
		if s.Get("crmd") == "online" {
			p.online = append(p.online, s.Get("uname"))
		}
	}
	slices.Sort(p.online)
	for r := range c.Section("resources").Each("primitive") {
		p.place(r)
	}
	for _, n := range p.online {
		if p.leaves(n) {
			p.add(transition.Action{Kind: transition.KindCluster, Task: transition.TaskShutdown, Node: n, Key: "do_shutdown-" + n}, p.stops[n])
		}
	}
	return controller.Plan{Graph: p.graph, Changes: fmt.Sprint(len(p.graph.Synapses))}, nil
}

type planning struct {
	c      *cib.CIB
	graph  *transition.Graph
	online []string
	stops  map[string][]transition.ActionID // by node
}

func (p *planning) add(a transition.Action, after []transition.ActionID) transition.ActionID {
	a.ID = transition.ActionID(len(p.graph.Synapses) + 1)
	p.graph.Synapses = append(p.graph.Synapses, transition.Synapse{Action: &a, Inputs: after})
	return a.ID
}

func (p *planning) op(r *cib.Element, task, node string, interval time.Duration, want string, after ...transition.ActionID) transition.ActionID {
	attrs := []cib.Attr{{Name: "CRM_meta_op_target_rc", Value: want}, {Name: "CRM_meta_timeout", Value: "20000"}}
	if interval > 0 {
		attrs = append([]cib.Attr{{Name: "CRM_meta_interval", Value: fmt.Sprint(interval.Milliseconds())}}, attrs...)
	}
	return p.add(transition.Action{
		Kind: transition.KindResource, Task: task, Node: node, Key: transition.OpKey(r.ID(), task, interval),
		Resource:   &transition.Resource{ID: r.ID(), Class: r.Get("class"), Provider: r.Get("provider"), Type: r.Get("type")},
		Attributes: attrs,
	}, after)
}

// last is the newest one-shot operation on a node, nil when nothing is known.
func (p *planning) last(node, rsc string) *cib.Element {
	for s := range p.c.Status().Each("node_state") {
		if s.Get("uname") != node {
			continue
		}
		for h := range s.Child("lrm").Child("lrm_resources").Each("lrm_resource") {
			for op := range h.Each("lrm_rsc_op") {
				if h.ID() == rsc && op.ID() == rsc+"_last_0" {
					return op
				}
			}
		}
	}
	return nil
}

// active says whether the resource runs, or may run, on a node.
func (p *planning) active(node, rsc string) bool {
	op := p.last(node, rsc)
	switch {
	case op == nil:
		return false
	case op.Get("operation") == "stop":
		return op.Get("rc-code") != "0"
	}
	return op.Get("rc-code") != "7"
}

func (p *planning) leaves(node string) bool {
	_, ok := transient(p.c, node, "shutdown")
	return ok
}

func (p *planning) place(r *cib.Element) {
	var probes []transition.ActionID
	for _, n := range p.online {
		if p.last(n, r.ID()) == nil {
			probes = append(probes, p.op(r, "monitor", n, 0, "7"))
		}
	}
	var stops []transition.ActionID
	for s := range p.c.Status().Each("node_state") {
		n := s.Get("uname")
		if !p.active(n, r.ID()) {
			continue
		}
		if !slices.Contains(p.online, n) {
			return // it may still run there
		}
		if !p.leaves(n) {
			return // where it belongs
		}
		stops = append(stops, p.op(r, "stop", n, 0, "0"))
		p.stops[n] = append(p.stops[n], stops[len(stops)-1])
	}
	for _, n := range p.online {
		if count, _ := transient(p.c, n, "fail-count-"+r.ID()+"#start_0"); p.leaves(n) || strings.Contains(count, "INFINITY") {
			continue
		}
		start := p.op(r, "start", n, 0, "0", append(probes, stops...)...)
		p.op(r, "monitor", n, 10*time.Second, "0", start)
		return
	}
}
