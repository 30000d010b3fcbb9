package shell

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"systole/agents/ipvs/control"
	"systole/crm/cib"
	"systole/crm/exit"
	"systole/crm/lvs"
	"systole/crm/lvs/ipvsadm"
	"systole/crm/shell/change"
	"systole/crm/shell/source"
	"systole/crm/shell/tools"
)

func lvsCommands() []*command {
	return []*command{
		{name: "list", args: "[-n] [--stats|--rate|-c|--timeout|--daemon|--thresholds] [-o json]", short: "List this node's IPVS table, connections or time-outs", flags: lvsListFlags, run: lvsList,
			long: "The text is ipvsadm's. Names are looked up unless -n is given.", example: "crm lvs list -n\ncrm lvs list -n -c\ncrm lvs list -o json"},
		{name: "save", args: "[-n]", short: "Print this node's IPVS table as commands for restore", flags: numericFlag, run: lvsSave, example: "crm lvs save -n > table"},
		{name: "restore", args: "[FILE]", short: "Read IPVS commands from a file or standard input", max: 1, run: lvsRestore, long: "What a director of the cluster looks after comes back as it was configured."},
		{name: "zero", args: "[tcp|udp|sctp|fwmark SERVICE]", short: "Set counters of this node's IPVS table to 0", max: 2, run: lvsZero, complete: words("tcp", "udp", "sctp", "fwmark"), example: "crm lvs zero\ncrm lvs zero tcp 192.0.2.10:80"},
		{name: "status", args: "[RESOURCE] [-o json]", short: "Say what this node's directors think of their real servers, and why", max: 1, flags: outputFlag, run: lvsStatus, complete: theResources},
		{name: "nodes", args: "[-o json]", short: "Say what each node is to take, and why", flags: outputFlag, run: lvsNodes},
		{name: "drain", args: "NODE… [reboot|forever]", short: "Let directors send nothing new to nodes", min: 1, max: -1, changes: true, run: nodeSwitch("lvs drain", lvs.AttrDrain, "true"), complete: theNodes,
			long: "Connections that are there go on. It lasts until crm lvs undrain, over reboots of the node too; with reboot, until the node's next.", example: "crm lvs drain web-1"},
		{name: "undrain", args: "NODE…", short: "Let directors use nodes again", min: 1, max: -1, changes: true, run: lvsUndrain, complete: theNodes},
		{name: "weight", args: "NODE NUMBER|-", short: "Set a node's weight, instead of the configured one; - is the configured one again", min: 2, max: 2, raw: true, changes: true, run: lvsWeight, complete: theNodes, example: "crm lvs weight web-1 50\ncrm lvs weight web-1 -"},
		{name: "doctor", args: "[--local [--questions FILE]] [-o json]", short: "Find what breaks load balancing, on all nodes", flags: lvsDoctorFlags, run: lvsDoctor,
			long: "Every node is asked for its addresses, settings, routes and modules, and who on its links has the virtual addresses; services are tried from nodes that could be clients. " +
				"What the site should be is read from the tables of the active directors. Nothing is changed. The exit status is 0 when nothing is wrong and 113 when something is.",
			example: "crm lvs doctor\ncrm lvs doctor -o json"},
		{name: "feed", short: "Print what each node is to take, now and after every change (for directors)", run: lvsFeed,
			long: "A table is lines NODE WEIGHT, where WEIGHT is drain, a number, or - for the configured one; an empty line ends it."},
	}
}

func numericFlag(fs *pflag.FlagSet) {
	fs.BoolP("numeric", "n", false, "print numbers, not names")
}

// lvsViews are the views of list, by ipvsadm's long options.
var lvsViews = []struct{ name, short, help string }{
	{"stats", "", "counters"}, {"rate", "", "rates per second"}, {"connection", "c", "connections"}, {"timeout", "", "time-outs of connections"},
	{"daemon", "", "sync daemons"}, {"thresholds", "", "thresholds"}, {"persistent-conn", "", "numbers of persistent connections"}, {"exact", "", "large numbers in full"},
}

func lvsListFlags(fs *pflag.FlagSet) {
	numericFlag(fs)
	for _, v := range lvsViews {
		fs.BoolP(v.name, v.short, false, v.help)
	}
	outputFlag(fs)
}

func lvsList(ctx context.Context, c *call) error {
	js, err := c.asJSON()
	if err != nil {
		return err
	}
	if js {
		conns, _ := c.flags.GetBool("connection")
		s, err := ipvsadm.OnThisNode(ctx).State(conns)
		if err != nil {
			return err
		}
		return s.WriteJSON(c.io.Out)
	}
	args := []string{"--list"}
	c.flags.Visit(func(f *pflag.Flag) {
		if f.Name != "output" {
			args = append(args, "--"+f.Name)
		}
	})
	return c.ipvsadm(ctx, c.io.In, args...)
}

// ipvsadm runs the program with its exit status made one of crm's.
func (c *call) ipvsadm(ctx context.Context, in io.Reader, args ...string) error {
	stdio := *c.io
	stdio.Name, stdio.In = "crm lvs", in
	if code := ipvsadm.OnThisNode(ctx).Run(&stdio, args); code != 0 {
		return exit.With(ipvsadm.CRMExit(code), errTold)
	}
	return nil
}

func lvsSave(ctx context.Context, c *call) error {
	args := []string{"--save"}
	if n, _ := c.flags.GetBool("numeric"); n {
		args = append(args, "-n")
	}
	return c.ipvsadm(ctx, c.io.In, args...)
}

