package tools

import (
	"context"
	"os"
	"strings"

	"github.com/spf13/pflag"
	"systole/crm/cib"
	"systole/crm/cluster"
	"systole/crm/exit"
	"systole/crm/shell/change"
	"systole/crm/shell/source"
	"systole/crm/shell/tool"
)

// CrmNode is crm_node: who is in the cluster.
func CrmNode(ctx context.Context, stdio *tool.IO, args []string) int {
	return crmNode.tool()(ctx, stdio, args)
}

var crmNode = command{
	name:  "crm_node",
	about: "who is in the cluster",
	flags: func(fs *pflag.FlagSet) func(*program, []string) error {
		var chosen string
		act := func(name, short, usage string) {
			fs.BoolFuncP(name, short, usage, func(string) error { chosen = name; return nil })
		}
		act("name", "n", "print this node's name")
		act("cluster-id", "i", "print this node's id")
		act("list", "l", "list all nodes: id, name, state")
		act("partition", "p", "list the nodes of this partition")
		act("quorum", "q", "print 1 with quorum, else 0")
		id := fs.StringP("name-for-id", "N", "", "print the name of the node with this `id`")
		remove := fs.StringP("remove", "R", "", "take a stopped `node` out of the cluster")
		force := fs.BoolP("force", "f", false, "do not ask")
		fs.BoolP("corosync", "C", false, "")
		fs.Lookup("corosync").Hidden = true
		return func(p *program, _ []string) error {
			switch {
			case *remove != "":
				return removeNode(p, *remove, *force)
			case *id != "":
				return nameFor(p, *id)
			case chosen == "":
				return exit.Errorf(exit.Usage, "say what to print: -n, -i, -l, -p or -q")
			}
			return p.aboutNodes(chosen)
		}
	},
}

// aboutNodes answers from the daemon; on a file, the name is the host's and the
// list the CIB's, so that agents can be tried out without a cluster.
func (p *program) aboutNodes(question string) error {
	if !p.src.Live() {
		switch question {
		case "name":
			name, err := os.Hostname()
			p.Println(name)
			return err
		case "list":
			return p.nodesOfFile()
		}
	}
	st, err := p.status()
	if err != nil {
		return err
	}
	switch question {
	case "name":
		p.Println(st.Node)
	case "cluster-id":
		p.Println(st.NodeID)
	case "quorum":
		if st.Quorum {
			p.Println("1")
		} else {
			p.Println("0")
		}
	case "list":
		for _, n := range st.Nodes {
			p.nodeLine(n.ID, n.Name, n.Online)
		}
	case "partition":
		var names []string
		for _, n := range st.Nodes {
			if n.Online {
				names = append(names, n.Name+" ")
			}
		}
		p.Println(strings.Join(names, ""))
	}
	return nil
}

func (p *program) nodeLine(id, name string, online bool) {
	state := "lost"
	if online {
		state = "member"
	}
	if p.xml != nil {
		p.xml.add(cib.New("node", "id", id, "name", name, "state", state))
		return
	}
	p.Printf("%s %s %s\n", id, name, state)
}

func (p *program) nodesOfFile() error {
	c, s, err := p.state()
	if err != nil {
		return err
	}
	for n := range c.Configuration().Child("nodes").Each("node") {
		st, ok := s.Node(n.Get("uname"))
		p.nodeLine(n.ID(), n.Get("uname"), ok && st.Online)
	}
	return nil
}

func nameFor(p *program, id string) error {
	c, err := p.src.ReadLocal(p.ctx)
	if err != nil {
		return err
	}
	n := change.Node(c.Root(), id)
	if n == nil {
		return exit.Errorf(exit.NoSuch, "there is no node with the id %s", id)
	}
	p.Println(n.Get("uname"))
	return nil
}

func removeNode(p *program, name string, force bool) error {
	client, err := p.client()
	if err != nil {
		return err
	}
	if !force {
		return exit.Errorf(exit.Usage, "removing %s forgets all about it; repeat with --force if that is meant", name)
	}
	_, err = cluster.Admin{API: client}.Remove(p.ctx, cluster.RemoveRequest{Node: name})
	return source.Coded(err)
}
