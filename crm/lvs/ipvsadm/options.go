package ipvsadm

import "strings"

// verb is the one command of a command line.
type verb string

// The commands, by their long options.
const (
	addService    verb = "add-service"
	editService   verb = "edit-service"
	deleteService verb = "delete-service"
	clearTable    verb = "clear"
	restore       verb = "restore"
	save          verb = "save"
	addServer     verb = "add-server"
	editServer    verb = "edit-server"
	deleteServer  verb = "delete-server"
	list          verb = "list"
	zero          verb = "zero"
	setTimeouts   verb = "set"
	startDaemon   verb = "start-daemon"
	stopDaemon    verb = "stop-daemon"
	help          verb = "help"
	version       verb = "version"
)

// argument says whether an option takes a value.
type argument uint8

const (
	none argument = iota
	one
	perhaps // the next word, unless it begins with a dash
)

// option is one way to write something; short is 0 where there is only the long form.
type option struct {
	long  string
	short byte
	takes argument
	verb  verb // "" for what is no command
	// with lists the commands an option may stand with.
	with []verb
	help string
}

var (
	services = []verb{addService, editService}
	servers  = []verb{addServer, editServer}
	starting = []verb{startDaemon}
	keyed    = []verb{addService, editService, deleteService, addServer, editServer, deleteServer, list, zero}
)

// options are all of ipvsadm's (1.31). The order is that of the help.
var options = []option{
	{long: "add-service", short: 'A', verb: addService, help: "add a virtual service"},
	{long: "edit-service", short: 'E', verb: editService, help: "change a virtual service"},
	{long: "delete-service", short: 'D', verb: deleteService, help: "delete a virtual service with its servers"},
	{long: "clear", short: 'C', verb: clearTable, help: "delete everything, whoever made it"},
	{long: "restore", short: 'R', verb: restore, help: "read commands from standard input, one on a line"},
	{long: "save", short: 'S', verb: save, help: "print the table as commands for -R"},
	{long: "add-server", short: 'a', verb: addServer, help: "add a real server to a virtual service"},
	{long: "edit-server", short: 'e', verb: editServer, help: "change a real server"},
	{long: "delete-server", short: 'd', verb: deleteServer, help: "delete a real server"},
	{long: "list", short: 'L', verb: list, help: "print the table, or one virtual service (also -l; the default)"},
	{long: "list", short: 'l', verb: list},
	{long: "zero", short: 'Z', verb: zero, help: "set the counters to 0, or those of one virtual service"},
	{long: "set", verb: setTimeouts, help: "set the time-outs in seconds: TCP, TCP after FIN, UDP; 0 leaves one as it is"},
	{long: "start-daemon", takes: one, verb: startDaemon, help: "start a sync daemon: master or backup"},
	{long: "stop-daemon", takes: one, verb: stopDaemon, help: "stop a sync daemon"},
	{long: "help", short: 'h', verb: help, help: "print this"},
	{long: "version", short: 'v', verb: version, help: "print the version"},

	{long: "tcp-service", short: 't', takes: one, with: keyed, help: "the virtual service ADDRESS:PORT of TCP"},
	{long: "udp-service", short: 'u', takes: one, with: keyed, help: "of UDP"},
	{long: "sctp-service", takes: one, with: keyed, help: "of SCTP"},
	{long: "fwmark-service", short: 'f', takes: one, with: keyed, help: "of packets with this firewall mark"},
	{long: "ipv6", short: '6', with: keyed, help: "the mark is of IPv6 packets"},
	{long: "scheduler", short: 's', takes: one, with: services, help: "how to choose a server (default wlc)"},
	{long: "persistent", short: 'p', takes: perhaps, with: services, help: "keep a client with its server, for so many seconds (default 360)"},
	{long: "netmask", short: 'M', takes: one, with: services, help: "clients of one network count as one: a mask, or for IPv6 a prefix length"},
	{long: "pe", takes: one, with: services, help: "persistence engine (sip)"},
	{long: "ops", short: 'o', with: services, help: "schedule every packet on its own (UDP)"},
	{long: "sched-flags", short: 'b', takes: one, with: services, help: "flags of the scheduler, separated by commas"},
	{long: "real-server", short: 'r', takes: one, with: []verb{addServer, editServer, deleteServer}, help: "the real server ADDRESS[:PORT]"},
	{long: "gatewaying", short: 'g', with: servers, help: "direct routing (the default)"},
	{long: "ipip", short: 'i', with: servers, help: "tunnel"},
	{long: "masquerading", short: 'm', with: servers, help: "NAT"},
	{long: "tun-type", takes: one, with: servers, help: "ipip, gue or gre"},
	{long: "tun-port", takes: one, with: servers, help: "port of a gue tunnel"},
	{long: "tun-nocsum", with: servers, help: "tunnel without checksums"},
	{long: "tun-csum", with: servers, help: "tunnel with checksums"},
	{long: "tun-remcsum", with: servers, help: "gue tunnel with remote checksum"},
	{long: "weight", short: 'w', takes: one, with: servers, help: "share of the server (default 1); 0: no new connections"},
	{long: "u-threshold", short: 'x', takes: one, with: servers, help: "connections above which the server gets no new ones"},
	{long: "l-threshold", short: 'y', takes: one, with: servers, help: "connections below which it gets them again"},
	{long: "connection", short: 'c', with: []verb{list}, help: "list connections"},
	{long: "timeout", with: []verb{list}, help: "list the time-outs"},
	{long: "daemon", with: []verb{list}, help: "list the sync daemons"},
	{long: "stats", with: []verb{list}, help: "list counters"},
	{long: "rate", with: []verb{list}, help: "list rates"},
	{long: "exact", with: []verb{list}, help: "print large numbers in full"},
	{long: "thresholds", with: []verb{list}, help: "list thresholds"},
	{long: "persistent-conn", with: []verb{list}, help: "list numbers of persistent connections"},
	{long: "tun-info", with: []verb{list}, help: "list tunnels"},
	{long: "nosort", with: []verb{list}, help: "as the kernel has it"},
	{long: "sort", with: []verb{list}, help: "sorted, as it is anyway"},
	{long: "numeric", short: 'n', with: []verb{list, save}, help: "print numbers, not names, of addresses and ports"},
	{long: "syncid", takes: one, with: starting, help: "number of the group of directors, 0 to 255 (default 255)"},
	{long: "sync-maxlen", takes: one, with: starting, help: "longest message"},
	{long: "mcast-interface", takes: one, with: starting, help: "interface of the sync daemon"},
	{long: "mcast-group", takes: one, with: starting, help: "where its messages go"},
	{long: "mcast-port", takes: one, with: starting, help: "to which port"},
	{long: "mcast-ttl", takes: one, with: starting, help: "how far"},
}

