// Package httpd is the agent ocf:systole:httpd: a tiny web server built into
// this program, for demonstrations and for pages that must always be there.
//
// The server is a process of its own (this program run again, see [Child]), so
// it outlives the daemon. It is known by its pid file and by the same file's
// name in its environment, so no stranger is ever taken for it.
package httpd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"systole/agents/internal/proc"
	"systole/agents/internal/web"
	"systole/agents/process"
	"systole/resources"
)

// Metadata describes the agent.
var Metadata = resources.Metadata{
	Name: "httpd", Version: "1.0", API: "1.0",
	Short: "A tiny web server",
	Long:  "Serves one page, or the files of a directory, on an address and port. Every answer names the node in the header X-Served-By.",
	Parameters: []resources.Parameter{
		{Name: "ip", Type: resources.ParamString, Short: "Address to listen on", Long: "IPv4 or IPv6 address; left out, all of the node."},
		{Name: "port", Type: resources.ParamInteger, Default: "80", Short: "Port", Long: "TCP port to listen on."},
		{Name: "page", Type: resources.ParamString, Default: "served by %n\n", Short: "Text of the page", Long: "What to answer; %n is the name of the node."},
		{Name: "root", Type: resources.ParamString, Short: "Directory to serve", Long: "If set, its files are served instead of the page."},
		{Name: "pidfile", Type: resources.ParamString, Unique: true, Short: "Pid file", Long: "Left out, a file named for the instance."},
	},
	Actions: []resources.ActionSpec{
		{Name: "start", Timeout: "20s"},
		{Name: "stop", Timeout: "20s"},
		{Name: "monitor", Timeout: "20s", Interval: "10s", Depth: "0"},
		{Name: "validate-all", Timeout: "5s"},
		{Name: "meta-data", Timeout: "5s"},
	},
}

// Config is what the agent needs of the node.
type Config struct {
	Dir  string // for pid files; default /run/resource-agents
	Self string // program to run as the server; it must call agents.RunChild; default this one
}

// Agent is safe for concurrent use.
type Agent struct{ cfg Config }

// New makes the agent.
func New(cfg Config) *Agent { return &Agent{cfg} }

// MetaData is the OCF document.
func (a *Agent) MetaData(context.Context) ([]byte, error) { return Metadata.XML(), nil }

// server is one server as configured.
type server struct {
	self    string
	addr    string
	page    string
	root    string
	pidfile string
	node    string
}

func (a *Agent) read(op resources.Op) (server, error) {
	v, err := Metadata.Resolve(op.Params)
	if err != nil {
		return server{}, err
	}
	s := server{self: cmp.Or(a.cfg.Self, "/proc/self/exe"), page: v.String("page"), root: v.String("root"), node: op.Node}
	if ip := v.String("ip"); ip != "" {
		if _, err := netip.ParseAddr(ip); err != nil {
			return server{}, fmt.Errorf("parameter ip of httpd: %q is not an IP address", ip)
		}
	}
	port := v.Int("port")
	if port < 1 || port > 65535 {
		return server{}, fmt.Errorf("parameter port of httpd: %d is not a port", port)
	}
	s.addr = net.JoinHostPort(v.String("ip"), strconv.Itoa(port))
	instance := strings.ReplaceAll(cmp.Or(op.Instance, op.Resource), "/", "_")
	s.pidfile = cmp.Or(v.String("pidfile"), filepath.Join(cmp.Or(a.cfg.Dir, "/run/resource-agents"), "httpd-"+instance+".pid"))
	return s, nil
}

// Execute runs one operation.
func (a *Agent) Execute(ctx context.Context, op resources.Op) resources.Result {
	s, err := a.read(op)
	if err != nil {
		return resources.Result{Code: resources.ErrConfigured, Reason: err.Error()}
	}
	code := resources.ErrGeneric
	switch op.Action {
	case resources.ActionStart:
		err = s.start(ctx)
	case resources.ActionStop:
		err = s.stop(ctx)
	case resources.ActionMonitor, "status":
		if _, running := s.running(); !running {
			return resources.Result{Code: resources.NotRunning}
		}
		err = s.answers(ctx)
	case resources.ActionValidateAll:
	default:
		code, err = resources.ErrUnimplemented, fmt.Errorf("httpd has no action %s", op.Action)
	}
	if err != nil {
		res := resources.Result{Code: code, Reason: err.Error()}
		if ctx.Err() != nil {
			res.Status = resources.StatusTimeout
		}
		return res
	}
	return resources.Result{}
}

// running is the living server of the pid file.
func (s server) running() (pid int, ok bool) {
	pid = proc.ReadPIDFile(s.pidfile)
	return pid, proc.Began(pid, envPIDFile+"="+s.pidfile)
}

func (s server) start(ctx context.Context) error {
	if _, running := s.running(); !running {
		if err := os.MkdirAll(filepath.Dir(s.pidfile), 0o755); err != nil {
			return err
		}
		pid, err := process.Spawn(process.Command{Path: s.self, Env: s.environ()})
		if err != nil {
			return err
		}
		if err := os.WriteFile(s.pidfile, []byte(strconv.Itoa(pid)+"\n"), 0o644); err != nil {
			unix.Kill(pid, unix.SIGKILL)
			return err
		}
	}
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		err := s.answers(ctx)
		if err == nil {
			return nil
		}
		if _, running := s.running(); !running {
			return fmt.Errorf("the server ended at once; is %s free, and on this node?", s.addr)
		}
		select {
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}

// answers asks the server whether it is the one: another may have the port.
func (s server) answers(ctx context.Context) error {
	host, port, _ := net.SplitHostPort(s.addr)
	if host == "" {
		host = "127.0.0.1"
	}
	return web.Get(ctx, "http://"+net.JoinHostPort(host, port)+healthPath, regexp.MustCompile("^"+regexp.QuoteMeta(s.pidfile)+"$"))
}

func (s server) stop(ctx context.Context) error {
	if pid, running := s.running(); running {
		h, err := proc.Open(pid)
		if err == nil {
			defer h.Close()
			if !h.End(ctx, proc.Step{Signal: unix.SIGTERM, Grace: 2 * drainTime}, proc.Step{Signal: unix.SIGKILL}) {
				return fmt.Errorf("the server (%d) does not end", pid)
			}
		} else if !errors.Is(err, unix.ESRCH) {
			return err
		}
	}
	if err := os.Remove(s.pidfile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Watch notices the end of the server.
func (a *Agent) Watch(ctx context.Context, op resources.Op) bool {
	s, err := a.read(op)
	if err != nil {
		<-ctx.Done()
		return false
	}
	pid, running := s.running()
	if !running {
		return ctx.Err() == nil
	}
	h, err := proc.Open(pid)
	if err != nil {
		return ctx.Err() == nil
	}
	defer h.Close()
	return h.Wait(ctx)
}
