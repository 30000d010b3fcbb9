package shell

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"

	"golang.org/x/term"
	"systole/crm/clitext"
	"systole/crm/exit"
)

// run carries out one line in the present level. A line may pass through levels
// (configure primitive …): those are left again when it is done, which commits.
func (sh *Shell) run(ctx context.Context, s clitext.Statement) error {
	words := append([]string{s.Keyword()}, s.Args()...)
	if done, err := sh.moves(ctx, words); done {
		return err
	}
	from := sh.here
	if strings.HasPrefix(words[0], "/") && len(words[0]) > 1 { // /resource status: from the top, wherever we are
		from, words[0] = sh.root, words[0][1:]
	}
	target, skip, err := sh.find(from, words)
	if err != nil {
		return err
	}
	args := words[skip:]
	if len(args) > 0 && (args[len(args)-1] == "--help" || args[len(args)-1] == "-h") && target.run != nil {
		return sh.help(target)
	}
	if target.isLevel() && len(args) == 0 {
		sh.past, sh.here = sh.here, target
		return nil
	}
	before := sh.set.dryRun // --dry-run is for this command only
	defer func() { sh.set.dryRun = before }()
	c, err := target.parse(sh, s.Skip(skip-1), args)
	if err != nil {
		return err
	}
	if err := target.run(ctx, c); err != nil {
		if target.inside("configure") && !sh.here.inside("configure") {
			sh.edit = nil
		}
		return err
	}
	return sh.leave(ctx, sh.here)
}

// find follows words down from a level to a command. skip is how many words it took.
func (sh *Shell) find(from *command, words []string) (target *command, skip int, err error) {
	target = from
	for target.isLevel() && skip < len(words) {
		if words[skip] == "help" || words[skip] == "?" {
			return sh.helpCommand(target), skip + 1, nil
		}
		if words[skip] == "--help" || words[skip] == "-h" {
			return sh.helpCommand(target), len(words), nil
		}
		next, err := target.child(words[skip])
		if err != nil && skip == 0 && target.parent != nil {
			if up, upErr := sh.root.child(words[skip]); upErr == nil && (up.isLevel() || up.name == "quit") {
				next, err = up, nil // a level's name works from anywhere
			}
		}
		if err != nil {
			return nil, 0, err
		}
		target, skip = next, skip+1
	}
	return target, skip, nil
}

// helpCommand is `help` in a level.
func (sh *Shell) helpCommand(level *command) *command {
	return &command{name: "help", parent: level, max: -1, raw: true, run: func(ctx context.Context, c *call) error {
		if len(c.args) == 0 {
			return sh.help(level)
		}
		target, _, err := sh.find(level, c.args)
		if err != nil {
			return err
		}
		return sh.help(target)
	}}
}

// inside tells whether a command is in the level, or is it.
func (c *command) inside(level string) bool {
	for ; c != nil; c = c.parent {
		if c.name == level {
			return true
		}
	}
	return false
}

// moves handles the words that walk through levels.
func (sh *Shell) moves(ctx context.Context, words []string) (done bool, err error) {
	var to *command
	switch words[0] {
	case "quit", "exit", "bye":
		if err := sh.leave(ctx, sh.root); err != nil {
			return true, err
		}
		sh.ended = true
		return true, nil
	case "up", "end", "..":
		to = sh.here.parent
	case "cd":
		if len(words) == 1 {
			to = sh.root
			break
		}
		if to, err = sh.walk(words[1]); err != nil {
			return true, err
		}
	case "ls":
		sh.io.Println(strings.Join(sh.here.visible(), "  "))
		return true, nil
	default:
		return false, nil
	}
	if to == nil {
		to = sh.root
	}
	if err := sh.leave(ctx, to); err != nil {
		return true, err
	}
	sh.past, sh.here = sh.here, to
	return true, nil
}

// walk follows a path of levels: "..", "-", "../resource", "/configure".
func (sh *Shell) walk(path string) (*command, error) {
	if path == "-" && sh.past != nil {
		return sh.past, nil
	}
	to := sh.here
	if strings.HasPrefix(path, "/") {
		to = sh.root
	}
	for _, step := range strings.Split(strings.Trim(path, "/"), "/") {
		switch step {
		case "", ".":
		case "..":
			if to = to.parent; to == nil {
				to = sh.root
			}
		default:
			next, err := to.child(step)
			if err != nil {
				return nil, err
			}
			if !next.isLevel() {
				return nil, exit.Errorf(exit.Usage, "%s is a command, not a level", step)
			}
			to = next
		}
	}
	return to, nil
}

// leave commits the open configuration when the level moved to is not inside configure.
func (sh *Shell) leave(ctx context.Context, to *command) error {
	if to.inside("configure") || sh.edit == nil {
		return nil
	}
	if !sh.edit.changed() {
		sh.edit = nil
		return nil
	}
	if sh.typed && sh.here.inside("configure") {
		switch sh.ask("There are changes that are not committed. Commit them (y/n/cancel)? ") {
		case "n", "no":
			sh.edit = nil
			return nil
		case "y", "yes":
		default:
			return errors.New("still in configure; commit, or refresh to drop the changes")
		}
	}
	if err := sh.commit(ctx, sh.set.force); err != nil {
		return err
	}
	sh.edit = nil
	return nil
}

// levelOf tells whether the words lead to a level and no further.
func (sh *Shell) levelOf(words []string) (*command, bool) {
	at := sh.here
	for _, w := range words {
		next, err := at.child(w)
		if err != nil || !next.isLevel() {
			return nil, false
		}
		at = next
	}
	return at, at != sh.here
}

// visible are the names of the commands in a level.
func (c *command) visible() []string {
	var out []string
	for _, s := range c.sub {
		out = append(out, s.name)
	}
	slices.Sort(out)
	return out
}

// question asks on the terminal even for a single command.
func (sh *Shell) question(text string) string {
	sh.io.Printf("%s", text)
	line, err := bufio.NewReader(sh.io.In).ReadString('\n')
	if err != nil && line == "" {
		return ""
	}
	return strings.ToLower(strings.TrimSpace(line))
}

// ask puts a question to the person of a session; elsewhere the answer is "".
func (sh *Shell) ask(question string) string {
	if sh.prompter == nil {
		return ""
	}
	answer, err := sh.prompter(question)
	if err != nil {
		return ""
	}
	return strings.ToLower(strings.TrimSpace(answer))
}

// isTerminal tells whether a stream is a terminal.
func isTerminal(r io.Reader) bool {
	f, ok := r.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
