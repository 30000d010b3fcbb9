package shell

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"systole/crm/cib"
	"systole/crm/clitext"
	"systole/crm/exit"
	"systole/crm/shell/source"
)

// configureHistory lists the configuration's changes, newest first.
func configureHistory(ctx context.Context, c *call) error {
	client, err := c.src.Client()
	if err != nil {
		return err
	}
	changes, err := client.History(ctx)
	if err != nil {
		return source.Coded(err)
	}
	for _, ch := range changes {
		line := fmt.Sprintf("%-8s %s  %-10s %s", ch.Version, ch.Time.UTC().Format("2006-01-02 15:04:05Z"), ch.User, ch.Origin)
		if ch.Comment != "" {
			line += "  " + ch.Comment
		}
		c.io.Println(strings.TrimRight(line, " "))
	}
	return nil
}

// atVersion is the configuration at a version of the history ("0.12" or "12").
func (sh *Shell) atVersion(ctx context.Context, version string) (*clitext.Draft, error) {
	switch parts := strings.Split(version, "."); len(parts) {
	case 1:
		version = "0." + version
	case 3: // as the history lists them; num_updates is always 0 there
		version = parts[0] + "." + parts[1]
	}
	client, err := sh.src.Client()
	if err != nil {
		return nil, err
	}
	reply, err := client.HistoryShow(ctx, version)
	if err != nil {
		return nil, source.Coded(err)
	}
	conf, err := cib.Parse([]byte(reply.XML))
	if err != nil {
		return nil, fmt.Errorf("version %s: %w", version, err)
	}
	if conf.Name() == "cib" {
		conf = conf.Child("configuration")
	}
	return clitext.NewDraft(conf), nil
}

func showVersion(ctx context.Context, c *call, version string, selection []string) error {
	d, err := c.atVersion(ctx, version)
	if err != nil {
		return err
	}
	text, err := d.Show(selection, nil, clitext.ShowOptions{})
	if err != nil {
		return exit.With(exit.NoSuch, err)
	}
	c.io.Printf("%s", text)
	return nil
}

// configureDiff prints what differs: between two versions, between one and the
// present, or, without arguments, what would be committed.
func configureDiff(ctx context.Context, c *call) error {
	e, err := c.editing(ctx)
	if err != nil {
		return err
	}
	from, to := e.from, e.draft
	if len(c.args) > 0 {
		if from, err = c.atVersion(ctx, c.args[0]); err != nil {
			return err
		}
	}
	if len(c.args) > 1 {
		if to, err = c.atVersion(ctx, c.args[1]); err != nil {
			return err
		}
	}
	text, err := diffText(from, to)
	if err != nil {
		return err
	}
	c.io.Printf("%s", text)
	return nil
}

// diffText prints objects that differ: the old form with -, the new one with +.
func diffText(from, to *clitext.Draft) (string, error) {
	gone, err := from.Select([]string{"changed"}, to)
	if err != nil {
		return "", err
	}
	come, err := to.Select([]string{"changed"}, from)
	if err != nil {
		return "", err
	}
	ids := append(gone, come...)
	slices.Sort(ids)
	var b strings.Builder
	for _, id := range slices.Compact(ids) {
		for _, side := range []struct {
			mark string
			has  []string
			in   *clitext.Draft
		}{{"-", gone, from}, {"+", come, to}} {
			if !slices.Contains(side.has, id) {
				continue
			}
			text, err := side.in.Show([]string{id}, nil, clitext.ShowOptions{})
			if err != nil {
				return "", err
			}
			for line := range strings.Lines(text) {
				b.WriteString(side.mark + line)
			}
		}
	}
	return b.String(), nil
}

// configureRollback makes an old configuration the present one; nodes stay as they are.
func configureRollback(ctx context.Context, c *call) error {
	old, err := c.atVersion(ctx, c.args[0])
	if err != nil {
		return err
	}
	e, err := c.editing(ctx)
	if err != nil {
		return err
	}
	conf := old.Configuration()
	children := slices.Clone(conf.Children())
	for i, s := range children {
		if nodes := e.draft.Configuration().Child("nodes"); s.Name() == "nodes" && nodes != nil {
			children[i] = nodes
		}
	}
	e.draft.Replace(conf.WithChildren(children...))
	return nil
}
