package change

import (
	"fmt"
	"time"

	"systole/crm/cib"
	"systole/crm/exit"
	"systole/crm/isotime"
	"systole/crm/status"
)

// Relocation is a wish to have a resource elsewhere.
type Relocation struct {
	Resource string
	// Node to go to, or to be banned from; "" is the node it is active on.
	Node string
	// Lifetime is an ISO 8601 duration or date; "" is for ever.
	Lifetime string
	Promoted bool
	Force    bool
}

// Relocated says what Move or BanFrom did.
type Relocated struct {
	Resource string
	Promoted bool
	Until    time.Time // zero is for ever
	Banned   string    // the node it is banned from, "" if none
	// Notes are sentences for people, in order.
	Notes []string
}

// Move makes the constraint that moves a resource to a node; without a node,
// the one that bans it from where it is. The rules are crm_resource's.
func Move(root *cib.Element, r Relocation, now time.Time) (*cib.Element, Relocated, error) {
	if r.Node == "" {
		return BanFrom(root, r, now)
	}
	s := status.Unpack(root, now)
	out, rsc, err := r.begin(s, now)
	if err != nil {
		return root, out, err
	}
	node, ok := s.Node(r.Node)
	if !ok {
		return root, out, exit.Errorf(exit.NoSuch, "Node '%s' not found", r.Node)
	}
	at := activeNodes(s, rsc, false)
	promotedAt := activeNodes(s, rsc, true)
	if rsc.Promotable && !out.Promoted && len(promotedAt) == 1 {
		at = promotedAt
	}
	if len(at) == 1 && at[0] == node.Index && !r.Force {
		return root, out, exit.Errorf(exit.Exists, "Error performing operation: Requested item already exists")
	}
	root, _ = Clear(root, Cleared{Resource: out.Resource, Node: node.Name})
	root, _ = Clear(root, Cleared{Resource: out.Resource, prefer: true})
	root = Prefer(root, Location{Resource: out.Resource, Node: node.Name, Promoted: out.Promoted, Until: out.Until})
	if r.Force && len(at) == 1 && at[0] != node.Index {
		out.Banned = s.Nodes[at[0]].Name
		root = Ban(root, Location{Resource: out.Resource, Node: out.Banned, Promoted: out.Promoted, Until: out.Until})
	}
	return root, out, nil
}

// BanFrom makes the constraint that keeps a resource off a node.
func BanFrom(root *cib.Element, r Relocation, now time.Time) (*cib.Element, Relocated, error) {
	s := status.Unpack(root, now)
	out, rsc, err := r.begin(s, now)
	if err != nil {
		return root, out, err
	}
	if r.Node == "" {
		at := activeNodes(s, rsc, false)
		if rsc.Promotable && len(at) != 1 {
			if promoted := activeNodes(s, rsc, true); len(promoted) == 1 {
				at = promoted
			}
		}
		if len(at) != 1 {
			return root, out, exit.Errorf(exit.Usage, "Resource '%s' not moved: active in %d locations.\nTo prevent '%s' from running on a specific location, specify a node.", r.Resource, len(at), r.Resource)
		}
		r.Node = s.Nodes[at[0]].Name
	} else if _, ok := s.Node(r.Node); !ok {
		return root, out, exit.Errorf(exit.NoSuch, "Node '%s' not found", r.Node)
	}
	out.Banned = r.Node
	return Ban(root, Location{Resource: out.Resource, Node: r.Node, Promoted: out.Promoted, Until: out.Until}), out, nil
}

// begin finds the resource and the end of the constraint.
func (r Relocation) begin(s *status.Status, now time.Time) (Relocated, *status.Resource, error) {
	out := Relocated{Resource: r.Resource, Promoted: r.Promoted}
	rsc := FindResource(s, r.Resource)
	if rsc == nil {
		return out, nil, exit.Errorf(exit.NoSuch, "Resource '%s' not found", r.Resource)
	}
	if r.Lifetime != "" {
		until, err := lifetimeEnd(r.Lifetime, now)
		if err != nil {
			return out, nil, exit.With(exit.Usage, fmt.Errorf("lifetime %q: %w; write a duration such as PT5M, or a date", r.Lifetime, err))
		}
		out.Until = until
		out.Notes = append(out.Notes, "Migration will take effect until: "+until.UTC().Format(UntilFormat))
	}
	return out, rsc, nil
}

// lifetimeEnd reads a duration from now, or a date.
func lifetimeEnd(text string, now time.Time) (time.Time, error) {
	if d, err := isotime.ParseDuration(text); err == nil {
		return d.AddTo(now), nil
	}
	return isotime.Parse(text, now)
}

// FindResource finds a resource by the id people use: the configured one, of a
// clone's member any instance, or an instance's.
func FindResource(s *status.Status, id string) *status.Resource {
	if r, ok := s.Resource(id); ok {
		return r
	}
	for i := range s.Resources {
		if r := &s.Resources[i]; r.BaseID == id || r.HistoryID == id {
			return r
		}
	}
	return nil
}

// activeNodes are the nodes a resource, or any part of it, is active on; of
// promotable ones on request only those that are promoted.
func activeNodes(s *status.Status, r *status.Resource, promoted bool) []status.NodeID {
	var out []status.NodeID
	add := func(n status.NodeID) {
		for _, have := range out {
			if have == n {
				return
			}
		}
		out = append(out, n)
	}
	if len(r.Children) == 0 {
		for _, n := range r.Active {
			if !promoted || r.Role == status.RolePromoted {
				add(n)
			}
		}
		return out
	}
	for _, c := range r.Children {
		for _, n := range activeNodes(s, &s.Resources[c], promoted) {
			add(n)
		}
	}
	return out
}

// RunningOn are the names of the nodes a resource is active on, in order found.
func RunningOn(s *status.Status, id string) []string {
	r := FindResource(s, id)
	if r == nil {
		return nil
	}
	var names []string
	for _, n := range activeNodes(s, r, false) {
		names = append(names, s.Nodes[n].Name)
	}
	return names
}
