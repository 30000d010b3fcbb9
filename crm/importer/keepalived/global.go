package keepalived

import (
	"net/netip"
	"strconv"
	"strings"

	"systole/crm/importer"
)

// collect finds the blocks that others refer to by name, wherever they stand.
func (t *translator) collect(statements []*statement) {
	t.addresses, t.files, t.weights = map[string][]*statement{}, map[string]trackFile{}, map[string]int{}
	for _, s := range statements {
		switch s.keyword() {
		case "virtual_server_group":
			t.addresses[s.arg(0)] = s.block
		case "vrrp_script":
			for _, line := range s.block {
				if n, err := strconv.Atoi(line.arg(0)); line.keyword() == "weight" && err == nil {
					t.weights[s.arg(0)] = n
				}
			}
		case "track_file", "vrrp_track_file":
			var f trackFile
			for _, line := range s.block {
				switch line.keyword() {
				case "file":
					f.path = line.arg(0)
				case "weight":
					f.weight = line.arg(0)
				}
			}
			t.files[s.arg(0)] = f
		}
	}
}

// root are the blocks of the file.
var root keywords

func init() { // the handlers refer to root through translator.each
	root = keywords{
		"global_defs":        func(t *translator, s *statement) { t.taken(s); t.each(s.block, global()) },
		"static_routes":      drop("routes that stay are the system's: set them where it sets its network up"),
		"static_rules":       drop("policy routing rules that stay are the system's: set them where it sets its network up"),
		"static_ipaddress":   drop("addresses that stay are the system's: set them where it sets its network up"),
		"vrrp_instance":      func(t *translator, s *statement) { t.instance(s) },
		"vrrp_sync_group":    func(t *translator, s *statement) { t.syncGroup(s) },
		"vrrp_script":        func(t *translator, s *statement) { t.script(s) },
		"track_file":         func(t *translator, s *statement) { t.trackFile(s) },
		"vrrp_track_file":    func(t *translator, s *statement) { t.trackFile(s) },
		"vrrp_track_process": drop("make the process a resource of the group, whose monitor then decides"),
		"track_group":        drop("groups of tracked things: name each where it is tracked"),
		"bfd_instance":       drop("BFD sessions are not kept: detect-within in systole.conf says how fast a dead node is noticed"),
		"garp_group":         note("the address agent announces by itself"),
		"virtual_server":     func(t *translator, s *statement) { t.virtual(s) },
		"virtual_server_group": func(t *translator, s *statement) {
			t.taken(s)
			for _, line := range s.block {
				t.taken(line)
			}
		},
		"SSL":           drop("client certificates for checks: serve the checked page without one, or check by a program (MISC_CHECK)"),
		"net_namespace": drop("the daemon runs in the machine's own network namespace"),
		"config_id":     note("the name given as NODE=FILE decides which @ lines count"),
	}
	root.alias(note("without meaning here"), "instance", "use_pid_dir", "namespace_with_ipsets", "linkbeat_use_polling", "child_wait_time")
	root.alias(drop("links are watched by the kernel's own state; see track_interface"), "linkbeat_interfaces", "interface_up_down_delays")
}

