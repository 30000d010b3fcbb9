// Package nginx is the agent ocf:systole:nginx.
//
// The master process named in the pid file is the service. A start succeeds
// when it answers; a stop asks it to finish its requests, then to end, then
// kills its whole session, so that workers of a killed master go too. Watch
// holds a pidfd of the master and notices its death at once. The agent keeps no
// state: everything is read from the pid file and the process table.
package nginx

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"systole/agents/internal/daemon"
	"systole/agents/internal/ocferr"
	"systole/agents/internal/proc"
	"systole/agents/internal/web"
	"systole/agents/process"
	"systole/resources"
)

// Agent has no state and is safe for concurrent use.
type Agent struct {
	// Lease is this node's right to serve; nil means always. A stop after its
	// end does not wait for requests: nobody would get the answers, and the node
	// may only come back when everything is stopped.
	Lease resources.Lease
}

// MetaData is the OCF document.
func (Agent) MetaData(context.Context) ([]byte, error) { return Metadata.XML(), nil }

// server is one nginx as configured.
type server struct {
	program    string
	configfile string
	pidfile    string
	args       []string // for every call of the program
	url, addr  string
	regex      *regexp.Regexp
	graceful   time.Duration

	page      string // of check level 20
	pageRegex *regexp.Regexp
	tests     testFile // of check level 20, in place of the page
	external  []string // of check level 30
}

// environment is for what the configuration may run (perl, external programs).
var environment = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}

// read works out what is configured.
func read(ctx context.Context, params map[string]string) (server, error) {
	v, err := Metadata.Resolve(params)
	if err != nil {
		return server{}, ocferr.With(resources.ErrConfigured, err)
	}
	s := server{program: v.String("httpd"), configfile: v.String("configfile"), url: v.String("status10url"), graceful: v.Duration("graceful")}
	if s.regex, err = regexp.Compile(v.String("status10regex")); err != nil {
		return server{}, ocferr.Errorf(resources.ErrConfigured, "parameter status10regex of nginx: %w", err)
	}
	if s.pageRegex, err = regexp.Compile("(?i)" + v.String("test20regex")); err != nil {
		return server{}, ocferr.Errorf(resources.ErrConfigured, "parameter test20regex of nginx: %w", err)
	}
	if s.page, err = onServer(v.String("test20url"), s.url, v.String("port")); err != nil {
		return server{}, ocferr.Errorf(resources.ErrConfigured, "parameter test20url of nginx: %w", err)
	}
	s.tests = testFile{path: v.String("test20conffile"), name: v.String("test20name"), base: s.url, port: v.String("port"), client: v.String("testclient")}
	s.external = options(v.String("external_monitor30_cmd"))
	if port := v.String("port"); port != "" {
		s.addr = "127.0.0.1:" + port
		if s.url != "" {
			s.addr = web.HostPort(s.url, port)
		}
	}
	if _, err := os.Stat(s.program); err != nil {
		return server{}, ocferr.Errorf(resources.ErrInstalled, "program of nginx: %w", err)
	}
	extra := options(v.String("options"))
	if s.configfile == "" {
		built, err := s.builtIn(ctx)
		if err != nil {
			return server{}, err
		}
		s.configfile = built.configfile
	}
	s.args = append([]string{"-c", s.configfile}, extra...)
	conf, err := os.ReadFile(s.configfile)
	if err != nil {
		return server{}, ocferr.Errorf(resources.ErrInstalled, "configuration of nginx: %w", err)
	}
	s.pidfile = cmp.Or(globalPID(extra), pidDirective(string(conf)))
	if !filepath.IsAbs(s.pidfile) { // a process each time: name the pid file in the configuration to save it
		built, err := s.builtIn(ctx)
		if err != nil {
			return server{}, err
		}
		if s.pidfile = cmp.Or(s.pidfile, built.pidfile); !filepath.IsAbs(s.pidfile) {
			s.pidfile = filepath.Join(built.prefix, s.pidfile)
		}
	}
	return s, nil
}

// globalPID is a pid directive in an option -g.
func globalPID(args []string) string {
	for i, a := range args {
		if a == "-g" && i+1 < len(args) {
			if pid := pidDirective(args[i+1]); pid != "" {
				return pid
			}
		}
	}
	return ""
}

type builtPaths struct{ prefix, configfile, pidfile string }

// builtIn asks the program for the paths it was built with.
func (s server) builtIn(ctx context.Context) (builtPaths, error) {
	exit, err := s.run(ctx, "-V")
	if err != nil {
		return builtPaths{}, err
	}
	out := string(exit.Stderr)
	prefix := cmp.Or(built(out, "prefix"), "/usr/local/nginx")
	return builtPaths{
		prefix:     prefix,
		configfile: cmp.Or(built(out, "conf-path"), filepath.Join(prefix, "conf/nginx.conf")),
		pidfile:    cmp.Or(built(out, "pid-path"), filepath.Join(prefix, "logs/nginx.pid")),
	}, nil
}

