// Package simulate is the tool crm_simulate: it reads a CIB, lets package crm/simulate
// pretend, plan and execute, and prints the report of package display.
package simulate

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"systole/crm/cib"
	"systole/crm/display"
	"systole/crm/exit"
	"systole/crm/isotime"
	"systole/crm/scheduler"
	"systole/crm/shell/options"
	"systole/crm/shell/source"
	"systole/crm/shell/tool"
	"systole/crm/simulate"
	"systole/crm/status"
	"systole/crm/transition"
)

// A run is short, so the garbage collector waits until there is as much memory as a document of that size is worth: the tree is
// about twice the text it refers to, the plan about as much again. 145 MB of XML take less than 700 MiB so.
const (
	memoryLeast   = 256 << 20 // bytes
	memoryPercent = 450       // of the size of the document
)

// Run is the program; see [tool.Tool].
func Run(ctx context.Context, stdio *tool.IO, args []string) int {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(memoryLeast))
	r, err := parse(args)
	switch {
	case err != nil:
	case r.help != "":
		stdio.Println(r.help)
	case r.version:
		stdio.Printf("Pacemaker %s\nsystole\n", options.Version)
	case r.profile != "":
		err = r.measure(ctx, stdio)
	default:
		err = r.perform(ctx, stdio, args)
	}
	if err != nil {
		stdio.Errorf("%s", source.Message(err))
	}
	return int(exit.Of(err))
}

// perform does one simulation from reading to printing.
func (r *request) perform(ctx context.Context, stdio *tool.IO, args []string) error {
	root, err := r.read(ctx, stdio)
	if err != nil {
		return err
	}
	if err := check(root, stdio.Err); err != nil {
		return err
	}
	present := time.Now()
	now, original, err := r.moment(root, present)
	if err != nil {
		return err
	}
	report := display.Simulation{
		Notices: r.notice(now, original),
		Scores:  r.scores, Utilization: r.capacity,
		Quiet: r.quiet, Plain: r.scores || r.capacity,
		PlanShown: r.run,
	}
	before := status.Unpack(root, now)
	report.Before = r.view(before, now)
	if len(r.changes) > 0 {
		root, report.Events, err = simulate.Inject(root, r.changes, present)
		if err != nil {
			return err
		}
		before = status.Unpack(root, now)
	}
	if err := r.save(stdio, r.saveInput, root); err != nil {
		return err
	}
	if r.run {
		report.Plan = scheduler.ScheduleStatus(before, scheduler.Options{Sanitized: true, TransitionID: 1})
		if err := r.saveGraphs(stdio, report.Plan); err != nil {
			return err
		}
	}
	if r.execute {
		done := simulate.Execute(root, report.Plan.Graph, simulate.ExecuteOptions{At: present, Fail: r.fail})
		report.Executed = &done
		if !r.quiet {
			report.After = r.view(status.Unpack(done.CIB, now), now)
			report.After.Options.NoPending = true
		}
		root = done.CIB
	}
	if err := r.save(stdio, r.saveOut, root); err != nil {
		return err
	}
	if r.inPlace {
		if err := r.save(stdio, r.file, root); err != nil {
			return err
		}
	}
	return r.print(stdio, &report, "crm_simulate "+strings.Join(args, " "))
}

// read is the CIB to plan for.
func (r *request) read(ctx context.Context, stdio *tool.IO) (*cib.Element, error) {
	if r.file == "" {
		c, err := source.Open(stdio.Getenv).ReadLocal(ctx)
		if err != nil {
			return nil, err
		}
		return c.Root(), nil
	}
	var doc []byte
	var err error
	if r.file == "-" {
		doc, err = source.ReadAll(stdio.In)
	} else {
		doc, err = source.ReadFile(r.file)
	}
	if err != nil {
		return nil, exit.Errorf(exit.NoInput, "read the CIB: %w", err)
	}
	debug.SetMemoryLimit(max(memoryLeast, int64(len(doc))*memoryPercent/100))
	root, err := cib.ParseInPlace(doc)
	if err != nil {
		return nil, exit.Errorf(exit.NoInput, "read the CIB from %s: %w", r.file, err)
	}
	if root.Name() != "cib" {
		return nil, exit.Errorf(exit.NoInput, "read the CIB from %s: the outermost element is %s, not cib", r.file, root.Name())
	}
	return root, nil
}

