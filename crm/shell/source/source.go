package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strings"
	"time"

	"systole/crm/api"
	"systole/crm/cib"
	"systole/crm/exit"
)

// Source reads and writes one CIB. It is safe for concurrent use. Its errors
// carry an exit status ([exit.Of]): 102 for a daemon that does not answer, 105
// for a missing file, 4 for missing permission, 103 for a lost race, 106
// without quorum, 78 for a CIB that is not valid.
type Source struct {
	place  Place
	client *api.Client // nil unless live
	user   string
}

// Open finds the CIB the environment names. Nothing is read or dialled yet.
func Open(env func(string) string) *Source {
	s := &Source{place: Locate(env), user: env("CIB_user")}
	if s.place.Kind == Live {
		s.client = api.NewClient(s.place.Path)
	}
	if s.user == "" {
		if u, err := user.Current(); err == nil {
			s.user = u.Username
		}
	}
	return s
}

// At is the source of another place, for tools that name one on the command line.
func At(p Place, env func(string) string) *Source {
	s := Open(func(name string) string {
		switch name {
		case "CIB_file", "CIB_shadow", "SYSTOLE_SOCKET":
			return ""
		}
		return env(name)
	})
	s.place, s.client = p, nil
	if p.Kind == Live {
		s.client = api.NewClient(p.Path)
	}
	return s
}

// Place is where the CIB is.
func (s *Source) Place() Place { return s.place }

// Live tells whether this is the running cluster.
func (s *Source) Live() bool { return s.client != nil }

// Client is the daemon, for what only a running cluster can do. The error says
// what stands in the way.
func (s *Source) Client() (*api.Client, error) {
	if s.client == nil {
		return nil, exit.Errorf(exit.Disconnect, "this needs the running cluster, but %s is set to %s; unset it", s.variable(), s.place.Path)
	}
	return s.client, nil
}

func (s *Source) variable() string {
	if s.place.Kind == Shadow {
		return "CIB_shadow"
	}
	return "CIB_file"
}

// Read is the newest CIB: of the live cluster everything committed so far.
func (s *Source) Read(ctx context.Context) (*cib.CIB, error) { return s.read(ctx, false) }

// ReadLocal is the CIB as this node has it, perhaps old; for display, and when
// there is no quorum.
func (s *Source) ReadLocal(ctx context.Context) (*cib.CIB, error) { return s.read(ctx, true) }

func (s *Source) read(ctx context.Context, local bool) (*cib.CIB, error) {
	if s.client == nil {
		doc, err := ReadFile(s.place.Path)
		if err != nil {
			return nil, err
		}
		c, err := cib.ParseCIB(doc)
		if err != nil {
			return nil, exit.With(exit.Of(err), fmt.Errorf("%s: %w", s.place.Path, err))
		}
		return c, nil
	}
	reply, err := s.client.CIB(ctx, local)
	if err != nil {
		return nil, Coded(err)
	}
	c, err := cib.ParseCIB([]byte(reply.XML))
	if err != nil {
		return nil, fmt.Errorf("the daemon's CIB: %w", err)
	}
	return c, nil
}

// Change is one change of the CIB: all operations or none.
type Change struct {
	Ops []cib.Op
	// Expect, if not nil, is the version that was read; the change is refused
	// (status 103) when the configuration has another by now. num_updates does
	// not count: the status may move on.
	Expect *cib.Version
	// Client names the program, Comment says why; both go to the history.
	Client, Comment string
	// DryRun checks only.
	DryRun bool
}