func (s server) run(ctx context.Context, args ...string) (process.Exit, error) {
	exit, err := process.Run(ctx, process.Command{Path: s.program, Args: args, Env: environment})
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
		return exit, ocferr.With(resources.ErrInstalled, err)
	case err != nil:
		return exit, ocferr.With(resources.ErrGeneric, err)
	case exit.Code != 0:
		return exit, ocferr.Errorf(resources.ErrGeneric, "%s %s: exit %d: %s", s.program, strings.Join(args, " "), exit.Code, firstLine(exit.Stderr))
	}
	return exit, nil
}

// firstLine is the first message worth showing: nginx says what is wrong first.
func firstLine(stderr []byte) string {
	for line := range strings.Lines(string(stderr)) {
		if line = strings.TrimSpace(line); line != "" && !strings.Contains(line, "[warn]") && !strings.Contains(line, "[notice]") {
			return strings.ToValidUTF8(line, "?")
		}
	}
	return "it said nothing"
}

// Execute runs one operation.
func (a Agent) Execute(ctx context.Context, op resources.Op) resources.Result {
	s, err := read(ctx, op.Params)
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
		if err = s.test(ctx); err == nil && s.tests.path != "" {
			_, err = s.tests.read()
		}
	default:
		err = ocferr.Errorf(resources.ErrUnimplemented, "nginx has no action %s", op.Action)
	}
	return ocferr.Result(ctx, err)
}

// test has nginx check its configuration.
func (s server) test(ctx context.Context) error {
	_, err := s.run(ctx, append([]string{"-t", "-q"}, s.args...)...)
	return err
}

// daemon is the server's processes.
func (s server) daemon() daemon.Daemon {
	return daemon.Daemon{
		Name: "nginx", PIDFile: s.pidfile,
		Ours: func(p proc.Process) bool {
			return daemon.IsNamed(p, s.program) || strings.HasPrefix(p.Command, "nginx: ")
		},
		Master: func(p proc.Process) bool { return strings.Contains(p.Command, "master process") },
	}
}

func (s server) start(ctx context.Context) error {
	d := s.daemon()
	if _, running := d.Running(); !running {
		if err := s.test(ctx); err != nil {
			return err
		}
		if err := d.Clear(ctx); err != nil {
			return err
		}
		if _, err := s.run(ctx, s.args...); err != nil {
			return err
		}
	}
	return d.Await(ctx, s.answers)
}

func (s server) answers(ctx context.Context) error {
	if s.addr != "" {
		if err := web.Connect(ctx, s.addr); err != nil {
			return err
		}
	}
	if s.url != "" {
		return web.Get(ctx, s.url, s.regex)
	}
	return nil
}

func (s server) monitor(ctx context.Context, level int) error {
	d := s.daemon()
	if _, running := d.Running(); !running {
		if n := len(d.Orphans()); n > 0 {
			return fmt.Errorf("the master process of nginx is gone, %d of its workers are left", n)
		}
		return ocferr.Errorf(resources.NotRunning, "no master process in %s", s.pidfile)
	}
	if level >= 10 && s.url != "" {
		if err := web.Get(ctx, s.url, s.regex); err != nil {
			return err
		}
	}
	if level >= 20 {
		if err := s.deep(ctx); err != nil {
			return err
		}
	}
	if level >= 30 && len(s.external) > 0 {
		exit, err := process.Run(ctx, process.Command{Path: s.external[0], Args: s.external[1:], Env: environment})
		if err == nil && exit.Code != 0 {
			err = fmt.Errorf("%s: exit %d: %s", s.external[0], exit.Code, firstLine(exit.Stderr))
		}
		return err
	}
	return nil
}

// deep asks for what check level 20 asks for.
func (s server) deep(ctx context.Context) error {
	switch {
	case s.tests.path != "":
		return s.tests.ask(ctx)
	case s.page != "":
		return web.Get(ctx, s.page, s.pageRegex)
	}
	return nil
}

// onServer makes a URL of a page that may be a path on the server that answers
// at base, or at a port of the local host.
func onServer(page, base, port string) (string, error) {
	if page == "" || strings.HasPrefix(page, "http") {
		return page, nil
	}
	if base == "" {
		base = "http://" + net.JoinHostPort("127.0.0.1", cmp.Or(port, "80")) + "/"
	}
	b, err := url.Parse(base)
	if err != nil {
		return "", err
	}
	p, err := b.Parse("/" + strings.TrimPrefix(page, "/"))
	if err != nil {
		return "", err
	}
	return p.String(), nil
}

func (s server) reload(ctx context.Context) error {
	master, running := s.daemon().Running()
	if !running {
		return ocferr.Errorf(resources.NotRunning, "nginx does not run: nothing to reload")
	}
	if err := s.test(ctx); err != nil {
		return err
	}
	return unix.Kill(master.PID, unix.SIGHUP)
}

// Watch notices the end of the master process.
func (a Agent) Watch(ctx context.Context, op resources.Op) bool {
	s, err := read(ctx, op.Params)
	if err != nil {
		<-ctx.Done()
		return false
	}
	return s.daemon().Watch(ctx)
}
