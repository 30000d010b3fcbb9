package lamp

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"systole/integration/lab"
	"systole/integration/lab/stage"
)

// example is the directory of the site's files.
const example = "../../../conf/examples/ha-lamp"

// address is the site's; the machines know the storage pair by the next one.
const address = "10.77.0.100"

// site is the six machines.
type site struct {
	*stage.Cluster
	directors, webs, stores []*lab.Node
}

// newSite describes the machines; they have no power yet.
func newSite(l *lab.Lab) (*site, error) {
	s := &site{Cluster: &stage.Cluster{Lab: l}}
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
	for _, n := range s.stores {
		disk, err := l.SharedDisk(n.Name+"-site", 160) // shared with nobody: DRBD mirrors it
		if err != nil {
			return nil, err
		}
		n.Disks = []string{disk}
		n.Kernel = []string{"drbd.usermode_helper=/bin/true"}
	}
	return s, nil
}

// fencing is the lab's power switch in place of the example's fencing.crm.
const fencing = `primitive power stonith:fence_lab \
	params pcmk_host_list="director-a director-b web-1 web-2 store-a store-b" \
	op start timeout=60s
property stonith-action=off stonith-timeout=60s
`

// steps are what the example's README has the administrator do on the machines of a
// part before the cluster is formed.
var steps = map[string]string{
	"web": `install -D -m 644 files/nginx.conf /etc/systole/site/nginx.conf
install -D -m 644 files/php-fpm.conf /etc/systole/site/php-fpm.conf
cp -rL /usr/share/wordpress /srv/wordpress
install -D -m 640 -g www-data files/wp-config.php /srv/wordpress/wp-config.php
mkdir -p /srv/wordpress/wp-content/uploads /var/cache/nginx-site
install -D -m 640 -g www-data files/wp-secrets.php /etc/systole/site/wp-secrets.php`,
	"store": `install -D -m 644 files/my.cnf /etc/systole/site/my.cnf
install -D -m 644 files/site.res /etc/drbd.d/site.res
mkdir -p /srv/site
drbdadm create-md --force site && drbdadm up site`,
}

// firstData makes the file system and the database, on one machine of the storage pair.
const firstData = `drbdadm -- --clear-bitmap new-current-uuid site && drbdadm primary site
mkfs.ext4 -q /dev/drbd0 && mount /dev/drbd0 /srv/site
mkdir -p /srv/site/nfs && install -d -o www-data -g www-data /srv/site/uploads && install -d -o mysql -g mysql /srv/site/mysql
mariadb-install-db --defaults-file=/etc/systole/site/my.cnf --auth-root-authentication-method=socket --skip-test-db
umount /srv/site && drbdadm secondary site`

// lab makes up for what these machines lack: their address space is too small for
// MariaDB's default, and DRBD must not ask its makers' server who uses it.
const quirks = `echo innodb_buffer_pool_size_max=64M >> files/my.cnf
echo 'global { usage-count no; }' > /etc/drbd.d/global_common.conf`

// Build prepares the machines, forms the cluster and brings the site into service.
func (s *site) Build(ctx context.Context, say func(string, ...any)) error {
	began := time.Now()
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"machines prepared", s.prepare},
		{"file system and database made", func(ctx context.Context) error {
			_, err := s.stores[0].Shell(ctx, firstData)
			return err
		}},
		{"cluster formed", s.Cluster.Form},
		{"fencing configured", func(ctx context.Context) error { return s.Configure(ctx, s.Nodes[0], fencing) }},
		{"site configured", s.configure},
		{"database and user created", s.createDatabase},
	} {
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
		say("%6.1f s  %s", time.Since(began).Seconds(), step.name)
	}
	return nil
}

// configure runs the example's script as an administrator does and waits until all is done.
func (s *site) configure(ctx context.Context) error {
	text, err := os.ReadFile(filepath.Join(example, "site.crm"))
	if err != nil {
		return err
	}
	on := s.Nodes[0]
	file, err := on.Write("site.crm", string(text), 0o644)
	if err != nil {
		return err
	}
	_, err = on.Run(ctx, "crm", "-w", "-f", file)
	return err
}

// createDatabase is done on the active machine of the storage pair.
func (s *site) createDatabase(ctx context.Context) error {
	n, err := s.activeStore(ctx)
	if err != nil {
		return err
	}
	_, err = n.Feed(ctx, createDatabase, "mariadb", "-S", "/run/mysqld/site.sock")
	return err
}

const createDatabase = `CREATE DATABASE wordpress;
CREATE USER wordpress@'10.77.0.%' IDENTIFIED BY 'written-in-a-secret-file';
GRANT ALL ON wordpress.* TO wordpress@'10.77.0.%';`

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

// prepare brings the example's files to the machines and does what its README says.
func (s *site) prepare(ctx context.Context) error {
	files, err := os.ReadDir(filepath.Join(example, "files"))
	if err != nil {
		return err
	}
	if err := s.Lab.Boot(ctx); err != nil {
		return err
	}
	return s.each(s.Nodes, func(n *lab.Node) error {
		part, _, _ := strings.Cut(n.Name, "-")
		for _, f := range files {
			text, err := os.ReadFile(filepath.Join(example, "files", f.Name()))
			if err != nil {
				return err
			}
			if _, err := n.Write("files/"+f.Name(), string(text), 0o644); err != nil {
				return err
			}
		}
		_, err := n.Shell(ctx, "set -e; cd /lab/"+n.Name+"\n"+quirks+"\n"+steps[part]) // a director needs none
		return err
	})
}

// each does the same on several machines at once and returns the first error.
func (s *site) each(nodes []*lab.Node, do func(*lab.Node) error) error {
	errs := make(chan error, len(nodes))
	for _, n := range nodes {
		go func() {
			began := time.Now()
			err := do(n)
			if err != nil {
				err = fmt.Errorf("%s after %v: %w", n.Name, time.Since(began).Round(time.Millisecond), err)
			}
			errs <- err
		}()
	}
	var first error
	for range nodes {
		if err := <-errs; err != nil && first == nil {
			first = err
		}
	}
	return first
}
