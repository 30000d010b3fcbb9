// Package story plays what a site goes through: an editor writes it through its
// address and nowhere else, machines and programs die under its hands, and after each
// fault everything that was acknowledged must be readable there. It measures how long
// reading and writing stood still, and watches that no service is ever active twice,
// on the wire and on the machines. Which site, and which faults, is the suite's.
//
//	s := story.Begin(t, site)
//	s.Play(s.PowerCut("web-1", web, story.Targets{Reads: time.Second}))
//	s.End()
//
// A [Story] belongs to the goroutine of its test.
package story

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"systole/integration/lab"
	"systole/integration/lab/editor"
	"systole/integration/lab/stage"
	"systole/integration/netlab"
)

// patience bounds every wait. The machine may be busy, and what takes long is in the
// table, not an error.
const patience = 3 * time.Minute

// Site is what the story needs to know of a site in service.
type Site struct {
	*stage.Cluster
	Name    string     // heads the table
	Address netip.Addr // where the editor and the visitors go
	// Inner are further addresses that no two machines may ever answer for.
	Inner []netip.Addr
	// Services are what no two of the Keepers may ever run at the same time.
	Services []Service
	Keepers  []*lab.Node
	// Repaired, unless nil, says what is still to be repaired after a fault though the
	// cluster has nothing left to do: a mirror, for instance.
	Repaired func(context.Context) error
	// Clean, unless nil, is asked at the end, when nobody writes any more: databases,
	// file systems.
	Clean func(context.Context) error
	// Account is the editor's. Unless the site is Installed, the editor installs it with this account.
	Account   editor.Account
	Installed bool
	Pace      editor.Pace
}

// Story is a site in service, the editor who writes it, and who watches.
type Story struct {
	*testing.T
	Site
	Diary *editor.Diary

	writers  sync.WaitGroup
	watchers sync.WaitGroup
	rest     context.CancelFunc // the editor's
	blind    context.CancelFunc // the watchers'
	wires    []*netlab.Wire
	logs     []*sightings // one for each keeper
	rows     []row
	began    time.Time
}

// Begin has the editor install the site if need be, log in and begin to write.
// The test ends here if that does not work.
func Begin(t *testing.T, site Site) *Story {
	t.Helper()
	s := &Story{T: t, Site: site, began: time.Now()}
	s.Diary = editor.NewDiary(editor.New("http://"+site.Address.String(), site.Account))
	watching, blind := context.WithCancel(t.Context())
	writing, rest := context.WithCancel(t.Context())
	s.blind, s.rest = blind, rest
	t.Cleanup(func() { rest(); s.writers.Wait(); blind(); s.watchers.Wait() })
	s.watch(watching)
	if !site.Installed {
		s.Must("the editor", s.Diary.Install(writing, site.Name))
	}
	s.Must("the editor", s.Diary.Login(writing))
	s.writers.Go(func() { s.Diary.Write(writing, site.Pace) })
	s.Eventually("the first posts", func(context.Context) bool { return s.Diary.Posts.Since(time.Time{}) > 2 })
	s.Logf("%6.1f s  written to", time.Since(s.began).Seconds())
	return s
}

// End lets the editor rest, reads everything back, asks the site whether it is clean,
// says what was seen twice, and prints the table.
func (s *Story) End() {
	s.Helper()
	s.rest()
	s.writers.Wait()
	s.Must("at the end, reading back", s.Diary.Verify(s.Context()))
	if s.Clean != nil {
		ctx, cancel := context.WithTimeout(s.Context(), patience)
		defer cancel()
		s.Must("at the end", s.Clean(ctx))
	}
	s.blind()
	s.watchers.Wait()
	for _, what := range s.twice() {
		lab.Broken(s, what)
	}
	s.print()
}

// Whole waits until all machines are members, nothing is left to do and all is repaired.
func (s *Story) Whole(ctx context.Context) error {
	ask := s.upNode(nil)
	if ask == nil {
		return errors.New("no machine has power")
	}
	if err := s.AwaitMembers(ctx, ask, len(s.Nodes)); err != nil {
		return err
	}
	if _, err := ask.Run(ctx, "crm_resource", "--wait", "--timeout", "120"); err != nil {
		return err
	}
	if s.Repaired == nil {
		return nil
	}
	return await(ctx, s.Repaired)
}

// upNode is a machine with power, another one than but; nil if there is none.
func (s *Story) upNode(but *lab.Node) *lab.Node {
	i := slices.IndexFunc(s.Nodes, func(n *lab.Node) bool { return n != but && n.Running() })
	if i < 0 {
		return nil
	}
	return s.Nodes[i]
}

// Active waits until a resource runs, in its role promoted if it has one, and says on
// which machine.
func (s *Story) Active(resource string) *lab.Node {
	s.Helper()
	var found *lab.Node
	s.Eventually(resource+" runs", func(ctx context.Context) bool {
		ask := s.upNode(nil)
		if ask == nil {
			return false
		}
		out, err := ask.Run(ctx, "crm", "resource", "locate", resource)
		for line := range strings.Lines(out) {
			_, where, ok := strings.Cut(line, "running on: ")
			words := strings.Fields(where)
			if err != nil || !ok || len(words) == 0 {
				continue
			}
			for _, n := range s.Nodes {
				if n.Name == words[0] && (found == nil || len(words) > 1) { // "NODE Promoted"
					found = n
				}
			}
		}
		return found != nil
	})
	return found
}

// Other is the machine of a pair that n is not.
func Other(pair []*lab.Node, n *lab.Node) *lab.Node {
	if pair[0] == n {
		return pair[1]
	}
	return pair[0]
}

// pollEvery is how often a wait looks again.
const pollEvery = 200 * time.Millisecond

// await asks until there is no error, and returns the last one at the end of ctx.
func await(ctx context.Context, holds func(context.Context) error) error {
	for {
		err := holds(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case <-time.After(pollEvery):
		}
	}
}

// Eventually waits until something holds; the test ends if that takes minutes.
func (s *Story) Eventually(what string, holds func(context.Context) bool) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), patience)
	defer cancel()
	s.Must(what, await(ctx, func(ctx context.Context) error {
		if !holds(ctx) {
			return errors.New("not yet")
		}
		return nil
	}))
}

// Must ends the test at an error, with what helps to understand it.
func (s *Story) Must(what string, err error) {
	s.Helper()
	if err == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.Context()), 30*time.Second)
	defer cancel()
	for _, n := range s.Nodes {
		if !n.Running() {
			s.Logf("%s has no power", n.Name)
			continue
		}
		if out, err := n.Run(ctx, "crm", "status"); err == nil {
			s.Logf("crm status on %s:\n%s", n.Name, out)
			break
		}
	}
	for _, c := range s.Lab.Switch.Calls("off") {
		s.Log(c)
	}
	for _, r := range s.Diary.Refusals() {
		s.Log("the editor: ", r)
	}
	s.print()
	s.Fatalf("%s: %v", what, err)
}
