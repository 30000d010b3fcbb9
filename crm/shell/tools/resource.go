package tools

import (
	"context"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
	"systole/crm/exit"
	"systole/crm/shell/tool"
	"systole/crm/status"
)

// resourceCall is a parsed call of crm_resource.
type resourceCall struct {
	resource, node            string
	meta, utilization         bool
	set, nvpair, value        string
	recursive                 bool
	operation, interval       string
	lifetime                  string
	promoted, expired         bool
	typ                       string
	timeout                   string
	quiet, force              bool
	class, provider, agent    string
	options                   []string
	checkLevel, validateLevel string
}

// CrmResource is crm_resource: everything about resources.
func CrmResource(ctx context.Context, stdio *tool.IO, args []string) int {
	return crmResource.tool()(ctx, stdio, optionalArgs(args, "--force-check", "--validate"))
}

// failureOf tells whether the part of a failcount's name after # is of the operation.
func failureOf(part, op, interval string) bool {
	name, ms := part, "0"
	if i := strings.LastIndexByte(part, '_'); i >= 0 {
		name, ms = part[:i], part[i+1:]
	}
	want, _ := status.Millis(interval)
	return name == op && ms == strconv.FormatInt(want, 10)
}

var crmResource = command{
	name:  "crm_resource",
	about: "everything about resources",
	notes: "\nExample: keep a resource off a node for five minutes\n  crm_resource --resource web --ban --node a --lifetime PT5M\n",
	flags: func(fs *pflag.FlagSet) func(*program, []string) error {
		a := &resourceCall{}
		var chosen []string
		act := func(name, short, usage string) {
			fs.BoolFuncP(name, short, usage, func(string) error { chosen = append(chosen, name); return nil })
		}
		var param string
		with := func(name, short, usage string) {
			fs.FuncP(name, short, usage, func(v string) error { chosen, param = append(chosen, name), v; return nil })
		}
		act("list", "L", "list all resources with their state")
		act("list-raw", "l", "list the ids of all primitives, instance by instance")
		act("list-operations", "O", "list operations of active resources")
		act("list-all-operations", "o", "list all operations")
		act("list-cts", "c", "")
		act("list-standards", "", "list the classes of agents")
		act("list-ocf-providers", "", "list the providers of OCF agents")
		with("list-agents", "", "list the agents of a `class[:provider]`")
		with("list-ocf-alternatives", "", "list the providers that have an OCF `agent`")
		with("show-metadata", "", "print the metadata of `class[:provider]:agent`")
		act("query-xml", "q", "print the resource's XML, with its template put in")
		act("query-xml-raw", "w", "print the resource's XML as it is")
		with("get-parameter", "g", "print a parameter")
		with("get-property", "G", "")
		with("set-property", "S", "")
		act("locate", "W", "print where the resource is active")
		act("constraints", "a", "print the constraints on the resource")
		act("stack", "A", "the same, and of what it is placed with")
		act("why", "Y", "say why resources do not run")
		fs.FuncP("validate", "", "ask the agent whether the configuration is good", func(v string) error {
			chosen, a.validateLevel = append(chosen, "validate"), strings.TrimSpace(v)
			return nil
		})
		act("cleanup", "C", "forget failures")
		act("refresh", "R", "forget all history and look again")
		with("set-parameter", "p", "set a parameter, with -v")
		with("delete-parameter", "d", "delete a parameter")
		act("move", "M", "make the resource go to a node")
		act("ban", "B", "keep the resource off a node")
		act("clear", "U", "take away what move and ban made")
		act("delete", "D", "delete the resource, with -t")
		act("fail", "F", "tell the cluster that the resource has failed")
		act("restart", "", "stop and start the resource")
		act("wait", "", "wait until the cluster has nothing to do")
		act("digests", "", "print the fingerprints of the parameters")
		for _, action := range []string{"demote", "stop", "start", "promote"} {
			act("force-"+action, "", action+" the resource on this node, past the cluster")
		}
		fs.FuncP("force-check", "", "check the resource on this node, past the cluster", func(v string) error {
			chosen, a.checkLevel = append(chosen, "force-check"), strings.TrimSpace(v)
			return nil
		})
		fs.Lookup("force-check").NoOptDefVal, fs.Lookup("validate").NoOptDefVal = " ", " "
		fs.StringVarP(&a.resource, "resource", "r", "", "the resource")
		fs.StringVarP(&a.node, "node", "N", "", "the node")
		fs.BoolVarP(&a.meta, "meta", "m", false, "a meta attribute")
		fs.BoolVarP(&a.utilization, "utilization", "z", false, "a utilization attribute")
		fs.StringVarP(&a.value, "parameter-value", "v", "", "the value")
		fs.StringVarP(&a.set, "set-name", "s", "", "id of the set")
		fs.StringVarP(&a.nvpair, "nvpair", "i", "", "id of the nvpair")
		fs.BoolVar(&a.recursive, "recursive", false, "also for what is placed with it")
		fs.StringVarP(&a.operation, "operation", "n", "", "only this operation's failures")
		fs.StringVarP(&a.interval, "interval", "I", "", "only those with this interval")
		fs.StringVarP(&a.lifetime, "lifetime", "u", "", "how long the constraint lasts (ISO 8601 duration)")
		fs.BoolVar(&a.promoted, "promoted", false, "only for the promoted role")
		fs.BoolVar(&a.promoted, "master", false, "")
		fs.BoolVarP(&a.expired, "expired", "e", false, "only constraints that have ended")
		fs.StringVarP(&a.typ, "resource-type", "t", "", "tag of the resource to delete")
		fs.StringVarP(&a.timeout, "timeout", "T", "", "how long to wait at most")
		fs.StringVar(&a.class, "class", "", "class of the agent to validate")
		fs.StringVar(&a.provider, "provider", "", "provider of the agent to validate")
		fs.StringVar(&a.agent, "agent", "", "type of the agent to validate")
		fs.StringArrayVar(&a.options, "option", nil, "a parameter `NAME=VALUE` to validate")
		fs.BoolVarP(&a.quiet, "quiet", "Q", false, "say less")
		fs.BoolVarP(&a.force, "force", "f", false, "do it where it would be refused")
		host := fs.StringP("host-uname", "H", "", "")
		fs.StringP("xml-file", "x", "", "")
		for _, h := range []string{"list-cts", "get-property", "set-property", "master", "host-uname", "xml-file"} {
			fs.Lookup(h).Hidden = true
		}
		fs.SetNormalizeFunc(renamed(map[string]string{
			"migrate": "move", "un-move": "clear", "un-migrate": "clear", "unmove": "clear", "reprobe": "refresh", "host": "node", "force-monitor": "force-check", "resource-id": "resource",
		}))
		return func(p *program, args []string) error {
			if a.node == "" {
				a.node = *host
			}
			if len(chosen) == 0 {
				chosen = []string{"list"}
			}
			return a.run(p, chosen[len(chosen)-1], param, args)
		}
	},
}

