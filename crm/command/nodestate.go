package command

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"systole/crm/cib"
	"systole/crm/exit"
)

// editNode returns status with f done to the node's node_state, which is made
// if it is not there and make is true. The id is what the entry says, or the configuration's, or the name.
func editNode(c *cib.CIB, status *cib.Element, name, id string, f func(*cib.Element) *cib.Element) *cib.Element {
	i := status.IndexFunc(func(e *cib.Element) bool { return e.Name() == "node_state" && e.Get("uname") == name })
	if i >= 0 {
		return status.ReplaceChild(i, f(status.Children()[i]))
	}
	if id == "" {
		id = nodeID(c, name)
	}
	// A node_state may have been written without a name; the id decides then.
	i = status.IndexFunc(func(e *cib.Element) bool { return e.Name() == "node_state" && e.ID() == id })
	if i >= 0 {
		return status.ReplaceChild(i, f(status.Children()[i].With("uname", name)))
	}
	return status.Append(f(cib.New("node_state", "id", id, "uname", name)))
}

// nodeID is the id the configuration gives a node; the name for a node it does
// not have (remote and guest nodes have their name for id).
func nodeID(c *cib.CIB, name string) string {
	for n := range c.Section("nodes").Each("node") {
		if n.Get("uname") == name {
			return n.ID()
		}
	}
	return name
}

func (n *Node) apply(c *cib.CIB, status *cib.Element) (*cib.Element, error) {
	if n.Name == "" {
		return status, exit.Errorf(exit.DataErr, "node entry without a name")
	}
	if n.Forget {
		i := status.IndexFunc(func(e *cib.Element) bool { return e.Name() == "node_state" && e.Get("uname") == n.Name })
		if i < 0 {
			return status, nil
		}
		return status.RemoveChild(i), nil
	}
	for name := range n.Set {
		if !cib.IsName(name) || name == "id" || name == "uname" {
			return status, exit.Errorf(exit.DataErr, "node entry for %s sets %q, which is no attribute of a node's state", n.Name, name)
		}
	}
	return editNode(c, status, cib.Clean(n.Name), cib.Clean(n.ID), n.edit), nil
}

// edit does everything the entry says to the node_state.
func (n *Node) edit(state *cib.Element) *cib.Element {
	for _, name := range slices.Sorted(maps.Keys(n.Set)) {
		if v := n.Set[name]; v == "" {
			state = state.Without(name)
		} else {
			state = state.With(name, cib.Clean(v))
		}
	}
	seen := parseSeen(state.Get(attrResults))
	if n.Clear {
		state = state.WithChildren(slices.DeleteFunc(slices.Clone(state.Children()), func(e *cib.Element) bool {
			return e.Name() == "lrm" || e.Name() == "transient_attributes"
		})...)
		seen.close()
	}
	if n.Set["join"] == "member" {
		seen.reopen()
	}
	if n.Incarnation != "" {
		seen.admit(n.Incarnation)
	}
	return seen.write(state)
}

// attrResults is the node_state attribute that remembers which results were
// applied: "INCARNATION:CALL" for the last incarnations, oldest first, with ! when closed.
const attrResults = "results"

// maxIncarnations that are remembered: a result of an older one cannot still be
// on its way, for a node delivers its results in order.
const maxIncarnations = 4

// seen says which results of a node were applied.
type seen []seenIncarnation

type seenIncarnation struct {
	name   string
	last   int  // highest call applied
	closed bool // the node was proved to run nothing: results no longer count
}

func parseSeen(text string) seen {
	var s seen
	for _, field := range strings.Fields(text) {
		open, closed := strings.CutSuffix(field, "!")
		i := strings.LastIndexByte(open, ':')
		if i < 0 {
			continue
		}
		last, err := strconv.Atoi(open[i+1:])
		if err != nil {
			continue
		}
		s = append(s, seenIncarnation{open[:i], last, closed})
	}
	return s
}

func (s seen) write(state *cib.Element) *cib.Element {
	if len(s) == 0 {
		return state
	}
	var b strings.Builder
	for i, in := range s {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(in.name + ":" + strconv.Itoa(in.last))
		if in.closed {
			b.WriteByte('!')
		}
	}
	if b.String() == state.Get(attrResults) {
		return state
	}
	return state.With(attrResults, b.String())
}

func (s seen) close() {
	for i := range s {
		s[i].closed = true
	}
}

func (s seen) reopen() {
	for i := range s {
		s[i].closed = false
	}
}

// admit opens one incarnation, adding it if it is new.
func (s *seen) admit(incarnation string) *seenIncarnation {
	name := incarnationName(incarnation)
	for i := range *s {
		if (*s)[i].name == name {
			(*s)[i].closed = false
			return &(*s)[i]
		}
	}
	if len(*s) == maxIncarnations {
		*s = slices.Delete(*s, 0, 1)
	}
	*s = append(*s, seenIncarnation{name: name})
	return &(*s)[len(*s)-1]
}

// take tells whether a result is new, and remembers it.
func (s *seen) take(incarnation string, call int) bool {
	if incarnation == "" {
		return true
	}
	name := incarnationName(incarnation)
	for i := range *s {
		if in := &(*s)[i]; in.name == name {
			if in.closed || call <= in.last {
				return false
			}
			in.last = call
			return true
		}
	}
	s.admit(incarnation).last = call
	return true
}

// incarnationName is the incarnation without what the attribute's form needs.
func incarnationName(incarnation string) string {
	return strings.Map(func(r rune) rune {
		if r == ' ' || r == '\t' || r == '\n' || r == '\r' {
			return '_'
		}
		return r
	}, cib.Clean(incarnation))
}