// Write makes the change and returns the version after it, and what the
// operations answered with.
func (s *Source) Write(ctx context.Context, c Change) (version, output string, err error) {
	if s.client == nil {
		return s.writeFile(ctx, c)
	}
	p := api.Proposal{Comment: c.Comment, Origin: c.Client, DryRun: c.DryRun}
	if c.Expect != nil {
		p.ExpectVersion = fmt.Sprintf("%d.%d", c.Expect.AdminEpoch, c.Expect.Epoch)
	}
	for _, op := range c.Ops {
		p.Operations = append(p.Operations, wireOp(op))
	}
	reply, err := s.client.Propose(ctx, p)
	switch {
	case err != nil:
		return "", "", Coded(err)
	case reply.Code != 0:
		return reply.Version, reply.Output, exit.Errorf(exit.Code(reply.Code), "%s", reply.Message)
	}
	return reply.Version, reply.Output, nil
}

// wireOp is the operation as the API spells it.
func wireOp(op cib.Op) api.CIBOperation {
	out := api.CIBOperation{Op: api.Op(op.Kind), Section: op.Section, XPath: op.XPath, AllowCreate: op.AllowCreate}
	if op.Kind == cib.OpDeleteAll {
		out.Op, out.All = api.OpDelete, true
	}
	if op.Data != nil {
		out.XML = string(op.Data.AppendCompact(nil))
	}
	return out
}

func (s *Source) writeFile(ctx context.Context, c Change) (version, output string, err error) {
	before, err := s.Read(ctx)
	if err != nil {
		return "", "", err
	}
	if v := before.Version(); c.Expect != nil && (v.AdminEpoch != c.Expect.AdminEpoch || v.Epoch != c.Expect.Epoch) {
		return "", "", exit.Errorf(exit.Old, "%s was changed meanwhile (version %s, read at %s); read it again and repeat the change", s.place.Path, v, *c.Expect)
	}
	origin, _ := os.Hostname()
	after, err := before.Apply(c.Ops, nil, cib.Stamp{Time: time.Now(), User: s.user, Client: c.Client, Origin: origin})
	if err != nil {
		return "", "", err
	}
	if after == before || c.DryRun {
		return after.Version().String(), "", nil
	}
	if err := WriteFile(s.place.Path, []byte(after.String())); err != nil {
		return "", "", err
	}
	return after.Version().String(), "", nil
}

// updateTries bounds how often Update starts again when others change the CIB
// at the same time: with this many writers at once, each still gets its turn.
const updateTries = 20

// Update reads the CIB, lets edit make another of it and commits the
// difference; when somebody else was faster it starts again with what is there
// then, so that no change of either is lost. edit must not keep state between
// calls. A dry run commits nothing.
func (s *Source) Update(ctx context.Context, c Change, edit func(root *cib.Element) (*cib.Element, error)) (before, after *cib.CIB, err error) {
	for range updateTries {
		if before, err = s.Read(ctx); err != nil {
			return nil, nil, err
		}
		root, err := edit(before.Root())
		if err != nil {
			return before, before, err
		}
		if after, err = cib.FromRoot(root); err != nil {
			return before, before, err
		}
		patch := cib.Diff(before.Root(), root)
		if patch.Empty() || c.DryRun {
			return before, after, nil
		}
		v := before.Version()
		patch.Source, patch.Target = nil, nil
		c.Ops, c.Expect = []cib.Op{{Kind: cib.OpPatch, Data: patch.XML()}}, &v
		_, _, err = s.Write(ctx, c)
		if exit.Of(err) != exit.Old {
			return before, after, err
		}
	}
	return before, before, exit.Errorf(exit.Old, "the configuration was changed by others %d times in a row; try again", updateTries)
}

// Coded gives an error of the API, or of the file system, its exit status.
func Coded(err error) error {
	if e, ok := errors.AsType[*api.Error](err); ok {
		return exit.With(exit.Code(e.Code), err)
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return exit.With(exit.NoSuch, err)
	case errors.Is(err, fs.ErrPermission):
		return exit.With(exit.InsufficientPriv, err)
	case errors.Is(err, context.DeadlineExceeded):
		return exit.With(exit.Timeout, err)
	}
	return err
}

// Message is the error as a tool prints it: one sentence, first letter as it is.
func Message(err error) string { return strings.TrimSpace(err.Error()) }
