package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"systole/crm/api"
	"systole/crm/lease"
	"systole/crm/node"
)

// lateNode is the node before there is one: agents and the guard are made first.
type lateNode struct{ node atomic.Pointer[node.Node] }

// Remaining implements resources.Lease.
func (l *lateNode) Remaining() time.Duration {
	if n := l.node.Load(); n != nil {
		return n.Remaining()
	}
	return 0
}

// SetAttribute is [node.Node.SetAttribute]; agents run only while there is a node.
func (l *lateNode) SetAttribute(ctx context.Context, name, value string, delay time.Duration) error {
	if n := l.node.Load(); n != nil {
		return n.SetAttribute(ctx, name, value, delay)
	}
	return errors.New("the node is not there yet")
}

// rightFile keeps the lease in a few words of memory that are mapped from a file in /run:
// it is written for every grant, outlives this process and is of no use after a boot.
type rightFile struct {
	path string
	// mapped are incarnation, end, policy and index, in this machine's byte order; each is
	// written in one piece.
	mapped *rightWords
}

type rightWords [4]uint64

const rightSize = int(unsafe.Sizeof(rightWords{}))

// Load implements node.Keeper.
func (f *rightFile) Load() (node.Kept, bool) {
	b, err := os.ReadFile(f.path)
	if err != nil || len(b) != rightSize {
		return node.Kept{}, false
	}
	word := func(i int) uint64 { return binary.NativeEndian.Uint64(b[8*i:]) }
	k := node.Kept{Incarnation: word(0), End: time.Duration(word(1)), Policy: lease.Policy(word(2)), Index: word(3)}
	return k, k.Incarnation > 0 // or a daemon was killed before it wrote
}

// Save implements node.Keeper.
func (f *rightFile) Save(k node.Kept) error {
	if f.mapped == nil {
		if err := f.open(); err != nil {
			return fmt.Errorf("keep the lease in %s: %w", f.path, err)
		}
	}
	for i, word := range (rightWords{k.Incarnation, uint64(k.End), uint64(k.Policy), k.Index}) {
		atomic.StoreUint64(&f.mapped[i], word)
	}
	return nil
}

func (f *rightFile) open() error {
	file, err := os.OpenFile(f.path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := unix.Fallocate(int(file.Fd()), 0, 0, int64(rightSize)); err != nil { // a hole could fail when it is written, with a signal
		return err
	}
	b, err := unix.Mmap(int(file.Fd()), 0, rightSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return err
	}
	f.mapped = (*rightWords)(unsafe.Pointer(&b[0]))
	return nil
}

// inputDir keeps the newest scheduler inputs, compressed.
type inputDir struct {
	path string
	keep int
}

const inputSuffix = ".xml.gz"

// Save implements node.Inputs.
func (d *inputDir) Save(name string, xml []byte) error {
	if d.keep <= 0 {
		return nil
	}
	if err := os.MkdirAll(d.path, 0o700); err != nil {
		return err
	}
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(xml); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	// A torn file after a crash is a lost record, so no fsync.
	if err := os.WriteFile(filepath.Join(d.path, name+inputSuffix), b.Bytes(), 0o600); err != nil {
		return err
	}
	files, err := d.List()
	if err != nil {
		return err
	}
	for _, old := range files[min(d.keep, len(files)):] {
		if err := os.Remove(filepath.Join(d.path, old.Name+inputSuffix)); err != nil {
			return err
		}
	}
	return nil
}

// List implements node.Inputs: newest first.
func (d *inputDir) List() ([]api.InputFile, error) {
	entries, err := os.ReadDir(d.path)
	if errors.Is(err, os.ErrNotExist) {
		return []api.InputFile{}, nil
	}
	if err != nil {
		return nil, err
	}
	out := []api.InputFile{}
	for _, e := range entries {
		name, ours := strings.CutSuffix(e.Name(), inputSuffix)
		info, err := e.Info()
		if !ours || err != nil {
			continue
		}
		out = append(out, api.InputFile{Name: name, Size: info.Size(), Time: info.ModTime()})
	}
	slices.SortFunc(out, func(a, b api.InputFile) int { return b.Time.Compare(a.Time) })
	return out, nil
}

// Load implements node.Inputs.
func (d *inputDir) Load(name string) ([]byte, error) {
	if name != filepath.Base(name) {
		return nil, &api.Error{Code: api.CodeUsage, Message: fmt.Sprintf("%q is not the name of a saved input", name)}
	}
	f, err := os.Open(filepath.Join(d.path, name+inputSuffix))
	if errors.Is(err, os.ErrNotExist) {
		return nil, &api.Error{Code: api.CodeNoSuch, Message: fmt.Sprintf("input %s is not kept on this node; see crm transition inputs", name)}
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r, err := gzip.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("input %s: %w", name, err)
	}
	return io.ReadAll(r)
}
