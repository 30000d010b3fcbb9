package options

import "systole/resources"

func text(name, def, short string) resources.Parameter {
	return resources.Parameter{Name: name, Type: resources.ParamString, Default: def, Short: short}
}

func truth(name, def, short string) resources.Parameter {
	return resources.Parameter{Name: name, Type: resources.ParamBoolean, Default: def, Short: short}
}

func number(name, def, short string) resources.Parameter {
	return resources.Parameter{Name: name, Type: resources.ParamInteger, Default: def, Short: short}
}

func span(name, def, short string) resources.Parameter {
	return resources.Parameter{Name: name, Type: resources.ParamTime, Default: def, Short: short}
}

func choice(name, def, short string, values ...string) resources.Parameter {
	return resources.Parameter{Name: name, Type: resources.ParamSelect, Default: def, Short: short, Values: values}
}

func long(p resources.Parameter, text string) resources.Parameter {
	p.Long = text
	return p
}

// kept is an option that configurations have and this program needs not; instead says why.
func kept(p resources.Parameter, instead string) resources.Parameter {
	return long(p, "Kept for old configurations, without effect: "+instead)
}

var noQuorum = long(choice("no-quorum-policy", "stop", "What a part of the cluster without quorum does with its resources", "stop", "freeze", "ignore", "demote", "suicide"),
	"stop ends them, freeze keeps what runs but recovers nothing, ignore goes on as if there were quorum, demote demotes promotable resources and stops the others, suicide fences the whole part. "+
		"A node also obeys the policy it last acknowledged when its own lease ends.")

var shutdownLock = truth("shutdown-lock", "false", "Whether the resources of a node that was shut down cleanly wait for it to come back")

const inputsElsewhere = "each DC keeps as many as its daemon's configuration file says (inputs)."

