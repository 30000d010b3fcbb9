package three

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"systole/integration/lab"
	"systole/integration/lab/editor"
	"systole/integration/lab/stage"
	"systole/integration/lab/story"
)

// The example, and the one whose files it uses too.
const (
	example = "../../../conf/examples/ha-lamp-three"
	sixFold = "../../../conf/examples/ha-lamp"
)

// Headings of the README: the steps of all variants.
const (
	machines         = "1. The machines (all three)"
	diskAndPasswords = "3. The disk and the passwords, once in the life of the site"
)

// site is the three machines of a variant.
type site struct {
	story.Site
	variant
}

// newSite describes the machines; they have no power yet.
func newSite(l *lab.Lab, v variant) (*site, error) {
	if d, err := time.ParseDuration(os.Getenv("SYSTOLE_LAB_DETECT")); err == nil {
		v.detect = d
	}
	s := &site{variant: v, Site: story.Site{
		Cluster: &stage.Cluster{Lab: l, DetectWithin: v.detect}, Name: "HA LAMP on three machines, " + v.title, Address: address, Inner: v.inner,
		Account: editor.Account{User: "editor"}, Installed: true, Services: v.services,
	}}
	disk, err := l.SharedDisk("site", 192)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"n1", "n2", "n3"} {
		n := l.Node(name)
		n.Memory, n.Modules, n.Disks = 768, strings.Fields("ip_vs ip_vs_wlc nfs nfsv4 nfsd"), []string{disk}
		if err := n.WithDisk(512); err != nil {
			return nil, err
		}
		s.Nodes = append(s.Nodes, n)
	}
	s.Keepers, s.Clean = s.Nodes, s.sound
	return s, nil
}

// fencing is the lab's power switch in place of the example's stonith.crm.
const fencing = `primitive power stonith:fence_lab \
	params pcmk_host_list="n1 n2 n3" \
	op start timeout=60s
property stonith-action=off stonith-timeout=60s
`

// quirks: the address space of these machines is too small for MariaDB's default.
const quirks = "for f in files/my*.cnf; do echo innodb_buffer_pool_size_max=64M >> $f; done\n"

// Build prepares the machines, forms the cluster and brings the site into service, by
// the steps of the README.
func (s *site) Build(ctx context.Context, say func(string, ...any)) error {
	text, err := os.ReadFile(filepath.Join(example, "README.md"))
	if err != nil {
		return err
	}
	first, all := s.Nodes[:1], s.Nodes
	steps := func(on []*lab.Node, headings ...string) func(context.Context) error {
		return func(ctx context.Context) error { return s.steps(ctx, string(text), on, headings...) }
	}
	return stage.Do(ctx, say, []stage.Deed{
		{Name: "machines booted", Do: func(ctx context.Context) error {
			return errors.Join(s.Hand(sixFold, all...), s.Hand(example, all...), s.Lab.Boot(ctx))
		}},
		{Name: "quirks", Do: func(ctx context.Context) error { return s.step(ctx, all, quirks+s.quirks) }},
		{Name: "machines prepared", Do: steps(all, machines)},
		{Name: "cluster formed", Do: s.Form},
		{Name: "fencing configured", Do: func(ctx context.Context) error { return s.Configure(ctx, s.Nodes[0], fencing+s.limits) }},
		{Name: "disk and passwords made", Do: steps(first, diskAndPasswords)},
		{Name: "variant prepared", Do: steps(all, s.further...)},
		{Name: "database made", Do: steps(first, s.making...)},
		{Name: "site in service", Do: func(ctx context.Context) error { return s.step(ctx, first, "crm -w -f "+s.config) }},
		{Name: "password fetched", Do: func(ctx context.Context) error {
			password, err := s.Nodes[0].Run(ctx, "crm", "resource", "secret", "get", "wordpress", "admin_password")
			s.Account.Password = strings.TrimSpace(password)
			return err
		}},
	})
}

// steps runs what the README says below some headings.
func (s *site) steps(ctx context.Context, readme string, on []*lab.Node, headings ...string) error {
	for _, h := range headings {
		blocks, err := stage.Steps(readme, h)
		if err != nil {
			return err
		}
		if err := s.step(ctx, on, strings.Join(blocks, "\n")); err != nil {
			return err
		}
	}
	return nil
}

func (s *site) step(ctx context.Context, on []*lab.Node, script string) error {
	return s.Each(on, func(n *lab.Node) error { return stage.Step(ctx, n, script) })
}

// database checks the tables of the database a machine runs, if it does, and prints what
// they hold in short. What does not answer shows what it is busy with.
const database = `pidof mariadbd >/run/null || exit 0
check=$(timeout 60 mariadb-check -S /run/mysqld/site.sock --silent wordpress) && test -z "$check" ||
	{ echo "$check" >&2; mariadb -S /run/mysqld/site.sock -t -e 'SHOW FULL PROCESSLIST; SHOW STATUS LIKE "Rpl_semi%"' >&2; exit 1; }
mariadb -S /run/mysqld/site.sock -N -e 'CHECKSUM TABLE wp_posts, wp_postmeta, wp_comments' wordpress`

// sound asks the databases and the file system themselves. Nobody writes any more, so
// databases are alike as soon as replication is done.
func (s *site) sound(ctx context.Context) error {
	for {
		contents := map[string][]string{}
		for _, n := range s.Nodes {
			out, err := n.Shell(ctx, database)
			if err != nil {
				return fmt.Errorf("database of %s: %w", n.Name, err)
			}
			if out != "" {
				contents[out] = append(contents[out], n.Name)
			}
		}
		if len(contents) == 1 {
			break
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the databases are not alike: %v: %w", contents, context.Cause(ctx))
		case <-time.After(time.Second):
		}
	}
	if _, err := s.Nodes[0].Shell(ctx, "crm -w resource stop store && e2fsck -fn /dev/ubdb"); err != nil {
		return fmt.Errorf("file system check: %w", err)
	}
	return nil
}
