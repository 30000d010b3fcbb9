// Package mounts reads the table of mounts and finds who uses one. It only
// reads /proc, and never looks at a mounted file system itself: one whose server
// is dead would hold whoever does.
package mounts

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Mount is one line of /proc/PID/mountinfo (proc(5)).
type Mount struct {
	ID     int
	Dev    string // "major:minor" of the file system: one for all mounts of it
	Root   string // what of the file system is mounted here: "/", or a bind mount's directory
	Point  string
	Type   string
	Source string
	// Options are of this mount, Super of the file system: "ro", "rw"...
	Options, Super []string
}

// Table is the mounts of this process's namespace, in their order: a later mount
// covers an earlier one at the same point.
type Table []Mount

// Read is the table now.
func Read() (Table, error) { return read("/proc/self/mountinfo") }

func read(file string) (Table, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("table of mounts: %w", err)
	}
	return Parse(string(data))
}

// Parse reads the text of mountinfo.
func Parse(text string) (Table, error) {
	var t Table
	for line := range strings.Lines(text) {
		m, err := parseLine(strings.TrimSuffix(line, "\n"))
		if err != nil {
			return nil, fmt.Errorf("table of mounts: line %d: %w", len(t)+1, err)
		}
		t = append(t, m)
	}
	return t, nil
}

// parseLine reads: ID parent major:minor root point options [tags...] - type source super-options.
func parseLine(line string) (Mount, error) {
	f := strings.Split(line, " ")
	dash := slices.Index(f, "-")
	if dash < 6 || len(f) < dash+4 {
		return Mount{}, fmt.Errorf("%q is none of mountinfo", line)
	}
	id, err := strconv.Atoi(f[0])
	if err != nil {
		return Mount{}, fmt.Errorf("%q is no mount ID", f[0])
	}
	return Mount{
		ID: id, Dev: f[2], Root: Unescape(f[3]), Point: Unescape(f[4]), Options: strings.Split(f[5], ","),
		Type: f[dash+1], Source: Unescape(f[dash+2]), Super: strings.Split(f[dash+3], ","),
	}, nil
}

// Unescape reads the octal escapes of blanks and backslashes in the tables of the
// kernel and of nfs-utils.
func Unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// At is the mount one sees at a directory, if it is a mount point.
func (t Table) At(dir string) (Mount, bool) {
	for _, m := range slices.Backward(t) {
		if m.Point == dir {
			return m, true
		}
	}
	return Mount{}, false
}

// Holding is the mount a path lies in.
func (t Table) Holding(path string) (Mount, bool) {
	for dir := path; ; dir = filepath.Dir(dir) {
		if m, ok := t.At(dir); ok {
			return m, true
		}
		if dir == "/" || dir == "." {
			return Mount{}, false
		}
	}
}

// Below are the mounts under a directory, not at it, in the order in which they
// can be unmounted.
func (t Table) Below(dir string) (below []Mount) {
	for _, m := range slices.Backward(t) {
		if m.Point != dir && Under(m.Point, dir) {
			below = append(below, m)
		}
	}
	return below
}

// Of are all mounts of a file system, by Dev.
func (t Table) Of(dev string) (of []Mount) {
	for _, m := range t {
		if m.Dev == dev {
			of = append(of, m)
		}
	}
	return of
}

// Target is the file system and the directory in it that a path means: what a
// bind mount of the path has as Dev and Root.
func (t Table) Target(path string) (dev, root string, ok bool) {
	m, ok := t.Holding(path)
	if !ok {
		return "", "", false
	}
	rest := strings.TrimPrefix(path, strings.TrimSuffix(m.Point, "/"))
	return m.Dev, filepath.Join(m.Root, rest), true
}

// ReadOnly tells whether nothing can be written through the mount. An ext4
// the kernel found errors in is ro until Linux 6.12, emergency_ro since 6.14, and not
// marked between, nor where that change was taken back to older kernels (Debian's
// 6.1): only a write shows it there.
func (m Mount) ReadOnly() bool {
	return slices.Contains(m.Options, "ro") || slices.Contains(m.Super, "ro") || slices.Contains(m.Super, "emergency_ro")
}

// Under tells whether a path is dir or lies below it.
func Under(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}
