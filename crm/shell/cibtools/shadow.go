package cibtools

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"systole/crm/cib"
	"systole/crm/exit"
	"systole/crm/shell/source"
	"systole/crm/shell/tool"
)

// CrmShadow is crm_shadow: copies of the CIB to try changes on.
func CrmShadow(ctx context.Context, stdio *tool.IO, args []string) int {
	return crmShadow.tool()(ctx, stdio, args)
}

// shadow is a parsed call.
type shadow struct {
	command     string
	name        string // of the shadow the command is about
	force       bool
	batch, all  bool
	schema      string
	environment func(string) string
}

var shadowQueries = []string{"which", "display", "edit", "diff", "file"}
var shadowCommands = []string{"create", "create-empty", "commit", "delete", "reset", "switch"}

var crmShadow = program{
	name:  "crm_shadow",
	about: "try changes on a copy of the configuration",
	notes: "\nExamples:\n  crm_shadow --create trial\n  crm_shadow --diff\n  crm_shadow --commit trial --force\n",
	flags: func(fs *pflag.FlagSet) func(*run, []string) error {
		var s shadow
		fs.BoolP("which", "w", false, "print the name of the shadow in use")
		fs.BoolP("display", "p", false, "print it")
		fs.BoolP("edit", "E", false, "edit it with $EDITOR")
		fs.BoolP("diff", "d", false, "print how it differs from the cluster's configuration")
		fs.BoolP("file", "F", false, "print where it is")
		fs.StringP("create", "c", "", "make a shadow of the cluster's configuration")
		fs.StringP("create-empty", "e", "", "make an empty shadow")
		fs.StringP("commit", "C", "", "make the shadow the cluster's configuration")
		fs.StringP("delete", "D", "", "delete the shadow")
		fs.StringP("reset", "r", "", "make the shadow anew from the cluster's configuration")
		fs.StringP("switch", "s", "", "use the shadow")
		fs.BoolVarP(&s.force, "force", "f", false, "do what may do harm")
		fs.BoolVarP(&s.batch, "batch", "b", false, "start no shell")
		fs.BoolVarP(&s.all, "all", "a", false, "with --commit: the status too")
		fs.StringVarP(&s.schema, "validate-with", "v", "", "schema of an empty shadow")
		return func(r *run, _ []string) error {
			for _, name := range append(append([]string(nil), shadowQueries...), shadowCommands...) {
				if !fs.Changed(name) {
					continue
				}
				if s.command != "" {
					return exit.Errorf(exit.Usage, "--%s and --%s are different commands", s.command, name)
				}
				s.command = name
				if f := fs.Lookup(name); f.Value.Type() == "string" {
					s.name = f.Value.String()
				}
			}
			s.environment = r.Getenv
			return s.run(r)
		}
	},
}

func (s *shadow) run(r *run) error {
	switch s.command {
	case "":
		return exit.Errorf(exit.Usage, "say what to do, for example --create NAME; --help lists the commands")
	case "which", "display", "edit", "diff", "file":
		if s.name = s.environment("CIB_shadow"); s.name == "" {
			return plain(exit.NoSuch, "No active shadow configuration defined")
		}
		return s.query(r)
	}
	if s.name == "" || strings.ContainsAny(s.name, "/\x00") {
		return exit.Errorf(exit.Usage, "%q is no name of a shadow: it names a file and may hold no slash", s.name)
	}
	return s.change(r)
}

func (s *shadow) path() string { return source.ShadowPath(s.environment, s.name) }

// cluster is the CIB the shadow is a copy of: what the environment names but for the shadow.
func (s *shadow) cluster() *source.Source {
	return source.Open(func(name string) string {
		if name == "CIB_shadow" {
			return ""
		}
		return s.environment(name)
	})
}

func (s *shadow) read() (*cib.CIB, error) {
	doc, err := source.ReadFile(s.path())
	if err != nil {
		return nil, plain(exit.NoSuch, "Could not access shadow instance '%s': %v", s.name, err)
	}
	return cib.ParseCIB(doc)
}

func (s *shadow) query(r *run) error {
	switch s.command {
	case "which":
		r.Println(s.name)
	case "file":
		r.Println(s.path())
	case "display":
		c, err := s.read()
		if err != nil {
			return err
		}
		printXML(r.Out, c.Root())
	case "edit":
		return s.edit(r)
	case "diff":
		return s.diff(r)
	}
	return nil
}

func (s *shadow) edit(r *run) error {
	editor := s.environment("EDITOR")
	if editor == "" {
		return exit.Errorf(exit.NotConfigured, "no value for EDITOR defined: set it to the editor to use")
	}
	if _, err := s.read(); err != nil {
		return err
	}
	if err := s.child(r, append(strings.Fields(editor), s.path())...).Run(); err != nil {
		return exit.Errorf(exit.OSErr, "edit %s: %w", s.path(), err)
	}
	_, err := s.read()
	return err
}

// child is a program that sees what we see, and the shadow.
func (s *shadow) child(r *run, argv ...string) *exec.Cmd {
	c := exec.CommandContext(r.ctx, argv[0], argv[1:]...)
	c.Stdin, c.Stdout, c.Stderr = r.In, r.Out, r.Err
	c.Env = append(os.Environ(), "CIB_shadow="+s.name)
	return c
}

// diff prints the difference for people: -- gone, ++ new, + changed, +~ moved.
func (s *shadow) diff(r *run) error {
	ours, err := s.read()
	if err != nil {
		return err
	}
	theirs, err := s.cluster().Read(r.ctx)
	if err != nil {
		return clusterError(err)
	}
	p := cib.Diff(theirs.Root(), ours.Root())
	if p.Empty() {
		return nil
	}
	r.Printf("Diff: --- %s 2\nDiff: +++ %s (null)\n", theirs.Version(), ours.Version())
	for _, c := range p.Changes {
		printChange(r, c)
	}
	return ended(exit.Error)
}

