package nfs

import (
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"systole/agents/internal/mounts"
)

// export is one line of etab: a directory for one client (rpc.mountd(8)). The
// server asks rpc.mountd, and rpc.mountd reads etab.
type export struct {
	dir     string
	client  string
	options []string
}

// fsid is the export's, "" without one.
func (e export) fsid() string {
	for _, o := range e.options {
		if id, ok := strings.CutPrefix(o, "fsid="); ok {
			return id
		}
	}
	return ""
}

// parseEtab reads etab: a path with octal escapes, a tab, client(options).
func parseEtab(text string) (exports []export, err error) {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		dir, rest, ok := strings.Cut(line, "\t")
		client, options, open := strings.Cut(rest, "(")
		if !ok || !open || !strings.HasSuffix(options, ")") {
			return nil, fmt.Errorf("table of exports: %q is no line of it", line)
		}
		exports = append(exports, export{mounts.Unescape(dir), client, strings.Split(strings.TrimSuffix(options, ")"), ",")})
	}
	return exports, nil
}

// readEtab is what is exported. A table from before this boot means nothing as long
// as no server has read it: the power went while exports were in it.
func (p paths) readEtab() ([]export, error) {
	text, err := os.ReadFile(p.state("etab"))
	switch {
	case os.IsNotExist(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("table of exports: %w", err)
	}
	if n, _ := p.threads(); n == 0 && p.stale() {
		return nil, nil
	}
	return parseEtab(string(text))
}

// openEtab makes the table if there is none, and empties one from before this boot.
func (p paths) openEtab() error {
	flags := os.O_CREATE | os.O_WRONLY
	if n, _ := p.threads(); n == 0 && p.stale() {
		flags |= os.O_TRUNC
	}
	f, err := os.OpenFile(p.state("etab"), flags, 0o644)
	if err != nil {
		return fmt.Errorf("table of exports: %w", err)
	}
	return f.Close()
}

// stale tells whether etab is older than this boot.
func (p paths) stale() bool {
	info, err := os.Stat(p.state("etab"))
	var up unix.Timespec
	if err != nil || unix.ClockGettime(unix.CLOCK_BOOTTIME, &up) != nil {
		return false
	}
	return info.ModTime().Before(time.Now().Add(-time.Duration(up.Nano())))
}
