package mounts

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"systole/agents/internal/proc"
)

// User is a process in the way of an unmount.
type User struct {
	proc.Process
	How string // "its working directory", "an open file"...
}

// String names it for a person.
func (u User) String() string {
	command := u.Command
	if len(command) > maxCommand {
		command = command[:maxCommand] + "…"
	}
	return fmt.Sprintf("%d %s (%s)", u.PID, strings.ToValidUTF8(command, "?"), u.How)
}

// maxCommand bounds what is shown of a command line.
const maxCommand = 60

// Users are the processes that use something at or below a directory, by what
// their links in /proc say. Reading those links does not touch the files.
func Users(dir string) (users []User) {
	sockets := boundSockets(dir)
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, d := range dirs {
		pid, _ := strconv.Atoi(filepath.Base(d))
		how := usedBy(d, dir, sockets)
		if how == "" {
			continue
		}
		if p, ok := proc.Find(pid); ok {
			users = append(users, User{p, how})
		}
	}
	slices.SortFunc(users, func(a, b User) int { return a.PID - b.PID })
	return users
}

// usedBy says how a process uses what lies under dir; "" if it does not. What
// cannot be read (the process has just ended) is not used.
func usedBy(process, dir string, sockets map[string]bool) string {
	within := func(link string) bool {
		target, err := os.Readlink(link)
		return err == nil && Under(strings.TrimSuffix(target, " (deleted)"), dir)
	}
	for _, l := range []struct{ name, how string }{
		{"cwd", "its working directory"}, {"root", "its root directory"}, {"exe", "its program"},
	} {
		if within(filepath.Join(process, l.name)) {
			return l.how
		}
	}
	files, _ := os.ReadDir(filepath.Join(process, "fd"))
	for _, f := range files {
		target, err := os.Readlink(filepath.Join(process, "fd", f.Name()))
		switch {
		case err != nil:
		case Under(strings.TrimSuffix(target, " (deleted)"), dir):
			return "an open file: " + target
		case sockets[target]:
			return "a socket's name"
		}
	}
	mapped, _ := os.ReadFile(filepath.Join(process, "maps"))
	for line := range strings.Lines(string(mapped)) {
		if path := mappedFile(line); path != "" && Under(path, dir) {
			return "a mapped file: " + path
		}
	}
	return ""
}

// mappedFile is the path in a line of /proc/PID/maps, "" if it has none.
func mappedFile(line string) string {
	i := strings.IndexByte(line, '/')
	if i < 0 {
		return ""
	}
	return strings.TrimSuffix(strings.TrimSuffix(line[i:], "\n"), " (deleted)")
}

// boundSockets are the Unix sockets with a name under dir, as links of file
// descriptors show them. A socket's descriptor does not say its name, and holds
// its file system all the same.
func boundSockets(dir string) map[string]bool {
	found := map[string]bool{}
	table, _ := os.ReadFile("/proc/self/net/unix")
	for line := range strings.Lines(string(table)) {
		// Num RefCount Protocol Flags Type St Inode Path
		if f := strings.Fields(line); len(f) >= 8 && Under(f[7], dir) {
			found["socket:["+f[6]+"]"] = true
		}
	}
	return found
}

// Elsewhere are processes in other mount namespaces, one for each, that have the
// file system mounted: unmounting it here does not end its life.
func Elsewhere(dev string) (in []proc.Process) {
	own, _ := os.Readlink("/proc/self/ns/mnt")
	seen := map[string]bool{own: true, "": true}
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, d := range dirs {
		ns, _ := os.Readlink(filepath.Join(d, "ns", "mnt"))
		if seen[ns] {
			continue
		}
		seen[ns] = true
		t, err := read(filepath.Join(d, "mountinfo"))
		if err != nil || len(t.Of(dev)) == 0 {
			continue
		}
		pid, _ := strconv.Atoi(filepath.Base(d))
		if p, ok := proc.Find(pid); ok {
			in = append(in, p)
		}
	}
	return in
}
