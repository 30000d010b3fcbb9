package storage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"systole/integration/lab"
)

func TestMain(m *testing.M) { lab.Main(m) }

// patience bounds every wait of the stories; the machine may be busy.
const patience = 60 * time.Second

// needs skips where a program of the nodes is missing.
func needs(t *testing.T, programs map[string]string) {
	t.Helper()
	for program, pkg := range programs {
		if _, err := os.Stat(program); err != nil {
			t.Skipf("%s is missing: install the package %s", program, pkg)
		}
	}
}

// resource is an agent's resource, run as a script in a node, without a cluster.
type resource struct {
	agent  string
	params []string
}

var (
	disk = resource{"Filesystem", []string{"device=LABEL=site", "directory=/data", "fstype=ext4", "options=noatime,errors=remount-ro"}}
	nfsd = resource{"nfsserver", []string{"nfs_shared_infodir=/data/nfsinfo", "nfs_ip=10.77.0.100"}}
	site = resource{"exportfs", []string{"directory=/data/site", "clientspec=10.77.0.0/24", "fsid=1", "options=rw,no_root_squash"}}
	addr = resource{"IPaddr2", []string{"ip=10.77.0.100", "cidr_netmask=24", "nic=eth0"}}
	// client is what a web node has of it.
	client = resource{"Filesystem", []string{"device=10.77.0.100:/data/site", "directory=/mnt/site", "fstype=nfs", "options=vers=4.2,timeo=20"}}

	// service is the group of the store, in the order of its start.
	service = []resource{disk, nfsd, site, addr}
)

// bench is a store, which has a disk, and a node that reads and writes by NFS.
type bench struct {
	*testing.T
	*lab.Lab
	store, web *lab.Node
}

func TestStorage(t *testing.T) {
	l := lab.New(t)
	needs(t, map[string]string{"/usr/sbin/rpc.nfsd": "nfs-kernel-server", "/sbin/mount.nfs": "nfs-common", "/usr/bin/perl": "perl-base"})
	s := bench{t, l, l.Node("store"), l.Node("web")}
	shared, err := l.SharedDisk("site", 64)
	s.must(err)
	s.store.Disks, s.web.Disks = []string{shared}, []string{shared}
	s.store.Modules, s.web.Modules = []string{"nfsd"}, []string{"nfs", "nfsv4"}
	_, err = l.Put(filepath.Join(l.Bin(), "crm"))
	s.must(err)
	s.must(l.Boot(t.Context()))
	s.run(s.store, "mkfs.ext4 -q -L site -O mmp -E mmp_update_interval=1 /dev/ubdb")
	for _, story := range []struct {
		name string
		tell func(bench)
	}{
		{"a file system on one node at a time", oneNode},
		{"an error found by the kernel is seen", readOnly},
		{"the server's life", serverLife},
		{"NFS 3 too", versionThree},
		{"write through the address", firstWrites},
		{"server stopped and started under a writer", restart},
		{"server loses its power under a writer", powerCut},
		{"server gone for good", gone},
	} {
		if !t.Run(story.name, func(t *testing.T) { story.tell(bench{t, l, s.store, s.web}) }) {
			return // the nodes are not in the state the next one expects
		}
	}
}

