package shell

import (
	"context"
	"os"
	"slices"
	"strings"

	"systole/crm/api"
	"systole/crm/cib"
	"systole/crm/clitext"
	"systole/crm/cluster"
	"systole/crm/exit"
	"systole/crm/shell/change"
	"systole/crm/shell/source"
	"systole/crm/shell/tools"
	"systole/crm/status"
)

// nodeNames and resourceIDs are what there is, for proposals and completion.
func nodeNames(root *cib.Element) []string {
	var names []string
	for n := range root.Path("configuration", "nodes").Each("node") {
		names = append(names, n.Get("uname"))
	}
	return names
}

func resourceIDs(root *cib.Element) []string {
	var ids []string
	if section := root.Path("configuration", "resources"); section != nil {
		for e := range cib.All(section) {
			if change.IsResource(e.Name()) {
				ids = append(ids, e.ID())
			}
		}
	}
	return ids
}

func didYouMean(word string, known []string) string {
	if near := clitext.Nearest(word, known); near != "" {
		return "; did you mean " + near + "?"
	}
	return ""
}

// node finds a node entry.
func mustBeNode(root *cib.Element, name string) (*cib.Element, error) {
	if n := change.Node(root, name); n != nil {
		return n, nil
	}
	return nil, exit.Errorf(exit.NoSuch, "there is no node %q%s", name, didYouMean(name, nodeNames(root)))
}

// localName is the node a command without one is about.
func (sh *Shell) localName(ctx context.Context) (string, error) {
	if !sh.src.Live() {
		return os.Hostname()
	}
	client, err := sh.src.Client()
	if err != nil {
		return "", err
	}
	st, err := client.Status(ctx)
	return st.Node, source.Coded(err)
}

// nodesNamed are the arguments, or this node.
func (c *call) nodesNamed(ctx context.Context) ([]string, error) {
	if len(c.args) > 0 {
		return c.args, nil
	}
	name, err := c.localName(ctx)
	return []string{name}, err
}

// nodeSwitch sets an attribute of nodes.
func nodeSwitch(comment, name, value string) func(context.Context, *call) error {
	return func(ctx context.Context, c *call) error {
		lifetime := ""
		if n := len(c.args); n > 0 && (c.args[n-1] == "reboot" || c.args[n-1] == "forever") {
			lifetime, c.args = c.args[n-1], c.args[:n-1]
		}
		if all, _ := c.flags.GetBool("all"); all {
			base, err := c.src.Read(ctx)
			if err != nil {
				return err
			}
			c.args = nodeNames(base.Root())
		}
		nodes, err := c.nodesNamed(ctx)
		if err != nil {
			return err
		}
		if lifetime == "reboot" {
			for _, n := range nodes {
				if err := c.tool(ctx, "crm_attribute", tools.CrmAttribute, "-N", n, "-l", "reboot", "-n", name, "-v", value); err != nil {
					return err
				}
			}
			return c.settle(ctx)
		}
		return c.update(ctx, comment, func(root *cib.Element) (*cib.Element, error) {
			for _, name2 := range nodes {
				n, err := mustBeNode(root, name2)
				if err != nil {
					return nil, err
				}
				changed, _, _ := change.Set(n, change.NodeAttr(n.ID(), name, false), value)
				root = change.With(root, n, changed)
			}
			return root, nil
		})
	}
}

// nodeAttribute is attribute, status-attr and utilization.
func nodeAttribute(kind ...string) func(context.Context, *call) error {
	return func(ctx context.Context, c *call) error {
		node, verb, name := c.args[0], c.args[1], c.args[2]
		args := append(slices.Clone(kind), "--node", node, "--name", name)
		switch {
		case verb == "set" && len(c.args) == 4:
			args = append(args, "--update="+c.args[3])
		case verb == "delete" && len(c.args) == 3:
			args = append(args, "--delete")
		case verb == "show" && len(c.args) == 3:
			args = append(args, "--query")
		default:
			return exit.Errorf(exit.Usage, "write NODE set NAME VALUE, NODE delete NAME, or NODE show NAME")
		}
		return c.change(ctx, "crm_attribute", tools.CrmAttribute, args...)
	}
}

