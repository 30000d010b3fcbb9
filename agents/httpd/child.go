package httpd

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// ChildName is what the environment variable of agents.RunChild says in a server.
const ChildName = "httpd"

const (
	envAddr    = "SYSTOLE_HTTPD_ADDR"
	envPage    = "SYSTOLE_HTTPD_PAGE"
	envRoot    = "SYSTOLE_HTTPD_ROOT"
	envNode    = "SYSTOLE_HTTPD_NODE"
	envPIDFile = "SYSTOLE_HTTPD_PIDFILE" // also by what the agent knows its server

	// healthPath answers the pid file's name in every configuration; the agent asks for it.
	healthPath = "/.systole/health"
	// drainTime is how long requests being served may take after TERM.
	drainTime = 500 * time.Millisecond
)

func (s server) environ() []string {
	return []string{
		"SYSTOLE_CHILD=" + ChildName, envAddr + "=" + s.addr, envPage + "=" + s.page,
		envRoot + "=" + s.root, envNode + "=" + s.node, envPIDFile + "=" + s.pidfile,
	}
}

// Child is the server; it returns the exit status.
func Child() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	srv := &http.Server{Addr: os.Getenv(envAddr), Handler: handler(os.Getenv(envPage), os.Getenv(envRoot), os.Getenv(envNode), os.Getenv(envPIDFile)), ReadHeaderTimeout: 10 * time.Second}
	ended := context.AfterFunc(ctx, func() {
		drain, cancel := context.WithTimeout(context.Background(), drainTime)
		defer cancel()
		if srv.Shutdown(drain) != nil {
			srv.Close()
		}
	})
	defer ended()
	if err := srv.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		fmt.Fprintln(os.Stderr, "httpd:", err)
		return 1
	}
	return 0
}

// handler serves the page or the directory.
func handler(page, root, node, identity string) http.Handler {
	page = strings.ReplaceAll(page, "%n", node)
	files := http.FileServer(http.Dir(root))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Served-By", node)
		switch {
		case r.URL.Path == healthPath:
			fmt.Fprint(w, identity)
		case root != "":
			files.ServeHTTP(w, r)
		default:
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			fmt.Fprint(w, page)
		}
	})
}
