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
	detect      time.Duration
	web         string // the program of the web server
	quirks      string // what only the lab's machines need: shell, before everything
	limits      string // the same for the cluster: crm text
	inner       []netip.Addr
	services    []story.Service
	// single are resources that one machine at a time has. Who has the first is written to.
	single []string
}

// The machines are slow at starting programs, and scripts start many.
const (
	detectWithin        = 1500 * time.Millisecond
	detectAmongPrograms = 3 * time.Second
)

// The targets, for the default of detect-within.
var (
	byCheck    = story.Targets{Reads: time.Second, Writes: 3 * time.Second} // found by the director's check
	newStorage = story.Targets{Reads: time.Second, Writes: 15 * time.Second}
)

var variants = []variant{sharedDisk(), resourceAgents(), apache(), replication()}

func sharedDisk() variant {
	return variant{
		name: "native", title: "shared disk, native agents", config: "site.crm", detect: detectWithin, web: "nginx",
		making: []string{"4. The database, once, on the same machine"}, inner: []netip.Addr{storeAddress},
		services: []story.Service{story.Mounted("/srv/site"), story.Process("mariadbd"), story.NFSServer(), story.Address(storeAddress)},
		single:   []string{"store-ip", "vip"},
	}
}

func resourceAgents() variant {
	v := sharedDisk()
	v.name, v.title, v.config = "resource-agents", "shared disk, unmodified agents of resource-agents", "resource-agents.crm"
	v.detect = detectAmongPrograms
	v.further = []string{"With the agents of resource-agents (all three, before step 5)"}
	v.quirks, v.limits = nfsService, "property batch-limit=4\n"
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
	v := sharedDisk()
	v.name, v.title, v.config = "apache", "shared disk, ocf:heartbeat:apache with mod_php", "apache.crm"
	v.detect, v.web = detectAmongPrograms/2, "apache2" // one script only
	v.further = []string{"With Apache and mod_php (all three, before step 5)"}
	return v
}

func replication() variant {
	return variant{
		name: "replication", title: "databases replicated by GTID", config: "replication.crm", detect: detectWithin, web: "nginx",
		further:  []string{"With replicated databases (all three, in place of step 4)"},
		making:   []string{"With replicated databases (one machine, thereafter)"},
		inner:    []netip.Addr{storeAddress, picturesAddress},
		services: []story.Service{story.Mounted("/srv/site"), story.NFSServer(), story.Address(storeAddress), story.Address(picturesAddress)},
		single:   []string{"db-ip", "store-ip", "vip"},
	}
}
