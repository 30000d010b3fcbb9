package mysql

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"systole/agents/internal/ocferr"
	"systole/agents/internal/proc"
	"systole/agents/process"
	"systole/resources"
)

var environment = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}

// running finds the server's process: by the pid file, else by its options. While it
// recovers from a crash it has no pid file yet, and is not stopped at all.
func (s server) running() (proc.Process, bool) {
	if p, ok := proc.Find(proc.ReadPIDFile(s.pidfile)); ok && s.ours(p) {
		return p, true
	}
	option := "--pid-file=" + s.pidfile
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, d := range dirs {
		pid, _ := strconv.Atoi(filepath.Base(d))
		if p, ok := proc.Find(pid); ok && s.ours(p) && slices.Contains(strings.Fields(p.Command), option) {
			return p, true
		}
	}
	return proc.Process{}, false
}

// ours tells a database server from a stranger that got its pid after a crash.
func (s server) ours(p proc.Process) bool {
	base := filepath.Base(s.program)
	return slices.Contains([]string{base[:min(len(base), 15)], "mariadbd", "mysqld"}, p.Name)
}

// start starts the server, or adopts the running one, and waits until it answers.
func (s server) start(ctx context.Context) error {
	p, running := s.running()
	if !running {
		if err := s.prepare(ctx); err != nil {
			return err
		}
		if err := os.Remove(s.pidfile); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("stale pid file: %w", err)
		}
		from := size(s.log)
		pid, err := process.Spawn(process.Command{Path: s.program, Args: s.arguments(), Env: environment, Dir: s.datadir})
		if err != nil {
			return ocferr.With(resources.ErrInstalled, err)
		}
		if p, running = proc.Find(pid); !running {
			return s.died(from)
		}
		defer func(pid int) { // what was started and does not answer in time is not left behind
			if ctx.Err() != nil {
				s.end(context.WithoutCancel(ctx), pid, 0)
			}
		}(pid)
		return s.await(ctx, p.PID, from)
	}
	return s.await(ctx, p.PID, size(s.log))
}

func (s server) arguments() []string {
	var args []string
	if _, err := os.Stat(s.config); err == nil {
		args = append(args, "--defaults-file="+s.config) // must be the first
	}
	args = append(args, "--datadir="+s.datadir, "--user="+s.user, "--log-error="+s.log, "--pid-file="+s.pidfile, "--socket="+s.socket)
	return slices.Concat(args, s.clone, s.args)
}

// prepare makes what the server does not make itself.
func (s server) prepare(ctx context.Context) error {
	if _, err := os.Stat(s.datadir); err != nil {
		return ocferr.Errorf(resources.ErrInstalled, "data directory of mysql: %w; is its file system mounted?", err)
	}
	owner, err := s.owner()
	if err != nil {
		return err
	}
	for _, path := range []string{s.log, s.pidfile, s.socket} {
		dir := filepath.Dir(path)
		if _, err := os.Stat(dir); err == nil {
			continue
		}
		if err := errors.Join(os.MkdirAll(dir, 0o755), os.Chown(dir, owner.uid, owner.gid)); err != nil {
			return fmt.Errorf("directory for mysql: %w", err)
		}
	}
	if _, err := os.Stat(filepath.Join(s.datadir, "mysql")); err == nil {
		return nil
	}
	if !s.create {
		return ocferr.Errorf(resources.ErrInstalled, "%s holds no database: is its file system mounted? Set enable_creation=true to begin with an empty one", s.datadir)
	}
	return s.install(ctx, owner)
}

type ids struct{ uid, gid int }

