package lamp

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"systole/integration/lab"
	"systole/integration/lab/editor"
	"systole/integration/netlab"
)

// patience bounds every wait of the story. The machine may be busy, and what takes
// long is in the table, not an error.
const patience = 3 * time.Minute

// story is a site in service, the editor who writes it, and who watches.
type story struct {
	*testing.T
	*site
	diary *editor.Diary
	wires []*netlab.Wire // of the site's address and the storage pair's
	rows  []row
	twice []string // services seen active on both machines of the pair
}

// row is one fault in the table.
type row struct {
	name          string
	reads, writes time.Duration // longest time without a success
	lost          int           // requests nobody answered well, while it lasted
}

// addresses that are never to be answered for by two.
var addresses = []netip.Addr{netip.MustParseAddr(address), netip.MustParseAddr("10.77.0.101")}

// watch records who answers for the addresses, and samples what runs on the storage
// pair, until ctx is done.
func (s *story) watch(ctx context.Context, all *sync.WaitGroup) {
	for _, a := range addresses {
		w := s.Lab.Wire(a)
		s.wires = append(s.wires, w)
		all.Go(func() {
			if err := w.Run(ctx); err != nil {
				s.Error(err)
			}
		})
	}
	all.Go(func() {
		for ctx.Err() == nil {
			s.sample(ctx)
			time.Sleep(time.Second)
		}
	})
}

// running prints what of the storage services is active on a machine.
const running = `grep -q ' /srv/site ' /proc/mounts && echo file system
grep -q 'ro:Primary' /proc/drbd && echo disk
pidof mariadbd >/run/null && echo database
grep -q '^[1-9]' /proc/fs/nfsd/threads 2>/run/null && echo NFS server
ip -o -4 addr | grep -q ' 10.77.0.101/' && echo address
true`

// sample asks both machines at the same time.
func (s *story) sample(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var seen [2]map[string]bool
	var both sync.WaitGroup
	for i, n := range s.stores {
		both.Go(func() {
			seen[i] = map[string]bool{}
			out, err := n.Shell(ctx, running)
			if err == nil {
				for line := range strings.Lines(out) {
					seen[i][strings.TrimSpace(line)] = true
				}
			}
		})
	}
	both.Wait()
	for what := range seen[0] {
		if seen[1][what] {
			s.twice = append(s.twice, fmt.Sprintf("%s %s", time.Now().UTC().Format("15:04:05.000"), what))
		}
	}
}

// fault does something bad, or planned, while the editor writes; waits until writing
// and reading go on; mends; and checks that nothing is lost.
func (s *story) fault(name string, harm, mend func() error) {
	s.Helper()
	began := time.Now()
	_, _, _, before := s.diary.Counts()
	s.must(name, harm())
	s.eventually(name+": reading and writing go on", func() bool {
		later := began.Add(5 * time.Second) // what hangs has been noticed by then
		return s.diary.Comments.Since(later) > 10 && s.diary.Posts.Since(later) > 0 && s.diary.Visits.Since(later) > 10
	})
	s.must(name+", mending", mend())
	now := time.Now()
	_, _, _, after := s.diary.Counts()
	r := row{name, s.diary.Visits.Outage(began, now), s.diary.Comments.Outage(began, now), after - before}
	s.rows = append(s.rows, r)
	s.must(name+", reading back", s.diary.VerifyNew(s.Context()))
	s.Logf("%-40s reads %6.2f s  writes %6.2f s  unsure %d  (%.0f s)", r.name, r.reads.Seconds(), r.writes.Seconds(), r.lost, time.Since(began).Seconds())
}

// whole waits until all machines are members, the mirror is complete and nothing is left to do.
func (s *story) whole() error {
	ctx, cancel := context.WithTimeout(s.Context(), patience)
	defer cancel()
	ask := s.Nodes[0]
	if err := s.AwaitMembers(ctx, ask, len(s.Nodes)); err != nil {
		return err
	}
	for _, n := range s.Nodes {
		if n.Running() {
			ask = n
		}
	}
	if _, err := ask.Run(ctx, "crm_resource", "--wait", "--timeout", "120"); err != nil {
		return err
	}
	for {
		out, err := s.stores[0].Shell(ctx, "grep -o 'ds:[A-Za-z/]*' /proc/drbd")
		if err == nil && strings.TrimSpace(out) == "ds:UpToDate/UpToDate" {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the mirror is not complete: %s %w", strings.TrimSpace(out), context.Cause(ctx))
		case <-time.After(300 * time.Millisecond):
		}
	}
}

// returned boots a machine, if it has no power, and waits until all is whole.
func (s *story) returned(n *lab.Node) func() error {
	return func() error {
		ctx, cancel := context.WithTimeout(s.Context(), patience)
		defer cancel()
		n.Mend()
		i := slices.IndexFunc(s.Nodes, func(o *lab.Node) bool { return o != n && o.Running() })
		if i < 0 {
			return fmt.Errorf("no machine is left")
		}
		// Whoever was cut off is switched off by the cluster first.
		for n.Running() {
			select {
			case <-ctx.Done():
				return fmt.Errorf("%s was not fenced: %w", n.Name, context.Cause(ctx))
			case <-time.After(100 * time.Millisecond):
			}
		}
		if err := s.Return(ctx, n, s.Nodes[i]); err != nil {
			return err
		}
		return s.whole()
	}
}

// active finds where a resource runs among some machines.
func (s *story) active(resource string, among []*lab.Node) *lab.Node {
	s.Helper()
	var found *lab.Node
	s.eventually(resource+" runs", func() bool {
		for _, ask := range s.Nodes {
			if !ask.Running() {
				continue
			}
			out, err := s.shell(ask, "crm resource locate "+resource)
			for _, n := range among {
				if err == nil && strings.Contains(out, "running on: "+n.Name) {
					found = n
				}
			}
			return found != nil
		}
		return false
	})
	return found
}

func other(pair []*lab.Node, n *lab.Node) *lab.Node {
	if pair[0] == n {
		return pair[1]
	}
	return pair[0]
}

func (s *story) shell(n *lab.Node, script string) (string, error) {
	ctx, cancel := context.WithTimeout(s.Context(), time.Minute)
	defer cancel()
	return n.Shell(ctx, script)
}

func (s *story) do(n *lab.Node, script string) func() error {
	return func() error {
		_, err := s.shell(n, script)
		return err
	}
}

func (s *story) eventually(what string, holds func() bool) {
	s.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		if holds() {
			return
		}
	}
	s.must(what, fmt.Errorf("not within %v", patience))
}

func (s *story) must(what string, err error) {
	s.Helper()
	if err == nil {
		return
	}
	for _, n := range s.Nodes {
		if !n.Running() {
			s.Logf("%s has no power", n.Name)
			continue
		}
		if out, err := s.shell(n, "crm status"); err == nil {
			s.Logf("crm status on %s:\n%s", n.Name, out)
			break
		}
	}
	for _, c := range s.Lab.Switch.Calls("off") {
		s.Log(c)
	}
	for _, r := range s.diary.Refusals() {
		s.Log("the editor: ", r)
	}
	s.Fatalf("%s: %v", what, err)
}
