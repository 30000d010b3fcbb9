package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"systole/integration/stage"
)

const (
	// patience bounds an outage: one as long as this is a failure.
	patience = 10 * time.Second
	// comingUp bounds what a busy machine may take to start something.
	comingUp = time.Minute
)

// story is the demo: four things that happen to a cluster, each with what the
// client saw of it and why the cluster did what it did.
type story struct {
	keep   bool
	broken string

	c       *stage.Cluster
	out     io.Writer
	bold    func(string) string
	outages []string
}

func (s *story) run(ctx context.Context, o stage.Options) error {
	s.out, s.bold = os.Stdout, boldOnTerminal(os.Stdout)
	switch s.broken {
	case "", "owners":
	case "announce":
		o.Mute = true
	default:
		return fmt.Errorf("--break %s: it can be announce or owners", s.broken)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, 2*time.Minute, errors.New("the demo took longer than two minutes"))
	defer cancel()

	s.say("Three nodes, one virtual address (%s), %s.", stage.VIP.Addr(), o.Web.Note())
	start := time.Now()
	c, err := stage.Start(ctx, o)
	if c != nil {
		defer c.Lab.Close()
	}
	if err != nil {
		return err
	}
	s.c = c
	s.say("The cluster formed in %v.", round(time.Since(start)))

	watch, stopWatch := context.WithCancel(ctx)
	watched := make(chan error, 1)
	go func() { watched <- c.Wire.Run(watch) }()
	asked := make(chan struct{})
	go func() { c.Client.Run(watch); close(asked) }()
	err = s.acts(ctx)
	stopWatch()
	<-asked
	err = errors.Join(err, <-watched, s.verdict())
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "\noutages: %s\ndemo: ok\n", strings.Join(s.outages, ", "))
	if s.keep {
		s.howToTalk()
		return serveUntilDown(context.WithoutCancel(ctx), o.Dir)
	}
	return nil
}

func (s *story) acts(ctx context.Context) error {
	if err := s.firstStart(ctx); err != nil {
		return err
	}
	for _, act := range []func(context.Context) error{s.standby, s.killWeb, s.powerCut, s.bootAgain} {
		if err := act(ctx); err != nil {
			return err
		}
		if s.broken == "owners" {
			return s.forceSecondOwner(ctx)
		}
	}
	return nil
}

func (s *story) firstStart(ctx context.Context) error {
	start := time.Now()
	if err := s.c.Configure(ctx, s.c.GroupText()); err != nil {
		return err
	}
	if !s.c.Client.Await(ctx, start, comingUp, anyBody) {
		return errors.New("the page was not served after the group was configured")
	}
	s.say("The group was configured and served %v later.\n", round(time.Since(start)))
	status, err := s.c.Crm(ctx, s.c.Nodes[0], "status")
	fmt.Fprintln(s.out, indent(status))
	return err
}

func (s *story) standby(ctx context.Context) error {
	active := s.c.Owner()
	s.act("Planned standby of %s, which is serving.", active.Name)
	err := s.event(ctx, "standby", func() error {
		_, err := s.c.Crm(ctx, active, "node", "standby", active.Name)
		return err
	}, func(body string) bool { return body != active.Name })
	if err != nil {
		return err
	}
	_, err = s.c.Crm(ctx, active, "node", "online", active.Name)
	return err
}

func (s *story) killWeb(ctx context.Context) error {
	active := s.c.Owner()
	s.act("The web server on %s is killed.", active.Name)
	return s.event(ctx, "web server killed", func() error { return s.c.KillWeb(active) }, anyBody)
}

func (s *story) powerCut(ctx context.Context) error {
	active := s.c.Owner()
	s.act("The power of %s is cut.", active.Name)
	return s.event(ctx, "power cut", func() error { active.PowerCut(); return nil },
		func(body string) bool { return body != active.Name })
}

