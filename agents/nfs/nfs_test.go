package nfs

import (
	"bytes"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"systole/agents/internal/nstest"
	"systole/resources"
)

const etabExample = "/srv/a\\040b\t*(rw,sync,fsid=7,sec=sys)\n" +
	"/srv\t2001:db8::/64(ro,fsid=0)\n\n# a comment\n/usr\t@group(ro)\n"

func TestEtab(t *testing.T) {
	got, err := parseEtab(etabExample)
	if err != nil {
		t.Fatal(err)
	}
	want := []export{
		{"/srv/a b", "*", []string{"rw", "sync", "fsid=7", "sec=sys"}},
		{"/srv", "2001:db8::/64", []string{"ro", "fsid=0"}},
		{"/usr", "@group", []string{"ro"}},
	}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(export{})); d != "" {
		t.Error(d)
	}
	if got[0].fsid() != "7" || got[2].fsid() != "" {
		t.Errorf("fsids %q, %q", got[0].fsid(), got[2].fsid())
	}
	for _, bad := range []string{"/srv", "/srv *", "/srv\t*", "/srv\t*(rw"} {
		if _, err := parseEtab(bad); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

func FuzzEtab(f *testing.F) {
	f.Add(etabExample)
	f.Add("/\\777\t(")
	f.Fuzz(func(t *testing.T, text string) {
		exports, err := parseEtab(text)
		if err == nil && len(exports) > strings.Count(text, "\t") {
			t.Errorf("%d exports of %q", len(exports), text)
		}
	})
}

func TestExportParameters(t *testing.T) {
	x, err := readExports(map[string]string{"directory": "/a /b/", "clientspec": "10.0.0.0/24 [2001:db8::]/64", "fsid": "5", "options": "rw,fsid=9,no_root_squash"})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range x.want {
		got = append(got, e.spec()+" "+e.fsid())
	}
	want := []string{"10.0.0.0/24:/a 5", "[2001:db8::]/64:/a 5", "10.0.0.0/24:/b 6", "[2001:db8::]/64:/b 6"}
	if !slices.Equal(got, want) || x.options != "rw,no_root_squash" || x.backup != ".rmtab" {
		t.Errorf("%q, options %q, backup %q", got, x.options, x.backup)
	}
	if x, err := readExports(map[string]string{"directory": "/a", "clientspec": "*", "fsid": "root"}); err != nil || x.want[0].fsid() != "0" {
		t.Errorf("root: %+v, %v", x, err)
	}
	for _, bad := range []map[string]string{
		{"directory": "/a", "clientspec": "*"},
		{"directory": "a", "clientspec": "*", "fsid": "1"},
		{"directory": "/a /b", "clientspec": "*", "fsid": "3e0d0c4a-uuid"},
		{"directory": "/a", "clientspec": "*(rw)", "fsid": "1"},
		{"directory": "/a", "clientspec": "*", "fsid": "1", "options": "rw)"},
		{"directory": "/a", "clientspec": "*", "fsid": "1", "rmtab_backup": "../x"},
		{"directory": " ", "clientspec": "*", "fsid": "1"},
	} {
		if x, err := readExports(bad); err == nil {
			t.Errorf("%v was read as %+v", bad, x)
		}
	}
}

func TestServerParameters(t *testing.T) {
	s, err := readServer(map[string]string{"nfs_ip": "10.0.0.1,10.0.0.2", "nfs_shared_infodir": "/srv/nfs/"})
	if err != nil || s.scope != "10.0.0.1" || s.infodir != "/srv/nfs" || s.v3 || s.threads != 8 || s.lease != 10*time.Second {
		t.Errorf("%+v, %v", s, err)
	}
	for _, bad := range []map[string]string{
		{"nfs_ip": "store"}, {"nfs_shared_infodir": "srv"}, {"nfs_shared_infodir": "/var/lib/nfs/x"}, {"rpcpipefs_dir": "x"},
		{"nfsv4_leasetime": "5"}, {"nfsv4_leasetime": "20", "nfsv4_gracetime": "10"}, {"threads": "0"}, {"threads": "many"},
		{"nfs_server_scope": strings.Repeat("x", 65)},
	} {
		if s, err := readServer(bad); err == nil {
			t.Errorf("%v was read as %+v", bad, s)
		}
	}
}

func TestServerArguments(t *testing.T) {
	for _, c := range []struct {
		params       map[string]string
		mountd, nfsd string
	}{
		{nil, "-F -N 2 -N 3", "-G 10 -L 10 -V 4 -N 3 8"},
		{map[string]string{"nfsv4_gracetime": "75", "nfsv4_leasetime": "25", "threads": "3", "nfsv4_only": "false"}, "-F", "-G 75 -L 25 -V 4 -V 3 3"},
	} {
		s, err := readServer(c.params)
		if err != nil {
			t.Fatal(err)
		}
		mountd, nfsd := s.arguments()
		if got := strings.Join(mountd, " "); got != c.mountd {
			t.Errorf("%v: rpc.mountd %s, want %s", c.params, got, c.mountd)
		}
		if got := strings.Join(nfsd, " "); got != c.nfsd {
			t.Errorf("%v: rpc.nfsd %s, want %s", c.params, got, c.nfsd)
		}
	}
}

// TestNotifyV3 has a program in the place of sm-notify that says how it was called.
func TestNotifyV3(t *testing.T) {
	if !nstest.IsolatedRoot(t) {
		return
	}
	if err := unix.Mount("programs", "/usr/sbin", "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	calls := filepath.Join(t.TempDir(), "calls")
	if err := os.WriteFile("/usr/sbin/sm-notify", []byte("#!/bin/sh\necho \"$@\" >>"+calls+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		params map[string]string
		want   []string
	}{
		{nil, []string{"-f -d"}},
		{map[string]string{"nfs_ip": "10.0.0.1,10.0.0.2", "nfs_smnotify_retry_time": "7"}, []string{"-f -d -v 10.0.0.1 -m 7", "-f -d -v 10.0.0.2 -m 7"}},
		{map[string]string{"nfs_ip": "10.0.0.1", "nfs_notify_foreground": "true"}, []string{"-f -d -v 10.0.0.1"}},
	} {
		s, err := readServer(c.params)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(calls, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := NewServer(Config{}).notifyV3(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		got, err := readLines(calls)
		for ; err == nil && !s.wait && len(got) < len(c.want); got, err = readLines(calls) { // nobody has waited for it
		}
		slices.Sort(got)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%v: called with %q, %v; want %q", c.params, got, err, c.want)
		}
	}
}

func TestRmtab(t *testing.T) {
	dir := t.TempDir()
	p := paths{lib: filepath.Join(dir, "lib"), nfsd: dir}
	os.Mkdir(p.lib, 0o755)
	write := func(file string, lines ...string) {
		t.Helper()
		if err := writeLines(file, lines); err != nil {
			t.Fatal(err)
		}
	}
	a, b, sub, six := "10.0.0.1:/a:0x00000001", "10.0.0.2:/ab:0x00000001", "host:/a/sub:0x00000002", "2001:db8::1:/a:0x00000001"
	write(p.state("rmtab"), sub, b, a, six)
	backup := filepath.Join(dir, "backup")
	if err := p.keepMounts("/a", backup); err != nil {
		t.Fatal(err)
	}
	if kept, _ := readLines(backup); !slices.Equal(kept, []string{a, six, sub}) {
		t.Errorf("kept %q", kept)
	}
	// On another node, which has a mount of its own.
	write(p.state("rmtab"), b)
	for range 2 {
		if err := p.restoreMounts(backup); err != nil {
			t.Fatal(err)
		}
	}
	if all, _ := readLines(p.state("rmtab")); !slices.Equal(all, []string{b, a, six, sub}) {
		t.Errorf("restored %q", all)
	}
	if err := p.restoreMounts(filepath.Join(dir, "none")); err != nil {
		t.Error(err)
	}
}

func FuzzRmtab(f *testing.F) {
	f.Add("host:/a:0x1", "/a")
	f.Add(":/", "/")
	f.Fuzz(func(t *testing.T, line, dir string) { mountsOf([]string{line}, dir) })
}

// TestExport lets Debian's exportfs do the work, without a server.
func TestExport(t *testing.T) {
	if tool("exportfs") == "" {
		t.Skip("needs exportfs (package nfs-kernel-server)")
	}
	if !nstest.IsolatedRoot(t) {
		return
	}
	if err := unix.Mount("lib", system.lib, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	a := NewExporter()
	params := map[string]string{"directory": dir + " /usr", "clientspec": "192.0.2.0/24 127.0.0.1", "fsid": "11", "options": "rw,no_root_squash"}
	must := func(want resources.Code, action resources.Action, interval time.Duration) resources.Result {
		t.Helper()
		res := a.Execute(t.Context(), resources.Op{Action: action, Params: params, Interval: interval})
		if res.Code != want {
			t.Fatalf("%s: code %d (%s), want %d", action, res.Code, res.Reason, want)
		}
		return res
	}
	must(resources.NotRunning, resources.ActionMonitor, 0)
	must(resources.OK, resources.ActionStop, 0)
	must(resources.OK, resources.ActionStart, 0)
	must(resources.OK, resources.ActionStart, 0)
	must(resources.OK, resources.ActionMonitor, time.Second)
	have, err := system.readEtab()
	if err != nil || len(have) != 4 {
		t.Fatalf("exported %+v, %v", have, err)
	}
	// One of them goes: neither running nor stopped.
	if err := run(t.Context(), "exportfs", "-u", "192.0.2.0/24:/usr"); err != nil {
		t.Fatal(err)
	}
	if res := must(resources.ErrGeneric, resources.ActionMonitor, 0); !strings.Contains(res.Reason, "192.0.2.0/24:/usr") {
		t.Errorf("%s", res.Reason)
	}
	must(resources.OK, resources.ActionStart, 0)
	// The same directory with another fsid would give stale handles.
	params["fsid"] = "20"
	if res := must(resources.ErrGeneric, resources.ActionMonitor, 0); !strings.Contains(res.Reason, "stale") {
		t.Errorf("%s", res.Reason)
	}
	params["fsid"] = "11"
	// A table from before the boot is not believed, and emptied by a start.
	if err := os.Chtimes(system.state("etab"), time.Time{}, time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	must(resources.NotRunning, resources.ActionMonitor, 0)
	must(resources.OK, resources.ActionStart, 0)
	must(resources.OK, resources.ActionStop, 0)
	must(resources.NotRunning, resources.ActionMonitor, 0)
	params["directory"] = "/no/such/directory"
	must(resources.ErrInstalled, resources.ActionStart, 0)
	params["directory"], params["clientspec"] = "/usr", "no-such-host.invalid"
	must(resources.NotRunning, resources.ActionStart, 0) // exportfs itself says nothing of it
}

// serve answers one call with what it is given.
func serve(t *testing.T, answer func(xid []byte) []byte) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		call := make([]byte, 44)
		if _, err := io.ReadFull(conn, call); err == nil {
			conn.Write(answer(call[4:8]))
		}
	}()
	return l.Addr().String()
}

func TestPing(t *testing.T) {
	accepted := []byte{0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	frame := func(body []byte) []byte { return append([]byte{0x80, 0, 0, byte(len(body))}, body...) }
	if err := ping(t.Context(), serve(t, func(xid []byte) []byte { return frame(append(bytes.Clone(xid), accepted...)) }), 4); err != nil {
		t.Error(err)
	}
	for name, answer := range map[string]func(xid []byte) []byte{
		"another call": func(xid []byte) []byte { return frame(append([]byte{9, 9, 9, 9}, accepted...)) },
		"a mismatch": func(xid []byte) []byte {
			return frame(append(append(bytes.Clone(xid), accepted[:19]...), 2))
		},
		"nothing":  func([]byte) []byte { return nil },
		"too much": func([]byte) []byte { return []byte{0xff, 0xff, 0xff, 0xff} },
	} {
		if err := ping(t.Context(), serve(t, answer), 4); err == nil {
			t.Errorf("%s was taken for an answer", name)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) { _ = readAnswer(b, 1) })
}

func TestThreadsOfStatistics(t *testing.T) {
	file := filepath.Join(t.TempDir(), "nfsd")
	if n, err := threadsOf(file); n != 0 || err != nil {
		t.Errorf("without a server: %d, %v", n, err)
	}
	if err := os.WriteFile(file, []byte("rc 0 1 2\nth 8 0 0.0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if n, err := threadsOf(file); n != 8 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}
