package shell

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"systole/crm/cib"
	"systole/crm/exit"
	"systole/crm/secret"
	"systole/crm/shell/ra"
	"systole/crm/shell/source"
	"systole/crm/shell/verify"
	"systole/crm/template"
	"systole/resources"
)

func templateCommands() []*command {
	var names []string
	for _, t := range template.All {
		names = append(names, t.Name)
	}
	list := []*command{
		{name: "list", short: "List the templates", run: templateList},
		{name: "show", args: "TEMPLATE", short: "Show the variables of a template: defaults and meanings", min: 1, max: 1, run: templateShow,
			complete: inTurn(words(names...), words()), example: "crm template show ha-lamp"},
	}
	for _, t := range template.All {
		list = append(list, templateCommand(t))
	}
	return list
}

// templateCommand writes the site of one template.
func templateCommand(t *template.Template) *command {
	var variables []string
	for _, v := range t.Variables {
		variables = append(variables, v.Name)
	}
	return &command{
		name: t.Name, args: "[--var NAME=VALUE]… [--output FILE|DIR/|-] [--yes] [--force]", short: t.Short, max: -1,
		flags: templateFlags, run: templateWriter(t), complete: inTurn(func(context.Context, *Shell, []string) []string { return equals(variables) }),
		long: "Asks for the variables that are not given, on a terminal; else they have their defaults (crm template show " + t.Name + "). " +
			"Nothing is written that does not verify in a cluster of those nodes. Load it by crm -f.",
		example: "crm template " + t.Name + " --output site/\ncrm template " + t.Name + " --yes --var " + t.Variables[0].Name + "=" + t.Variables[0].Default,
	}
}

func templateFlags(fs *pflag.FlagSet) {
	fs.StringArray("var", nil, "give a variable its `NAME=VALUE`; as an argument too")
	fs.StringP("output", "o", "-", "write the script to `FILE`, or into a directory with every other file of the site")
	fs.BoolP("yes", "y", false, "ask nothing: defaults for what is not given")
	fs.Bool("force", false, "write over files that are there")
}

func templateList(ctx context.Context, c *call) error {
	for _, t := range template.All {
		c.io.Printf("%-20s %s\n", t.Name, t.Short)
	}
	return nil
}

func templateShow(ctx context.Context, c *call) error {
	t, err := template.Find(c.args[0])
	if err != nil {
		return err
	}
	c.io.Printf("%s.\n", t.Short)
	for _, v := range t.Variables {
		c.io.Printf("\n%s=%s\n    %s (%s)\n", v.Name, v.Default, v.Meaning, v.Kind())
	}
	return nil
}

func templateWriter(t *template.Template) func(context.Context, *call) error {
	return func(ctx context.Context, c *call) error {
		given, _ := c.flags.GetStringArray("var")
		answers, err := t.Answers(slices.Concat(c.args, given))
		if err != nil {
			return err
		}
		if yes, _ := c.flags.GetBool("yes"); !yes {
			if err := c.askFor(t, answers); err != nil {
				return err
			}
		}
		site, err := t.Render(answers)
		if err != nil {
			return err
		}
		secrets, err := c.verifySite(ctx, site)
		if err != nil {
			return err
		}
		output, _ := c.flags.GetString("output")
		force, _ := c.flags.GetBool("force")
		if err := c.writeSite(site, output, force || c.set.force); err != nil {
			return err
		}
		for _, s := range secrets {
			c.info("before it is loaded: crm resource secret set %s -C (asks for the value, which is nowhere in the site)", s)
		}
		return nil
	}
}