// needsResource are the commands that are nothing without one.
var needsResource = map[string]bool{
	"query-xml": true, "query-xml-raw": true, "get-parameter": true, "locate": true, "constraints": true, "stack": true,
	"set-parameter": true, "delete-parameter": true, "move": true, "ban": true, "clear": true, "delete": true, "fail": true,
	"restart": true, "digests": true, "force-demote": true, "force-stop": true, "force-start": true, "force-promote": true, "force-check": true,
}

func (a *resourceCall) run(p *program, command, param string, args []string) error {
	if needsResource[command] && a.resource == "" {
		return exit.Errorf(exit.Usage, "Must supply a resource id with -r")
	}
	switch command {
	case "list":
		return a.list(p)
	case "list-raw", "list-cts":
		return a.listRaw(p)
	case "list-operations", "list-all-operations":
		return a.operations(p, command == "list-all-operations")
	case "list-standards", "list-ocf-providers", "list-agents", "list-ocf-alternatives", "show-metadata":
		return a.agents(p, command, param)
	case "query-xml", "query-xml-raw":
		return a.queryXML(p, command == "query-xml")
	case "get-parameter", "get-property":
		return a.getParameter(p, param)
	case "set-parameter", "set-property":
		return a.setParameter(p, param)
	case "delete-parameter":
		return a.deleteParameter(p, param)
	case "locate":
		return a.locate(p)
	case "constraints", "stack":
		return a.constraints(p, command == "stack" || a.recursive)
	case "why":
		return a.why(p)
	case "cleanup":
		return a.cleanup(p, false)
	case "refresh":
		return a.cleanup(p, true)
	case "move", "ban":
		return a.relocate(p, command)
	case "clear":
		return a.clear(p)
	case "delete":
		return a.remove(p)
	case "fail":
		return a.fail(p)
	case "restart":
		return a.restart(p)
	case "wait":
		return a.wait(p)
	case "digests":
		return a.digests(p, args)
	case "validate":
		return a.validate(p)
	}
	return a.forceAction(p, strings.TrimPrefix(command, "force-"))
}
