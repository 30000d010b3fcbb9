package storage

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"systole/integration/lab"
	"systole/integration/lab/stage"
)

// prepare makes the tools the agent calls, and DRBD's configuration: two of the nodes
// have the disk.
const prepare = `for tool in crm_attribute crm_master crm_node crm_resource; do ln -sf crm /lab/bin/$tool; done
cat > /etc/drbd.conf <<'END'
global { usage-count no; }
resource r0 {
	protocol C;
	device /dev/drbd0;
	disk /dev/ubdb;
	meta-disk internal;
	net { ping-int 2; ping-timeout 5; timeout 20; connect-int 2; after-sb-0pri discard-zero-changes; after-sb-1pri discard-secondary; }
	on a { address 10.77.0.11:7788; }
	on b { address 10.77.0.12:7788; }
}
END`

// detectWithin leaves room for the agent's many processes, which are slow here.
const detectWithin = 10 * time.Second

// mirrored is the site: the file system where DRBD is promoted. c only votes.
const mirrored = `primitive mirror ocf:linbit:drbd \
	params drbd_resource=r0 \
	op start timeout=240s op stop timeout=100s op promote timeout=90s op demote timeout=90s op notify timeout=90s \
	op monitor interval=20s role=Promoted timeout=60s op monitor interval=21s role=Unpromoted timeout=60s
clone mirrors mirror \
	meta promotable=true promoted-max=1 promoted-node-max=1 clone-max=2 clone-node-max=1 notify=true interleave=true
primitive data ocf:systole:Filesystem \
	params device=/dev/drbd0 directory=/data fstype=ext4 options=noatime \
	op start timeout=60s op stop timeout=60s op monitor interval=20s timeout=60s
primitive power stonith:fence_lab \
	params pcmk_host_list="a b c" \
	op start timeout=60s
location not-c mirrors -inf: c
colocation data-with-promoted inf: data mirrors:Promoted
order promote-then-mount Mandatory: mirrors:promote data:start
property stonith-enabled=true stonith-action=off stonith-timeout=60s no-quorum-policy=stop
rsc_defaults resource-stickiness=100
`

// mirror is a cluster with a mirrored disk on its first two nodes.
type mirror struct {
	*testing.T
	*stage.Cluster
}

// TestDRBD: the unmodified agent of drbd-utils, as a promotable clone with
// notifications. What was synced is there after the promoted node loses its power.
func TestDRBD(t *testing.T) {
	l := lab.New(t)
	needs(t, map[string]string{"/usr/sbin/drbdadm": "drbd-utils", "/usr/lib/ocf/resource.d/linbit/drbd": "drbd-utils"})
	a, b, c := l.Node("a"), l.Node("b"), l.Node("c")
	for _, n := range []*lab.Node{a, b} {
		disk, err := l.SharedDisk(n.Name+"-mirror", 48) // shared with nobody
		if err != nil {
			t.Fatal(err)
		}
		n.Disks, n.Modules, n.Kernel = []string{disk}, []string{"drbd"}, []string{"drbd.usermode_helper=/bin/true"}
	}
	s := mirror{t, &stage.Cluster{Lab: l, Nodes: []*lab.Node{a, b, c}, DetectWithin: detectWithin, Prepare: prepare}}
	s.must(s.Form(t.Context()))
	s.seed(a, b)
	s.must(s.Configure(t.Context(), a, mirrored))
	first := s.promoted(a, b, nil)
	second := b
	if first == b {
		second = a
	}

	s.run(first, "echo 'written on "+first.Name+"' > /data/word && sync /data/word")
	began := time.Now()
	first.PowerCut()
	if now := s.promoted(a, b, first); now != second {
		t.Fatalf("%s is promoted", now.Name)
	}
	t.Logf("promoted and mounted elsewhere %v after the power cut", time.Since(began).Round(time.Millisecond))
	s.fenced(first)
	if got := s.run(second, "cat /data/word"); got != "written on "+first.Name {
		t.Errorf("after the promotion the file says %q", got)
	}

	// The old one comes back, gets what it missed, and can be promoted in its turn.
	s.run(second, "echo 'and on "+second.Name+"' >> /data/word && sync /data/word")
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	s.must(s.Return(ctx, first, second))
	s.eventually("both disks are up to date", func() bool {
		return strings.Contains(s.run(second, "drbdadm dstate r0"), "UpToDate/UpToDate")
	})
	s.run(second, "crm node standby "+second.Name)
	if now := s.promoted(a, b, second); now != first {
		t.Fatalf("%s is promoted", now.Name)
	}
	if got, want := s.run(first, "cat /data/word"), fmt.Sprintf("written on %s\nand on %s", first.Name, second.Name); got != want {
		t.Errorf("after the planned move the file says %q, want %q", got, want)
	}
}

