package phpfpm

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/fcgi"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"systole/agents/internal/fastcgi"
	"systole/agents/internal/proc"
	"systole/resources"
)

// site is a real php-fpm in a directory of the test.
type site struct {
	t           *testing.T
	dir, socket string
	params      map[string]string
}

func newSite(t *testing.T) *site {
	t.Helper()
	if _, err := program(""); err != nil {
		t.Skip("needs php-fpm: ", err)
	}
	if os.Getuid() != 0 {
		t.Skip("needs root: the pool of this test runs as nobody")
	}
	dir, err := os.MkdirTemp("", "fpm") // a short name: socket paths are bounded
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &site{t: t, dir: dir, socket: filepath.Join(dir, "run", "s")}
	s.params = map[string]string{"config": filepath.Join(dir, "fpm.conf")}
	s.write("fpm.conf", fmt.Sprintf("[global]\npid = %[1]s/pid\nerror_log = %[1]s/log\ninclude = %[1]s/pool.d/*.conf\n", dir))
	s.write("pool.d/www.conf", fmt.Sprintf("[www]\nuser = nobody\ngroup = nogroup\nlisten = %s/run/s\npm = static\npm.max_children = 2\nping.path = /alive\npm.status_path = /status ; for monitors\n", dir))
	t.Cleanup(func() { s.run(resources.ActionStop, resources.OK) })
	return s
}

func (s *site) write(name, text string) {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) execute(op resources.Op) resources.Result {
	op.Resource, op.Params = "php", s.params
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.t.Context()), time.Minute)
	defer cancel()
	return Agent{}.Execute(ctx, op)
}

func (s *site) run(action resources.Action, want resources.Code) resources.Result {
	s.t.Helper()
	res := s.execute(resources.Op{Action: action})
	if res.Code != want {
		s.t.Errorf("%s = %d (%s), want %d", action, res.Code, res.Reason, want)
	}
	return res
}

func (s *site) monitor(level int, want resources.Code) resources.Result {
	s.t.Helper()
	res := s.execute(resources.Op{Action: resources.ActionMonitor, Interval: time.Second, CheckLevel: level})
	if res.Code != want {
		s.t.Errorf("monitor of level %d = %d (%s), want %d", level, res.Code, res.Reason, want)
	}
	return res
}

// begun is when the server last wrote its pid file.
func (s *site) begun() time.Time {
	s.t.Helper()
	info, err := os.Stat(filepath.Join(s.dir, "pid"))
	if err != nil {
		s.t.Fatal(err)
	}
	return info.ModTime()
}

func TestLife(t *testing.T) {
	s := newSite(t)
	s.monitor(0, resources.NotRunning)
	s.run(resources.ActionStop, resources.OK)
	s.run(resources.ActionValidateAll, resources.OK)
	s.run(resources.ActionStart, resources.OK)
	s.run(resources.ActionStart, resources.OK)
	s.params["max_listen_queue"] = "1"
	s.params["pools"] = s.socket
	s.monitor(0, resources.OK)
	s.monitor(10, resources.OK)
	begun := s.begun()
	s.run(resources.ActionReload, resources.OK)
	if s.begun().Equal(begun) {
		t.Error("the reload ended before the server began again: a monitor may find none")
	}
	s.monitor(10, resources.OK)
	if err := os.Remove(s.socket); err != nil {
		t.Fatal(err)
	}
	s.monitor(0, resources.ErrGeneric)
	s.run(resources.ActionStop, resources.OK)
	s.monitor(0, resources.NotRunning)
	s.run(resources.ActionReload, resources.NotRunning)
}

// TestQueue has a server of the test stand in for the pool: a real one tells of its queue
// only when it has a process free, and then there is none.
func TestQueue(t *testing.T) {
	s := newSite(t)
	s.run(resources.ActionStart, resources.OK)
	socket := filepath.Join(s.dir, "told")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	var status atomic.Value
	served := make(chan bool)
	go func() {
		defer close(served)
		_ = fcgi.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { // ends with its listener
			if r.URL.Path == "/status" && r.URL.RawQuery == "json" {
				fmt.Fprint(w, status.Load())
			}
		}))
	}()
	t.Cleanup(func() { l.Close(); <-served })
	s.write("pool.d/www.conf", "[www]\nlisten = "+socket+"\nping.path = /alive\npm.status_path = /status\n")
	for _, c := range []struct {
		limit, status string
		want          resources.Code
		says          string
	}{
		{"2", `{"listen queue": 2}`, resources.OK, ""},
		{"2", `{"listen queue": 3}`, resources.ErrGeneric, "3 requests wait in pool www"},
		{"0", `{"listen queue": 3}`, resources.OK, ""}, // no limit
		{"2", `File not found.`, resources.ErrGeneric, "status of pool www"},
	} {
		s.params["max_listen_queue"] = c.limit
		status.Store(c.status)
		if res := s.monitor(10, c.want); !strings.Contains(res.Reason, c.says) {
			t.Errorf("limit %s, %s: reason %q does not say %q", c.limit, c.status, res.Reason, c.says)
		}
		s.monitor(0, resources.OK)
	}
}

