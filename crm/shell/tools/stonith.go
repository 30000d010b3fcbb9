package tools

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"systole/crm/api"
	"systole/crm/cib"
	"systole/crm/exit"
	"systole/crm/shell/ra"
	"systole/crm/shell/source"
	"systole/crm/shell/tool"
	"systole/crm/status"
	"systole/resources"
)

// StonithAdmin is stonith_admin: fencing by hand, devices and history.
func StonithAdmin(ctx context.Context, stdio *tool.IO, args []string) int {
	return stonithAdmin.tool()(ctx, stdio, optionalArgs(args, "-H", "--history"))
}

// stonithCall is a parsed call of stonith_admin.
type stonithCall struct {
	timeout, tolerance, delay string
	agent                     string
	options                   []string
	cleanup, broadcast, quiet bool
}

var stonithAdmin = command{
	name:  "stonith_admin",
	about: "fencing by hand, fence devices, and what was fenced when",
	notes: "\nExample: state that a node is down, having looked\n  stonith_admin --confirm a\n",
	flags: func(fs *pflag.FlagSet) func(*program, []string) error {
		a := &stonithCall{}
		var chosen, param string
		act := func(name, short, usage string) {
			fs.BoolFuncP(name, short, usage, func(string) error { chosen = name; return nil })
		}
		with := func(name, short, usage string) {
			fs.FuncP(name, short, usage, func(v string) error { chosen, param = name, strings.TrimSpace(v); return nil })
		}
		with("reboot", "B", "fence a `node` and let it start again")
		with("fence", "F", "fence a `node`")
		with("unfence", "U", "let a `node` in again")
		with("confirm", "C", "state that a `node` is down: I have looked")
		with("history", "H", "list what was fenced (of a `node`)")
		with("list", "l", "list the devices that can fence a `node`")
		act("list-registered", "L", "list the devices")
		act("list-installed", "I", "list the fence agents")
		with("list-targets", "s", "list the nodes a `device` can fence")
		act("metadata", "M", "print an agent's metadata, with -a")
		act("validate", "K", "ask an agent whether options are good, with -a and -o")
		with("query", "Q", "look whether a `device` is there")
		fs.StringVarP(&a.agent, "agent", "a", "", "the fence agent")
		fs.StringArrayVarP(&a.options, "option", "o", nil, "an option `NAME=VALUE`")
		fs.StringVarP(&a.timeout, "timeout", "t", "", "how long fencing may take")
		fs.StringVar(&a.tolerance, "tolerance", "", "a fencing this recent will do")
		fs.StringVarP(&a.delay, "delay", "y", "", "wait before fencing")
		fs.BoolVarP(&a.cleanup, "cleanup", "c", false, "with -H, forget")
		fs.BoolVarP(&a.broadcast, "broadcast", "b", false, "with -H, exchange with the other nodes")
		fs.BoolVarP(&a.quiet, "quiet", "q", false, "")
		tag := fs.StringP("tag", "T", "", "who asks, for the history")
		fs.StringArrayP("env-option", "e", nil, "")
		for _, h := range []string{"quiet", "env-option"} {
			fs.Lookup(h).Hidden = true
		}
		fs.Lookup("history").NoOptDefVal = "*"
		return func(p *program, _ []string) error { return a.run(p, chosen, param, *tag) }
	},
}

func (a *stonithCall) run(p *program, command, param, tag string) error {
	switch command {
	case "":
		return exit.Errorf(exit.Usage, "say what to do; stonith_admin --help lists it")
	case "list-installed":
		list, err := ra.New(p.src).List(p.ctx, "stonith", "")
		if err != nil {
			return err
		}
		return a.printList(p, "agent", "fence device", list)
	case "metadata":
		doc, err := ra.New(p.src).Document(p.ctx, resources.AgentID{Class: resources.ClassStonith, Type: a.agent})
		if err != nil {
			return err
		}
		p.Printf("%s\n", strings.TrimRight(string(doc), "\n"))
		return nil
	case "validate":
		return a.validate(p)
	}
	client, err := p.client()
	if err != nil {
		return exit.Errorf(exit.Of(err), "Could not connect to fencer: %w", err)
	}
	switch command {
	case "reboot", "fence", "unfence":
		return a.fence(p, client, map[string]string{"reboot": "reboot", "fence": "off", "unfence": "on"}[command], param, tag)
	case "confirm":
		return source.Coded(client.ConfirmFence(p.ctx, param))
	case "history":
		return a.history(p, client, param)
	case "list-targets":
		return a.targets(p, client, param)
	}
	return a.devices(p, client, command, param)
}

