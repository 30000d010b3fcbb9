package story

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"time"

	"systole/integration/lab"
)

// Fault is one thing that goes wrong, or is planned, while the editor writes.
type Fault struct {
	Name string
	Harm func(context.Context) error
	// Mend brings back what the cluster cannot, such as power. Nil: nothing. Then the
	// story waits until the site is whole.
	Mend func(context.Context) error
	Targets
}

// Targets are how long reading and writing should stand still at most, with the default
// of detect-within; 0 is no target. Five times as long is an error.
type Targets struct{ Reads, Writes time.Duration }

// mostOfTarget: a lab on a busy machine is no measuring device.
const mostOfTarget = 5

// settle is how long after the harm what hangs has been noticed by whoever waits for it.
const settle = 4 * time.Second

// onlyEnv names the faults to be played, by a regular expression, for who works on one.
const onlyEnv = "SYSTOLE_LAB_ONLY"

// Play does the harm; waits until reading and writing go on; checks that nothing is lost,
// while it mends and waits until the site is whole.
func (s *Story) Play(f Fault) {
	s.Helper()
	if only := os.Getenv(onlyEnv); only != "" && !regexp.MustCompile(only).MatchString(f.Name) {
		return
	}
	patient := func() (context.Context, context.CancelFunc) {
		return context.WithTimeoutCause(s.Context(), patience, fmt.Errorf("not within %v", patience))
	}
	began := time.Now()
	_, _, _, before := s.Diary.Counts()
	ctx, cancel := patient()
	defer cancel()
	s.Must(f.Name, f.Harm(ctx))
	later := time.Now().Add(settle)
	s.Eventually(f.Name+": reading and writing go on", func(context.Context) bool {
		return s.Diary.Comments.Since(later) > 5 && s.Diary.Posts.Since(later) > 0 && s.Diary.Visits.Since(later) > 5
	})
	back := time.Now()
	ctx, cancel = patient()
	defer cancel()
	reading := make(chan error, 1)
	go func() { reading <- s.Diary.VerifyNew(ctx) }() // readers do not wait for the mechanic
	var err error
	if f.Mend != nil {
		err = f.Mend(ctx)
	}
	if err == nil {
		err = s.Whole(ctx)
	}
	now := time.Now()
	read := <-reading
	s.Must(f.Name+", mending", err)
	s.Must(f.Name+", reading back", read)
	_, _, _, after := s.Diary.Counts()
	r := row{f.Name, s.Diary.Visits.Outage(began, now), s.Diary.Comments.Outage(began, now), after - before, f.Targets}
	s.rows = append(s.rows, r)
	s.Logf("%6.1f s  %-44s reads %5.2f s  writes %5.2f s  unsure %d  (back after %.0f s, whole %.0f s, read back %.0f s)", time.Since(s.began).Seconds(),
		r.name, r.reads.Seconds(), r.writes.Seconds(), r.unsure, back.Sub(began).Seconds(), now.Sub(began).Seconds(), time.Since(began).Seconds())
	r.judge(s.DetectWithin, s.Errorf)
}

// PowerCut takes the power of a machine and gives it back when the site goes on without.
func (s *Story) PowerCut(role string, n *lab.Node, t Targets) Fault {
	return Fault{"power cut, " + role, func(context.Context) error { n.PowerCut(); return nil }, s.returned(n), t}
}

// CableCut takes a machine off the network, which the cluster answers by fencing it.
func (s *Story) CableCut(role string, n *lab.Node, t Targets) Fault {
	return Fault{"network cut, " + role, func(context.Context) error { n.PullCable(); return nil }, s.returned(n), t}
}

// Kill kills a program, which the cluster starts again where it is or elsewhere.
func (s *Story) Kill(role string, n *lab.Node, program string, t Targets) Fault {
	return s.Shell(program+" killed, "+role, n, "pkill -KILL -x "+program, "pgrep -x "+program+" >/run/null", t)
}

// Shell does something to a machine, and waits until there is a sign that it was repaired.
func (s *Story) Shell(name string, n *lab.Node, harm, repaired string, t Targets) Fault {
	run := func(ctx context.Context, script string) error {
		ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
		defer cancel()
		_, err := n.Shell(ctx, script)
		return err
	}
	return Fault{name, func(ctx context.Context) error { return run(ctx, harm) }, func(ctx context.Context) error {
		return await(ctx, func(ctx context.Context) error { return run(ctx, repaired) })
	}, t}
}

// Standby is a planned standby of a machine, and its end.
func (s *Story) Standby(n *lab.Node, t Targets) Fault {
	set := func(to string) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := n.Run(ctx, "crm", "-w", "node", to, n.Name)
			return err
		}
	}
	return Fault{"planned standby, " + n.Name, set("standby"), set("online"), t}
}

// ColdStart takes the power of all machines and gives it back to all.
func (s *Story) ColdStart(t Targets) Fault {
	return Fault{"power loss of the whole site, cold start", func(ctx context.Context) error {
		for _, n := range s.Nodes {
			n.PowerCut()
		}
		if err := s.Lab.Boot(ctx); err != nil {
			return err
		}
		return s.Each(s.Nodes, func(n *lab.Node) error { return s.StartDaemon(ctx, n) })
	}, nil, t}
}

// returned waits until the cluster has switched a machine off and seen that, mends its cables,
// boots it and makes it a member again. Booted earlier, it would be switched off thereafter, where
// the cluster takes longer to notice than the site to go on.
func (s *Story) returned(n *lab.Node) func(context.Context) error {
	before := s.switchedOff(n)
	return func(ctx context.Context) error {
		ask := s.upNode(n)
		if ask == nil {
			return errors.New("no machine is left")
		}
		if err := await(ctx, func(context.Context) error {
			if n.Running() || s.switchedOff(n) == before {
				return fmt.Errorf("%s was not fenced", n.Name)
			}
			return nil
		}); err != nil {
			return err
		}
		n.Mend()
		return s.Return(ctx, n, ask)
	}
}

// switchedOff is how often the cluster has seen so far that a machine it had switched off is off.
func (s *Story) switchedOff(n *lab.Node) (times int) {
	const off = 2 // the fence agent API's exit status of status
	for _, call := range s.Lab.Switch.Calls("status") {
		if call.Plug == n.Name && call.Code == off {
			times++
		}
	}
	return times
}
