package node

import (
	"context"

	"systole/crm/cib"
)

// savedInput is one scheduler input on its way to the disk: the CIB, with the moment planned for in attribute
// execution-date, as the tools that replay it expect.
type savedInput struct {
	name string
	cib  *cib.Element
}

// saveInputs writes them; a full disk costs the record, never a decision.
func (n *Node) saveInputs(ctx context.Context) {
	for {
		batch, ok := n.inputs.next(ctx)
		if !ok {
			return
		}
		for _, in := range batch {
			if err := n.cfg.Inputs.Save(in.name, []byte(in.cib.String())); err != nil {
				n.log.Warn("scheduler input not saved", "input", in.name, "err", err)
			}
		}
	}
}
