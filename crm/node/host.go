package node

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"systole/crm/api"
	"systole/crm/cib"
	"systole/crm/cluster"
	"systole/crm/command"
	"systole/crm/store"
)

// Host is the node as the cluster's administration needs it.
func (n *Node) Host() cluster.Host { return host{n} }

type host struct{ n *Node }

// DC implements cluster.Host.
func (h host) DC() (name string, self bool) {
	d := h.n.store.DC()
	return d.Leader, d.Active
}

// Members implements cluster.Host. A node that has just been started knows
// nothing before a DC has told it; it is waited for.
func (h host) Members(ctx context.Context) ([]cluster.Member, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errNoDC)
	defer cancel()
	s := h.n.store.Snapshot()
	for s.Index == 0 {
		select {
		case <-s.Next:
			s = h.n.store.Snapshot()
		case <-ctx.Done():
			return nil, &api.Error{Code: api.CodeNoDC, Message: "this node does not know the cluster yet: " + context.Cause(ctx).Error()}
		}
	}
	c, servers := s.CIB, h.n.store.Servers()
	var out []cluster.Member
	for e := range c.Section("nodes").Each("node") {
		if !slices.Contains(nodeNames(c), e.Get("uname")) {
			continue
		}
		m := cluster.Member{Name: e.Get("uname"), Witness: isWitness(e)}
		for _, s := range servers {
			if s.Node == m.Name {
				m.Addr, m.RaftID, m.Voter = s.Addr, s.ID, s.Voter
			}
		}
		for s := range c.Status().Each("node_state") {
			if s.ID() == e.ID() {
				m.Online = s.Get("crmd") == "online"
			}
		}
		out = append(out, m)
	}
	slices.SortFunc(out, func(a, b cluster.Member) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// CIB implements cluster.Host.
func (h host) CIB(ctx context.Context) ([]byte, error) {
	r, err := backend(h).CIB(ctx, false)
	return []byte(r.XML), err
}

// Drain implements cluster.Host.
func (h host) Drain(ctx context.Context) error { return h.n.drain(ctx) }

// HandOver implements cluster.Host.
func (h host) HandOver(ctx context.Context) error { return h.n.store.HandOver(ctx) }

// Stop implements cluster.Host.
func (h host) Stop(cause string) { h.n.cfg.Stop(cause) }

// Admit implements cluster.Host: the CIB first, so that the node is expected
// when it beats, then raft.
func (h host) Admit(ctx context.Context, e cluster.Entrant) error {
	if err := h.n.configure(ctx, e); err != nil {
		return err
	}
	for _, s := range h.n.store.Servers() {
		if s.Node == e.Name && s.ID != e.RaftID {
			if err := h.n.store.Remove(ctx, s.ID); err != nil {
				return err
			}
		}
	}
	return h.n.store.AddNonvoter(ctx, e.RaftID, e.Addr)
}

// configure puts a node into the CIB, or makes one that is there a witness or no
// longer one. A witness is a node that never runs anything: on standby for good,
// and not even probed.
func (n *Node) configure(ctx context.Context, e cluster.Entrant) error {
	for {
		c := n.CIB()
		op := command.Op{Kind: cib.OpCreate, Section: "nodes"}
		node := cib.New("node", "id", nextNodeID(c), "uname", e.Name)
		for known := range c.Section("nodes").Each("node") {
			if known.Get("uname") == e.Name {
				op.Kind, node = cib.OpReplace, known
			}
		}
		if op.Kind == cib.OpReplace && isWitness(node) == e.Witness {
			return nil
		}
		op.Data = asWitness(node, e.Witness).String()
		v := c.Version()
		entry := n.entry(command.KindCIB)
		entry.Client = "crm cluster join"
		entry.Change = &command.Change{Expected: &v, Ops: []command.Op{op}}
		p, err := n.propose(ctx, entry)
		if err != nil {
			return err
		}
		if p.Reply.Code == api.CodeOld {
			continue // somebody was faster; the id may be taken now
		}
		return p.Reply.Err()
	}
}

// witnessAttrs are what keeps resources and probes away from a witness.
var witnessAttrs = []struct{ name, value string }{{"standby", "true"}, {"witness", "true"}, {"resource-discovery-enabled", "false"}}

// asWitness is a nodes/node with the attributes of a witness, or without them.
func asWitness(node *cib.Element, witness bool) *cib.Element {
	kept := node.WithChildren()
	for _, set := range node.Children() {
		var pairs []*cib.Element
		for _, nv := range set.Children() {
			if set.Name() != "instance_attributes" || !slices.ContainsFunc(witnessAttrs, func(a struct{ name, value string }) bool { return a.name == nv.Get("name") }) {
				pairs = append(pairs, nv)
			}
		}
		if len(pairs) > 0 {
			kept = kept.Append(set.WithChildren(pairs...))
		}
	}
	if !witness {
		return kept
	}
	id := "witness-" + node.ID()
	set := cib.New("instance_attributes", "id", id)
	for _, a := range witnessAttrs {
		set = set.Append(cib.New("nvpair", "id", id+"-"+a.name, "name", a.name, "value", a.value))
	}
	return kept.Append(set)
}

// markWitness sees to it that the CIB knows of a witness that only its own
// configuration made one.
func (n *Node) markWitness(ctx context.Context) {
	for n.cfg.Witness && sleep(ctx, voterInterval) {
		if !slices.Contains(nodeNames(n.CIB()), n.cfg.Name) {
			continue
		}
		if err := n.configure(ctx, cluster.Entrant{Name: n.cfg.Name, Witness: true}); err == nil {
			return
		}
	}
}

// nextNodeID is one more than the largest number that is an id of a node.
func nextNodeID(c *cib.CIB) string {
	most := 0
	for e := range c.Section("nodes").Each("node") {
		if n, err := strconv.Atoi(e.ID()); err == nil {
			most = max(most, n)
		}
	}
	return strconv.Itoa(most + 1)
}

// Remove implements cluster.Host.
func (h host) Remove(ctx context.Context, name string) error {
	for _, s := range h.n.store.Servers() {
		if s.Node == name {
			if err := h.n.store.Remove(ctx, s.ID); err != nil {
				return err
			}
		}
	}
	e := h.n.entry(command.KindCIB)
	e.Client = "crm cluster remove"
	e.Change = &command.Change{Ops: []command.Op{{Kind: cib.OpDelete, XPath: fmt.Sprintf("/cib/configuration/nodes/node[@uname='%s']", name)}}}
	forget := h.n.entry(command.KindNode)
	forget.Node = &command.Node{Name: name, Forget: true}
	for _, entry := range []command.Entry{e, forget} {
		p, err := h.n.propose(ctx, entry)
		if err != nil {
			return err
		}
		if p.Reply.Code == api.CodeNoSuch {
			continue
		}
		if err := p.Reply.Err(); err != nil {
			return err
		}
	}
	return nil
}

// isWitness says whether a nodes/node is one.
func isWitness(node *cib.Element) bool {
	for set := range node.Each("instance_attributes") {
		for nv := range set.Each("nvpair") {
			if nv.Get("name") == "witness" && nv.Get("value") == "true" {
				return true
			}
		}
	}
	return false
}

// nodeID is a configured node's id, "" for an unknown one.
func nodeID(c *cib.CIB, name string) string {
	for e := range c.Section("nodes").Each("node") {
		if e.Get("uname") == name {
			return e.ID()
		}
	}
	return ""
}

// voterInterval is how often the DC looks after the voters: a new node has its
// vote within moments, and nothing is measured in shorter times than that.
const voterInterval = 500 * time.Millisecond

// keepVoters promotes and demotes, one change at a time, while this node is DC.
func (n *Node) keepVoters(ctx context.Context) {
	want := n.cfg.Voters
	if want == 0 {
		want = store.DefaultVoters
	}
	behind := map[string]stall{}
	for sleep(ctx, voterInterval) {
		heard := n.heard.Load()
		if heard == nil || !n.store.DC().Active {
			continue
		}
		applied := n.store.Stats().Applied
		now := stalls(behind, applied, *heard, time.Now())
		n.stalls.Store(&now)
		behind = now
		peers := map[string]store.Peer{n.cfg.Name: {}}
		for name, h := range *heard {
			p := store.Peer{}
			if h.silent >= n.cfg.Timing.DetectWithin {
				p.Dead = h.silent
			}
			if applied > h.applied {
				p.Behind = applied - h.applied
			}
			peers[name] = p
		}
		change, ok := store.NextChange(n.store.Servers(), peers, want)
		if !ok {
			continue
		}
		do := n.store.Demote
		if change.Promote {
			do = n.store.Promote
		}
		if err := do(ctx, change.ID); err != nil && ctx.Err() == nil {
			n.log.Warn("voters not changed", "server", change.ID, "promote", change.Promote, "err", err)
			continue
		}
		n.log.Info("voters changed", "server", change.ID, "promote", change.Promote, "reason", change.Why)
	}
}