// askFor asks a person, where there is one; questions go where errors do, because
// standard output may be the site.
func (c *call) askFor(t *template.Template, answers map[string]string) error {
	prompt := c.prompter
	if prompt == nil && isTerminal(c.io.In) {
		lines := bufio.NewReader(c.io.In)
		prompt = func(question string) (string, error) {
			fmt.Fprint(c.io.Err, question)
			return lines.ReadString('\n')
		}
	}
	if prompt == nil {
		return nil
	}
	return t.Ask(answers, func(v template.Variable, def string, wrong error) (string, error) {
		if wrong != nil {
			c.complain(wrong)
		} else {
			fmt.Fprintf(c.io.Err, "%s: %s (%s)\n", v.Name, v.Meaning, v.Kind())
		}
		answer, err := prompt(fmt.Sprintf("%s [%s]: ", v.Name, def))
		if err != nil {
			return "", exit.With(exit.NoInput, fmt.Errorf("%s has no answer, nothing was written; --yes takes the defaults: %w", v.Name, err))
		}
		return strings.TrimSpace(answer), nil
	})
}

// elsewhere is what this machine knows of agents. Those of others need not be
// installed where a site is only written.
type elsewhere struct{ *ra.Agents }

func (elsewhere) Elsewhere(_ context.Context, id resources.AgentID) bool {
	return id.Provider != "systole"
}

// verifySite loads a site into a cluster of its nodes, on paper, and verifies it
// as configure verify does. It returns the secrets the configuration refers to.
func (c *call) verifySite(ctx context.Context, site template.Site) (secrets []string, err error) {
	dir, err := os.MkdirTemp("", "crm-template-")
	if err != nil {
		return nil, exit.With(exit.CantCreate, err)
	}
	defer os.RemoveAll(dir)
	paper := filepath.Join(dir, "cib.xml")
	if err := source.WriteFile(paper, []byte(cib.Empty().String())); err != nil {
		return nil, err
	}
	quiet := *c.io
	quiet.In, quiet.Out, quiet.Err = strings.NewReader(""), io.Discard, io.Discard
	sh := &Shell{io: &quiet, root: tree(), now: c.now}
	sh.here = sh.root
	sh.set.force = true // what is wrong is told once, below
	sh.use(source.Place{Kind: source.File, Path: paper})
	nodes := "configure\nnode " + strings.Join(site.Nodes, "\nnode ") + "\n"
	if err := errors.Join(sh.batch(ctx, "nodes", strings.NewReader(nodes)), sh.batch(ctx, "script", strings.NewReader("up\n"+site.Script()))); err != nil {
		return nil, err
	}
	base, err := sh.src.Read(ctx)
	if err != nil {
		return nil, err
	}
	found := verify.Check(ctx, base.Root(), elsewhere{sh.agents})
	c.warnings(found)
	return secretsOf(base.Configuration()), verify.Error(found)
}

// secretsOf are resource and parameter of every reference to a secret.
func secretsOf(conf *cib.Element) []string {
	var found []string
	for _, rsc := range cib.Walk(conf) {
		for set := range rsc.Each("instance_attributes") {
			for nv := range set.Each("nvpair") {
				if nv.Get("value") == secret.Reference {
					found = append(found, rsc.ID()+" "+nv.Get("name"))
				}
			}
		}
	}
	return found
}

// writeSite writes the script to a file or standard output, or all files into a
// directory. Unless forced it writes nothing where one of them is there already.
func (c *call) writeSite(site template.Site, output string, force bool) error {
	if output == "-" {
		c.io.Printf("%s", site.Script())
		return nil
	}
	files := []template.File{{Path: output, Text: site.Script()}}
	if st, err := os.Stat(output); strings.HasSuffix(output, "/") || err == nil && st.IsDir() {
		files = slices.Clone(site.Files)
		for i := range files {
			files[i].Path = filepath.Join(output, files[i].Path)
		}
	}
	for _, f := range files {
		if _, err := os.Lstat(f.Path); !force && !errors.Is(err, fs.ErrNotExist) {
			if err != nil {
				return exit.With(exit.CantCreate, err)
			}
			return exit.Errorf(exit.Exists, "%s is there already and nothing was written; name another place, or write over it by --force", f.Path)
		}
	}
	for _, f := range files {
		if err := os.MkdirAll(filepath.Dir(f.Path), 0o755); err != nil {
			return exit.With(exit.CantCreate, err)
		}
		if err := source.WriteFile(f.Path, []byte(f.Text)); err != nil {
			return err
		}
		c.info("wrote %s", f.Path)
	}
	return nil
}
