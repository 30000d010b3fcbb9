package shell

import (
	"context"

	"github.com/spf13/pflag"
)

// tree is the whole command tree.
func tree() *command {
	root := &command{
		name: "crm",
		long: "crm shows and changes a cluster: its resources, nodes and configuration.",
		sub: []*command{
			{name: "status", aliases: []string{"st"}, args: "[full|bynode|inactive|ops|timing|failcounts|tickets|detail|brief|simple|xml…]", short: "Show the state of the cluster", max: -1, raw: true, run: showStatus,
				complete: words("full", "bynode", "inactive", "ops", "timing", "failcounts", "tickets", "detail", "brief", "simple", "xml", "noheaders")},
			{name: "verify", short: "Check the cluster's configuration", max: 1, run: verifyCluster},
			{name: "explain", args: "RESOURCE [NODE] [--file FILE|--input FILE|--transition N]", short: "Say why a resource is where it is, why not elsewhere, and what would change that", min: 1, max: 2, flags: explainFlags, run: explainResource, complete: inTurn(theResources, theNodes),
				long:    "Suggested commands are checked: the scheduler was run on what they would make of the cluster. Nothing is changed.",
				example: "crm explain vip\ncrm explain vip b\ncrm explain vip --input /tmp/input.xml.gz"},
			{name: "analyze", short: "Find out what failures would do", sub: []*command{
				{name: "failures", args: "[--depth 2] [--except RESOURCE,…] [--file FILE]", short: "Say what stops, moves and is left unprotected by every loss of a node and every failure of a resource", flags: analyzeFlags, run: analyzeFailures,
					long: "Every loss of one node (of two with --depth 2) and every failure of a resource for good on its node is planned for, on paper. Unprotected is what the loss of one more node would stop. " +
						"Quorum is more than half of the configured nodes. The exit status is 0 when nothing stops in any scenario, 113 when something does, so that a review can depend on it.",
					example: "crm analyze failures --file cib.xml --except backup"},
			}},
			{name: "simulate", args: "[option…]", short: "Show what the cluster would do now (options of crm_simulate)", max: -1, raw: true, run: simulateLive, example: "crm simulate -S -d a"},
			{name: "history", short: "List the configuration's changes, newest first", run: configureHistory},
			{name: "configure", short: "Change the configuration", sub: configureCommands()},
			{name: "resource", aliases: []string{"rsc"}, short: "Manage resources", sub: resourceCommands()},
			{name: "node", short: "Manage nodes", sub: nodeCommands()},
			{name: "ra", short: "Look at resource agents", sub: raCommands()},
			{name: "cluster", short: "Form and keep a cluster", sub: clusterCommands()},
			{name: "cib", short: "Work on copies of the CIB", sub: cibCommands()},
			{name: "import", short: "Bring the configuration of keepalived, ldirectord, ipvsadm or Heartbeat", sub: importCommands()},
			{name: "template", short: "Make a site of your own from an example: ask, verify, write", sub: templateCommands()},
			{name: "site", short: "Manage tickets of sites", sub: []*command{
				{name: "ticket", args: "{grant|revoke|standby|activate|show|time|delete} TICKET", short: "Manage a ticket", min: 2, max: 2, run: siteTicket, example: "crm -F site ticket grant ticketA"},
			}},
			{name: "lvs", short: "Look after load balancing", sub: lvsCommands()},
			{name: "maintenance", short: "Keep the cluster's hands off everything", sub: []*command{
				{name: "on", short: "Put the whole cluster into maintenance", changes: true, run: maintenanceMode("true")},
				{name: "off", short: "Let the cluster manage resources again", changes: true, run: maintenanceMode("false")},
			}},
			{name: "options", short: "Preferences of this session", sub: optionCommands()},
			{name: "completion", args: "bash|zsh|fish", short: "Print the script that makes a shell complete crm", min: 1, max: 1, run: completion, complete: words("bash", "zsh", "fish"),
				example: "crm completion bash > /usr/share/bash-completion/completions/crm"},
			{name: "generate", args: "manual|bash|zsh|fish", short: "Print the manual page or a completion script, made from the commands", min: 1, max: 1, run: generate, complete: words("manual", "bash", "zsh", "fish")},
			{name: "complete", args: "[word…]", short: "List what may follow (for completion scripts)", max: -1, raw: true, run: complete},
		},
	}
	return root.link()
}