// check refuses a configuration that no cluster would take, after telling everything that
// is wrong with it. The status is not looked at.
func check(root *cib.Element, messages io.Writer) error {
	if root.Get("validate-with") == "none" {
		fmt.Fprintln(messages, `Schema validation of configuration is disabled (support for validate-with set to "none" is deprecated and will be removed in a future release)`)
		return nil
	}
	conf := root.Child("configuration")
	if conf == nil {
		return nil
	}
	upgraded, _, err := cib.Upgrade(root.WithChildren(conf, cib.New("status")))
	if err != nil {
		return exit.With(exit.Config, err)
	}
	problems := cib.Errors(cib.Validate(upgraded))
	for _, p := range problems {
		fmt.Fprintln(messages, p)
	}
	if len(problems) > 0 {
		return exit.Errorf(exit.Config, "the configuration is not valid, so there is nothing to plan; correct the above")
	}
	return nil
}

// moment is the time to plan for: -t, the moment a saved scheduler input was planned for
// (attribute execution-date of the CIB, seconds since the epoch), or the present.
func (r *request) moment(root *cib.Element, present time.Time) (at time.Time, original bool, err error) {
	if r.at != "" {
		at, err = isotime.Parse(r.at, present)
		return at, false, exit.With(exit.Usage, err)
	}
	if text, there := root.Lookup("execution-date"); there {
		seconds, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return present, false, exit.Errorf(exit.DataErr, "execution-date %q of the CIB is not a number of seconds", text)
		}
		return time.Unix(seconds, 0).UTC(), true, nil
	}
	return present, false, nil
}

func (r *request) view(s *status.Status, now time.Time) *display.View {
	show := display.ShowNodes | display.ShowResources
	if r.attrs {
		show |= display.ShowAttributes
	}
	if r.fails {
		show |= display.ShowFailCounts
	}
	return &display.View{Status: s, Updated: now, Options: display.Options{
		Dialect: display.Dialect302, Show: show, Inactive: true, Location: time.Local,
	}}
}

func (r *request) saveGraphs(stdio *tool.IO, plan *scheduler.Result) error {
	if r.graph != "" {
		var b bytes.Buffer
		if err := transition.WriteXML(&b, plan.Graph); err != nil {
			return err
		}
		if err := write(stdio, r.graph, b.Bytes()); err != nil {
			return err
		}
	}
	if r.dot == "" {
		return nil
	}
	drawing := plan.Graph.Drawing
	if r.all {
		drawing = display.WholeDrawing(plan)
	}
	var b bytes.Buffer
	if err := transition.WriteDOT(&b, drawing); err != nil {
		return err
	}
	return write(stdio, r.dot, b.Bytes())
}

// save writes a CIB; "" is nowhere and "-" standard output.
func (r *request) save(stdio *tool.IO, path string, root *cib.Element) error {
	if path == "" {
		return nil
	}
	return write(stdio, path, root.AppendXML(nil))
}

func write(stdio *tool.IO, path string, doc []byte) error {
	if path == "-" {
		_, err := stdio.Out.Write(doc)
		return exit.With(exit.IOErr, err)
	}
	if st, err := os.Stat(path); err == nil && !st.Mode().IsRegular() { // a pipe or /dev/null cannot be replaced
		return exit.With(exit.IOErr, os.WriteFile(path, doc, 0o600))
	}
	return exit.With(exit.IOErr, source.WriteFile(path, doc)) // in place: pcs keeps its temporary files open
}

// print writes the report where it is wanted.
func (r *request) print(stdio *tool.IO, report *display.Simulation, request string) error {
	out := stdio.Out
	if r.output != "-" && r.output != "" {
		var b bytes.Buffer
		if err := r.render(&b, report, request); err != nil {
			return err
		}
		return write(stdio, r.output, b.Bytes())
	}
	return r.render(out, report, request)
}

func (r *request) render(w io.Writer, report *display.Simulation, request string) error {
	if r.format == "xml" {
		return report.XML(w, request)
	}
	return report.Text(w)
}
