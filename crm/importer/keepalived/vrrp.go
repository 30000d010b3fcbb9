package keepalived

import (
	"net/netip"
	"strconv"
	"strings"

	"systole/crm/importer"
)

// instance is a vrrp_instance.
type instance struct {
	at        importer.Place
	name      string
	priority  int
	device    string
	addresses []address
	objects   []route
	noPreempt bool
	tracks    []track
	syncOn    string // lvs_sync_daemon_interface
}

// address is a line of virtual_ipaddress.
type address struct {
	ip        netip.Addr
	bits      int
	device    string
	label     string
	broadcast string
	preferred string // preferred_lft; "": the agent's default
}

// route is a line of virtual_routes.
type route struct{ destination, gateway, device, source string }

// track is something whose failure moves an instance away.
type track struct {
	kind, name string // interface or script
	weight     int
	reverse    bool
}

// The bounds and the default of VRRP priorities (RFC 5798).
const (
	minPriority     = 1
	maxPriority     = 255
	defaultPriority = 100
)

func (t *translator) instance(s *statement) {
	t.taken(s)
	i := &instance{at: s.at, name: s.arg(0), priority: defaultPriority}
	if i.name == "" {
		t.lost(s, "an instance without a name")
		return
	}
	t.each(s.block, instanceKeywords(i))
	if t.site.node != "" {
		t.report.Changed(i.at, "%s prefers node %s by a location constraint", i.name, t.site.node)
	} else {
		t.report.Changed(i.at, "no node is preferred, since it is not known whose file this is; give the files as NODE=FILE")
	}
	if len(i.addresses) == 0 && len(i.objects) == 0 {
		t.report.Unsupported(i.at, "an instance without addresses moves nothing")
	}
	t.site.instances = append(t.site.instances, i)
}

func instanceKeywords(i *instance) keywords {
	k := keywords{
		"state": func(t *translator, s *statement) {
			t.changed(s, "which node is active follows from the priorities")
		},
		"interface": keep(func(t *translator, s *statement) { i.device = s.arg(0) }),
		"priority": keep(func(t *translator, s *statement) {
			n, err := strconv.Atoi(s.arg(0))
			if err != nil || n < minPriority || n > maxPriority {
				t.lost(s, "a priority is a number from %d to %d", minPriority, maxPriority)
				return
			}
			i.priority = n
			t.changed(s, "it is the score of a location constraint, times %d where priorities are close", closeFactor)
		}),
		"nopreempt": func(t *translator, s *statement) {
			if i.noPreempt = t.on(s); i.noPreempt {
				t.changed(s, "stickiness %d: more than any priority, so a node that returns takes nothing back", sticky)
			}
		},
		"virtual_ipaddress":          func(t *translator, s *statement) { t.addressBlock(s, i) },
		"virtual_ipaddress_excluded": func(t *translator, s *statement) { t.addressBlock(s, i) },
		"virtual_routes":             func(t *translator, s *statement) { t.routes(s, i) },
		"virtual_rules":              drop("policy routing rules: write an agent for them, or set them for good on all directors"),
		"track_interface":            func(t *translator, s *statement) { t.tracks(s, i, "interface") },
		"track_script":               func(t *translator, s *statement) { t.tracks(s, i, "script") },
		"lvs_sync_daemon_interface":  keep(func(t *translator, s *statement) { i.syncOn = s.arg(0) }),
		"preempt_delay":              drop("a node that returns takes its services back at once; with nopreempt it takes nothing back"),
		"preempt":                    keep(func(t *translator, s *statement) { i.noPreempt = !t.on(s) }),
		"use_vmac":                   note("the address moves with announcements (ARP and neighbour advertisements) instead of a MAC of its own"),
		"use_ipvlan":                 note("the address moves with announcements (ARP and neighbour advertisements) instead of an interface of its own"),
		"native_ipv6":                note("IPv6 needs no switch"),
		"version":                    note("the cluster does not speak VRRP"),
		"virtual_router_id":          note("the cluster does not speak VRRP: nodes know each other by name and certificate"),
		"advert_int":                 note("how fast a dead node is noticed is detect-within in systole.conf, 500ms by default"),
		"authentication": func(t *translator, s *statement) {
			t.changed(s, "nodes authenticate with certificates over TLS; no password is needed")
			for _, line := range s.block {
				if line.keyword() == "auth_pass" {
					t.report.Hide(line.at, line.arg(0))
				}
			}
		},
		"unicast_peer": note("nodes know each other's addresses from joining the cluster"),
	}
	k.alias(note("nodes reach each other at the address given when they joined"), "unicast_src_ip", "mcast_src_ip", "mcast_dst_ip", "unicast_ttl", "unicast_fault_no_peer", "check_unicast_src")
	k.alias(note("the address agent announces when it starts and refreshes (arp_count, arp_interval, announce_refresh)"),
		"garp_master_delay", "garp_master_repeat", "garp_lower_prio_delay", "garp_lower_prio_repeat", "garp_master_refresh", "garp_master_refresh_repeat", "garp_interval", "gna_interval", "garp_extra_if")
	k.alias(note("without meaning here"), "dont_track_primary", "linkbeat_use_polling", "debug", "old_unicast_checksum", "strict_mode", "skip_check_adv_addr", "higher_prio_send_advert", "lower_prio_no_advert", "down_timer_adverts", "kernel_rx_buf_size", "vmac_xmit_base", "use_vmac_addr", "track_src_ip", "owner_ignore_adverts", "thread_timer_expired", "snmp_name")
	k.alias(note("an address accepts packets, as services on it need"), "accept", "no_accept")
	k.alias(note("an address of ours never depends on a primary one of its subnet: it is added as it stands"), "promote_secondaries")
	k.alias(drop(notifyText), "notify", "notify_master", "notify_backup", "notify_fault", "notify_stop", "notify_deleted", "notify_master_rx_lower_pri", "notify_priority_changes")
	k.alias(drop(mailText), "smtp_alert")
	k.alias(drop("a file, process or BFD session is not watched for an address: make what must work a resource of the group, whose monitor then decides"), "track_file", "track_process", "track_bfd")
	return k
}

