package store

import (
	"encoding/binary"
	"slices"
	"strings"
	"time"

	"systole/crm/cib"
	"systole/crm/command"
)

// maxRevisions bounds the history by count, and maxHistoryElements by what it holds
// besides the newest configuration: some 200 bytes each. A small change costs the
// elements on its path, because revisions share everything else.
const (
	maxRevisions       = 1000
	maxHistoryElements = 50_000
)

// Revision is one past configuration.
type Revision struct {
	Index   uint64
	Version cib.Version // of the CIB once the change was made
	Time    time.Time   // stamped by the proposer
	User    string
	Client  string
	Origin  string
	Summary string // "modify resources; delete //rsc_location[@id='x']"
}

// History is every configuration change that is still kept, oldest first. It is the
// same on every node, whatever restarts and snapshots it has seen.
func (s *Store) History() []Revision {
	h := s.machine.state().history
	out := make([]Revision, len(h))
	for i, r := range h {
		out[i] = r.Revision
	}
	return out
}

// Revision finds a past configuration by its version: "1.42.0", or without the
// admin_epoch "42"; num_updates is ignored. The newest that fits is taken, false when
// none is kept.
func (s *Store) Revision(version string) (Revision, *cib.Element, bool) {
	h := s.machine.state().history
	for _, r := range slices.Backward(h) {
		v := r.Version.String() // admin_epoch.epoch.num_updates
		major := v[:strings.LastIndexByte(v, '.')]
		_, epoch, _ := strings.Cut(major, ".")
		if version == v || version == major || version == epoch {
			return r.Revision, r.config, true
		}
	}
	return Revision{}, nil, false
}

// history is a value: with makes another.
type history []revision

type revision struct {
	Revision
	config *cib.Element
	cost   int // elements not shared with the revision before
}

// with adds the configuration that an entry made and drops what exceeds the bounds.
func (h history) with(index uint64, c *cib.CIB, e command.Entry) history {
	r := revision{
		Revision: Revision{
			Index: index, Version: c.Version(), Time: e.Time.UTC(),
			User: e.User, Client: e.Client, Origin: e.Origin, Summary: summary(e),
		},
		config: c.Configuration(),
	}
	if len(h) > 0 {
		r.config, r.cost = share(h[len(h)-1].config, r.config)
	}
	out := append(slices.Clone(h), r)
	total := 0
	for i := len(out) - 1; i > 0; i-- {
		total += out[i].cost
		if len(out)-i == maxRevisions || total > maxHistoryElements {
			return slices.Clone(out[i:])
		}
	}
	return out
}

// share rebuilds next out of the elements of prev wherever they are equal, and counts
// those that are not.
func share(prev, next *cib.Element) (*cib.Element, int) {
	if prev == next {
		return prev, 0
	}
	if prev == nil || next == nil {
		return next, count(next)
	}
	old := make(map[[2]string]*cib.Element, len(prev.Children()))
	for _, c := range prev.Children() {
		old[[2]string{c.Name(), c.ID()}] = c
	}
	cost := 0
	children := make([]*cib.Element, len(next.Children()))
	for i, c := range next.Children() {
		var n int
		children[i], n = share(old[[2]string{c.Name(), c.ID()}], c)
		cost += n
	}
	if prev.Name() == next.Name() && prev.Text() == next.Text() && slices.Equal(prev.Attrs(), next.Attrs()) && slices.Equal(prev.Children(), children) {
		return prev, 0
	}
	return next.WithChildren(children...), cost + 1
}

func count(e *cib.Element) int {
	if e == nil {
		return 0
	}
	n := 1
	for _, c := range e.Children() {
		n += count(c)
	}
	return n
}

// summaryLimit keeps a line of history on a line.
const summaryLimit = 120

// summary says in a few words what an entry did.
func summary(e command.Entry) string {
	if e.Change == nil {
		return string(e.Kind)
	}
	var parts []string
	for _, op := range e.Change.Ops {
		where := op.XPath
		if where == "" {
			where = op.Section
		}
		parts = append(parts, strings.TrimSpace(string(op.Kind)+" "+where))
	}
	s := strings.Join(slices.Compact(parts), "; ")
	if len(s) > summaryLimit {
		s = strings.ToValidUTF8(s[:summaryLimit], "") + "…"
	}
	return s
}

// append writes the history: a table of distinct elements, children before parents,
// then the revisions with the number of their root. Sharing survives that way.
func (h history) append(b []byte) []byte {
	numbers := make(map[*cib.Element]uint64)
	var table []byte
	var number func(e *cib.Element) uint64
	number = func(e *cib.Element) uint64 {
		if n, ok := numbers[e]; ok {
			return n
		}
		children := make([]uint64, len(e.Children()))
		for i, c := range e.Children() {
			children[i] = number(c)
		}
		table = appendString(table, e.Name())
		table = appendString(table, e.Text())
		table = binary.AppendUvarint(table, uint64(len(e.Attrs())))
		for _, a := range e.Attrs() {
			table = appendString(appendString(table, a.Name), a.Value)
		}
		table = binary.AppendUvarint(table, uint64(len(children)))
		for _, n := range children {
			table = binary.AppendUvarint(table, n)
		}
		numbers[e] = uint64(len(numbers))
		return numbers[e]
	}
	var revs []byte
	for _, r := range h {
		for _, n := range []uint64{r.Index, uint64(r.Version.AdminEpoch), uint64(r.Version.Epoch), uint64(r.Version.NumUpdates), uint64(r.Time.UnixNano())} {
			revs = binary.AppendUvarint(revs, n)
		}
		for _, s := range []string{r.User, r.Client, r.Origin, r.Summary} {
			revs = appendString(revs, s)
		}
		revs = binary.AppendUvarint(revs, number(r.config))
		revs = binary.AppendUvarint(revs, uint64(r.cost))
	}
	b = binary.AppendUvarint(b, uint64(len(numbers)))
	b = append(b, table...)
	b = binary.AppendUvarint(b, uint64(len(h)))
	return append(b, revs...)
}

// sane bounds what is allocated on the word of a file alone.
const sane = 1 << 12

// history reads what append wrote.
func (d *decoder) history() history {
	n := d.count()
	table := make([]*cib.Element, 0, min(n, sane))
	for range n {
		e := d.element(table)
		if d.err != nil {
			return nil
		}
		table = append(table, e)
	}
	n = d.count()
	h := make(history, 0, min(n, sane))
	for range n {
		r := revision{Revision: Revision{
			Index:   d.number(),
			Version: cib.Version{AdminEpoch: int(d.number()), Epoch: int(d.number()), NumUpdates: int(d.number())},
			Time:    time.Unix(0, int64(d.number())).UTC(),
			User:    d.string(), Client: d.string(), Origin: d.string(), Summary: d.string(),
		}}
		r.config, r.cost = d.known(table), int(d.number())
		if d.err != nil {
			return nil
		}
		h = append(h, r)
	}
	return h
}

func (d *decoder) element(table []*cib.Element) *cib.Element {
	name, text := d.string(), d.string()
	var pairs []string
	for n := d.count(); n > 0 && d.err == nil; n-- {
		pairs = append(pairs, d.string(), d.string())
	}
	var children []*cib.Element
	for n := d.count(); n > 0 && d.err == nil; n-- {
		children = append(children, d.known(table))
	}
	return cib.New(name, pairs...).WithText(text).WithChildren(children...)
}

// known is an element of the table by its number.
func (d *decoder) known(table []*cib.Element) *cib.Element {
	n := d.number()
	if n >= uint64(len(table)) {
		d.err, d.rest = errMalformed, nil
		return nil
	}
	return table[n]
}
