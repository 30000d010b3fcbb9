package shell

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/term"
	"systole/conf"
	"systole/crm/api"
	"systole/crm/cluster"
	"systole/crm/exit"
	"systole/crm/shell/options"
	"systole/crm/shell/source"
)

// confEnv names another configuration file of the daemon.
const confEnv = "SYSTOLE_CONF"

// daemonConf is the configuration the daemon on this machine reads.
func (sh *Shell) daemonConf() (conf.Config, error) {
	path := sh.io.Getenv(confEnv)
	if path == "" {
		path = conf.Path
	}
	c, err := conf.Load(path)
	if err != nil {
		return c, exit.With(exit.Config, err)
	}
	return c, nil
}

// who is the user, for the audit record.
func who() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return strconv.Itoa(os.Getuid())
}

// outputFlag is --output of commands that have machine-readable answers.
func outputFlag(fs *pflag.FlagSet) { fs.StringP("output", "o", "text", "text or json") }

// asJSON tells whether JSON was asked for.
func (c *call) asJSON() (bool, error) {
	switch o, _ := c.flags.GetString("output"); o {
	case "text":
		return false, nil
	case "json":
		return true, nil
	default:
		return false, exit.Errorf(exit.Usage, "--output is text or json, not %q", o)
	}
}

func (c *call) printJSON(v any) error {
	enc := json.NewEncoder(c.io.Out)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// said prints what a cluster operation did.
func (c *call) said(r cluster.Report, err error) error {
	for _, line := range r.Done {
		c.io.Println(line)
	}
	return source.Coded(err)
}

// address is the ip:port this node is reached at: what was asked for, what the
// configuration says, or the address towards the rest of the world.
func (c *call) address(ctx context.Context, cfg conf.Config, bind string) (string, error) {
	if bind == "" {
		switch {
		case cfg.Advertise.IsValid():
			return cfg.Advertise.String(), nil
		case cfg.Bind.IsValid() && !cfg.Bind.Addr().IsUnspecified():
			return cfg.Bind.String(), nil
		}
		return cluster.OwnAddr(ctx)
	}
	if _, _, err := net.SplitHostPort(bind); err == nil {
		return bind, nil
	}
	if net.ParseIP(bind) == nil {
		return "", exit.Errorf(exit.Usage, "--bind %q is no address; write IP or IP:PORT", bind)
	}
	return net.JoinHostPort(bind, strconv.Itoa(cluster.DefaultPort)), nil
}

func initFlags(fs *pflag.FlagSet) {
	fs.String("name", "", "name of the cluster, for people")
	fs.String("bind", "", "address others reach this node at, `IP[:PORT]`")
	fs.String("node", "", "name of this node")
}

func clusterInit(ctx context.Context, c *call) error {
	cfg, err := c.daemonConf()
	if err != nil {
		return err
	}
	bind, _ := c.flags.GetString("bind")
	addr, err := c.address(ctx, cfg, bind)
	if err != nil {
		return err
	}
	name, _ := c.flags.GetString("name")
	node, _ := c.flags.GetString("node")
	if node == "" {
		node = cfg.NodeName
	}
	if name == "" {
		name = "systole"
	}
	return c.said(cluster.Init(cluster.InitOptions{Dir: cfg.ClusterDir, Cluster: name, Node: node, Addr: addr, User: who(), Now: c.now()}))
}

func tokenFlags(fs *pflag.FlagSet) {
	fs.BoolP("quiet", "q", false, "print the token alone")
	fs.Duration("valid", cluster.DefaultTokenLife, "how long the token can be used")
}

// admin is the daemon's administration.
func (sh *Shell) admin() (cluster.Admin, error) {
	client, err := sh.src.Client()
	return cluster.Admin{API: client}, err
}

func clusterToken(ctx context.Context, c *call) error {
	a, err := c.admin()
	if err != nil {
		return err
	}
	valid, _ := c.flags.GetDuration("valid")
	t, err := a.Token(ctx, cluster.TokenRequest{ValidSeconds: int(valid.Seconds())})
	if err != nil {
		return source.Coded(err)
	}
	c.io.Println(t.Token)
	if quiet, _ := c.flags.GetBool("quiet"); !quiet {
		c.info("the token works once, until %s; on the other machine: crm cluster join %s", t.Expires.UTC().Format("2006-01-02 15:04Z"), "THIS-HOST")
	}
	return nil
}

func joinFlags(fs *pflag.FlagSet) {
	fs.String("token-file", "", "read the token from `FILE`, - for standard input")
	fs.String("bind", "", "address others reach this node at, `IP[:PORT]`")
	fs.String("node", "", "name of this node")
	fs.Bool("witness", false, "vote, and run nothing")
}

func clusterJoin(ctx context.Context, c *call) error {
	cfg, err := c.daemonConf()
	if err != nil {
		return err
	}
	token, err := c.token()
	if err != nil {
		return err
	}
	o := cluster.JoinOptions{Dir: cfg.ClusterDir, Host: c.args[0], Token: token, Node: cfg.NodeName, Version: options.Version, Witness: cfg.Witness, User: who(), Now: c.now}
	if bind, _ := c.flags.GetString("bind"); bind != "" || cfg.Advertise.IsValid() || cfg.Bind.IsValid() && !cfg.Bind.Addr().IsUnspecified() {
		if o.Addr, err = c.address(ctx, cfg, bind); err != nil {
			return err
		}
	}
	if node, _ := c.flags.GetString("node"); node != "" {
		o.Node = node
	}
	if w, _ := c.flags.GetBool("witness"); w {
		o.Witness = true
	}
	return c.said(cluster.Join(ctx, o))
}

// token comes from a file, from standard input, or from a person who types it unseen.
func (c *call) token() (string, error) {
	file, _ := c.flags.GetString("token-file")
	switch {
	case file == "-" || file == "" && !isTerminal(c.io.In):
		return cluster.ReadToken(c.io.In)
	case file != "":
		f, err := os.Open(file)
		if err != nil {
			return "", source.Coded(err)
		}
		defer f.Close()
		return cluster.ReadToken(f)
	}
	c.io.Printf("Token (from crm cluster token): ")
	typed, err := term.ReadPassword(int(os.Stdin.Fd()))
	c.io.Println()
	if err != nil {
		return "", fmt.Errorf("reading the token: %w", err)
	}
	return cluster.ReadToken(strings.NewReader(string(typed)))
}

func clusterLeave(ctx context.Context, c *call) error {
	a, err := c.admin()
	if err != nil {
		return err
	}
	if !c.set.force && c.typed && c.ask("This node stops everything it runs and leaves the cluster. Go on (y/n)? ") != "y" {
		return exit.Errorf(exit.Usage, "not left")
	}
	return c.said(a.Leave(ctx))
}

func removeFlags(fs *pflag.FlagSet) {
	fs.Bool("force", false, "also a node that is online")
	fs.Bool("distrust", false, "replace CA and key too: the node may have kept copies")
}

func clusterRemove(ctx context.Context, c *call) error {
	a, err := c.admin()
	if err != nil {
		return err
	}
	force, _ := c.flags.GetBool("force")
	distrust, _ := c.flags.GetBool("distrust")
	return c.said(a.Remove(ctx, cluster.RemoveRequest{Node: c.args[0], Force: force || c.set.force, Distrust: distrust}))
}

func rotateFlags(fs *pflag.FlagSet) {
	fs.Bool("ca", false, "replace the CA and every certificate too")
	fs.Bool("force", false, "although some nodes do not answer")
}

func clusterRotate(ctx context.Context, c *call) error {
	a, err := c.admin()
	if err != nil {
		return err
	}
	ca, _ := c.flags.GetBool("ca")
	force, _ := c.flags.GetBool("force")
	return c.said(a.RotateKeys(ctx, cluster.RotateRequest{CA: ca, Force: force || c.set.force}))
}

// clusterStatus says who is in the cluster and how it is.
func clusterStatus(ctx context.Context, c *call) error {
	client, err := c.src.Client()
	if err != nil {
		return err
	}
	st, err := client.Status(ctx)
	if err != nil {
		return source.Coded(err)
	}
	adm, admErr := cluster.Admin{API: client}.Status(ctx)
	if admErr == nil && !st.Quorum {
		asHeard(st.Nodes, adm.Members)
	}
	js, err := c.asJSON()
	if err != nil {
		return err
	}
	if js {
		return c.printJSON(struct {
			api.Status
			Admin *cluster.Status `json:"administration,omitempty"`
		}{st, orNil(adm, admErr)})
	}
	c.printClusterStatus(st)
	for _, w := range adm.Warnings { // some are the node's own as well
		if !slices.Contains(st.Warnings, w) {
			st.Warnings = append(st.Warnings, w)
		}
	}
	for _, w := range st.Warnings {
		c.warn("%s", w)
	}
	return nil
}

// asHeard corrects who is online without a quorum: nobody writes it down then,
// gossip is seconds late, and the members were asked just now.
func asHeard(nodes []api.NodeStatus, members []cluster.Member) {
	for i := range nodes {
		for _, m := range members {
			if m.Name == nodes[i].Name {
				nodes[i].Online = m.Online
			}
		}
	}
}

func orNil(s cluster.Status, err error) *cluster.Status {
	if err != nil {
		return nil
	}
	return &s
}

func (c *call) printClusterStatus(st api.Status) {
	quorum := "with quorum"
	if !st.Quorum {
		quorum = "WITHOUT quorum"
	}
	dc := st.DC
	if dc == "" {
		dc = "none"
	}
	c.io.Printf("Cluster %s, %s, DC: %s (term %d)\n", st.Cluster, quorum, dc, st.Term)
	for _, n := range st.Nodes {
		state := "OFFLINE"
		switch {
		case n.Online && n.Stalled > 0:
			state = "online, but does not follow the log"
		case n.Online:
			state = "online"
		}
		role := ""
		switch {
		case n.Witness:
			role = ", witness"
		case !n.Voter:
			role = ", does not vote"
		}
		c.io.Printf("  * %s (%s) %s%s\n", n.Name, n.Address, state, role)
	}
	line := fmt.Sprintf("Transition: %s", st.Transition.State)
	if len(st.Transition.Waiting) > 0 {
		line += " for " + strings.Join(st.Transition.Waiting, ", ")
	}
	if len(st.Transition.Pending) > 0 {
		line += ", in flight: " + strings.Join(st.Transition.Pending, ", ")
	}
	c.io.Println(line)
	if st.RestartGrant > 0 {
		c.io.Printf("Restart grant: %v left\n", st.RestartGrant.Duration().Round(time.Millisecond))
	}
}

// clusterTiming prints derived and measured times and the inequalities between them.
func clusterTiming(ctx context.Context, c *call) error {
	client, err := c.src.Client()
	if err != nil {
		return err
	}
	t, err := client.Timing(ctx)
	if err != nil {
		return source.Coded(err)
	}
	if js, err := c.asJSON(); err != nil || js {
		return errors.Join(err, c.printJSON(t))
	}
	ms := func(m api.Millis) string {
		return strconv.FormatFloat(math.Round(float64(m)*1000)/1000, 'f', -1, 64) + " ms"
	}
	c.io.Printf("detect-within %s\n\nDerived:\n", ms(t.DetectWithin))
	for _, v := range t.Derived {
		c.io.Printf("  %-24s %s\n", v.Name, ms(v.Value))
	}
	c.io.Printf("\nMeasured:\n")
	for _, v := range t.Measured {
		c.io.Printf("  %-24s %s\n", v.Name, ms(v.Value))
	}
	c.io.Printf("\nInequalities:\n")
	broken := false
	for _, i := range t.Inequalities {
		mark := "holds"
		switch {
		case !i.Holds && i.Warning:
			mark = "WARN"
		case !i.Holds:
			mark, broken = "BROKEN", true
		}
		c.io.Printf("  %-4s %-6s %s\n", i.Name, mark, i.Text)
	}
	c.io.Printf("\n%s\nSmallest detect-within these measurements allow: %s\n", t.Realtime, ms(t.Smallest))
	if broken {
		return exit.Errorf(exit.Config, "detect-within is too small for what was measured; set it to %s or more", ms(t.Smallest))
	}
	return nil
}

func clusterBackup(ctx context.Context, c *call) error {
	a, err := c.admin()
	if err != nil {
		return err
	}
	f, err := os.OpenFile(c.args[0], os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return exit.With(exit.CantCreate, err)
	}
	if err := errors.Join(a.Backup(ctx, f), f.Sync(), f.Close()); err != nil {
		os.Remove(c.args[0])
		return source.Coded(err)
	}
	c.info("%s holds the cluster's secrets; keep it where only root can read it", c.args[0])
	return nil
}

func clusterRestore(ctx context.Context, c *call) error {
	cfg, err := c.daemonConf()
	if err != nil {
		return err
	}
	bind, _ := c.flags.GetString("bind")
	addr, err := c.address(ctx, cfg, bind)
	if err != nil {
		return err
	}
	node, _ := c.flags.GetString("node")
	if node == "" {
		node = cfg.NodeName
	}
	var in io.Reader = c.io.In
	if c.args[0] != "-" {
		f, err := os.Open(c.args[0])
		if err != nil {
			return source.Coded(err)
		}
		defer f.Close()
		in = f
	}
	return c.said(cluster.Restore(in, cluster.RestoreOptions{Dir: cfg.ClusterDir, Addr: addr, Node: node, User: who(), Now: c.now()}))
}

func recoverFlags(fs *pflag.FlagSet) {
	fs.StringArray("lost", nil, "a voter that is gone for ever; name each one")
	fs.Bool("yes", false, "I know that the lost nodes are off")
}

// clusterRecover makes one survivor a cluster of its own, after a majority is gone for ever.
func clusterRecover(ctx context.Context, c *call) error {
	cfg, err := c.daemonConf()
	if err != nil {
		return err
	}
	lost, _ := c.flags.GetStringArray("lost")
	if len(lost) == 0 {
		return exit.Errorf(exit.Usage, "name every lost voter with --lost NODE; those not named must come back instead")
	}
	sure, _ := c.flags.GetBool("yes")
	if !sure && !c.set.force {
		question := fmt.Sprintf("Are %s powered off, and gone for ever? What they alone knew is lost. (yes/no) ", strings.Join(lost, ", "))
		if !isTerminal(c.io.In) || c.question(question) != "yes" {
			return exit.Errorf(exit.Unsafe, "not recovered: a lost node that still runs would run everything twice; when all are off for good, repeat with --yes")
		}
	}
	dir, err := cluster.OpenDir(cfg.ClusterDir)
	if err != nil {
		return err
	}
	id := dir.Identity()
	return c.said(cluster.Recover(ctx, cluster.RecoverOptions{
		Dir: cfg.ClusterDir, Lost: lost, User: who(), Now: c.now(),
		Servers: func() ([]cluster.Member, error) { return servers(dir.StorePath(), id) },
		Rebuild: func() ([]string, error) { return rebuild(dir.StorePath(), id) },
	}))
}
