// Package tools are the Pacemaker-named programs that agents, scripts and other
// shells call: crm_resource, crm_attribute, crm_node and the like. Options,
// output and exit statuses are those of Pacemaker 2.1.5; the words of the help
// are ours.
package tools

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"systole/crm/exit"
	"systole/crm/shell/options"
	"systole/crm/shell/source"
	"systole/crm/shell/tool"
)

// program is one run of a tool.
type program struct {
	*tool.IO
	ctx context.Context
	src *source.Source
	now time.Time
	xml *report // not nil with --output-as=xml
}

// command describes a tool to its frame.
type command struct {
	name  string
	about string // first line of the help
	notes string // after the options
	// flags defines the options; what it returns does the work.
	flags func(fs *pflag.FlagSet) func(p *program, args []string) error
}

// tool makes a Tool of a command.
func (c command) tool() tool.Tool {
	return func(ctx context.Context, stdio *tool.IO, args []string) int {
		p := &program{IO: stdio, ctx: ctx, now: time.Now()}
		fs := pflag.NewFlagSet(c.name, pflag.ContinueOnError)
		fs.SortFlags = false
		fs.Usage = func() {}
		run := c.flags(fs)
		version := fs.BoolP("version", "$", false, "print the version")

		fs.CountP("verbose", "V", "say more")
		help := fs.BoolP("help", "?", false, "print this help")
		fs.BoolVar(help, "help-all", false, "print this help")
		outputAs := fs.String("output-as", "text", "text or xml")
		outputTo := fs.String("output-to", "-", "write to `file`")
		fs.Bool("text-fancy", false, "accepted; text is always arranged")
		for _, h := range []string{"help-all", "text-fancy", "output-to"} {
			fs.Lookup(h).Hidden = true
		}
		if err := fs.Parse(args); err != nil {
			return p.fail(c.name, exit.With(exit.Usage, unknown(err)))
		}
		switch {
		case *version:
			stdio.Printf("Pacemaker %s\nsystole\n", options.Version)
			return 0
		case *help:
			stdio.Printf("%s - %s\n\nOptions:\n%s%s", c.name, c.about, fs.FlagUsages(), c.notes)
			return 0
		case *outputAs != "text" && *outputAs != "xml":
			return p.fail(c.name, exit.Errorf(exit.Usage, "--output-as is text or xml, not %q", *outputAs))
		case *outputTo != "-":
			return p.fail(c.name, exit.Errorf(exit.Usage, "--output-to takes only -"))
		}
		if *outputAs == "xml" {
			p.xml = &report{request: strings.Join(append([]string{c.name}, args...), " ")}
		}
		p.src = source.Open(stdio.Getenv)
		err := run(p, fs.Args())
		if p.xml != nil {
			return p.xml.print(p, err)
		}
		return p.fail(c.name, err)
	}
}

// unknown words pflag's complaints as GLib does where scripts look for it.
func unknown(err error) error {
	if e, ok := errors.AsType[*pflag.NotExistError](err); ok {
		if name := e.GetSpecifiedName(); len(name) > 1 {
			return exit.Errorf(exit.Usage, "Unknown option --%s", name)
		}
		return exit.Errorf(exit.Usage, "Unknown option -%s", e.GetSpecifiedShortnames())
	}
	return err
}

// silent is an error that ends the tool with a status and prints nothing.
type silent struct{ code exit.Code }

func (s silent) Error() string { return s.code.String() }

// ended ends the tool with a status; what there is to say has been said.
func ended(code exit.Code) error {
	if code == exit.OK {
		return nil
	}
	return exit.With(code, silent{code})
}

// fail prints an error and gives the exit status.
func (p *program) fail(name string, err error) int {
	if err == nil {
		return 0
	}
	if exit.Of(err) == exit.Disconnect && p.src != nil && p.src.Live() { // agents look for these words
		fmt.Fprintf(p.Err, "%s: Could not connect to the CIB: Transport endpoint is not connected\n", name)
	}
	if _, quiet := errors.AsType[silent](err); !quiet {
		for i, line := range strings.Split(err.Error(), "\n") {
			if i == 0 {
				line = name + ": " + line
			}
			fmt.Fprintln(p.Err, line)
		}
	}
	return int(exit.Of(err))
}
