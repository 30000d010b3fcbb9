package shell

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/spf13/pflag"
	"systole/crm/exit"
	"systole/crm/lvs/doctor"
	"systole/crm/shell/source"
)

func lvsDoctorFlags(fs *pflag.FlagSet) {
	fs.Bool("local", false, "print what this node is, as JSON, and diagnose nothing")
	fs.String("questions", "", "with --local, answer the questions in `FILE`, - for standard input")
	outputFlag(fs)
}

// lvsDoctor asks all nodes and says what is wrong. It ends with
// [exit.Unsatisfied] when something is.
func lvsDoctor(ctx context.Context, c *call) error {
	if local, _ := c.flags.GetBool("local"); local {
		return c.lvsLocal(ctx)
	}
	js, err := c.asJSON()
	if err != nil {
		return err
	}
	client, err := c.src.Client()
	if err != nil {
		return err
	}
	base, err := c.src.ReadLocal(ctx)
	if err != nil {
		return err
	}
	findings, err := doctor.Examine(ctx, doctor.Cluster(client), doctor.Directors(base.Root(), c.now()))
	if err != nil {
		return source.Coded(err)
	}
	switch {
	case js:
		if findings == nil {
			findings = []doctor.Finding{}
		}
		err = c.printJSON(findings)
	case len(findings) == 0:
		c.io.Println("nothing is wrong")
	default:
		c.io.Printf("%s", doctor.Text(findings))
	}
	if err == nil && len(findings) > 0 {
		return exit.With(exit.Unsatisfied, errTold)
	}
	return err
}

// lvsLocal prints this node's facts.
func (c *call) lvsLocal(ctx context.Context) error {
	var q doctor.Questions
	if file, _ := c.flags.GetString("questions"); file != "" {
		text, err := readInput(c, file)
		if err != nil {
			return err
		}
		if err := json.Unmarshal(text, &q); err != nil {
			return exit.With(exit.DataErr, fmt.Errorf("questions in %s: %w", file, err))
		}
	}
	name, err := os.Hostname()
	if err != nil {
		return err
	}
	return c.printJSON(doctor.Look(ctx, name, q))
}