// nodeShow prints nodes with their attributes.
func nodeShow(ctx context.Context, c *call) error {
	base, err := c.src.ReadLocal(ctx)
	if err != nil {
		return err
	}
	names := c.args
	if len(names) == 0 {
		names = nodeNames(base.Root())
	}
	for _, name := range names {
		n, err := mustBeNode(base.Root(), name)
		if err != nil {
			return err
		}
		line := n.Get("uname")
		if n.ID() != line {
			line += "(" + n.ID() + ")"
		}
		kind := n.Get("type")
		if kind == "" {
			kind = "member"
		}
		c.io.Printf("%s: %s\n", line, kind)
		for _, f := range change.Find(n, change.Attr{Tag: "instance_attributes"}) {
			c.io.Printf("\t%s=%s\n", f.Name, f.Value)
		}
	}
	return nil
}

// nodeServer prints where nodes are reached.
func nodeServer(ctx context.Context, c *call) error {
	base, err := c.src.ReadLocal(ctx)
	if err != nil {
		return err
	}
	names := c.args
	if len(names) == 0 {
		names = nodeNames(base.Root())
	}
	address := map[string]string{}
	if client, err := c.src.Client(); err == nil {
		if st, err := client.Status(ctx); err == nil {
			for _, n := range st.Nodes {
				address[n.Name], _, _ = strings.Cut(n.Address, ":")
			}
		}
	}
	for _, name := range names {
		if a := address[name]; a != "" {
			name = a
		}
		c.io.Println(name)
	}
	return nil
}

// nodeFence has the cluster fence a node.
func nodeFence(ctx context.Context, c *call) error {
	base, err := c.src.Read(ctx)
	if err != nil {
		return err
	}
	if _, err := mustBeNode(base.Root(), c.args[0]); err != nil {
		return err
	}
	// A wish that nobody can fulfil would stand until somebody switches fencing on.
	switch s := status.Unpack(base.Root(), c.now()); {
	case !s.Options.Fencing:
		return exit.Errorf(exit.Config, "stonith-enabled is false, so no node is fenced; configure a fence device, then crm configure property stonith-enabled=true")
	case !s.HaveFencing:
		return exit.Errorf(exit.Config, "there is no fence device; configure one (crm ra list stonith shows the agents)")
	}
	if !c.set.force && c.typed && c.ask("Fencing ends everything on "+c.args[0]+". Go on (y/n)? ") != "y" {
		return exit.Errorf(exit.Usage, "not fenced")
	}
	return c.change(ctx, "crm_attribute", tools.CrmAttribute, "-t", "status", "-N", c.args[0], "-n", "terminate", "-v", "true")
}

// nodeClearstate states that a node is down, on the word of a human.
func nodeClearstate(ctx context.Context, c *call) error {
	client, err := c.src.Client()
	if err != nil {
		return err
	}
	st, err := client.Status(ctx)
	if err != nil {
		return source.Coded(err)
	}
	for _, n := range st.Nodes {
		if n.Name != c.args[0] {
			continue
		}
		if n.Online {
			_, err := client.Resource(ctx, api.ResourceRequest{Verb: api.ResourceRefresh, Node: n.Name})
			return source.Coded(err)
		}
		if !c.set.force && c.ask("Is "+n.Name+" really down? If it still runs anything, data will be damaged. (y/n) ") != "y" {
			return exit.Errorf(exit.Unsafe, "not confirmed; make sure that %s is powered off, then repeat with crm -F", n.Name)
		}
		return source.Coded(client.ConfirmFence(ctx, n.Name))
	}
	return exit.Errorf(exit.NoSuch, "there is no node %q", c.args[0])
}

// nodeDelete takes a node out of the cluster, or out of a file.
func nodeDelete(ctx context.Context, c *call) error {
	for _, name := range c.args {
		if c.src.Live() {
			client, err := c.src.Client()
			if err != nil {
				return err
			}
			if _, err := (cluster.Admin{API: client}).Remove(ctx, cluster.RemoveRequest{Node: name, Force: c.set.force}); err != nil {
				return source.Coded(err)
			}
			continue
		}
		err := c.update(ctx, "node delete", func(root *cib.Element) (*cib.Element, error) {
			n, err := mustBeNode(root, name)
			if err != nil {
				return nil, err
			}
			root = change.With(root, n, nil)
			for s := range root.Child("status").Each("node_state") {
				if s.Get("uname") == name {
					return change.With(root, s, nil), nil
				}
			}
			return root, nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
