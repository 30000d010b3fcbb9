package httpd

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"systole/agents/internal/proc"
	"systole/resources"
)

func TestMain(m *testing.M) {
	if os.Getenv("SYSTOLE_CHILD") == ChildName {
		os.Exit(Child())
	}
	os.Exit(m.Run())
}

type rig struct {
	t   *testing.T
	a   *Agent
	op  resources.Op
	url string
}

func newRig(t *testing.T) *rig {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	l.Close()
	r := &rig{t: t, a: New(Config{Dir: t.TempDir()}), url: "http://127.0.0.1:" + port}
	r.op = resources.Op{Resource: "web", Node: "n1", Params: map[string]string{"ip": "127.0.0.1", "port": port}}
	t.Cleanup(func() { r.run(resources.ActionStop, resources.OK) })
	return r
}

func (r *rig) run(action resources.Action, want resources.Code) resources.Result {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	op := r.op
	op.Action = action
	res := r.a.Execute(ctx, op)
	if res.Code != want {
		r.t.Errorf("%s = %d (%s), want %d", action, res.Code, res.Reason, want)
	}
	return res
}

func (r *rig) get(path string) (string, string) {
	r.t.Helper()
	resp, err := http.Get(r.url + path)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return string(b), resp.Header.Get("X-Served-By")
}

func TestLife(t *testing.T) {
	r := newRig(t)
	r.run(resources.ActionMonitor, resources.NotRunning)
	r.run(resources.ActionStop, resources.OK)
	began := time.Now()
	r.run(resources.ActionStart, resources.OK)
	t.Logf("started in %v", time.Since(began))
	if body, node := r.get("/"); body != "served by n1\n" || node != "n1" {
		t.Errorf("page %q by %q", body, node)
	}
	r.run(resources.ActionMonitor, resources.OK)
	r.run(resources.ActionStart, resources.OK)

	pidfile := filepath.Join(r.a.cfg.Dir, "httpd-web.pid")
	noticed := make(chan bool, 1)
	go func() { noticed <- r.a.Watch(t.Context(), r.op) }()
	pid := proc.ReadPIDFile(pidfile)
	syscall.Kill(pid, syscall.SIGKILL)
	if !<-noticed {
		t.Error("its death was not noticed")
	}
	for _, alive := proc.Find(pid); alive; _, alive = proc.Find(pid) {
	}
	r.run(resources.ActionMonitor, resources.NotRunning)
	if err := os.WriteFile(pidfile, []byte(strconv.Itoa(os.Getpid())), 0o644); err != nil { // a stranger
		t.Fatal(err)
	}
	r.run(resources.ActionMonitor, resources.NotRunning)
	r.run(resources.ActionStart, resources.OK)
	began = time.Now()
	r.run(resources.ActionStop, resources.OK)
	t.Logf("stopped in %v", time.Since(began))
	r.run(resources.ActionMonitor, resources.NotRunning)
}

func TestDirectoryAndErrors(t *testing.T) {
	r := newRig(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.txt"), []byte("a file"), 0o644); err != nil {
		t.Fatal(err)
	}
	r.op.Params["root"] = dir
	r.run(resources.ActionStart, resources.OK)
	if body, _ := r.get("/a.txt"); body != "a file" {
		t.Errorf("file %q", body)
	}
	other := newRig(t)
	other.op.Params["port"] = r.op.Params["port"]
	if res := other.run(resources.ActionStart, resources.ErrGeneric); !strings.Contains(res.Reason, "ended at once") {
		t.Errorf("port in use: %q", res.Reason)
	}
	other.op.Params["port"] = "0"
	other.run(resources.ActionStart, resources.ErrConfigured)
	delete(other.op.Params, "port")
}