func configureCommands() []*command {
	list := []*command{
		objectCommand("node", "[ID:] NAME[:TYPE] [attributes…] [utilization…]", "Define a node and its attributes", "configure node a attributes site=north"),
		objectCommand("primitive", "ID AGENT|@TEMPLATE [params…] [meta…] [utilization…] [operations…] [op NAME…]", "Define a resource",
			"configure primitive vip ocf:systole:IPaddr2 params ip=192.0.2.10 op monitor interval=10s"),
		objectCommand("monitor", "RESOURCE[:ROLE] INTERVAL[:TIMEOUT]", "Add a monitor operation to a primitive", "configure monitor vip 10s:20s"),
		objectCommand("group", "ID RESOURCE… [meta…] [params…]", "Define a group: resources that start one after the other on one node", "configure group web vip www"),
		objectCommand("clone", "ID RESOURCE [meta…] [params…]", "Define a clone: a resource that runs on several nodes", "configure clone cl-ping ping"),
		objectCommand("ms", "ID RESOURCE [meta…] [params…]", "Define a promotable clone, in the old form", "configure ms cl-db db meta notify=true", "master"),
		objectCommand("bundle", "ID docker|podman image=… [network…] [storage…] [primitive ID] [meta…]", "Define a resource in containers", "configure bundle httpd docker image=httpd:2.4 replicas=2"),
		objectCommand("rsc_template", "ID AGENT [params…] [meta…] [op…]", "Define a template for primitives", "configure rsc_template vm VirtualDomain op start timeout=90s"),
		objectCommand("location", "ID RESOURCE [role=] [resource-discovery=] SCORE: NODE | rule…", "Prefer or forbid nodes for a resource", "configure location web-here web 100: a"),
		objectCommand("colocation", "ID SCORE: RESOURCE[:ROLE] WITH[:ROLE] | sets", "Place resources together, or apart", "configure colocation web-with-db inf: web cl-db:Promoted", "collocation"),
		objectCommand("order", "ID [KIND:] FIRST[:ACTION] THEN[:ACTION] | sets [symmetrical=]", "Order actions of resources", "configure order db-first Mandatory: cl-db:promote web:start"),
		objectCommand("rsc_ticket", "ID TICKET: RESOURCE[:ROLE]… [loss-policy=]", "Make resources depend on a ticket", "configure rsc_ticket t1 ticketA: web loss-policy=stop"),
		objectCommand("property", "[SET:] [rule…] NAME=VALUE…", "Set properties of the cluster", "configure property stonith-enabled=true"),
		objectCommand("rsc_defaults", "[SET:] [rule…] NAME=VALUE…", "Set defaults of meta attributes", "configure rsc_defaults resource-stickiness=100"),
		objectCommand("op_defaults", "[SET:] [rule…] NAME=VALUE…", "Set defaults of operations", "configure op_defaults timeout=30s"),
		objectCommand("fencing_topology", "[NODE:|attr:NAME=VALUE|pattern:REGEX] DEVICES…", "Say which fence devices to try, in which order", "configure fencing_topology a: ipmi-a pdu1,pdu2"),
		objectCommand("tag", "ID RESOURCE…", "Name several objects at once", "configure tag web-things vip www"),
		objectCommand("role", "ID {read|write|deny SPEC}…", "Define a role of the access control", "configure role viewer read cib"),
		objectCommand("acl_target", "USER ROLE…", "Give a user roles", "configure acl_target alice viewer"),
		objectCommand("acl_group", "GROUP ROLE…", "Give a group of users roles", "configure acl_group ops viewer"),
		objectCommand("user", "NAME RULES", "Access control of old schemas (not kept any more)", ""),
		objectCommand("alert", "ID PATH [attributes…] [meta…] [select…] to RECIPIENT…", "Define a program that is told of events", "configure alert mail /usr/share/alerts/mail.sh to root@example.org"),
		{name: "xml", args: "XML", short: "Define an object in XML", max: -1, raw: true, changes: true, run: define,
			example: `configure xml '<rsc_order id="o" first="a" then="b" require-all="false"/>'`},

		{name: "show", args: "[xml] [@VERSION] [ID|type:T|tag:T|related:X|changed|obscure:GLOB…]", short: "Print the configuration, or parts of it", max: -1, raw: true, run: configureShow, complete: theObjects,
			example: "configure show type:primitive\nconfigure show related:vip"},
		{name: "edit", args: "[ID|type:T|…]", short: "Change objects in an editor", max: -1, raw: true, changes: true, run: configureEdit, complete: theObjects},
		{name: "filter", args: "PROGRAM [ID|type:T|…]", short: "Send objects through a program", min: 1, max: -1, raw: true, changes: true, run: configureFilter, example: `configure filter "sed s/10s/20s/"`},
		{name: "load", args: "[xml] {update|replace|push} FILE", short: "Read configuration from a file", min: 1, max: 3, changes: true, run: configureLoad, complete: inTurn(words("update", "replace", "push", "xml")),
			long:    "update adds and changes, replace takes the file as the whole configuration (nodes stay), push does so too but keeps what stays equal as it is. FILE is text or XML, - for standard input.",
			example: "configure load update site.crm"},
		{name: "save", args: "[xml] [ID|type:T|…] FILE", short: "Write the configuration to a file", min: 1, max: -1, raw: true, run: configureSave, example: "configure save site.crm"},
		{name: "delete", aliases: []string{"remove"}, args: "[--force] ID…", short: "Delete objects, and the constraints on them", min: 1, max: -1, changes: true, flags: forceFlag, run: configureDelete, complete: theObjects},
		{name: "rename", args: "OLD NEW", short: "Give an object another id", min: 2, max: 2, changes: true, run: configureRename, complete: inTurn(theObjects, words())},
		{name: "set", args: "ID.[OP.][INTERVAL.]NAME VALUE", short: "Change one value", min: 2, max: 2, raw: true, changes: true, run: configureSet, example: "configure set vip.ip 192.0.2.11"},
		{name: "modgroup", args: "GROUP {add ID [after|before ID]|remove ID}", short: "Change the members of a group", min: 3, max: 5, changes: true, run: configureModgroup, complete: inTurn(theResources, words("add", "remove"), theResources, words("after", "before"), theResources)},
		{name: "verify", short: "Check the configuration as edited", run: configureVerify},
		{name: "commit", args: "[force]", short: "Make what was edited the cluster's configuration", max: 2, changes: true, run: configureCommit, complete: words("force")},
		{name: "diff", args: "[VERSION [VERSION]]", short: "Show what was edited, or what differs between versions", max: 2, run: configureDiff},
		{name: "history", short: "List the configuration's changes, newest first", run: configureHistory},
		{name: "rollback", args: "VERSION", short: "Go back to an older configuration", min: 1, max: 1, changes: true, run: configureRollback},
		{name: "refresh", short: "Drop what was edited and read the configuration again", run: configureRefresh},
		{name: "erase", args: "[nodes]", short: "Delete everything (but the nodes)", max: 1, changes: true, run: configureErase, complete: words("nodes")},
		{name: "upgrade", args: "[force]", short: "Bring the CIB to the newest schema", max: 1, changes: true, run: configureUpgrade},
		{name: "schema", args: "[NAME]", short: "Print or set the schema", max: 1, run: configureSchema},
		{name: "get-property", aliases: []string{"get_property"}, args: "[-t] [NAME]", short: "Print a property, or its default", max: 1, run: configureGetProperty,
			flags: func(fs *pflag.FlagSet) { fs.BoolP("true", "t", false, "print true or false") }, complete: words()},
		{name: "default-timeouts", args: "RESOURCE…", short: "Set the time-outs the agents advise", min: 1, max: -1, changes: true, run: configureTimeouts, complete: theResources},
		{name: "simulate", aliases: []string{"ptest"}, args: "[nograph] [scores] [utilization] [actions]", short: "Show what a commit would make the cluster do", max: -1, run: configureSimulate, complete: words("scores", "utilization", "actions", "nograph")},
		{name: "cib", short: "Work on copies of the CIB", sub: cibCommands()},
		{name: "ra", short: "Look at resource agents", sub: raCommands()},
	}
	return list
}

