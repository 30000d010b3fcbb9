package node

import (
	"systole/crm/cib"
	"systole/crm/membership"
)

// asSeen is the CIB as this node's users are to see it. That quorum is lost is a
// fact that nobody can commit, so the copy says it itself: have-quorum is 0,
// dc-uuid is empty, and nodes that gossip does not hear are not online. What the
// resources do meanwhile is not known; their history stays the last known.
//
// dc-uuid is there, as in a running Pacemaker, where it never vanishes: crmsh copies
// to what it commits the attributes it has seen before, and dies when one is missing.
func (n *Node) asSeen(c *cib.CIB) *cib.CIB {
	if n.store.DC().Active || n.Remaining() > 0 {
		return c
	}
	var gossip map[string]string
	if n.cfg.Gossip != nil {
		gossip = n.cfg.Gossip()
	}
	root := c.Root().With("have-quorum", "0").With("dc-uuid", "")
	if state := root.Child("status"); state != nil {
		var nodes []*cib.Element
		for _, e := range state.Children() {
			opinion, known := gossip[e.Get("uname")]
			if e.Name() == "node_state" && known && opinion != string(membership.StateAlive) {
				e = e.With("in_ccm", "false").With("crmd", "offline").With("join", "down")
			}
			nodes = append(nodes, e)
		}
		root = root.ReplaceChild(root.IndexFunc(func(e *cib.Element) bool { return e == state }), state.WithChildren(nodes...))
	}
	seen, err := cib.FromRoot(root)
	if err != nil {
		return c
	}
	return seen
}

// withQuorum is a document that somebody puts in the place of the whole CIB, with the
// quorum and the DC there are: it says how that was where and when it was read, and
// the DC would plan as if it had no quorum. Any other document stays as it is.
func (n *Node) withQuorum(doc string) string {
	root, err := cib.Parse([]byte(doc))
	if err != nil || root.Name() != "cib" {
		return doc // refused when it is applied, or a part
	}
	now := n.CIB().Root()
	for _, name := range []string{"have-quorum", "dc-uuid"} {
		if value, known := now.Lookup(name); known && value != root.Get(name) {
			root = root.With(name, value)
			doc = root.String()
		}
	}
	return doc
}