// oneNode: what is mounted is not mounted again, neither here nor, by the file
// system's own protection, there.
func oneNode(s bench) {
	s.does(s.store, disk, "monitor", 7)
	s.does(s.store, disk, "stop", 0)
	s.does(s.store, disk, "start", 0)
	s.does(s.store, disk, "start", 0)
	s.does(s.store, disk, "monitor", 0, "OCF_CHECK_LEVEL=20", "OCF_RESKEY_CRM_meta_interval=10000")
	twice := resource{"Filesystem", []string{"device=/dev/ubdb", "directory=/twice", "fstype=ext4"}}
	if out := s.does(s.store, twice, "start", 1); !strings.Contains(out, "is mounted on /data already") {
		s.Errorf("a second mount here: %s", out)
	}
	if out := s.does(s.web, twice, "start", 1); !strings.Contains(out, "another node may have it mounted") {
		s.Errorf("a second mount there: %s", out)
	}
	// A bind mount keeps the file system: whoever asks, and however often, it is not stopped.
	s.run(s.store, "mount --bind /data /mnt")
	for range 2 {
		if out := s.does(s.store, disk, "stop", 1); !strings.Contains(out, "still on /mnt") {
			s.Errorf("a stop with a bind mount: %s", out)
		}
	}
	s.run(s.store, "umount /mnt")
	s.does(s.store, disk, "start", 0)
	// In another mount namespace only: the device is not free.
	s.run(s.store, "umount /data")
	_, err := s.store.Spawn(s.Context(), "hidden", "unshare", "-m", "sh", "-c", "mount LABEL=site /mnt && echo mounted && exec sleep 1000")
	s.must(err)
	s.eventually("the mount in another namespace", func() bool { return strings.Contains(s.store.Log("hidden"), "mounted") })
	if out := s.does(s.store, disk, "start", 1); !strings.Contains(out, "another mount namespace") || !strings.Contains(out, "sleep") {
		s.Errorf("a mount elsewhere on this node: %s", out)
	}
	if out := s.does(s.store, disk, "stop", 1); !strings.Contains(out, "another mount namespace") {
		s.Errorf("a stop with a mount elsewhere on this node: %s", out)
	}
	s.run(s.store, "pkill -x sleep")
	s.eventually("the device is free", func() bool { return s.try(s.store, disk, "start") == nil })
}

// readOnly: a file system that takes no more writes is seen, by the table of mounts or,
// after an error for which the kernel does not mark it there, by the write test.
func readOnly(s bench) {
	recurring, deep := "OCF_RESKEY_CRM_meta_interval=10000", "OCF_CHECK_LEVEL=20"
	s.run(s.store, "mount -o remount,ro /data")
	if out := s.does(s.store, disk, "monitor", 1, recurring); !strings.Contains(out, "read-only") {
		s.Errorf("monitor: %s", out)
	}
	s.run(s.store, "mount -o remount,rw /data")
	s.does(s.store, disk, "monitor", 0, recurring, deep)
	s.run(s.store, "echo an error made by the test > /sys/fs/ext4/ubdb/trigger_fs_error")
	s.does(s.store, disk, "monitor", 1, recurring, deep)
	s.does(s.store, disk, "stop", 0)
	s.does(s.store, disk, "start", 0)
	s.run(s.store, "mkdir -p /data/site")
}

// serverLife is the contract, part by part.
func serverLife(s bench) {
	s.does(s.store, nfsd, "monitor", 7)
	s.does(s.store, site, "monitor", 7)
	s.does(s.store, nfsd, "stop", 0)
	s.does(s.store, nfsd, "start", 0)
	s.does(s.store, nfsd, "start", 0)
	s.does(s.store, nfsd, "monitor", 0, "OCF_CHECK_LEVEL=10")
	if got := s.run(s.store, "cat /proc/fs/nfsd/nfsv4leasetime /proc/fs/nfsd/versions; ls /data/nfsinfo/nfsdcld"); !strings.Contains(got, "10\n") || !strings.Contains(got, "-3") || !strings.Contains(got, "main.sqlite") {
		s.Errorf("lease time, versions and recovery directory: %s", got)
	}
	// Another resource has nothing to do with this server.
	other := resource{"nfsserver", []string{"nfs_shared_infodir=/data/other"}}
	s.does(s.store, other, "monitor", 7)
	s.does(s.store, other, "stop", 0)
	if out := s.does(s.store, other, "start", 1); !strings.Contains(out, "/nfsinfo of /dev/ubdb") {
		s.Errorf("a second server: %s", out)
	}
	s.does(s.store, nfsd, "monitor", 0)
	s.does(s.store, site, "start", 0)
	s.does(s.store, site, "monitor", 0)
	s.run(s.store, "pkill -x rpc.mountd; while pgrep -x rpc.mountd; do sleep 0.1; done")
	if out := s.does(s.store, nfsd, "monitor", 1); !strings.Contains(out, "rpc.mountd does not run") {
		s.Errorf("without rpc.mountd: %s", out)
	}
	s.does(s.store, nfsd, "start", 0)
	s.stopService()
	s.does(s.store, nfsd, "monitor", 7)
	if got := s.run(s.store, "grep -c -e /var/lib/nfs -e /data /proc/self/mountinfo; pgrep -x rpc.mountd; pgrep -x nfsdcld; true"); got != "0" {
		s.Errorf("left behind: %s", got)
	}
}