func resourceCommands() []*command {
	attribute := "RESOURCE {set NAME VALUE|delete NAME|show NAME}"
	setShow := inTurn(theResources, words("set", "delete", "show"), words())
	return []*command{
		{name: "status", aliases: []string{"list", "show"}, args: "[RESOURCE…]", short: "Show resources", max: -1, run: resourceStatus, complete: theResources},
		{name: "locate", args: "[RESOURCE…]", short: "Say where resources run", max: -1, run: resourceLocate, complete: theResources},
		{name: "start", args: "RESOURCE…", short: "Let resources run", min: 1, max: -1, changes: true, run: setMeta("resource start", "target-role", "Started"), complete: theResources},
		{name: "stop", args: "RESOURCE…", short: "Stop resources", min: 1, max: -1, changes: true, run: setMeta("resource stop", "target-role", "Stopped"), complete: theResources, example: "crm -w resource stop web"},
		{name: "restart", args: "RESOURCE…", short: "Stop resources and start them again", min: 1, max: -1, run: resourceRestart, complete: theResources},
		{name: "promote", args: "RESOURCE", short: "Let a promotable clone be promoted", min: 1, max: 1, changes: true, run: setRole("resource promote", "Promoted"), complete: theResources},
		{name: "demote", args: "RESOURCE", short: "Keep a promotable clone demoted", min: 1, max: 1, changes: true, run: setRole("resource demote", "Unpromoted"), complete: theResources},
		{name: "move", aliases: []string{"migrate"}, args: "RESOURCE [NODE] [LIFETIME] [force]", short: "Move a resource to a node, or away from where it is", min: 1, max: 4, changes: true, run: resourceMove, complete: inTurn(theResources, theNodes, words("force")),
			long: "Makes a constraint that stays until crm resource clear, or for a lifetime such as PT5M.", example: "crm resource move web b PT10M"},
		{name: "ban", args: "RESOURCE [NODE] [LIFETIME]", short: "Keep a resource off a node", min: 1, max: 4, changes: true, run: resourceBan, complete: inTurn(theResources, theNodes)},
		{name: "clear", aliases: []string{"unmove", "unmigrate", "unban"}, args: "RESOURCE [NODE]", short: "Take away what move and ban made", min: 1, max: 2, changes: true, run: resourceClear, complete: inTurn(theResources, theNodes)},
		{name: "cleanup", args: "[RESOURCE] [NODE] [force]", short: "Forget failures", max: 3, run: resourceTool("--cleanup"), complete: inTurn(theResources, theNodes)},
		{name: "refresh", aliases: []string{"reprobe"}, args: "[RESOURCE] [NODE] [force]", short: "Forget all history and look again", max: 3, run: resourceTool("--refresh"), complete: inTurn(theResources, theNodes)},
		{name: "manage", args: "RESOURCE…", short: "Let the cluster manage resources", min: 1, max: -1, changes: true, run: setMeta("resource manage", "is-managed", "true", "maintenance"), complete: theResources},
		{name: "unmanage", args: "RESOURCE…", short: "Keep the cluster's hands off resources", min: 1, max: -1, changes: true, run: setMeta("resource unmanage", "is-managed", "false", "maintenance"), complete: theResources},
		{name: "maintenance", args: "RESOURCE [on|off]", short: "Put a resource into maintenance: not even monitored", min: 1, max: 2, changes: true, run: resourceMaintenance, complete: inTurn(theResources, words("on", "off"))},
		{name: "meta", args: attribute, short: "Manage meta attributes", min: 3, max: 4, raw: true, run: resourceAttribute("--meta"), complete: setShow},
		{name: "param", args: attribute, short: "Manage parameters", min: 3, max: 4, raw: true, run: resourceAttribute(), complete: setShow},
		{name: "utilization", args: attribute, short: "Manage utilization attributes", min: 3, max: 4, raw: true, run: resourceAttribute("--utilization"), complete: setShow},
		{name: "secret", args: "{set|get|check|stash|unstash|delete} RESOURCE NAME [VALUE] | sync", short: "Manage parameters kept out of the CIB", min: 1, max: 4, raw: true, run: resourceSecret,
			complete: inTurn(words("set", "get", "check", "stash", "unstash", "delete", "sync"), theResources, words()),
			long:     "Without VALUE, set asks for it, or reads standard input: then it stands in no command line. The CIB gets lrm:// in its place.", example: "crm resource secret set db test_passwd"},
		{name: "failcount", args: "RESOURCE {show NODE|delete NODE|set NODE VALUE [OPERATION [INTERVAL]]}", short: "Manage fail counts", min: 3, max: 6, run: resourceFailcount, complete: inTurn(theResources, words("show", "delete", "set"), theNodes, words())},
		{name: "constraints", args: "RESOURCE", short: "Show the constraints on a resource", min: 1, max: 1, run: resourceTool("--constraints"), complete: theResources},
		{name: "operations", args: "[RESOURCE] [NODE]", short: "Show operations", max: 2, run: resourceTool("--list-operations"), complete: inTurn(theResources, theNodes)},
		{name: "scores", short: "Show the scores of all resources", run: resourceScores},
		{name: "trace", args: "RESOURCE [OP [INTERVAL] [DIR]]", short: "Have an agent's operations write traces", min: 1, max: 4, changes: true, run: resourceTrace(true), complete: inTurn(theResources, words("start", "stop", "monitor", "probe"))},
		{name: "untrace", args: "RESOURCE [OP [INTERVAL]]", short: "End tracing", min: 1, max: 3, changes: true, run: resourceTrace(false), complete: inTurn(theResources, words("start", "stop", "monitor", "probe"))},
	}
}

