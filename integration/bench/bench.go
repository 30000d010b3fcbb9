// Package bench measures on a real cluster in namespaces what an administrator
// notices beside fail-over: how long a tool takes, how fast the resources of a dead
// node are started elsewhere, what an idle daemon costs, and how long three machines
// take from power-on to the page. It reports; it fails only where a figure is worse
// than five times its target.
package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"systole/integration/netlab"
	"systole/integration/stage"
)

// Options of [Run].
type Options struct {
	Resources int           // Dummy resources of the node that dies
	Calls     int           // of each tool
	Idle      time.Duration // how long the idle daemons are watched
}

// slack is how many times its target a figure may be on a busy machine.
const slack = 5

// patience bounds each wait.
const patience = 60 * time.Second

// figure is one measured thing beside its target, both in the unit.
type figure struct {
	what, unit    string
	value, target float64
	atLeast       bool // the target is a lower bound
}

func (f figure) bad() bool {
	if f.atLeast {
		return f.value < f.target/slack
	}
	return f.value > f.target*slack
}

func (f figure) String() string {
	sign := "≤"
	if f.atLeast {
		sign = "≥"
	}
	return fmt.Sprintf("%s\t%.1f %s\t%s %.0f %s", f.what, f.value, f.unit, sign, f.target, f.unit)
}

// trial is one run and what it has measured.
type trial struct {
	c       *stage.Cluster
	o       Options
	figures []figure
}

// Run measures everything and prints the table.
func Run(ctx context.Context, out io.Writer, so stage.Options, o Options) error {
	c, err := stage.Start(ctx, so)
	if c != nil {
		defer c.Lab.Close()
	}
	if err != nil {
		return err
	}
	watch, stop := context.WithCancel(ctx)
	defer stop()
	go c.Client.Run(watch)
	t := &trial{c: c, o: o}
	for _, part := range []func(context.Context) error{t.coldStart, t.tools, t.load, t.idle, t.deadNode} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	var bad []string
	for _, f := range t.figures {
		fmt.Fprintln(table, f)
		if f.bad() {
			bad = append(bad, f.what)
		}
	}
	table.Flush()
	if len(bad) > 0 {
		return fmt.Errorf("worse than %d times the target: %s", slack, strings.Join(bad, ", "))
	}
	return nil
}

func (t *trial) note(f figure) { t.figures = append(t.figures, f) }

// coldStart cuts the power of all nodes of a serving cluster and switches them on together.
func (t *trial) coldStart(ctx context.Context) error {
	start := time.Now()
	if err := t.c.Configure(ctx, t.c.GroupText()); err != nil {
		return err
	}
	if !t.served(ctx, start) {
		return errors.New("the page was not served after the group was configured")
	}
	for _, n := range t.c.Nodes {
		n.PowerCut()
	}
	start = time.Now()
	for _, n := range t.c.Nodes {
		if err := t.c.Boot(n); err != nil {
			return err
		}
	}
	if !t.served(ctx, start) {
		return fmt.Errorf("the page was not served within %v after all nodes were switched on", patience)
	}
	t.note(figure{what: "cold start of three nodes to the page", unit: "ms", value: millis(time.Since(start)), target: 3000})
	return t.c.AwaitOnline(ctx)
}

func (t *trial) served(ctx context.Context, since time.Time) bool {
	return t.c.Client.Await(ctx, since, patience, func(string) bool { return true })
}

// tools times whole processes that write durably, on the DC and elsewhere.
func (t *trial) tools(ctx context.Context) error {
	dc := t.c.DC(ctx)
	for _, n := range t.c.Nodes {
		where := "on " + n.Name
		if n == dc {
			where += ", the DC"
		}
		var took []time.Duration
		for i := range t.o.Calls {
			start := time.Now()
			if _, err := t.c.Tool(ctx, n, "crm_attribute", "--name", "bench", "--update", fmt.Sprint(i)); err != nil {
				return err
			}
			took = append(took, time.Since(start))
		}
		slices.Sort(took)
		t.note(figure{what: "crm_attribute, a process, " + where + " (median)", unit: "ms", value: millis(took[len(took)/2]), target: 15})
	}
	return nil
}

// victim is the node that will die: neither the DC nor the one that serves the page.
func (t *trial) victim(ctx context.Context) (*netlab.Node, error) {
	dc := t.c.DC(ctx)
	page, _ := t.c.Client.Last()
	for _, n := range t.c.Nodes {
		if n != dc && n.Name != page.Body {
			return n, nil
		}
	}
	return nil, errors.New("no node is free to die")
}

// load configures the Dummy resources, all on the victim. Their monitors are far
// apart, so that the idle daemons are idle: an agent's process costs more than all else.
func (t *trial) load(ctx context.Context) error {
	victim, err := t.victim(ctx)
	if err != nil {
		return err
	}
	agent := "ocf:heartbeat:Dummy"
	if _, err := os.Stat("/usr/lib/ocf/resource.d/heartbeat/Dummy"); err != nil {
		agent = "ocf:systole:Dummy"
	}
	var text strings.Builder
	for i := range t.o.Resources {
		fmt.Fprintf(&text, "primitive d%d %s op monitor interval=10min\nlocation on-d%d d%d 1000: %s\n", i, agent, i, i, victim.Name)
	}
	start := time.Now()
	if err := t.c.Configure(ctx, text.String()); err != nil {
		return err
	}
	return t.rate(ctx, "first starts of "+agent, start)
}

// rate waits for as many starts as there are resources and notes their rate.
func (t *trial) rate(ctx context.Context, what string, since time.Time) error {
	for end := time.Now().Add(patience); ; {
		count, first, last := t.c.StartsSince(since)
		if count >= t.o.Resources {
			t.note(figure{what: fmt.Sprintf("%s, %d", what, count), unit: "/s", value: float64(count) / last.Sub(first).Seconds(), target: 50, atLeast: true})
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("%s: %d of %d within %v", what, count, t.o.Resources, patience)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// idle watches the daemons while nothing happens but heartbeats and the web server's monitor.
func (t *trial) idle(ctx context.Context) error {
	if _, err := t.c.Tool(ctx, t.c.Nodes[0], "crm_resource", "--wait"); err != nil {
		return err
	}
	before := map[*netlab.Node]stage.Usage{}
	for _, n := range t.c.Nodes {
		u, err := t.c.DaemonUsage(ctx, n)
		if err != nil {
			return err
		}
		before[n] = u
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(t.o.Idle):
	}
	for _, n := range t.c.Nodes {
		u, err := t.c.DaemonUsage(ctx, n)
		if err != nil {
			return err
		}
		share := float64(u.CPU-before[n].CPU) / float64(t.o.Idle)
		t.note(figure{what: "memory of idle systoled on " + n.Name, unit: "MB", value: float64(u.RSS) / 1e6, target: 60})
		t.note(figure{what: "CPU of idle systoled on " + n.Name, unit: "%", value: 100 * share, target: 1})
	}
	return nil
}

// deadNode cuts the power of the node with the resources.
func (t *trial) deadNode(ctx context.Context) error {
	victim, err := t.victim(ctx)
	if err != nil {
		return err
	}
	start := time.Now()
	victim.PowerCut()
	return t.rate(ctx, "restarts of a dead node's resources", start)
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
