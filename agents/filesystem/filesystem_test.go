package filesystem

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"systole/agents/internal/mounts"
	"systole/agents/internal/nstest"
	"systole/agents/internal/proc"
	"systole/resources"
)

// TestMain: the test binary is also the child.
func TestMain(m *testing.M) {
	if os.Getenv("SYSTOLE_CHILD") == ChildName {
		os.Exit(Child())
	}
	os.Exit(m.Run())
}

func TestParameters(t *testing.T) {
	params := func(device, directory, fstype, options string) map[string]string {
		return map[string]string{"device": device, "directory": directory, "fstype": fstype, "options": options}
	}
	for _, good := range []struct {
		params map[string]string
		kind   kind
	}{
		{params("/dev/sdb1", "/srv/", "ext4", "noatime,acl"), onBlock},
		{params("UUID=1234", "/srv", "xfs", ""), onBlock},
		{params("-L data", "/srv", "xfs", ""), onBlock},
		{params("host:/export", "/srv", "nfs", "vers=4.2"), onNetwork},
		{params("[2001:db8::1]:/", "/srv", "nfs4", ""), onNetwork},
		{params("/a", "/b", "none", "bind,ro"), onTree},
		{params("scratch", "/b", "tmpfs", ""), onMemory},
		{params("/dev/x", "/b", "gfs2", ""), onCluster},
	} {
		c, err := read(good.params)
		if err != nil || c.kind() != good.kind {
			t.Errorf("%v: kind %d, %v; want %d", good.params, c.kind(), err, good.kind)
		}
	}
	for _, bad := range []map[string]string{
		nil, params("/dev/x", "", "ext4", ""), params("/dev/x", "srv", "ext4", ""), params("/dev/x", "/", "ext4", ""),
		params("sdb1", "/srv", "ext4", ""), params("UUID=", "/srv", "ext4", ""), params("host", "/srv", "nfs", ""),
		params("a", "/srv", "none", "bind"), params("/dev/x", "/srv", "-o", ""), params("--all", "/srv", "tmpfs", ""),
		{"device": "/dev/x", "directory": "/s", "fstype": "ext4", "force_unmount": "perhaps"},
		{"device": "/dev/x", "directory": "/s", "fstype": "ext4", "run_fsck": "perhaps"},
	} {
		if c, err := read(bad); err == nil {
			t.Errorf("%v was read as %+v", bad, c)
		}
	}
}

func TestWhoIsCheckedAndCloned(t *testing.T) {
	clone := resources.Op{Meta: map[string]string{"clone": "1", "clone_max": "2"}}
	for _, c := range []struct {
		config  config
		checked bool
		allowed bool
	}{
		{config{fstype: "ext4", fsck: "auto"}, false, false},
		{config{fstype: "ext2", fsck: "auto"}, true, false},
		{config{fstype: "ext2", fsck: "no", clones: true}, false, true},
		{config{fstype: "xfs", fsck: "force", options: []string{"ro"}}, true, true},
		{config{fstype: "nfs", fsck: "force"}, false, true},
		{config{fstype: "none", fsck: "force", options: []string{"bind"}}, false, true},
		{config{fstype: "ocfs2", fsck: "auto"}, false, true},
	} {
		if got := c.config.checked(); got != c.checked {
			t.Errorf("%+v checked: %v", c.config, got)
		}
		if err := c.config.allowed(clone); (err == nil) != c.allowed {
			t.Errorf("%+v as a clone: %v", c.config, err)
		}
	}
}

func TestSameExport(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"host:/a", "host:/a/", true}, {"host:/a", "10.0.0.1:/a", true}, {"[::1]:/a", "h:/a", true}, {"h:/", "h:/", true},
		{"host:/a", "host:/b", false}, {"//h/share", "//h/share/", true},
	} {
		if sameExport(c.a, c.b) != c.want {
			t.Errorf("%s and %s: not %v", c.a, c.b, c.want)
		}
	}
}

func TestUdevNames(t *testing.T) {
	if got := udevEscape("my disk/1-ä"); got != `my\x20disk\x2f1-ä` {
		t.Errorf("%s", got)
	}
}

func FuzzSuperblock(f *testing.F) {
	sb := make([]byte, superblockSize)
	sb[magicAt], sb[magicAt+1], sb[incompatAt+1] = 0x53, 0xef, 1
	if mmp, ext := protected(sb); !mmp || !ext {
		f.Fatal("multi-mount protection is not seen")
	}
	sb[incompatAt+1] = 0
	if mmp, ext := protected(sb); mmp || !ext {
		f.Fatal("multi-mount protection is seen where there is none")
	}
	f.Add(sb)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) { protected(b) })
}

// world is the agent with a directory to play in.
type world struct {
	*testing.T
	*Agent
	dir string
}

func newWorld(t *testing.T) world { return world{t, New(Config{}), t.TempDir()} }

func (w world) op(action resources.Action, params ...string) resources.Op {
	op := resources.Op{Resource: "fs", Node: "here", Action: action, Params: map[string]string{}}
	for _, p := range params {
		name, value, _ := strings.Cut(p, "=")
		op.Params[name] = value
	}
	return op
}

