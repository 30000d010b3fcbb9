package haresources

import (
	"fmt"
	"strings"

	"systole/crm/clitext"
	"systole/crm/importer"
)

// directives of ha.cf whose purpose is reached otherwise, or not at all.
var directives = map[string]string{
	"keepalive": timing, "warntime": timing, "deadtime": timing, "initdead": timing, "deadping": timing,
	"bcast": network, "mcast": network, "mcast6": network, "ucast": network, "ucast6": network, "udpport": network, "serial": network, "baud": network, "hopfudge": network, "msgfmt": network,
	"autojoin":    "nodes join with a token (crm cluster join)",
	"watchdog":    "name the device in systole.conf (watchdog)",
	"logfile":     logging,
	"debugfile":   logging,
	"logfacility": logging, "use_logd": logging, "debug": logging, "conn_logd_time": logging,
	"apiauth":     "the tools are open to root and the group haclient; finer rights are ACLs",
	"compression": nothing, "compression_threshold": nothing, "traditional_compression": nothing, "realtime": nothing, "rtprio": nothing,
	"uuidfrom": nothing, "coredumps": nothing, "hbgenmethod": nothing, "crm_daemon_dir": nothing, "crmd_spawns_pengine": nothing, "quorum": nothing, "quorum_server": nothing, "memreserve": nothing, "cluster": "crm cluster init --name names the cluster",
}

const (
	timing  = "detect-within in systole.conf rules all times, 500ms by default"
	network = "nodes reach each other over TCP and UDP port 7737 at the addresses given when they joined"
	logging = "the log goes to the journal"
	nothing = "without meaning here"
)

// cluster reads ha.cf.
func (t *translator) cluster(f importer.File) {
	for i, text := range f.Lines() {
		at := importer.Place{File: f.Name, Line: i + 1}
		if head, _, comment := strings.Cut(text, "#"); comment {
			text = head
		}
		words := strings.Fields(text)
		if len(words) == 0 {
			t.report.Comment(at)
			continue
		}
		t.directive(at, words)
	}
}

func (t *translator) directive(at importer.Place, words []string) {
	args := words[1:]
	switch name := words[0]; name {
	case "node":
		t.nodes = append(t.nodes, args...)
		t.report.Changed(at, "nodes come by joining; the names must be the same (crm cluster join)")
	case "auto_failback":
		t.report.Changed(at, "stickiness 0 for on and legacy, INFINITY for off")
		if len(args) > 0 {
			t.failback = args[0]
		}
	case "crm", "pacemaker":
		if len(args) > 0 && args[0] != "off" && args[0] != "no" && args[0] != "false" {
			t.report.Unsupported(at, "with the CRM on, haresources was not in force: bring its CIB instead (crm configure load xml replace FILE)")
			return
		}
		t.report.Changed(at, "the CRM is what runs here")
	case "ping":
		t.ping = append(t.ping, args...)
		t.report.Changed(at, "a clone of ocf:pacemaker:ping asks them and keeps the node attribute pingd")
	case "ping_group":
		if len(args) > 1 {
			t.ping = append(t.ping, args[1:]...)
		}
		t.report.Changed(at, "a clone of ocf:pacemaker:ping asks them and keeps the node attribute pingd")
	case "respawn":
		t.respawn(at, args)
	case "stonith_host":
		t.stonith(at, args)
	case "stonith":
		t.report.Unsupported(at, "its parameters are in a file of the plug-in: write a stonith primitive with them (crm ra info stonith:%s)", strings.Join(args[:min(1, len(args))], ""))
	case "hbaping":
		t.report.Unsupported(at, "fibre channel adapters are not pinged: monitor the path with an agent")
	default:
		note, ok := directives[name]
		if !ok {
			known := []string{"node", "auto_failback", "crm", "pacemaker", "ping", "ping_group", "respawn", "stonith_host", "stonith", "hbaping"}
			for d := range directives {
				known = append(known, d)
			}
			hint := ""
			if near := clitext.Nearest(name, known); near != "" {
				hint = "; did you mean " + near + "?"
			}
			t.report.Unsupported(at, "%q is no directive%s", name, hint)
			return
		}
		t.report.Changed(at, "%s", note)
	}
}

