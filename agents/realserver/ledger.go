package realserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"
)

// ledger is what the real servers of this node have changed in its kernel: which
// resources run, and for each setting the value before the first of them. It
// is a file in /run, so that it outlives this process and not a boot, as the
// settings do. Every change of the kernel is written here first.
type ledger struct {
	// Users are the running resources and what each relies on: keys of settings,
	// and the names of addresses and routes.
	Users map[string][]string `json:"users"`
	// Settings are the changed ones by key below /proc/sys.
	Settings map[string]change `json:"settings"`
	// Told are the resources that have asked for no new connections, by an attribute
	// of the node that must be taken back when they run again.
	Told map[string]bool `json:"told,omitempty"`
}

type change struct {
	Before string `json:"before"`
	Set    string `json:"set"`
}

// enter notes that a resource relies on settings, given their present values,
// and on other things by name, and returns what is to be written to the kernel.
func (l *ledger) enter(user string, needs []need, now map[string]string, things ...string) (write map[string]string) {
	write = map[string]string{}
	keys := append([]string{}, things...)
	for _, n := range needs {
		keys = append(keys, n.key)
		if slices.Contains(n.will, now[n.key]) {
			continue
		}
		write[n.key] = n.will[0]
		before := now[n.key]
		if known, ok := l.Settings[n.key]; ok {
			before = known.Before // somebody undid ours: what was before the first start counts
		}
		l.Settings[n.key] = change{Before: before, Set: n.will[0]}
	}
	l.Users[user] = keys
	return write
}

// runs tells whether the resource was started here and not stopped since.
func (l *ledger) runs(user string) bool { return l.Users[user] != nil }

// tell notes whether the resource has asked for no new connections.
func (l *ledger) tell(user string, told bool) {
	if !told {
		delete(l.Told, user)
		return
	}
	if l.Told == nil {
		l.Told = map[string]bool{}
	}
	l.Told[user] = true
}

// alone tells whether no other resource relies on a thing.
func (l *ledger) alone(user, thing string) bool {
	for other, keys := range l.Users {
		if other != user && slices.Contains(keys, thing) {
			return false
		}
	}
	return true
}

// leave forgets a resource and returns what is to be written back: settings
// nobody else relies on and that still are as they were set here.
func (l *ledger) leave(user string, now map[string]string) (write map[string]string) {
	write = map[string]string{}
	delete(l.Users, user)
	for key, c := range l.Settings {
		if !l.alone(user, key) {
			continue
		}
		if now[key] == c.Set {
			write[key] = c.Before
		}
		delete(l.Settings, key)
	}
	return write
}

// book is the ledger's file. Stand-alone scripts and the daemon may use it at
// the same time: each holds its lock while it works.
type book struct {
	path string
	lock *os.File
	ledger
}

// errDamaged: nobody knows what the settings were. A stop still takes the addresses away.
var errDamaged = errors.New("is damaged (remove it; a reboot, or sysctl, restores the settings below net.ipv4.conf)")

const bookName = "systole-realserver.json"

// peek reads the ledger without holding it.
func peek(dir string) (ledger, error) {
	l := ledger{Users: map[string][]string{}, Settings: map[string]change{}}
	path := filepath.Join(dir, bookName)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err != nil {
		return l, err
	}
	l = ledger{}
	if err := json.Unmarshal(text, &l); err != nil {
		return l, fmt.Errorf("%s %w: %w", path, errDamaged, err)
	}
	if l.Users == nil || l.Settings == nil {
		return l, fmt.Errorf("%s %w: it lacks users or settings", path, errDamaged)
	}
	return l, nil
}

// openBook reads the ledger and holds it until close.
func openBook(ctx context.Context, dir string) (*book, error) {
	b := &book{path: filepath.Join(dir, bookName)}
	var err error
	if b.lock, err = holdFile(ctx, b.path+".lock"); err != nil {
		return nil, err
	}
	if b.ledger, err = peek(dir); err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

// lockEvery is the time between two tries for a lock; its holders take some
// milliseconds.
const lockEvery = 10 * time.Millisecond

// holdFile makes the file and holds its lock until it is closed.
func holdFile(ctx context.Context, path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	ticker := time.NewTicker(lockEvery)
	defer ticker.Stop()
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("lock %s: another process holds it: %w", path, context.Cause(ctx))
		}
	}
}

func (b *book) save() error {
	text, err := json.MarshalIndent(b.ledger, "", "  ")
	if err != nil {
		return err
	}
	return renameio.WriteFile(b.path, append(text, '\n'), 0o644)
}

// close lets go of the file. Users of it are short, so closing never matters to data.
func (b *book) close() { b.lock.Close() }

func (l *ledger) clone() ledger {
	return ledger{Users: maps.Clone(l.Users), Settings: maps.Clone(l.Settings), Told: maps.Clone(l.Told)}
}
