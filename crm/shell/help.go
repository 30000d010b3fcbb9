package shell

import (
	"cmp"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// help prints what a command does and how to call it.
func (sh *Shell) help(c *command) error {
	out := sh.io
	if c.parent == nil {
		out.Printf("%s\n\nUsage: crm [options] [level] [command …]\n", c.long)
	} else {
		text := c.short + "."
		if c.long != "" {
			text += "\n\n" + c.long
		}
		out.Printf("%s\n\nUsage: %s\n", text, c.usage())
	}
	if len(c.aliases) > 0 {
		out.Printf("Also called: %s\n", strings.Join(c.aliases, ", "))
	}
	if c.isLevel() {
		out.Printf("\nCommands:\n")
		list := slices.Clone(c.sub)
		slices.SortFunc(list, func(a, b *command) int { return cmp.Compare(a.name, b.name) })
		for _, s := range list {
			out.Printf("  %-18s %s\n", s.name, s.short)
		}
	}
	if usages := c.optionUsages(); usages != "" {
		out.Printf("\nOptions:\n%s", usages)
	}
	if c.example != "" {
		out.Printf("\nExample:\n%s\n", indent(c.example))
	}
	if c.parent == nil {
		out.Printf("\ncrm help LEVEL and crm help LEVEL COMMAND say more. Words may be shortened (crm conf sh), and crm alone starts a session.\n")
	}
	return nil
}

// optionUsages lists a command's own options.
func (c *command) optionUsages() string {
	fs := pflag.NewFlagSet(c.name, pflag.ContinueOnError)
	if c.parent == nil {
		return globalFlags(&settings{}).FlagUsages()
	}
	if c.changes {
		fs.Bool("dry-run", false, "commit nothing, show what the cluster would do")
	}
	if c.flags != nil {
		c.flags(fs)
	}
	return fs.FlagUsages()
}

func indent(s string) string {
	lines := strings.Split(strings.Trim(s, "\n"), "\n")
	return "  " + strings.Join(lines, "\n  ")
}