// versionThree needs more daemons, and a list of mounts that moves with the disk.
func versionThree(s bench) {
	three := resource{nfsd.agent, append([]string{"nfsv4_only=false"}, nfsd.params...)}
	s.does(s.store, disk, "start", 0)
	s.does(s.store, three, "start", 0)
	s.does(s.store, three, "monitor", 0)
	s.does(s.store, site, "start", 0)
	old := resource{"Filesystem", []string{"device=10.77.0.11:/data/site", "directory=/mnt/old", "fstype=nfs", "options=vers=3,nolock"}}
	s.does(s.web, old, "start", 0)
	s.run(s.web, "echo by version 3 > /mnt/old/three")
	s.does(s.store, site, "monitor", 0, "OCF_RESKEY_CRM_meta_interval=10000")
	if got := s.run(s.store, "cat /data/site/three /data/site/.rmtab"); !strings.Contains(got, "by version 3") || !strings.Contains(got, "10.77.0.12:/data/site") {
		s.Errorf("the file and the list of mounts: %q", got)
	}
	s.does(s.web, old, "stop", 0)
	s.does(s.store, site, "stop", 0)
	s.does(s.store, three, "stop", 0)
	s.does(s.store, three, "monitor", 7)
	s.does(s.store, disk, "stop", 0)
	if got := s.run(s.store, "pgrep -x rpc.statd; pgrep -x rpc.mountd; true"); got != "" {
		s.Errorf("left behind: %s", got)
	}
}

// writer appends lines to a file with a lock on it, synced one by one, and says each
// that is safe. Any error, a stale handle above all, ends it.
const writer = `
use Fcntl ":flock";
use IO::Handle;
open(F, ">>", "/mnt/site/lines") or die "open: $!";
flock(F, LOCK_EX | LOCK_NB) or die "lock: $!";
STDOUT->autoflush(1);
for ($n = 1; ! -e "/run/stop"; $n++) {
	print F "$n\n" or die "write: $!";
	F->flush or die "flush: $!";
	F->sync or die "sync: $!";
	print "$n\n";
	select(undef, undef, undef, 0.02);
}
close(F) or die "close: $!";
print "done\n";
`

func firstWrites(s bench) {
	s.startService()
	s.does(s.web, client, "monitor", 7)
	s.does(s.web, client, "start", 0)
	s.does(s.web, client, "start", 0)
	s.does(s.web, client, "monitor", 0, "OCF_CHECK_LEVEL=20", "OCF_RESKEY_CRM_meta_interval=10000")
	script, err := s.web.Write("writer.pl", writer, 0o644)
	s.must(err)
	_, err = s.web.Spawn(s.Context(), "writer.log", "perl", script)
	s.must(err)
	s.writesOn(0)
}

func restart(s bench) {
	before := s.acknowledged()
	began := time.Now()
	s.stopService()
	stopped := time.Now()
	s.startService()
	s.Logf("stopped in %v, started in %v", stopped.Sub(began).Round(time.Millisecond), time.Since(stopped).Round(time.Millisecond))
	s.writesOn(before)
	s.Logf("writes go on %v after the beginning of the stop", time.Since(began).Round(time.Millisecond))
}

func powerCut(s bench) {
	before := s.acknowledged()
	began := time.Now()
	s.store.PowerCut()
	s.must(s.store.Boot(s.Context()))
	for _, r := range service { // nothing of before is taken for running
		s.does(s.store, r, "monitor", 7)
	}
	s.startService()
	s.writesOn(before)
	s.Logf("writes go on %v after the power cut", time.Since(began).Round(time.Millisecond))
	s.run(s.web, "touch /run/stop")
	s.eventually("the writer ends", func() bool { return strings.HasSuffix(s.web.Log("writer.log"), "done\n") })
	lines := strings.Fields(s.run(s.store, "cat /data/site/lines"))
	for i, l := range lines {
		if l != strconv.Itoa(i+1) {
			s.Fatalf("line %d of the file is %q", i+1, l)
		}
	}
	if acked := s.acknowledged(); len(lines) != acked {
		s.Errorf("%d lines were acknowledged, %d are in the file", acked, len(lines))
	} else {
		s.Logf("%d lines, none lost, none twice", acked)
	}
	// The kernel of the client speaks of locks it could not reclaim and of handles gone stale.
	if said := s.run(s.web, "dmesg | grep -i -e stale -e reclaim -e 'lost.*lock' || true"); said != "" {
		s.Errorf("the client's kernel says: %s", said)
	}
}