func TestScriptsRun(t *testing.T) {
	s := newSite(t)
	s.run(resources.ActionStart, resources.OK)
	s.write("index.php", `<?php header("X-Was: " . $_SERVER["QUERY_STRING"]); http_response_code(201); echo "hello ", $_SERVER["HTTP_HOST"];`)
	if err := os.Chmod(s.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(s.socket, 0o666); err != nil {
		t.Fatal(err)
	}
	r, err := fastcgi.Ask(t.Context(), s.socket, fastcgi.Request{Script: s.dir + "/index.php", URL: "http://blog.example/?p=7"})
	if err != nil || r.Status != 201 || string(r.Body) != "hello blog.example" || r.Header.Get("X-Was") != "p=7" {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestKilledMaster(t *testing.T) {
	s := newSite(t)
	s.run(resources.ActionStart, resources.OK)
	noticed := make(chan bool)
	go func() { noticed <- Agent{}.Watch(t.Context(), resources.Op{Params: s.params}) }()
	pid := proc.ReadPIDFile(filepath.Join(s.dir, "pid"))
	if pid == 0 {
		t.Fatal("no pid file")
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if !<-noticed {
		t.Error("the end of the master was not noticed")
	}
	for _, alive := proc.Find(pid); alive; _, alive = proc.Find(pid) {
	}
	s.run(resources.ActionStart, resources.OK)
	s.monitor(10, resources.OK)
}

func TestStrangerInThePIDFile(t *testing.T) {
	s := newSite(t)
	s.write("pid", strconv.Itoa(os.Getpid()))
	s.monitor(0, resources.NotRunning)
	s.run(resources.ActionStop, resources.OK) // and this test still lives
}

func TestWrongConfiguration(t *testing.T) {
	s := newSite(t)
	s.write("pool.d/www.conf", "[www]\nnonsense = 1\n")
	if res := s.run(resources.ActionStart, resources.ErrGeneric); !strings.Contains(res.Reason, "nonsense") {
		t.Errorf("reason %q does not say what is wrong", res.Reason)
	}
	s.params["config"] = "/nonexistent"
	s.run(resources.ActionStart, resources.ErrInstalled)
	s.run(resources.ActionMonitor, resources.NotRunning) // a probe
	s.run(resources.ActionStop, resources.OK)
	s.params["max_listen_queue"] = "many"
	s.run(resources.ActionStart, resources.ErrConfigured)
	delete(s.params, "max_listen_queue")
}

func TestParseConfig(t *testing.T) {
	files := map[string][]string{"pool.d/*.conf": {"[www]\nlisten = 127.0.0.1:9000\nping.path=/p", "[blog]\nlisten = /run/$pool.sock ; the site\npm.status_path = \"/s\"\n"}}
	got, err := parseConfig("; c\n[global]\npid = /run/x.pid\nlisten = no\ninclude=pool.d/*.conf\n[www]\nping.response = '42'\n", func(p string) ([]string, error) { return files[p], nil })
	if err != nil || got.pidfile != "/run/x.pid" || len(got.pools) != 2 {
		t.Fatalf("%+v, %v", got, err)
	}
	if want := (pool{name: "www", listen: "127.0.0.1:9000", pingPath: "/p"}); got.pools[0] != want {
		t.Errorf("got %+v, want %+v", got.pools[0], want)
	}
	if want := (pool{name: "blog", listen: "/run/blog.sock", statusPath: "/s"}); got.pools[1] != want {
		t.Errorf("got %+v, want %+v", got.pools[1], want)
	}
	if _, err := parseConfig("include=x", func(string) ([]string, error) { return []string{"include=x"}, nil }); err == nil {
		t.Error("a file that includes itself is read for ever")
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add("[global]\npid = /run/x\n[www]\nlisten = 9000\nping.path = '/p")
	f.Add("include = a\n[")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parseConfig(text, func(string) ([]string, error) { return []string{"[x]\nlisten=1"}, nil })
		for _, p := range s.pools {
			if err == nil && p.name == "global" {
				t.Error("the global section is a pool")
			}
		}
	})
}
