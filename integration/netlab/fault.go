package netlab

import (
	"fmt"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
)

// Direction of traffic on a node's cable, as seen from the node.
type Direction int

// The directions a cable can be cut in.
const (
	Both Direction = iota
	Sending
	Receiving
)

func (d Direction) String() string {
	return [...]string{"both ways", "sending", "receiving"}[d]
}

// Cut stops traffic on the node's cable. Both ways it takes the carrier away;
// one way the node sees nothing of it but the silence.
func (n *Node) Cut(d Direction) error {
	if d == Both {
		return n.withPort(netlink.LinkSetDown)
	}
	hook, name := nftables.ChainHookIngress, "from-node"
	if d == Receiving {
		hook, name = nftables.ChainHookEgress, "to-node"
	}
	c, err := nftables.New()
	if err != nil {
		return err
	}
	table := c.AddTable(n.faultTable())
	chain := c.AddChain(&nftables.Chain{
		Name: name, Table: table, Type: nftables.ChainTypeFilter,
		Hooknum: hook, Priority: nftables.ChainPriorityFilter, Device: n.port,
	})
	c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{&expr.Verdict{Kind: expr.VerdictDrop}}})
	if err := c.Flush(); err != nil {
		return fmt.Errorf("cut %s %s: %w", n.Name, d, err)
	}
	return nil
}

// Mend undoes every Cut.
func (n *Node) Mend() error {
	c, err := nftables.New()
	if err != nil {
		return err
	}
	tables, err := c.ListTablesOfFamily(nftables.TableFamilyNetdev)
	if err != nil {
		return err
	}
	for _, t := range tables {
		if t.Name == n.faultTable().Name {
			c.DelTable(t)
		}
	}
	if err := c.Flush(); err != nil {
		return fmt.Errorf("mend %s: %w", n.Name, err)
	}
	return n.withPort(netlink.LinkSetUp)
}

func (n *Node) faultTable() *nftables.Table {
	return &nftables.Table{Name: "fault-" + n.port, Family: nftables.TableFamilyNetdev}
}

func (n *Node) withPort(do func(netlink.Link) error) error {
	link, err := netlink.LinkByName(n.port)
	if err != nil {
		return fmt.Errorf("cable of %s: %w", n.Name, err)
	}
	return do(link)
}
