package stage

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"systole/integration/netlab"
)

// Web is the web server of the stage: real nginx, or the one built into the
// daemon where nginx cannot be had.
type Web struct {
	nginx string // path of the program, "" for ocf:systole:httpd
	note  string
}

// FindWeb looks for nginx on this machine, then among Debian's packages
// (downloaded and unpacked into cache, which any user may), and falls back to
// the built-in server. Note says which it is and why.
func FindWeb(ctx context.Context, cache string) Web {
	for _, path := range []string{"/usr/sbin/nginx", "/usr/bin/nginx", "/usr/local/sbin/nginx", filepath.Join(cache, "usr/sbin/nginx")} {
		if usable(ctx, path) {
			return Web{nginx: path, note: "nginx of this machine (" + path + ")"}
		}
	}
	if path, err := downloadNginx(ctx, cache); err == nil {
		return Web{nginx: path, note: "nginx from Debian's package, unpacked into " + cache}
	}
	return Web{note: "the built-in web server (nginx is not installed and could not be downloaded)"}
}

// Note says in a few words which server it is.
func (w Web) Note() string { return w.note }

func usable(ctx context.Context, path string) bool {
	return exec.CommandContext(ctx, path, "-v").Run() == nil
}

func downloadNginx(ctx context.Context, cache string) (string, error) {
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	get := exec.CommandContext(ctx, "apt-get", "download", "nginx")
	get.Dir = cache
	if out, err := get.CombinedOutput(); err != nil {
		return "", fmt.Errorf("apt-get download nginx: %w: %s", err, out)
	}
	debs, err := filepath.Glob(filepath.Join(cache, "nginx_*.deb"))
	if err != nil || len(debs) == 0 {
		return "", fmt.Errorf("no nginx package in %s", cache)
	}
	if out, err := exec.CommandContext(ctx, "dpkg", "-x", debs[0], cache).CombinedOutput(); err != nil {
		return "", fmt.Errorf("dpkg -x: %w: %s", err, out)
	}
	path := filepath.Join(cache, "usr/sbin/nginx")
	if !usable(ctx, path) {
		return "", fmt.Errorf("%s does not run here", path)
	}
	return path, nil
}

func webDir(n *netlab.Node) string { return filepath.Join(n.Dir, "www") }

// install writes the node's page and server configuration: the page is the node's name.
func (w Web) install(n *netlab.Node) error {
	dir := webDir(n)
	os.RemoveAll(dir)
	if err := os.MkdirAll(filepath.Join(dir, "html"), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "html", "index.html"), []byte(n.Name+"\n"), 0o644); err != nil {
		return err
	}
	// user root: an unprivileged user namespace knows no other user.
	conf := fmt.Sprintf(`user root;
worker_processes 1;
pid /run/nginx.pid;
error_log %[1]s/error.log;
events { worker_connections 512; }
http {
	access_log off;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	server {
		listen %[2]d;
		location / { root %[1]s/html; }
	}
}
`, "/run/www", webPort)
	// Every node sees its own files at the same place, as real machines do.
	return os.WriteFile(filepath.Join(dir, "nginx.conf"), []byte(conf), 0o644)
}

// primitive is the crm text of the web server.
func (w Web) primitive(id string) string {
	if w.nginx == "" {
		return fmt.Sprintf("primitive %s ocf:systole:httpd \\\n\tparams root=/run/www/html port=%d \\\n\top monitor interval=1s timeout=20s", id, webPort)
	}
	return fmt.Sprintf("primitive %s ocf:systole:nginx \\\n\tparams configfile=/run/www/nginx.conf httpd=%s status10url=http://127.0.0.1:%d/ \\\n\top monitor interval=1s timeout=20s", id, w.nginx, webPort)
}

// KillWeb kills every process of the web server on a node, as a crash would.
func (c *Cluster) KillWeb(n *netlab.Node) error {
	name := "nginx"
	if c.o.Web.nginx == "" {
		name = "httpd"
	}
	killed, err := n.KillAll(name, syscall.SIGKILL)
	if err == nil && killed == 0 {
		return fmt.Errorf("kill %s on %s: it does not run there", name, n.Name)
	}
	return err
}