const (
	notifyText = "no script is called when a node becomes active: make it a resource of the group (systemd unit or OCF agent), which starts and stops with the address"
	mailText   = "the cluster sends no mail: watch crm_mon or the metrics, or write an alert agent"
)

// sticky is above the greatest difference of two scores made of priorities.
const sticky = 10_000

func (t *translator) addressBlock(s *statement, i *instance) {
	t.taken(s)
	for _, line := range s.block {
		a, err := t.address(line)
		if err != "" {
			t.lost(line, "%s", err)
			continue
		}
		t.taken(line)
		i.addresses = append(i.addresses, a)
	}
}

// noSource is the preferred_lft of an IPv6 address that the machine's own connections do
// not begin with: keepalived's default for a /128 (keepalived.conf(5)).
const noSource = "0"

// address reads ADDR[/LEN] [brd X] [dev IF] [scope S] [label L] [preferred_lft N].
func (t *translator) address(s *statement) (a address, problem string) {
	words := s.words
	spec, bits, hasBits := strings.Cut(words[0], "/")
	ip, err := netip.ParseAddr(spec)
	if err != nil || ip.Zone() != "" {
		return a, strconv.Quote(words[0]) + " is not an address"
	}
	a = address{ip: ip.Unmap(), bits: ip.Unmap().BitLen()}
	if hasBits {
		n, err := strconv.Atoi(bits)
		if err != nil || n < 0 || n > a.ip.BitLen() {
			return a, strconv.Quote(bits) + " is not a prefix length"
		}
		a.bits = n
	}
	if a.ip.Is6() && a.bits == a.ip.BitLen() {
		a.preferred = noSource
	}
	for i := 1; i < len(words); i++ {
		value := ""
		if i+1 < len(words) {
			value = words[i+1]
		}
		switch words[i] {
		case "dev":
			a.device = value
		case "brd", "broadcast":
			a.broadcast = value
		case "label":
			_, a.label, _ = strings.Cut(value, ":")
			if a.label == "" {
				a.label = value
			}
		case "scope":
			if value != "global" {
				t.report.Changed(s.at, "the scope of the address is chosen by its kind")
			}
		case "preferred_lft":
			switch _, err := strconv.ParseUint(value, 10, 32); {
			case err != nil && value != "forever":
				return a, strconv.Quote(value) + " is no preferred lifetime: write seconds or forever"
			case a.ip.Is4():
				t.report.Changed(s.at, "preferred_lft means something for IPv6 only")
			default:
				a.preferred = strings.TrimSuffix(value, "forever")
			}
		case "peer":
			return a, "an address with a peer is not supported: the agent has addresses of networks"
		case "track_group":
			t.report.Changed(s.at, "%s is left to the address agent", words[i])
		case "home", "mngtmpaddr", "noprefixroute", "-nodad", "autojoin", "no_track", "use_vmac":
			t.report.Changed(s.at, "%s is left to the address agent", words[i])
			continue
		default:
			return a, "the address has an option " + strconv.Quote(words[i]) + " that is not known"
		}
		i++
	}
	return a, ""
}

// routes reads lines such as `192.0.2.0/24 via 10.0.0.1 dev eth0 src 10.0.0.5`.
func (t *translator) routes(s *statement, i *instance) {
	t.taken(s)
	for _, line := range s.block {
		r, ok := route{}, true
		words := line.words
		if words[0] != "to" && words[0] != "src" && words[0] != "via" && words[0] != "dev" {
			words = append([]string{"to"}, words...)
		}
		for ; len(words) >= 2; words = words[2:] {
			switch words[0] {
			case "to":
				r.destination = words[1]
			case "via", "gw":
				r.gateway = words[1]
			case "dev":
				r.device = words[1]
			case "src":
				r.source = words[1]
			default:
				ok = false
			}
		}
		if !ok || len(words) != 0 || r.destination == "" || r.gateway == "" && r.device == "" {
			t.lost(line, "of routes only destination, via, dev and src are known to the agent ocf:heartbeat:Route")
			continue
		}
		t.taken(line)
		i.objects = append(i.objects, r)
	}
}

// tracks reads lines NAME [weight W] [reverse].
func (t *translator) tracks(s *statement, i *instance, kind string) {
	t.taken(s)
	for _, line := range s.block {
		tr := track{kind: kind, name: line.keyword()}
		if kind == "script" {
			tr.weight = t.weights[tr.name]
		}
		rest := line.args()
		for len(rest) > 0 {
			if n, err := strconv.Atoi(strings.Join(rest[1:min(2, len(rest))], "")); rest[0] == "weight" && err == nil {
				tr.weight, rest = n, rest[2:]
			} else if rest[0] == "reverse" || rest[0] == "no_reverse" {
				tr.reverse, rest = rest[0] == "reverse", rest[1:]
			} else {
				break
			}
		}
		switch {
		case len(rest) > 0:
			t.lost(line, "%q is not known after the name", rest[0])
			continue
		case kind == "interface":
			t.changed(line, "a clone of ethmonitor watches %s and sets a node attribute that a location rule reads", tr.name)
		default:
			t.changed(line, "a location rule reads the node attribute %s: let the script's result be its value, 1 or 0 (attrd_updater -n %s -U 1)", importer.SanitizeID(tr.name), importer.SanitizeID(tr.name))
		}
		i.tracks = append(i.tracks, tr)
	}
}
