package nginx

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"systole/agents/internal/proc"
	"systole/resources"
)

// site is a real nginx in a directory of the test.
type site struct {
	t      *testing.T
	dir    string
	url    string
	params map[string]string
}

// patience bounds what a busy machine may take for something that is to happen.
const patience = 30 * time.Second

func newSite(t *testing.T) *site {
	t.Helper()
	if _, err := os.Stat("/usr/sbin/nginx"); err != nil {
		t.Skip("needs nginx: ", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	s := &site{t: t, dir: t.TempDir(), url: "http://" + addr + "/"}
	s.params = map[string]string{"configfile": filepath.Join(s.dir, "nginx.conf"), "status10url": s.url}
	s.write(fmt.Sprintf(`
user root; # as in a user namespace
pid %[1]s/nginx.pid;
worker_processes 2;
error_log %[1]s/error.log;
events { }
http {
  access_log off;
  client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/fcgi; uwsgi_temp_path %[1]s/uwsgi; scgi_temp_path %[1]s/scgi;
  server { listen %[2]s; location / { return 200 "it works\n"; } location /who { return 200 "$http_host $http_authorization"; } location /slow { limit_rate 1; return 200 "a page that takes its time"; } }
}`, s.dir, addr))
	t.Cleanup(func() { s.run(resources.ActionStop, resources.OK) })
	return s
}

func (s *site) write(conf string) {
	s.t.Helper()
	if err := os.WriteFile(s.params["configfile"], []byte(conf), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) op(action resources.Action) resources.Op {
	return resources.Op{Resource: "web", Action: action, Params: s.params}
}

func (s *site) run(action resources.Action, want resources.Code) resources.Result {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	res := Agent{}.Execute(ctx, s.op(action))
	if res.Code != want {
		s.t.Errorf("%s = %d (%s), want %d", action, res.Code, res.Reason, want)
	}
	return res
}

func (s *site) page() string {
	resp, err := http.Get(s.url)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return strings.TrimSpace(string(b))
}

func (s *site) pid() int { return proc.ReadPIDFile(filepath.Join(s.dir, "nginx.pid")) }

func TestLife(t *testing.T) {
	s := newSite(t)
	s.run(resources.ActionValidateAll, resources.OK)
	s.run(resources.ActionMonitor, resources.NotRunning)
	s.run(resources.ActionStop, resources.OK)
	began := time.Now()
	s.run(resources.ActionStart, resources.OK)
	t.Logf("started in %v", time.Since(began))
	if got := s.page(); got != "it works" {
		t.Errorf("page %q", got)
	}
	pid := s.pid()
	s.run(resources.ActionStart, resources.OK)
	if s.pid() != pid {
		t.Error("a running nginx was started again")
	}
	s.run(resources.ActionReload, resources.OK)
	op := s.op(resources.ActionMonitor)
	op.CheckLevel = 10
	if res := (Agent{}).Execute(t.Context(), op); res.Code != resources.OK {
		t.Errorf("monitor of level 10: %+v", res)
	}
	op.Params = map[string]string{"status10regex": "something else"}
	for k, v := range s.params {
		op.Params[k] = v
	}
	if res := (Agent{}).Execute(t.Context(), op); res.Code != resources.ErrGeneric {
		t.Errorf("monitor with another text on the page: %+v", res)
	}
	began = time.Now()
	s.run(resources.ActionStop, resources.OK)
	t.Logf("stopped in %v", time.Since(began))
	s.run(resources.ActionMonitor, resources.NotRunning)
	s.run("promote", resources.ErrUnimplemented)
}

func TestKilledMaster(t *testing.T) {
	s := newSite(t)
	s.run(resources.ActionStart, resources.OK)
	noticed := make(chan time.Time, 1)
	go func() {
		if (Agent{}).Watch(t.Context(), s.op(resources.ActionMonitor)) {
			noticed <- time.Now()
		}
	}()
	pid := s.pid()
	workers := proc.Session(pid)
	for end := time.Now().Add(patience); len(workers) != 3; workers = proc.Session(pid) { // the first may answer before the second is there
		if time.Now().After(end) {
			t.Fatalf("session of the master: %+v, want it and two workers", workers)
		}
	}
	began := time.Now()
	syscall.Kill(pid, syscall.SIGKILL)
	select {
	case at := <-noticed:
		t.Logf("noticed after %v", at.Sub(began))
	case <-time.After(patience):
		t.Error("not noticed")
	}
	for _, alive := proc.Find(pid); alive; _, alive = proc.Find(pid) {
	}
	s.run(resources.ActionMonitor, resources.ErrGeneric) // workers still hold the port
	s.run(resources.ActionStart, resources.OK)           // although nobody stopped it
	if got := s.page(); got != "it works" {
		t.Errorf("page %q", got)
	}
	for _, w := range workers {
		if p, alive := proc.Find(w.PID); alive {
			t.Errorf("left of the killed nginx: %+v", p)
		}
	}
	syscall.Kill(s.pid(), syscall.SIGKILL)
	for _, alive := proc.Find(s.pid()); alive; _, alive = proc.Find(s.pid()) {
	}
	s.run(resources.ActionStop, resources.OK)
	s.run(resources.ActionMonitor, resources.NotRunning)
}

// A monitor of a higher level asks for all that the lower ones ask for.
func TestCheckLevels(t *testing.T) {
	s := newSite(t)
	s.run(resources.ActionStart, resources.OK)
	s.params["test20url"], s.params["test20regex"] = "/", "IT WORKS"
	s.params["external_monitor30_cmd"] = "/bin/sh -c 'exit 0'"
	monitor := func(level int, want resources.Code, says string) {
		t.Helper()
		op := s.op(resources.ActionMonitor)
		op.CheckLevel = level
		if res := (Agent{}).Execute(t.Context(), op); res.Code != want || !strings.Contains(res.Reason, says) {
			t.Errorf("level %d: %d %q, want %d and %q", level, res.Code, res.Reason, want, says)
		}
	}
	monitor(30, resources.OK, "")
	s.params["external_monitor30_cmd"] = "/bin/sh -c 'echo the cache is cold >&2; exit 3'"
	monitor(20, resources.OK, "")
	monitor(30, resources.ErrGeneric, "exit 3: the cache is cold")
	s.params["test20url"] = s.url + "nowhere/else"
	s.params["test20regex"] = "nothing"
	monitor(10, resources.OK, "")
	monitor(20, resources.ErrGeneric, "does not match")
	s.params["test20regex"] = "("
	monitor(0, resources.ErrConfigured, "test20regex")
	delete(s.params, "test20regex")
}

// A file of tests takes the place of the page of check level 20, and only there.
func TestTestFile(t *testing.T) {
	s := newSite(t)
	s.run(resources.ActionStart, resources.OK)
	client := filepath.Join(s.dir, "client")
	if err := os.WriteFile(client, []byte("#!/bin/sh\necho \"$@\"\n[ $# -lt 4 ]\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	s.params["test20conffile"] = filepath.Join(s.dir, "tests")
	s.params["test20url"], s.params["test20regex"] = "/", "never asked"
	for _, c := range []struct {
		name, tests string
		want        resources.Code
		says        string
	}{
		{"", "# two tests\ntest one\n url /\n match IT WORKS\nend\n\ntest two\nurl /\nmatch other\nend", resources.OK, ""},
		{"two", "test one\nurl /\nend\ntest two\n\turl\t/\nmatch the other page\nend", resources.ErrGeneric, "does not match"},
		{"three", "test one\nurl /\nend\n", resources.ErrConfigured, `no test "three"`},
		{"", "test one\nurl " + s.url + "nowhere/else\nmatch it works\nclient wget\nend", resources.OK, ""},
		{"", "test one\nurl /who\nmatch basic bWU6b3BlbiBzZXNhbWU=$\nuser me\npassword open sesame\nend", resources.OK, ""},
		{"", "test one\nurl /who\nmatch nobody\nuser me\npassword opensesame\nend", resources.ErrGeneric, "get http://me:xxxxx@"},
		{"", "test one\nurl /who\nuser me\npassword opensesame\nclient_opts -k\nend", resources.ErrConfigured, "leave client"},
		{"", "test one\nurl /a\nmatch ^-H host: www " + s.url + "a\nclient " + client + "\nclient_opts -H 'Host: www'\nend", resources.OK, ""},
		{"", "test one\nurl /a\nmatch ^x\nclient " + client + "\nend", resources.ErrGeneric, "does not match"},
		{"", "test one\nurl /a\nclient " + client + "\nclient_opts 1 2 3\nend", resources.ErrGeneric, "exit 1"},
		{"", "test one\nurl /\nclient " + client + "s\nend", resources.ErrInstalled, "client of test one"},
		{"", "test one\nurl /\nclient_opts 'opensesame\nend", resources.ErrConfigured, "quote"},
		{"", "test one\nurl /\nmatch (\nend", resources.ErrConfigured, "test one: match"},
		{"", "test one\nurl http://me:opensesame@[\nend", resources.ErrConfigured, "url cannot be read"},
		{"", "test one\nend", resources.ErrConfigured, "no url"},
	} {
		if err := os.WriteFile(s.params["test20conffile"], []byte(c.tests), 0o600); err != nil {
			t.Fatal(err)
		}
		s.params["test20name"] = c.name
		s.monitor(20, c.want, c.says, c.tests)
	}
	s.monitor(10, resources.OK, "", "the last one")
	s.run(resources.ActionValidateAll, resources.ErrConfigured)
	s.params["test20conffile"] += ".missing"
	s.monitor(20, resources.ErrInstalled, "every node needs the file", "no file")
	s.run(resources.ActionStop, resources.OK)
	s.run(resources.ActionMonitor, resources.NotRunning)
}

// monitor runs a monitor of a level; no reason it gives may show a password.
func (s *site) monitor(level int, want resources.Code, says, what string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	op := s.op(resources.ActionMonitor)
	op.CheckLevel = level
	res := Agent{}.Execute(ctx, op)
	if res.Code != want || !strings.Contains(res.Reason, says) || strings.Contains(res.Reason, "sesame") {
		s.t.Errorf("%s\nlevel %d: %d %q, want %d and %q", what, level, res.Code, res.Reason, want, says)
	}
}

func TestParseTests(t *testing.T) {
	tests, err := parseTests("#\ntest a\nurl /x y\n  match  a  b \nend\ntest\nend")
	want := []keywords{{"test": "a", "url": "/x y", "match": "a  b"}, {"test": ""}}
	if err != nil || !slices.EqualFunc(tests, want, maps.Equal) {
		t.Errorf("%q, %v; want %q", tests, err, want)
	}
	for text, says := range map[string]string{
		"":                             "no test",
		"# nothing":                    "no test",
		"url /\ntest a\nend":           "line 1: a test begins",
		"test a\nurl /":                "test a has no",
		"test a\nurl /\ntest b\nend":   "line 3",
		"test a\nurl /\nurl /b\nend":   "line 3",
		"test a\npass sesame\nend":     "line 2",
		"test a\nurl /\nend\nsesame b": "line 4",
	} {
		tests, err := parseTests(text)
		if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "sesame") {
			t.Errorf("%q: %q, %v; want %q", text, tests, err, says)
		}
	}
}

func FuzzParseTests(f *testing.F) {
	f.Add("test a\nurl /\nmatch x\nend")
	f.Add("# test\ntest a\ntest b")
	f.Fuzz(func(t *testing.T, text string) {
		tests, err := parseTests(text)
		if (err == nil) != (len(tests) > 0) {
			t.Errorf("%d tests and %v", len(tests), err)
		}
	})
}

func TestOnServer(t *testing.T) {
	for _, c := range [][4]string{
		{"", "", "", ""}, {"/a?b", "", "", "http://127.0.0.1:80/a?b"}, {"a", "", "8080", "http://127.0.0.1:8080/a"},
		{"/a", "https://web.example:444/status", "80", "https://web.example:444/a"}, {"http://x/", "http://y/", "", "http://x/"},
	} {
		if got, err := onServer(c[0], c[1], c[2]); got != c[3] || err != nil {
			t.Errorf("%q on %q, port %q: %q, %v; want %q", c[0], c[1], c[2], got, err, c[3])
		}
	}
}

func TestStopEndsSlowRequests(t *testing.T) {
	s := newSite(t)
	s.params["graceful"] = "100ms"
	s.run(resources.ActionStart, resources.OK)
	s.slowRequest()
	began := time.Now()
	s.run(resources.ActionStop, resources.OK)
	if took := time.Since(began); took < 100*time.Millisecond { // the request itself would outlast the time of an operation
		t.Errorf("stop with a request being served took %v", took)
	}
}

type noLease struct{}

func (noLease) Remaining() time.Duration { return 0 }

func TestStopWithoutLeaseDoesNotWait(t *testing.T) {
	s := newSite(t)
	s.params["graceful"] = "1h"
	s.run(resources.ActionStart, resources.OK)
	s.slowRequest()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if res := (Agent{Lease: noLease{}}).Execute(ctx, s.op(resources.ActionStop)); res.Code != resources.OK {
		t.Errorf("stop = %+v", res)
	}
}

// slowRequest leaves a request that is being served for a long time.
func (s *site) slowRequest() {
	t := s.t
	t.Helper()
	conn, err := net.Dial("tcp", strings.Trim(s.url, "htp:/"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	fmt.Fprint(conn, "GET /slow HTTP/1.0\r\n\r\n")
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
}

func TestStrangerInThePIDFile(t *testing.T) {
	s := newSite(t)
	file := filepath.Join(s.dir, "nginx.pid")
	if err := os.WriteFile(file, []byte(strconv.Itoa(os.Getpid())), 0o644); err != nil {
		t.Fatal(err)
	}
	s.run(resources.ActionMonitor, resources.NotRunning)
	s.run(resources.ActionStop, resources.OK) // and this test still lives
	if err := os.WriteFile(file, []byte(strconv.Itoa(os.Getpid())), 0o644); err != nil {
		t.Fatal(err)
	}
	s.run(resources.ActionStart, resources.OK)
}

func TestWrongConfiguration(t *testing.T) {
	s := newSite(t)
	s.write("pid " + s.dir + "/nginx.pid; nonsense;")
	if res := s.run(resources.ActionStart, resources.ErrGeneric); !strings.Contains(res.Reason, "nonsense") {
		t.Errorf("reason %q does not say what is wrong", res.Reason)
	}
	s.params["status10regex"] = "("
	s.run(resources.ActionStart, resources.ErrConfigured)
	delete(s.params, "status10regex")
	good := s.params["configfile"]
	s.params["configfile"] += ".missing"
	s.run(resources.ActionStart, resources.ErrInstalled)
	s.run(resources.ActionMonitor, resources.NotRunning) // a probe
	s.run(resources.ActionStop, resources.OK)
	s.params["configfile"], s.params["httpd"] = good, "/nonexistent/nginx"
	s.run(resources.ActionStart, resources.ErrInstalled)
	delete(s.params, "httpd")
}

func TestStartGivesUpInTime(t *testing.T) {
	s := newSite(t)
	s.run(resources.ActionStart, resources.OK)
	s.params["status10url"] = "http://127.0.0.1:1/" // it runs, and must answer somewhere else too
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	if res := (Agent{}).Execute(ctx, s.op(resources.ActionStart)); res.Status != resources.StatusTimeout || !strings.Contains(res.Reason, "does not answer") {
		t.Errorf("start = %+v", res)
	}
}

func TestPIDDirective(t *testing.T) {
	for conf, want := range map[string]string{
		"pid /run/a.pid;": "/run/a.pid",
		"# pid /no;\nuser root;pid \"/run/with blank.pid\" ;": "/run/with blank.pid",
		"http { pid /inner; } events{}":                       "",
		"pid;":                                                "",
		"include x; pid '/run/it\\'s';":                       "/run/it's",
	} {
		if got := pidDirective(conf); got != want {
			t.Errorf("pid of %q is %q, want %q", conf, got, want)
		}
	}
	if got := options(`-g 'pid /x; daemon on;' -p /y`); !slices.Equal(got, []string{"-g", "pid /x; daemon on;", "-p", "/y"}) {
		t.Errorf("options %q", got)
	}
	if got := built("configure arguments: --with-cc-opt='-g -O2' --prefix=/usr/share/nginx --pid-path=/run/nginx.pid", "pid-path"); got != "/run/nginx.pid" {
		t.Errorf("built-in path %q", got)
	}
}

func FuzzPIDDirective(f *testing.F) {
	f.Add("user root; pid /run/nginx.pid; http { server { } }")
	f.Add("pid '/a\\")
	f.Fuzz(func(t *testing.T, conf string) {
		pidDirective(conf)
		options(conf)
	})
}