func (s server) owner() (ids, error) {
	u, err := user.Lookup(s.user)
	if err != nil {
		return ids{}, ocferr.Errorf(resources.ErrInstalled, "parameter user of mysql: %w", err)
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	if g, err := user.LookupGroup(s.group); err == nil {
		gid, _ = strconv.Atoi(g.Gid)
	}
	return ids{uid, gid}, nil
}

// install makes the system tables in an empty directory.
func (s server) install(ctx context.Context, owner ids) error {
	entries, err := os.ReadDir(s.datadir)
	if err != nil {
		return fmt.Errorf("data directory of mysql: %w", err)
	}
	if slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.Name() != "lost+found" }) {
		return ocferr.Errorf(resources.ErrInstalled, "%s is neither a database nor empty: nothing is created in it", s.datadir)
	}
	if err := os.Chown(s.datadir, owner.uid, owner.gid); err != nil {
		return fmt.Errorf("data directory of mysql: %w", err)
	}
	command := process.Command{Path: s.program, Args: []string{"--initialize-insecure", "--datadir=" + s.datadir, "--user=" + s.user},
		// A server that starts removes temporary tables from the directory it shares with this one.
		Env: append(slices.Clone(environment), "TMPDIR="+s.datadir)}
	for _, installer := range []string{"/usr/bin/mariadb-install-db", "/usr/bin/mysql_install_db"} {
		if _, err := os.Stat(installer); err == nil {
			command.Path = installer
			command.Args = []string{"--no-defaults", "--datadir=" + s.datadir, "--user=" + s.user, "--skip-test-db"}
			break
		}
	}
	exit, err := process.Run(ctx, command)
	if err == nil && exit.Code != 0 {
		err = fmt.Errorf("%s: exit %d: %s", command.Path, exit.Code, lastError(exit.Stderr))
	}
	return err
}

const pollInterval = 20 * time.Millisecond

// await waits until the server answers, as long as ctx allows.
func (s server) await(ctx context.Context, pid int, from int64) error {
	h, err := proc.Open(pid)
	if err != nil {
		return s.died(from)
	}
	defer h.Close()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		err := s.ask(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the server was started and does not answer: %w", err)
		case <-tick.C:
		}
		if h.Ended() {
			return s.died(from)
		}
	}
}

// died explains a server that ended by itself, from what it wrote since.
func (s server) died(from int64) error {
	return fmt.Errorf("the server ended: %s (see %s)", lastError(tail(s.log, from)), s.log)
}

// maxTail bounds what is read of a log.
const maxTail = 64 << 10

func size(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

func tail(path string, from int64) []byte {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	if _, err := f.Seek(from, io.SeekStart); err != nil {
		return nil
	}
	b, _ := io.ReadAll(io.LimitReader(f, maxTail)) // what was read will do
	return b
}

// lastError is the first line with an error: what follows are consequences.
func lastError(log []byte) string {
	last := "it said nothing"
	for line := range bytes.Lines(log) {
		text := strings.ToValidUTF8(strings.TrimSpace(string(line)), "?")
		if strings.Contains(text, "[ERROR]") {
			return text
		}
		last = cmp.Or(text, last)
	}
	return last
}

// askWithin bounds one question at the server.
const askWithin = 5 * time.Second

// ask has the server answer a query through its socket.
func (s server) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	c := s.local()
	defer c.Close()
	_, err := c.word(ctx, "SELECT 1")
	return err
}

// tableName is what test_table may be.
var tableName = regexp.MustCompile(`^[A-Za-z0-9_$]+(\.[A-Za-z0-9_$]+)?$`)

func (s server) monitor(ctx context.Context, level int) error {
	if _, running := s.running(); !running {
		return ocferr.Errorf(resources.NotRunning, "no server process in %s", s.pidfile)
	}
	if err := s.ask(ctx); err != nil {
		return err
	}
	if level >= 10 {
		c := s.local()
		defer c.Close()
		if _, err := c.word(ctx, "SELECT COUNT(*) FROM "+s.table); err != nil {
			return fmt.Errorf("table %s: %w", s.table, err)
		}
	}
	return nil
}

// killGrace is how long the kernel may take to end a killed server.
const killGrace = 5 * time.Second

// stop shuts the server down cleanly, or kills it when grace is over.
func (s server) stop(ctx context.Context, grace time.Duration) error {
	if p, running := s.running(); running {
		if err := s.end(ctx, p.PID, grace); err != nil {
			return err
		}
	}
	if err := os.Remove(s.pidfile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("stale pid file: %w", err)
	}
	return nil
}

func (s server) end(ctx context.Context, pid int, grace time.Duration) error {
	h, err := proc.Open(pid)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return err
	}
	defer h.Close()
	ladder := []proc.Step{{Signal: unix.SIGKILL, Grace: killGrace}}
	if grace > 0 {
		ladder = slices.Insert(ladder, 0, proc.Step{Signal: unix.SIGTERM, Grace: grace})
	}
	if !h.End(ctx, ladder...) {
		return fmt.Errorf("server %d does not end", pid)
	}
	return nil
}
