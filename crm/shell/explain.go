package shell

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"systole/crm/cib"
	"systole/crm/exit"
	"systole/crm/explain"
	"systole/crm/shell/source"
)

func explainFlags(fs *pflag.FlagSet) {
	fs.String("on", "", "only about one `node`")
	fs.String("file", "", "about the CIB in `FILE`")
	inputFlags(fs)
	fs.Int("tries", explain.DefaultTries, "try at most so many changes; -1 looks for none")
	outputFlag(fs)
}

// inputFlags choose a past decision instead of the present state.
func inputFlags(fs *pflag.FlagSet) {
	fs.String("input", "", "about the saved scheduler input in `FILE`")
	fs.Int("transition", 0, "about the saved input of transition `N`")
}

// explainResource says why a resource is where it is, why not elsewhere, and what would change that.
func explainResource(ctx context.Context, c *call) error {
	root, now, err := c.decision(ctx)
	if err != nil {
		return err
	}
	q := explain.Question{Root: root, Now: now, Resource: c.args[0]}
	q.Node, _ = c.flags.GetString("on")
	q.Tries, _ = c.flags.GetInt("tries")
	if len(c.args) > 1 {
		if q.Node != "" && q.Node != c.args[1] {
			return exit.Errorf(exit.Usage, "two nodes are named, %s and %s; name one", q.Node, c.args[1])
		}
		q.Node = c.args[1]
	}
	answer, err := explain.Ask(q)
	if err != nil {
		hint := didYouMean(q.Resource, resourceIDs(root))
		if q.Node != "" && hint == "" {
			hint = didYouMean(q.Node, nodeNames(root))
		}
		return exit.With(exit.Of(err), fmt.Errorf("%w%s", err, hint))
	}
	js, err := c.asJSON()
	if err != nil {
		return err
	}
	if js {
		return c.printJSON(answer)
	}
	c.io.Printf("%s", answer)
	return nil
}

// decision is the CIB that a question is about, and the moment: the present ones, or those of a saved scheduler input.
func (c *call) decision(ctx context.Context) (*cib.Element, time.Time, error) {
	file, _ := c.flags.GetString("file")
	if input, _ := c.flags.GetString("input"); input != "" {
		file = input
	}
	number, _ := c.flags.GetInt("transition")
	switch {
	case file != "" && number > 0:
		return nil, time.Time{}, exit.Errorf(exit.Usage, "a file and a transition are named; name one")
	case file != "":
		doc, err := source.ReadFile(file)
		if err != nil {
			return nil, time.Time{}, exit.With(exit.NoInput, err)
		}
		return decided(doc, c.now())
	case number > 0:
		return c.savedInput(ctx, number)
	}
	base, err := c.src.ReadLocal(ctx)
	if err != nil {
		return nil, time.Time{}, err
	}
	return base.Root(), plannedAt(base.Root(), c.now()), nil
}

// decided reads a saved input; a file without a date of its own was planned for at the time given.
func decided(doc []byte, otherwise time.Time) (*cib.Element, time.Time, error) {
	saved, err := cib.ParseCIB(doc)
	if err != nil {
		return nil, time.Time{}, err
	}
	return saved.Root(), plannedAt(saved.Root(), otherwise), nil
}

// plannedAt is the moment a document was planned for, which saved inputs tell in attribute execution-date, in seconds
// since the epoch.
func plannedAt(root *cib.Element, otherwise time.Time) time.Time {
	if at, err := strconv.ParseInt(root.Get("execution-date"), 10, 64); err == nil {
		return time.Unix(at, 0).UTC()
	}
	return otherwise
}

// savedInput is the input of a transition as the daemon here keeps it; of several terms, the newest.
func (c *call) savedInput(ctx context.Context, number int) (*cib.Element, time.Time, error) {
	client, err := c.src.Client()
	if err != nil {
		return nil, time.Time{}, err
	}
	files, err := client.Inputs(ctx)
	if err != nil {
		return nil, time.Time{}, source.Coded(err)
	}
	for _, f := range files {
		if strings.HasSuffix(f.Name, "-"+strconv.Itoa(number)) {
			doc, err := client.Input(ctx, f.Name)
			if err != nil {
				return nil, time.Time{}, source.Coded(err)
			}
			return decided(doc, f.Time)
		}
	}
	return nil, time.Time{}, exit.Errorf(exit.NoSuch, "this node keeps no input of transition %d; ask the node that was DC then", number)
}
