package status

import (
	"time"

	"systole/crm/cib"
	"systole/crm/model"
)

// Evaluator answers questions about a Status whose answers depend on rules: parameters on a node,
// the effective meta attributes of an operation. It keeps what it computed; an Evaluator belongs to one goroutine.
type Evaluator struct {
	s *Status
	// RecheckBy is the earliest moment at which one of the answers given may change; zero if never.
	RecheckBy time.Time

	byID    map[string]*cib.Element
	params  map[paramKey]map[string]string
	opMeta  map[opKey]*OpMeta
	history []map[string]*cib.Element
	fails   []*failIndex

	// BundleHost finds the node on which the container behind a bundle's connection is or will be; nil while nothing is placed.
	BundleHost func(ResID) (string, bool)
}

type paramKey struct {
	res  ResID
	node NodeID
}

// Evaluator makes a new one.
func (s *Status) Evaluator() *Evaluator {
	return &Evaluator{s: s, params: map[paramKey]map[string]string{}, opMeta: map[opKey]*OpMeta{}}
}

// Params are the instance attributes of a resource and its ancestors on a node (NoNode: as without any node).
// The map must not be modified.
func (ev *Evaluator) Params(r ResID, node NodeID) map[string]string {
	rsc := &ev.s.Resources[r]
	if !ev.ruledParams(r) {
		node = NoNode
	}
	key := paramKey{r, node}
	if p, ok := ev.params[key]; ok {
		return p
	}
	ctx := ruleContext{}
	if node != NoNode {
		ctx.Attributes = ev.s.Nodes[node].Attributes
	}
	p := map[string]string{}
	for at := r; at != NoRes; at = ev.s.Resources[at].Parent {
		if c := ev.s.Resources[at].Config; c != nil {
			ev.values(p, c.Params, ctx, false)
		}
	}
	_ = rsc
	ev.params[key] = p
	return p
}

// ruledParams tells whether a resource's parameters can differ between nodes.
func (ev *Evaluator) ruledParams(r ResID) bool {
	for at := r; at != NoRes; at = ev.s.Resources[at].Parent {
		c := ev.s.Resources[at].Config
		if c == nil {
			continue
		}
		for _, set := range c.Params {
			if ev.resolve(set.Source).Child("rule") != nil {
				return true
			}
		}
	}
	return false
}

// OpParams are the parameters of one configured operation on a node.
func (ev *Evaluator) OpParams(op *model.Op, node NodeID) map[string]string {
	p := map[string]string{}
	if op == nil {
		return p
	}
	ctx := ruleContext{}
	if node != NoNode {
		ctx.Attributes = ev.s.Nodes[node].Attributes
	}
	ev.values(p, model.Sets(op.Source, "instance_attributes"), ctx, false)
	return p
}

// History is the lrm_resource entry of a resource name in a node's history, nil without one.
func (ev *Evaluator) History(n NodeID, name string) *cib.Element {
	if ev.history == nil {
		ev.history = make([]map[string]*cib.Element, len(ev.s.Nodes))
	}
	for int(n) >= len(ev.history) {
		ev.history = append(ev.history, nil)
	}
	index := ev.history[n]
	if index == nil {
		index = map[string]*cib.Element{}
		for e := range ev.s.Nodes[n].State.Path("lrm", "lrm_resources").Each("lrm_resource") {
			if _, dup := index[e.ID()]; !dup {
				index[e.ID()] = e
			}
		}
		ev.history[n] = index
	}
	return index[name]
}
