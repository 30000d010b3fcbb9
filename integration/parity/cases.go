package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	simulation "systole/crm/shell/simulate"
	"systole/crm/shell/tool"
)

// Case is one input of the suite.
type Case struct {
	Name, Area, Title string
	Args              []string
}

// load reads MANIFEST.tsv: name, area, title, arguments joined by bars.
func load(dir string) ([]Case, error) {
	b, err := os.ReadFile(filepath.Join(dir, "MANIFEST.tsv"))
	if err != nil {
		return nil, err
	}
	var cases []Case
	for line := range strings.Lines(string(b)) {
		f := append(strings.Split(strings.TrimRight(line, "\n"), "\t"), "", "", "")
		if f[0] == "name" || f[0] == "" {
			continue
		}
		c := Case{Name: f[0], Area: f[1], Title: f[2]}
		if f[3] != "" {
			c.Args = strings.Split(f[3], "|")
		}
		cases = append(cases, c)
	}
	if len(cases) == 0 {
		return nil, fmt.Errorf("%s names no cases", filepath.Join(dir, "MANIFEST.tsv"))
	}
	return cases, nil
}

// expected reads what the suite wants of a case; a missing file is empty.
func expected(dir string, c Case) (Outputs, error) {
	var o Outputs
	for kind, into := range map[string]*string{"summary": &o.Summary, "scores": &o.Scores, "dot": &o.Dot, "exp": &o.Exp, "stderr": &o.Stderr} {
		b, err := os.ReadFile(filepath.Join(dir, kind, c.Name+"."+kind))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return o, err
		}
		*into = strings.ToValidUTF8(string(b), "\uFFFD")
	}
	return o, nil
}

// program runs crm_simulate: nil is our own, in this process; else the named one.
type program []string

// find names a program so that it is found from every directory: each case runs in its own.
func find(words []string) (program, error) {
	if len(words) == 0 {
		return nil, nil
	}
	path, err := exec.LookPath(words[0])
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		return nil, fmt.Errorf("the program to measure: %w (remedy: make build)", err)
	}
	return append(program{path}, words[1:]...), nil
}

// runCase runs a case as the suite's driver does: once for the summary, once for scores,
// drawing and graph.
func (p program) runCase(ctx context.Context, dir string, c Case, scratch string, timeout time.Duration) (Outputs, error) {
	xml, err := filepath.Abs(filepath.Join(dir, "xml", c.Name+".xml"))
	if err != nil {
		return Outputs{}, err
	}
	work := filepath.Join(scratch, c.Name)
	if err := os.MkdirAll(work, 0o700); err != nil {
		return Outputs{}, err
	}
	defer os.RemoveAll(work)
	dot, graph := filepath.Join(work, "dot"), filepath.Join(work, "graph")
	var o Outputs
	var merged, scores, stderr bytes.Buffer
	o.Status1 = p.call(ctx, work, timeout, &merged, &merged, append([]string{"-x", xml, "-S"}, c.Args...))
	o.Status2 = p.call(ctx, work, timeout, &scores, &stderr, append([]string{"-x", xml, "-D", dot, "-G", graph, "-sSQ"}, c.Args...))
	o.Summary, o.Scores, o.Stderr = merged.String(), scores.String(), stderr.String()
	if b, err := os.ReadFile(dot); err == nil {
		o.Dot = string(b)
	}
	if b, err := os.ReadFile(graph); err == nil {
		o.Exp = string(b)
	}
	return o, nil
}

// call is one run; a program that cannot be run or takes too long has status -1.
func (p program) call(ctx context.Context, work string, timeout time.Duration, out, errs *bytes.Buffer, args []string) int {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if p == nil {
		return callOurs(ctx, out, errs, args)
	}
	cmd := exec.CommandContext(ctx, p[0], append(p[1:len(p):len(p)], args...)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = work, out, errs
	cmd.Env = append(os.Environ(), "LC_ALL=C", "CIB_shadow_dir="+work)
	if err := cmd.Run(); err != nil {
		return exitStatus(cmd.ProcessState)
	}
	return 0
}

// callOurs runs our own program in this process. Scheduling cannot be interrupted, so one that
// takes too long is left behind and its output with it; the process ends soon anyway.
func callOurs(ctx context.Context, out, errs *bytes.Buffer, args []string) int {
	type answer struct {
		code      int
		out, errs bytes.Buffer
	}
	done := make(chan *answer, 1)
	merged := out == errs
	go func() {
		var a answer
		stdio := &tool.IO{In: strings.NewReader(""), Out: &a.out, Err: &a.errs}
		if merged {
			stdio.Err = &a.out
		}
		a.code = simulation.Run(ctx, stdio, args)
		done <- &a
	}()
	select {
	case a := <-done:
		out.Write(a.out.Bytes())
		errs.Write(a.errs.Bytes())
		return a.code
	case <-ctx.Done():
		return -1
	}
}

// exitStatus is the exit status of a process, -1 when it never ran or was ended by a signal.
func exitStatus(st *os.ProcessState) int {
	if st == nil {
		return -1
	}
	return st.ExitCode()
}
