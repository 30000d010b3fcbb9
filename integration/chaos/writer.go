package chaos

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"systole/integration/stage"
)

// counterName is the cluster property the writer counts in.
const counterName = "chaos-counter"

// writer raises a counter in the CIB by one through any node, one write after
// the other, and remembers the highest number that was acknowledged. Whatever
// dies, the counter must never be read lower than that.
type writer struct {
	c            *stage.Cluster
	tried        int
	acknowledged int
}

func newWriter(c *stage.Cluster) *writer { return &writer{c: c} }

// writeTimeout bounds one write; a write that ran out of it may or may not have happened.
const writeTimeout = 5 * time.Second

func (w *writer) run(ctx context.Context) {
	for ctx.Err() == nil {
		n := w.c.Nodes[w.tried%len(w.c.Nodes)]
		w.tried++
		if n.Running() {
			one, cancel := context.WithTimeout(ctx, writeTimeout)
			_, err := w.c.Tool(one, n, "crm_attribute", "--name", counterName, "--update", strconv.Itoa(w.tried))
			cancel()
			if err == nil {
				w.acknowledged = w.tried
			}
		}
		sleep(ctx, 20*time.Millisecond)
	}
}

// verify reads the counter back from every node.
func (w *writer) verify(ctx context.Context) error {
	if w.acknowledged == 0 {
		return fmt.Errorf("no write of %d was acknowledged: nothing was proved", w.tried)
	}
	for _, n := range w.c.Nodes {
		out, err := w.c.Tool(ctx, n, "crm_attribute", "--name", counterName, "--query", "--quiet")
		if err != nil {
			return err
		}
		got, err := strconv.Atoi(strings.TrimSpace(out))
		if err != nil {
			return err
		}
		if got < w.acknowledged || got > w.tried {
			return fmt.Errorf("the counter reads %d on %s; %d was acknowledged, %d tried", got, n.Name, w.acknowledged, w.tried)
		}
	}
	return nil
}
