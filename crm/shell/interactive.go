package shell

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/peterh/liner"
	"systole/crm/clitext"
	"systole/crm/exit"
	"systole/crm/shell/source"
)

// interactive is a session with a person: prompt, history, completion.
func (sh *Shell) interactive(ctx context.Context) error {
	line := liner.NewLiner()
	defer line.Close()
	sh.typed, sh.prompter = true, line.Prompt
	line.SetCtrlCAborts(true)
	line.SetTabCompletionStyle(liner.TabPrints)
	line.SetWordCompleter(func(text string, pos int) (head string, candidates []string, tail string) {
		head, candidates = sh.completeLine(ctx, text[:pos])
		return head, candidates, text[pos:]
	})
	history := sh.historyFile()
	if f, err := os.Open(history); err == nil {
		_, _ = line.ReadHistory(f) // a damaged history is no reason not to start
		f.Close()
	}
	for !sh.ended && ctx.Err() == nil {
		text, err := sh.prompted(line)
		switch {
		case errors.Is(err, liner.ErrPromptAborted):
			continue
		case errors.Is(err, io.EOF):
			sh.io.Println()
			text = "quit"
		case err != nil:
			return err
		}
		if strings.TrimSpace(text) != "" {
			line.AppendHistory(strings.ReplaceAll(text, "\\\n", " "))
		}
		sh.typedLine(ctx, text)
	}
	if err := os.MkdirAll(filepath.Dir(history), 0o700); err == nil {
		if f, err := os.OpenFile(history, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600); err == nil {
			_, _ = line.WriteHistory(f)
			f.Close()
		}
	}
	return nil
}

// prompted reads one logical line: a backslash at the end asks for more.
func (sh *Shell) prompted(line *liner.State) (string, error) {
	text, err := line.Prompt(sh.prompt())
	for err == nil && strings.HasSuffix(text, "\\") {
		var more string
		more, err = line.Prompt("   > ")
		text += "\n" + more
	}
	return text, err
}

// typedLine runs what a person typed; errors end nothing.
func (sh *Shell) typedLine(ctx context.Context, text string) {
	statements, err := clitext.Statements(text)
	if err != nil {
		sh.complain(err)
		return
	}
	for _, s := range statements {
		if err := sh.run(ctx, s); err != nil && !errors.Is(err, errTold) {
			if e, ok := errors.AsType[*clitext.SyntaxError](err); ok {
				e.Line = 0 // there is only the one
			}
			sh.complain(err)
		}
	}
}

// prompt names the CIB and the level.
func (sh *Shell) prompt() string {
	name := "live"
	switch p := sh.src.Place(); p.Kind {
	case source.Shadow:
		name = p.Name
	case source.File:
		name = filepath.Base(p.Path)
	}
	return "crm(" + name + ")" + strings.Join(sh.here.path(), " ") + "# "
}

// historyFile is where the history is kept between sessions.
func (sh *Shell) historyFile() string {
	base := sh.io.Getenv("XDG_STATE_HOME")
	if base == "" {
		base = filepath.Join(sh.io.Getenv("HOME"), ".local", "state")
	}
	return filepath.Join(base, "systole", "crm_history")
}

// completeLine proposes words for the end of a line.
func (sh *Shell) completeLine(ctx context.Context, text string) (head string, candidates []string) {
	words := strings.Fields(text)
	last := ""
	if len(words) > 0 && !strings.HasSuffix(text, " ") {
		last = words[len(words)-1]
		words = words[:len(words)-1]
	}
	head = strings.TrimSuffix(text, last)
	for _, c := range sh.candidates(ctx, words) {
		if strings.HasPrefix(c, last) {
			if !strings.HasSuffix(c, "=") && !strings.HasSuffix(c, ":") {
				c += " "
			}
			candidates = append(candidates, c)
		}
	}
	slices.Sort(candidates)
	return head, slices.Compact(candidates)
}

// candidates are the words that may follow.
func (sh *Shell) candidates(ctx context.Context, words []string) []string {
	at := sh.here
	for i, w := range words {
		next, err := at.child(w)
		if err != nil {
			return nil
		}
		at = next
		if !at.isLevel() {
			return at.argument(ctx, sh, words[i+1:])
		}
	}
	list := at.visible()
	if at.parent != nil || len(words) == 0 {
		list = append(list, "help", "up", "quit", "cd", "ls")
	}
	return list
}

// argument are candidates for a command's next argument.
func (c *command) argument(ctx context.Context, sh *Shell, before []string) []string {
	if c.complete == nil {
		return nil
	}
	return c.complete(ctx, sh, before)
}

// complete is `crm complete WORD…`: what the shells' completion scripts call.
func complete(ctx context.Context, c *call) error {
	words := c.args
	last := ""
	if len(words) > 0 {
		last = words[len(words)-1]
		words = words[:len(words)-1]
	}
	for _, w := range c.candidates(ctx, words) {
		if strings.HasPrefix(w, last) {
			c.io.Println(w)
		}
	}
	return nil
}

// completion prints the script that makes a shell complete crm.
func completion(ctx context.Context, c *call) error {
	script, ok := completionScripts[c.args[0]]
	if !ok {
		return exit.Errorf(exit.Usage, "there is completion for bash, zsh and fish, not for %q", c.args[0])
	}
	c.io.Printf("%s", script)
	return nil
}

// completionScripts ask crm itself for candidates, so that they never grow old.
var completionScripts = map[string]string{
	"bash": `# bash completion for crm; put it into /usr/share/bash-completion/completions/crm
_crm() {
	local IFS=$'\n'
	COMPREPLY=($(crm complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
	[[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *[=:] ]] && compopt -o nospace
}
complete -F _crm crm
`,
	"zsh": `#compdef crm
# zsh completion for crm; put it as _crm into a directory of $fpath
local -a words_found
words_found=("${(@f)$(crm complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
compadd -a words_found
`,
	"fish": `# fish completion for crm; put it into ~/.config/fish/completions/crm.fish
complete -c crm -f -a '(crm complete (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null)'
`,
}
