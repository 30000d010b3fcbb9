// Command parity measures how far the scheduler's decisions and texts equal the
// reference's on a directory of scheduler cases, by area. `make parity CASES=DIR` runs it.
//
// The directory holds MANIFEST.tsv and the folders xml, summary, scores, dot, exp and
// perhaps stderr, each with a file NAME.FOLDER for every case. The cases are no part of this
// project; without them the command says so and fails, and the golden cases of the
// scheduler still run.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// Result is one case measured.
type Result struct {
	Case
	Verdict
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "parity:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	f := flag.NewFlagSet("parity", flag.ContinueOnError)
	dir := f.String("cases", "", "directory of `cases`")
	command := f.String("cmd", "", "`program` to measure, with arguments; none: ours, in this process")
	columns := f.String("cols", "sem,plan,summary,scores,dot,exp,graph,upstream", "`measures` to print, or all: "+strings.Join(Measures, " "))
	floor := f.String("floor", "", "`file` of passes each area must have at least")
	raise := f.Bool("raise", false, "write the present figures into the floor file")
	failures := f.String("failures", "", "name the cases that fail any of these `measures`")
	only := f.String("area", "", "measure only this `area`")
	jobs := f.Int("jobs", runtime.GOMAXPROCS(0), "cases at once")
	out := f.String("json", "", "write every verdict into `file`")
	keep := f.String("keep", "", "keep what was printed below this `directory`")
	timeout := f.Duration("timeout", time.Minute, "for one run")
	if err := f.Parse(args); err != nil {
		return err
	}
	if *dir == "" {
		return fmt.Errorf("no directory of cases: give it with -cases (make parity CASES=DIR)")
	}
	cases, err := load(*dir)
	if err != nil {
		return fmt.Errorf("no scheduler cases: %w", err)
	}
	cases = slices.DeleteFunc(cases, func(c Case) bool { return *only != "" && c.Area != *only })
	p, err := find(strings.Fields(*command))
	if err != nil {
		return err
	}
	start := time.Now()
	results, err := measure(ctx, p, *dir, cases, *jobs, *timeout, *keep)
	if err != nil {
		return err
	}
	cols := strings.Split(*columns, ",")
	if *columns == "all" {
		cols = Measures
	}
	printTable(os.Stdout, results, cols)
	fmt.Printf("%d cases in %.1f s\n", len(results), time.Since(start).Seconds())
	if *failures != "" {
		printFailures(os.Stdout, results, strings.Split(*failures, ","))
	}
	if *out != "" {
		b, err := json.MarshalIndent(results, "", " ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(*out, append(b, '\n'), 0o644); err != nil {
			return err
		}
	}
	switch {
	case *floor == "":
		return nil
	case *raise:
		return writeFloor(*floor, results)
	}
	return checkFloor(*floor, results)
}

// measure runs all cases, several at once, and keeps their order.
func measure(ctx context.Context, p program, dir string, cases []Case, jobs int, timeout time.Duration, keep string) ([]Result, error) {
	scratch, err := os.MkdirTemp("", "parity-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(scratch)
	results := make([]Result, len(cases))
	errs := make([]error, len(cases))
	var wg sync.WaitGroup
	slots := make(chan struct{}, max(jobs, 1))
	for i, c := range cases {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			results[i], errs[i] = measureOne(ctx, p, dir, c, scratch, timeout, keep)
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return results, ctx.Err()
}

func measureOne(ctx context.Context, p program, dir string, c Case, scratch string, timeout time.Duration, keep string) (Result, error) {
	want, err := expected(dir, c)
	if err != nil {
		return Result{}, err
	}
	got, err := p.runCase(ctx, dir, c, scratch, timeout)
	if err != nil {
		return Result{}, err
	}
	if keep != "" {
		if err := keepOutputs(keep, c, got); err != nil {
			return Result{}, err
		}
	}
	return Result{Case: c, Verdict: Compare(want, got)}, nil
}

// keepOutputs writes what a case printed, in the folders of the expected outputs.
func keepOutputs(dir string, c Case, o Outputs) error {
	for kind, text := range map[string]string{"summary": o.Summary, "scores": o.Scores, "dot": o.Dot, "exp": o.Exp, "stderr": o.Stderr} {
		if err := os.MkdirAll(filepath.Join(dir, kind), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, kind, c.Name+"."+kind), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}
