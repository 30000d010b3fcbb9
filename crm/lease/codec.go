package lease

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"
)

// The wire format of a datagram: version, then messages one after the other, each its
// kind and the fields in the order of the struct; numbers as varints, durations in nanoseconds, names with their
// length in one byte. A change of meaning takes a new version: a node answers none it
// does not know.
const (
	wireVersion byte = 2
	kindBeat    byte = 'b'
	kindGrant   byte = 'g'
	kindHello   byte = 'h'
	kindRenew   byte = 'r'
	kindRenewed byte = 'R'
)

// maxName bounds a node's name on the wire; host names have at most 255 bytes. With it
// no message exceeds 600 bytes, and no two of them transport.MaxDatagram.
const maxName = 255

// Encode gives the wire form of messages for one datagram. Names beyond 255 bytes are a
// slip of the caller: they cannot be in a cluster, and are cut here.
func Encode(messages ...Message) []byte {
	w := writer{wireVersion}
	for _, m := range messages {
		w.message(m)
	}
	return w
}

func (w *writer) message(m Message) {
	switch m := m.(type) {
	case Beat:
		*w = append(*w, kindBeat)
		w.name(m.Node)
		w.number(m.Incarnation)
		w.number(m.Seq)
		w.span(m.Sent)
		w.number(m.Term)
		w.number(m.Applied)
		*w = append(*w, byte(m.Record.Policy))
		w.span(m.Record.GiveUp)
		w.span(m.Record.Restart)
		*w = append(*w, flag(m.Leaving))
	case Grant:
		*w = append(*w, kindGrant)
		w.name(m.DC)
		w.number(m.Term)
		w.name(m.Node)
		w.number(m.Incarnation)
		w.number(m.Seq)
		w.span(m.Length)
	case Hello:
		*w = append(*w, kindHello)
		w.name(m.DC)
		w.number(m.Term)
	case Renew:
		*w = append(*w, kindRenew)
		w.name(m.Leader)
		w.number(m.Term)
		w.span(m.Sent)
	case Renewed:
		*w = append(*w, kindRenewed)
		w.name(m.Voter)
		w.name(m.Leader)
		w.number(m.Term)
		w.span(m.Sent)
		w.number(m.Commit)
	}
}

// Decode reads what Encode wrote and nothing else: an unknown version or kind, a
// truncated or a longer message is an error.
func Decode(b []byte) ([]Message, error) {
	if len(b) < 2 {
		return nil, fmt.Errorf("lease message of %d bytes is too short", len(b))
	}
	if b[0] != wireVersion {
		return nil, fmt.Errorf("lease message of version %d: this node speaks version %d; upgrade the older one", b[0], wireVersion)
	}
	r := reader{rest: b[1:]}
	var messages []Message
	for len(r.rest) > 0 {
		kind := r.byte()
		m := r.message(kind)
		if m == nil {
			return nil, fmt.Errorf("lease message of unknown kind %q", kind)
		}
		if r.bad {
			return nil, fmt.Errorf("lease message of kind %q is malformed", kind)
		}
		messages = append(messages, m)
	}
	return messages, nil
}

// message reads the fields of one; nil when the kind is unknown.
func (r *reader) message(kind byte) Message {
	switch kind {
	case kindBeat:
		return Beat{
			Node: r.name(), Incarnation: r.number(), Seq: r.number(), Sent: r.span(), Term: r.number(), Applied: r.number(),
			Record: Record{Policy: r.policy(), GiveUp: r.span(), Restart: r.span()}, Leaving: r.flag(),
		}
	case kindGrant:
		return Grant{DC: r.name(), Term: r.number(), Node: r.name(), Incarnation: r.number(), Seq: r.number(), Length: r.span()}
	case kindHello:
		return Hello{DC: r.name(), Term: r.number()}
	case kindRenew:
		return Renew{Leader: r.name(), Term: r.number(), Sent: r.span()}
	case kindRenewed:
		return Renewed{Voter: r.name(), Leader: r.name(), Term: r.number(), Sent: r.span(), Commit: r.number()}
	}
	return nil
}

type writer []byte

func (w *writer) name(s string) {
	s = s[:min(len(s), maxName)]
	*w = append(append(*w, byte(len(s))), s...)
}
func (w *writer) number(n uint64)      { *w = binary.AppendUvarint(*w, n) }
func (w *writer) span(d time.Duration) { w.number(uint64(max(d, 0))) }

func flag(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// reader takes fields from the front; the first that does not fit makes it bad.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) byte() byte {
	if len(r.rest) == 0 {
		r.bad = true
		return 0
	}
	b := r.rest[0]
	r.rest = r.rest[1:]
	return b
}

func (r *reader) name() string {
	n := int(r.byte())
	if n > len(r.rest) {
		r.bad = true
		return ""
	}
	s := string(r.rest[:n])
	r.rest = r.rest[n:]
	return s
}

func (r *reader) number() uint64 {
	n, used := binary.Uvarint(r.rest)
	if used <= 0 || used > 1 && r.rest[used-1] == 0 { // truncated, too large, or not the shortest form
		r.bad = true
		return 0
	}
	r.rest = r.rest[used:]
	return n
}

func (r *reader) span() time.Duration {
	n := r.number()
	if n > math.MaxInt64 {
		r.bad = true
		return 0
	}
	return time.Duration(n)
}

func (r *reader) policy() Policy {
	p := Policy(r.byte())
	if int(p) >= len(policyNames) {
		r.bad = true
	}
	return p
}

func (r *reader) flag() bool {
	b := r.byte()
	if b > 1 {
		r.bad = true
	}
	return b == 1
}
