package mounts

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"systole/agents/internal/nstest"
)

const example = `22 1 0:20 / / rw,relatime shared:1 - ext4 /dev/root rw,errors=continue
30 22 8:1 /sub /mnt/a\040b ro,nosuid master:2 shared:3 - xfs /dev/sda1 rw
31 22 0:40 / /srv/www rw - nfs4 host:/export rw,vers=4.2
32 31 0:41 / /srv/www/cache rw - tmpfs tmpfs rw
33 22 0:42 / /srv/www rw - tmpfs over ro
`

func TestTable(t *testing.T) {
	table, err := Parse(example)
	if err != nil {
		t.Fatal(err)
	}
	if m, ok := table.At("/mnt/a b"); !ok || m.Dev != "8:1" || m.Root != "/sub" || m.Type != "xfs" || m.Source != "/dev/sda1" || !m.ReadOnly() {
		t.Errorf("at /mnt/a b: %+v, %v", m, ok)
	}
	if m, _ := table.At("/srv/www"); m.Source != "over" || !m.ReadOnly() {
		t.Errorf("the later mount covers the earlier: %+v", m)
	}
	if _, ok := table.At("/srv"); ok {
		t.Error("/srv is a directory")
	}
	if below := table.Below("/srv"); len(below) != 3 || below[0].ID != 33 || below[2].ID != 31 {
		t.Errorf("below /srv: %+v", below)
	}
	for path, want := range map[string]string{"/etc/x": "0:20 /etc/x", "/mnt/a b/c": "8:1 /sub/c", "/mnt/a b": "8:1 /sub", "/": "0:20 /"} {
		if dev, root, ok := table.Target(path); !ok || dev+" "+root != want {
			t.Errorf("target of %s: %s %s, want %s", path, dev, root, want)
		}
	}
	for _, bad := range []string{"", "x", "a 1 0:1 / / rw - t s o", "1 1 0:1 / / rw t s o", "1 1 0:1 / / rw - t s"} {
		if _, err := Parse(bad + "\n"); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

func TestUnder(t *testing.T) {
	for _, c := range []struct {
		path, dir string
		want      bool
	}{{"/a", "/a", true}, {"/a/b", "/a", true}, {"/ab", "/a", false}, {"/", "/a", false}, {"/a", "/", true}} {
		if Under(c.path, c.dir) != c.want {
			t.Errorf("Under(%s, %s) is not %v", c.path, c.dir, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(example)
	f.Add(`1 2 3:4 \0 \777 a - b c d`)
	f.Fuzz(func(t *testing.T, text string) {
		table, err := Parse(text)
		if err == nil && len(table) > strings.Count(text, "\n")+1 {
			t.Errorf("%d mounts of %q", len(table), text)
		}
		table.Target("/a/b")
		table.Below("/")
	})
}

func FuzzMaps(f *testing.F) {
	f.Add("7f00-7f01 r--p 00000000 08:01 123 /usr/lib/x.so (deleted)\n")
	f.Add("7f00-7f01 rw-p 00000000 00:00 0 [heap]\n")
	f.Fuzz(func(t *testing.T, line string) { mappedFile(line) })
}

func TestUsersAreFound(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "held")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if users := Users(dir); len(users) != 0 {
		t.Fatalf("nobody uses it, found %v", users)
	}
	start := func(cmd *exec.Cmd) int {
		t.Helper()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
		return cmd.Process.Pid
	}
	inside := exec.Command("sleep", "60")
	inside.Dir = dir
	holding := exec.Command("sleep", "60")
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	holding.ExtraFiles = []*os.File{f}
	want := map[int]string{start(inside): "working directory", start(holding): "open file", os.Getpid(): "open file"}
	for _, u := range Users(dir) {
		if how, ok := want[u.PID]; !ok || !strings.Contains(u.String(), how) {
			t.Errorf("found %v", u)
		}
		delete(want, u.PID)
	}
	if len(want) > 0 {
		t.Errorf("not found: %v", want)
	}
}

// A socket holds the file system its name is in, and its descriptor does not say so.
func TestBoundSocketIsFound(t *testing.T) {
	dir := t.TempDir()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		defer unix.Close(fd)
		err = unix.Bind(fd, &unix.SockaddrUnix{Name: filepath.Join(dir, "s")})
	}
	if err != nil {
		t.Fatal(err)
	}
	if users := Users(dir); len(users) != 1 || users[0].PID != os.Getpid() || users[0].How != "a socket's name" {
		t.Errorf("found %v", users)
	}
}

func TestGone(t *testing.T) {
	if !nstest.IsolatedRoot(t) {
		return
	}
	dir := t.TempDir()
	if err := unix.Mount("x", dir, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	looked, result := make(chan struct{}, 8), make(chan bool)
	go func() {
		gone, err := Gone(t.Context(), func(table Table) bool {
			_, there := table.At(dir)
			looked <- struct{}{}
			return there
		})
		if err != nil {
			t.Error(err)
		}
		result <- gone
	}()
	<-looked
	if err := unix.Unmount(dir, 0); err != nil {
		t.Fatal(err)
	}
	if !<-result {
		t.Error("the unmount was not noticed")
	}
}
