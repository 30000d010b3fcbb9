package haresources

import (
	"strconv"
	"strings"

	"systole/crm/importer"
	"systole/crm/importer/ldirectord"
)

// defaultSyncOn is the device LVSSyncDaemonSwap used unless its script was changed.
const defaultSyncOn = "eth0"

// ldirectord makes the daemon's configuration an IPVS director of the line.
func (p *pack) ldirectord(args []string) {
	name := "ldirectord.cf"
	if len(args) > 0 && args[0] != "" {
		name = strings.Join(args, "::")
	}
	remedy := "run crm import ldirectord on it and put the primitive into the group, before the address"
	if p.src.Open == nil {
		p.lost("%s is not read from here: %s", name, remedy)
		return
	}
	files, err := p.src.Open(name)
	if err != nil {
		p.lost("%v: %s", err, remedy)
		return
	}
	for _, f := range files {
		d := ldirectord.Director(p.report.Add(f), p.report)
		p.director.Services = append(p.director.Services, d.Services...)
	}
	p.changed("ldirectord is the IPVS director, with the services of %s; it starts before the addresses, so that no packet comes to a host without a table", name)
}

// syncDaemon is LVSSyncDaemonSwap::master[::id].
func (p *pack) syncDaemon(args []string) {
	p.director.Sync = importer.Sync{Interface: defaultSyncOn}
	if len(args) > 1 {
		n, err := strconv.Atoi(args[1])
		if err != nil || n < 0 || n > 255 {
			p.lost("LVSSyncDaemonSwap: %q is not a sync id", args[1])
			return
		}
		p.director.Sync.ID = n
	}
	p.changed("the sync daemons belong to the director, on device %s: master where it is active, backup elsewhere", defaultSyncOn)
}

// finishDirector puts the director at the front of the line, or beside it where
// the standby receives connections too.
func (p *pack) finishDirector() {
	if len(p.director.Services) == 0 {
		if p.director.Sync.Interface != "" {
			p.lost("LVSSyncDaemonSwap without an ldirectord in its line synchronises nothing")
		}
		return
	}
	id, promotable := p.director.Define(&p.config, p.nextID("ldirectord"))
	if promotable {
		p.clones = append(p.clones, id)
		return
	}
	p.members = append([]resource{{id: id, defined: true}}, p.members...)
}
