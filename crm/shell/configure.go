package shell

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"systole/crm/cib"
	"systole/crm/clitext"
	"systole/crm/exit"
	"systole/crm/shell/options"
	"systole/crm/shell/source"
	"systole/crm/shell/verify"
)

// objectCommand is one statement of the configuration language as a command.
func objectCommand(name, args, short, example string, aliases ...string) *command {
	return &command{
		name: name, aliases: aliases, args: args, short: short, example: example,
		min: 1, max: -1, raw: true, changes: true, run: define, complete: completeObject(name),
	}
}

// define carries out a statement that defines an object.
func define(ctx context.Context, c *call) error {
	e, err := c.editing(ctx)
	if err != nil {
		return err
	}
	s := c.stmt
	if slices.Contains(s.Args(), "--dry-run") {
		s = clitext.FromArgs(append([]string{s.Keyword()}, c.args...))
	}
	if err := e.draft.Define(s, clitext.Create); err != nil {
		return exit.With(exit.Usage, err)
	}
	return nil
}

// configureShow prints objects.
func configureShow(ctx context.Context, c *call) error {
	if len(c.args) > 0 && strings.HasPrefix(c.args[0], "@") {
		return showVersion(ctx, c, strings.TrimPrefix(c.args[0], "@"), c.args[1:])
	}
	e, err := c.editing(ctx)
	if err != nil {
		return err
	}
	text, err := e.draft.Show(c.args, e.from, clitext.ShowOptions{DocumentOrder: !c.set.sorted})
	if err != nil {
		return exit.With(exit.NoSuch, err)
	}
	c.io.Printf("%s", text)
	return nil
}

// configureSave writes objects to a file, in the CIB's own order.
func configureSave(ctx context.Context, c *call) error {
	e, err := c.editing(ctx)
	if err != nil {
		return err
	}
	selection, file := c.args[:len(c.args)-1], c.args[len(c.args)-1]
	text, err := e.draft.Show(selection, e.from, clitext.ShowOptions{DocumentOrder: true})
	switch {
	case err != nil:
		return exit.With(exit.NoSuch, err)
	case file == "-":
		c.io.Printf("%s", text)
		return nil
	}
	return source.WriteFile(file, []byte(text))
}

// configureLoad reads objects from a file.
func configureLoad(ctx context.Context, c *call) error {
	args, asXML := c.args, false
	if args[0] == "xml" {
		args, asXML = args[1:], true
	}
	if len(args) == 1 { // the method may be left out
		args = []string{"update", args[0]}
	}
	if len(args) != 2 {
		return exit.Errorf(exit.Usage, "name the method (update, replace or push) and the file")
	}
	mode, ok := map[string]clitext.LoadMode{"update": clitext.LoadUpdate, "replace": clitext.LoadReplace, "push": clitext.LoadPush}[args[0]]
	if !ok {
		return exit.Errorf(exit.Usage, "%q is no method of load; use update, replace or push", args[0])
	}
	doc, err := readInput(c, args[1])
	if err != nil {
		return err
	}
	e, err := c.editing(ctx)
	if err != nil {
		return err
	}
	if asXML || strings.HasPrefix(strings.TrimSpace(string(doc)), "<") {
		root, err := cib.Parse(doc)
		if err == nil {
			err = e.draft.LoadXML(root, mode)
		}
		return exit.With(exit.DataErr, named(args[1], err))
	}
	return exit.With(exit.DataErr, named(args[1], e.draft.Load(string(doc), mode)))
}

// named puts the file before an error; nil stays nil.
func named(file string, err error) error {
	if err == nil {
		return nil
	}
	if file == "-" {
		file = "standard input"
	}
	lines := strings.Split(err.Error(), "\n")
	for i, l := range lines {
		lines[i] = file + ": " + l
	}
	return fmt.Errorf("%s", strings.Join(lines, "\n"))
}

func readInput(c *call, file string) ([]byte, error) {
	if file == "-" {
		doc, err := source.ReadAll(c.io.In)
		return doc, err
	}
	return source.ReadFile(file)
}

// configureDelete deletes objects, not resources that run.
func configureDelete(ctx context.Context, c *call) error {
	e, err := c.editing(ctx)
	if err != nil {
		return err
	}
	force, _ := c.flags.GetBool("force")
	if !force && !c.set.force {
		for _, id := range c.args {
			if nodes := runningOn(e.base.Root(), id, c.now()); len(nodes) > 0 {
				return exit.Errorf(exit.Unsafe, "%s is running on %s; stop it first (crm resource stop %s), or delete it with --force", id, strings.Join(nodes, ", "), id)
			}
		}
	}
	notes, err := e.draft.Delete(c.args...)
	if err != nil {
		return exit.With(exit.NoSuch, err)
	}
	for _, n := range notes {
		c.info("%s", n)
	}
	return nil
}

func forceFlag(fs *pflag.FlagSet) { fs.Bool("force", false, "do it all the same") }

func configureRename(ctx context.Context, c *call) error {
	e, err := c.editing(ctx)
	if err != nil {
		return err
	}
	if nodes := runningOn(e.base.Root(), c.args[0], c.now()); len(nodes) > 0 && !c.set.force {
		return exit.Errorf(exit.Unsafe, "%s is running on %s; stop it before you rename it (crm resource stop %s)", c.args[0], strings.Join(nodes, ", "), c.args[0])
	}
	if err := e.draft.Rename(c.args[0], c.args[1]); err != nil {
		return exit.With(exit.NoSuch, err)
	}
	return nil
}

func configureVerify(ctx context.Context, c *call) error {
	e, err := c.editing(ctx)
	if err != nil {
		return err
	}
	found := verify.Check(ctx, e.root(), c.agents)
	c.warnings(found)
	return verify.Error(found)
}

