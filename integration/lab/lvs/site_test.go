package lvs

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"systole/agents/ipvs/control"
	"systole/integration/lab"
	"systole/integration/lab/stage"
	"systole/integration/netlab"
)

const (
	examples = "../../../conf/examples"
	vip      = "10.77.0.100"
	vip6     = "fd77::100"
	// patience bounds every wait; the machine may be busy.
	patience = 60 * time.Second
)

// site is the four machines, with a watch on who answers for the address.
type site struct {
	*testing.T
	*stage.Cluster
	directors, webs []*lab.Node
	wire            *netlab.Wire
	table           *table
}

// newSite describes the machines; they have no power yet. The second network is the
// one behind the directors of the NAT example.
func newSite(t *testing.T, detectWithin time.Duration) site {
	l := lab.New(t)
	behind := l.Segment("behind")
	s := site{T: t, Cluster: &stage.Cluster{Lab: l, DetectWithin: detectWithin, Prepare: prepare}, table: &table{}}
	add := func(part *[]*lab.Node, names ...string) {
		for _, name := range names {
			n := l.Node(name)
			n.On(behind, netip.MustParsePrefix("10.78.0.0/24"))
			*part = append(*part, n)
			s.Nodes = append(s.Nodes, n)
		}
	}
	add(&s.directors, "director-a", "director-b")
	add(&s.webs, "web-1", "web-2")
	s.wire = l.Wire(netip.MustParseAddr(vip))
	s.wire.Every(20 * time.Millisecond)
	s.wire.OnlyARP() // web servers send from the address, as they should
	return s
}

// prepare is what the machines are before the cluster comes: pages of nginx as Debian
// configures it.
const prepare = `
set -e
mkdir -p /srv/www && hostname >/srv/www/index.html && cp /lab/web-1/slow /srv/www/slow
cat >/etc/nginx/sites-available/default <<'END'
server {
	listen 80 default_server;
	listen [::]:80 default_server;
	listen 81;
	listen 82;
	listen 83;
	root /srv/www;
	access_log off;
	location / {
		if (-f /run/broken) { return 500; }
		if (-f /run/drips) { set $limit_rate 1; }
	}
	location = /slow { limit_rate 256k; }
}
END`

// slowFile is what /slow serves: 8 s of it.
var slowFile = func() []byte {
	b := make([]byte, 2<<20)
	rand.NewChaCha8([32]byte{7}).Read(b)
	return b
}()

// form makes the cluster, and starts the watch.
func (s site) form() {
	_, err := s.webs[0].Write("slow", string(slowFile), 0o644)
	s.must(err)
	self, err := os.Executable()
	s.must(err)
	_, err = s.Lab.Put(self)
	s.must(err)
	s.must(s.Form(s.Context()))
	if out, err := exec.Command("ip", "-6", "addr", "add", "fd77::1/64", "dev", netlab.Bridge, "nodad").CombinedOutput(); err != nil {
		s.Fatalf("IPv6 address of the client: %v: %s", err, out)
	}
	for _, n := range s.Nodes { // .11 has fd77::11
		s.sh(n, fmt.Sprintf("ip -6 addr add fd77::%d/64 dev eth0 nodad", n.Addr.As4()[3]))
	}
	for _, n := range s.directors {
		s.watched(n)
	}
	ctx, stop := context.WithCancel(s.Context())
	var watching sync.WaitGroup
	watching.Go(func() {
		if err := s.wire.Run(ctx); err != nil {
			s.Error(err)
		}
	})
	s.Cleanup(func() { stop(); watching.Wait() })
}

// load gives the cluster a file of the examples as an administrator would.
func (s site) load(example string) {
	s.Helper()
	text, err := os.ReadFile(filepath.Join(examples, example))
	s.must(err)
	on := s.directors[0]
	file, err := on.Write("site.crm", string(text), 0o600)
	s.must(err)
	s.sh(on, "crm -f "+file)
}

