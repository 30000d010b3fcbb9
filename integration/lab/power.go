package lab

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// PowerCut takes the node's power: all of it ends at one blow, frozen or not,
// and what was not on its disk is gone. No effect without power.
func (n *Node) PowerCut() {
	n.mu.Lock()
	m := n.machine
	n.mu.Unlock()
	if m == nil {
		return
	}
	syscall.Kill(-m.cmd.Process.Pid, syscall.SIGKILL)
	<-m.off
}

// Freeze stops the node's kernel, and with it everything; Thaw lets it go on
// with no idea of the time that passed but its clocks. Only the kernel's own
// process is stopped: it traces the others, and panics when they were.
func (n *Node) Freeze() error { return n.signal(syscall.SIGSTOP) }

// Thaw ends a Freeze.
func (n *Node) Thaw() error { return n.signal(syscall.SIGCONT) }

func (n *Node) signal(s syscall.Signal) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.machine == nil {
		return fmt.Errorf("%v to %s: %w", s, n.Name, errNoPower)
	}
	return n.machine.cmd.Process.Signal(s)
}

// Reboot resets the node as "reboot -f" does and waits until it is up again.
func (n *Node) Reboot(ctx context.Context) error {
	if _, err := n.Spawn(ctx, "", "reboot", "-f"); err != nil {
		return err
	}
	if err := n.AwaitOff(ctx); err != nil {
		return err
	}
	return n.Boot(ctx)
}

// PullCable takes the node off all its segments; its cards keep their carrier.
func (n *Node) PullCable() {
	for _, c := range n.nets {
		c.segment.pull(n.Name, true)
	}
}

// CutTo loses what the node sends to another, on all segments, and nothing the other way.
func (n *Node) CutTo(other *Node) {
	for _, c := range n.nets {
		c.segment.block(n.Name, other.Name)
	}
}

// Mend undoes PullCable and every CutTo from and to the node.
func (n *Node) Mend() {
	for _, c := range n.nets {
		c.segment.mend(n.Name)
	}
}

// Impair delays what the node sends on its first card and loses a share of it,
// 0 to 1. The node's kernel counts time in hundredths of a second, so delays
// are coarse. Impair(ctx, 0, 0) ends it.
func (n *Node) Impair(ctx context.Context, delay time.Duration, loss float64) error {
	if delay == 0 && loss == 0 {
		_, err := n.Run(ctx, "tc", "qdisc", "del", "dev", "eth0", "root")
		return err
	}
	if _, err := n.Run(ctx, "modprobe", "sch_netem"); err != nil {
		return err
	}
	_, err := n.Run(ctx, "tc", "qdisc", "replace", "dev", "eth0", "root", "netem",
		"delay", strconv.FormatInt(delay.Microseconds(), 10)+"us", "loss", strconv.FormatFloat(100*loss, 'f', 2, 64)+"%")
	return err
}

// Space is a machine of the second shape: a network namespace in a node, for
// tests of the data plane that need neither power cuts nor a clock of their own.
type Space struct {
	Name string
	Addr string
	node *Node
}

// Spaces makes network namespaces in the node, each with a card eth0 on one
// bridge, 10.99.0.1 and on, 24 bits long.
func (n *Node) Spaces(ctx context.Context, names ...string) ([]*Space, error) {
	var outer strings.Builder
	outer.WriteString("link add spaces type bridge\nlink set spaces up\n")
	spaces := make([]*Space, len(names))
	for i, name := range names {
		spaces[i] = &Space{name, fmt.Sprintf("10.99.0.%d", i+1), n}
		fmt.Fprintf(&outer, "netns add %[1]s\nlink add to-%[1]s type veth peer name eth0 netns %[1]s\nlink set to-%[1]s master spaces up\n", name)
	}
	if _, err := n.Run(ctx, "modprobe", "-a", "veth", "bridge"); err != nil {
		return nil, err
	}
	if _, err := n.Feed(ctx, outer.String(), "ip", "-batch", "-"); err != nil {
		return nil, err
	}
	for _, s := range spaces {
		inner := fmt.Sprintf("link set lo up\naddr add %s/24 dev eth0\nlink set eth0 up\n", s.Addr)
		if _, err := n.Feed(ctx, inner, "ip", "-n", s.Name, "-batch", "-"); err != nil {
			return nil, err
		}
	}
	return spaces, nil
}

// Run is [Node.Run] inside the namespace.
func (s *Space) Run(ctx context.Context, argv ...string) (string, error) {
	return s.node.Run(ctx, append([]string{"ip", "netns", "exec", s.Name}, argv...)...)
}
