package mysql

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Note is what one node's agent leaves in the CIB for the others, as a
// permanent attribute of that node: it outlives the node's death. Only that
// node's agent writes it.
type Note struct {
	Role Role
	// Term counts promotions; Nonce tells two of one number apart. They are also
	// a row of the replicated table of terms, so whoever holds the row holds the
	// history up to that promotion.
	Term  uint64
	Nonce string
	// At: RolePrimary where its term began, RoleDemoted where it ended.
	At Position
	// With are the replicas that may confirm transactions; empty means that the primary
	// goes on alone. Gen numbers the newest of them. RolePrimary only.
	With []Member
	Gen  uint64
	// State and Gen of a RoleReplica: what it has done as the member of that number.
	State State
}

// Role of the instance that left the note.
type Role string

// The roles. A demoted primary said good-bye: nothing was written after At.
const (
	RolePrimary Role = "primary"
	RoleDemoted Role = "demoted"
	RoleReplica Role = "replica"
)

// State of a replica as a member.
type State string

// A replica that is acking may confirm transactions and may lack older ones. Once
// in, it lacks nothing that was confirmed before, and has lost nothing it confirmed.
// After out, what it confirmed may be lost, and it confirms no more.
const (
	StateAcking State = "acking"
	StateIn     State = "in"
	StateOut    State = "out"
)

// Member is a replica whose word counts. A leaving one is asked to stop confirming.
type Member struct {
	Node    string
	Gen     uint64
	Leaving bool
}

// String is the member as a note has it.
func (m Member) String() string {
	if m.Leaving {
		return fmt.Sprintf("%s:%d:leaving", m.Node, m.Gen)
	}
	return fmt.Sprintf("%s:%d", m.Node, m.Gen)
}

// Is tells whether a note is about the same promotion.
func (n Note) Is(term uint64, nonce string) bool { return n.Term == term && n.Nonce == nonce }

// Member finds a node in With.
func (n Note) Member(node string) (Member, bool) {
	i := slices.IndexFunc(n.With, func(m Member) bool { return m.Node == node })
	if i < 0 {
		return Member{}, false
	}
	return n.With[i], true
}

// String is the note as the CIB keeps it.
func (n Note) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s term=%d nonce=%s", n.Role, n.Term, n.Nonce)
	switch n.Role {
	case RolePrimary:
		var with []string
		for _, m := range n.With {
			with = append(with, m.String())
		}
		fmt.Fprintf(&b, " at=%s gen=%d with=%s", n.At, n.Gen, strings.Join(with, ","))
	case RoleDemoted:
		fmt.Fprintf(&b, " at=%s", n.At)
	case RoleReplica:
		fmt.Fprintf(&b, " gen=%d state=%s", n.Gen, n.State)
	}
	return b.String()
}

// ParseNote reads what String wrote.
func ParseNote(s string) (Note, error) {
	n, err := parseNote(s)
	if err != nil {
		return Note{}, fmt.Errorf("note %q: %w; delete that node attribute only if all instances run", s, err)
	}
	return n, nil
}

func parseNote(s string) (n Note, err error) {
	words := strings.Fields(s)
	if len(words) == 0 {
		return n, errors.New("it is empty")
	}
	n.Role = Role(words[0])
	if n.Role != RolePrimary && n.Role != RoleDemoted && n.Role != RoleReplica {
		return n, fmt.Errorf("%q is no role", words[0])
	}
	for _, w := range words[1:] {
		name, value, _ := strings.Cut(w, "=")
		switch name {
		case "term":
			n.Term, err = strconv.ParseUint(value, 10, 64)
		case "nonce":
			n.Nonce = value
		case "at":
			n.At, err = ParsePosition(value)
		case "gen":
			n.Gen, err = strconv.ParseUint(value, 10, 64)
		case "with":
			n.With, err = parseMembers(value)
		case "state":
			n.State = State(value)
			if n.State != StateAcking && n.State != StateIn && n.State != StateOut {
				err = fmt.Errorf("%q is no state", value)
			}
		default:
			err = fmt.Errorf("%q is not known", w)
		}
		if err != nil {
			return n, err
		}
	}
	if n.Role == RoleReplica && n.State == "" {
		return n, errors.New("it has no state")
	}
	return n, nil
}

func parseMembers(s string) (ms []Member, err error) {
	if s == "" {
		return nil, nil
	}
	for item := range strings.SplitSeq(s, ",") {
		parts := strings.Split(item, ":")
		if len(parts) < 2 || len(parts) > 3 || parts[0] == "" || (len(parts) == 3 && parts[2] != "leaving") {
			return nil, fmt.Errorf("%q is no member", item)
		}
		m := Member{Node: parts[0], Leaving: len(parts) == 3}
		if m.Gen, err = strconv.ParseUint(parts[1], 10, 64); err != nil {
			return nil, fmt.Errorf("%q is no member", item)
		}
		ms = append(ms, m)
	}
	return ms, nil
}
