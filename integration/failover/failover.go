// Package failover measures how long a client goes without an answer, cause by
// cause, on a real cluster in namespaces: from the last good answer to the first
// good one, with a new connection every 5 ms. It is a benchmark: it fails only
// when the page does not come back at all or two nodes answer for the address.
package failover

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"systole/integration/netlab"
	"systole/integration/stage"
)

// Options of [Run].
type Options struct {
	Trials       int
	DetectWithin time.Duration
	Only         []string // names of causes; all if empty
}

// patience bounds each wait for the page or for a node.
const patience = 20 * time.Second

// quiet is how long the cluster rests between healing and the next trial, so
// that one trial's heartbeats, announcements and page cache do not help the next.
const quiet = 700 * time.Millisecond

// cause is one way to lose the service.
type cause struct {
	name string
	// onDC: the service must be on the DC (true) or off it (false); nil does not matter.
	onDC *bool
	// happen strikes the node that serves; heal undoes it.
	happen, heal func(context.Context, *stage.Cluster, *netlab.Node) error
	moves        bool // the page must come from another node
}

func yes() *bool { v := true; return &v }
func no() *bool  { v := false; return &v }

func causes() []cause {
	cut := func(_ context.Context, _ *stage.Cluster, n *netlab.Node) error { n.PowerCut(); return nil }
	boot := func(_ context.Context, c *stage.Cluster, n *netlab.Node) error { return c.Boot(n) }
	nothing := func(context.Context, *stage.Cluster, *netlab.Node) error { return nil }
	crm := func(verb string) func(context.Context, *stage.Cluster, *netlab.Node) error {
		return func(ctx context.Context, c *stage.Cluster, n *netlab.Node) error {
			_, err := c.Crm(ctx, n, "node", verb, n.Name)
			return err
		}
	}
	return []cause{
		{"power loss of a follower", no(), cut, boot, true},
		{"power loss of the DC", yes(), cut, boot, true},
		{"link cut of a follower", no(),
			func(_ context.Context, _ *stage.Cluster, n *netlab.Node) error { return n.Cut(netlab.Both) },
			func(_ context.Context, _ *stage.Cluster, n *netlab.Node) error { return n.Mend() }, true},
		{"web server killed", nil,
			func(_ context.Context, c *stage.Cluster, n *netlab.Node) error { return c.KillWeb(n) }, nothing, false},
		{"standby", nil, crm("standby"), crm("online"), true},
	}
}

// Run measures every cause and prints the table.
func Run(ctx context.Context, out io.Writer, so stage.Options, o Options) error {
	so.DetectWithin = o.DetectWithin
	start := time.Now()
	c, err := stage.Start(ctx, so)
	if c != nil {
		defer c.Lab.Close()
	}
	if err != nil {
		return err
	}
	watch, stop := context.WithCancel(ctx)
	defer stop()
	watched := make(chan error, 1)
	go func() { watched <- c.Wire.Run(watch) }()
	go c.Client.Run(watch)
	configured := time.Now()
	if err := c.Configure(ctx, c.GroupText()); err != nil {
		return err
	}
	if !c.Client.Await(ctx, configured, patience, func(string) bool { return true }) {
		return errors.New("the page was not served after the group was configured")
	}
	fmt.Fprintf(out, "detect-within %v, %s; %d trials each\ncold start of three nodes to the page: %v\n",
		o.DetectWithin, so.Web.Note(), o.Trials, time.Since(start).Round(10*time.Millisecond))

	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "cause\tmedian ms\tmin\tmax\tdetect\tdecide\tstart\tannounce")
	for _, cause := range causes() {
		if len(o.Only) > 0 && !slices.ContainsFunc(o.Only, func(s string) bool { return strings.Contains(cause.name, s) }) {
			continue
		}
		var r results
		for range o.Trials {
			if err := r.trial(ctx, c, cause); err != nil {
				return fmt.Errorf("%s: %w", cause.name, err)
			}
		}
		r.print(table, cause.name)
		table.Flush()
	}
	stop()
	if v := c.Wire.Violations(); len(v) > 0 {
		return fmt.Errorf("two nodes answered for the address:\n  %s", strings.Join(v, "\n  "))
	}
	return <-watched
}

// results of the trials of one cause.
type results struct {
	outages []time.Duration
	phases  []stage.Phases
}

func (r *results) trial(ctx context.Context, c *stage.Cluster, cause cause) error {
	ctx, cancel := context.WithTimeout(ctx, 3*patience)
	defer cancel()
	if err := place(ctx, c, cause.onDC); err != nil {
		return err
	}
	time.Sleep(quiet)
	active := c.Owner()
	since := time.Now()
	if err := cause.happen(ctx, c, active); err != nil {
		return err
	}
	served := func(body string) bool { return !cause.moves || body != active.Name }
	if !c.Client.Await(ctx, since, patience, served) {
		return fmt.Errorf("the page was not served again within %v after %s was struck", patience, active.Name)
	}
	time.Sleep(quiet / 2)
	r.outages = append(r.outages, c.Client.Outage(since))
	r.phases = append(r.phases, c.PhasesSince(since))
	if err := cause.heal(ctx, c, active); err != nil {
		return err
	}
	return c.AwaitOnline(ctx)
}

// place brings the service where the cause wants it.
func place(ctx context.Context, c *stage.Cluster, onDC *bool) error {
	dc := c.DC(ctx)
	active := c.Owner()
	if dc == nil || active == nil {
		return errors.New("there is no DC, or nobody serves")
	}
	if onDC == nil || *onDC == (dc == active) {
		return nil
	}
	want := dc
	for _, n := range c.Nodes {
		if !*onDC && n != dc {
			want = n
		}
	}
	moved := time.Now()
	if _, err := c.Crm(ctx, want, "resource", "move", stage.Group, want.Name); err != nil {
		return err
	}
	if !c.Client.Await(ctx, moved, patience, func(body string) bool { return body == want.Name }) {
		return fmt.Errorf("the group did not move to %s", want.Name)
	}
	_, err := c.Crm(ctx, want, "resource", "clear", stage.Group)
	return err
}

func (r *results) print(w io.Writer, name string) {
	slices.Sort(r.outages)
	ms := func(d time.Duration) int64 { return d.Milliseconds() }
	fmt.Fprintf(w, "%s\t%d\t%d\t%d", name, ms(median(r.outages)), ms(r.outages[0]), ms(r.outages[len(r.outages)-1]))
	for _, phase := range stage.PhaseNames {
		var ds []time.Duration
		for _, p := range r.phases {
			if d, ok := p[phase]; ok {
				ds = append(ds, d)
			}
		}
		if len(ds) == 0 {
			fmt.Fprint(w, "\t-")
			continue
		}
		slices.Sort(ds)
		fmt.Fprintf(w, "\t%d", ms(median(ds)))
	}
	fmt.Fprintln(w)
}

// median of a sorted list.
func median(sorted []time.Duration) time.Duration { return sorted[len(sorted)/2] }
