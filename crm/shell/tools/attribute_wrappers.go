package tools

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/pflag"
	"systole/crm/exit"
	"systole/crm/score"
	"systole/crm/shell/tool"
	"systole/crm/status"
)

// CrmMaster is crm_master: crm_attribute for the calling agent's promotion score.
func CrmMaster(ctx context.Context, stdio *tool.IO, args []string) int {
	var out []string
	promotion := "-p"
	for i := 0; i < len(args); i++ {
		switch a := args[i]; {
		case (a == "-r" || a == "--resource") && i+1 < len(args):
			promotion = "-p=" + args[i+1]
			i++
		case a == "-Q":
			out = append(out, "-q")
		default:
			out = append(out, a)
		}
	}
	return CrmAttribute(ctx, stdio, append([]string{promotion}, out...))
}

// CrmStandby is crm_standby: whether a node may run resources.
func CrmStandby(ctx context.Context, stdio *tool.IO, args []string) int {
	return crmStandby.tool()(ctx, stdio, args)
}

var crmStandby = command{
	name:  "crm_standby",
	about: "ask for and change a node's standby mode",
	flags: func(fs *pflag.FlagSet) func(*program, []string) error {
		a := attribute{name: "standby"}
		fs.BoolVarP(&a.query, "query", "G", false, "print whether the node is in standby")
		fs.StringVarP(&a.value, "update", "v", "", "on or off")
		fs.BoolVarP(&a.del, "delete", "D", false, "let the node run resources again")
		fs.StringVarP(&a.lifetime, "lifetime", "l", "", "reboot: until the node restarts, or forever")
		fs.StringVarP(&a.node, "node", "N", "", "the node, by default this one")
		fs.StringVarP(&a.id, "id", "i", "", "id of the nvpair")
		fs.BoolVarP(&a.quiet, "quiet", "q", false, "print the value alone")
		fs.StringVarP(&a.node, "node-old", "U", "", "")
		fs.Lookup("node-old").Hidden = true
		fs.SetNormalizeFunc(renamed(map[string]string{"attr-value": "update", "get-value": "query", "delete-attr": "delete", "node-uname": "node", "uname": "node"}))
		return func(p *program, _ []string) error {
			a.hasValue = fs.Changed("update")
			if a.hasValue || a.del {
				if a.lifetime == "" {
					a.lifetime = "forever"
				}
				return a.run(p)
			}
			return a.askStandby(p)
		}
	},
}

// askStandby looks at the permanent attribute first, then at the transient one.
func (a *attribute) askStandby(p *program) error {
	lifetimes := []string{"forever", "reboot"}
	if a.lifetime != "" {
		lifetimes = []string{a.lifetime}
	}
	for i, l := range lifetimes {
		try := *a
		try.lifetime, try.query = l, true
		if i == len(lifetimes)-1 {
			try.fallback, try.hasFallback = "off", true
		}
		if err := try.run(p); exit.Of(err) != exit.NoSuch {
			return err
		}
	}
	return nil
}

// CrmFailcount is crm_failcount: how often a resource has failed on a node.
func CrmFailcount(ctx context.Context, stdio *tool.IO, args []string) int {
	return crmFailcount.tool()(ctx, stdio, args)
}

var crmFailcount = command{
	name:  "crm_failcount",
	about: "ask for and clear a resource's fail count on a node",
	flags: func(fs *pflag.FlagSet) func(*program, []string) error {
		query := fs.BoolP("query", "G", false, "print the fail count")
		del := fs.BoolP("delete", "D", false, "clear it, and the resource's history")
		rsc := fs.StringP("resource", "r", "", "the resource")
		node := fs.StringP("node", "N", "", "the node, by default this one")
		value := fs.StringP("update", "v", "", "only 0, which clears it")
		op := fs.StringP("operation", "n", "", "only of this operation")
		interval := fs.StringP("interval", "I", "", "only with this interval")
		quiet := fs.BoolP("quiet", "q", false, "print the number alone")
		old := fs.StringP("node-old", "U", "", "")
		fs.Lookup("node-old").Hidden = true
		fs.SetNormalizeFunc(renamed(map[string]string{"attr-value": "update", "get-value": "query", "delete-attr": "delete", "node-uname": "node", "uname": "node", "resource-id": "resource"}))
		return func(p *program, _ []string) error {
			if *node == "" {
				*node = *old
			}
			if *rsc == "" {
				*rsc = p.Getenv("OCF_RESOURCE_INSTANCE")
			}
			switch {
			case *rsc == "":
				return exit.Errorf(exit.Usage, "name the resource with -r")
			case *del || *value != "":
				if *value != "" && *value != "0" {
					return exit.Errorf(exit.Usage, "a fail count can be set to 0 only")
				}
				a := resourceCall{resource: *rsc, node: *node, operation: *op, interval: *interval}
				return a.cleanup(p, false)
			case *query || true:
				return askFailcount(p, *rsc, *node, *op, *interval, *quiet)
			}
			return nil
		}
	},
}

func askFailcount(p *program, rsc, node, op, interval string, quiet bool) error {
	if node == "" {
		n, err := p.localNode()
		if err != nil {
			return err
		}
		node = n
	}
	attrs, err := p.transient(node, "")
	if err != nil {
		return err
	}
	shown := "fail-count-" + rsc
	if op != "" {
		ms, _ := status.Millis(interval)
		shown += fmt.Sprintf("#%s_%d", op, ms)
	}
	total := score.Score(0)
	for _, t := range attrs {
		name, of, _ := strings.Cut(strings.TrimPrefix(t.Name, "fail-count-"), "#")
		if !strings.HasPrefix(t.Name, "fail-count-") || name != rsc || op != "" && !failureOf(of, op, interval) {
			continue
		}
		if n, err := score.Parse(t.Value); err == nil {
			total = total.Add(n)
		}
	}
	if quiet {
		p.Println(total)
	} else {
		p.Printf("scope=status  name=%s value=%s\n", shown, total)
	}
	return nil
}