func global() keywords {
	k := keywords{
		"lvs_sync_daemon":    func(t *translator, s *statement) { t.syncDaemon(s) },
		"lvs_timeouts":       func(t *translator, s *statement) { t.timeouts(s) },
		"lvs_flush":          note("nothing is flushed: the kernel's table is made what the configuration says, and foreign services stay"),
		"lvs_flush_on_stop":  note("a director that stops takes its own services out"),
		"router_id":          note("nodes have names"),
		"vrrp_version":       note("the cluster does not speak VRRP"),
		"nftables_ipvs":      drop("firewall marks for groups of addresses are not set by the director: set them in the system's own nftables rules"),
		"startup_script":     drop("have systemd run it before systoled"),
		"shutdown_script":    drop("have systemd run it after systoled"),
		"net_namespace":      drop("the daemon runs in the machine's own network namespace"),
		"net_namespace_ipvs": drop("IPVS is programmed in the machine's own network namespace"),
	}
	k.alias(k["nftables_ipvs"], "nftables_ipvs_priority", "nftables_ipvs_start_fwmark")
	k.alias(drop(mailText), "notification_email", "notification_email_from", "smtp_server", "smtp_helo_name", "smtp_connect_timeout", "smtp_alert", "smtp_alert_vrrp", "smtp_alert_checker", "email_faults", "no_email_faults")
	k.alias(note("no mail is sent"), "no_checker_emails")
	k.alias(drop(notifyText), "lvs_notify_fifo", "lvs_notify_fifo_script", "vrrp_notify_fifo", "vrrp_notify_fifo_script", "notify_fifo", "notify_fifo_script")
	k.alias(note("scripts run as the daemon's user, by their whole path and without a shell"), "script_user", "enable_script_security")
	k.alias(note("the address agent announces when it starts and refreshes (arp_count, arp_interval, announce_refresh)"),
		"vrrp_garp_master_delay", "vrrp_garp_master_repeat", "vrrp_garp_lower_prio_delay", "vrrp_garp_lower_prio_repeat", "vrrp_garp_master_refresh", "vrrp_garp_master_refresh_repeat", "vrrp_garp_interval", "vrrp_gna_interval", "vrrp_garp_extra_if", "vrrp_min_garp", "vrrp_garp_master_refresh")
	k.alias(note("the cluster does not speak VRRP"), "vrrp_mcast_group4", "vrrp_mcast_group6", "default_interface", "vrrp_check_unicast_src", "vrrp_skip_check_adv_addr", "vrrp_strict", "vrrp_lower_prio_no_advert", "vrrp_higher_prio_send_advert", "vrrp_iptables", "vrrp_ipsets", "vrrp_down_timer_adverts", "vrrp_rx_bufs_policy", "vrrp_rx_bufs_multiplier", "vrrp_startup_delay", "vrrp_owner_ignore_adverts", "nftables", "nftables_counters", "nftables_ifindex", "nftables_priority", "dynamic_interfaces",
		"disable_local_igmp", "log_unknown_vrids", "vmac_prefix", "vmac_addr_prefix", "vrrp_notify_priority_changes")
	k.alias(note("the daemon's own priority is set by its unit"), "vrrp_priority", "checker_priority", "bfd_priority", "vrrp_no_swap", "checker_no_swap", "vrrp_rt_priority", "checker_rt_priority", "vrrp_rlimit_rttime", "checker_rlimit_rttime", "vrrp_cpu_affinity", "checker_cpu_affinity", "max_auto_priority", "min_auto_priority_delay", "process_names",
		"bfd_no_swap", "bfd_rlimit_rttime", "bfd_rt_priority", "bfd_cpu_affinity")
	k.alias(note("the metrics tell what SNMP and DBus told"), "enable_snmp_vrrp", "enable_snmp_checker", "enable_snmp_rfc", "enable_snmp_rfcv2", "enable_snmp_rfcv3", "enable_traps", "snmp_socket", "enable_dbus", "dbus_service_name", "dbus_no_interface_name")
	k.alias(note("every server's last failure and its reason are in crm lvs status"), "checker_log_all_failures")
	k.alias(note("without meaning here"), "rs_init_notifies", "use_pid_dir", "instance", "umask", "reload_time_file", "reload_repeat", "reload_check_config", "reload_file", "config_save_dir", "tmp_config_directory", "data_use_instance", "json_version", "max_open_files", "random_seed", "smtp_alert_fault", "include_check", "fifo_write_vrrp_states_on_reload",
		"lvs_netlink_cmd_rcv_bufs", "lvs_netlink_cmd_rcv_bufs_force", "lvs_netlink_monitor_rcv_bufs", "lvs_netlink_monitor_rcv_bufs_force",
		"vrrp_netlink_cmd_rcv_bufs", "vrrp_netlink_cmd_rcv_bufs_force", "vrrp_netlink_monitor_rcv_bufs", "vrrp_netlink_monitor_rcv_bufs_force",
		"process_monitor_rcv_bufs", "process_monitor_rcv_bufs_force")
	return k
}

