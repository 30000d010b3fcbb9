package tools

import (
	"context"
	"time"

	"github.com/spf13/pflag"
	"systole/crm/api"
	"systole/crm/cib"
	"systole/crm/exit"
	"systole/crm/shell/tool"
	"systole/crm/status"
)

// AttrdUpdater is attrd_updater: transient attributes of nodes.
func AttrdUpdater(ctx context.Context, stdio *tool.IO, args []string) int {
	return attrdUpdater.tool()(ctx, stdio, args)
}

var attrdUpdater = command{
	name:  "attrd_updater",
	about: "change and ask for transient attributes of nodes",
	notes: "\nExample: count a reachable host, writing no more often than every five seconds\n  attrd_updater -n pingd -U 100 -d 5s\n",
	flags: func(fs *pflag.FlagSet) func(*program, []string) error {
		name := fs.StringP("name", "n", "", "name of the attribute")
		pattern := fs.StringP("pattern", "P", "", "all attributes whose names match")
		update := fs.StringP("update", "U", "", "set the value, written after the delay")
		updateOld := fs.StringP("value", "v", "", "")
		both := fs.StringP("update-both", "B", "", "set value and delay")
		delayOnly := fs.StringP("update-delay", "Y", "", "set the delay")
		query := fs.BoolP("query", "Q", false, "print the value")
		del := fs.BoolP("delete", "D", false, "delete the attribute")
		refresh := fs.BoolP("refresh", "R", false, "write everything to the CIB again")
		delay := fs.StringP("delay", "d", "", "how long to wait for further changes before writing")
		set := fs.StringP("set", "s", "", "")
		fs.StringP("section", "S", "", "")
		node := fs.StringP("node", "N", "", "the node, by default this one")
		all := fs.BoolP("all", "A", false, "of all nodes")
		private := fs.BoolP("private", "p", false, "never write it to the CIB")
		fs.BoolP("quiet", "q", false, "")
		fs.StringP("wait", "W", "", "")
		fs.StringP("lifetime", "l", "", "")
		for _, h := range []string{"value", "set", "section", "quiet", "wait", "lifetime"} {
			fs.Lookup(h).Hidden = true
		}
		fs.SetNormalizeFunc(renamed(map[string]string{"update-delay-only": "update-delay"}))
		return func(p *program, _ []string) error {
			u := api.AttrUpdate{Node: *node, Name: *name, Private: *private, Set: *set}
			if *refresh {
				_, err := p.client()
				return err // everything is in the CIB already, or waits its time
			}
			if *name == "" && *pattern == "" {
				return exit.Errorf(exit.Usage, "Must specify --name/-n or --pattern/-P")
			}
			if *query {
				return askAttrd(p, *name, *node, *all)
			}
			if u.Node == "" || u.Node == "localhost" {
				n, err := p.localNode()
				if err != nil {
					return err
				}
				u.Node = n
			}
			value := *update
			hasDelay := fs.Changed("delay")
			switch {
			case fs.Changed("value"):
				value = *updateOld
			case fs.Changed("update-both"):
				value = *both
			case fs.Changed("update-delay"):
				u.DampenOnly, hasDelay = true, true
				if *delay == "" {
					*delay = *delayOnly
				}
			}
			if hasDelay {
				ms, ok := status.Millis(*delay)
				if !ok {
					return exit.Errorf(exit.Usage, "%q is not a time; write 5s or a number of seconds", *delay)
				}
				d := api.FromDuration(time.Duration(ms) * time.Millisecond)
				u.Dampen = &d
			}
			if !*del && !u.DampenOnly {
				if !fs.Changed("update") && !fs.Changed("value") && !fs.Changed("update-both") {
					return exit.Errorf(exit.Usage, "say what to do: -U VALUE, -D or -Q")
				}
				u.Value = &value
			}
			if *pattern != "" {
				a := attribute{pattern: *pattern, node: u.Node}
				return a.updateMatching(p, u.Value)
			}
			return p.updateAttrd(u)
		}
	},
}

// updateAttrd needs the daemon: a file has no attribute manager.
func (p *program) updateAttrd(u api.AttrUpdate) error {
	if _, err := p.client(); err != nil {
		return err
	}
	return p.setTransient(u)
}

// askAttrd prints an attribute as the daemon has it, written or not.
func askAttrd(p *program, name, node string, all bool) error {
	if _, err := p.client(); err != nil {
		return err
	}
	if all {
		node = ""
	}
	list, err := p.transient(node, name)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return exit.Errorf(exit.NoSuch, "Could not query value of %s: attribute does not exist", name)
	}
	for _, a := range list {
		if p.xml != nil {
			p.xml.add(cib.New("attribute", "name", a.Name, "value", a.Value, "host", a.Node))
			continue
		}
		p.Printf("name=\"%s\" host=\"%s\" value=\"%s\"\n", a.Name, a.Node, a.Value)
	}
	return nil
}
