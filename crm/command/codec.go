package command

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// MaxEntry bounds an encoded entry, in bytes: what one raft append carries
// without delaying heartbeats.
const MaxEntry = 1 << 20

// version is the first byte of an encoded entry.
const version = 1

// ErrTooLarge: the entry is larger than [MaxEntry]; a large replace must be proposed as a patch.
var ErrTooLarge = errors.New("the change is larger than 1 MiB, the most that one entry of the log may hold: make it in smaller parts")

// UnknownError is an entry this program is too old for. Applying anything after
// it would make the nodes differ, so the node must stop.
type UnknownError struct{ What string }

func (e *UnknownError) Error() string {
	return fmt.Sprintf("log entry of %s: this node's program is too old for it, upgrade it", e.What)
}

// Encode writes an entry for the log: one version byte, then JSON.
func Encode(e Entry) ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte(version)
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		return nil, fmt.Errorf("encode %s entry: %w", e.Kind, err)
	}
	if b.Len() > MaxEntry {
		return nil, ErrTooLarge
	}
	return b.Bytes(), nil
}

// Decode reads what Encode wrote. An unknown version, kind or field is an
// [*UnknownError] unless the entry is ignorable; then it comes back with its
// kind only and Apply does nothing with it.
func Decode(b []byte) (Entry, error) {
	if len(b) == 0 {
		return Entry{}, errors.New("log entry is empty")
	}
	if b[0] != version {
		return Entry{}, &UnknownError{fmt.Sprintf("format version %d", b[0])}
	}
	var e Entry
	strict := json.NewDecoder(bytes.NewReader(b[1:]))
	strict.DisallowUnknownFields()
	err := strict.Decode(&e)
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
	if json.Unmarshal(b[1:], &head) != nil {
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
