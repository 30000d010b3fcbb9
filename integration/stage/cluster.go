// Package stage sets a real Systole cluster on the namespaces of
// integration/netlab: the built programs, one daemon on each of three nodes, a
// group of virtual IP and nginx, a client that never stops asking and a watch on
// the wire. The demo, the chaos test and the fail-over benchmark play on it.
package stage

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"systole/integration/netlab"
)

// VIP is the address the group keeps, with its length and the port of the page.
var (
	VIP     = netip.MustParsePrefix("10.77.0.100/24")
	webPort = uint16(80)
)

// Group is the id of the group of address and web server.
const Group = "web"

// formTimeout bounds the forming of the cluster; it takes about a second on an idle machine.
const formTimeout = 2 * time.Minute

// Options of [Start].
type Options struct {
	Dir          string        // scratch directory; its path must be short, it holds sockets
	Bin          string        // directory with systoled and crm
	Nodes        int           // how many; 3 if 0
	DetectWithin time.Duration // 0: the daemon's default
	Web          Web
	// Mute leaves out all announcements of the address, which must make the
	// demo fail: a client would go on asking the dead node.
	Mute bool
}

// Cluster is a running Systole cluster.
type Cluster struct {
	Lab    *netlab.Lab
	Wire   *netlab.Wire
	Client *netlab.Client
	Nodes  []*netlab.Node

	o       Options
	daemons map[string]int // node name → process number of systoled on it
}

// Start boots the nodes, forms the cluster and starts the daemons, as an
// administrator would: init on the first, token, join on the others. It returns
// when every node is a member; nothing is configured yet.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	if o.Nodes == 0 {
		o.Nodes = 3
	}
	lab, err := netlab.New(o.Dir)
	if err != nil {
		return nil, err
	}
	c := &Cluster{Lab: lab, o: o, daemons: map[string]int{}}
	for i := range o.Nodes {
		n, err := lab.Add(string(rune('a'+i)), i+1)
		if err != nil {
			return nil, err
		}
		c.Nodes = append(c.Nodes, n)
		if err := c.bootNode(n); err != nil {
			return nil, err
		}
	}
	c.Wire = lab.NewWire(VIP.Addr())
	c.Client = netlab.NewClient(netip.AddrPortFrom(VIP.Addr(), webPort))
	ctx, cancel := context.WithTimeoutCause(ctx, formTimeout, fmt.Errorf("the cluster did not form within %v", formTimeout))
	defer cancel()
	return c, c.form(ctx)
}

func (c *Cluster) form(ctx context.Context) error {
	first := c.Nodes[0]
	if _, err := c.Crm(ctx, first, "cluster", "init", "--name", "demo", "--bind", first.Addr.String()); err != nil {
		return err
	}
	if err := c.StartDaemon(first); err != nil {
		return err
	}
	if err := c.awaitMembers(ctx, 1); err != nil {
		return err
	}
	for i, n := range c.Nodes[1:] {
		out, err := c.Crm(ctx, first, "cluster", "token", "--quiet")
		if err != nil {
			return err
		}
		token := filepath.Join(n.Dir, "token")
		if err := os.WriteFile(token, []byte(out), 0o600); err != nil {
			return err
		}
		if _, err := c.Crm(ctx, n, "cluster", "join", first.Addr.String(), "--token-file", token); err != nil {
			return err
		}
		if err := c.StartDaemon(n); err != nil {
			return err
		}
		if err := c.awaitMembers(ctx, i+2); err != nil {
			return err
		}
	}
	return nil
}

// bootNode switches a node on and writes the configuration its daemon and shell read.
func (c *Cluster) bootNode(n *netlab.Node) error {
	run := filepath.Join(n.Dir, "run")
	os.RemoveAll(run) // a boot empties /run
	if err := os.Mkdir(run, 0o700); err != nil {
		return err
	}
	if err := c.o.Web.install(n); err != nil {
		return err
	}
	n.Binds = map[string]string{"/run/systole": run, "/run/www": webDir(n)}
	conf := fmt.Sprintf("node-name = %s\ncluster-dir = %s\n", n.Name, filepath.Join(n.Dir, "cluster"))
	if c.o.DetectWithin > 0 {
		conf += fmt.Sprintf("detect-within = %v\n", c.o.DetectWithin)
	}
	if err := os.WriteFile(c.conf(n), []byte(conf), 0o600); err != nil {
		return err
	}
	return n.Boot()
}

const confName = "systole.conf"

func (c *Cluster) conf(n *netlab.Node) string { return filepath.Join(n.Dir, confName) }

// Env is the environment of the tools on the node with the directory nodeDir:
// its configuration, and the programs in bin first.
func Env(bin, nodeDir string) []string {
	return []string{
		"SYSTOLE_CONF=" + filepath.Join(nodeDir, confName),
		"PATH=" + bin + ":/usr/sbin:/usr/bin:/sbin:/bin",
	}
}

