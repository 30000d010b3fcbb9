package wordpress

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"systole/resources"
)

// world is a real site in a directory of the test: MariaDB, php-fpm, WordPress's files.
type world struct {
	t         *testing.T
	dir       string
	params    map[string]string
	fpmSocket string
	db        *exec.Cmd
}

const source = "/usr/share/wordpress"

func needs(t *testing.T, paths ...string) {
	t.Helper()
	for _, p := range paths {
		if found, _ := filepath.Glob(p); len(found) == 0 {
			t.Skip("needs wordpress, mariadb-server, php-fpm, php-cli, php-mysql: no ", p)
		}
	}
	if os.Getuid() != 0 {
		t.Skip("needs root: files belong to www-data")
	}
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// started starts a program that ends with the test.
func started(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(name, args...)
	must(t, cmd.Start())
	t.Cleanup(func() { cmd.Process.Signal(syscall.SIGTERM); cmd.Wait() }) // not KILL: its workers must go too
	return cmd
}

// eventually asks until it is so, as long as the test may run.
func eventually(t *testing.T, what string, f func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	if err := await(ctx, func(context.Context) error { return f() }); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func newWorld(t *testing.T) *world {
	t.Helper()
	needs(t, source+"/wp-load.php", "/usr/sbin/mariadbd", "/usr/bin/mariadb-install-db", "/usr/sbin/php-fpm*", "/usr/bin/php", "/usr/lib/php/*/mysqli.so")
	dir, err := os.MkdirTemp("", "wp") // a short name: socket paths are bounded
	must(t, err)
	must(t, os.Chmod(dir, 0o755))
	t.Cleanup(func() { os.RemoveAll(dir) })
	t.Setenv("TMPDIR", dir) // a server that starts removes what others have begun in the directory it shares with them
	w := &world{t: t, dir: dir, fpmSocket: filepath.Join(dir, "fpm.sock")}
	w.params = map[string]string{
		"docroot": filepath.Join(dir, "site"), "url": "http://blog.example", "db_host": "localhost:" + filepath.Join(dir, "db.sock"),
		"db_password": `it's a \secret`, "fpm": w.fpmSocket, "post": "1", "post_regex": "Hello world!",
		"install": "true", "title": "A blog", "admin_password": "another secret", "admin_email": "admin@blog.example",
	}
	w.files()
	w.startDatabase()
	w.sql("CREATE DATABASE wordpress", `CREATE USER wordpress@localhost IDENTIFIED BY 'it\'s a \\secret'`, "GRANT ALL ON wordpress.* TO wordpress@localhost")
	w.startPHP()
	return w
}

// files makes a document root: the scripts are copied, what they include is linked.
func (w *world) files() {
	root := w.params["docroot"]
	must(w.t, os.MkdirAll(filepath.Join(root, "wp-content/uploads"), 0o755))
	must(w.t, exec.Command("chown", "-R", "www-data:www-data", filepath.Join(root, "wp-content/uploads")).Run())
	scripts, _ := filepath.Glob(source + "/*.php")
	for _, s := range scripts {
		if filepath.Base(s) == "wp-config.php" {
			continue // Debian's
		}
		b, err := os.ReadFile(s)
		must(w.t, err, os.WriteFile(filepath.Join(root, filepath.Base(s)), b, 0o644))
	}
	must(w.t, os.Symlink(source+"/wp-admin", filepath.Join(root, "wp-admin")), os.Symlink(source+"/wp-content/themes", filepath.Join(root, "wp-content/themes")))
	must(w.t, exec.Command("cp", "-rs", source+"/wp-includes", root).Run()) // links, so that one file can differ
}

func (w *world) startDatabase() {
	data := filepath.Join(w.dir, "data")
	if _, err := os.Stat(data); err != nil {
		out, err := exec.Command("mariadb-install-db", "--no-defaults", "--datadir="+data, "--user=root", "--skip-test-db", "--innodb-log-file-size=8M").CombinedOutput()
		if err != nil {
			w.t.Fatalf("%v: %s", err, out)
		}
	}
	w.db = started(w.t, "/usr/sbin/mariadbd", "--no-defaults", "--datadir="+data, "--user=root", "--skip-networking", "--innodb-log-file-size=8M",
		"--socket="+filepath.Join(w.dir, "db.sock"), "--pid-file="+filepath.Join(w.dir, "db.pid"), "--log-error="+filepath.Join(w.dir, "db.err"))
	eventually(w.t, "database", func() error { return w.admin().Ping() })
}

func (w *world) stopDatabase() { w.db.Process.Kill(); w.db.Wait() }

// admin is root's connection.
func (w *world) admin() *sql.DB {
	db, err := database{host: "localhost:" + filepath.Join(w.dir, "db.sock"), user: "root"}.open()
	must(w.t, err)
	w.t.Cleanup(func() { db.Close() })
	return db
}

func (w *world) sql(statements ...string) {
	w.t.Helper()
	for _, s := range statements {
		_, err := w.admin().Exec(s)
		must(w.t, err)
	}
}

func (w *world) startPHP() {
	programs, _ := filepath.Glob("/usr/sbin/php-fpm*")
	conf := filepath.Join(w.dir, "fpm.conf")
	must(w.t, os.WriteFile(conf, fmt.Appendf(nil, "[global]\nerror_log = %[1]s/fpm.log\n[www]\nuser = www-data\ngroup = www-data\nlisten = %[1]s/fpm.sock\npm = static\npm.max_children = 2\n", w.dir), 0o644))
	started(w.t, programs[0], "-F", "-y", conf)
	eventually(w.t, "php-fpm", func() error {
		c, err := net.Dial("unix", w.fpmSocket)
		if err == nil {
			c.Close()
		}
		return err
	})
}

// cluster is the other nodes' attributes.
type cluster struct {
	mu   sync.Mutex
	attr map[string]map[string]string
}

func (c *cluster) Set(_ context.Context, op resources.Op, name, value string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.attr[op.Node] = map[string]string{name: value}
	return nil
}

func (c *cluster) Transient(context.Context, resources.Op) (map[string]map[string]string, error) {
	return c.attr, nil
}

// do runs an operation and demands a code.
func (w *world) do(a Agent, action resources.Action, level int, want resources.Code) resources.Result {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 60*time.Second)
	defer cancel()
	op := resources.Op{Resource: "site", Instance: "site", Node: "web-1", Action: action, Params: w.params, CheckLevel: level}
	if action == resources.ActionMonitor {
		op.Interval = time.Second
	}
	res := a.Execute(ctx, op)
	if res.Code != want {
		w.t.Fatalf("%s of level %d = %d (%s), want %d", action, level, res.Code, res.Reason, want)
	}
	for _, secret := range []string{w.params["db_password"], w.params["admin_password"]} {
		if strings.Contains(res.Reason+res.Output, secret) {
			w.t.Errorf("%s tells a secret: %q", action, res.Reason)
		}
	}
	return res
}

func (w *world) agent(node string) (Agent, *cluster) {
	c := &cluster{attr: map[string]map[string]string{}}
	return New(Config{RunDir: filepath.Join(w.dir, "run-"+node), Cluster: c}), c
}

func TestSite(t *testing.T) {
	w := newWorld(t)
	a, c := w.agent("a")
	w.do(a, resources.ActionMonitor, 0, resources.NotRunning)
	w.do(a, resources.ActionStop, 0, resources.OK)
	w.do(a, resources.ActionStart, 0, resources.OK)
	w.do(a, resources.ActionStart, 0, resources.OK)
	w.do(a, resources.ActionMonitor, 0, resources.OK)
	w.do(a, resources.ActionMonitor, 10, resources.OK)

	config := filepath.Join(w.params["docroot"], "wp-config.php")
	if b, err := os.ReadFile(config); err != nil || strings.Contains(string(b), "secret'") {
		t.Errorf("the configuration has the password, or %v", err)
	}
	secret := filepath.Join(w.dir, "run-a/site.php")
	if info, err := os.Stat(secret); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("secret file: %v, %v", info, err)
	}

	// An upgrade that has reached this node only.
	c.attr["web-2"] = map[string]string{"site-version": "1.0"}
	if res := w.do(a, resources.ActionMonitor, 0, resources.Degraded); !strings.Contains(res.Reason, "web-2 has 1.0") {
		t.Errorf("reason %q", res.Reason)
	}
	delete(c.attr, "web-2")

	// Uploads that PHP cannot write, though root can.
	uploads := filepath.Join(w.params["docroot"], "wp-content/uploads")
	must(t, os.Chown(uploads, 0, 0))
	w.do(a, resources.ActionMonitor, 0, resources.ErrGeneric)
	must(t, exec.Command("chown", "www-data", uploads).Run())

	// A page that fails, and one that says something else.
	w.params["post_regex"] = "Another world"
	w.do(a, resources.ActionMonitor, 10, resources.ErrGeneric)
	w.params["post_regex"], w.params["post"] = "", "4711"
	if res := w.do(a, resources.ActionMonitor, 10, resources.ErrGeneric); !strings.Contains(res.Reason, "404") {
		t.Errorf("reason %q", res.Reason)
	}
	w.params["post"] = "1"

	w.stopDatabase()
	w.do(a, resources.ActionMonitor, 10, resources.Degraded)
	w.startDatabase()
	w.do(a, resources.ActionMonitor, 10, resources.OK)

	must(t, os.WriteFile(config, []byte("<?php // by hand"), 0o644))
	w.do(a, resources.ActionMonitor, 0, resources.ErrGeneric)
	w.do(a, resources.ActionStop, 0, resources.OK)
	if _, err := os.Stat(secret); !errors.Is(err, fs.ErrNotExist) {
		t.Error("the secret file is still there:", err)
	}
	if res := w.do(a, resources.ActionStart, 0, resources.ErrInstalled); !strings.Contains(res.Reason, "not written by this agent") {
		t.Errorf("reason %q", res.Reason)
	}
}

