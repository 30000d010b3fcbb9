package ipvsadm

import "slices"

// option is an option of ipvsadm's command line.
type option struct {
	long, short string
	verb        bool   // it says what to do
	values      int    // how many follow
	standard    string // the value where it may be left out
}

// options are all that may stand in a line. The time of -p is the program's own
// default; its manual says 300.
var options = []option{
	{long: "add-service", short: "-A", verb: true},
	{long: "edit-service", short: "-E", verb: true},
	{long: "delete-service", short: "-D", verb: true},
	{long: "add-server", short: "-a", verb: true},
	{long: "edit-server", short: "-e", verb: true},
	{long: "delete-server", short: "-d", verb: true},
	{long: "clear", short: "-C", verb: true},
	{long: "restore", short: "-R", verb: true},
	{long: "save", short: "-S", verb: true},
	{long: "zero", short: "-Z", verb: true},
	{long: "list", short: "-L", verb: true},
	{long: "list", short: "-l", verb: true},
	{long: "help", short: "-h", verb: true},
	{long: "set", verb: true, values: 3},
	{long: "start-daemon", verb: true, values: 1},
	{long: "stop-daemon", verb: true, values: 1},

	{long: "tcp-service", short: "-t", values: 1},
	{long: "udp-service", short: "-u", values: 1},
	{long: "sctp-service", values: 1},
	{long: "fwmark-service", short: "-f", values: 1},
	{long: "ipv6", short: "-6"},
	{long: "scheduler", short: "-s", values: 1},
	{long: "sched-flags", short: "-b", values: 1},
	{long: "persistent", short: "-p", values: 1, standard: "360"},
	{long: "netmask", short: "-M", values: 1},
	{long: "pe", values: 1},
	{long: "ops", short: "-o"},
	{long: "ops", short: "ops"}, // as 1.26 saved it
	{long: "real-server", short: "-r", values: 1},
	{long: "weight", short: "-w", values: 1},
	{long: "u-threshold", short: "-x", values: 1},
	{long: "l-threshold", short: "-y", values: 1},
	{long: "gatewaying", short: "-g"},
	{long: "ipip", short: "-i"},
	{long: "masquerading", short: "-m"},
	{long: "tun-type", values: 1},
	{long: "tun-port", values: 1},
	{long: "tun-nocsum"},
	{long: "tun-csum"},
	{long: "tun-remcsum"},
	{long: "mcast-interface", values: 1},
	{long: "syncid", values: 1},
	{long: "sync-maxlen", values: 1},
	{long: "mcast-group", values: 1},
	{long: "mcast-port", values: 1},
	{long: "mcast-ttl", values: 1},
	{long: "numeric", short: "-n"},
	{long: "connection", short: "-c"},
}

// checksums are the options that say what checksums a tunnel has.
var checksums = []string{"tun-nocsum", "tun-csum", "tun-remcsum"}

// find is the option of a word.
func find(word string) (option, bool) {
	i := slices.IndexFunc(options, func(o option) bool { return word == o.short || word == "--"+o.long })
	if i < 0 {
		return option{}, false
	}
	return options[i], true
}
