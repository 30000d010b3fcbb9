package node

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"systole/crm/api"
	"systole/crm/attrs"
	"systole/crm/cib"
	"systole/crm/command"
)

// attributes guards the table of transient attributes on their way into the CIB.
type attributes struct {
	mu    sync.Mutex
	table attrs.Table
	due   chan struct{} // a dampened attribute may be due earlier than known
}

// UpdateAttr implements api.Backend.
func (b backend) UpdateAttr(ctx context.Context, u api.AttrUpdate) error {
	n := b.n
	if u.Node == "" {
		u.Node = n.cfg.Name
	}
	if !slices.Contains(nodeNames(n.CIB()), u.Node) {
		return &api.Error{Code: api.CodeNoSuch, Message: "node " + u.Node + " is not in this cluster"}
	}
	in := attrs.Update{Key: attrs.Key{Node: u.Node, Name: u.Name}, Set: u.Set, Value: u.Value, DampenOnly: u.DampenOnly, Private: u.Private}
	if u.Dampen != nil {
		d := u.Dampen.Duration()
		in.Dampen = &d
	}
	current, has := b.committedAttrs(ctx, u.Node, u.Name)[attrs.Key{Node: u.Node, Name: u.Name}]
	n.attrs.mu.Lock()
	change, commit, err := n.attrs.table.Apply(in, current, has, time.Now())
	n.attrs.mu.Unlock()
	if err != nil {
		return &api.Error{Code: api.CodeUsage, Message: err.Error()}
	}
	if !commit {
		nudge(n.attrs.due)
		return nil
	}
	p, err := n.write(ctx, b.attrEntry(ctx, []attrs.Change{change}))
	if err != nil {
		return err
	}
	return failed(p.Reply.Err())
}

// SetAttribute sets a transient attribute of this node, or removes it when value is "":
// what crm_attribute does for a script, for agents of this process. With a delay it is
// done later, unless it is set again before.
func (n *Node) SetAttribute(ctx context.Context, name, value string, delay time.Duration) error {
	dampen := api.FromDuration(delay)
	u := api.AttrUpdate{Name: name, Dampen: &dampen}
	if value != "" {
		u.Value = &value
	}
	return backend{n}.UpdateAttr(ctx, u)
}

// attrEntry is the entry for changes of one node.
func (b backend) attrEntry(ctx context.Context, changes []attrs.Change) command.Entry {
	e := b.entry(ctx, command.KindAttrs, "attrd")
	e.Attrs = &command.Attrs{Node: changes[0].Node}
	for _, c := range changes {
		ch := command.AttrChange{Name: c.Name, Set: c.Set, Delete: c.Value == nil}
		if c.Value != nil {
			ch.Value = *c.Value
		}
		e.Attrs.Changes = append(e.Attrs.Changes, ch)
	}
	return e
}

// writeAttrs commits dampened attributes when they are due.
func (n *Node) writeAttrs(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		n.attrs.mu.Lock()
		due := n.attrs.table.Due(time.Now())
		next := n.attrs.table.Next()
		n.attrs.mu.Unlock()
		for _, c := range due {
			// A value may be written twice without harm, so it is insisted on.
			if _, err := n.insist(ctx, backend{n}.attrEntry(ctx, []attrs.Change{c})); err != nil && ctx.Err() == nil {
				n.log.Warn("attribute not written", "node", c.Node, "attribute", c.Name, "err", err)
			}
		}
		if len(due) > 0 {
			continue
		}
		if next.IsZero() {
			timer.Reset(time.Hour)
		} else {
			timer.Reset(max(0, time.Until(next)))
		}
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-n.attrs.due:
		}
	}
}

// Attrs implements api.Backend: what waits here hides what is in the CIB.
func (b backend) Attrs(ctx context.Context, node, name string) ([]api.Attr, error) {
	found := b.committedAttrs(ctx, node, name)
	b.n.attrs.mu.Lock()
	for _, ch := range b.n.attrs.table.All() {
		if ch.Value == nil {
			delete(found, ch.Key)
		} else {
			found[ch.Key] = *ch.Value
		}
	}
	b.n.attrs.mu.Unlock()
	out := []api.Attr{}
	for k, v := range found {
		if (node == "" || k.Node == node) && (name == "" || k.Name == name) {
			out = append(out, api.Attr{Node: k.Node, Name: k.Name, Value: v})
		}
	}
	slices.SortFunc(out, func(a, b api.Attr) int {
		return cmp.Or(strings.Compare(a.Node, b.Node), strings.Compare(a.Name, b.Name))
	})
	return out, nil
}

// committedAttrs are transient attributes in the CIB, those asked for at least. When
// this node's copy lags behind what its users wrote, the DC is asked.
func (b backend) committedAttrs(ctx context.Context, node, name string) map[attrs.Key]string {
	s := b.n.store.Snapshot()
	if s.Index >= b.n.told.Load() {
		return attributesOf(s.CIB)
	}
	fresh, err := ask(ctx, b, func() ([]api.Attr, error) { return nil, errNoDC },
		func(ctx context.Context, dc *api.Client) ([]api.Attr, error) { return dc.Attrs(ctx, node, name) })
	if err != nil {
		return attributesOf(b.n.caughtUp(ctx).CIB)
	}
	found := map[attrs.Key]string{}
	for _, a := range fresh {
		found[attrs.Key{Node: a.Node, Name: a.Name}] = a.Value
	}
	return found
}

// attributesOf are all transient attributes of a CIB.
func attributesOf(c *cib.CIB) map[attrs.Key]string {
	found := map[attrs.Key]string{}
	for s := range c.Status().Each("node_state") {
		for set := range s.Child("transient_attributes").Each("instance_attributes") {
			for nv := range set.Each("nvpair") {
				found[attrs.Key{Node: s.Get("uname"), Name: nv.Get("name")}] = nv.Get("value")
			}
		}
	}
	return found
}