func lvsRestore(ctx context.Context, c *call) error {
	if len(c.args) == 0 {
		c.args = []string{"-"}
	}
	text, err := readInput(c, c.args[0])
	if err != nil {
		return err
	}
	return c.ipvsadm(ctx, bytes.NewReader(text), "--restore")
}

func lvsZero(ctx context.Context, c *call) error {
	args := []string{"--zero"}
	if len(c.args) > 0 {
		option, ok := map[string]string{"tcp": "-t", "udp": "-u", "sctp": "--sctp-service", "fwmark": "-f"}[c.args[0]]
		if !ok || len(c.args) != 2 {
			return exit.Errorf(exit.Usage, "write tcp, udp or sctp ADDRESS:PORT, or fwmark NUMBER")
		}
		args = append(args, option, c.args[1])
	}
	return c.ipvsadm(ctx, c.io.In, args...)
}

// askDirector bounds one question to a director's process.
const askDirector = 5 * time.Second

// lvsStatus asks the directors' processes on this node.
func lvsStatus(ctx context.Context, c *call) error {
	js, err := c.asJSON()
	if err != nil {
		return err
	}
	dir := c.io.Getenv("HA_RSCTMP")
	names := c.args
	if len(names) == 0 {
		names = control.Resources(dir)
	}
	var all []control.Status
	for _, name := range names {
		asking, cancel := context.WithTimeout(ctx, askDirector)
		st, err := control.Ask(asking, control.Socket(dir, name), control.Request{Do: control.Show})
		cancel()
		if err != nil {
			return exit.With(exit.NotRunning, fmt.Errorf("director %s on this node: %w", name, err))
		}
		all = append(all, st)
	}
	if js {
		if all == nil {
			all = []control.Status{}
		}
		return c.printJSON(all)
	}
	if len(all) == 0 {
		c.io.Println("no director runs on this node")
	}
	for _, st := range all {
		c.io.Printf("%s", lvs.StatusText(st, c.now()))
	}
	return nil
}

func (c *call) weights(ctx context.Context) ([]lvs.Weight, error) {
	base, err := c.src.ReadLocal(ctx)
	if err != nil {
		return nil, err
	}
	return lvs.Weights(base.Root(), c.now()), nil
}

func lvsNodes(ctx context.Context, c *call) error {
	js, err := c.asJSON()
	if err != nil {
		return err
	}
	ws, err := c.weights(ctx)
	if err != nil {
		return err
	}
	if js {
		return c.printJSON(ws)
	}
	for _, w := range ws {
		c.io.Println(strings.TrimSpace(fmt.Sprintf("%s %s %s", w.Node, w, w.Why)))
	}
	return nil
}

// lvsUndrain takes away what drain set, permanent and until the next reboot.
func lvsUndrain(ctx context.Context, c *call) error {
	err := c.update(ctx, "lvs undrain", c.without(lvs.AttrDrain, c.args))
	if err != nil || c.set.dryRun {
		return err
	}
	for _, n := range c.args {
		if err := c.tool(ctx, "crm_attribute", tools.CrmAttribute, "-N", n, "-l", "reboot", "-n", lvs.AttrDrain, "-D"); err != nil {
			return err
		}
	}
	return nil
}

// without edits nodes: they lose a permanent attribute.
func (c *call) without(name string, nodes []string) func(*cib.Element) (*cib.Element, error) {
	return func(root *cib.Element) (*cib.Element, error) {
		for _, node := range nodes {
			n, err := mustBeNode(root, node)
			if err != nil {
				return nil, err
			}
			if changed, _, ok := change.Delete(n, change.NodeAttr(n.ID(), name, false)); ok {
				root = change.With(root, n, changed)
			}
		}
		return root, nil
	}
}

func lvsWeight(ctx context.Context, c *call) error {
	node, text := c.args[0], c.args[1]
	if text == "-" {
		return c.update(ctx, "lvs weight", c.without(lvs.AttrWeight, []string{node}))
	}
	if !lvs.ValidWeight(text) {
		return exit.Errorf(exit.Usage, "%q is no weight: write a number from 0 to %d, or - for the configured one", text, lvs.MaxWeight)
	}
	c.args = []string{node}
	return nodeSwitch("lvs weight", lvs.AttrWeight, text)(ctx, c)
}

// feedRest is the least time between two looks at the CIB: a busy cluster commits more often.
const feedRest = 100 * time.Millisecond

// lvsFeed prints the table of weights, and again whenever it has changed. On a
// file it prints it once.
func lvsFeed(ctx context.Context, c *call) error {
	var said string
	say := func() error {
		ws, err := c.weights(ctx)
		if err != nil {
			return err
		}
		var b strings.Builder
		if err := lvs.WriteTable(&b, ws); err != nil || b.String() == said {
			return err
		}
		said = b.String()
		_, err = fmt.Fprint(c.io.Out, said)
		return err
	}
	if !c.src.Live() {
		return say()
	}
	client, err := c.src.Client()
	if err != nil {
		return err
	}
	for _, err := range client.Watch(ctx, 0) {
		if err != nil {
			return source.Coded(err)
		}
		if err := say(); err != nil {
			return err
		}
		rest := time.NewTimer(feedRest)
		select {
		case <-rest.C:
		case <-ctx.Done():
			rest.Stop()
			return context.Cause(ctx)
		}
	}
	return nil
}
