package template

import "slices"

// All are the templates, by name.
var All = []*Template{
	{
		Name: "ha-lamp", Short: "WordPress on six machines: two directors, web servers, a storage pair; with the machines' files and the steps",
		dir: "ha-lamp", files: []string{"fencing.crm", "site.crm", "README.md", "files"},
		Variables: []Variable{
			{Name: "network", Meaning: "the network all machines and both addresses are in; pictures are exported to it", Default: "10.77.0.0/24", kind: network4,
				forms: []string{"{}", "cidr_netmask={bits}", "{base}/{mask}"}},
			{Name: "address", Meaning: "where visitors find the site; it moves with the active director", Default: "10.77.0.100", kind: ipv4, in: "network"},
			{Name: "url", Meaning: "what WordPress calls itself", Default: "http://{address}", kind: webSite},
			{Name: "title", Meaning: "the title of the new site", Default: "A site that stays", kind: title, forms: []string{`title="{}"`}},
			{Name: "admin", Meaning: "WordPress's administrator; the password is a secret", Default: "editor", kind: user, forms: []string{"admin_user={}", "`{}`"}},
			{Name: "admin-email", Meaning: "the administrator's mail address", Default: "editor@example.org", kind: mail},
			{Name: "interface", Meaning: "the machines' device in the network", Default: "eth0", kind: device},
			{Name: "directors", Meaning: "the directors: name, address, and the address of the management board that switches the power",
				Default: "director-a/10.77.0.11/10.77.9.11,director-b/10.77.0.12/10.77.9.12", kind: nodes(2, "NODE/ADDRESS/BOARD", ipv4), in: "network"},
			{Name: "webs", Meaning: "the web servers, as many as you like",
				Default: "web-1/10.77.0.13/10.77.9.13,web-2/10.77.0.14/10.77.9.14", kind: nodes(0, "NODE/ADDRESS/BOARD", ipv4), in: "network"},
			{Name: "stores", Meaning: "the storage pair, whose disks mirror each other",
				Default: "store-a/10.77.0.15/10.77.9.15,store-b/10.77.0.16/10.77.9.16", kind: nodes(2, "NODE/ADDRESS/BOARD", ipv4), in: "network"},
			{Name: "storage", Meaning: "where the web servers find database and pictures; it moves within the storage pair", Default: "10.77.0.101", kind: ipv4, in: "network"},
			{Name: "ipmi-user", Meaning: "the user of the management boards who may switch the power", Default: "cluster", kind: user, forms: []string{"username={}"}},
			{Name: "disk", Meaning: "the free disk of both storage machines; its data are lost", Default: "/dev/ubdb", kind: file},
			{Name: "data", Meaning: "where the mirrored disk is mounted", Default: "/srv/site", kind: file},
			{Name: "wordpress", Meaning: "where WordPress lies on the web servers", Default: "/srv/wordpress", kind: file},
			{Name: "web-user", Meaning: "whom nginx and PHP run as: www-data on Debian, apache on RHEL-like systems", Default: "www-data", kind: user},
			{Name: "php-settings", Meaning: "the directory of PHP's settings: /etc/php.d on RHEL-like systems", Default: "/etc/php/8.2/fpm/conf.d", kind: file},
			{Name: "php-workers", Meaning: "how many requests PHP works on at once, on each web server", Default: "8", kind: count, forms: []string{"pm.max_children = {}"}},
			{Name: "mariadbd", Meaning: "MariaDB's program: /usr/libexec/mariadbd on RHEL-like systems", Default: "/usr/sbin/mariadbd", kind: file},
			{Name: "buffer-pool", Meaning: "memory in which MariaDB keeps tables, half of a storage machine's", Default: "64M", kind: size, forms: []string{"innodb_buffer_pool_size = {}"}},
		},
	},
	lvs("lvs-dr", "Load balancing by direct routing: two directors and their web servers in one network", "lvs-dr", "site.crm",
		Variable{Name: "address", Meaning: meansAddress, Default: "10.77.0.100", kind: ipv4},
		Variable{Name: "interface", Meaning: "the directors' device in the network", Default: "eth0", kind: device},
		Variable{Name: "webs", Meaning: meansWebs, Default: "web-1/10.77.0.13,web-2/10.77.0.14", kind: nodes(0, "NODE/ADDRESS", ipv4)}),
	lvs("lvs-dr-ipv6", "The same over IPv6", "lvs-dr-ipv6", "site.crm",
		Variable{Name: "address", Meaning: meansAddress, Default: "fd77::100", kind: ipv6},
		Variable{Name: "interface", Meaning: "the directors' device in the network", Default: "eth0", kind: device},
		Variable{Name: "webs", Meaning: meansWebs, Default: "web-1/fd77::13,web-2/fd77::14", kind: nodes(0, "NODE/ADDRESS", ipv6)}),
	lvs("lvs-nat", "Load balancing by address translation: clients in one network, web servers in another behind the directors", "lvs-nat", "site.crm",
		Variable{Name: "address", Meaning: meansAddress, Default: "10.77.0.100", kind: ipv4},
		Variable{Name: "interface", Meaning: "the directors' device towards the clients", Default: "eth0", kind: device},
		Variable{Name: "web-interface", Meaning: "the directors' device towards the web servers", Default: "eth1", kind: device},
		Variable{Name: "web-network", Meaning: "the network of the web servers", Default: "10.78.0.0/24", kind: network4, forms: []string{"cidr_netmask={bits}"}},
		Variable{Name: "gateway", Meaning: "the web servers' way out; it moves with the address", Default: "10.78.0.254", kind: ipv4, in: "web-network"},
		Variable{Name: "webs", Meaning: meansWebs, Default: "web-1/10.78.0.13,web-2/10.78.0.14", kind: nodes(0, "NODE/ADDRESS", ipv4), in: "web-network"}),
	lvs("lvs-nat-one-network", "Load balancing by address translation with everything in one network", "lvs-nat", "one-network.crm",
		Variable{Name: "address", Meaning: meansAddress, Default: "10.77.0.100", kind: ipv4},
		Variable{Name: "interface", Meaning: "the directors' device in the network", Default: "eth0", kind: device},
		Variable{Name: "gateway", Meaning: "an address by which the web servers' answers pass the active director", Default: "10.77.0.254", kind: ipv4},
		Variable{Name: "webs", Meaning: meansWebs, Default: "web-1/10.77.0.13,web-2/10.77.0.14", kind: nodes(0, "NODE/ADDRESS", ipv4)}),
	lvs("lvs-tun", "Load balancing by IP tunnels: web servers in any network", "lvs-tun", "site.crm",
		Variable{Name: "address", Meaning: meansAddress, Default: "10.77.0.100", kind: ipv4},
		Variable{Name: "interface", Meaning: "the directors' device in the network", Default: "eth0", kind: device},
		Variable{Name: "webs", Meaning: meansWebs, Default: "web-1/10.77.0.13,web-2/10.77.0.14", kind: nodes(0, "NODE/ADDRESS", ipv4)}),
}

const (
	meansAddress = "what clients connect to; it moves with the active director"
	meansWebs    = "the web servers, as many as you like: name and address"
)

// lvs is a template of load balancing; what all of them have in common is added.
func lvs(name, short, dir, script string, own ...Variable) *Template {
	ports := []string{":{}"}
	if dir == "lvs-nat" {
		ports = append(ports, "ports={}") // the rule of routing that takes the answers back
	}
	return &Template{Name: name, Short: short, dir: dir, files: []string{script}, Variables: slices.Concat(own, []Variable{
		{Name: "directors", Meaning: "the directors", Default: "director-a,director-b", kind: nodes(2, "NODE", ipv4)},
		{Name: "port", Meaning: "the port clients connect to, and nginx listens on", Default: "80", kind: port, forms: ports},
		{Name: "check", Meaning: "the page that says by status 200 that a web server is well", Default: "/", kind: webPath, forms: []string{"http path={}"}},
		{Name: "scheduler", Meaning: "how a web server is chosen", Default: "wrr", kind: scheduler, forms: []string{"scheduler={}"}},
	})}
}
