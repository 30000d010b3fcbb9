package shell

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/pflag"
	"systole/crm/exit"
	"systole/crm/scheduler"
	"systole/crm/shell/change"
)

func explainFlags(fs *pflag.FlagSet) {
	fs.String("on", "", "only about one `node`")
	outputFlag(fs)
}

// explain says why a resource is where it is, and why not elsewhere.
func explain(ctx context.Context, c *call) error {
	base, err := c.src.ReadLocal(ctx)
	if err != nil {
		return err
	}
	if _, err := mustExist(base.Root(), c.args[0]); err != nil {
		return err
	}
	result := scheduler.Schedule(base.Root(), c.now(), scheduler.Options{})
	rsc := change.FindResource(result.Status, c.args[0])
	if rsc == nil {
		return exit.Errorf(exit.NoSuch, "there is no resource %q", c.args[0])
	}
	node, _ := c.flags.GetString("on")
	if _, ok := result.Status.Node(node); node != "" && !ok {
		return exit.Errorf(exit.NoSuch, "there is no node %q%s", node, didYouMean(node, nodeNames(base.Root())))
	}
	e, _ := scheduler.Explain(result, rsc.ID) // it is in the result
	text := accounts(result, e, node)
	js, err := c.asJSON()
	if err != nil {
		return err
	}
	if js {
		return c.printJSON(text)
	}
	for _, r := range text {
		c.io.Printf("%s", r)
	}
	return nil
}

// resourceAccount is what there is to say of one primitive.
type resourceAccount struct {
	Resource string        `json:"resource"`
	Now      []string      `json:"now"`
	Planned  []string      `json:"planned,omitempty"`
	Why      string        `json:"why,omitempty"`
	Nodes    []nodeAccount `json:"nodes"`
	Notes    []string      `json:"notes,omitempty"`
}

// nodeAccount is the score of a resource on a node, and what made it.
type nodeAccount struct {
	Node   string   `json:"node"`
	Score  string   `json:"score"`
	Chosen bool     `json:"chosen,omitempty"`
	Why    []string `json:"why,omitempty"`
}

func (a resourceAccount) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", a.Resource, strings.Join(a.Now, ", "))
	for _, p := range a.Planned {
		fmt.Fprintf(&b, "  planned: %s\n", p)
	}
	if a.Why != "" {
		fmt.Fprintf(&b, "  why: %s\n", a.Why)
	}
	for _, n := range a.Nodes {
		mark := " "
		if n.Chosen {
			mark = "*"
		}
		fmt.Fprintf(&b, "  %s %-12s %9s", mark, n.Node, n.Score)
		if len(n.Why) > 0 {
			fmt.Fprintf(&b, "  %s", strings.Join(n.Why, "; "))
		}
		b.WriteByte('\n')
	}
	for _, n := range a.Notes {
		fmt.Fprintf(&b, "  %s\n", n)
	}
	return b.String()
}