func nodeCommands() []*command {
	attribute := "NODE {set NAME VALUE|delete NAME|show NAME}"
	setShow := inTurn(theNodes, words("set", "delete", "show"), words())
	all := func(fs *pflag.FlagSet) { fs.Bool("all", false, "all nodes") }
	return []*command{
		{name: "show", aliases: []string{"list"}, args: "[NODE…]", short: "Show nodes and their attributes", max: -1, run: nodeShow, complete: theNodes},
		{name: "status", args: "[NODE…]", short: "Show nodes and their attributes", max: -1, run: nodeShow, complete: theNodes},
		{name: "standby", args: "[NODE…] [reboot|forever]", short: "Move everything off nodes", max: -1, changes: true, flags: all, run: nodeSwitch("node standby", "standby", "on"), complete: theNodes},
		{name: "online", args: "[NODE…]", short: "Let nodes run resources again", max: -1, changes: true, flags: all, run: nodeSwitch("node online", "standby", "off"), complete: theNodes},
		{name: "maintenance", args: "[NODE…]", short: "Keep the cluster's hands off what runs on nodes", max: -1, changes: true, flags: all, run: nodeSwitch("node maintenance", "maintenance", "true"), complete: theNodes},
		{name: "ready", args: "[NODE…]", short: "End maintenance of nodes", max: -1, changes: true, flags: all, run: nodeSwitch("node ready", "maintenance", "off"), complete: theNodes},
		{name: "attribute", args: attribute, short: "Manage permanent attributes", min: 3, max: 4, raw: true, run: nodeAttribute("-t", "nodes"), complete: setShow},
		{name: "status-attr", args: attribute, short: "Manage attributes that end with the node's uptime", min: 3, max: 4, raw: true, run: nodeAttribute("-t", "status"), complete: setShow},
		{name: "utilization", args: attribute, short: "Manage a node's capacity", min: 3, max: 4, raw: true, run: nodeAttribute("-t", "nodes", "-z"), complete: setShow},
		{name: "server", args: "[NODE…]", short: "Print the addresses of nodes", max: -1, run: nodeServer, complete: theNodes},
		{name: "fence", args: "NODE", short: "Have the cluster fence a node", min: 1, max: 1, run: nodeFence, complete: theNodes},
		{name: "clearstate", args: "NODE", short: "State that a node is down, having looked", min: 1, max: 1, run: nodeClearstate, complete: theNodes},
		{name: "delete", args: "NODE…", short: "Take stopped nodes out of the cluster", min: 1, max: -1, changes: true, run: nodeDelete, complete: theNodes},
	}
}

