// Package phpfpm is the agent ocf:systole:php-fpm.
//
// The master process named in the pid file is the service. A start succeeds
// when every pool answers over FastCGI: its ping page, or, without one, any
// answer at all. The agent keeps no state: everything is read from the
// configuration, the pid file and the process table.
package phpfpm

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"systole/agents/internal/daemon"
	"systole/agents/internal/fastcgi"
	"systole/agents/internal/ocferr"
	"systole/agents/internal/proc"
	"systole/agents/process"
	"systole/resources"
)

// Agent has no state and is safe for concurrent use.
type Agent struct {
	// Lease is this node's right to serve; nil means always. A stop after its
	// end does not wait for requests.
	Lease resources.Lease
}

// MetaData is the OCF document.
func (Agent) MetaData(context.Context) ([]byte, error) { return Metadata.XML(), nil }

// server is one php-fpm as configured.
type server struct {
	settings
	program, config string
	options         []string
	ask             []pool // by every monitor
	maxQueue        int
	graceful        time.Duration
}

var environment = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}

const defaultPIDFile = "/run/php-fpm.pid"

// read works out what is configured.
func read(params map[string]string) (server, error) {
	v, err := Metadata.Resolve(params)
	if err != nil {
		return server{}, ocferr.With(resources.ErrConfigured, err)
	}
	s := server{options: strings.Fields(v.String("options")), maxQueue: v.Int("max_listen_queue"), graceful: v.Duration("graceful")}
	if s.program, err = program(v.String("phpfpm")); err != nil {
		return s, ocferr.With(resources.ErrInstalled, err)
	}
	if s.config, err = config(v.String("config"), s.program); err != nil {
		return s, ocferr.With(resources.ErrInstalled, err)
	}
	text, err := os.ReadFile(s.config)
	if err != nil {
		return s, ocferr.Errorf(resources.ErrInstalled, "configuration of php-fpm: %w", err)
	}
	if s.settings, err = parseConfig(string(text), s.include); err != nil {
		return s, ocferr.Errorf(resources.ErrInstalled, "configuration of php-fpm: %w", err)
	}
	s.pidfile = cmp.Or(v.String("pid"), s.pidfile)
	if !filepath.IsAbs(s.pidfile) {
		s.pidfile = defaultPIDFile
	}
	for _, addr := range strings.Fields(v.String("pools")) {
		i := slices.IndexFunc(s.pools, func(p pool) bool { return p.listen == addr })
		if i < 0 {
			s.ask = append(s.ask, pool{name: addr, listen: addr})
		} else {
			s.ask = append(s.ask, s.pools[i])
		}
	}
	return s, nil
}

// program is the configured one, or the newest installed.
func program(configured string) (string, error) {
	candidates := []string{configured}
	if configured == "" {
		candidates, _ = filepath.Glob("/usr/sbin/php-fpm[0-9]*")
		slices.SortFunc(candidates, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), strings.Compare(b, a)) })
		candidates = append([]string{"/usr/sbin/php-fpm"}, candidates...)
	}
	for _, p := range candidates {
		if _, err := os.Stat(p); err == nil {
			return p, nil
		}
	}
	return "", fmt.Errorf("program of php-fpm: none of %q exists; install php-fpm", candidates)
}

func config(configured, program string) (string, error) {
	candidates := []string{configured}
	if configured == "" {
		version := strings.TrimPrefix(filepath.Base(program), "php-fpm")
		candidates = []string{filepath.Join("/etc/php", version, "fpm/php-fpm.conf"), "/etc/php-fpm.conf"}
	}
	for _, p := range candidates {
		if _, err := os.Stat(p); err == nil {
			return p, nil
		}
	}
	return "", fmt.Errorf("configuration of php-fpm: none of %q exists", candidates)
}

// prefix is what distributions build php-fpm with; relative names begin there.
const prefix = "/usr"

// include gives the texts of the files a pattern names.
func (s server) include(pattern string) (texts []string, err error) {
	if !filepath.IsAbs(pattern) {
		pattern = filepath.Join(prefix, pattern)
	}
	names, err := filepath.Glob(pattern)
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		texts = append(texts, string(text))
	}
	return texts, err
}

// Execute runs one operation.
func (a Agent) Execute(ctx context.Context, op resources.Op) resources.Result {
	s, err := read(op.Params)
	if err != nil {
		return ocferr.Absent(op, err)
	}
	switch op.Action {
	case resources.ActionStart:
		err = s.start(ctx)
	case resources.ActionStop:
		if a.Lease != nil && a.Lease.Remaining() <= 0 {
			s.graceful = 0
		}
		err = s.daemon().Stop(ctx, unix.SIGQUIT, s.graceful)
	case resources.ActionMonitor, "status":
		err = s.monitor(ctx, op.CheckLevel)
	case resources.ActionReload:
		err = s.reload(ctx)
	case resources.ActionValidateAll:
		err = s.test(ctx)
	default:
		err = ocferr.Errorf(resources.ErrUnimplemented, "php-fpm has no action %s", op.Action)
	}
	return ocferr.Result(ctx, err)
}

// daemon is the server's processes.
func (s server) daemon() daemon.Daemon {
	return daemon.Daemon{
		Name: "php-fpm", PIDFile: s.pidfile,
		Ours: func(p proc.Process) bool {
			return daemon.IsNamed(p, s.program) || strings.HasPrefix(p.Command, "php-fpm: ")
		},
		Master: func(p proc.Process) bool { return strings.HasPrefix(p.Command, "php-fpm: master process") },
	}
}

