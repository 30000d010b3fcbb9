package source

import (
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/google/renameio/v2"
	"systole/crm/cib"
	"systole/crm/exit"
)

// ReadFile reads a document from a file, a pipe such as /dev/fd/5, or "-" for
// standard input; bzip2 and gzip are unpacked, known by their first bytes. What
// is larger than a CIB may be is refused.
func ReadFile(path string) ([]byte, error) {
	f := os.Stdin
	if path != "-" {
		var err error
		if f, err = os.Open(path); err != nil {
			return nil, Coded(err)
		}
		defer f.Close()
	}
	doc, err := ReadAll(f)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return doc, nil
}

// ReadAll reads and unpacks a document.
func ReadAll(r io.Reader) ([]byte, error) {
	packed, err := readAll(r)
	if err != nil {
		return nil, exit.With(exit.NoInput, err)
	}
	var unpacked io.Reader
	switch {
	case bytes.HasPrefix(packed, []byte("BZh")):
		unpacked = bzip2.NewReader(bytes.NewReader(packed))
	case bytes.HasPrefix(packed, []byte{0x1f, 0x8b}):
		if unpacked, err = gzip.NewReader(bytes.NewReader(packed)); err != nil {
			return nil, exit.With(exit.DataErr, err)
		}
	default:
		return limited(packed)
	}
	doc, err := io.ReadAll(io.LimitReader(unpacked, cib.DefaultMaxBytes+1))
	if err != nil {
		return nil, exit.With(exit.DataErr, err)
	}
	return limited(doc)
}

// readAll reads what there is, at most one byte beyond the limit, of a file into a buffer of its size: large documents would
// else be copied again and again.
func readAll(r io.Reader) ([]byte, error) {
	var b bytes.Buffer
	if f, ok := r.(*os.File); ok {
		if st, err := f.Stat(); err == nil && st.Mode().IsRegular() {
			b.Grow(int(min(st.Size(), cib.DefaultMaxBytes)) + bytes.MinRead)
		}
	}
	_, err := b.ReadFrom(io.LimitReader(r, cib.DefaultMaxBytes+1))
	return b.Bytes(), err
}

func limited(doc []byte) ([]byte, error) {
	if len(doc) > cib.DefaultMaxBytes {
		return nil, exit.Errorf(exit.DataErr, "the document is larger than %d MiB", cib.DefaultMaxBytes>>20)
	}
	return doc, nil
}

// WriteFile writes a document to a file. One that is there is written in place
// and keeps its mode: pcs holds its temporary file open while tools work on it,
// and reads what they have written from that. A new one appears at once, whole,
// readable by its owner only. What is not a regular file is not written.
func WriteFile(path string, doc []byte) error {
	st, err := os.Stat(path)
	switch {
	case err == nil && !st.Mode().IsRegular():
		return exit.Errorf(exit.CantCreate, "%s is not a regular file and cannot be written", path)
	case err == nil:
		err = overwrite(path, doc)
	default:
		err = renameio.WriteFile(path, doc, 0o600)
	}
	if err != nil {
		return Coded(fmt.Errorf("write %s: %w", path, err))
	}
	return nil
}

// overwrite writes over a file. What is there is only cut off once the new text
// is on disk.
func overwrite(path string, doc []byte) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.Write(doc); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return f.Truncate(int64(len(doc)))
}