// respawn is ipfail, which becomes a rule on the pinged nodes, or a program nobody else starts.
func (t *translator) respawn(at importer.Place, args []string) {
	if len(args) > 1 && strings.HasSuffix(args[1], "/ipfail") {
		t.ipfail = true
		t.report.Changed(at, "a location rule moves everything away from a node that reaches none of the pinged ones")
		return
	}
	t.report.Unsupported(at, "no program is started beside the cluster: make it a systemd unit, or a resource")
}

// stonithParams are the parameters of the plug-ins in the order of their old command lines.
var stonithParams = map[string]string{
	"apcmaster": "ipaddr login password", "apcmastersnmp": "ipaddr port community", "apcsmart": "ttydev hostlist", "baytech": "ipaddr login password",
	"external/ipmi": "hostname ipaddr userid passwd interface", "external/ssh": "hostlist", "external/riloe": "hostlist ilo_hostname ilo_user ilo_password",
	"external/rackpdu": "hostlist pduip community", "external/xen0": "hostlist dom0", "external/libvirt": "hostlist hypervisor_uri",
	"ibmhmc": "ipaddr", "meatware": "hostlist", "null": "hostlist", "rps10": "serial_to_targets", "ssh": "hostlist", "wti_nps": "ipaddr password",
}

// secrets are the parameters that the report does not show.
var secrets = []string{"password", "passwd", "ilo_password", "community"}

// stonith reads HOST TYPE PARAMETERS…: a device at HOST, or everywhere for *.
func (t *translator) stonith(at importer.Place, args []string) {
	if len(args) < 2 {
		t.report.Unsupported(at, "want stonith_host HOST TYPE PARAMETERS")
		return
	}
	host, kind, values := args[0], args[1], args[2:]
	names, ok := stonithParams[kind]
	if !ok {
		t.report.Unsupported(at, "the order of the parameters of %s is not known: write a stonith primitive (crm ra list stonith)", kind)
		return
	}
	words := []string{"stonith:" + kind, importer.Break, "params"}
	for i, name := range strings.Fields(names) {
		if i >= len(values) {
			break
		}
		value := values[i]
		if i == len(strings.Fields(names))-1 {
			value = strings.Join(values[i:], " ")
		}
		if contains(secrets, name) {
			t.report.Hide(at, value)
			t.report.Changed(at, "the %s is in the CIB now, where members of haclient can read it: move it out (crm resource secret)", name)
		}
		words = append(words, importer.Set(name, value))
	}
	words = append(words, importer.Break, "op monitor", "interval=5s", "timeout=20s")
	t.fencing = true
	t.fences++
	id := t.config.Define(importer.Object{Kind: "primitive", ID: fmt.Sprintf("stonith_%d", t.fences), Words: words})
	if host == "*" {
		t.config.Define(importer.Object{Kind: "clone", ID: "fencing_" + id, Words: []string{id}})
	} else {
		t.config.Define(importer.Object{Kind: "location", ID: "rsc_location_" + id, Words: []string{id, "rule", "$id=" + importer.Quote("preferred_location_"+id), "100:", "#uname", "eq", importer.Quote(host)}})
	}
	t.report.Changed(at, "%s is a fence device; stonith-enabled is true now", id)
}

// pings writes the clone that asks the ping nodes, and the rules of ipfail.
func (t *translator) pings() {
	if len(t.ping) == 0 {
		return
	}
	id := t.config.Define(importer.Object{Kind: "primitive", ID: "pingd", Words: []string{"ocf:pacemaker:ping", importer.Break,
		"params", importer.Set("host_list", strings.Join(t.ping, " ")), "multiplier=100", "name=pingd", importer.Break, "op monitor", "interval=10s", "timeout=60s"}})
	t.config.Define(importer.Object{Kind: "clone", ID: "connected", Words: []string{id}})
	if !t.ipfail {
		return
	}
	for _, name := range t.lineNames {
		t.config.Define(importer.Object{Kind: "location", ID: "connected_" + name, Words: []string{name, "rule", "-inf:", "not_defined", "pingd", "or", "pingd", "lte", "0"}})
	}
}