func (s server) run(ctx context.Context, args ...string) error {
	args = slices.Concat([]string{"--fpm-config", s.config, "--pid", s.pidfile}, s.options, args)
	exit, err := process.Run(ctx, process.Command{Path: s.program, Args: args, Env: environment})
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
		return ocferr.With(resources.ErrInstalled, err)
	case err != nil:
		return err
	case exit.Code != 0:
		return fmt.Errorf("%s: exit %d: %s", s.program, exit.Code, firstLine(exit.Stderr))
	}
	return nil
}

// firstLine is the first error php-fpm names: what follows are consequences.
func firstLine(stderr []byte) string {
	first := ""
	for line := range strings.Lines(string(stderr)) {
		line = strings.ToValidUTF8(strings.TrimSpace(line), "?")
		if strings.Contains(line, "ERROR:") {
			return line
		}
		first = cmp.Or(first, line)
	}
	return cmp.Or(first, "it said nothing")
}

// test has php-fpm check its configuration.
func (s server) test(ctx context.Context) error { return s.run(ctx, "--test") }

func (s server) start(ctx context.Context) error {
	d := s.daemon()
	if _, running := d.Running(); !running {
		if err := s.test(ctx); err != nil {
			return err
		}
		if err := d.Clear(ctx); err != nil {
			return err
		}
		for _, dir := range append([]string{filepath.Dir(s.pidfile)}, s.socketDirs()...) {
			if err := os.MkdirAll(dir, 0o755); err != nil { // gone after a boot, as all of /run
				return fmt.Errorf("directory for php-fpm: %w", err)
			}
		}
		if err := s.run(ctx, "--daemonize"); err != nil {
			return err
		}
	}
	return d.Await(ctx, func(ctx context.Context) error { return ping(ctx, s.all()) })
}

func (s server) socketDirs() (dirs []string) {
	for _, p := range s.pools {
		if dir := p.socketDir(); dir != "" {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// all are the pools that start and thorough monitors ask.
func (s server) all() []pool {
	if len(s.ask) > 0 {
		return s.ask
	}
	return s.pools
}

func (s server) monitor(ctx context.Context, level int) error {
	d := s.daemon()
	if _, running := d.Running(); !running {
		if n := len(d.Orphans()); n > 0 {
			return fmt.Errorf("the master process of php-fpm is gone, %d of its workers are left", n)
		}
		return ocferr.Errorf(resources.NotRunning, "no master process in %s", s.pidfile)
	}
	if level < 10 {
		return ping(ctx, s.ask)
	}
	if err := ping(ctx, s.all()); err != nil {
		return err
	}
	return s.queues(ctx)
}

// ping asks pools whether they answer.
func ping(ctx context.Context, pools []pool) error {
	for _, p := range pools {
		if p.listen == "" {
			continue
		}
		path := cmp.Or(p.pingPath, "/ping")
		r, err := fastcgi.Ask(ctx, p.listen, fastcgi.Request{Script: path, URL: path})
		if err != nil {
			return fmt.Errorf("pool %s does not answer: %w", p.name, err)
		}
		if p.pingPath != "" && r.Status != http.StatusOK {
			return fmt.Errorf("pool %s answers its ping with status %d and %q", p.name, r.Status, clip(r.Body))
		}
	}
	return nil
}

func clip(b []byte) []byte { return b[:min(len(b), 80)] }

// queues looks how many requests wait in the pools that tell.
func (s server) queues(ctx context.Context) error {
	for _, p := range s.all() {
		if p.statusPath == "" || s.maxQueue == 0 {
			continue
		}
		r, err := fastcgi.Ask(ctx, p.listen, fastcgi.Request{Script: p.statusPath, URL: p.statusPath + "?json"})
		if err != nil {
			return fmt.Errorf("status of pool %s: %w", p.name, err)
		}
		var status struct {
			Queue int `json:"listen queue"`
		}
		if err := json.Unmarshal(r.Body, &status); err != nil {
			return fmt.Errorf("status of pool %s: %d %q: %w", p.name, r.Status, clip(r.Body), err)
		}
		if status.Queue > s.maxQueue {
			return fmt.Errorf("%d requests wait in pool %s, more than max_listen_queue", status.Queue, p.name)
		}
	}
	return nil
}

func (s server) reload(ctx context.Context) error {
	master, running := s.daemon().Running()
	if !running {
		return ocferr.Errorf(resources.NotRunning, "php-fpm does not run: nothing to reload")
	}
	if err := s.test(ctx); err != nil {
		return err
	}
	before, err := os.Stat(s.pidfile)
	if err != nil {
		return fmt.Errorf("reload php-fpm: %w", err)
	}
	if err := unix.Kill(master.PID, unix.SIGUSR2); err != nil {
		return fmt.Errorf("reload php-fpm: %w", err)
	}
	// The master begins its program again and writes the pid file again. Until then
	// the old one may answer, and then for a moment nothing looks like a master.
	return s.daemon().Await(ctx, func(ctx context.Context) error {
		if now, err := os.Stat(s.pidfile); err != nil || now.ModTime().Equal(before.ModTime()) {
			return errors.New("it has not begun again")
		}
		return ping(ctx, s.all())
	})
}

// Watch notices the end of the master process.
func (a Agent) Watch(ctx context.Context, op resources.Op) bool {
	s, err := read(op.Params)
	if err != nil {
		<-ctx.Done()
		return false
	}
	return s.daemon().Watch(ctx)
}