// gone: a dead server holds neither a monitor nor a stop.
func gone(s bench) {
	_, err := s.web.Spawn(s.Context(), "", "sh", "-c", "cd /mnt/site && exec sleep 1000")
	s.must(err)
	s.eventually("a process in the way", func() bool { return strings.Contains(s.run(s.web, "readlink /proc/[0-9]*/cwd"), "/mnt/site") })
	s.store.PowerCut()
	began := time.Now()
	if out := s.does(s.web, client, "monitor", 1, "OCF_CHECK_LEVEL=20", "OCF_RESKEY_CRM_meta_interval=10000", "OCF_RESKEY_CRM_meta_timeout=5000"); !strings.Contains(out, "hangs") {
		s.Errorf("monitor of a dead server: %s", out)
	}
	s.Logf("the monitor gave up after %v", time.Since(began).Round(time.Millisecond))
	began = time.Now()
	s.does(s.web, client, "stop", 0, "OCF_RESKEY_CRM_meta_timeout=20000")
	s.Logf("stopped after %v", time.Since(began).Round(time.Millisecond))
	if got := s.run(s.web, "grep -c /mnt/site /proc/self/mountinfo; pgrep -x sleep; true"); got != "0" {
		s.Errorf("left behind: %s", got)
	}
	s.does(s.web, client, "monitor", 7)
}

// startService starts the store's resources, the address last, as a group does.
func (s bench) startService() {
	s.Helper()
	for _, r := range service {
		s.does(s.store, r, "start", 0)
		s.does(s.store, r, "monitor", 0)
	}
}

// stopService stops them the other way round: clients lose the address first.
func (s bench) stopService() {
	s.Helper()
	for i := range service {
		s.does(s.store, service[len(service)-1-i], "stop", 0)
	}
}

// acknowledged is the last line the writer has been told is safe.
func (s bench) acknowledged() int {
	s.Helper()
	last := 0
	for l := range strings.Lines(s.web.Log("writer.log")) {
		l = strings.TrimSpace(l)
		n, err := strconv.Atoi(l)
		if err != nil && l != "done" {
			s.Fatalf("the writer says %q", l)
		}
		last = max(last, n)
	}
	return last
}

// writesOn waits for lines after some others.
func (s bench) writesOn(after int) {
	s.Helper()
	const more = 20 // what was under way when the server went is no proof
	s.eventually(fmt.Sprintf("lines after %d", after), func() bool { return s.acknowledged() >= after+more })
}

// does runs an action of a resource in a node, which must end with the code.
func (s bench) does(n *lab.Node, r resource, action string, code int, env ...string) string {
	s.Helper()
	out, err := s.act(n, r, action, env...)
	got := 0
	if exit, ok := errors.AsType[*lab.ExitError](err); ok {
		got = exit.Code
	} else {
		s.must(err)
	}
	if got != code {
		s.Fatalf("%s: %s of %s %v: code %d, want %d: %s", n.Name, action, r.agent, r.params, got, code, out)
	}
	return out
}

func (s bench) try(n *lab.Node, r resource, action string) error {
	_, err := s.act(n, r, action)
	return err
}

func (s bench) act(n *lab.Node, r resource, action string, env ...string) (string, error) {
	ctx, cancel := context.WithTimeout(s.Context(), 2*patience)
	defer cancel()
	argv := append([]string{"env", "OCF_RESOURCE_INSTANCE=r", "OCF_RESKEY_CRM_meta_timeout=60000"}, env...)
	for _, p := range r.params {
		argv = append(argv, "OCF_RESKEY_"+p)
	}
	return n.Run(ctx, append(argv, "crm", "tool", r.agent, action)...)
}

func (s bench) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// run runs a line of shell that must succeed.
func (s bench) run(n *lab.Node, script string) string {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), patience)
	defer cancel()
	out, err := n.Shell(ctx, script)
	s.must(err)
	return strings.TrimSpace(out)
}

func (s bench) eventually(what string, holds func() bool) {
	s.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if holds() {
			return
		}
	}
	s.Fatalf("not within %v: %s", patience, what)
}
