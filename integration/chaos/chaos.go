// Package chaos strikes a real cluster in namespaces with seeded faults and
// looks, on the wire and in what was acknowledged, whether it ever broke a
// promise: two nodes answering for one address, or an acknowledged write lost.
// At the end everything is healed and the cluster must converge.
package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"systole/integration/netlab"
	"systole/integration/stage"
)

// Options of [Run].
type Options struct {
	Seed int64
	Time time.Duration // how long faults are injected
}

const (
	healWithin = 30 * time.Second // bound on converging after the last fault
	maxFaults  = 10000            // bound on the loop, far above what fits into any Time
)

// fault is one kind of strike. It is undone by undo after a random while.
type fault struct {
	name     string
	strike   func(*stage.Cluster, *netlab.Node) error
	undo     func(*stage.Cluster, *netlab.Node) error
	min, max time.Duration // how long until undo
}

func faults() []fault {
	nothing := func(*stage.Cluster, *netlab.Node) error { return nil }
	cut := func(d netlab.Direction) func(*stage.Cluster, *netlab.Node) error {
		return func(_ *stage.Cluster, n *netlab.Node) error { return n.Cut(d) }
	}
	mend := func(_ *stage.Cluster, n *netlab.Node) error { return n.Mend() }
	restart := func(c *stage.Cluster, n *netlab.Node) error { return c.StartDaemon(n) }
	return []fault{
		{"power cut", func(_ *stage.Cluster, n *netlab.Node) error { n.PowerCut(); return nil },
			(*stage.Cluster).Boot, 500 * time.Millisecond, 3 * time.Second},
		{"cable cut", cut(netlab.Both), mend, 200 * time.Millisecond, 3 * time.Second},
		{"one-way cut, sending", cut(netlab.Sending), mend, 200 * time.Millisecond, 3 * time.Second},
		{"one-way cut, receiving", cut(netlab.Receiving), mend, 200 * time.Millisecond, 3 * time.Second},
		{"node frozen", func(_ *stage.Cluster, n *netlab.Node) error { return n.Freeze() },
			func(_ *stage.Cluster, n *netlab.Node) error { return n.Thaw() }, 50 * time.Millisecond, 3 * time.Second},
		{"daemon killed", func(c *stage.Cluster, n *netlab.Node) error { return c.SignalDaemon(n, syscall.SIGKILL) },
			restart, 10 * time.Millisecond, 2 * time.Second},
		{"web server killed", func(c *stage.Cluster, n *netlab.Node) error {
			c.KillWeb(n) // where it does not run there is nothing to kill
			return nil
		}, nothing, 100 * time.Millisecond, 500 * time.Millisecond},
	}
}

// Run plays chaos and prints what happened; the error says which promise broke.
func Run(ctx context.Context, out io.Writer, so stage.Options, o Options) error {
	if o.Seed == 0 {
		o.Seed = time.Now().UnixNano() % 1_000_000
	}
	fmt.Fprintf(out, "chaos: seed %d, %v; repeat with: make chaos SEED=%d TIME=%v\n", o.Seed, o.Time, o.Seed, o.Time)
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
	clientDone := make(chan struct{})
	go func() { c.Client.Run(watch); close(clientDone) }()
	if err := c.Configure(ctx, c.GroupText()); err != nil {
		return err
	}
	if !c.Client.Await(ctx, time.Now(), healWithin, func(string) bool { return true }) {
		return errors.New("the page was not served before any fault")
	}

	writer := newWriter(c)
	writing, stopWriting := context.WithCancel(watch)
	defer stopWriting()
	written := make(chan struct{})
	go func() { writer.run(writing); close(written) }()

	counts, err := strikes(ctx, out, c, o)
	if err == nil {
		err = heal(ctx, c)
	}
	stopWriting()
	<-written
	err = errors.Join(err, writer.verify(ctx))
	stop()
	<-clientDone
	err = errors.Join(err, <-watched)
	report(out, c, counts, writer)
	if v := c.Wire.Violations(); len(v) > 0 {
		err = errors.Join(err, fmt.Errorf("two nodes answered for the address:\n  %s", strings.Join(v, "\n  ")))
	}
	if err != nil {
		return fmt.Errorf("chaos with seed %d: %w", o.Seed, err)
	}
	_, err = fmt.Fprintln(out, "chaos: ok")
	return err
}

// strikes injects faults one after another, sometimes two at a time on different
// nodes, until the time is over; then everything is undone.
func strikes(ctx context.Context, out io.Writer, c *stage.Cluster, o Options) (map[string]int, error) {
	random := rand.New(rand.NewPCG(uint64(o.Seed), 0))
	counts := map[string]int{}
	kinds := faults()
	began := time.Now()
	for i := 0; i < maxFaults && time.Since(began) < o.Time; i++ {
		struck := random.Perm(len(c.Nodes))[:1+random.IntN(2)*random.IntN(2)]
		var undo []func() error
		for _, which := range struck {
			n, f := c.Nodes[which], kinds[random.IntN(len(kinds))]
			if random.IntN(2) == 0 {
				if owner := c.Owner(); owner != nil && len(struck) == 1 {
					n = owner // the node that serves is worth striking
				}
			}
			fmt.Fprintf(out, "%6.1fs %-24s %s\n", time.Since(began).Seconds(), f.name, n.Name)
			counts[f.name]++
			if err := f.strike(c, n); err != nil {
				return counts, fmt.Errorf("%s on %s: %w", f.name, n.Name, err)
			}
			if err := sleep(ctx, f.min+time.Duration(random.Int64N(int64(f.max-f.min)))); err != nil {
				return counts, err
			}
			undo = append(undo, func() error { return f.undo(c, n) })
		}
		for _, u := range undo {
			if err := u(); err != nil {
				return counts, err
			}
		}
		if err := sleep(ctx, time.Duration(random.Int64N(int64(2*time.Second)))); err != nil {
			return counts, err
		}
	}
	return counts, nil
}

// heal waits until all nodes are members again and the page is served.
func heal(ctx context.Context, c *stage.Cluster) error {
	healed, cancel := context.WithTimeoutCause(ctx, healWithin, fmt.Errorf("not healed %v after the last fault", healWithin))
	defer cancel()
	if err := c.AwaitOnline(healed); err != nil {
		return err
	}
	if !c.Client.Await(healed, time.Now(), healWithin, func(string) bool { return true }) {
		return context.Cause(healed)
	}
	return nil
}

func report(out io.Writer, c *stage.Cluster, counts map[string]int, w *writer) {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	total := 0
	for _, f := range faults() {
		fmt.Fprintf(table, "%s\t%d\n", f.name, counts[f.name])
		total += counts[f.name]
	}
	probes, answered := c.Wire.Asked()
	asked, good := c.Client.Counts()
	fmt.Fprintf(table, "faults\t%d\nmoves of the address\t%d\nprobes answered\t%d of %d\npages got\t%d of %d\nwrites acknowledged\t%d\n",
		total, len(c.Wire.Speakers())-1, answered, probes, good, asked, w.acknowledged)
	table.Flush()
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
