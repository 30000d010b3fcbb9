package shell

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"
	"systole/crm/clitext"
	"systole/crm/exit"
	"systole/crm/importer"
	"systole/crm/importer/haresources"
	"systole/crm/importer/ipvsadm"
	"systole/crm/importer/keepalived"
	"systole/crm/importer/ldirectord"
	"systole/crm/shell/source"
)

func importCommands() []*command {
	const report = "The configuration goes to standard output or a file, as a script for crm -f; with --load it is committed to the cluster. " +
		"The report on standard error tells for every line of the source whether it was taken over, changed (and how) or is not supported (and why). " +
		"The exit status is 0 when nothing is lost, 113 when some line has no counterpart (0 with crm -F), 65 when the source breaks its own syntax."
	return []*command{
		{name: "keepalived", args: "[NODE=]FILE… [-o FILE|--load]", short: "Bring keepalived.conf", min: 1, max: -1, flags: importFlags, run: importWith(importKeepalived),
			long:    report + "\nGive the files of all directors with their nodes: the priorities become location scores, and other nodes are kept out.",
			example: "crm import keepalived director-a=/tmp/a/keepalived.conf director-b=/tmp/b/keepalived.conf -o site.crm"},
		{name: "ldirectord", args: "FILE [-o FILE|--load]", short: "Bring ldirectord.cf", min: 1, max: 1, flags: importFlags, run: importWith(importLdirectord), long: report, example: "crm import ldirectord /etc/ha.d/ldirectord.cf"},
		{name: "ipvsadm", args: "FILE [-o FILE|--load]", short: "Bring a table that ipvsadm -S saved", min: 1, max: 1, flags: importFlags, run: importWith(importIpvsadm), long: report, example: "ipvsadm -S -n | crm import ipvsadm -"},
		{name: "haresources", args: "FILE [HA.CF] [-o FILE|--load]", short: "Bring Heartbeat's haresources and ha.cf", min: 1, max: 2, flags: importFlags, run: importWith(importHaresources), long: report, example: "crm import haresources /etc/ha.d/haresources /etc/ha.d/ha.cf"},
	}
}

func importFlags(fs *pflag.FlagSet) {
	fs.StringP("output", "o", "", "write the configuration to `FILE`")
	fs.Bool("load", false, "commit the configuration to the cluster")
}

// importWith reads a source of some kind, reports, and passes on what became of it.
func importWith(read func(*call) (importer.Result, error)) func(context.Context, *call) error {
	return func(ctx context.Context, c *call) error {
		load, _ := c.flags.GetBool("load")
		output, _ := c.flags.GetString("output")
		if load && output != "" {
			return exit.Errorf(exit.Usage, "--load and -o exclude each other: write the file, look at it, then load it with crm -f")
		}
		r, err := read(c)
		if err != nil {
			return err
		}
		fmt.Fprint(c.io.Err, r.Report)
		if r.Err != nil && !c.set.force {
			return exit.With(exit.DataErr, fmt.Errorf("%w\nnothing was written; correct this, or go on with crm -F", r.Err))
		}
		script := r.Config.Script("# Made by crm import from " + strings.Join(c.args, ", ") + ".\n" + importHeading)
		switch {
		case load:
			err = loadImported(ctx, c, r.Config)
		case output != "":
			err = source.WriteFile(output, []byte(script))
		default:
			c.io.Printf("%s", script)
		}
		if lost := r.Report.Lost(); err == nil && len(lost) > 0 && !c.set.force {
			if len(lost) == 1 {
				return exit.Errorf(exit.Unsatisfied, "1 line is not supported, %s; the report above says why, the rest is done", lost[0].Place)
			}
			return exit.Errorf(exit.Unsatisfied, "%d lines are not supported, the first is %s; the report above says why, the rest is done", len(lost), lost[0].Place)
		}
		return err
	}
}

const importHeading = `#
# The last statement says whether the cluster fences. Addresses and directors are safe
# without it; before file systems and databases come in, configure a fence device.
`

// loadImported commits a configuration. Whether the cluster fences is its own
// affair: where that is decided, the import does not touch it.
func loadImported(ctx context.Context, c *call, config importer.Config) error {
	e, err := c.editing(ctx)
	if err != nil {
		return err
	}
	if _, set := propertyOf(e.draft.Configuration(), "stonith-enabled"); set {
		config = config.Without("property")
	}
	if err := e.draft.Load(config.Text(), clitext.LoadUpdate); err != nil {
		c.edit = nil
		return exit.With(exit.DataErr, err)
	}
	err = c.commit(ctx, c.set.force)
	c.edit = nil
	return err
}

func importKeepalived(c *call) (importer.Result, error) {
	var sources []keepalived.Source
	for _, arg := range c.args {
		node, name, named := strings.Cut(arg, "=")
		if _, err := os.Stat(arg); err == nil || !named {
			node, name = "", arg
		}
		f, err := importFile(c, name)
		if err != nil {
			return importer.Result{}, err
		}
		sources = append(sources, keepalived.Source{File: f, Node: node, Open: included(filepath.Dir(name))})
	}
	return keepalived.Import(sources...), nil
}

func importLdirectord(c *call) (importer.Result, error) {
	f, err := importFile(c, c.args[0])
	return ldirectord.Import(f), err
}

func importIpvsadm(c *call) (importer.Result, error) {
	f, err := importFile(c, c.args[0])
	return ipvsadm.Import(f), err
}

func importHaresources(c *call) (importer.Result, error) {
	f, err := importFile(c, c.args[0])
	if err != nil {
		return importer.Result{}, err
	}
	src := haresources.Source{Resources: f, Open: included(filepath.Dir(c.args[0]))}
	if len(c.args) > 1 {
		src.Cluster, err = importFile(c, c.args[1])
	}
	return haresources.Import(src), err
}

func importFile(c *call, name string) (importer.File, error) {
	doc, err := readInput(c, name)
	if name == "-" {
		name = "standard input"
	}
	return importer.File{Name: name, Text: string(doc)}, err
}

// included gives the files of a pattern, which is relative to a directory.
func included(dir string) func(pattern string) ([]importer.File, error) {
	return func(pattern string) ([]importer.File, error) {
		if !filepath.IsAbs(pattern) {
			pattern = filepath.Join(dir, pattern)
		}
		names, err := filepath.Glob(pattern)
		if err != nil {
			return nil, fmt.Errorf("%q is not a pattern of file names", pattern)
		}
		if len(names) == 0 {
			return nil, fmt.Errorf("no file %s is here", pattern)
		}
		var files []importer.File
		for _, n := range names {
			doc, err := source.ReadFile(n)
			if err != nil {
				return nil, err
			}
			files = append(files, importer.File{Name: n, Text: string(doc)})
		}
		return files, nil
	}
}
