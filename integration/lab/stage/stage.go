// Package stage sets a Systole cluster on the machines of integration/lab, as an
// administrator would: the built programs, init on the first node, join by token on
// the others, fence_lab as the fence device of all.
package stage

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"systole/integration/lab"
)

// formWithin bounds the forming of a cluster; three nodes on an idle machine need some 5 s.
const formWithin = 90 * time.Second

// Cluster is a running Systole cluster.
type Cluster struct {
	Lab   *lab.Lab
	Nodes []*lab.Node

	// DetectWithin is the daemons' detect-within; 2 s unless set. Processes and
	// page faults are slow in these machines, and short times give false alarms.
	DetectWithin time.Duration
	// Prepare is a line of shell run as root on every node before its first daemon, for what the resources need.
	Prepare string
}

// logName is the daemon's log in the node's directory.
const logName = "systoled.log"

// Form boots the nodes and returns when all are members.
func (c *Cluster) Form(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, formWithin, fmt.Errorf("the cluster did not form within %v", formWithin))
	defer cancel()
	for _, program := range []string{"systoled", "crm"} {
		if _, err := c.Lab.Put(filepath.Join(c.Lab.Bin(), program)); err != nil {
			return fmt.Errorf("%w (remedy: make build)", err)
		}
	}
	if err := c.Lab.Boot(ctx); err != nil {
		return err
	}
	if c.DetectWithin == 0 {
		c.DetectWithin = 2 * time.Second
	}
	tools, err := c.tools()
	if err != nil {
		return err
	}
	if _, err := c.Nodes[0].Shell(ctx, "cd /lab/bin && for tool in "+tools+"; do ln -sf crm $tool; done"); err != nil {
		return err
	}
	for _, n := range c.Nodes {
		conf := fmt.Sprintf("mkdir -p /etc/systole && printf 'detect-within = %v\\n' > /etc/systole/systole.conf", c.DetectWithin)
		if _, err := n.Shell(ctx, conf); err != nil {
			return err
		}
		if c.Prepare != "" {
			if _, err := n.Shell(ctx, c.Prepare); err != nil {
				return err
			}
		}
		if _, err := n.Run(ctx, "sync"); err != nil { // these files must survive the first power cut
			return err
		}
	}
	first := c.Nodes[0]
	if _, err := first.Run(ctx, "crm", "cluster", "init", "--name", "lab", "--bind", first.Addr.String()); err != nil {
		return err
	}
	if err := c.StartDaemon(ctx, first); err != nil {
		return err
	}
	if err := c.AwaitMembers(ctx, first, 1); err != nil {
		return err
	}
	for i, n := range c.Nodes[1:] {
		token, err := first.Run(ctx, "crm", "cluster", "token", "--quiet")
		if err != nil {
			return err
		}
		join := fmt.Sprintf("umask 077; cat > /root/token && crm cluster join %s --token-file /root/token", first.Addr)
		if _, err := n.Feed(ctx, token, "sh", "-c", join); err != nil {
			return err
		}
		if err := c.StartDaemon(ctx, n); err != nil {
			return err
		}
		if err := c.AwaitMembers(ctx, first, i+2); err != nil {
			return err
		}
	}
	return nil
}

// tools are the names under which crm stands beside itself: agents call them.
func (c *Cluster) tools() (string, error) {
	entries, err := os.ReadDir(c.Lab.Bin())
	if err != nil {
		return "", err
	}
	var names []string
	for _, e := range entries {
		if to, err := os.Readlink(filepath.Join(c.Lab.Bin(), e.Name())); err == nil && to == "crm" {
			names = append(names, e.Name())
		}
	}
	return strings.Join(names, " "), nil
}

// StartDaemon starts systoled on a node, as its init would.
func (c *Cluster) StartDaemon(ctx context.Context, n *lab.Node) error {
	_, err := n.Spawn(ctx, logName, "systoled")
	return err
}

// Return boots a node without power, starts its daemon and waits until ask sees it as a member again.
func (c *Cluster) Return(ctx context.Context, n, ask *lab.Node) error {
	if !n.Running() {
		if err := n.Boot(ctx); err != nil {
			return err
		}
	}
	if err := c.StartDaemon(ctx, n); err != nil {
		return err
	}
	return c.AwaitMembers(ctx, ask, len(c.Nodes))
}

// Configure loads crm text and waits until the cluster has done what follows from it.
func (c *Cluster) Configure(ctx context.Context, on *lab.Node, text string) error {
	file, err := on.Write("load.crm", text, 0o600)
	if err != nil {
		return err
	}
	_, err = on.Run(ctx, "crm", "-w", "configure", "load", "update", file)
	return err
}

// AwaitMembers waits until so many nodes are online, in the eyes of ask, as many of
// them vote as may, and there is a DC.
func (c *Cluster) AwaitMembers(ctx context.Context, ask *lab.Node, count int) error {
	for {
		up, voters, dc, err := members(ctx, ask)
		if err == nil && dc != "" && up >= count && voters >= min(count, mostVoters) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %d of %d nodes online, DC %q, %v", context.Cause(ctx), up, count, dc, err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// mostVoters is the daemon's default (systole.conf, "voters").
const mostVoters = 5

func members(ctx context.Context, ask *lab.Node) (up, voters int, dc string, err error) {
	out, err := ask.Run(ctx, "crm", "cluster", "status", "--output", "json")
	if err != nil {
		return 0, 0, "", err
	}
	var status struct {
		DC    string
		Nodes []struct{ Online, Voter bool }
	}
	if err := json.Unmarshal([]byte(out), &status); err != nil {
		return 0, 0, "", fmt.Errorf("crm cluster status: %w in %q", err, out)
	}
	for _, n := range status.Nodes {
		if n.Online {
			up++
			if n.Voter {
				voters++
			}
		}
	}
	return up, voters, strings.TrimSpace(status.DC), nil
}

// Others are the nodes but one.
func (c *Cluster) Others(but *lab.Node) (others []*lab.Node) {
	for _, n := range c.Nodes {
		if n != but {
			others = append(others, n)
		}
	}
	return others
}