func (c *Cluster) env(n *netlab.Node) []string { return Env(c.o.Bin, n.Dir) }

// Socket is the path of the node's API socket; it can be dialled from the lab too.
func (c *Cluster) Socket(n *netlab.Node) string { return filepath.Join(n.Dir, "run", "api.sock") }

// Crm runs one crm command on a node.
func (c *Cluster) Crm(ctx context.Context, n *netlab.Node, args ...string) (string, error) {
	return c.Tool(ctx, n, "crm", args...)
}

// Tool runs one of the built tools on a node.
func (c *Cluster) Tool(ctx context.Context, n *netlab.Node, name string, args ...string) (string, error) {
	return n.Run(ctx, c.env(n), append([]string{filepath.Join(c.o.Bin, name)}, args...)...)
}

// StartDaemon starts systoled on a node; its log is systoled.log in the node's directory.
func (c *Cluster) StartDaemon(n *netlab.Node) error {
	pid, err := n.Spawn(c.env(n), "systoled.log", filepath.Join(c.o.Bin, "systoled"), "--config", c.conf(n))
	c.daemons[n.Name] = pid
	return err
}

// SignalDaemon sends a signal to the node's systoled.
func (c *Cluster) SignalDaemon(n *netlab.Node, sig syscall.Signal) error {
	return n.Signal(c.daemons[n.Name], sig)
}

// Boot switches a node on again after a power cut and starts its daemon, as its init would.
func (c *Cluster) Boot(n *netlab.Node) error {
	if err := c.bootNode(n); err != nil {
		return err
	}
	return c.StartDaemon(n)
}

// Node finds a node by name, nil without one.
func (c *Cluster) Node(name string) *netlab.Node {
	for _, n := range c.Nodes {
		if n.Name == name {
			return n
		}
	}
	return nil
}

// anyRunning is a node with power, to ask it things.
func (c *Cluster) anyRunning(but *netlab.Node) *netlab.Node {
	for _, n := range c.Nodes {
		if n.Running() && n != but {
			return n
		}
	}
	return nil
}

// Configure loads crm text through the shell of one node.
func (c *Cluster) Configure(ctx context.Context, text string) error {
	n := c.anyRunning(nil)
	file := filepath.Join(n.Dir, "load.crm")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return err
	}
	_, err := c.Crm(ctx, n, "-w", "configure", "load", "update", file)
	return err
}

// GroupText is the crm text of the group: the address, then the web server.
func (c *Cluster) GroupText() string {
	mute := ""
	if c.o.Mute {
		mute = " arp_count=0"
	}
	return fmt.Sprintf(`primitive vip ocf:systole:IPaddr2 \
	params ip=%s cidr_netmask=%d nic=eth0%s \
	op monitor interval=10s timeout=20s
%s
group %s vip www
property stonith-enabled=false no-quorum-policy=stop
rsc_defaults resource-stickiness=100
`, VIP.Addr(), VIP.Bits(), mute, c.o.Web.primitive("www"), Group)
}

// Members is what the tools say of the cluster: node name → online and voting.
// A node that does not vote yet cannot make up for the loss of one that does.
func (c *Cluster) Members(ctx context.Context, ask *netlab.Node) (online map[string]bool, dc string, err error) {
	out, err := c.Crm(ctx, ask, "cluster", "status", "--output", "json")
	if err != nil {
		return nil, "", err
	}
	var status struct {
		DC    string
		Nodes []struct {
			Name   string
			Online bool
			Voter  bool
		}
	}
	if err := json.Unmarshal([]byte(out), &status); err != nil {
		return nil, "", fmt.Errorf("crm cluster status: %w in %q", err, out)
	}
	online = map[string]bool{}
	for _, n := range status.Nodes {
		online[n.Name] = n.Online && n.Voter
	}
	return online, status.DC, nil
}

// awaitMembers waits until so many nodes are online and there is a DC.
func (c *Cluster) awaitMembers(ctx context.Context, count int) error {
	for {
		online, dc, err := c.Members(ctx, c.anyRunning(nil))
		up := 0
		for _, on := range online {
			if on {
				up++
			}
		}
		if err == nil && dc != "" && up >= count {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %d of %d nodes online, DC %q, %v", context.Cause(ctx), up, count, dc, err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// AwaitOnline waits until all nodes with power are online.
func (c *Cluster) AwaitOnline(ctx context.Context) error {
	up := 0
	for _, n := range c.Nodes {
		if n.Running() {
			up++
		}
	}
	return c.awaitMembers(ctx, up)
}

// Owner is the node that answers for the VIP now.
func (c *Cluster) Owner() *netlab.Node {
	name, _ := c.Wire.Owner()
	return c.Node(name)
}

// DC is the node that decides now, nil if nobody says so.
func (c *Cluster) DC(ctx context.Context) *netlab.Node {
	_, dc, err := c.Members(ctx, c.anyRunning(nil))
	if err != nil {
		return nil
	}
	return c.Node(strings.TrimSpace(dc))
}
