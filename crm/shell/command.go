package shell

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"systole/crm/clitext"
	"systole/crm/exit"
)

// command is one word of the tree: a level with commands below it, or something to do.
type command struct {
	name    string
	aliases []string
	args    string // after the name, in the usage line
	short   string // one line, no full stop
	long    string
	example string

	min, max int // how many arguments; max -1 is any number
	// raw arguments may begin with a dash (-inf:): only --help and --dry-run are options.
	raw bool
	// changes says that the command changes something and takes --dry-run.
	changes bool
	flags   func(*pflag.FlagSet)
	run     func(ctx context.Context, c *call) error
	// complete gives candidates for argument n (from 0), with those before it.
	complete func(ctx context.Context, sh *Shell, before []string) []string

	sub    []*command
	parent *command
}

// call is one use of a command.
type call struct {
	*Shell
	args  []string
	flags *pflag.FlagSet
	stmt  clitext.Statement // as typed, with the words' places
}

func (c *command) isLevel() bool { return c.sub != nil }

// path are the names from the root down, without the root.
func (c *command) path() []string {
	if c.parent == nil {
		return nil
	}
	return append(c.parent.path(), c.name)
}

// child finds a command below by name, alias or unambiguous abbreviation: the
// beginning of its name, else letters of it in their order (cfg: configure).
func (c *command) child(word string) (*command, error) {
	var begins, within []*command
	for _, s := range c.sub {
		if s.name == word || slices.Contains(s.aliases, word) {
			return s, nil
		}
		if strings.HasPrefix(s.name, word) {
			begins = append(begins, s)
		}
		if len(word) > 1 && word[0] == s.name[0] && subsequence(word, s.name) {
			within = append(within, s)
		}
	}
	for _, candidates := range [][]*command{begins, within} {
		switch {
		case len(candidates) == 1:
			return candidates[0], nil
		case len(candidates) > 1:
			return nil, exit.Errorf(exit.Usage, "%q could be %s; write more of it", word, names(candidates))
		}
	}
	hint := "help lists the commands"
	if near := clitext.Nearest(word, c.names()); near != "" {
		hint = "did you mean " + near + "?"
	}
	return nil, exit.Errorf(exit.Usage, "%s: no such command; %s", strings.TrimSpace(strings.Join(append(c.path(), word), " ")), hint)
}

func names(cs []*command) string {
	var out []string
	for _, c := range cs {
		out = append(out, c.name)
	}
	return strings.Join(out, ", ")
}

func (c *command) names() []string {
	var out []string
	for _, s := range c.sub {
		out = append(append(out, s.name), s.aliases...)
	}
	return out
}

func subsequence(word, name string) bool {
	for _, r := range word {
		i := strings.IndexRune(name, r)
		if i < 0 {
			return false
		}
		name = name[i+1:]
	}
	return true
}

// usage is the line that shows how to call the command.
func (c *command) usage() string {
	return strings.TrimSpace("crm " + strings.Join(c.path(), " ") + " " + c.args)
}

// parse takes options out of the arguments and checks their number.
func (c *command) parse(sh *Shell, s clitext.Statement, args []string) (*call, error) {
	fs := pflag.NewFlagSet(c.name, pflag.ContinueOnError)
	fs.Usage = func() {}
	dry := false
	if c.changes {
		fs.BoolVar(&dry, "dry-run", false, "commit nothing, show what the cluster would do")
	}
	if c.flags != nil {
		c.flags(fs)
	}
	if c.raw {
		args, dry = takeDryRun(args)
	} else {
		if err := fs.Parse(args); err != nil {
			return nil, exit.With(exit.Usage, fmt.Errorf("%w; usage: %s", err, c.usage()))
		}
		args = fs.Args()
	}
	switch {
	case len(args) < c.min:
		return nil, exit.Errorf(exit.Usage, "something is missing; usage: %s", c.usage())
	case c.max >= 0 && len(args) > c.max:
		return nil, exit.Errorf(exit.Usage, "%q is too much; usage: %s", args[c.max], c.usage())
	}
	if dry {
		sh.set.dryRun = true
	}
	return &call{Shell: sh, args: args, flags: fs, stmt: s}, nil
}

// takeDryRun finds --dry-run among raw arguments.
func takeDryRun(args []string) (rest []string, dry bool) {
	i := slices.Index(args, "--dry-run")
	if i < 0 {
		return args, false
	}
	return slices.Delete(slices.Clone(args), i, i+1), true
}

// link sets the parents of a tree.
func (c *command) link() *command {
	for _, s := range c.sub {
		s.parent = c
		s.link()
	}
	return c
}
