package agents

import (
	"cmp"
	"context"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"

	"systole/agents/dummy"
	"systole/agents/filesystem"
	"systole/agents/guard"
	"systole/agents/httpd"
	"systole/agents/ipvs"
	"systole/agents/ipvs/control"
	"systole/agents/mysql"
	"systole/agents/nfs"
	"systole/agents/nginx"
	"systole/agents/ocf"
	"systole/agents/phpfpm"
	"systole/agents/realserver"
	"systole/agents/route"
	"systole/agents/vip"
	"systole/agents/wordpress"
	"systole/resources"
)

// natives makes the native agents by type.
func natives(cfg Config) map[string]resources.Agent {
	tmp := cmp.Or(cfg.OCF.RscTmp, "/run/resource-agents")
	cluster := record{cfg}
	dummies := dummy.Config{Dir: tmp, Score: cluster.Score}
	return map[string]resources.Agent{
		"Delay":      dummy.New("Delay", dummies),
		"Dummy":      dummy.New("Dummy", dummies),
		"Filesystem": filesystem.New(filesystem.Config{Lease: cfg.Lease, Log: cfg.Log}),
		"IPaddr2":    vip.New(vip.Config{Lease: cfg.Lease, Guard: cfg.Guard, Log: cfg.Log, Alone: cfg.alone, Leaving: quiesce(cfg.OCF)}),
		"IPsrcaddr":  route.Source{},
		"Route":      route.Route{},
		"Stateful":   dummy.New("Stateful", dummies),
		"exportfs":   nfs.NewExporter(),
		"httpd":      httpd.New(httpd.Config{Dir: tmp}),
		"ipvs":       ipvs.New(director(cfg)),
		"mysql":      mysql.Agent{Cluster: cluster, Log: cfg.Log},
		"nginx":      nginx.Agent{Lease: cfg.Lease},
		"nfsserver":  nfs.NewServer(nfs.Config{Log: cfg.Log}),
		"php-fpm":    phpfpm.Agent{Lease: cfg.Lease},
		"realserver": realserver.New(realserver.Config{Dir: tmp, Attribute: drains(cfg), Lease: cfg.Lease, Log: cfg.Log}),
		"wordpress":  wordpress.New(wordpress.Config{Cluster: versions(cfg)}),
	}
}

// versions is where web nodes tell theirs; a script that runs alone has nobody to tell.
func versions(cfg Config) wordpress.Cluster {
	if cfg.alone {
		return nil
	}
	return record{cfg}
}

// drains is how real servers ask for a drain; a script that runs alone has nobody to ask.
func drains(cfg Config) func(ctx context.Context, op resources.Op, name, value string) error {
	if cfg.alone {
		return nil
	}
	return record{cfg}.Set
}

// Native is the types of the native agents, sorted.
func Native() []string { return slices.Sorted(maps.Keys(natives(Config{}))) }

// director is what the IPVS director needs of the node.
func director(cfg Config) ipvs.Config {
	c, sbin := cfg.OCF, cmp.Or(cfg.OCF.SbinDir, "/usr/sbin")
	return ipvs.Config{
		Dir: c.RscTmp, Score: record{cfg}.scoreLater,
		Feed: []string{filepath.Join(sbin, "crm"), "lvs", "feed"}, FeedEnv: append([]string{"PATH=" + sbin + ":/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}, c.Env...),
	}
}

// quiesce tells the directors of this machine that an address is about to leave.
func quiesce(c ocf.Config) func(context.Context, netip.Addr) {
	return func(ctx context.Context, a netip.Addr) { control.Quiesced(ctx, c.RscTmp, a) }
}

// childEnv names the child process this program is to be.
const childEnv = "SYSTOLE_CHILD"

// RunChild runs this program as one of the small processes native agents
// start, if its environment says so. Every program that uses a Registry or a
// guard calls it first, and exits with the code when ran is true.
func RunChild() (ran bool, code int) {
	switch os.Getenv(childEnv) {
	case guard.ChildName:
		return true, guard.Child()
	case filesystem.ChildName:
		return true, filesystem.Child()
	case httpd.ChildName:
		return true, httpd.Child()
	case ipvs.ChildName:
		return true, ipvs.Child()
	case nfs.ChildName:
		return true, nfs.Child()
	}
	return false, 0
}
