package wordpress

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	driver "github.com/go-sql-driver/mysql"

	"systole/agents/process"
)

// database is the site's.
type database struct{ host, name, user, password, prefix string }

// askWithin bounds one question.
const askWithin = 5 * time.Second

// localSockets are where "localhost" is, as in PHP.
var localSockets = []string{"/run/mysqld/mysqld.sock", "/var/lib/mysql/mysql.sock"}

// address understands DB_HOST as WordPress does.
func (d database) address() (network, addr string) {
	host, rest, ok := strings.Cut(d.host, ":")
	switch {
	case ok && strings.HasPrefix(rest, "/"):
		return "unix", rest
	case strings.Count(d.host, ":") > 1 && !strings.HasPrefix(d.host, "["): // an IPv6 address
		return "tcp", net.JoinHostPort(d.host, "3306")
	case ok:
		return "tcp", d.host
	case host == "localhost":
		for _, s := range localSockets {
			if _, err := os.Stat(s); err == nil {
				return "unix", s
			}
		}
	}
	return "tcp", net.JoinHostPort(host, "3306")
}

func (d database) open() (*sql.DB, error) {
	cfg := driver.NewConfig()
	cfg.Net, cfg.Addr = d.address()
	cfg.User, cfg.Passwd, cfg.DBName = d.user, d.password, d.name
	cfg.Timeout = askWithin
	cfg.Logger = quiet{}
	connector, err := driver.NewConnector(cfg)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(1) // the lock belongs to a connection
	return db, nil
}

// quiet drops the driver's own log: errors are returned.
type quiet struct{}

func (quiet) Print(...any) {}

// ask sees whether the database answers.
func (d database) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	db, err := d.open()
	if err != nil {
		return err
	}
	defer db.Close()
	var one int
	return db.QueryRowContext(ctx, "SELECT 1").Scan(&one)
}

// hasSite tells whether the site is installed in it.
func (d database) hasSite(ctx context.Context, db *sql.DB) (bool, error) {
	var n int
	err := db.QueryRowContext(ctx, "SELECT COUNT(*) FROM `"+d.prefix+"options` WHERE option_name = 'siteurl'").Scan(&n)
	if e, ok := errors.AsType[*driver.MySQLError](err); ok && e.Number == 1146 { // no such table
		return false, nil
	}
	return n > 0, err
}

// installed sees that the site is in the database, and installs it if that is
// wished. A lock in the database lets one node do it while the others wait.
func (s site) installed(ctx context.Context) error {
	db, err := s.db.open()
	if err != nil {
		return err
	}
	defer db.Close()
	has, err := s.db.hasSite(ctx, db)
	switch {
	case err != nil:
		return fmt.Errorf("database: %w", err)
	case has:
		return nil
	case !s.install:
		return fmt.Errorf("database %s has no site: install it, or set install=true", s.db.name)
	}
	lock := "systole." + s.db.name + "." + s.db.prefix
	var got sql.NullInt64
	wait := 0
	if end, ok := ctx.Deadline(); ok {
		wait = int(time.Until(end).Seconds())
	}
	if err := db.QueryRowContext(ctx, "SELECT GET_LOCK(?, ?)", lock[:min(len(lock), 64)], wait).Scan(&got); err != nil {
		return fmt.Errorf("database: %w", err)
	}
	if got.Int64 != 1 {
		return errors.New("another node is installing the site and has not finished in time")
	}
	if has, err = s.db.hasSite(ctx, db); err != nil || has { // another node did it
		return err
	}
	return s.runInstaller(ctx)
}

// installer is run by PHP's command line as the site's user. All values come by
// the environment: secrets stand in no command line.
const installer = `<?php
$e = function ($name) { return (string) getenv('SITE_' . $name); };
if (posix_getuid() === 0) { posix_setgid((int) $e('GID')); posix_setuid((int) $e('UID')); }
$password = $e('PASSWORD');
putenv('SITE_PASSWORD');
$_SERVER['HTTP_HOST'] = $_SERVER['SERVER_NAME'] = $e('HOST');
$_SERVER['REQUEST_METHOD'] = 'GET';
$_SERVER['REQUEST_URI'] = '/wp-admin/install.php';
define('WP_INSTALLING', true);
require $e('ROOT') . '/wp-load.php';
require ABSPATH . 'wp-admin/includes/upgrade.php';
if (!function_exists('wp_mail')) { function wp_mail() { return true; } }
add_filter('pre_wp_mail', '__return_true');
wp_install($e('TITLE'), $e('ADMIN'), $e('EMAIL'), true, '', $password);
echo is_blog_installed() ? 'installed' : 'not installed';
`

func (s site) runInstaller(ctx context.Context) error {
	uid, gid, err := s.ids()
	if err != nil {
		return err
	}
	exit, err := process.Run(ctx, process.Command{Path: s.php, Stdin: []byte(installer), Dir: s.docroot, Env: []string{
		"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C", "SITE_ROOT=" + s.docroot, "SITE_HOST=" + s.url.Host, "SITE_TITLE=" + s.title,
		"SITE_ADMIN=" + s.adminUser, "SITE_EMAIL=" + s.adminEmail, "SITE_PASSWORD=" + s.adminPassword,
		"SITE_UID=" + strconv.Itoa(uid), "SITE_GID=" + strconv.Itoa(gid),
	}})
	if err != nil {
		return fmt.Errorf("install the site: %w", err)
	}
	if out := strings.TrimSpace(string(exit.Stdout)); exit.Code != 0 || out != "installed" {
		said := strings.ReplaceAll(out+" "+strings.TrimSpace(string(exit.Stderr)), s.adminPassword, "(secret)")
		return fmt.Errorf("install the site: %s: exit %d: %s", s.php, exit.Code, strings.ToValidUTF8(said[:min(len(said), 500)], "?"))
	}
	return nil
}
