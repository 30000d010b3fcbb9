package shell

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"systole/crm/cib"
	"systole/crm/clitext"
	"systole/crm/exit"
	"systole/crm/shell/preview"
	"systole/crm/shell/source"
	"systole/crm/shell/verify"
)

// editing is a configuration session: what was read, and what has been made of it.
type editing struct {
	base  *cib.CIB
	from  *clitext.Draft // base's configuration
	draft *clitext.Draft
}

// changed tells whether there is something to commit.
func (e *editing) changed() bool {
	return !cib.Equal(e.from.Configuration(), e.draft.Configuration())
}

// root is the document with the edited configuration.
func (e *editing) root() *cib.Element {
	return withConfiguration(e.base.Root(), e.draft.Configuration())
}

func withConfiguration(root, conf *cib.Element) *cib.Element {
	children := slices.Clone(root.Children())
	i := slices.IndexFunc(children, func(c *cib.Element) bool { return c.Name() == "configuration" })
	if i < 0 {
		return root.WithChildren(append([]*cib.Element{conf}, children...)...)
	}
	children[i] = conf
	return root.WithChildren(children...)
}

// editing opens the configuration, once for a session.
func (sh *Shell) editing(ctx context.Context) (*editing, error) {
	if sh.edit != nil {
		return sh.edit, nil
	}
	base, err := sh.src.Read(ctx)
	if err != nil {
		return nil, err
	}
	sh.edit = &editing{base: base, from: clitext.NewDraft(base.Configuration())}
	sh.edit.draft = sh.edit.from.Clone()
	sh.edit.draft.Resolve = func(typ string) (class, provider string) { return sh.agents.Resolve(ctx, typ) }
	return sh.edit, nil
}

// commit verifies and writes what was edited. Errors that the configuration had
// before do not stand in the way of a change.
func (sh *Shell) commit(ctx context.Context, force bool) error {
	e, err := sh.editing(ctx)
	if err != nil || !e.changed() {
		return err
	}
	if err := sh.verified(ctx, e); err != nil {
		switch {
		case force:
			sh.complain(err)
			sh.info("commit forced")
		case sh.typed:
			sh.complain(err)
			if answer := sh.ask("Commit anyway (y/n)? "); answer != "y" && answer != "yes" {
				return exit.With(exit.Of(err), errNotCommitted)
			}
		default:
			return exit.With(exit.Of(err), fmt.Errorf("%w\n%w; correct this, or commit anyway with crm -F", err, errNotCommitted))
		}
	}
	after, err := sh.write(ctx, e, force)
	if err != nil || sh.set.dryRun {
		return err
	}
	from := clitext.NewDraft(after.Configuration())
	draft := from.Clone()
	draft.Resolve = e.draft.Resolve
	sh.edit = &editing{base: after, from: from, draft: draft}
	return nil
}

// errNotCommitted says that a commit was refused.
var errNotCommitted = errors.New("nothing was committed")

// verified checks the edited configuration, prints warnings that are new, and
// returns the errors that are.
func (sh *Shell) verified(ctx context.Context, e *editing) error {
	found := verify.Check(ctx, e.root(), sh.agents)
	if len(found) == 0 {
		return nil
	}
	before := verify.Check(ctx, e.base.Root(), sh.agents)
	fresh := slices.DeleteFunc(found, func(f verify.Finding) bool { return slices.Contains(before, f) })
	sh.warnings(fresh)
	return verify.Error(fresh)
}

// warningsShown bounds how many warnings are printed: a person reads no more.
const warningsShown = 40

// warnings prints the warnings among findings.
func (sh *Shell) warnings(found []verify.Finding) {
	n := 0
	for _, f := range found {
		if f.Severity != cib.Warning {
			continue
		}
		if n++; n <= warningsShown {
			sh.warn("%s", strings.TrimPrefix(f.String(), "warning: "))
		}
	}
	if n > warningsShown {
		sh.warn("and %d more", n-warningsShown)
	}
}

// write commits the difference. When others have changed the configuration
// meanwhile, both changes stand if they are about different objects; else the
// commit is refused, unless forced.
func (sh *Shell) write(ctx context.Context, e *editing, force bool) (*cib.CIB, error) {
	before, after, err := sh.src.Update(ctx, source.Change{Client: "crm configure", DryRun: sh.set.dryRun}, func(root *cib.Element) (*cib.Element, error) {
		now := clitext.NewDraft(root.Child("configuration"))
		if cib.Equal(now.Configuration(), e.from.Configuration()) {
			return withConfiguration(root, e.draft.Configuration()), nil
		}
		if both := clashes(e, now); len(both) > 0 && !force {
			return nil, exit.Errorf(exit.Old, "%s changed in the cluster while you edited; refresh and edit again, or commit force to have it your way", strings.Join(both, ", "))
		}
		patch := cib.Diff(e.from.Configuration(), e.draft.Configuration())
		merged, err := patch.Apply(now.Configuration())
		if err != nil {
			return nil, exit.With(exit.Old, fmt.Errorf("the configuration changed in the cluster while you edited, and your changes no longer fit: %w; refresh and edit again", err))
		}
		return withConfiguration(root, merged), nil
	})
	if err != nil {
		return nil, err
	}
	if sh.set.dryRun {
		return after, preview.Write(sh.io.Out, before.Root(), after.Root(), sh.now())
	}
	return after, sh.settle(ctx)
}

// clashes are the objects that both this session and somebody else changed.
func clashes(e *editing, now *clitext.Draft) []string {
	mine, err1 := e.draft.Select([]string{"changed"}, e.from)
	gone, err2 := e.from.Select([]string{"changed"}, e.draft) // deleted here, or changed
	theirs, err3 := now.Select([]string{"changed"}, e.from)
	lost, err4 := e.from.Select([]string{"changed"}, now)
	if err1 != nil || err2 != nil || err3 != nil || err4 != nil {
		return nil // "changed" is a valid selection
	}
	var both []string
	for _, id := range append(mine, gone...) {
		if (slices.Contains(theirs, id) || slices.Contains(lost, id)) && !slices.Contains(both, id) {
			both = append(both, id)
		}
	}
	return both
}

// update changes the CIB past the editor: for the commands of other levels.
func (sh *Shell) update(ctx context.Context, comment string, edit func(root *cib.Element) (*cib.Element, error)) error {
	before, after, err := sh.src.Update(ctx, source.Change{Client: "crm " + comment, DryRun: sh.set.dryRun}, edit)
	switch {
	case err != nil:
		return err
	case sh.set.dryRun:
		return preview.Write(sh.io.Out, before.Root(), after.Root(), sh.now())
	}
	return sh.settle(ctx)
}

// settle waits, when asked to, until the cluster has nothing more to do.
func (sh *Shell) settle(ctx context.Context) error {
	if !sh.set.wait || !sh.src.Live() {
		return nil
	}
	client, err := sh.src.Client()
	if err != nil {
		return err
	}
	s, err := client.Settle(ctx, 0)
	switch {
	case err != nil:
		return source.Coded(err)
	case !s.Settled:
		return exit.Errorf(exit.Timeout, "the cluster is still busy with %s", strings.Join(s.Pending, ", "))
	}
	return nil
}
