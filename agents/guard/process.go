package guard

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"systole/agents/process"
)

// ChildName is what the environment variable of agents.RunChild says in a guard process.
const ChildName = "guard"

const (
	childEnv = "SYSTOLE_CHILD=" + ChildName
	// answerWithin bounds the talk with the child. It only touches memory and netlink,
	// but may wait for a processor; a daemon that gives up here ends itself.
	answerWithin = 10 * time.Second
	// lifetimeBound is how late an address goes by valid_lft alone: lifetimeStep,
	// rounding up to a second, and the second the kernel may wait between two
	// looks (net/ipv4/devinet.c, check_lifetime).
	lifetimeBound = 2500 * time.Millisecond
)

// remote is the process guard seen from the daemon: a connection to the child,
// which lives on when the daemon dies and is found again by its socket.
type remote struct {
	cfg   Config
	conn  net.Conn
	lines *bufio.Reader
	addrs map[Address]bool
}

func openProcess(cfg Config) (backend, error) {
	if cfg.Dir == "" {
		return nil, errors.New("it needs a directory for its socket")
	}
	r := &remote{cfg: cfg, addrs: map[Address]bool{}}
	if err := r.connect(); err != nil {
		return nil, err
	}
	return r, nil
}

func (r *remote) kind() Kind   { return KindProcess }
func (r *remote) guards() bool { return len(r.addrs) > 0 }

// bound is that of valid_lft: the process may be starved, stopped or killed
// together with the daemon, and then only the kernel is left.
func (r *remote) bound() time.Duration { return lifetimeBound }

func (r *remote) close() error { return r.conn.Close() }

func (r *remote) protect(a Address) error {
	if _, err := r.tell("protect %s %s", a.Device, a.Addr); err != nil {
		return err
	}
	r.addrs[a] = true
	return nil
}

func (r *remote) leaving(a Address) error {
	delete(r.addrs, a)
	_, err := r.tell("release %s %s", a.Device, a.Addr)
	return err
}

// release is leaving, for an address that had gone before.
func (r *remote) release(a Address) error { return r.leaving(a) }

// free is release: this guard removes addresses and holds back no packets.
func (r *remote) free(a Address) error { return r.release(a) }

// renew sends an instant, not a length: a pause on the way changes nothing.
func (r *remote) renew(remaining time.Duration) error {
	_, err := r.tell("until %d", boottime()+remaining)
	return err
}

func (r *remote) protected() ([]Address, error) {
	answer, err := r.tell("list")
	if err != nil {
		return nil, err
	}
	var as []Address
	fields := strings.Fields(answer)
	for i := 0; i+1 < len(fields); i += 2 {
		a, err := parse(fields[i], fields[i+1])
		if err != nil {
			return nil, err
		}
		as = append(as, a)
		r.addrs[a] = true
	}
	return as, nil
}

// tell sends one command and returns what follows "ok". A child that is gone
// is replaced, and told what it must know.
func (r *remote) tell(format string, args ...any) (string, error) {
	command := fmt.Sprintf(format, args...)
	answer, err := r.exchange(command)
	if err == nil {
		return answer, nil
	}
	if _, refused := errors.AsType[refusal](err); refused {
		return "", err
	}
	r.conn.Close()
	if err := r.connect(); err != nil {
		return "", err
	}
	for a := range r.addrs {
		if _, err := r.exchange(fmt.Sprintf("protect %s %s", a.Device, a.Addr)); err != nil {
			return "", err
		}
	}
	return r.exchange(command)
}

type refusal string

func (e refusal) Error() string { return "guard process: " + string(e) }

func (r *remote) exchange(command string) (string, error) {
	r.conn.SetDeadline(time.Now().Add(answerWithin))
	if _, err := r.conn.Write([]byte(command + "\n")); err != nil {
		return "", fmt.Errorf("guard process: %w", err)
	}
	line, err := r.lines.ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("guard process: %w", err)
	}
	word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	if word != "ok" {
		return "", refusal(strings.TrimSpace(line))
	}
	return rest, nil
}

// connect finds the child by its socket, or starts one.
func (r *remote) connect() error {
	path := filepath.Join(r.cfg.Dir, "guard.sock")
	conn, err := net.Dial("unix", path)
	if err != nil {
		if err := r.spawn(path); err != nil {
			return fmt.Errorf("start the guard process: %w", err)
		}
		if conn, err = net.Dial("unix", path); err != nil {
			return fmt.Errorf("reach the guard process: %w", err)
		}
	}
	r.conn, r.lines = conn, bufio.NewReader(conn)
	return nil
}

// spawn listens for the child, so that it can be reached before it runs.
func (r *remote) spawn(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return err
	}
	listener.SetUnlinkOnClose(false)
	defer listener.Close()
	if err := os.Chmod(path, 0o600); err != nil {
		return err
	}
	file, err := listener.File()
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = process.Spawn(process.Command{
		Path: cmp.Or(r.cfg.Self, "/proc/self/exe"), Env: []string{childEnv}, Files: []*os.File{file},
	})
	return err
}