// Two nodes that start at once install the site once.
func TestInstalledOnce(t *testing.T) {
	w := newWorld(t)
	w.params["fpm"], w.params["post"] = "", "" // two secret files, and one configuration: pages are TestSite's
	var sites []site
	for _, node := range []string{"a", "b"} {
		a, _ := w.agent(node)
		w.params["config"] = filepath.Join(w.dir, node+".php")
		s, err := a.read(resources.Op{Resource: "site", Params: w.params})
		must(t, err, s.configure())
		sites = append(sites, s)
	}
	// PHP's command line reads the configuration below docroot.
	must(t, os.WriteFile(filepath.Join(w.params["docroot"], "wp-config.php"),
		fmt.Appendf(nil, "<?php require '%s'; define('ABSPATH', __DIR__ . '/'); require_once ABSPATH . 'wp-settings.php';", sites[0].config), 0o644))
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	var wait sync.WaitGroup
	for _, s := range sites {
		wait.Go(func() {
			if err := s.ready(ctx); err != nil {
				t.Errorf("%s: %v", s.config, err)
			}
		})
	}
	wait.Wait()
	var users int
	must(t, w.admin().QueryRow("SELECT COUNT(*) FROM wordpress.wp_users").Scan(&users))
	if users != 1 {
		t.Errorf("%d administrators", users)
	}
}

