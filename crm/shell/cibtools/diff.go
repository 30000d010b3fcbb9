package cibtools

import (
	"context"

	"github.com/spf13/pflag"

	"systole/crm/cib"
	"systole/crm/exit"
	"systole/crm/shell/tool"
)

// CrmDiff is crm_diff: the difference of two documents as a patch, and patches
// applied. It ends with 1 when the documents differ.
func CrmDiff(ctx context.Context, stdio *tool.IO, args []string) int {
	return crmDiff.tool()(ctx, stdio, args)
}

// differ is a parsed call.
type differ struct {
	original, changed, patch document
	asCIB, noVersion         bool
}

var crmDiff = program{
	name:  "crm_diff",
	about: "compare two configurations, or apply the difference",
	notes: "\nExample:\n  crm_diff --original old.xml --new new.xml > patch.xml\n  crm_diff --original old.xml --patch patch.xml\n",
	flags: func(fs *pflag.FlagSet) func(*run, []string) error {
		var d differ
		fs.StringVarP(&d.original.file, "original", "o", "", "file with the original, - for standard input")
		fs.StringVarP(&d.original.text, "original-string", "O", "", "the original itself")
		fs.StringVarP(&d.changed.file, "new", "n", "", "file with what it has become, - for standard input")
		fs.StringVarP(&d.changed.text, "new-string", "N", "", "what it has become")
		fs.StringVarP(&d.patch.file, "patch", "p", "", "file with a patch to apply, - for standard input")
		fs.BoolVarP(&d.asCIB, "cib", "c", false, "versions and digest belong to the comparison")
		fs.BoolP("stdin", "s", false, "")
		fs.BoolVarP(&d.noVersion, "no-version", "u", false, "leave the versions out of the patch")
		fs.Lookup("stdin").Hidden = true
		return func(r *run, _ []string) error {
			d.original.hasText, d.changed.hasText = fs.Changed("original-string"), fs.Changed("new-string")
			return d.run(r)
		}
	},
}

func (d *differ) run(r *run) error {
	if d.asCIB && d.noVersion {
		return plain(exit.Usage, "error: -u/--no-version incompatible with -c/--cib")
	}
	original, err := d.read(r, d.original, "first")
	if err != nil {
		return err
	}
	if d.patch.given() {
		return d.apply(r, original)
	}
	changed, err := d.read(r, d.changed, "second")
	if err != nil {
		return err
	}
	p := cib.Diff(original, changed)
	if p.Empty() {
		return nil
	}
	if d.noVersion {
		p.Source, p.Target = nil, nil
	}
	out := p.XML()
	if d.asCIB {
		out = out.With("digest", Digest(changed, true))
	}
	printXML(r.Out, out)
	return ended(exit.Error)
}

func (d *differ) read(r *run, doc document, which string) (*cib.Element, error) {
	if !doc.given() {
		return nil, plain(exit.DataErr, "Could not parse the %s XML fragment", which)
	}
	e, err := doc.parse(r)
	if err != nil {
		return nil, plain(exit.DataErr, "Could not parse the %s XML fragment\n%s: %v", which, doc.name(), err)
	}
	return e, nil
}

func (d *differ) apply(r *run, original *cib.Element) error {
	diff, err := d.read(r, d.patch, "second")
	if err != nil {
		return err
	}
	p, err := cib.ParsePatch(diff)
	if err != nil {
		return err
	}
	patched, err := p.Apply(original)
	if err != nil {
		return err
	}
	if digest := diff.Get("digest"); d.asCIB && digest != "" && digest != Digest(patched, true) {
		return exit.Errorf(exit.Digest, "the patched document is not the one the patch was made for: its digest is %s, not %s", Digest(patched, true), digest)
	}
	printXML(r.Out, patched)
	return nil
}
