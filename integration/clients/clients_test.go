package clients

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"systole/integration/netlab"
	"systole/integration/stage"
)

// The clients, where Debian's packages crmsh and pcs put them.
const (
	crmshPath = "/usr/sbin/crm"
	pcsPath   = "/usr/sbin/pcs"
)

// calm keeps a busy machine from losing nodes that nobody has struck.
const calm = 3 * time.Second

// replaced are the directories in which Pacemaker's programs are covered by ours:
// pcs calls them by these paths.
var replaced = []string{"/usr/sbin", "/usr/lib/pacemaker"}

func TestMain(m *testing.M) { stage.Main(m) }

// play is the cluster and the test that watches a client drive it.
type play struct {
	*testing.T
	c *stage.Cluster
	n *netlab.Node // where the client runs
}

// step is one command line of a client and what must come of it.
type step struct {
	do   string
	says string // a regular expression its output matches
	// Then our own tool is asked, until its output matches shows.
	ask, shows string
}

// The questions of most steps.
const (
	wherePing  = "crm_resource --locate --resource ping"
	running    = `resource ping is running on: `
	notRunning = `resource ping is NOT running`
)

func TestClients(t *testing.T) {
	if testing.Short() {
		t.Skip("crmsh and pcs take a second for each command")
	}
	var missing []string
	for _, program := range []string{crmshPath, pcsPath, "/usr/lib/ocf/resource.d/heartbeat/Dummy", "/usr/sbin/fence_dummy"} {
		if _, err := os.Stat(program); err != nil {
			missing = append(missing, program)
		}
	}
	if len(missing) > 0 {
		t.Skipf("not installed: %s; apt-get install crmsh pcs resource-agents fence-agents", strings.Join(missing, ", "))
	}
	dir, err := os.MkdirTemp("/tmp", "c") // short: it holds sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	cluster, err := stage.Start(t.Context(), stage.Options{Dir: dir, Bin: stage.Bin(), DetectWithin: calm})
	if cluster != nil {
		t.Cleanup(cluster.Lab.Close)
	}
	if err != nil {
		t.Fatal(err)
	}
	p := &play{t, cluster, cluster.Nodes[0]}
	p.cover()
	p.know()
	p.crmsh()
	p.pcs()
}

// cover binds our multi-call program over each of Pacemaker's that it stands
// for, in the nodes' own mount namespaces. The name crm stays crmsh's.
func (p *play) cover() {
	p.Helper()
	ours := filepath.Join(stage.Bin(), "crm")
	covered := 0
	for _, dir := range replaced {
		programs, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			p.Fatal(err)
		}
		for _, f := range programs {
			if !tool.MatchString(f.Name()) {
				continue
			}
			covered++
			for _, n := range p.c.Nodes {
				p.bind(n, ours, filepath.Join(dir, f.Name()))
			}
		}
	}
	if covered < 20 {
		p.Fatalf("only %d of Pacemaker's programs found in %v: is pacemaker-cli-utils installed?", covered, replaced)
	}
}

// know lets the nodes know each other's names: crmsh changes the state of no
// node that it cannot ping by name.
func (p *play) know() {
	var hosts strings.Builder
	for _, n := range p.c.Nodes {
		fmt.Fprintf(&hosts, "%s %s\n", n.Addr, n.Name)
	}
	for _, n := range p.c.Nodes {
		file := filepath.Join(n.Dir, "hosts")
		if err := os.WriteFile(file, []byte(hosts.String()), 0o644); err != nil {
			p.Fatal(err)
		}
		p.bind(n, file, "/etc/hosts")
	}
}

// bind shows a file in the place of another on one node.
func (p *play) bind(n *netlab.Node, file, place string) {
	p.Helper()
	if out, err := n.Run(p.Context(), nil, "mount", "--bind", file, place); err != nil {
		p.Fatalf("bind %s on %s: %v\n%s", place, n.Name, err, out)
	}
}

// tool matches the names of Pacemaker's and Corosync's programs that are links to crm.
var tool = regexp.MustCompile(`^(cibadmin|crm_(attribute|diff|error|failcount|master|mon|node|resource|rule|shadow|simulate|standby|ticket|verify)|crmadmin|attrd_updater|stonith_admin|iso8601|pacemakerd|cibsecret|corosync-(quorum|cfg)tool|pacemaker-(based|controld|fenced|schedulerd))$`)

// run lets a client on the first node do its steps, and looks at the cluster after each.
func (p *play) run(client []string, steps []step) {
	p.Helper()
	for _, s := range steps {
		ctx, cancel := context.WithTimeout(p.Context(), 4*time.Minute)
		out, err := p.n.Run(ctx, p.env(), slices.Concat(client, strings.Fields(s.do))...)
		cancel()
		if err != nil {
			p.Fatalf("%s %s: %v\n%s", filepath.Base(client[0]), s.do, err, out)
		}
		if !regexp.MustCompile(s.says).MatchString(out) {
			p.Errorf("%s %s prints\n%s\nwant %s", filepath.Base(client[0]), s.do, out, s.says)
		}
		if s.ask != "" {
			p.await(s)
		}
	}
}

// env is the environment of client and tools.
func (p *play) env() []string {
	return []string{
		"SYSTOLE_CONF=" + filepath.Join(p.n.Dir, "systole.conf"), "HOME=" + p.n.Dir,
		"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8",
	}
}

// await asks our own tool until it shows what the step must bring about.
func (p *play) await(s step) {
	p.Helper()
	want := regexp.MustCompile(s.shows)
	argv := strings.Fields("/usr/sbin/" + s.ask) // ours, since covered
	var out string
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(p.Context(), time.Minute)
		out, _ = p.n.Run(ctx, p.env(), argv...)
		cancel()
		if want.MatchString(out) {
			return
		}
	}
	p.Fatalf("after %q: %s shows\n%s\nwant %s", s.do, s.ask, out, s.shows)
}
