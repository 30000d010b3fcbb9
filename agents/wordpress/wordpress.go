// Package wordpress is the agent ocf:systole:wordpress: it makes a node able to
// serve a site, and says whether it is.
//
// An instance is active while its secret file below /run is there: without it
// the configuration cannot reach the database, and no page is served. There is
// no other state.
package wordpress

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"systole/agents/internal/ocferr"
	"systole/resources"
)

// Cluster is what instances say to each other.
type Cluster interface {
	// Set sets a transient attribute of this node.
	Set(ctx context.Context, op resources.Op, name, value string) error
	// Transient are the transient attributes of all nodes, by node and name.
	Transient(ctx context.Context, op resources.Op) (map[string]map[string]string, error)
}

// Config is what the agent needs of the node.
type Config struct {
	// RunDir is for secret files; default /run/systole-wordpress.
	RunDir string
	// Cluster may be nil: then versions are not compared.
	Cluster Cluster
}

// Agent has no state and is safe for concurrent use.
type Agent struct{ cfg Config }

// New makes the agent.
func New(cfg Config) Agent {
	cfg.RunDir = cmp.Or(cfg.RunDir, "/run/systole-wordpress")
	return Agent{cfg}
}

// MetaData is the OCF document.
func (Agent) MetaData(context.Context) ([]byte, error) { return Metadata.XML(), nil }

// site is one instance as configured.
type site struct {
	docroot, contentDir, uploads, config string
	url                                  *url.URL
	db                                   database
	authSecret                           string
	user, group                          string
	fpm, address                         string
	post                                 string
	postRegex                            *regexp.Regexp
	install                              bool
	title, adminUser, adminPassword      string
	adminEmail, php                      string

	secretFile string // there while the instance is active
	name       string
}

// read works out what is configured.
func (a Agent) read(op resources.Op) (site, error) {
	v, err := Metadata.Resolve(op.Params)
	if err != nil {
		return site{}, ocferr.With(resources.ErrConfigured, err)
	}
	s := site{
		docroot: v.String("docroot"), user: v.String("user"), group: v.String("group"), fpm: v.String("fpm"), address: v.String("address"),
		db:         database{v.String("db_host"), v.String("db_name"), v.String("db_user"), v.String("db_password"), v.String("table_prefix")},
		authSecret: cmp.Or(v.String("auth_secret"), v.String("db_password")), post: v.String("post"),
		install: v.Bool("install"), title: v.String("title"), adminUser: v.String("admin_user"),
		adminPassword: v.String("admin_password"), adminEmail: v.String("admin_email"), php: v.String("php"),
		name: cmp.Or(op.Instance, op.Resource),
	}
	s.contentDir = cmp.Or(v.String("content_dir"), filepath.Join(s.docroot, "wp-content"))
	s.uploads = cmp.Or(v.String("uploads"), filepath.Join(s.contentDir, "uploads"))
	s.config = cmp.Or(v.String("config"), filepath.Join(s.docroot, "wp-config.php"))
	s.secretFile = filepath.Join(a.cfg.RunDir, strings.NewReplacer("/", "_", ":", "_").Replace(s.name)+".php")
	var errs []error
	if s.postRegex, err = regexp.Compile(v.String("post_regex")); err != nil {
		errs = append(errs, fmt.Errorf("parameter post_regex of wordpress: %w", err))
	}
	if s.url, err = url.Parse(v.String("url")); err != nil || s.url.Host == "" || (s.url.Scheme != "http" && s.url.Scheme != "https") {
		errs = append(errs, fmt.Errorf("parameter url of wordpress: %q is no address of a site; write it like http://blog.example.org", v.String("url")))
	}
	if !tablePrefix.MatchString(s.db.prefix) {
		errs = append(errs, fmt.Errorf("parameter table_prefix of wordpress: %q: use letters, digits and underscores", s.db.prefix))
	}
	if s.fpm != "" && s.address != "" {
		errs = append(errs, errors.New("parameters fpm and address of wordpress: set one of them"))
	}
	if s.install && s.adminPassword == "" && op.Action == resources.ActionStart {
		errs = append(errs, errors.New("parameter admin_password of wordpress is needed to install: set it (crm resource secret set)"))
	}
	if len(errs) > 0 {
		return s, ocferr.With(resources.ErrConfigured, errors.Join(errs...))
	}
	return s, nil
}

var tablePrefix = regexp.MustCompile(`^[A-Za-z0-9_]+$`)

// Execute runs one operation.
func (a Agent) Execute(ctx context.Context, op resources.Op) resources.Result {
	s, err := a.read(op)
	if err != nil {
		return ocferr.Absent(op, err)
	}
	switch op.Action {
	case resources.ActionStart:
		if err = s.start(ctx); err == nil {
			err = a.announce(ctx, op, s)
		}
	case resources.ActionStop:
		err = s.stop()
	case resources.ActionMonitor, "status":
		return a.monitor(ctx, op, s)
	case resources.ActionValidateAll:
		_, err = s.version()
	default:
		err = ocferr.Errorf(resources.ErrUnimplemented, "wordpress has no action %s", op.Action)
	}
	return ocferr.Result(ctx, err)
}

