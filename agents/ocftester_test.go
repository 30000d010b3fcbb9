package agents

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"systole/agents/internal/nstest"
)

// TestOCFTester has Debian's ocf-tester judge the native agents as scripts.
func TestOCFTester(t *testing.T) {
	tester, err := exec.LookPath("ocf-tester")
	if err != nil {
		t.Skip("needs ocf-tester (package resource-agents): ", err)
	}
	if !nstest.IsolatedRoot(t) {
		return
	}
	nstest.NewWire(t)
	dir := publicDir(t)
	routeTo(t, "203.0.113.0/24", "192.0.2.9")
	exports := hideExports(t)
	for _, c := range []struct {
		agent  string
		params []string
	}{
		{"Dummy", nil},
		{"Stateful", nil},
		{"Delay", []string{"startdelay=0", "stopdelay=0", "mondelay=0"}},
		{"IPaddr2", []string{"ip=192.0.2.100"}},
		{"IPaddr2", []string{"ip=2001:db8::100"}},
		{"IPaddr2", []string{"ip=192.0.2.101", "nic=near0", "cidr_netmask=32", "iflabel=v1", "lvs_support=1"}},
		{"realserver", []string{"vip=192.0.2.102 2001:db8::102"}},
		{"realserver", []string{"mode=nat", "gateway=192.0.2.2", "ports=80"}},
		{"Route", []string{"destination=198.51.100.0/24", "gateway=192.0.2.9"}},
		{"IPsrcaddr", []string{"ipaddress=192.0.2.1", "destination=203.0.113.0/24"}},
		{"exportfs", []string{"directory=/usr", "clientspec=192.0.2.0/24", "fsid=1"}},
		{"httpd", []string{"ip=127.0.0.1", "port=" + freePort(t)}},
		{"Filesystem", []string{"device=scratch", "directory=" + filepath.Join(dir, "mnt"), "fstype=tmpfs"}},
		{"nginx", []string{"configfile=" + nginxConf(t, dir)}},
		{"mysql", mysqlParams(t)},
		{"php-fpm", []string{"config=" + fpmConf(t, dir)}},
	} {
		if c.agent == "mysql" && c.params == nil || c.agent == "php-fpm" && c.params[0] == "config=" {
			t.Log(c.agent + " is not installed: not tested")
			continue
		}
		if c.agent == "exportfs" && !exports {
			t.Log("exportfs is not installed: not tested")
			continue
		}
		if c.agent == "nginx" && c.params[0] == "configfile=" {
			t.Log("nginx is not installed: not tested")
			continue
		}
		args := []string{"-n", "t"}
		for _, p := range c.params {
			args = append(args, "-o", p)
		}
		cmd := exec.Command(tester, append(args, filepath.Join(dir, c.agent))...)
		cmd.Env = append(os.Environ(), "HA_RSCTMP="+dir,
			"GORACE=atexit_sleep_ms=0") // an instrumented program waits a second at its exit
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("ocf-tester %v %s: %v\n%s", c.params, c.agent, err, out)
		} else {
			t.Logf("%v\n%s", c.params, out)
		}
	}
}

// routeTo makes a route whose source address IPsrcaddr can change.
func routeTo(t *testing.T, to, via string) {
	t.Helper()
	_, network, err := net.ParseCIDR(to)
	if err == nil {
		err = netlink.RouteAdd(&netlink.Route{Dst: network, Gw: net.ParseIP(via)})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// hideExports covers the machine's own table of exports; false where the program is
// not installed.
func hideExports(t *testing.T) bool {
	t.Helper()
	if _, err := os.Stat("/usr/sbin/exportfs"); err != nil {
		return false
	}
	if err := unix.Mount("exports", "/var/lib/nfs", "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	return true
}

// publicDir is a directory that everybody may read, with this program under the
// names of the agents: ocf-tester runs them as nobody, too.
func publicDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "systole-ocf-tester")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "systole")
	in, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(binary, os.O_CREATE|os.O_WRONLY, 0o755)
	if err == nil {
		_, err = io.Copy(out, in)
		out.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range Native() {
		if err := os.Symlink("systole", filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// nginxConf writes a configuration, "" where nginx is not installed.
func nginxConf(t *testing.T, dir string) string {
	t.Helper()
	if _, err := os.Stat("/usr/sbin/nginx"); err != nil {
		return ""
	}
	path := filepath.Join(dir, "nginx.conf")
	conf := fmt.Sprintf("pid %[1]s/nginx.pid; error_log %[1]s/error.log; events {} http { access_log off; server { listen 127.0.0.1:%[2]s; } }", dir, freePort(t))
	if err := os.WriteFile(path, []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// mysqlParams are of a server that begins empty, nil where none is installed.
func mysqlParams(t *testing.T) []string {
	t.Helper()
	if _, err := os.Stat("/usr/sbin/mariadbd"); err != nil {
		return nil
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "data"), 0o755); err != nil {
		t.Fatal(err)
	}
	return []string{
		"config=/nonexistent", "datadir=" + dir + "/data", "log=" + dir + "/error.log", "pid=" + dir + "/pid", "socket=" + dir + "/sock",
		"user=root", "group=root", "enable_creation=true", "additional_parameters=--skip-networking --tmpdir=" + dir,
	}
}

// fpmConf writes a configuration, "" where php-fpm is not installed.
func fpmConf(t *testing.T, dir string) string {
	t.Helper()
	if found, _ := filepath.Glob("/usr/sbin/php-fpm*"); len(found) == 0 {
		return ""
	}
	path := filepath.Join(dir, "fpm.conf")
	conf := fmt.Sprintf("[global]\npid = %[1]s/fpm.pid\nerror_log = %[1]s/fpm.log\n[www]\nuser = nobody\ngroup = nogroup\nlisten = %[1]s/fpm.sock\npm = static\npm.max_children = 1\nping.path = /ping\n", dir)
	if err := os.WriteFile(path, []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}
