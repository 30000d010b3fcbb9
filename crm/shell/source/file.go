package source

import (
	"bytes"
	"compress/bzip2"
	"compress/gzip"
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
	packed, err := io.ReadAll(io.LimitReader(r, cib.DefaultMaxBytes+1))
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

func limited(doc []byte) ([]byte, error) {
	if len(doc) > cib.DefaultMaxBytes {
		return nil, exit.Errorf(exit.DataErr, "the document is larger than %d MiB", cib.DefaultMaxBytes>>20)
	}
	return doc, nil
}

// WriteFile replaces a file at once, keeping its mode; a new one is
// readable by its owner only. What is not a regular file is not written.
func WriteFile(path string, doc []byte) error {
	st, err := os.Stat(path)
	if err == nil && !st.Mode().IsRegular() {
		return exit.Errorf(exit.CantCreate, "%s is not a regular file and cannot be written", path)
	}
	if err := renameio.WriteFile(path, doc, 0o600, renameio.WithExistingPermissions()); err != nil {
		return Coded(fmt.Errorf("write %s: %w", path, err))
	}
	return nil
}