// clear takes the configuration away, and looks whether something was left.
func (s site) clear() {
	s.Helper()
	on := s.directors[0]
	s.sh(on, "crm -w configure property stop-all-resources=true && crm configure erase")
	for _, n := range s.Nodes {
		left := s.sh(n, "ipvsadm -Sn; ipvsadm -L --daemon; ip -o addr show | grep -E '10.77.0.100|fd77::100|10.7[78].0.254' || true; ip rule | grep -v -E 'lookup (local|main|default)' || true")
		if left = strings.TrimSpace(left); left != "" {
			s.Errorf("left on %s:\n%s", n.Name, left)
		}
	}
}

// back returns a machine that has no power to the cluster.
func (s site) back(n *lab.Node) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), patience)
	defer cancel()
	ask := s.Nodes[0]
	if ask == n {
		ask = s.Nodes[1]
	}
	s.must(s.Return(ctx, n, ask))
	if slices.Contains(s.directors, n) {
		s.watched(n)
	}
}

// services replaces the director's configuration, and waits until the active director has it.
func (s site) services(text string) {
	s.Helper()
	on := s.Nodes[len(s.Nodes)-1]
	_, err := s.run(on, "crm", "-w", "resource", "param", "lvs", "set", "services", text)
	s.must(err)
}

// active is the director that answers for the address.
func (s site) active() *lab.Node {
	s.Helper()
	var owner *lab.Node
	s.eventually("a director answers for the address", func() bool {
		name, at := s.wire.Owner()
		for _, n := range s.directors {
			if n.Name == name && time.Since(at) < 500*time.Millisecond {
				owner = n
			}
		}
		return owner != nil
	})
	return owner
}

// promoted is the director that says it is active.
func (s site) promoted() (active *lab.Node) {
	s.Helper()
	s.eventually("a director is active", func() bool {
		for _, n := range s.directors {
			if st, err := s.status(n); err == nil && n.Running() && st.Role == control.Active {
				active = n
			}
		}
		return active != nil
	})
	return active
}

// ready waits until both directors do their part: one active and whole, the other standby.
func (s site) ready() {
	s.Helper()
	s.directing("an active director and a standby", func(control.Status) bool { return true })
}

// warm is ready with a standby that knows the connections.
func (s site) warm() {
	s.Helper()
	s.directing("an active director and a warm standby", func(st control.Status) bool { return st.Warm })
}

func (s site) directing(what string, standby func(control.Status) bool) {
	s.Helper()
	s.eventually(what, func() bool {
		roles := map[control.Role]int{}
		for _, n := range s.directors {
			st, err := s.status(n)
			if err != nil || st.Problem != "" || !st.Ready || st.Role == control.Standby && !standby(st) {
				return false
			}
			roles[st.Role]++
		}
		return roles[control.Active] == 1 && roles[control.Standby] == 1
	})
}

func (s site) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s site) run(n *lab.Node, argv ...string) (string, error) {
	ctx, cancel := context.WithTimeout(s.Context(), patience)
	defer cancel()
	return n.Run(ctx, argv...)
}

// sh runs a line of shell that must succeed.
func (s site) sh(n *lab.Node, script string) string {
	s.Helper()
	out, err := s.run(n, "/bin/sh", "-c", script)
	s.must(err)
	return out
}

func (s site) eventually(what string, holds func() bool) {
	s.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		if holds() {
			return
		}
	}
	s.Fatalf("not within %v: %s", patience, what)
}

// tell logs what the cluster says of itself, for whoever reads the failure.
func (s site) tell() {
	for _, n := range s.Nodes {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		out, err := n.Shell(ctx, "crm status; crm lvs status; ipvsadm -Ln --stats; ipvsadm -L --daemon; ip -o -4 addr")
		cancel()
		s.Logf("%s: %v\n%s", n.Name, err, out)
	}
}

// table is what was measured.
type table struct {
	mu   sync.Mutex
	rows []string
}

func (t *table) add(what, format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rows = append(t.rows, fmt.Sprintf("%-58s %s", what, fmt.Sprintf(format, args...)))
}
