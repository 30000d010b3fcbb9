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
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

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
}

// searchPath is for what the configuration may run (perl, external programs).
var environment = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}

// problem is an error with the OCF code it means.
type problem struct {
	code resources.Code
	error
}

// Unwrap is the cause.
func (p problem) Unwrap() error { return p.error }

func problemf(code resources.Code, format string, args ...any) error {
	return problem{code, fmt.Errorf(format, args...)}
}

// read works out what is configured.
func read(ctx context.Context, params map[string]string) (server, error) {
	v, err := Metadata.Resolve(params)
	if err != nil {
		return server{}, problem{resources.ErrConfigured, err}
	}
	s := server{program: v.String("httpd"), configfile: v.String("configfile"), url: v.String("status10url"), graceful: v.Duration("graceful")}
	if s.regex, err = regexp.Compile(v.String("status10regex")); err != nil {
		return server{}, problemf(resources.ErrConfigured, "parameter status10regex of nginx: %w", err)
	}
	if port := v.String("port"); port != "" {
		s.addr = "127.0.0.1:" + port
		if s.url != "" {
			s.addr = web.HostPort(s.url, port)
		}
	}
	if _, err := os.Stat(s.program); err != nil {
		return server{}, problemf(resources.ErrInstalled, "program of nginx: %w", err)
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
		return server{}, problemf(resources.ErrInstalled, "configuration of nginx: %w", err)
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
		return exit, problem{resources.ErrInstalled, err}
	case err != nil:
		return exit, problem{resources.ErrGeneric, err}
	case exit.Code != 0:
		return exit, problemf(resources.ErrGeneric, "%s %s: exit %d: %s", s.program, strings.Join(args, " "), exit.Code, firstLine(exit.Stderr))
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
		return a.withoutServer(op, err)
	}
	switch op.Action {
	case resources.ActionStart:
		err = s.start(ctx)
	case resources.ActionStop:
		if a.Lease != nil && a.Lease.Remaining() <= 0 {
			s.graceful = 0
		}
		err = s.stop(ctx)
	case resources.ActionMonitor, "status":
		err = s.monitor(ctx, op.CheckLevel)
	case resources.ActionReload:
		err = s.reload(ctx)
	case resources.ActionValidateAll:
		err = s.test(ctx)
	default:
		err = problemf(resources.ErrUnimplemented, "nginx has no action %s", op.Action)
	}
	return result(ctx, err)
}

// withoutServer answers where nginx is not, or is not configured, on this node:
// then it does not run here, and stopping it succeeds.
func (a Agent) withoutServer(op resources.Op, err error) resources.Result {
	if p, ok := errors.AsType[problem](err); ok && p.code == resources.ErrInstalled {
		if op.Action == resources.ActionStop {
			return resources.Result{Reason: err.Error()}
		}
		if op.IsProbe() {
			return resources.Result{Code: resources.NotRunning, Reason: err.Error()}
		}
	}
	return result(context.Background(), err)
}

func result(ctx context.Context, err error) resources.Result {
	if err == nil {
		return resources.Result{}
	}
	res := resources.Result{Code: resources.ErrGeneric, Reason: err.Error()}
	if p, ok := errors.AsType[problem](err); ok {
		res.Code = p.code
	}
	if ctx.Err() != nil {
		res.Status = resources.StatusTimeout
	}
	return res
}

// test has nginx check its configuration.
func (s server) test(ctx context.Context) error {
	_, err := s.run(ctx, append([]string{"-t", "-q"}, s.args...)...)
	return err
}

// master is the living process of the pid file.
func (s server) master() (proc.Process, bool) {
	p, ok := proc.Find(proc.ReadPIDFile(s.pidfile))
	return p, ok && s.ours(p) && strings.Contains(p.Command, "master process")
}

// ours tells nginx from a stranger that got its pid after a crash.
func (s server) ours(p proc.Process) bool {
	name := filepath.Base(s.program)
	return p.Name == name[:min(len(name), 15)] || strings.HasPrefix(p.Command, "nginx: ")
}

// orphans are the workers of a master that was killed: a daemon nginx leads a
// session of its own, so they are found by the dead master's pid.
func (s server) orphans() (ps []proc.Process) {
	pid := proc.ReadPIDFile(s.pidfile)
	if pid == 0 {
		return nil
	}
	for _, p := range proc.Session(pid) {
		if s.ours(p) && p.PID != pid {
			ps = append(ps, p)
		}
	}
	return ps
}

func (s server) start(ctx context.Context) error {
	if _, running := s.master(); !running {
		if err := s.test(ctx); err != nil {
			return err
		}
		if err := s.clear(ctx); err != nil {
			return err
		}
		if _, err := s.run(ctx, s.args...); err != nil {
			return err
		}
	}
	return s.await(ctx)
}

const pollInterval = 2 * time.Millisecond

// await waits until nginx runs and answers, as long as ctx allows.
func (s server) await(ctx context.Context) error {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		err := s.answers(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("nginx was started and does not answer: %w", err)
		case <-tick.C:
		}
	}
}

func (s server) answers(ctx context.Context) error {
	if _, running := s.master(); !running {
		return fmt.Errorf("no master process in %s", s.pidfile)
	}
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

// graceful and final waits of the stop ladder.
const (
	termGrace = 2 * time.Second
	killGrace = 2 * time.Second
)

func (s server) stop(ctx context.Context) error {
	if master, running := s.master(); running {
		h, err := proc.Open(master.PID)
		if err != nil && !errors.Is(err, unix.ESRCH) {
			return err
		}
		if err == nil {
			defer h.Close()
			ladder := []proc.Step{{Signal: unix.SIGTERM, Grace: termGrace}, {Signal: unix.SIGKILL, Grace: killGrace}}
			if s.graceful > 0 {
				ladder = slices.Insert(ladder, 0, proc.Step{Signal: unix.SIGQUIT, Grace: s.graceful})
			}
			h.End(ctx, ladder...)
		}
	}
	return s.clear(ctx)
}

// clear ends what a killed master left behind, and removes its pid file so that
// it cannot point at a stranger later.
func (s server) clear(ctx context.Context) error {
	for _, p := range s.orphans() {
		h, err := proc.Open(p.PID)
		if err != nil {
			continue // gone
		}
		ended := h.End(ctx, proc.Step{Signal: unix.SIGTERM, Grace: termGrace / 10}, proc.Step{Signal: unix.SIGKILL, Grace: killGrace})
		h.Close()
		if !ended {
			return fmt.Errorf("worker %d of a dead nginx does not end", p.PID)
		}
	}
	if p, running := s.master(); running {
		return fmt.Errorf("nginx (%d) does not end", p.PID)
	}
	if err := os.Remove(s.pidfile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("stale pid file: %w", err)
	}
	return nil
}

func (s server) monitor(ctx context.Context, level int) error {
	if _, running := s.master(); !running {
		if n := len(s.orphans()); n > 0 {
			return fmt.Errorf("the master process of nginx is gone, %d of its workers are left", n)
		}
		return problemf(resources.NotRunning, "no master process in %s", s.pidfile)
	}
	if level >= 10 && s.url != "" {
		return web.Get(ctx, s.url, s.regex)
	}
	return nil
}

func (s server) reload(ctx context.Context) error {
	master, running := s.master()
	if !running {
		return problemf(resources.NotRunning, "nginx does not run: nothing to reload")
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
	master, running := s.master()
	if !running {
		return ctx.Err() == nil
	}
	h, err := proc.Open(master.PID)
	if err != nil {
		return ctx.Err() == nil
	}
	defer h.Close()
	return h.Wait(ctx)
}
