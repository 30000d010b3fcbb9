// Package secret keeps parameters that must not be in the CIB: passwords. Where
// the CIB says "lrm://", the value is here, on every node, and is put in its
// place when the agent is called ([Agents]).
//
// [Vault] owns the set and its file, sealed with the cluster key. [Server]
// spreads changes between nodes over the cluster's TLS. DESIGN.md has the
// reasons. No value is ever logged, printed by %v, or part of an error.
package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/google/renameio/v2"

	"systole/crm/cluster"
	"systole/crm/transport"
)

// Vault is the secrets of this node. Safe for concurrent use; one per file.
type Vault struct {
	path string

	mu   sync.Mutex // guards the rest, and the order of writes
	keys [][]byte   // cluster keys, the one to seal with first
	all  set
}

// The file is magic | salt | nonce | AES-256-GCM(JSON list of entries).
const (
	magic     = "systole secrets 1\n"
	saltSize  = 16
	nonceSize = 12
	purpose   = "secrets"
)

// errSealed: none of the keys opens the file.
var errSealed = errors.New("it was not sealed with a key of this cluster")

// Open reads the vault in a directory of its own, with the cluster's keys. A file
// that cannot be used is put aside; spoilt says why, and the others must be asked.
func Open(dir string, keys [][]byte) (v *Vault, spoilt error, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, fmt.Errorf("secrets: %w", err)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return nil, nil, fmt.Errorf("secrets: %w", err)
	}
	v = &Vault{path: filepath.Join(dir, "vault"), keys: keys, all: set{}}
	b, err := os.ReadFile(v.path)
	if errors.Is(err, fs.ErrNotExist) {
		return v, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("secrets: %w", err)
	}
	entries, err := unseal(b, keys)
	if err == nil {
		v.all, _, err = v.all.merge(entries)
	}
	if err != nil {
		aside := v.path + ".unreadable"
		if err := os.Rename(v.path, aside); err != nil {
			return nil, nil, fmt.Errorf("secrets: %w", err)
		}
		return v, fmt.Errorf("%s cannot be used (%w): it is kept as %s, and the other nodes are asked for the secrets", v.path, err, aside), nil
	}
	return v, nil, nil
}

// Get is the value of a secret.
func (v *Vault) Get(k Key) (cluster.Secret, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	e, ok := v.all[k]
	return e.Value, ok && !e.Deleted
}

// put makes and keeps a change of this node.
func (v *Vault) put(k Key, value cluster.Secret, deleted bool, writer string, now time.Time) (Entry, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	e := Entry{Key: k, Value: value, Deleted: deleted, Version: v.all.next(now), Writer: writer}
	_, err := v.keep([]Entry{e})
	return e, err
}

// take keeps what is newer of another node's entries.
func (v *Vault) take(entries []Entry) (changed bool, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.keep(entries)
}

// keep merges and writes, under the lock.
func (v *Vault) keep(entries []Entry) (changed bool, err error) {
	all, changed, err := v.all.merge(entries)
	if err != nil || !changed {
		return false, err
	}
	if err := v.write(all); err != nil {
		return false, err
	}
	v.all = all
	return true, nil
}

func (v *Vault) write(all set) error {
	b, err := seal(all.list(), v.keys[0])
	if err == nil {
		err = renameio.WriteFile(v.path, b, 0o600)
	}
	if err != nil {
		return fmt.Errorf("secrets: %w", err)
	}
	return nil
}

// Rekey uses new cluster keys: the file is sealed anew with the first of them.
func (v *Vault) Rekey(keys [][]byte) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.keys = keys
	if len(v.all) == 0 {
		return nil
	}
	return v.write(v.all)
}

func (v *Vault) snapshot() set {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.all // never changed in place
}

func seal(entries []Entry, key []byte) ([]byte, error) {
	text, err := json.Marshal(entries)
	if err != nil {
		return nil, err
	}
	head := make([]byte, len(magic)+saltSize, len(magic)+saltSize+nonceSize+len(text)+16)
	copy(head, magic)
	rand.Read(head[len(magic):]) // never fails
	nonce := make([]byte, nonceSize)
	rand.Read(nonce)
	sealed := aead(key, head[len(magic):]).Seal(nil, nonce, text, head)
	return append(append(head, nonce...), sealed...), nil
}

func unseal(b []byte, keys [][]byte) (entries []Entry, err error) {
	if len(b) < len(magic)+saltSize+nonceSize || string(b[:len(magic)]) != magic {
		return nil, errors.New("it is damaged")
	}
	head, rest := b[:len(magic)+saltSize], b[len(magic)+saltSize:]
	for _, k := range keys {
		text, err := aead(k, head[len(magic):]).Open(nil, rest[:nonceSize], rest[nonceSize:], head)
		if err != nil {
			continue
		}
		if json.Unmarshal(text, &entries) != nil { // whose error would quote it
			return nil, errors.New("it is of another release")
		}
		return entries, nil
	}
	return nil, errSealed
}

func aead(clusterKey, salt []byte) cipher.AEAD {
	block, err := aes.NewCipher(transport.DeriveKey(clusterKey, salt, purpose))
	if err != nil {
		panic("secret: aes refuses 32 bytes: " + err.Error())
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		panic("secret: gcm refuses aes: " + err.Error())
	}
	return gcm
}