func raCommands() []*command {
	return []*command{
		{name: "classes", short: "List the classes of agents and OCF providers", run: raClasses},
		{name: "list", args: "CLASS [PROVIDER]", short: "List agents", min: 1, max: 2, run: raList, complete: inTurn(words("ocf", "stonith", "systemd", "lsb", "service"), func(ctx context.Context, sh *Shell, _ []string) []string { return sh.agents.Providers(ctx, "") })},
		{name: "providers", args: "TYPE", short: "List the providers that have an agent", min: 1, max: 2, run: raProviders},
		{name: "info", aliases: []string{"meta"}, args: "AGENT|pengine|crmd|cib|stonithd", short: "Explain an agent's parameters and operations", min: 1, max: 3, run: raInfo, complete: theAgents, example: "ra info ocf:systole:IPaddr2"},
		{name: "validate", args: "AGENT [NAME=VALUE…]", short: "Check parameters against an agent", min: 1, max: -1, raw: true, run: raValidate, complete: theAgents},
	}
}

func clusterCommands() []*command {
	restoreFlags := func(fs *pflag.FlagSet) {
		fs.String("bind", "", "address others reach this node at, `IP[:PORT]`")
		fs.String("node", "", "name of this node")
	}
	return []*command{
		{name: "init", args: "[--name NAME] [--bind ADDR]", short: "Begin a cluster on this machine", flags: initFlags, run: clusterInit, example: "crm cluster init --name prod"},
		{name: "token", short: "Make a token with which one machine can join", flags: tokenFlags, run: clusterToken},
		{name: "join", args: "HOST [--token-file FILE]", short: "Join the cluster HOST is in", min: 1, max: 1, flags: joinFlags, run: clusterJoin,
			long: "The token is asked for, or read from standard input or a file; it never stands in a command line.", example: "crm cluster join a"},
		{name: "leave", short: "Take this node out of the cluster", run: clusterLeave},
		{name: "remove", args: "NODE", short: "Take another node out of the cluster", min: 1, max: 1, flags: removeFlags, run: clusterRemove, complete: theNodes},
		{name: "status", short: "Say who is in the cluster and how it is", flags: outputFlag, run: clusterStatus},
		{name: "timing", short: "Show derived and measured times", flags: outputFlag, run: clusterTiming},
		{name: "rotate-keys", short: "Replace the cluster key on all nodes", flags: rotateFlags, run: clusterRotate},
		{name: "backup", args: "FILE", short: "Write an archive for restore", min: 1, max: 1, run: clusterBackup},
		{name: "restore", args: "FILE", short: "Begin a cluster from a backup", min: 1, max: 1, flags: restoreFlags, run: clusterRestore},
		{name: "recover", args: "--lost NODE…", short: "Go on alone after a majority is gone for ever", flags: recoverFlags, run: clusterRecover,
			example: "crm cluster recover --lost b --lost c"},
	}
}

