package story

import (
	"context"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"time"

	"systole/integration/lab"
)

// Service is a sign that something runs on a machine: a line of a file.
type Service struct {
	Name string
	File string         // below /proc; a pattern of the shell may name many
	Line *regexp.Regexp // what a line of it says while the service runs; RE2 that grep -E understands too
}

// Mounted is a file system mounted at a place.
func Mounted(at string) Service {
	return Service{"file system " + at, "/proc/mounts", regexp.MustCompile(" " + regexp.QuoteMeta(at) + " ")}
}

// Process is a program by its name.
func Process(name string) Service {
	return Service{name, "/proc/[0-9]*/comm", regexp.MustCompile("^" + regexp.QuoteMeta(name) + "$")}
}

// NFSServer is the kernel's, with threads.
func NFSServer() Service {
	return Service{"NFS server", "/proc/fs/nfsd/threads", regexp.MustCompile("^[1-9][0-9]*$")}
}

// Primary is DRBD's side that may write.
func Primary() Service {
	return Service{"primary side of the disk", "/proc/drbd", regexp.MustCompile("ro:Primary")}
}

// Address is an address that the machine answers for.
func Address(a netip.Addr) Service {
	return Service{"address " + a.String(), "/proc/net/fib_trie", regexp.MustCompile("-- " + regexp.QuoteMeta(a.String()) + "$")}
}

// A question on the wire wakes every machine, and a look at a machine starts programs
// in it; the site needs the processors more than the watchers do.
const (
	askEvery  = 80 * time.Millisecond
	lookEvery = 2 * time.Second
	lookLimit = 10 * time.Second
)

// watch records who answers for the addresses, and what runs on the keepers, until ctx is done.
func (s *Story) watch(ctx context.Context) {
	for _, a := range append([]netip.Addr{s.Address}, s.Inner...) {
		w := s.Lab.Wire(a)
		w.Every(askEvery)
		if a == s.Address {
			w.OnlyARP() // real servers send from it too
		}
		s.wires = append(s.wires, w)
		s.watchers.Go(func() {
			if err := w.Run(ctx); err != nil {
				s.Error(err)
			}
		})
	}
	script := look(s.Services)
	for _, n := range s.Keepers {
		log := &sightings{node: n.Name}
		s.logs = append(s.logs, log)
		s.watchers.Go(func() {
			for ctx.Err() == nil {
				log.add(lookAt(ctx, n, script, s.Services))
				select {
				case <-ctx.Done():
				case <-time.After(lookEvery):
				}
			}
		})
	}
}

// look prints the lines of all services' files that any of them may want.
func look(services []Service) string {
	var lines, files []string
	for _, v := range services {
		lines = append(lines, v.Line.String())
		files = append(files, v.File)
	}
	return fmt.Sprintf("grep -shE -e '%s' %s; true", strings.Join(lines, "|"), strings.Join(files, " "))
}

func lookAt(ctx context.Context, n *lab.Node, script string, services []Service) sighting {
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	seen := sighting{from: time.Now()}
	out, err := n.Shell(ctx, script)
	seen.to = time.Now()
	if err != nil {
		return seen
	}
	seen.running = map[string]bool{}
	for line := range strings.Lines(out) {
		for _, v := range services {
			if v.Line.MatchString(strings.TrimRight(line, "\n")) {
				seen.running[v.Name] = true
			}
		}
	}
	return seen
}

// sighting is what ran on a machine at some moment between from and to; running is nil
// if that is not known.
type sighting struct {
	from, to time.Time
	running  map[string]bool
}

// sightings are of one machine, in order.
type sightings struct {
	node string
	all  []sighting
}

func (l *sightings) add(s sighting) { l.all = append(l.all, s) }

// overlap finds services that ran on one machine while they were seen on another. A
// look takes time, and a service may move during two looks: so it must have been there
// in two looks in a row, and on the other machine in a look that began and ended between them.
func overlap(here, there *sightings) (found []string) {
	for i := 1; i < len(here.all); i++ {
		p, q := here.all[i-1], here.all[i]
		for _, x := range there.all {
			if x.from.Before(p.to) || x.to.After(q.from) {
				continue
			}
			for what := range x.running {
				if p.running[what] && q.running[what] {
					found = append(found, fmt.Sprintf("%s: %s runs on %s and on %s", x.from.UTC().Format("15:04:05.000"), what, here.node, there.node))
				}
			}
		}
	}
	return found
}

// twice is all that was seen active on two machines at the same time.
func (s *Story) twice() (found []string) {
	for _, w := range s.wires {
		for _, v := range w.Violations() {
			found = append(found, "on the wire: "+v)
		}
	}
	for _, here := range s.logs {
		for _, there := range s.logs {
			if here != there {
				found = append(found, overlap(here, there)...)
			}
		}
	}
	return found
}
