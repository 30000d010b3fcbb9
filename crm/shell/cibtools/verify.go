package cibtools

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"systole/crm/cib"
	"systole/crm/exit"
	"systole/crm/shell/source"
	"systole/crm/shell/tool"
	"systole/crm/shell/verify"
)

// CrmVerify is crm_verify: everything wrong with a configuration. Errors end it
// with 78; what they are -V says, and -VV adds warnings.
func CrmVerify(ctx context.Context, stdio *tool.IO, args []string) int {
	return crmVerify.tool()(ctx, stdio, args)
}

var crmVerify = program{
	name:  "crm_verify",
	about: "check a configuration",
	notes: "\nExamples:\n  crm_verify --live-check -VV\n  crm_verify --xml-file cib.xml -V\n",
	xml:   true,
	flags: func(fs *pflag.FlagSet) func(*run, []string) error {
		var d document
		live := fs.BoolP("live-check", "L", false, "check what the environment names: the running cluster, or CIB_file")
		fs.StringVarP(&d.file, "xml-file", "x", "", "file to check")
		fs.BoolVarP(&d.pipe, "xml-pipe", "p", false, "check what comes on standard input")
		fs.StringVarP(&d.text, "xml-text", "X", "", "the XML to check")
		save := fs.StringP("save-xml", "S", "", "write what was checked to this file")
		return func(r *run, _ []string) error {
			d.hasText = fs.Changed("xml-text")
			root, name, err := toVerify(r, *live, d)
			if err != nil {
				return err
			}
			if *save != "" {
				if err := source.WriteFile(*save, root.AppendXML(nil)); err != nil {
					return err
				}
			}
			return check(r, root, name)
		}
	},
}

func toVerify(r *run, live bool, d document) (root *cib.Element, name string, err error) {
	switch {
	case d.given():
		root, err = d.parse(r)
		if err != nil {
			return nil, "", exit.Errorf(exit.Of(err), "Couldn't parse input from %s: %w", d.name(), err)
		}
		name = d.name()
	case live:
		c, err := source.Open(r.Getenv).Read(r.ctx)
		if err != nil {
			return nil, "", err
		}
		root, name = c.Root(), "cib"
	default:
		return nil, "", exit.Errorf(exit.Error, "No configuration source specified. Use --help for usage information.")
	}
	if root.Name() != "cib" {
		return nil, "", exit.Errorf(exit.Protocol, "This tool can only check complete configurations (i.e. those starting with <cib>).")
	}
	if root.Child("status") == nil { // shells verify what they are about to write, which has none
		root = root.Append(cib.New("status"))
	}
	return root, name, nil
}

// check prints what is wrong. What the document's own vocabulary forbids is
// always shown; the rest as -V asks for it.
func check(r *run, root *cib.Element, name string) error {
	bad := false
	said := make(map[string]bool)
	for _, p := range cib.Validate(root) {
		said[p.Msg] = true
		if p.Severity == cib.Error {
			bad = true
			fmt.Fprintf(r.Err, "%s:%d: element %s: validity error : %s (%s)\n", name, p.Line, tagOf(p.Path), p.Msg, p.Path)
		} else if r.verbose > 1 {
			fmt.Fprintf(r.Err, "(verify) \twarning: %s: %s\n", p.Path, p.Msg)
		}
	}
	if upgraded, _, err := cib.Upgrade(root); err == nil {
		root = upgraded
	}
	for _, f := range verify.Check(r.ctx, root, nil) {
		text := f.Msg
		if f.Object != "" {
			text = f.Object + ": " + text
		}
		severe := f.Severity == cib.Error || strings.Contains(f.Msg, "no resource will be started")
		bad = bad || severe
		switch {
		case said[f.Msg]:
		case severe && r.verbose > 0:
			fmt.Fprintf(r.Err, "(verify) \terror: %s\n", text)
		case !severe && r.verbose > 1:
			fmt.Fprintf(r.Err, "(verify) \twarning: %s\n", text)
		}
	}
	if !bad {
		return nil
	}
	hint := ""
	if r.verbose == 0 {
		hint = "\n-V may provide more details"
	}
	if r.xml {
		return ended(exit.Config)
	}
	return exit.Errorf(exit.Config, "Errors found during check: config not valid%s", hint)
}

// tagOf is the tag of the last step of an id path.
func tagOf(path string) string {
	for strings.HasSuffix(path, "']") {
		i := strings.LastIndex(path, "[@id='")
		if i < 0 {
			break
		}
		path = path[:i]
	}
	path = path[strings.LastIndexByte(path, '/')+1:]
	tag, _, _ := strings.Cut(path, "[")
	return tag
}