func (s *story) bootAgain(ctx context.Context) error {
	for _, n := range s.c.Nodes {
		if n.Running() {
			continue
		}
		s.act("%s is switched on again.", n.Name)
		if err := s.event(ctx, "boot", func() error {
			if err := s.c.Boot(n); err != nil {
				return err
			}
			wait, cancel := context.WithTimeoutCause(ctx, comingUp, fmt.Errorf("%s did not come back within %v", n.Name, comingUp))
			defer cancel()
			return s.c.AwaitOnline(wait)
		}, anyBody); err != nil {
			return err
		}
	}
	return nil
}

// event lets something happen, waits for the page, and says how long it was
// away, who serves it now and why there.
func (s *story) event(ctx context.Context, what string, happen func() error, served func(body string) bool) error {
	since := time.Now()
	if err := happen(); err != nil {
		return err
	}
	if !s.c.Client.Await(ctx, since, patience, served) {
		return fmt.Errorf("%s: the page was not served again within %v", what, patience)
	}
	time.Sleep(settle)
	outage := s.c.Client.Outage(since)
	last, _ := s.c.Client.Last()
	s.outages = append(s.outages, fmt.Sprintf("%s %d ms", what, outage.Milliseconds()))
	fmt.Fprintf(s.out, "   outage %s, served by %s\n", s.bold(fmt.Sprintf("%d ms", outage.Milliseconds())), last.Body)
	why, err := s.c.Crm(ctx, s.c.Node(last.Body), "explain", stage.Group)
	fmt.Fprintln(s.out, indent(firstLines(why, 4)))
	return err
}

// settle lets an outage that comes late still be seen before the next act.
const settle = 300 * time.Millisecond

// verdict looks at what the wire and the client saw in all.
func (s *story) verdict() error {
	if v := s.c.Wire.Violations(); len(v) > 0 {
		return fmt.Errorf("two nodes answered for %s:\n  %s", stage.VIP.Addr(), strings.Join(v, "\n  "))
	}
	probes, answered := s.c.Wire.Asked()
	questions, pages := s.c.Client.Counts()
	if answered == 0 || pages == 0 {
		return fmt.Errorf("nothing was proved: %d of %d probes and %d of %d pages were answered", answered, probes, pages, questions)
	}
	s.say("\nThe wire was asked %d times who has the address: never two answers. The client got %d of %d pages.", probes, pages, questions)
	return nil
}

// forceSecondOwner is a break on purpose: the verdict must find it.
func (s *story) forceSecondOwner(ctx context.Context) error {
	owner := s.c.Owner()
	for _, n := range slices.Backward(s.c.Nodes) { // the last never had the address: no guard holds it silent there
		if n != owner {
			if err := n.AddAddress(netip.PrefixFrom(stage.VIP.Addr(), stage.VIP.Bits())); err != nil && !errors.Is(err, syscall.EEXIST) {
				return err
			}
			break
		}
	}
	select {
	case <-ctx.Done():
	case <-time.After(settle):
	}
	return nil
}

func (s *story) howToTalk() {
	s.say(`
The cluster stays up. Talk to it:
   bin/systole-demo exec a crm status
   bin/systole-demo exec a crm
   bin/systole-demo exec b bash
End it: make demo-down`)
}

func (s *story) say(format string, args ...any) { fmt.Fprintf(s.out, format+"\n", args...) }

func (s *story) act(format string, args ...any) {
	fmt.Fprintf(s.out, "\n%s\n", s.bold(fmt.Sprintf("%d. ", len(s.outages)+1)+fmt.Sprintf(format, args...)))
}

func anyBody(string) bool { return true }

func boldOnTerminal(f *os.File) func(string) string {
	if st, err := f.Stat(); err != nil || st.Mode()&os.ModeCharDevice == 0 {
		return func(text string) string { return text }
	}
	return func(text string) string { return "\x1b[1m" + text + "\x1b[0m" }
}

func round(d time.Duration) time.Duration { return d.Round(10 * time.Millisecond) }

func indent(text string) string {
	return "   " + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n   ")
}

func firstLines(text string, n int) string {
	lines := strings.SplitN(text, "\n", n+1)
	return strings.Join(lines[:min(n, len(lines))], "\n")
}
