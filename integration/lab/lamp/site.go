package lamp

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"systole/integration/lab"
	"systole/integration/lab/editor"
	"systole/integration/lab/stage"
	"systole/integration/lab/story"
)

// The directories of the site's files; split has what is different in it.
const (
	example = "../../../conf/examples/ha-lamp"
	split   = "../../../conf/examples/ha-lamp-split"
)

// The site's address, and the one by which the machines know the storage pair.
var address, storeAddress = netip.MustParseAddr("10.77.0.100"), netip.MustParseAddr("10.77.0.101")

// site is the machines: six, or eight with PHP on its own.
type site struct {
	story.Site
	examples                      []string // later ones replace files of earlier ones
	readme                        string
	directors, webs, stores, apps []*lab.Node
}

// newSite describes the machines; they have no power yet.
func newSite(l *lab.Lab, examples ...string) (*site, error) {
	s := &site{examples: examples, Site: story.Site{
		Cluster: &stage.Cluster{Lab: l}, Name: "HA LAMP on six machines", Address: address, Inner: []netip.Addr{storeAddress},
		Account: editor.Account{User: "editor"}, Installed: true,
		Services: []story.Service{story.Primary(), story.Mounted("/srv/site"), story.Process("mariadbd"), story.NFSServer(), story.Address(storeAddress)},
	}}
	add := func(part *[]*lab.Node, memory int, modules string, names ...string) {
		for _, name := range names {
			n := l.Node(name)
			n.Memory, n.Modules = memory, strings.Fields(modules)
			*part = append(*part, n)
			s.Nodes = append(s.Nodes, n)
		}
	}
	add(&s.directors, 192, "ip_vs ip_vs_wlc", "director-a", "director-b")
	add(&s.webs, 448, "nfs nfsv4", "web-1", "web-2")
	add(&s.stores, 576, "drbd nfsd", "store-a", "store-b")
	if slices.Contains(examples, split) {
		s.Name = "HA LAMP with PHP on machines of its own"
		add(&s.apps, 448, "nfs nfsv4", "app-1", "app-2")
	}
	for _, n := range slices.Concat(s.webs, s.apps) {
		n.Nice = 5 // PHP
	}
	for _, n := range s.stores {
		disk, err := l.SharedDisk(n.Name+"-site", 160) // shared with nobody: DRBD mirrors it
		if err != nil {
			return nil, err
		}
		n.Disks = []string{disk}
	}
	s.Keepers, s.Repaired, s.Clean = s.stores, s.mirrored, s.clean
	return s, nil
}

// fencing is the lab's power switch in place of the example's fencing.crm.
func (s *site) fencing() string {
	var names []string
	for _, n := range s.Nodes {
		names = append(names, n.Name)
	}
	return fmt.Sprintf(`primitive power stonith:fence_lab params pcmk_host_list=%q op start timeout=60s
property stonith-action=off stonith-timeout=60s
`, strings.Join(names, " "))
}

// quirks make up for what these machines lack: their address space is too small for
// MariaDB's default, DRBD must not ask its makers' server who uses it, and its handlers
// look for our tools where they would be installed.
const quirks = `echo innodb_buffer_pool_size_max=64M >> files/my.cnf
echo 'global { usage-count no; }' > /etc/drbd.d/global_common.conf
ln -sf /lab/bin/cibadmin /lab/bin/crmadmin /lab/bin/crm_attribute /usr/sbin/`

// Build prepares the machines, forms the cluster and brings the site into service, by
// the steps of the README.
func (s *site) Build(ctx context.Context, say func(string, ...any)) error {
	for _, dir := range s.examples {
		text, err := os.ReadFile(filepath.Join(dir, "README.md"))
		if err != nil {
			return err
		}
		s.readme = string(text) + s.readme // the first of two steps of one name is taken
	}
	return stage.Do(ctx, say, []stage.Deed{
		{Name: "machines booted", Do: func(ctx context.Context) error {
			for _, dir := range s.examples {
				if err := s.Hand(dir, s.Nodes...); err != nil {
					return err
				}
			}
			return s.Lab.Boot(ctx)
		}},
		{Name: "machines prepared", Do: func(ctx context.Context) error {
			return errors.Join(
				s.step(ctx, quirks, s.Nodes...),
				s.steps(ctx, "1. The web servers (both)", s.webs...),
				s.steps(ctx, "2. The PHP machines (both)", s.apps...),
				s.steps(ctx, "2. The storage pair (both)", s.stores...))
		}},
		{Name: "cluster formed", Do: s.Form},
		{Name: "fencing configured", Do: func(ctx context.Context) error { return s.Configure(ctx, s.Nodes[0], s.fencing()) }},
		{Name: "data made", Do: func(ctx context.Context) error {
			return s.steps(ctx, "4. The data and the passwords, once in the life of the site", s.stores[0])
		}},
		{Name: "site in service", Do: func(ctx context.Context) error { return s.step(ctx, "crm -w -f site.crm", s.Nodes[0]) }},
		{Name: "password fetched", Do: func(ctx context.Context) error {
			password, err := s.Nodes[0].Run(ctx, "crm", "resource", "secret", "get", "wordpress", "admin_password")
			s.Account.Password = strings.TrimSpace(password)
			return err
		}},
	})
}

// steps runs what the README says below a heading, if there are machines for it.
func (s *site) steps(ctx context.Context, heading string, nodes ...*lab.Node) error {
	if len(nodes) == 0 {
		return nil
	}
	blocks, err := stage.Steps(s.readme, heading)
	if err != nil {
		return err
	}
	return s.step(ctx, strings.Join(blocks, "\n"), nodes...)
}

func (s *site) step(ctx context.Context, script string, nodes ...*lab.Node) error {
	return s.Each(nodes, func(n *lab.Node) error { return stage.Step(ctx, n, script) })
}

// activeStore is where the storage pair's services run.
func (s *site) activeStore(ctx context.Context) (*lab.Node, error) {
	out, err := s.Nodes[0].Run(ctx, "crm", "resource", "locate", "store-ip")
	if err != nil {
		return nil, err
	}
	for _, n := range s.stores {
		if strings.Contains(out, "running on: "+n.Name) {
			return n, nil
		}
	}
	return nil, fmt.Errorf("no machine of the storage pair is active: %s", strings.TrimSpace(out))
}

// mirrored tells whether the mirror is complete.
func (s *site) mirrored(ctx context.Context) error {
	out, err := s.stores[0].Shell(ctx, "grep -o 'ds:[A-Za-z/]*' /proc/drbd")
	if err == nil && strings.TrimSpace(out) != "ds:UpToDate/UpToDate" {
		err = fmt.Errorf("the mirror is not complete: %s", strings.TrimSpace(out))
	}
	return err
}

// clean asks the database and the file system themselves.
func (s *site) clean(ctx context.Context) error {
	store, err := s.activeStore(ctx)
	if err != nil {
		return err
	}
	out, err := store.Shell(ctx, "mariadb-check -S /run/mysqld/site.sock --silent wordpress")
	if out = strings.TrimSpace(out); err != nil || out != "" {
		return fmt.Errorf("database check: %s %w", out, err)
	}
	if _, err := store.Shell(ctx, "crm -w resource stop store && e2fsck -fn /dev/drbd0"); err != nil {
		return fmt.Errorf("file system check: %w", err)
	}
	return nil
}