func configureCommit(ctx context.Context, c *call) error {
	force := c.set.force
	for _, a := range c.args {
		switch a {
		case "force":
			force = true
		case "replace": // a patch under a version check does what replace was for
		default:
			return exit.Errorf(exit.Usage, "%q is not known to commit; usage: %s", a, "commit [force] [replace]")
		}
	}
	return c.commit(ctx, force)
}

func configureRefresh(ctx context.Context, c *call) error {
	c.edit = nil
	_, err := c.editing(ctx)
	return err
}

func configureErase(ctx context.Context, c *call) error {
	if len(c.args) == 1 && c.args[0] != "nodes" {
		return exit.Errorf(exit.Usage, "only the word nodes may follow erase")
	}
	e, err := c.editing(ctx)
	if err != nil {
		return err
	}
	e.draft.Erase(len(c.args) == 1)
	return nil
}

func configureSet(ctx context.Context, c *call) error {
	e, err := c.editing(ctx)
	if err != nil {
		return err
	}
	if err := e.draft.Set(c.args[0], c.args[1]); err != nil {
		return exit.With(exit.NoSuch, err)
	}
	return nil
}

func configureModgroup(ctx context.Context, c *call) error {
	e, err := c.editing(ctx)
	if err != nil {
		return err
	}
	a := c.args
	switch {
	case a[1] == "add" && len(a) == 3:
		err = e.draft.AddToGroup(a[0], a[2], "", "")
	case a[1] == "add" && len(a) == 5 && (a[3] == "after" || a[3] == "before"):
		err = e.draft.AddToGroup(a[0], a[2], a[3], a[4])
	case a[1] == "remove" && len(a) == 3:
		err = e.draft.RemoveFromGroup(a[0], a[2])
	default:
		return exit.Errorf(exit.Usage, "write modgroup GROUP add ID [after|before ID], or modgroup GROUP remove ID")
	}
	if err != nil {
		return exit.With(exit.NoSuch, err)
	}
	return nil
}

// configureUpgrade brings the vocabulary of the CIB to the newest.
func configureUpgrade(ctx context.Context, c *call) error {
	var notes []string
	err := c.update(ctx, "configure upgrade", func(root *cib.Element) (*cib.Element, error) {
		upgraded, n, err := cib.Upgrade(root)
		notes = n
		return upgraded, err
	})
	for _, n := range notes {
		c.info("%s", n)
	}
	c.edit = nil
	return err
}

func configureSchema(ctx context.Context, c *call) error {
	e, err := c.editing(ctx)
	if err != nil {
		return err
	}
	if len(c.args) == 0 {
		c.io.Println(e.base.Root().Get("validate-with"))
		return nil
	}
	if !strings.HasPrefix(c.args[0], "pacemaker-") && c.args[0] != "none" {
		return exit.Errorf(exit.Usage, "%q is no schema; the present one is %s", c.args[0], cib.CurrentSchema)
	}
	return c.update(ctx, "configure schema", func(root *cib.Element) (*cib.Element, error) {
		return root.With("validate-with", c.args[0]), nil
	})
}

// configureGetProperty prints a property, or its default.
func configureGetProperty(ctx context.Context, c *call) error {
	if len(c.args) == 0 {
		c.io.Println(strings.Join(options.Properties(), "\n"))
		return nil
	}
	e, err := c.editing(ctx)
	if err != nil {
		return err
	}
	name := c.args[0]
	value, set := propertyOf(e.draft.Configuration(), name)
	p, known := options.Property(name)
	switch {
	case set:
	case known:
		value = p.Default
	default:
		return exit.Errorf(exit.NoSuch, "%q is not set, and no property the cluster knows", name)
	}
	if truth, _ := c.flags.GetBool("true"); truth {
		switch strings.ToLower(value) {
		case "true", "yes", "on", "1", "y":
			value = "true"
		default:
			value = "false"
		}
	}
	c.io.Println(value)
	return nil
}

func propertyOf(conf *cib.Element, name string) (string, bool) {
	for set := range conf.Child("crm_config").Each("cluster_property_set") {
		for nv := range set.Each("nvpair") {
			if nv.Get("name") == name {
				return nv.Get("value"), true
			}
		}
	}
	return "", false
}

// configureTimeouts sets the time-outs the agents advise.
func configureTimeouts(ctx context.Context, c *call) error {
	e, err := c.editing(ctx)
	if err != nil {
		return err
	}
	for _, id := range c.args {
		prim := cib.FindID(e.draft.Configuration(), id)
		if prim == nil || prim.Name() != "primitive" {
			return exit.Errorf(exit.NoSuch, "there is no primitive %q", id)
		}
		agent, err := c.agents.ParseID(ctx, agentOf(prim))
		if err != nil {
			return err
		}
		m, err := c.agents.Metadata(ctx, agent)
		if err != nil {
			return err
		}
		advised := map[string]string{}
		for _, a := range m.Actions {
			if advised[a.Name] == "" {
				advised[a.Name] = a.Timeout
			}
		}
		ops := slices.Clone(prim.Child("operations").Children())
		for i, op := range ops {
			if t := advised[op.Get("name")]; t != "" {
				ops[i] = op.With("timeout", t)
			}
		}
		changed := slices.Clone(prim.Children())
		if i := slices.Index(changed, prim.Child("operations")); i >= 0 {
			changed[i] = changed[i].WithChildren(ops...)
		}
		if err := e.draft.Define(clitext.XMLStatement(prim.WithChildren(changed...)), clitext.Update); err != nil {
			return err
		}
	}
	return nil
}

func agentOf(prim *cib.Element) string {
	parts := []string{prim.Get("class"), prim.Get("provider"), prim.Get("type")}
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), ":")
}