func (a *stonithCall) fence(p *program, client *api.Client, action, target, tag string) error {
	r := api.FenceRequest{Target: target, Action: action, Reason: tag}
	for _, t := range []struct {
		text string
		to   *api.Millis
	}{{a.timeout, &r.Timeout}, {a.tolerance, &r.Tolerance}, {a.delay, &r.Delay}} {
		if t.text == "" {
			continue
		}
		ms, ok := status.Millis(t.text)
		if !ok {
			return exit.Errorf(exit.Usage, "%q is not a time; write 30s or a number of seconds", t.text)
		}
		*t.to = api.FromDuration(time.Duration(ms) * time.Millisecond)
	}
	_, err := client.Fence(p.ctx, r)
	return source.Coded(err)
}

// devices lists registered devices, or those for a target, or one.
func (a *stonithCall) devices(p *program, client *api.Client, command, param string) error {
	target := ""
	if command == "list" {
		target = param
	}
	list, err := client.FenceDevices(p.ctx, target)
	if err != nil {
		return source.Coded(err)
	}
	var names []string
	for _, d := range list {
		if command != "query" || d.Name == param {
			names = append(names, d.Name)
		}
	}
	switch {
	case command == "query" && len(names) == 0:
		return exit.Errorf(exit.NoSuch, "there is no fence device %s", param)
	case len(names) == 0 && command == "list":
		return a.printList(p, "device", "fence device", nil)
	}
	return a.printList(p, "device", "fence device", names)
}

// printList prints names and how many there are.
func (a *stonithCall) printList(p *program, tag, what string, list []string) error {
	for _, n := range list {
		if p.xml != nil {
			p.xml.add(cib.New("item").WithText(n))
		} else {
			p.Println(n)
		}
	}
	if p.xml == nil {
		s := "s"
		if len(list) == 1 {
			s = ""
		}
		if len(list) == 0 {
			p.Printf("No %ss found\n", what)
		} else {
			p.Printf("%d %s%s found\n", len(list), what, s)
		}
	}
	return nil
}

func (a *stonithCall) targets(p *program, client *api.Client, device string) error {
	list, err := client.FenceDevices(p.ctx, "")
	if err != nil {
		return source.Coded(err)
	}
	for _, d := range list {
		if d.Name == device {
			for _, t := range d.Targets {
				p.Println(t)
			}
			return nil
		}
	}
	return exit.Errorf(exit.NoSuch, "there is no fence device %s", device)
}

func (a *stonithCall) history(p *program, client *api.Client, target string) error {
	if target == "*" {
		target = ""
	}
	if a.cleanup {
		return source.Coded(client.ForgetFenceHistory(p.ctx, target))
	}
	events, err := client.FenceHistory(p.ctx, target)
	if err != nil {
		return source.Coded(err)
	}
	for _, e := range events {
		if p.xml != nil {
			p.xml.add(cib.New("fence_event", "action", e.Action, "target", e.Target, "client", e.Client, "origin", e.Origin, "status", e.State, "delegate", e.Delegate, "completed", e.Completed.Format("2006-01-02 15:04:05Z07:00")))
			continue
		}
		p.Println(fenceLine(e))
	}
	if p.xml == nil {
		p.Printf("%d event%s found\n", len(events), map[bool]string{true: "", false: "s"}[len(events) == 1])
	}
	return nil
}

func fenceLine(e api.FenceEvent) string {
	switch e.State {
	case "pending":
		return fmt.Sprintf("%s of %s pending: client=%s, origin=%s", e.Action, e.Target, e.Client, e.Origin)
	case "success":
		return fmt.Sprintf("%s of %s successful: delegate=%s, client=%s, origin=%s, completed='%s'", e.Action, e.Target, e.Delegate, e.Client, e.Origin, e.Completed.Format("2006-01-02 15:04:05Z07:00"))
	}
	return fmt.Sprintf("%s of %s failed: delegate=%s, client=%s, origin=%s, completed='%s'", e.Action, e.Target, e.Delegate, e.Client, e.Origin, e.Completed.Format("2006-01-02 15:04:05Z07:00"))
}

// validate has an agent look at options.
func (a *stonithCall) validate(p *program) error {
	id := resources.AgentID{Class: resources.ClassStonith, Type: a.agent}
	m, err := ra.New(p.src).Metadata(p.ctx, id)
	if err != nil {
		return err
	}
	params := map[string]string{}
	for _, o := range a.options {
		k, v, ok := strings.Cut(o, "=")
		if !ok {
			return exit.Errorf(exit.Usage, "-o wants NAME=VALUE, not %q", o)
		}
		params[k] = v
	}
	_, bad := m.Resolve(params)
	if p.xml != nil {
		p.xml.add(cib.New("validate", "agent", a.agent, "class", "stonith", "valid", fmt.Sprint(bad == nil)))
	} else if bad == nil {
		p.Printf("Validation of %s succeeded\n", a.agent)
	} else {
		p.Printf("Validation of %s failed\n", a.agent)
	}
	if bad != nil {
		return exit.With(exit.Error, bad)
	}
	return nil
}
