package executor

import (
	"errors"
	"io/fs"
	"os"
)

// Store keeps the record of what runs here across restarts of the daemon. Load
// returns nil, nil when there is none. Save must not keep the slice.
type Store interface {
	Load() ([]byte, error)
	Save([]byte) error
}

// FileStore keeps the record in a file, replaced atomically, readable by its
// owner only since parameters may hold secrets. It belongs on a file system
// that is empty after a boot, as /run is: what ran before a boot runs no more.
type FileStore string

// Load reads the file; a missing one is no error.
func (f FileStore) Load() ([]byte, error) {
	b, err := os.ReadFile(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return b, err
}

// Save replaces the file. It is not flushed to a disk: it must survive this
// process, and after a loss of power it would only be wrong.
func (f FileStore) Save(b []byte) error {
	fresh := string(f) + ".new"
	if err := os.WriteFile(fresh, b, 0o600); err != nil {
		return err
	}
	return os.Rename(fresh, string(f))
}