func TestReadRefuses(t *testing.T) {
	good := map[string]string{"url": "https://blog.example/site"}
	if _, err := New(Config{}).read(resources.Op{Params: good}); err != nil {
		t.Error(err)
	}
	for name, bad := range map[string]map[string]string{
		"url": {"url": "blog.example"}, "table_prefix": {"table_prefix": "a`b"}, "post_regex": {"post_regex": "("},
		"fpm": {"fpm": "9000", "address": "127.0.0.1:80"}, "admin_password": {"install": "true"},
	} {
		params := map[string]string{"url": good["url"]}
		for k, v := range bad {
			params[k] = v
		}
		if _, err := New(Config{}).read(resources.Op{Action: resources.ActionStart, Params: params}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v: %v", bad, err)
		}
	}
}

func TestDatabaseAddress(t *testing.T) {
	for host, want := range map[string]string{
		"db": "tcp db:3306", "db:3307": "tcp db:3307", "localhost:/run/x.sock": "unix /run/x.sock", "192.0.2.1": "tcp 192.0.2.1:3306",
		"2001:db8::1": "tcp [2001:db8::1]:3306", "[2001:db8::1]:3307": "tcp [2001:db8::1]:3307",
	} {
		if network, addr := (database{host: host}).address(); network+" "+addr != want {
			t.Errorf("%s is %s %s, want %s", host, network, addr, want)
		}
	}
}

func FuzzPHPString(f *testing.F) {
	f.Add(`it's a \'trap\\`)
	f.Fuzz(func(t *testing.T, s string) {
		q := phpString(s)
		// PHP's rule read back: between the quotes, \\ and \' are the only escapes.
		var b strings.Builder
		inner := q[1 : len(q)-1]
		for i := 0; i < len(inner); i++ {
			if inner[i] == '\'' {
				t.Fatalf("%q ends early in %s", s, q)
			}
			if inner[i] == '\\' {
				i++
				if i == len(inner) {
					t.Fatalf("%q escapes its end in %s", s, q)
				}
			}
			b.WriteByte(inner[i])
		}
		if b.String() != s {
			t.Errorf("%q became %s", s, q)
		}
	})
}
