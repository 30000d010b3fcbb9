package mysql

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Instance is one server of the clone that was asked and answered.
type Instance struct {
	Node string
	// Term and Nonce are of the newest promotion in its history, 0 and "" before the first.
	Term  uint64
	Nonce string
	// Applied is its history; Received is what it will yet apply from its relay log.
	Applied, Received Position
	// ReadOnly is false for a server that serves as primary.
	ReadOnly bool
	// History are all promotions in its history, by term.
	History []Promotion
}

// Promotion is a row of the table of terms.
type Promotion struct {
	Term  uint64
	Node  string
	Nonce string
	At    Position // where the term began
}

func (i Instance) reach() Position { return i.Applied.Union(i.Received) }

// Facts are what a promotion is judged by.
type Facts struct {
	Self      string
	Instances []Instance      // that answered, this one among them
	Notes     map[string]Note // of all nodes, also of dead ones
	// Accept that confirmed transactions may be missing (accept_data_loss).
	Accept bool
}

// Verdict says that an instance may be promoted once it holds Target, which
// Source (maybe itself) has.
type Verdict struct {
	Source string
	Target Position
	Term   uint64 // of the new primary
	Proof  string // one sentence for the log
	Loss   bool   // it is not proven that nothing is lost
}

// Latest is the newest primary on record.
func Latest(notes map[string]Note) (node string, note Note, ok bool) {
	for _, name := range slices.Sorted(maps.Keys(notes)) {
		n := notes[name]
		if n.Role != RoleReplica && (!ok || n.Term > note.Term) {
			node, note, ok = name, n, true
		}
	}
	return node, note, ok
}

// Judge decides whether the instance Self may be promoted. Its error says why
// not, in a sentence for people.
//
// The rules, of which DESIGN.md gives the reasons: every instance that counts
// holds the row of the newest promotion; the source reaches at least as far as
// all of them; and whatever the newest primary confirmed is on one of them.
func Judge(f Facts) (Verdict, error) {
	node, last, known := Latest(f.Notes)
	term := last.Term
	for _, i := range f.Instances {
		term = max(term, i.Term)
	}
	line := lineage(f, last, known)
	if !slices.ContainsFunc(line, func(i Instance) bool { return i.Node == f.Self }) {
		if !f.Accept || len(line) > 0 {
			return Verdict{}, fmt.Errorf("%s does not hold the history of promotion %d of %s: it must follow that first", f.Self, last.Term, node)
		}
		line = f.Instances
	}
	best, found := furthest(line, f.Self)
	if !found {
		if !f.Accept {
			return Verdict{}, fmt.Errorf("the histories of %s differ, none holds all: rebuild all but one", describe(line))
		}
		best = line[slices.IndexFunc(line, func(i Instance) bool { return i.Node == f.Self })]
	}
	v := Verdict{Source: best.Node, Target: best.reach(), Term: term + 1}
	why, err := complete(f, line, best, node, last, known)
	if err != nil {
		if !f.Accept {
			return Verdict{}, fmt.Errorf("%w; bring it back, or set accept_data_loss=true if what it alone holds may be lost", err)
		}
		why, v.Loss = "accept_data_loss is set although "+err.Error(), true
	}
	v.Proof = fmt.Sprintf("%s reaches %q, the furthest of %s; %s", best.Node, v.Target, describe(line), why)
	return v, nil
}

// lineage are the instances that hold the newest promotion's row. One with a
// higher term wrote its row and died before it was on record: its history is
// the recorded one and that row.
func lineage(f Facts, last Note, known bool) (line []Instance) {
	for _, i := range f.Instances {
		if !known || i.Term > last.Term || last.Is(i.Term, i.Nonce) {
			line = append(line, i)
		}
	}
	return line
}

// furthest is an instance that covers all others: self, if it does.
func furthest(line []Instance, self string) (best Instance, found bool) {
	for _, i := range line {
		if !slices.ContainsFunc(line, func(other Instance) bool { return !i.reach().Covers(other.reach()) }) && (!found || i.Node == self) {
			best, found = i, true
		}
	}
	return best, found
}

// complete says why nothing that was confirmed to a client is missing.
func complete(f Facts, line []Instance, best Instance, node string, last Note, known bool) (why string, err error) {
	present := func(node string) bool {
		return slices.ContainsFunc(line, func(i Instance) bool { return i.Node == node })
	}
	switch {
	case !known && best.Term == 0:
		return "no primary is on record: this is the first promotion", nil
	case !known:
		return "", fmt.Errorf("the record of promotion %d is missing from the cluster's node attributes", best.Term)
	case last.Role == RoleDemoted && best.reach().Covers(last.At):
		return fmt.Sprintf("%s was demoted in order at %q", node, last.At), nil
	case present(node):
		return fmt.Sprintf("the last primary, %s, is among them", node), nil
	case last.Role == RoleDemoted:
		return "", fmt.Errorf("%s was demoted at %q, which nobody here reaches", node, last.At)
	case len(last.With) == 0:
		return "", fmt.Errorf("the last primary, %s, ran without a replica that confirmed its transactions, and is not here", node)
	}
	var in []string
	for _, m := range last.With {
		n := f.Notes[m.Node]
		if n.Role != RoleReplica || !last.Is(n.Term, n.Nonce) || n.Gen != m.Gen {
			continue // it has confirmed nothing as this member yet
		}
		if n.State != StateIn || !present(m.Node) {
			return "", fmt.Errorf("%s may have confirmed transactions of the last primary, %s, and does not hold them here now", m.Node, node)
		}
		in = append(in, m.Node)
	}
	if len(in) == 0 {
		return "", fmt.Errorf("no replica had caught up with the last primary, %s, which is not here", node)
	}
	slices.Sort(in)
	return fmt.Sprintf("all that %s confirmed was confirmed by %s first", node, strings.Join(in, " or ")), nil
}

func describe(line []Instance) string {
	var parts []string
	for _, i := range slices.SortedFunc(slices.Values(line), func(a, b Instance) int { return cmp.Compare(a.Node, b.Node) }) {
		parts = append(parts, fmt.Sprintf("%s (%q)", i.Node, i.reach()))
	}
	return strings.Join(parts, ", ")
}

// DivergedError: an instance has transactions that the primary's history has not.
type DivergedError struct{ Node, Primary, What string }

// Error names the remedy.
func (e DivergedError) Error() string {
	return fmt.Sprintf("fenced out: the data of %s has %s that the primary %s does not have; to rebuild it, save what is wanted of it, "+
		"replace the data directory by a copy of the primary's (mariadb-backup) with its gtid_slave_pos, and clean the resource up", e.Node, e.What, e.Primary)
}

// Joins tells whether an instance may follow a primary: its history must be a
// part of the primary's. Where it left the primary's line, the primary's row of
// the next term says where that line went on.
func Joins(self, primary Instance) error {
	diverged := func(format string, args ...any) error {
		return DivergedError{self.Node, primary.Node, fmt.Sprintf(format, args...)}
	}
	shared := slices.IndexFunc(primary.History, func(p Promotion) bool { return p.Term == self.Term && p.Nonce == self.Nonce })
	if shared < 0 && self.Term > 0 {
		return diverged("a promotion %d of its own", self.Term)
	}
	if shared+1 == len(primary.History) {
		return nil // both are in the same term, which one server wrote
	}
	if next := primary.History[shared+1]; !next.At.Covers(self.Applied) {
		return diverged("transactions up to %q after %q, where promotion %d of %s began,", self.Applied, next.At, next.Term, next.Node)
	}
	return nil
}
