package nfs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"systole/agents/internal/mounts"
)

// rmtab is rpc.mountd's list of NFS 3 mounts, lines CLIENT:PATH:COUNT. The lines of
// a directory move with it in a file of its own.

// keepMounts writes the lines of a directory into its backup, if they changed.
func (p paths) keepMounts(dir, backup string) error {
	lines, err := readLines(p.state("rmtab"))
	if err != nil {
		return err
	}
	of := mountsOf(lines, dir)
	if old, err := readLines(backup); err == nil && slices.Equal(old, of) {
		return nil
	}
	return writeLines(backup, of)
}

// restoreMounts adds a directory's backup to the list.
func (p paths) restoreMounts(backup string) error {
	kept, err := readLines(backup)
	if err != nil || len(kept) == 0 {
		return err
	}
	lines, err := readLines(p.state("rmtab"))
	if err != nil {
		return err
	}
	all := union(lines, kept)
	if len(all) == len(lines) {
		return nil
	}
	return writeLines(p.state("rmtab"), all)
}

// mountsOf are the lines of mounts at or below a directory, sorted.
func mountsOf(lines []string, dir string) (of []string) {
	for _, l := range lines {
		start, end := strings.Index(l, ":/"), strings.LastIndexByte(l, ':')
		if start >= 0 && end > start && mounts.Under(filepath.Clean(l[start+1:end]), dir) {
			of = append(of, l)
		}
	}
	slices.Sort(of)
	return slices.Compact(of)
}

// union is a and what b has more.
func union(a, b []string) []string {
	all := slices.Clone(a)
	for _, l := range b {
		if !slices.Contains(all, l) {
			all = append(all, l)
		}
	}
	return all
}

// readLines is the lines of a file that are not empty; none without the file.
func readLines(file string) (lines []string, err error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for l := range strings.Lines(string(text)) {
		if l = strings.TrimSpace(l); l != "" {
			lines = append(lines, l)
		}
	}
	return lines, err
}

// writeLines replaces a file at one blow.
func writeLines(file string, lines []string) error {
	text := strings.Join(lines, "\n")
	if text != "" {
		text += "\n"
	}
	next := file + ".new"
	if err := os.WriteFile(next, []byte(text), 0o644); err != nil {
		return err
	}
	return os.Rename(next, file)
}