func (w world) must(want resources.Code, op resources.Op) resources.Result {
	w.Helper()
	res := w.Execute(w.Context(), op)
	if res.Code != want {
		w.Fatalf("%s: code %d (%s), want %d", op.Action, res.Code, res.Reason, want)
	}
	return res
}

func TestLife(t *testing.T) {
	if !nstest.IsolatedRoot(t) {
		return
	}
	w := newWorld(t)
	source := filepath.Join(w.dir, "source")
	link := filepath.Join(w.dir, "link")
	if err := os.Mkdir(source, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(w.dir, link); err != nil {
		t.Fatal(err)
	}
	for _, params := range [][]string{
		{"device=scratch", "directory=" + w.dir + "/t", "fstype=tmpfs", "options=size=1M"},
		{"device=" + source, "directory=" + w.dir + "/b", "fstype=none", "options=bind"},
		{"device=" + link + "/source", "directory=" + link + "/l", "fstype=none", "options=bind"}, // through symbolic links
	} {
		deep := w.op(resources.ActionMonitor, params...)
		deep.Interval, deep.CheckLevel = 10*time.Second, 20
		w.must(resources.OK, w.op(resources.ActionValidateAll, params...))
		w.must(resources.NotRunning, w.op(resources.ActionMonitor, params...))
		w.must(resources.OK, w.op(resources.ActionStop, params...))
		w.must(resources.OK, w.op(resources.ActionStart, params...))
		w.must(resources.OK, w.op(resources.ActionStart, params...))
		w.must(resources.OK, w.op(resources.ActionMonitor, params...))
		w.must(resources.OK, deep)
		// Another agent, as after a restart of the daemon, adopts it.
		again := world{t, New(Config{}), w.dir}
		again.must(resources.OK, deep)
		again.must(resources.OK, w.op(resources.ActionStop, params...))
		w.must(resources.NotRunning, deep)
		w.must(resources.OK, w.op(resources.ActionStop, params...))
	}
	if table, _ := mounts.Read(); len(table.Below(w.dir)) != 0 {
		t.Errorf("left behind: %+v", table.Below(w.dir))
	}
}

// What is mounted there by somebody else is neither taken for ours nor unmounted.
func TestStranger(t *testing.T) {
	if !nstest.IsolatedRoot(t) {
		return
	}
	w := newWorld(t)
	dir := w.dir + "/t"
	os.Mkdir(dir, 0o755)
	if err := unix.Mount("theirs", dir, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	params := []string{"device=" + w.dir, "directory=" + dir, "fstype=none", "options=bind"}
	if res := w.must(resources.NotRunning, w.op(resources.ActionMonitor, params...)); !strings.Contains(res.Reason, "theirs (tmpfs)") {
		t.Errorf("the reason does not name it: %s", res.Reason)
	}
	if res := w.must(resources.ErrGeneric, w.op(resources.ActionStart, params...)); !strings.Contains(res.Reason, "unmount it") {
		t.Errorf("%s", res.Reason)
	}
	w.must(resources.OK, w.op(resources.ActionStop, params...))
	if err := unix.Unmount(dir, 0); err != nil {
		t.Error("a stranger's mount was unmounted:", err)
	}
}

func TestReadOnlyIsNotSound(t *testing.T) {
	if !nstest.IsolatedRoot(t) {
		return
	}
	w := newWorld(t)
	params := []string{"device=x", "directory=" + w.dir + "/t", "fstype=tmpfs"}
	w.must(resources.OK, w.op(resources.ActionStart, params...))
	if err := unix.Mount("", w.dir+"/t", "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	recurring := w.op(resources.ActionMonitor, params...)
	recurring.Interval = time.Second
	if res := w.must(resources.ErrGeneric, recurring); !strings.Contains(res.Reason, "read-only") {
		t.Errorf("%s", res.Reason)
	}
	w.must(resources.OK, w.op(resources.ActionMonitor, params...)) // a probe asks only whether it is there
	w.must(resources.OK, w.op(resources.ActionStop, params...))
}

// holder keeps a directory busy; one that is deaf does not hear TERM.
func (w world) holder(dir string, deaf bool) *exec.Cmd {
	w.Helper()
	script := "echo; exec sleep 60"
	if deaf {
		script = "trap '' TERM; echo; while :; do sleep 60; done"
	}
	cmd := exec.Command("sh", "-c", script)
	cmd.Dir = dir
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	out.Read(make([]byte, 1)) // the trap is set
	return cmd
}

func TestStopLadder(t *testing.T) {
	if !nstest.IsolatedRoot(t) {
		return
	}
	w := newWorld(t)
	dir := w.dir + "/t"
	params := []string{"device=x", "directory=" + dir, "fstype=tmpfs", "fast_stop=yes"}
	w.must(resources.OK, w.op(resources.ActionStart, params...))
	gentle, deaf := w.holder(dir, false), w.holder(dir, true)
	os.Mkdir(dir+"/below", 0o755)
	if err := unix.Mount("inner", dir+"/below", "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	spare := w.op(resources.ActionStop, append(slices.Clone(params), "force_unmount=false")...)
	if res := w.must(resources.ErrGeneric, spare); !strings.Contains(res.Reason, "sleep 60 (its working directory)") {
		t.Errorf("the processes in the way are not named: %s", res.Reason)
	}
	if _, alive := proc.Find(gentle.Process.Pid); !alive {
		t.Error("force_unmount=false has ended a process")
	}
	w.must(resources.OK, w.op(resources.ActionStop, params...))
	for _, cmd := range []*exec.Cmd{gentle, deaf} {
		if p, alive := proc.Find(cmd.Process.Pid); alive {
			t.Errorf("still there: %+v", p)
		}
	}
	if table, _ := mounts.Read(); len(table.Below(w.dir)) != 0 {
		t.Errorf("left behind: %+v", table.Below(w.dir))
	}
}

// On a busy machine the first try may take longer than the ladder has.
func TestSlowStopKillsAllTheSame(t *testing.T) {
	if !nstest.IsolatedRoot(t) {
		return
	}
	w := newWorld(t)
	dir := w.dir + "/t"
	w.must(resources.OK, w.op(resources.ActionStart, "device=x", "directory="+dir, "fstype=tmpfs"))
	w.holder(dir, true)
	table, err := mounts.Read()
	if err != nil {
		t.Fatal(err)
	}
	m, _ := table.At(dir)
	late := ladder{agent: w.Agent, dir: dir, end: true} // all its times are over
	if err := late.climb(t.Context(), m); err != nil {
		t.Error(err)
	}
}

// The daemon itself may be in the way: it does not end itself, and does not say stopped.
func TestStopSparesItself(t *testing.T) {
	if !nstest.IsolatedRoot(t) {
		return
	}
	w := newWorld(t)
	dir := w.dir + "/t"
	params := []string{"device=x", "directory=" + dir, "fstype=tmpfs", "fast_stop=yes"}
	w.must(resources.OK, w.op(resources.ActionStart, params...))
	f, err := os.Create(dir + "/held")
	if err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(t.Context(), 6*time.Second)
	defer cancel()
	if res := w.Execute(short, w.op(resources.ActionStop, params...)); res.Code != resources.ErrGeneric || !strings.Contains(res.Reason, "an open file: "+dir+"/held") {
		t.Errorf("%+v", res)
	}
	w.must(resources.OK, w.op(resources.ActionMonitor, params...))
	f.Close()
	w.must(resources.OK, w.op(resources.ActionStop, params...))
}

// An unmount that was given up may end by itself before the next rung.
func TestStopFindsItDone(t *testing.T) {
	if !nstest.IsolatedRoot(t) {
		return
	}
	l := New(Config{}).ladder(t.Context(), config{dir: t.TempDir()})
	for _, flags := range []int{0, unix.MNT_FORCE, unix.MNT_DETACH} {
		if err := l.unmount(t.Context(), flags); err != nil {
			t.Errorf("unmount with flags %d of what is not mounted any more: %v", flags, err)
		}
	}
}

func TestMissingDevice(t *testing.T) {
	w := newWorld(t)
	params := []string{"device=/dev/no-such-device", "directory=" + w.dir + "/x", "fstype=ext4"}
	w.must(resources.NotRunning, w.op(resources.ActionMonitor, params...))
	w.must(resources.OK, w.op(resources.ActionStop, params...))
	w.must(resources.ErrInstalled, w.op(resources.ActionStart, params...))
	w.must(resources.ErrUnimplemented, w.op(resources.ActionPromote, params...))
	w.must(resources.ErrConfigured, w.op(resources.ActionMonitor))
}

// ended is a lease that has ended.
type ended struct{}

func (ended) Remaining() time.Duration { return 0 }

// Without a lease nothing is mounted, and what is goes at once: nobody is asked first.
func TestWithoutLease(t *testing.T) {
	if !nstest.IsolatedRoot(t) {
		return
	}
	w := newWorld(t)
	dir := w.dir + "/t"
	params := []string{"device=x", "directory=" + dir, "fstype=tmpfs"}
	late := world{t, New(Config{Lease: ended{}}), w.dir}
	if res := late.must(resources.ErrGeneric, w.op(resources.ActionStart, params...)); !strings.Contains(res.Reason, "lease") {
		t.Errorf("%s", res.Reason)
	}
	w.must(resources.OK, w.op(resources.ActionStart, params...))
	asked := w.dir + "/asked"
	cmd := exec.Command("sh", "-c", "trap 'echo > "+asked+"' TERM; echo; while :; do read x; done <&3")
	cmd.Dir = dir
	r, pipe, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer pipe.Close()
	cmd.ExtraFiles = []*os.File{r}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	out.Read(make([]byte, 1))
	late.must(resources.OK, w.op(resources.ActionStop, params...))
	if err := cmd.Wait(); err == nil {
		t.Error("the process in the way ended by itself")
	}
	if _, err := os.Stat(asked); err == nil {
		t.Error("the process in the way was asked to end")
	}
}
