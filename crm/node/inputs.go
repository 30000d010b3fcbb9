package node

import (
	"context"
	"time"

	"systole/crm/cib"
)

// savedInput is one scheduler input on its way to the disk: the CIB, with the moment planned for in attribute
// execution-date, as the tools that replay it expect.
type savedInput struct {
	name string
	cib  *cib.Element
}

// inputRest is how long an input waits: what was decided is to be done first, and on a machine
// with one processor a fence agent would wait for its compression.
const inputRest = time.Second

// saveInputs writes them; a full disk costs the record, never a decision.
func (n *Node) saveInputs(ctx context.Context) {
	for {
		batch, ok := n.inputs.next(ctx)
		if !ok {
			return
		}
		sleep(ctx, inputRest) // or until the daemon ends
		for _, in := range batch {
			if err := n.cfg.Inputs.Save(in.name, []byte(in.cib.String())); err != nil {
				n.log.Warn("scheduler input not saved", "input", in.name, "err", err)
			}
		}
	}
}