func printChange(r *run, c cib.Change) {
	switch c.Kind {
	case cib.ChangeDelete:
		if c.Position >= 0 {
			r.Printf("-- %s (%d)\n", c.Path, c.Position)
			return
		}
		r.Printf("-- %s\n", c.Path)
	case cib.ChangeMove:
		r.Printf("+~ %s moved to offset %d\n", c.Path, c.Position)
	case cib.ChangeCreate:
		head := "++ " + c.Path + ":  "
		for i, line := range strings.Split(c.Element.String(), "\n") {
			if i > 0 {
				head = "++ " + strings.Repeat(" ", len(head)-len("++ "))
			}
			r.Printf("%s%s\n", head, line)
		}
	case cib.ChangeModify:
		var set []string
		for _, a := range c.Set {
			set = append(set, "@"+a.Name+"="+a.Value)
		}
		if len(set) > 0 {
			r.Printf("+  %s:  %s\n", c.Path, strings.Join(set, ", "))
		}
		if len(c.Unset) > 0 {
			r.Printf("-- %s:  @%s\n", c.Path, strings.Join(c.Unset, ", @"))
		}
	}
}

func clusterError(err error) error {
	if exit.Of(err) == exit.Disconnect {
		return plain(exit.Disconnect, "Could not connect to CIB: Transport endpoint is not connected\n%v", err)
	}
	return err
}

func (s *shadow) change(r *run) error {
	_, err := os.Stat(s.path())
	exists := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return exit.Errorf(exit.OSFile, "look for shadow %s: %w", s.name, err)
	}
	switch s.command {
	case "create", "create-empty":
		if exists && !s.force {
			return plain(exit.CantCreate, "A shadow instance '%s' already exists.\n  To prevent accidental destruction of the cluster, the --force flag is required in order to proceed.", s.name)
		}
	case "commit", "delete":
		if !s.force {
			return plain(exit.Usage, "The supplied command is considered dangerous: what is replaced or deleted is not kept. Repeat it with --force.")
		}
	}
	if !exists && (s.command == "commit" || s.command == "switch" || s.command == "reset") {
		return plain(exit.NoSuch, "Could not access shadow instance '%s': No such file or directory", s.name)
	}
	switch s.command {
	case "create-empty":
		return s.createEmpty(r)
	case "create", "reset":
		c, err := s.cluster().Read(r.ctx)
		if err != nil {
			return clusterError(err)
		}
		return s.put(r, c.Root())
	case "commit":
		return s.commit(r)
	case "delete":
		if err := os.Remove(s.path()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return exit.Errorf(exit.OSErr, "delete shadow %s: %w", s.name, err)
		}
		r.Printf("Please remember to unset the CIB_shadow variable by pasting the following into your shell:\n  unset CIB_shadow\n")
		return nil
	}
	return s.use(r, "To switch to the named shadow instance, paste the following into your shell:")
}

func (s *shadow) createEmpty(r *run) error {
	root := cib.Empty().Root()
	if s.schema != "" {
		root = root.With("validate-with", s.schema)
	}
	if errs := cib.Errors(cib.Validate(root)); len(errs) > 0 {
		return exit.Errorf(exit.Usage, "%s", errs[0].Msg)
	}
	r.Printf("Created new %s configuration\n", root.Get("validate-with"))
	return s.put(r, root)
}

// put writes the shadow and takes it into use.
func (s *shadow) put(r *run, root *cib.Element) error {
	if err := os.MkdirAll(filepath.Dir(s.path()), 0o750); err != nil {
		return exit.Errorf(exit.CantCreate, "directory of shadows: %w", err)
	}
	if err := source.WriteFile(s.path(), root.AppendXML(nil)); err != nil {
		return err
	}
	if s.command == "reset" {
		return nil
	}
	return s.use(r, "A new shadow instance was created.  To begin using it paste the following into your shell:")
}

// use tells how to use the shadow, or starts a shell that does.
func (s *shadow) use(r *run, how string) error {
	shell := s.environment("SHELL")
	if s.batch || !r.Terminal || shell == "" {
		r.Printf("Setting up shadow instance\n%s\n  CIB_shadow=%s ; export CIB_shadow\n", how, s.name)
		return nil
	}
	r.Printf("Type Ctrl-D to leave the shell that uses shadow %s\n", s.name)
	if err := s.child(r, shell).Run(); err != nil {
		var ended *exec.ExitError
		if !errors.As(err, &ended) {
			return exit.Errorf(exit.OSErr, "start %s: %w", shell, err)
		}
	}
	return nil
}

// commit makes the shadow's configuration, or with --all the whole of it, the cluster's.
func (s *shadow) commit(r *run) error {
	c, err := s.read()
	if err != nil {
		return err
	}
	op := cib.Op{Kind: cib.OpReplace, Section: "configuration", Data: c.Configuration()}
	if s.all {
		op = cib.Op{Kind: cib.OpReplace, Data: c.Root()}
	}
	if op.Data == nil {
		return exit.Errorf(exit.Config, "the shadow %s has no configuration", s.name)
	}
	if _, _, err := s.cluster().Write(r.ctx, source.Change{Ops: []cib.Op{op}, Client: "crm_shadow", Comment: "shadow " + s.name}); err != nil {
		return clusterError(err)
	}
	return nil
}