func cibCommands() []*command {
	return []*command{
		{name: "new", args: "NAME [force] [empty]", short: "Copy the CIB and work on the copy", min: 1, max: 4, run: cibNew},
		{name: "use", args: "[NAME|live]", short: "Work on a copy, or on the cluster again", max: 1, run: cibUse},
		{name: "commit", args: "[NAME]", short: "Make a copy's configuration the cluster's", max: 2, changes: true, run: cibCommit},
		{name: "reset", args: "[NAME]", short: "Make a copy like the cluster again", max: 1, run: cibReset},
		{name: "delete", args: "[NAME]", short: "Delete a copy", max: 1, run: cibDelete},
		{name: "diff", args: "[NAME]", short: "Show what a copy has changed", max: 1, run: cibDiff},
		{name: "list", short: "List copies", run: cibList},
		{name: "import", args: "FILE [NAME]", short: "Make a copy of a file, such as a saved scheduler input", min: 1, max: 2, run: cibImport},
		{name: "cibstatus", short: "Print the status section", max: -1, run: cibStatus},
	}
}

func optionCommands() []*command {
	list := []*command{
		{name: "show", short: "Show the preferences", max: 1, run: showOptions},
		{name: "set", args: "NAME VALUE", short: "Set a preference", min: 1, max: 2, run: setOption},
	}
	for _, name := range []string{"sort-elements", "wait", "force"} {
		list = append(list, &command{name: name, args: "yes|no", short: "Set " + name, max: 1, run: func(ctx context.Context, c *call) error {
			c.args = append([]string{name}, c.args...)
			return setOption(ctx, c)
		}})
	}
	return list
}