// seed makes the mirror and the file system in it, and leaves them down, as an
// administrator does once before the cluster has them.
func (s mirror) seed(a, b *lab.Node) {
	s.Helper()
	for _, n := range []*lab.Node{a, b} {
		s.run(n, "drbdadm create-md --force r0 && drbdadm up r0")
	}
	s.eventually("the mirror is connected", func() bool { return s.run(a, "drbdadm cstate r0") == "Connected" })
	s.run(a, "drbdadm new-current-uuid --clear-bitmap r0 && drbdadm primary r0 && mkfs.ext4 -q /dev/drbd0 && drbdadm secondary r0")
	for _, n := range []*lab.Node{a, b} {
		s.run(n, "drbdadm down r0")
	}
}

// promoted waits until one of the two, not old, has the file system mounted, and
// checks that the other is not promoted.
func (s mirror) promoted(a, b, old *lab.Node) (now *lab.Node) {
	s.Helper()
	s.eventually("one is promoted and has the file system", func() bool {
		for _, n := range []*lab.Node{a, b} {
			if n != old && n.Running() && s.run(n, "grep -c ' /data ' /proc/self/mountinfo; true") == "1" {
				now = n
				return true
			}
		}
		return false
	})
	for _, n := range []*lab.Node{a, b} {
		if n == now || !n.Running() {
			continue
		}
		if role := s.run(n, "drbdadm role r0 2>/dev/null || echo none"); strings.HasPrefix(role, "Primary") {
			s.Errorf("%s is promoted too: %s", n.Name, role)
		}
	}
	return now
}

// fenced checks that a node's power was switched off by the cluster.
func (s mirror) fenced(n *lab.Node) {
	s.Helper()
	for _, c := range s.Lab.Switch.Calls("off", "reboot") {
		if c.Plug == n.Name && c.Code == 0 {
			return
		}
	}
	s.Errorf("%s was not fenced: %v", n.Name, s.Lab.Switch.Calls())
}

func (s mirror) must(err error) {
	s.Helper()
	if err != nil {
		s.tell()
		s.Fatal(err)
	}
}

// tell logs what the cluster says of itself, for whoever reads the failure.
func (s mirror) tell() {
	for _, n := range s.Nodes {
		ctx, cancel := context.WithTimeout(s.Context(), 10*time.Second)
		out, err := n.Shell(ctx, "crm status; cat /proc/drbd 2>/dev/null")
		cancel()
		s.Logf("%s: %v\n%s", n.Name, err, out)
	}
}

func (s mirror) run(n *lab.Node, script string) string {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), patience)
	defer cancel()
	out, err := n.Shell(ctx, script)
	s.must(err)
	return strings.TrimSpace(out)
}

func (s mirror) eventually(what string, holds func() bool) {
	s.Helper()
	for end := time.Now().Add(2 * patience); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		if holds() {
			return
		}
	}
	s.tell()
	s.Fatalf("not within %v: %s", 2*patience, what)
}
