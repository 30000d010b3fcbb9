package haresources

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"systole/crm/importer"
)

// param is one parameter of a resource.
type param struct{ name, value string }

// resource is a primitive to be.
type resource struct {
	id, agent         string
	params            []param
	interval, timeout string // of the monitor
	slow              bool   // start and stop need longer than the default
	defined           bool   // it is in the configuration already
}

func (r resource) object() importer.Object {
	words := []string{r.agent}
	if len(r.params) > 0 {
		words = append(words, importer.Break, "params")
		for _, p := range r.params {
			words = append(words, importer.Set(p.name, p.value))
		}
	}
	if r.slow {
		words = append(words, importer.Break, "op start interval=0 timeout=120s", importer.Break, "op stop interval=0 timeout=120s")
	}
	words = append(words, importer.Break, "op monitor", "interval="+r.interval, "timeout="+r.timeout)
	return importer.Object{Kind: "primitive", ID: r.id, Words: words}
}

// agent says how a type of Heartbeat is configured today: the agent, the names
// of its arguments in their order, and whether it may take long.
type agent struct {
	name  string
	names string
	slow  bool
}

const heartbeat = "ocf:heartbeat:"

// agents are the types that have an OCF agent. The order of the arguments is
// that of the scripts in Heartbeat's resource.d.
var agents = map[string]agent{
	"apache":     {heartbeat + "apache", "configfile httpd port statusurl", true},
	"httpd":      {heartbeat + "apache", "configfile httpd port statusurl", true},
	"apache2":    {heartbeat + "apache", "configfile httpd port statusurl", true},
	"db2":        {heartbeat + "db2", "instance admin", true},
	"Delay":      {heartbeat + "Delay", "startdelay stopdelay mondelay", true},
	"drbd":       {"ocf:linbit:drbd", "drbd_resource", true},
	"Filesystem": {heartbeat + "Filesystem", "device directory fstype options", true},
	"ICP":        {heartbeat + "ICP", "driveid device", true},
	"IPsrcaddr":  {heartbeat + "IPsrcaddr", "ipaddress", false},
	"IPv6addr":   {heartbeat + "IPv6addr", "ipv6addr", false},
	"LVM":        {heartbeat + "LVM-activate", "vgname", true},
	"MailTo":     {heartbeat + "MailTo", "email subject", false},
	"mysql":      {heartbeat + "mysql", "binary config datadir", true},
	"mysqld":     {heartbeat + "mysql", "binary config datadir", true},
	"mariadb":    {heartbeat + "mysql", "binary config datadir", true},
	"nginx":      {heartbeat + "nginx", "configfile httpd port", false},
	"oracle":     {heartbeat + "oracle", "sid home user", true},
	"pgsql":      {heartbeat + "pgsql", "pgctl start_opt ctl_opt psql pgdata pgdba pgport pgdb logfile", true},
	"portblock":  {heartbeat + "portblock", "protocol portno action", false},
	"Raid1":      {heartbeat + "mdraid", "mdadm_conf md_dev", true},
	"SendArp":    {heartbeat + "SendArp", "ip nic", false},
	"ServeRAID":  {heartbeat + "ServeRAID", "serveraid mergegroup", true},
	"tomcat":     {heartbeat + "tomcat", "java_home catalina_home", true},
	"VIPArip":    {heartbeat + "VIPArip", "ip nic", false},
	"WAS":        {heartbeat + "WAS", "config port", true},
	"Xen":        {heartbeat + "Xen", "xmfile", true},
	"Xinetd":     {heartbeat + "Xinetd", "service", false},
}

// addressTypes are the scripts that hold an address.
var addressTypes = []string{"IPaddr", "IPaddr2"}

// pack is what becomes of one line: its members in order, the promotable clones
// they follow, and its IPVS director.
type pack struct {
	*translator
	line     logical
	members  []resource
	clones   []string
	director importer.Director
}

func (p *pack) add(word string) {
	parts := strings.Split(word, "::")
	kind, args := parts[0], parts[1:]
	switch {
	case isAddress(kind) && len(args) == 0:
		p.address("IPaddr", kind)
	case slices.Contains(addressTypes, kind):
		p.address(kind, strings.Join(args, "::"))
	case kind == "drbddisk":
		p.drbd(strings.Join(args, "::"))
	case kind == "ldirectord":
		p.ldirectord(args)
	case kind == "LVSSyncDaemonSwap":
		p.syncDaemon(args)
	default:
		p.script(kind, args)
	}
}