func (s site) active() bool {
	_, err := os.Stat(s.secretFile)
	return err == nil
}

func (s site) start(ctx context.Context) error {
	if _, err := s.version(); err != nil {
		return err
	}
	if err := s.configure(); err != nil {
		return err
	}
	err := s.ready(ctx)
	if err != nil {
		return errors.Join(err, s.stop()) // a site that does not work is not served
	}
	return nil
}

// ready waits until the site works on this node, as long as ctx allows.
func (s site) ready(ctx context.Context) error {
	if err := s.writable(); err != nil {
		return err
	}
	if err := await(ctx, s.db.ask); err != nil {
		return fmt.Errorf("database: %w", err)
	}
	if err := s.installed(ctx); err != nil {
		return err
	}
	return await(ctx, s.renders)
}

const pollInterval = 250 * time.Millisecond

func await(ctx context.Context, f func(context.Context) error) error {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		err := f(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}

func (s site) stop() error {
	if err := os.Remove(s.secretFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("secret file of wordpress: %w", err)
	}
	return nil
}

// monitor fails for what a restart, or another node, could mend. Where the
// whole site is concerned it says degraded.
func (a Agent) monitor(ctx context.Context, op resources.Op, s site) resources.Result {
	if !s.active() {
		return resources.Result{Code: resources.NotRunning, Reason: "no secret file " + s.secretFile}
	}
	if _, err := s.version(); err != nil {
		return ocferr.Result(ctx, ocferr.With(resources.ErrGeneric, err))
	}
	if current, err := s.configured(); err != nil || !current {
		return ocferr.Result(ctx, errors.Join(fmt.Errorf("%s is not as configured", s.config), err))
	}
	if err := s.writable(); err != nil {
		return ocferr.Result(ctx, err)
	}
	if op.IsProbe() {
		return resources.Result{}
	}
	if err := s.db.ask(ctx); err != nil {
		return resources.Result{Code: resources.Degraded, Reason: "database: " + err.Error()}
	}
	if op.CheckLevel >= 10 {
		if err := s.renders(ctx); err != nil {
			if dbErr := s.db.ask(ctx); dbErr != nil { // it went away meanwhile
				return resources.Result{Code: resources.Degraded, Reason: "database: " + dbErr.Error()}
			}
			return ocferr.Result(ctx, err)
		}
	}
	return ocferr.Result(ctx, a.announce(ctx, op, s))
}

// versionAttr is the node attribute with the version of the site's files.
func (s site) versionAttr() string { return s.name + "-version" }

// announce tells the others the version here, and notices other ones there: a
// site of two versions is degraded, and mended by finishing the upgrade.
func (a Agent) announce(ctx context.Context, op resources.Op, s site) error {
	if a.cfg.Cluster == nil || op.Node == "" {
		return nil
	}
	here, err := s.version()
	if err != nil {
		return err
	}
	all, err := a.cfg.Cluster.Transient(ctx, op)
	if err != nil {
		return err
	}
	if all[op.Node][s.versionAttr()] != here {
		if err := a.cfg.Cluster.Set(ctx, op, s.versionAttr(), here); err != nil {
			return err
		}
	}
	var others []string
	for node, attrs := range all {
		if v := attrs[s.versionAttr()]; node != op.Node && v != "" && v != here {
			others = append(others, node+" has "+v)
		}
	}
	if len(others) > 0 && op.Action == resources.ActionMonitor {
		slices.Sort(others)
		return ocferr.Errorf(resources.Degraded, "WordPress %s is here, %s: bring all nodes to one version", here, strings.Join(others, ", "))
	}
	return nil
}

// versionLine is in wp-includes/version.php.
var versionLine = regexp.MustCompile(`(?m)^\$wp_version\s*=\s*['"]([^'"]+)['"]`)

// version is that of the site's files here.
func (s site) version() (string, error) {
	text, err := os.ReadFile(filepath.Join(s.docroot, "wp-includes/version.php"))
	if err != nil {
		return "", ocferr.Errorf(resources.ErrInstalled, "site files: %w; is WordPress installed, is its file system mounted?", err)
	}
	m := versionLine.FindSubmatch(text)
	if m == nil {
		return "", ocferr.Errorf(resources.ErrInstalled, "%s/wp-includes/version.php names no version", s.docroot)
	}
	return string(m[1]), nil
}

// ids are the numbers of user and group.
func (s site) ids() (uid, gid int, err error) {
	u, err := user.Lookup(s.user)
	if err != nil {
		return 0, 0, ocferr.Errorf(resources.ErrInstalled, "parameter user of wordpress: %w", err)
	}
	g, err := user.LookupGroup(s.group)
	if err != nil {
		return 0, 0, ocferr.Errorf(resources.ErrInstalled, "parameter group of wordpress: %w", err)
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(g.Gid)
	return uid, gid, errors.Join(err1, err2)
}
