package three

import (
	"net/netip"
	"time"

	"systole/integration/lab/story"
)

// The site's address, the one by which the machines know the storage, and the one of the
// pictures where the database has the second.
var (
	address         = netip.MustParseAddr("10.77.0.100")
	storeAddress    = netip.MustParseAddr("10.77.0.101")
	picturesAddress = netip.MustParseAddr("10.77.0.102")
)

// variant is one way to run the site.
type variant struct {
	name, title string
	config      string   // the file of the example
	further     []string // headings of the README: further steps for all machines
	making      []string // headings of the README: steps for one machine after that
	web         string   // the program of the web server
	quirks      string   // what only the lab's machines need
	inner       []netip.Addr
	services    []story.Service
	roles       []role
}

// role is something that only one machine does.
type role struct {
	name, resource string
	story.Targets
}

// The targets. One machine has several roles here, so more has to move than on six.
var (
	noticed      = story.Targets{Reads: time.Second, Writes: 3 * time.Second} // by a director's check
	directorLost = story.Targets{Reads: 3 * time.Second, Writes: 3 * time.Second}
	storeLost    = story.Targets{Reads: 3 * time.Second, Writes: 15 * time.Second}
)

var variants = []variant{sharedDisk("native", "shared disk, native agents"), resourceAgents(), apache(), replication()}

// onDisk is what only the machine with the disk has.
func onDisk() []story.Service {
	return []story.Service{story.Mounted("/srv/site"), story.Process("mariadbd"), story.NFSServer(), story.Address(storeAddress)}
}

func sharedDisk(name, title string) variant {
	return variant{
		name: name, title: title, config: "site.crm", making: []string{"4. The database, once, on the same machine"}, web: "nginx",
		inner: []netip.Addr{storeAddress}, services: onDisk(),
		roles: []role{{"the machine with the disk", "store-ip", storeLost}, {"the active director", "vip", directorLost}},
	}
}

func resourceAgents() variant {
	v := sharedDisk("resource-agents", "shared disk, unmodified agents of resource-agents")
	v.config = "resource-agents.crm"
	v.further = []string{"With the agents of resource-agents (all three, before step 5)"}
	v.quirks = nfsService
	return v
}

// nfsService is what nfs-server.service does, for machines without systemd: Debian's own
// script cannot end the server of a kernel as new as this one.
const nfsService = `cat > /etc/init.d/nfs-kernel-server <<'END'
#!/bin/sh
case $1 in
start)
	mountpoint -q /proc/fs/nfsd || mount -t nfsd nfsd /proc/fs/nfsd
	exportfs -r
	rpc.mountd && rpc.nfsd ;;
stop)
	rpc.nfsd 0
	pkill -x rpc.mountd
	exportfs -au
	exportfs -f ;;
status)
	grep -q '^[1-9]' /proc/fs/nfsd/threads || exit 3 ;;
esac
END
`

func apache() variant {
	v := sharedDisk("apache", "shared disk, ocf:heartbeat:apache with mod_php")
	v.config, v.web = "apache.crm", "apache2"
	v.further = []string{"With Apache and mod_php (all three, before step 5)"}
	return v
}

func replication() variant {
	return variant{
		name: "replication", title: "databases replicated by GTID", config: "replication.crm", web: "nginx",
		further:  []string{"With replicated databases (all three, in place of step 4)"},
		making:   []string{"With replicated databases (one machine, thereafter)"},
		inner:    []netip.Addr{storeAddress, picturesAddress},
		services: []story.Service{story.Mounted("/srv/site"), story.NFSServer(), story.Address(storeAddress), story.Address(picturesAddress)},
		roles: []role{{"the machine with the primary database", "db-ip", storeLost}, {"the machine with the disk", "store-ip", storeLost},
			{"the active director", "vip", directorLost}},
	}
}
