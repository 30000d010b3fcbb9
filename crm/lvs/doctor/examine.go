package doctor

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"
)

// Ask asks every node of a site the same questions; a node that does not
// answer is among the facts, with its error.
type Ask func(ctx context.Context, q Questions) ([]Facts, error)

// Examine asks the nodes what they are, then what only makes sense once the
// tables are known, and diagnoses.
func Examine(ctx context.Context, ask Ask, directors []string) ([]Finding, error) {
	first, err := ask(ctx, Questions{})
	if err != nil {
		return nil, err
	}
	q := Ensue(first)
	second, err := ask(ctx, q)
	if err != nil {
		return nil, err
	}
	return Diagnose(Site{Nodes: second, Directors: directors}), nil
}

// Ensue are the questions that follow from the tables: who else has the
// virtual addresses, how the real servers and the outside are reached, and whether
// each service answers.
func Ensue(nodes []Facts) Questions {
	q := Questions{}
	q.Toward = append(q.Toward, Outside...)
	for i := range nodes {
		for _, s := range nodes[i].Services {
			if s.Addr.IsValid() && nodes[i].speaksFor(s) {
				q.VIPs = append(q.VIPs, s.Addr.Addr())
				if s.TCP && s.Addr.Port() != 0 {
					q.Connect = append(q.Connect, Trial{To: s.Addr, Times: 2 * len(s.Servers)})
				}
			}
			for _, r := range s.Servers {
				q.Toward = append(q.Toward, r.Addr.Addr())
			}
		}
	}
	for _, list := range []*[]netip.Addr{&q.VIPs, &q.Toward} {
		slices.SortFunc(*list, netip.Addr.Compare)
		*list = slices.Compact(*list)
	}
	slices.SortFunc(q.Connect, func(a, b Trial) int { return a.To.Compare(b.To) })
	q.Connect = slices.CompactFunc(q.Connect, func(a, b Trial) bool { return a.To == b.To })
	return q
}

// Together asks every node at once by ask, and answers in the order of names.
func Together(ctx context.Context, names []string, q Questions, ask func(ctx context.Context, node string, q Questions) (Facts, error)) []Facts {
	all := make([]Facts, len(names))
	var wait sync.WaitGroup
	for i, name := range names {
		wait.Go(func() {
			f, err := ask(ctx, name, q)
			if err != nil {
				f = Facts{Error: err.Error()}
			}
			f.Node = name
			all[i] = f
		})
	}
	wait.Wait()
	slices.SortFunc(all, func(a, b Facts) int { return strings.Compare(a.Node, b.Node) })
	return all
}

// Text is the findings for people.
func Text(findings []Finding) string {
	var b strings.Builder
	for _, f := range findings {
		node := f.Node
		if node == "" {
			node = "outside"
		}
		b.WriteString(node + ": " + string(f.Fault) + ": " + f.What + "\n    remedy: " + f.Remedy + "\n")
	}
	return b.String()
}
