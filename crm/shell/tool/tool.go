// Package tool is the frame of every program in the multi-call binary: a tool is
// a function of a context, its surroundings and its arguments, and its result is
// an exit status. Tools never call os.Exit, never read os.Args or os.Environ,
// and never write to os.Stdout; so a test runs them like any other function.
package tool

import (
	"context"
	"fmt"
	"io"
	"os"
)

// IO is what a tool sees of the process it runs in. It is handed down and not
// changed; a tool that starts a second one with other streams copies it.
type IO struct {
	In       io.Reader
	Out, Err io.Writer
	// Env looks up one environment variable, "" when it is not set.
	Env func(string) string
	// Terminal says that a person watches Out: colour and redrawing are welcome.
	Terminal bool
	// Name is the name the tool was called by, as it stands in its messages.
	Name string
}

// Tool runs one program and returns its exit status (the table of package exit).
// It returns soon after ctx is done.
type Tool func(ctx context.Context, stdio *IO, args []string) int

// OS is the IO of this process, for main functions.
func OS(name string) *IO {
	return &IO{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Env: os.Getenv, Terminal: isTerminal(os.Stdout), Name: name}
}

func isTerminal(f *os.File) bool {
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0
}

// Getenv looks up a variable; a nil Env is an empty environment.
func (t *IO) Getenv(name string) string {
	if t.Env == nil {
		return ""
	}
	return t.Env(name)
}

// Printf writes to Out. A write error (a closed pipe) is of no interest to a
// tool: what it did is done, and its exit status says so.
func (t *IO) Printf(format string, args ...any) { fmt.Fprintf(t.Out, format, args...) }

// Println writes one line to Out.
func (t *IO) Println(args ...any) { fmt.Fprintln(t.Out, args...) }

// Errorf writes one message to Err, prefixed with the tool's name and ended with a newline.
func (t *IO) Errorf(format string, args ...any) {
	if t.Name != "" {
		fmt.Fprintf(t.Err, "%s: ", t.Name)
	}
	fmt.Fprintf(t.Err, format+"\n", args...)
}
