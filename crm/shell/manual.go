package shell

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"systole/crm/exit"
)

// generate prints what is made from the command tree: the manual page, or the
// completion script of a shell.
func generate(ctx context.Context, c *call) error {
	switch c.args[0] {
	case "manual":
		c.io.Printf("%s", manual(c.root))
		return nil
	case "bash", "zsh", "fish":
		return completion(ctx, c)
	}
	return exit.Errorf(exit.Usage, "nothing called %q is generated; write manual, bash, zsh or fish", c.args[0])
}

// manual is crm(8), as troff.
func manual(root *command) string {
	var b strings.Builder
	b.WriteString(".TH CRM 8 \"\" systole \"Cluster administration\"\n.SH NAME\ncrm \\- show and change a cluster\n.SH SYNOPSIS\n.B crm\n[options] [level] [command ...]\n.SH DESCRIPTION\n")
	b.WriteString(troff(root.long) + " Without a command it starts a session; with the name of a level only, a session in that level. Words may be shortened as long as they are unambiguous.\n")
	b.WriteString("A CIB other than the running cluster's is named by CIB_file, CIB_shadow, or an option.\n.SH OPTIONS\n")
	literal(&b, root.optionUsages())
	b.WriteString(".SH COMMANDS\n")
	section(&b, root)
	b.WriteString(".SH EXIT STATUS\n")
	for _, code := range []exit.Code{exit.OK, exit.Error, exit.InsufficientPriv, exit.Usage, exit.DataErr, exit.Config, exit.Disconnect, exit.Old, exit.NoSuch, exit.Quorum, exit.Unsafe, exit.Exists, exit.NoDC, exit.Timeout} {
		fmt.Fprintf(&b, ".TP\n.B %d\n%s\n", int(code), troff(code.String()))
	}
	b.WriteString(".SH SEE ALSO\nsystoled(8), systole.conf(5)\n")
	return b.String()
}

// section describes the commands of a level, and then those of levels below.
func section(b *strings.Builder, level *command) {
	list := slices.Clone(level.sub)
	slices.SortFunc(list, func(x, y *command) int { return cmp.Compare(x.name, y.name) })
	for _, c := range list {
		if c.isLevel() {
			continue
		}
		fmt.Fprintf(b, ".TP\n.B %s\n", troff(c.usage()))
		b.WriteString(troff(c.short+".") + "\n")
		if c.long != "" {
			b.WriteString(troff(c.long) + "\n")
		}
		if len(c.aliases) > 0 {
			fmt.Fprintf(b, "Also called %s.\n", troff(strings.Join(c.aliases, ", ")))
		}
		literal(b, c.optionUsages())
		if c.example != "" {
			b.WriteString(".IP\nExample:\n")
			literal(b, c.example)
		}
	}
	for _, c := range list {
		if c.isLevel() && !(level.name == "configure") { // cib and ra are described at the top
			fmt.Fprintf(b, ".SS %s\n%s\n", troff("crm "+strings.Join(c.path(), " ")), troff(c.short+"."))
			section(b, c)
		}
	}
}

// literal writes lines as they are.
func literal(b *strings.Builder, text string) {
	if strings.TrimSpace(text) == "" {
		return
	}
	b.WriteString(".RS\n.nf\n")
	for line := range strings.Lines(text) {
		b.WriteString(troff(strings.TrimRight(line, "\n")) + "\n")
	}
	b.WriteString(".fi\n.RE\n")
}

// troff protects what troff would take for a request.
func troff(s string) string {
	s = strings.ReplaceAll(s, `\`, `\e`)
	s = strings.ReplaceAll(s, "-", `\-`)
	s = strings.ReplaceAll(s, "…", "...")
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		s = `\&` + s
	}
	return s
}