// tables are the options by daemon. A property may stand in two: each program documents what it reads.
var tables = map[Daemon][]resources.Parameter{
	Controller: {
		text("dc-version", "none", "The version of the program on the DC; written by the cluster"),
		text("cluster-infrastructure", "systole", "What carries the cluster's messages; written by the cluster"),
		text("cluster-name", "", "A name for the cluster, for people and for rules about #cluster-name"),
		span("dc-deadtime", "20s", "How long a starting node waits for the others"),
		span("cluster-recheck-interval", "15min", "How often at least the cluster looks at its state again; rules about dates and failure-timeout are noticed in time without it"),
		kept(text("load-threshold", "80%", "How much of a node's processors the cluster may keep busy with actions"), "batch-limit and migration-limit bound what runs at once."),
		kept(number("node-action-limit", "0", "How many actions run on one node at once"), "batch-limit and migration-limit bound what runs at once."),
		kept(choice("fence-reaction", "stop", "What a node does when it hears that it has been fenced", "stop", "panic"), "a node that was fenced has lost its lease, and does what the policy it last acknowledged says of that."),
		kept(span("election-timeout", "2min", "How long the choice of a DC may take"), "the leader of the replicated log is the DC, and its timing follows from detect-within."),
		span("shutdown-escalation", "20min", "How long a node may take to stop its resources before it leaves anyway"),
		kept(span("join-integration-timeout", "3min", "How long a node may take to join"), "a node is in from its first heartbeat on."),
		kept(span("join-finalization-timeout", "30min", "How long the last step of joining may take"), "a node is in from its first heartbeat on."),
		kept(span("transition-delay", "0s", "How long to wait after an event for others, before acting on them together"), "a new event ends the transition under way early."),
		long(span("stonith-watchdog-timeout", "0", "After how long a lost node with a watchdog may be taken for stopped"), "0 means that the watchdog is not relied on. Otherwise at least twice the time-out of the slowest watchdog device."),
		number("stonith-max-attempts", "10", "How many times fencing of a node may fail before it is no longer tried again at once"),
		noQuorum,
		shutdownLock,
	},
	Scheduler: {
		noQuorum,
		truth("symmetric-cluster", "true", "Whether resources may run on any node unless a constraint forbids it; false means only where a constraint allows it"),
		truth("maintenance-mode", "false", "Whether the cluster keeps its hands off all resources"),
		long(truth("start-failure-is-fatal", "true", "Whether one failed start keeps a resource off that node"), "With false, the node is given up only when migration-threshold is reached."),
		truth("enable-startup-probes", "true", "Whether the cluster looks on a new node for resources that run already"),
		shutdownLock,
		span("shutdown-lock-limit", "0", "How long at most shutdown-lock keeps resources waiting; 0 is for ever"),
		long(truth("stonith-enabled", "true", "Whether nodes that cannot be trusted are fenced"), "Without fencing, the resources of a lost node start elsewhere only after its lease and the give-up bound have run out, and only if the node's no-quorum-policy was stop or suicide."),
		choice("stonith-action", "reboot", "What fencing does to a node", "reboot", "off", "poweroff"),
		span("stonith-timeout", "60s", "How long a fence device may take"),
		truth("have-watchdog", "false", "Whether the nodes have watchdog devices; written by the cluster"),
		truth("concurrent-fencing", "false", "Whether several nodes may be fenced at the same time"),
		long(truth("startup-fencing", "true", "Whether nodes never seen since the cluster started are fenced"), "Without it, a node that runs resources unseen is a danger to data."),
		span("priority-fencing-delay", "0", "How much longer fencing waits when its target runs the more important resources, so that these win"),
		span("cluster-delay", "60s", "How long a message from one node to another may take, beyond the action's own time-out"),
		number("batch-limit", "0", "How many actions run in the whole cluster at once; 0 means no limit of its own"),
		number("migration-limit", "-1", "How many live migrations a node takes part in at once; -1 means no limit"),
		truth("stop-all-resources", "false", "Whether all resources are kept stopped"),
		truth("stop-orphan-resources", "true", "Whether resources taken out of the configuration are stopped"),
		truth("stop-orphan-actions", "true", "Whether recurring operations taken out of the configuration are ended"),
		truth("remove-after-stop", "false", "Whether the history of a stopped resource is forgotten; leave it false"),
		kept(number("pe-error-series-max", "-1", "How many scheduler inputs with errors are kept; -1 keeps all"), inputsElsewhere),
		kept(number("pe-warn-series-max", "5000", "How many scheduler inputs with warnings are kept"), inputsElsewhere),
		kept(number("pe-input-series-max", "4000", "How many ordinary scheduler inputs are kept"), inputsElsewhere),
		choice("node-health-strategy", "none", "What node attributes whose names begin with #health do", "none", "migrate-on-red", "only-green", "progressive", "custom"),
		number("node-health-base", "0", "The score every node begins with when health is counted"),
		number("node-health-green", "0", "The score of a health attribute that is green"),
		number("node-health-yellow", "0", "The score of a health attribute that is yellow"),
		text("node-health-red", "-INFINITY", "The score of a health attribute that is red"),
		long(choice("placement-strategy", "default", "How utilization decides where resources go", "default", "utilization", "minimal", "balanced"),
			"default ignores it, utilization refuses nodes that are full, minimal also fills few nodes, balanced spreads evenly."),
	},
	Manager: {
		long(truth("enable-acl", "false", "Whether access control lists limit what users may see and change"),
			"The lists are kept, and this version does not evaluate them: with true, nobody but root and hacluster may use the cluster."),
		kept(number("cluster-ipc-limit", "500", "How many unread messages a slow client may have"), "a slow reader sees fewer events, never an old one last."),
	},
	Fencer: append([]resources.Parameter{
		text("pcmk_host_argument", "port", "The parameter that tells the agent which node to fence; none to tell it nothing"),
		text("pcmk_host_map", "", "Which outlet or machine name belongs to which node, as node:port;node:port"),
		text("pcmk_host_list", "", "The nodes this device can fence, separated by commas or blanks"),
		choice("pcmk_host_check", "dynamic-list", "How to find out which nodes the device can fence: from pcmk_host_list, by asking for a list, by asking for the status of each, or not at all", "dynamic-list", "static-list", "status", "none"),
		span("pcmk_delay_max", "0s", "The most that a random delay before fencing may be, so that two nodes do not fence each other"),
		text("pcmk_delay_base", "0s", "A fixed delay before fencing, or one for each node as node:time;node:time"),
		number("pcmk_action_limit", "1", "How many actions the device takes at once; -1 means any number"),
	}, deviceActions()...),
}

// deviceActions are the three parameters each action of a device may have.
func deviceActions() []resources.Parameter {
	var out []resources.Parameter
	for _, action := range []string{"reboot", "off", "on", "list", "monitor", "status"} {
		out = append(out,
			text("pcmk_"+action+"_action", action, "What to ask the agent for instead of "+action),
			span("pcmk_"+action+"_timeout", "60s", "How long "+action+" may take, instead of stonith-timeout"),
			number("pcmk_"+action+"_retries", "2", "How many times "+action+" is tried within its time-out"))
	}
	return out
}
