package store

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/hashicorp/raft"

	"systole/crm/cib"
)

// A snapshot file is this line, then a gzip stream of: index, term, the mark's node
// and term, the CIB as XML, the history. Numbers are varints, byte strings carry
// their length.
const snapshotMagic = "systole store 1\n"

// snapshotLimit bounds an unpacked snapshot: many times the largest CIB with all its history.
const snapshotLimit = 1 << 30

// Snapshot is called by raft between two batches. The state is immutable, so a
// pointer is the snapshot; writing it happens beside further applies.
func (m *machine) Snapshot() (raft.FSMSnapshot, error) { return snapshot{m.state()}, nil }

// Restore replaces the state by a snapshot, of this node or of the DC.
func (m *machine) Restore(r io.ReadCloser) error {
	defer r.Close()
	start := time.Now()
	s, err := readSnapshot(r)
	if err != nil {
		return err
	}
	m.cib, m.index, m.term, m.mark, m.history = s.cib, s.index, s.term, s.mark, s.history
	m.publish()
	m.took(time.Since(start))
	return nil
}

type snapshot struct{ state }

func (s snapshot) Release() {}

// Persist writes the snapshot.
func (s snapshot) Persist(sink raft.SnapshotSink) error {
	if err := writeSnapshot(sink, s.state); err != nil {
		sink.Cancel()
		return err
	}
	return sink.Close()
}

func writeSnapshot(w io.Writer, s state) error {
	if _, err := io.WriteString(w, snapshotMagic); err != nil {
		return err
	}
	z, _ := gzip.NewWriterLevel(w, gzip.BestSpeed) // the level is valid
	head := binary.AppendUvarint(nil, s.index)
	head = binary.AppendUvarint(head, s.term)
	head = appendString(head, s.mark.Node)
	head = binary.AppendUvarint(head, s.mark.Term)
	xml := s.cib.Root().AppendXML(nil)
	head = binary.AppendUvarint(head, uint64(len(xml)))
	for _, part := range [][]byte{head, xml, s.history.append(nil)} {
		if _, err := z.Write(part); err != nil {
			return err
		}
	}
	return z.Close()
}

func readSnapshot(r io.Reader) (state, error) {
	magic := make([]byte, len(snapshotMagic))
	if _, err := io.ReadFull(r, magic); err != nil {
		return state{}, fmt.Errorf("read snapshot: %w", err)
	}
	if string(magic) != snapshotMagic {
		return state{}, errors.New("read snapshot: not written by this version; upgrade this node")
	}
	z, err := gzip.NewReader(r)
	if err != nil {
		return state{}, fmt.Errorf("read snapshot: %w", err)
	}
	b, err := io.ReadAll(io.LimitReader(z, snapshotLimit))
	if err != nil {
		return state{}, fmt.Errorf("read snapshot: %w", err)
	}
	d := decoder{rest: b}
	s := state{index: d.number(), term: d.number(), mark: mark{d.string(), d.number()}}
	xml := d.bytes()
	s.history = d.history()
	if d.err != nil || len(d.rest) > 0 {
		return state{}, errors.New("read snapshot: it is malformed")
	}
	if s.cib, err = cib.ParseCIB(bytes.Clone(xml), cib.MaxBytes(len(xml))); err != nil {
		return state{}, fmt.Errorf("read snapshot: %w", err)
	}
	return s, nil
}

// decoder takes fields from the front; the first that does not fit ends it.
type decoder struct {
	rest []byte
	err  error
}

var errMalformed = errors.New("malformed")

func (d *decoder) number() uint64 {
	n, used := binary.Uvarint(d.rest)
	if used <= 0 {
		d.err, d.rest = errMalformed, nil
		return 0
	}
	d.rest = d.rest[used:]
	return n
}

func (d *decoder) bytes() []byte {
	n := d.number()
	if n > uint64(len(d.rest)) {
		d.err, d.rest = errMalformed, nil
		return nil
	}
	b := d.rest[:n:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) string() string { return string(d.bytes()) }

// count is a number of things that take at least one byte each of what is left.
func (d *decoder) count() int {
	n := d.number()
	if n > uint64(len(d.rest)) {
		d.err, d.rest = errMalformed, nil
		return 0
	}
	return int(n)
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// The extension of a mark entry: one version byte, then the node's name.
const markVersion = 1

func encodeMark(node string) []byte { return append([]byte{markVersion}, node...) }

func decodeMark(b []byte) (node string, err error) {
	if len(b) == 0 || b[0] != markVersion {
		return "", errors.New("a log entry of a newer version: upgrade this node")
	}
	return string(b[1:]), nil
}