// aliases are other spellings of long options.
var aliases = map[string]string{"gateway": "gatewaying", "masq": "masquerading", "connections": "connection"}

// byLong and byShort find an option, nil for none.
func byLong(name string) *option {
	if a := aliases[name]; a != "" {
		name = a
	}
	for i := range options {
		if options[i].long == name {
			return &options[i]
		}
	}
	return nil
}

func byShort(c byte) *option {
	for i := range options {
		if options[i].short == c && c != 0 {
			return &options[i]
		}
	}
	return nil
}

// usage is the help, made from the options.
func usage() string {
	var b strings.Builder
	b.WriteString(`Usage:
  ipvsadm -A|-E SERVICE [-s SCHEDULER] [-p [SECONDS]] [-M MASK] [--pe ENGINE] [-o] [-b FLAGS]
  ipvsadm -D SERVICE
  ipvsadm -a|-e SERVICE -r SERVER [-g|-i|-m] [-w WEIGHT] [-x UPPER] [-y LOWER] [tunnel]
  ipvsadm -d SERVICE -r SERVER
  ipvsadm [-L|-l] [SERVICE] [-n] [-c|--stats|--rate|--timeout|--daemon|--thresholds|--persistent-conn|--tun-info]
  ipvsadm -S [-n] | -R | -C | -Z [SERVICE]
  ipvsadm --set TCP TCPFIN UDP
  ipvsadm --start-daemon|--stop-daemon master|backup [daemon options]
SERVICE is -t|-u|--sctp-service ADDRESS:PORT or -f MARK [-6].

Options:
`)
	for _, o := range options {
		if o.help == "" {
			continue
		}
		short := "    "
		if o.short != 0 {
			short = "-" + string(o.short) + ", "
		}
		value := map[argument]string{one: " X", perhaps: " [X]"}[o.takes]
		b.WriteString("  " + short + pad("--"+o.long+value, 24) + o.help + "\n")
	}
	return b.String()
}

func pad(s string, n int) string { return s + strings.Repeat(" ", max(1, n-len(s))) }
