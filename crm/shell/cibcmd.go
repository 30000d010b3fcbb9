package shell

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"systole/crm/cib"
	"systole/crm/clitext"
	"systole/crm/exit"
	"systole/crm/shell/source"
)

// shadow is the place of a shadow CIB.
func (sh *Shell) shadow(name string) source.Place {
	return source.Place{Kind: source.Shadow, Path: source.ShadowPath(sh.io.Getenv, name), Name: name}
}

// live is the running cluster, whatever the shell works on now; with CIB_file
// set, that file takes its place.
func (sh *Shell) live() *source.Source {
	env := func(name string) string {
		if name == "CIB_shadow" {
			return ""
		}
		return sh.io.Getenv(name)
	}
	p := source.Locate(env)
	switch {
	case sh.set.cibFile != "":
		p = source.Place{Kind: source.File, Path: sh.set.cibFile}
	case sh.set.socket != "":
		p = source.Place{Kind: source.Live, Path: sh.set.socket}
	}
	return source.At(p, env)
}

// cibNew makes a shadow CIB, of the live one or empty, and works on it.
func cibNew(ctx context.Context, c *call) error {
	force, empty := c.set.force, false
	for _, a := range c.args[1:] {
		switch a {
		case "withstatus":
		case "force":
			force = true
		case "empty":
			empty = true
		default:
			return exit.Errorf(exit.Usage, "%q is not known to new; use force or empty", a)
		}
	}
	p := c.shadow(c.args[0])
	if _, err := os.Stat(p.Path); err == nil && !force {
		return exit.Errorf(exit.Exists, "the shadow CIB %s exists already; use it, or add force to replace it", c.args[0])
	}
	doc := cib.Empty()
	if !empty {
		var err error
		if doc, err = c.live().Read(ctx); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Dir(p.Path), 0o750); err != nil {
		return source.Coded(err)
	}
	if err := source.WriteFile(p.Path, []byte(doc.String())); err != nil {
		return err
	}
	edit := c.edit // what was edited but not committed goes on in the copy
	c.use(p)
	if !empty {
		c.edit = edit
	}
	c.info("%s shadow CIB created", c.args[0])
	return nil
}

// nothingEdited refuses to leave a CIB with changes that are not committed.
func (c *call) nothingEdited() error {
	if c.edit != nil && c.edit.changed() {
		return exit.Errorf(exit.Unsafe, "there are changes that are not committed; commit them, or drop them with refresh, before you change to another CIB")
	}
	return nil
}

// cibUse changes to a shadow CIB, or back to the live one.
func cibUse(ctx context.Context, c *call) error {
	if err := c.nothingEdited(); err != nil {
		return err
	}
	if len(c.args) == 0 || c.args[0] == "live" {
		c.use(c.live().Place())
		return nil
	}
	p := c.shadow(c.args[0])
	if _, err := os.Stat(p.Path); err != nil {
		return exit.Errorf(exit.NoSuch, "there is no shadow CIB %q; cib list shows them", c.args[0])
	}
	c.use(p)
	return nil
}

// named is the shadow CIB an argument names, or the one in use.
func (c *call) shadowNamed() (source.Place, error) {
	p := c.src.Place()
	if len(c.args) > 0 {
		p = c.shadow(c.args[0])
	}
	if p.Kind != source.Shadow {
		return p, exit.Errorf(exit.Usage, "name a shadow CIB; cib list shows them")
	}
	if _, err := os.Stat(p.Path); err != nil {
		return p, exit.Errorf(exit.NoSuch, "there is no shadow CIB %q; cib list shows them", p.Name)
	}
	return p, nil
}

// cibReset makes a shadow CIB a copy of the live one again.
func cibReset(ctx context.Context, c *call) error {
	p, err := c.shadowNamed()
	if err != nil {
		return err
	}
	doc, err := c.live().Read(ctx)
	if err != nil {
		return err
	}
	if err := c.nothingEdited(); err != nil {
		return err
	}
	c.edit = nil
	return source.WriteFile(p.Path, []byte(doc.String()))
}

// cibCommit makes a shadow CIB's configuration the live one.
func cibCommit(ctx context.Context, c *call) error {
	p, err := c.shadowNamed()
	if err != nil {
		return err
	}
	doc, err := source.At(p, c.io.Getenv).Read(ctx)
	if err != nil {
		return err
	}
	_, _, err = c.live().Update(ctx, source.Change{Client: "crm cib commit", Comment: "shadow " + p.Name, DryRun: c.set.dryRun}, func(root *cib.Element) (*cib.Element, error) {
		return withConfiguration(root, doc.Configuration()), nil
	})
	if err == nil {
		c.info("committed '%s' shadow CIB to the cluster", p.Name)
	}
	return err
}

func cibDelete(ctx context.Context, c *call) error {
	p, err := c.shadowNamed()
	if err != nil {
		return err
	}
	if p == c.src.Place() && len(c.args) > 0 {
		return exit.Errorf(exit.Unsafe, "%s is in use; change to another with cib use first", p.Name)
	}
	if err := os.Remove(p.Path); err != nil {
		return source.Coded(err)
	}
	c.info("%s shadow CIB deleted", p.Name)
	return nil
}

// cibDiff prints what a shadow CIB has changed against the live one.
func cibDiff(ctx context.Context, c *call) error {
	p, err := c.shadowNamed()
	if err != nil {
		return err
	}
	doc, err := source.At(p, c.io.Getenv).Read(ctx)
	if err != nil {
		return err
	}
	now, err := c.live().Read(ctx)
	if err != nil {
		return err
	}
	text, err := diffText(clitext.NewDraft(now.Configuration()), clitext.NewDraft(doc.Configuration()))
	c.io.Printf("%s", text)
	return err
}

func cibList(ctx context.Context, c *call) error {
	entries, err := os.ReadDir(source.ShadowDir(c.io.Getenv))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return source.Coded(err)
	}
	for _, e := range entries {
		if name, ok := strings.CutPrefix(e.Name(), "shadow."); ok {
			c.io.Println(name)
		}
	}
	return nil
}

// cibImport makes a shadow CIB of a file, packed or not, such as a saved scheduler input.
func cibImport(ctx context.Context, c *call) error {
	if err := c.nothingEdited(); err != nil {
		return err
	}
	doc, err := source.ReadFile(c.args[0])
	if err != nil {
		return err
	}
	if _, err := cib.ParseCIB(doc); err != nil {
		return exit.With(exit.DataErr, named(c.args[0], err))
	}
	name := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(filepath.Base(c.args[0]), ".bz2"), ".gz"), ".xml")
	if len(c.args) > 1 {
		name = c.args[1]
	}
	p := c.shadow(name)
	if err := os.MkdirAll(filepath.Dir(p.Path), 0o750); err != nil {
		return source.Coded(err)
	}
	if err := source.WriteFile(p.Path, doc); err != nil {
		return err
	}
	c.use(p)
	c.info("%s shadow CIB created from %s", name, c.args[0])
	return nil
}

// cibStatus prints the status section as the shell sees it.
func cibStatus(ctx context.Context, c *call) error {
	base, err := c.src.ReadLocal(ctx)
	if err != nil {
		return err
	}
	c.io.Println(base.Status())
	return nil
}
