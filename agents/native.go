package agents

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"

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
	"systole/agents/process"
	"systole/agents/realserver"
	"systole/agents/route"
	"systole/agents/vip"
	"systole/agents/wordpress"
	"systole/resources"
)

// natives makes the native agents by type.
func natives(cfg Config) map[string]resources.Agent {
	tmp := cmp.Or(cfg.OCF.RscTmp, "/run/resource-agents")
	dummies := dummy.Config{Dir: tmp, Score: scorer(cfg.OCF)}
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
		"ipvs":       ipvs.New(director(cfg.OCF)),
		"mysql":      mysql.Agent{Cluster: record{cfg.OCF}, Log: cfg.Log},
		"nginx":      nginx.Agent{Lease: cfg.Lease},
		"nfsserver":  nfs.NewServer(nfs.Config{Log: cfg.Log}),
		"php-fpm":    phpfpm.Agent{Lease: cfg.Lease},
		"realserver": realserver.New(realserver.Config{Dir: tmp, Attribute: attributes(cfg), Lease: cfg.Lease, Log: cfg.Log}),
		"wordpress":  wordpress.New(wordpress.Config{Cluster: versions(cfg)}),
	}
}

// versions is where web nodes tell theirs; a script that runs alone has nobody to tell.
func versions(cfg Config) wordpress.Cluster {
	if cfg.alone {
		return nil
	}
	return record{cfg.OCF}
}

// Native is the types of the native agents, sorted.
func Native() []string { return slices.Sorted(maps.Keys(natives(Config{}))) }

// scorer sets promotion scores as a script would: with the node's crm_attribute.
func scorer(c ocf.Config) func(context.Context, resources.Op, int) error {
	return func(ctx context.Context, op resources.Op, score int) error {
		args := []string{"--promotion", "-v", strconv.Itoa(score)}
		if score < 0 {
			args = []string{"--promotion", "-D"}
		}
		tool := filepath.Join(cmp.Or(c.SbinDir, "/usr/sbin"), "crm_attribute")
		exit, err := process.Run(ctx, process.Command{Path: tool, Args: args, Env: c.Environ(op)})
		if err == nil && exit.Code != 0 {
			err = fmt.Errorf("%s: exit %d: %s", tool, exit.Code, exit.Text())
		}
		return err
	}
}

// attributes sets transient node attributes as a script would: with the node's
// crm_attribute. A script that runs alone has nobody to tell.
func attributes(cfg Config) func(ctx context.Context, op resources.Op, name, value string) error {
	if cfg.alone {
		return nil
	}
	return func(ctx context.Context, op resources.Op, name, value string) error {
		args := []string{"--lifetime", "reboot", "--name", name}
		if op.Node != "" {
			args = append(args, "--node", op.Node)
		}
		if value == "" {
			args = append(args, "--delete")
		} else {
			args = append(args, "--update", value)
		}
		tool := filepath.Join(cmp.Or(cfg.OCF.SbinDir, "/usr/sbin"), "crm_attribute")
		exit, err := process.Run(ctx, process.Command{Path: tool, Args: args, Env: cfg.OCF.Environ(op)})
		if err == nil && exit.Code != 0 {
			err = fmt.Errorf("%s: exit %d: %s", tool, exit.Code, exit.Text())
		}
		return err
	}
}

// director is what the IPVS director needs of the node.
func director(c ocf.Config) ipvs.Config {
	sbin := cmp.Or(c.SbinDir, "/usr/sbin")
	return ipvs.Config{
		Dir: c.RscTmp, Score: scorer(c),
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
