package command

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// MaxEntry bounds an encoded entry, in bytes: what one raft append carries
// without delaying heartbeats.
const MaxEntry = 1 << 20

// The first byte of an encoded entry says how the rest is written.
const (
	versionPlain  = 1 // JSON
	versionPacked = 2 // JSON, compressed (RFC 1951)
)

const (
	// packFrom is the length in bytes from which an entry is compressed: operation
	// results and ordinary changes stay readable in the log.
	packFrom = 64 << 10
	// maxUnpacked bounds what a compressed entry may become, in bytes: twice what
	// the API takes, since JSON writes a quotation mark of XML as two characters.
	maxUnpacked = 64 << 20
)

// ErrTooLarge: the entry is larger than [MaxEntry], compressed.
var ErrTooLarge = errors.New("the change is larger than 1 MiB even when compressed, the most that one entry of the log may hold: make it in smaller parts")

// UnknownError is an entry this program is too old for. Applying anything after
// it would make the nodes differ, so the node must stop.
type UnknownError struct{ What string }

func (e *UnknownError) Error() string {
	return fmt.Sprintf("log entry of %s: this node's program is too old for it, upgrade it", e.What)
}

// Encode writes an entry for the log.
func Encode(e Entry) ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte(versionPlain)
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		return nil, fmt.Errorf("encode %s entry: %w", e.Kind, err)
	}
	if b.Len() < packFrom {
		return b.Bytes(), nil
	}
	return pack(b.Bytes()[1:])
}

// pack compresses an entry; a CIB shrinks to a twentieth.
func pack(text []byte) ([]byte, error) {
	if len(text) > maxUnpacked {
		return nil, ErrTooLarge
	}
	var b bytes.Buffer
	b.WriteByte(versionPacked)
	w, err := flate.NewWriter(&b, flate.BestSpeed)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(text); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	if b.Len() > MaxEntry {
		return nil, ErrTooLarge
	}
	return b.Bytes(), nil
}

// unpack is the JSON of an encoded entry.
func unpack(b []byte) ([]byte, error) {
	if len(b) == 0 {
		return nil, errors.New("log entry is empty")
	}
	switch b[0] {
	case versionPlain:
		return b[1:], nil
	case versionPacked:
		text, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(b[1:])), maxUnpacked+1))
		if err != nil {
			return nil, fmt.Errorf("log entry, compressed: %w", err)
		}
		if len(text) > maxUnpacked {
			return nil, errors.New("log entry, compressed, is larger than 64 MiB")
		}
		return text, nil
	}
	return nil, &UnknownError{fmt.Sprintf("format version %d", b[0])}
}

// Decode reads what Encode wrote. An unknown version, kind or field is an
// [*UnknownError] unless the entry is ignorable; then it comes back with its
// kind only and Apply does nothing with it.
func Decode(b []byte) (Entry, error) {
	text, err := unpack(b)
	if err != nil {
		return Entry{}, err
	}
	var e Entry
	strict := json.NewDecoder(bytes.NewReader(text))
	strict.DisallowUnknownFields()
	err = strict.Decode(&e)
	if err == nil {
		_, err = strict.Token()
		if err == io.EOF {
			err = nil
		} else {
			err = errors.New("data after the entry")
		}
	}
	if err == nil && (e.Kind.known() || e.Ignorable) {
		return e, nil
	}
	var head struct {
		Kind      Kind `json:"kind"`
		Ignorable bool `json:"ignorable"`
	}
	if json.Unmarshal(text, &head) != nil {
		return Entry{}, fmt.Errorf("log entry: %w", err)
	}
	if head.Ignorable {
		return Entry{Kind: head.Kind, Ignorable: true}, nil
	}
	if err != nil {
		return Entry{}, &UnknownError{fmt.Sprintf("kind %q (%v)", head.Kind, err)}
	}
	return Entry{}, &UnknownError{fmt.Sprintf("kind %q", head.Kind)}
}

func (k Kind) known() bool {
	switch k {
	case KindCIB, KindResult, KindNode, KindAttrs, KindCleanup:
		return true
	}
	return false
}
