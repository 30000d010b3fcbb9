// Package cibtools are the Pacemaker-named programs that work on a CIB alone:
// cibadmin, crm_diff, crm_verify, crm_shadow, crm_rule, and iso8601 and
// crm_error, which need not even that. Options, output and exit statuses are
// those of Pacemaker 2.1.5; the words of the help are ours.
//
// Each works on what the environment names: a file (CIB_file), a shadow
// (CIB_shadow) or the running cluster.
package cibtools

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/pflag"

	"systole/crm/cib"
	"systole/crm/display"
	"systole/crm/exit"
	"systole/crm/shell/options"
	"systole/crm/shell/source"
	"systole/crm/shell/tool"
)

// run is one run of a program.
type run struct {
	*tool.IO
	ctx     context.Context
	name    string
	args    []string
	xml     bool           // --output-as=xml
	verbose int            // -V
	content []*cib.Element // of the XML output
}

// program describes a tool to its frame.
type program struct {
	name  string
	about string // first line of the help
	notes string // after the options
	xml   bool   // knows --output-as=xml
	// flags defines the options; what it returns does the work.
	flags func(fs *pflag.FlagSet) func(r *run, args []string) error
}

// tool makes a Tool of a program.
func (p program) tool() tool.Tool {
	return func(ctx context.Context, stdio *tool.IO, args []string) int {
		r := &run{IO: stdio, ctx: ctx, name: p.name, args: args}
		fs := pflag.NewFlagSet(p.name, pflag.ContinueOnError)
		fs.SortFlags = false
		fs.Usage = func() {}
		work := p.flags(fs)
		fs.CountVarP(&r.verbose, "verbose", "V", "say more")
		version := fs.BoolP("version", "$", false, "print the version")
		help := fs.BoolP("help", "?", false, "print this help")
		fs.BoolVar(help, "help-all", false, "")
		format := "text"
		if p.xml {
			fs.StringVar(&format, "output-as", "text", "text or xml")
			fs.Bool("text-fancy", false, "")
			fs.Lookup("text-fancy").Hidden = true
		}
		fs.Lookup("help-all").Hidden = true
		err := fs.Parse(args)
		switch {
		case err != nil:
			return r.end(exit.With(exit.Usage, unknownOption(err)))
		case *version:
			stdio.Printf("Pacemaker %s\nSystole\n", options.Version)
			return 0
		case *help:
			stdio.Printf("%s - %s\n\nOptions:\n%s%s", p.name, p.about, fs.FlagUsages(), p.notes)
			return 0
		case format != "text" && format != "xml":
			return r.end(exit.Errorf(exit.Usage, "--output-as is text or xml, not %q", format))
		}
		r.xml = format == "xml"
		return r.end(work(r, fs.Args()))
	}
}

// unknownOption words the complaint as scripts know it.
func unknownOption(err error) error {
	if e, ok := errors.AsType[*pflag.NotExistError](err); ok {
		dashes := "-"
		if len(e.GetSpecifiedName()) > 1 {
			dashes = "--"
		}
		return known(fmt.Sprintf("Unknown option %s%s", dashes, e.GetSpecifiedName()))
	}
	return err
}

// known is an error in words that scripts look for, capital letter and all.
type known string

func (k known) Error() string { return string(k) }

// told is an error that needs no more words: what there is to say has been said.
type told struct{}

func (told) Error() string { return "" }

// ended ends the program with a status and without a word.
func ended(code exit.Code) error {
	if code == exit.OK {
		return nil
	}
	return exit.With(code, told{})
}

// plain is an error printed without the program's name in front.
func plain(code exit.Code, format string, args ...any) error {
	return exit.With(code, plainText(fmt.Sprintf(format, args...)))
}

type plainText string

func (t plainText) Error() string { return string(t) }

// end prints the error, or the XML report, and gives the exit status.
func (r *run) end(err error) int {
	code := exit.Of(err)
	_, quiet := errors.AsType[told](err)
	if r.xml {
		o := display.Outcome{Code: int(code), Message: code.String()}
		if err != nil && !quiet {
			o.Errors = strings.Split(err.Error(), "\n")
		}
		r.Printf("%s\n", display.Result(strings.Join(append([]string{r.name}, r.args...), " "), o, r.content...))
		return int(code)
	}
	if err == nil || quiet {
		return int(code)
	}
	prefix := r.name + ": "
	if _, bare := errors.AsType[plainText](err); bare {
		prefix = ""
	}
	fmt.Fprintf(r.Err, "%s%s\n", prefix, err)
	return int(code)
}

// document reads and parses one document: text given, a file, or standard input.
type document struct {
	text, file string
	pipe       bool
	hasText    bool
}

func (d document) given() bool { return d.hasText || d.file != "" || d.pipe }

func (d document) parse(r *run) (*cib.Element, error) {
	doc, err := d.read(r)
	if err != nil {
		return nil, err
	}
	return cib.Parse(doc)
}

func (d document) read(r *run) ([]byte, error) {
	switch {
	case d.hasText:
		return []byte(d.text), nil
	case d.pipe || d.file == "-":
		return source.ReadAll(r.In)
	}
	return source.ReadFile(d.file)
}

// name of the document in messages.
func (d document) name() string {
	switch {
	case d.hasText:
		return "XML"
	case d.pipe || d.file == "-":
		return "stdin"
	}
	return d.file
}

// printXML writes an element as cibadmin does.
func printXML(w io.Writer, e *cib.Element) { _, _ = w.Write(e.AppendXML(nil)) }