func (p *pack) changed(format string, args ...any) { p.report.Changed(p.line.at[0], format, args...) }
func (p *pack) lost(format string, args ...any)    { p.report.Unsupported(p.line.at[0], format, args...) }

func isAddress(s string) bool {
	head, _, _ := strings.Cut(s, "/")
	_, err := netip.ParseAddr(head)
	return err == nil
}

// address reads ADDRESS[/LENGTH[/NIC][/BROADCAST]]; the parts are known by their shape.
func (p *pack) address(kind, spec string) {
	parts := strings.Split(spec, "/")
	ip, err := netip.ParseAddr(parts[0])
	if err != nil {
		p.lost("%s: %q is not an address", kind, parts[0])
		return
	}
	r := resource{id: importer.SanitizeID(kind + "_" + strings.NewReplacer(".", "_", ":", "_").Replace(ip.String())), agent: "ocf:systole:IPaddr2", interval: "5s", timeout: "5s"}
	r.params = append(r.params, param{"ip", ip.String()})
	for _, part := range parts[1:] {
		if n, err := strconv.Atoi(part); err == nil && n >= 0 {
			r.params = append(r.params, param{"cidr_netmask", part})
		} else if _, err := netip.ParseAddr(part); err == nil {
			r.params = append(r.params, param{"broadcast", part})
		} else if nic, label, ok := strings.Cut(part, ":"); ok {
			r.params = append(r.params, param{"nic", nic}, param{"iflabel", label})
		} else if part != "" {
			r.params = append(r.params, param{"nic", part})
		}
	}
	p.members = append(p.members, r)
}

// script is a resource that Heartbeat ran by its script.
func (p *pack) script(kind string, args []string) {
	a, known := agents[kind]
	switch {
	case kind != importer.SanitizeID(kind):
		p.lost("%q is no name of a script", kind)
		return
	case !known && len(args) > 0:
		p.lost("%s with arguments is a script of /etc/ha.d/resource.d: write an OCF agent for it, or have a systemd unit call it", kind)
		return
	case !known:
		p.changed("%s is run as lsb:%s: its init script must be in /etc/init.d and tell a status; write systemd:%s where a unit replaced it", kind, kind, kind)
		p.members = append(p.members, resource{id: p.nextID(kind), agent: "lsb:" + kind, interval: "120s", timeout: "60s"})
		return
	}
	r := resource{id: p.nextID(kind), agent: a.name, interval: "120s", timeout: "60s", slow: a.slow}
	names := strings.Fields(a.names)
	for i, v := range args {
		if i == len(names) { // the last name takes the rest
			r.params[i-1].value = strings.Join(append([]string{r.params[i-1].value}, args[i:]...), " ")
			break
		}
		r.params = append(r.params, param{names[i], v})
	}
	switch kind {
	case "LVM":
		r.params = append(r.params, param{"vg_access_mode", "system_id"})
		p.changed("LVM is activated by system id (LVM-activate): give the volume group one")
	case "Raid1":
		if len(r.params) < 2 {
			p.lost("Raid1 without a device: name it, Raid1::/etc/mdadm.conf::/dev/md0")
			return
		}
		p.changed("Raid1 is the agent mdraid now")
	}
	p.members = append(p.members, r)
}

func (p *pack) nextID(kind string) string {
	p.types[kind]++
	return importer.SanitizeID(fmt.Sprintf("%s_%d", kind, p.types[kind]))
}

// drbd makes a promotable clone; where it is promoted the rest of the line runs.
func (p *pack) drbd(disk string) {
	if disk == "" {
		p.lost("drbddisk without the name of a DRBD resource")
		return
	}
	prim := p.config.Define(importer.Object{Kind: "primitive", ID: "drbd_" + disk, Words: []string{"ocf:linbit:drbd",
		importer.Break, "params", importer.Set("drbd_resource", disk),
		importer.Break, "op start interval=0 timeout=240s", importer.Break, "op stop interval=0 timeout=100s",
		importer.Break, "op monitor role=Promoted interval=20s timeout=20s", importer.Break, "op monitor role=Unpromoted interval=30s timeout=20s"}})
	clone := p.config.Define(importer.Object{Kind: "clone", ID: "ms_" + prim, Words: []string{prim,
		"meta", "promotable=true", "notify=true", "clone-max=2", "clone-node-max=1", "promoted-max=1"}})
	p.clones = append(p.clones, clone)
	p.changed("drbddisk::%s is the promotable clone %s; the rest of the line runs where it is promoted", disk, clone)
}
