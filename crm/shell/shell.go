package shell

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"systole/crm/cib"
	"systole/crm/clitext"
	"systole/crm/exit"
	"systole/crm/shell/options"
	"systole/crm/shell/ra"
	"systole/crm/shell/source"
	"systole/crm/shell/tool"
)

// Shell is one run of crm.
type Shell struct {
	io     *tool.IO
	src    *source.Source
	agents *ra.Agents
	set    settings

	// here is the level of the session; past are the levels before it, for `cd -`.
	here, past *command
	root       *command
	edit       *editing // the configuration being edited, nil when none is open
	typed      bool     // a person types the commands
	ended      bool     // quit was said
	now        func() time.Time
	// prompter asks the person of a session; nil elsewhere.
	prompter func(question string) (string, error)
}

// settings are the global options, and what `options` changes for a session.
type settings struct {
	force, wait, dryRun  bool
	file, shadow, socket string
	cibFile              string
	sorted               bool
	version              bool
}

// Run is the program crm.
func Run(ctx context.Context, stdio *tool.IO, args []string) int {
	sh := &Shell{io: stdio, root: tree(), now: time.Now}
	sh.here = sh.root
	rest, err := sh.globals(args)
	if err != nil {
		return sh.report(err)
	}
	if sh.set.version {
		stdio.Printf("crm %s\n", options.Version)
		return 0
	}
	sh.open()
	switch {
	case len(rest) > 0:
		err = sh.single(ctx, rest)
	case sh.set.file != "":
		err = sh.batchFile(ctx, sh.set.file)
	default:
		err = sh.session(ctx)
	}
	return sh.report(err)
}

// globals reads the options before the first command.
func (sh *Shell) globals(args []string) ([]string, error) {
	fs := globalFlags(&sh.set)
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, pflag.ErrHelp) {
			return []string{"help"}, nil
		}
		return nil, exit.With(exit.Usage, fmt.Errorf("%w; crm --help lists the options", err))
	}
	return fs.Args(), nil
}

// globalFlags are the options of crm itself.
func globalFlags(s *settings) *pflag.FlagSet {
	fs := pflag.NewFlagSet("crm", pflag.ContinueOnError)
	fs.SetInterspersed(false)
	fs.Usage = func() {}
	s.sorted = true
	fs.BoolVarP(&s.force, "force", "F", false, "go on where crm would refuse or ask")
	fs.BoolVarP(&s.wait, "wait", "w", false, "wait until the cluster has nothing more to do")
	fs.StringVarP(&s.file, "file", "f", "", "read commands from `FILE`, - for standard input")
	fs.StringVarP(&s.shadow, "cib", "c", "", "work on the shadow CIB `NAME`")
	fs.StringVar(&s.cibFile, "cib-file", "", "work on the CIB in `FILE` (or set CIB_file)")
	fs.StringVar(&s.socket, "socket", "", "the daemon's socket (or set SYSTOLE_SOCKET)")
	fs.BoolVar(&s.dryRun, "dry-run", false, "commit nothing, show what the cluster would do")
	fs.StringP("display", "D", "", "plain, color or uppercase; color is used on terminals only")
	fs.BoolVar(&s.version, "version", false, "print the version")
	fs.BoolP("regression-tests", "R", false, "accepted for crmsh's sake")
	fs.BoolP("debug", "d", false, "accepted for crmsh's sake")
	fs.Lookup("regression-tests").Hidden, fs.Lookup("debug").Hidden = true, true
	return fs
}

// open finds the CIB the options and the environment name.
func (sh *Shell) open() {
	env := sh.io.Getenv
	switch {
	case sh.set.shadow != "" && sh.set.shadow != "live":
		sh.use(source.Place{Kind: source.Shadow, Path: source.ShadowPath(env, sh.set.shadow), Name: sh.set.shadow})
	case sh.set.cibFile != "":
		sh.use(source.Place{Kind: source.File, Path: sh.set.cibFile})
	case sh.set.socket != "" || sh.set.shadow == "live":
		sh.use(source.Place{Kind: source.Live, Path: sh.set.socket})
	default:
		sh.use(source.Locate(env))
	}
}

// use changes to another CIB.
func (sh *Shell) use(p source.Place) {
	sh.src = source.At(p, sh.io.Getenv)
	sh.agents = ra.New(sh.src)
	sh.edit = nil
}

// report prints what went wrong and gives the exit status.
func (sh *Shell) report(err error) int {
	if err == nil {
		return 0
	}
	if !errors.Is(err, errTold) {
		sh.complain(err)
	}
	return int(exit.Of(err))
}

// complain prints each line of an error on its own.
func (sh *Shell) complain(err error) {
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintf(sh.io.Err, "ERROR: %s\n", strings.TrimRight(line, "\n"))
	}
}

func (sh *Shell) warn(format string, args ...any) {
	fmt.Fprintf(sh.io.Err, "WARNING: "+format+"\n", args...)
}

func (sh *Shell) info(format string, args ...any) {
	fmt.Fprintf(sh.io.Err, "INFO: "+format+"\n", args...)
}

// single runs one command of the system's shell; a level alone opens a session in it.
func (sh *Shell) single(ctx context.Context, args []string) error {
	if level, ok := sh.levelOf(args); ok {
		sh.here = level
		return sh.session(ctx)
	}
	return sh.run(ctx, clitext.FromArgs(args))
}

// session reads commands from standard input, a person's or a file's.
func (sh *Shell) session(ctx context.Context) error {
	if sh.set.file != "" {
		return sh.batchFile(ctx, sh.set.file)
	}
	if isTerminal(sh.io.In) && sh.io.Terminal {
		return sh.interactive(ctx)
	}
	return sh.batch(ctx, "", sh.io.In)
}

// batchFile runs the commands of a file.
func (sh *Shell) batchFile(ctx context.Context, name string) error {
	if name == "-" {
		return sh.batch(ctx, "", sh.io.In)
	}
	doc, err := source.ReadFile(name)
	if err != nil {
		return err
	}
	return sh.batch(ctx, name, strings.NewReader(string(doc)))
}

// batch runs all commands of a text. The first error ends it: what was edited
// but not committed by then is dropped.
func (sh *Shell) batch(ctx context.Context, name string, r io.Reader) error {
	text, err := io.ReadAll(io.LimitReader(r, cib.DefaultMaxBytes))
	if err != nil {
		return exit.With(exit.NoInput, err)
	}
	statements, err := clitext.Statements(string(text))
	if err != nil {
		return exit.With(exit.Usage, placed(err, name, 0))
	}
	for _, s := range statements {
		if err := sh.run(ctx, s); err != nil {
			sh.edit = nil
			return placed(err, name, s.Line())
		}
		if sh.ended || ctx.Err() != nil {
			break
		}
	}
	return errors.Join(sh.leave(ctx, sh.root), ctx.Err())
}

// placed puts the file and line of a batch before an error that does not name them.
func placed(err error, name string, line int) error {
	where := ""
	if _, has := errors.AsType[*clitext.SyntaxError](err); !has {
		where = fmt.Sprintf("line %d: ", line)
	}
	if name != "" {
		where = name + ": " + where
	}
	if where == "" || errors.Is(err, errTold) {
		return err
	}
	return exit.With(exit.Of(err), fmt.Errorf("%s%w", where, err))
}