// syncDaemon reads IF [INSTANCE] [ID] [id N] [maxlen N] [port N] [ttl N] [group ADDR].
func (t *translator) syncDaemon(s *statement) {
	t.taken(s)
	d := syncDaemon{Sync: importer.Sync{Interface: s.arg(0)}}
	words := s.args()[min(1, len(s.args())):]
	if len(words) > 0 && !isNumber(words[0]) && words[0] != "id" {
		d.instance, words = words[0], words[1:]
	}
	if len(words) > 0 && isNumber(words[0]) {
		words = append([]string{"id"}, words...)
	}
	for ; len(words) >= 2; words = words[2:] {
		n, err := strconv.Atoi(words[1])
		switch {
		case words[0] == "id" && err == nil:
			d.ID = n
		case words[0] == "maxlen" && err == nil:
			d.MaxLen = n
		case words[0] == "port" && n == 8848, words[0] == "ttl" && n == 1: // the kernel's own
		case words[0] == "port", words[0] == "ttl":
			t.lost(s, "%s of the sync daemon is the kernel's (port 8848, ttl 1)", words[0])
		case words[0] == "group":
			if d.Group, err = netip.ParseAddr(words[1]); err != nil {
				t.lost(s, "%q is not an address", words[1])
			}
		default:
			t.lost(s, "%q is not known for the sync daemon", strings.Join(words[:2], " "))
		}
	}
	if len(words) == 1 {
		t.lost(s, "%q is not known for the sync daemon", words[0])
	}
	t.report.Changed(s.at, "the sync daemons belong to the director: master where it is active, backup elsewhere")
	t.site.sync = append(t.site.sync, d)
}

func isNumber(s string) bool { _, err := strconv.Atoi(s); return err == nil }

// timeouts reads tcp N tcpfin N udp N, in any order and number.
func (t *translator) timeouts(s *statement) {
	t.taken(s)
	words := s.args()
	var out []string
	for ; len(words) >= 2; words = words[2:] {
		if !isNumber(words[1]) || words[0] != "tcp" && words[0] != "tcpfin" && words[0] != "udp" {
			break
		}
		out = append(out, words[0]+"="+words[1])
	}
	if len(words) > 0 {
		t.lost(s, "%q is no time-out: write tcp, tcpfin or udp and seconds", strings.Join(words, " "))
		return
	}
	t.site.timeouts = importer.Line{Place: s.at, Text: "timeouts " + strings.Join(out, " ")}
}

// syncGroup is instances that move together.
func (t *translator) syncGroup(s *statement) {
	g := &syncGroup{at: s.at, name: s.arg(0)}
	t.changed0(s, "its instances are one group of resources")
	k := keywords{
		"group": func(t *translator, s *statement) {
			t.taken(s)
			for _, line := range s.block {
				t.taken(line)
				g.members = append(g.members, line.words...)
			}
		},
		"global_tracking": note("all of a group moves together in any case"),
	}
	k["track_interface"] = func(t *translator, s *statement) { t.tracks(s, &g.shared, "interface") }
	k["track_script"] = func(t *translator, s *statement) { t.tracks(s, &g.shared, "script") }
	k["sync_group_tracking_weight"] = note("scores of the members add up")
	k.alias(drop(notifyText), "notify", "notify_master", "notify_backup", "notify_fault", "notify_stop")
	k.alias(drop(mailText), "smtp_alert")
	k.alias(drop("a file, process or BFD session is not watched for an address: make what must work a resource of the group, whose monitor then decides"), "track_file", "track_process", "track_bfd")
	t.each(s.block, k)
	t.site.syncGroups = append(t.site.syncGroups, g)
}

// changed0 marks the statement alone, not its block.
func (t *translator) changed0(s *statement, format string, args ...any) {
	t.report.Changed(s.at, format, args...)
}

// script is a vrrp_script. Nothing runs it: the reader has to have its result put where the rule looks.
func (t *translator) script(s *statement) {
	attribute := importer.SanitizeID(s.arg(0))
	t.report.Unsupported(s.at, "nothing runs this script: make what it watches a resource of the group, or let a timer on each director run it and set the node attribute: attrd_updater -n %s -U 1 or 0", attribute)
	t.inside(s, func(at importer.Place) { t.report.Unsupported(at, "goes with vrrp_script above") })
}

func (t *translator) trackFile(s *statement) {
	t.taken(s)
	t.each(s.block, keywords{
		"file":      keep(func(*translator, *statement) {}),
		"weight":    keep(func(*translator, *statement) {}),
		"init_file": drop("the file must be there before a check reads it; a missing file counts as 0"),
	})
}
