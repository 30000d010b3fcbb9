package tools

import (
	"context"
	"time"

	"github.com/spf13/pflag"
	"systole/crm/api"
	"systole/crm/cib"
	"systole/crm/exit"
	"systole/crm/shell/tool"
)

// Crmadmin is crmadmin: the state of the controller.
func Crmadmin(ctx context.Context, stdio *tool.IO, args []string) int {
	return crmadmin.tool()(ctx, stdio, optionalArgs(args, "-N", "--nodes"))
}

var crmadmin = command{
	name:  "crmadmin",
	about: "the state of the cluster's controller",
	flags: func(fs *pflag.FlagSet) func(*program, []string) error {
		dc := fs.BoolP("dc_lookup", "D", false, "print the node that is the DC")
		state := fs.StringP("status", "S", "", "print what the controller on a `node` is doing")
		nodes := fs.StringP("nodes", "N", "", "list the nodes (of a type)")
		health := fs.BoolP("pacemakerd", "P", false, "print the state of the daemon")
		bash := fs.BoolP("bash-export", "B", false, "list nodes as shell assignments")
		quiet := fs.BoolP("quiet", "q", false, "print the essential part alone")
		fs.StringP("timeout", "t", "", "how long to wait at most")
		fs.StringP("ipc-name", "i", "", "")
		fs.Lookup("nodes").NoOptDefVal = " "
		for _, h := range []string{"ipc-name"} {
			fs.Lookup(h).Hidden = true
		}
		return func(p *program, _ []string) error {
			switch {
			case *dc:
				return p.designated(*quiet)
			case *state != "":
				return p.controllerState(*state, *quiet)
			case *health:
				return p.daemonState(*quiet)
			case *nodes != "":
				return p.clusterNodes(*bash, *quiet)
			}
			return exit.Errorf(exit.Usage, "Must specify a command option")
		}
	},
}

func (p *program) designated(quiet bool) error {
	st, err := p.status()
	switch {
	case err != nil:
		return err
	case st.DC == "":
		return exit.Errorf(exit.NoDC, "error: Command failed: DC is not yet elected")
	case p.xml != nil:
		p.xml.add(cib.New("dc", "node_name", st.DC))
	case quiet:
		p.Println(st.DC)
	default:
		p.Printf("Designated Controller is: %s\n", st.DC)
	}
	return nil
}

// controllerState speaks of the DC's work in the words of Pacemaker's controller.
func (p *program) controllerState(node string, quiet bool) error {
	st, err := p.status()
	if err != nil {
		return err
	}
	word := "S_NOT_DC"
	if node == st.DC {
		word = map[api.TransitionState]string{
			api.TransitionIdle: "S_IDLE", api.TransitionRunning: "S_TRANSITION_ENGINE", api.TransitionWaiting: "S_INTEGRATION",
		}[st.Transition.State]
	}
	if st.DC == "" || word == "" {
		word = "S_PENDING"
	}
	known := false
	for _, n := range st.Nodes {
		known = known || n.Name == node
	}
	switch {
	case !known:
		return exit.Errorf(exit.NoSuch, "there is no node %s", node)
	case p.xml != nil:
		p.xml.add(cib.New("crmd", "node_name", node, "state", word, "result", "ok"))
	case quiet:
		p.Println(word)
	default:
		p.Printf("Controller on %s in state %s: ok\n", node, word)
	}
	return nil
}

func (p *program) daemonState(quiet bool) error {
	if _, err := p.status(); err != nil {
		return err
	}
	at := time.Now()
	switch {
	case p.xml != nil:
		p.xml.add(cib.New("pacemakerd", "state", "running", "last_updated", at.Format("2006-01-02 15:04:05Z07:00")))
	case quiet:
		p.Println("running")
	default:
		p.Printf("Status of pacemakerd: 'Pacemaker is running' (last updated %s)\n", at.Format("2006-01-02 15:04:05Z07:00"))
	}
	return nil
}

func (p *program) clusterNodes(bash, quiet bool) error {
	c, err := p.src.ReadLocal(p.ctx)
	if err != nil {
		return err
	}
	for n := range c.Configuration().Child("nodes").Each("node") {
		kind := "cluster"
		if n.Get("type") == "remote" {
			kind = "remote"
		}
		switch {
		case p.xml != nil:
			p.xml.add(cib.New("node", "type", kind, "name", n.Get("uname"), "id", n.ID()))
		case bash:
			p.Printf("export %s=%s\n", n.Get("uname"), n.ID())
		case quiet:
			p.Println(n.Get("uname"))
		default:
			p.Printf("%s node: %s (%s)\n", kind, n.Get("uname"), n.ID())
		}
	}
	return nil
}
