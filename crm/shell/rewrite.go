package shell

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"systole/crm/clitext"
	"systole/crm/exit"
	"systole/crm/shell/simulate"
	"systole/crm/shell/tool"
)

// selected are the objects a rewriting command is about, and their text.
func (c *call) selected(ctx context.Context, selection []string) (e *editing, ids []string, text string, err error) {
	if e, err = c.editing(ctx); err != nil {
		return nil, nil, "", err
	}
	if ids, err = e.draft.Select(selection, e.from); err != nil {
		return nil, nil, "", exit.With(exit.NoSuch, err)
	}
	text, err = e.draft.Show(selection, e.from, clitext.ShowOptions{})
	return e, ids, text, err
}

// configureEdit opens the text of objects in an editor and takes what comes back.
func configureEdit(ctx context.Context, c *call) error {
	e, ids, text, err := c.selected(ctx, c.args)
	if err != nil {
		return err
	}
	for {
		edited, err := c.editor(ctx, text)
		if err != nil || edited == text {
			return err
		}
		notes, err := e.draft.Edit(ids, edited)
		if err == nil {
			for _, n := range notes {
				c.info("%s", n)
			}
			return nil
		}
		c.complain(err)
		if answer := c.ask("Edit again (y/n)? "); answer != "y" && answer != "yes" {
			return exit.Errorf(exit.Usage, "the edit was dropped")
		}
		text = edited
	}
}

// editor runs $EDITOR on a text.
func (sh *Shell) editor(ctx context.Context, text string) (string, error) {
	f, err := os.CreateTemp("", "crm-*.crm")
	if err != nil {
		return "", exit.With(exit.CantCreate, err)
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(text)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return "", exit.With(exit.IOErr, err)
	}
	words := strings.Fields(sh.io.Getenv("EDITOR"))
	if len(words) == 0 {
		words = []string{"vi"}
	}
	cmd := exec.CommandContext(ctx, words[0], append(words[1:], f.Name())...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = sh.io.In, sh.io.Out, sh.io.Err
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("editor %s: %w; set EDITOR to another", words[0], err)
	}
	edited, err := os.ReadFile(f.Name())
	return string(edited), err
}

// configureFilter sends the text of objects through a program.
func configureFilter(ctx context.Context, c *call) error {
	e, ids, text, err := c.selected(ctx, c.args[1:])
	if err != nil {
		return err
	}
	// crmsh gives filters the objects on one line each.
	in := strings.ReplaceAll(text, " \\\n\t", " ")
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", c.args[0])
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(in), &out, c.io.Err
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("filter %s: %w", c.args[0], err)
	}
	notes, err := e.draft.Edit(ids, out.String())
	if err != nil {
		return exit.With(exit.Usage, err)
	}
	for _, n := range notes {
		c.info("%s", n)
	}
	return nil
}

// configureSimulate shows what would happen if the edited configuration were committed.
func configureSimulate(ctx context.Context, c *call) error {
	e, err := c.editing(ctx)
	if err != nil {
		return err
	}
	args := []string{"-x", "-", "-S"}
	for _, a := range c.args {
		switch {
		case a == "scores":
			args = append(args, "-s")
		case a == "utilization":
			args = append(args, "-U")
		case a == "actions", a == "nograph", strings.Trim(a, "v") == "":
		default:
			return exit.Errorf(exit.Usage, "%q is not known to simulate; use scores, utilization or actions", a)
		}
	}
	return c.simulate(ctx, e.root().String(), args)
}

// simulate runs crm_simulate on a document.
func (sh *Shell) simulate(ctx context.Context, doc string, args []string) error {
	stdio := &tool.IO{In: strings.NewReader(doc), Out: sh.io.Out, Err: sh.io.Err, Env: sh.io.Env, Name: "crm_simulate"}
	if code := simulate.Run(ctx, stdio, args); code != 0 {
		return exit.Errorf(exit.Code(code), "crm_simulate ended with status %d", code)
	}
	return nil
}
