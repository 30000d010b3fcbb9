package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"systole/crm/api"
	"systole/crm/cib"
	"systole/crm/command"
	"systole/crm/transition"
	"systole/resources"
)

// What the API does with resources beyond editing the CIB.

func (b backend) Resource(ctx context.Context, r api.ResourceRequest) (api.ResourceReply, error) {
	c := b.n.CIB()
	nodes := []string{r.Node}
	if r.Node == "" {
		nodes = nodeNames(c)
	}
	targets := []string{r.Resource}
	if r.Resource != "" && !r.Force {
		targets = wholeResource(c, r.Resource)
	}
	var reply api.ResourceReply
	for _, node := range nodes {
		for _, target := range targets {
			e := b.entry(ctx, command.KindCleanup, "crm_resource")
			switch r.Verb {
			case api.ResourceCleanup:
				e.Cleanup = &command.Cleanup{Node: node, Resource: target, Operation: r.Operation,
					IntervalMS: r.Interval.Duration().Milliseconds(), FailedOnly: true}
			case api.ResourceRefresh, api.ResourceReprobe:
				e.Cleanup = &command.Cleanup{Node: node, Resource: target}
			case api.ResourceFail:
				e = b.entry(ctx, command.KindResult, "crm_resource")
				e.Results = []command.Result{failedByHand(c, node, target)}
			default:
				return reply, &api.Error{Code: api.CodeUsage, Message: fmt.Sprintf("verb %q is unknown", r.Verb)}
			}
			p, err := b.n.write(ctx, e)
			if err != nil {
				return reply, err
			}
			if err := p.Reply.Err(); err != nil {
				return reply, failed(err)
			}
			reply.Done = append(reply.Done, api.ResourceOnNode{Resource: target, Node: node})
		}
	}
	return reply, nil
}

// wholeResource lists the primitives of the group or clone a resource is or is
// part of: that is what people mean by cleaning it up.
func wholeResource(c *cib.CIB, id string) []string {
	id, _, _ = strings.Cut(id, ":")
	for top := range topResources(c) {
		if cib.FindID(top, id) == nil {
			continue
		}
		var out []string
		for e := range cib.All(top) {
			if e.Name() == "primitive" {
				out = append(out, e.ID())
			}
		}
		return out
	}
	return []string{id}
}

func topResources(c *cib.CIB) func(func(*cib.Element) bool) {
	return func(yield func(*cib.Element) bool) {
		resources := c.Section("resources")
		if resources == nil {
			return
		}
		for _, e := range resources.Children() {
			if !yield(e) {
				return
			}
		}
	}
}

// failedByHand is a failure of a resource's monitor that somebody declares
// (crm_resource --fail).
func failedByHand(c *cib.CIB, node, resource string) command.Result {
	r := command.Result{Node: node, Call: -1, Resource: resource, Operation: "asyncmon", RC: int(resources.ErrGeneric),
		Status: int(resources.StatusDone), Reason: "declared failed by hand", LastChange: time.Now(), Failure: command.Counted,
		Key: transition.Key{UUID: "00000000-0000-0000-0000-000000000000"}.String()}
	if e := c.FindID(resource); e != nil {
		r.Class, r.Provider, r.Type = e.Get("class"), e.Get("provider"), e.Get("type")
	}
	return r
}

func (b backend) Force(ctx context.Context, r api.ForceRequest) (api.ForceReply, error) {
	op := resources.Op{Resource: "force", Instance: "force", Action: resources.Action(r.Action), Params: r.Params,
		Timeout: r.Timeout.Duration(), CheckLevel: r.Level, Node: b.n.cfg.Name, Meta: map[string]string{}}
	agent := r.Agent
	if r.Resource != "" {
		e := b.n.CIB().FindID(r.Resource)
		if e == nil || e.Name() != "primitive" {
			return api.ForceReply{}, &api.Error{Code: api.CodeNoSuch, Message: fmt.Sprintf("resource %s is not a primitive of this cluster", r.Resource)}
		}
		op.Resource, op.Instance = r.Resource, r.Resource
		op.Agent = resources.AgentID{Class: resources.Class(e.Get("class")), Provider: e.Get("provider"), Type: e.Get("type")}
		op.Params = map[string]string{}
		for set := range e.Each("instance_attributes") {
			for nv := range set.Each("nvpair") {
				if _, ok := op.Params[nv.Get("name")]; !ok {
					op.Params[nv.Get("name")] = nv.Get("value")
				}
			}
		}
		for k, v := range r.Params {
			op.Params[k] = v
		}
	} else {
		id, err := agentID(agent)
		if err != nil {
			return api.ForceReply{}, err
		}
		op.Agent = id
	}
	if _, err := b.n.cfg.Lookup(op.Agent); err != nil {
		return api.ForceReply{}, &api.Error{Code: api.CodeNoSuch, Message: err.Error()}
	}
	res, err := b.n.try(ctx, op)
	if err != nil {
		return api.ForceReply{}, &api.Error{Code: api.CodeTemporary, Message: fmt.Sprintf("%s of %s on %s: %v", op.Action, op.Instance, op.Node, err)}
	}
	return api.ForceReply{Code: int(res.Code), Status: int(res.Status), Reason: res.Reason, Output: res.Output}, nil
}

// try runs an operation that a human asked for, under the conditions of an order: in its turn,
// under the lease, and once the DC knows how long the stop of what it starts may take.
func (n *Node) try(ctx context.Context, op resources.Op) (resources.Result, error) {
	covered, cancel := context.WithTimeout(ctx, orderPatience)
	defer cancel()
	for !n.stopIsCovered(orderMessage{Op: op}) {
		if !sleep(covered, orderRetry) {
			return resources.Result{}, errors.New("the DC has not recorded how long the stop of this resource may take")
		}
	}
	return n.exec.Try(ctx, op)
}

func (b backend) TransitionGraph(ctx context.Context) ([]byte, error) {
	return ask(ctx, b, func() ([]byte, error) {
		g := b.n.Controller().Graph
		if g == nil {
			return nil, &api.Error{Code: api.CodeNoSuch, Message: "no transition is running"}
		}
		var out bytes.Buffer
		if err := transition.WriteXML(&out, g); err != nil {
			return nil, err
		}
		return out.Bytes(), nil
	}, func(ctx context.Context, dc *api.Client) ([]byte, error) { return dc.TransitionGraph(ctx) })
}
