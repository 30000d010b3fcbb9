package store

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"
	"golang.org/x/sys/unix"

	"systole/crm/cib"
	"systole/crm/command"
)

// Files below Config.Dir.
const (
	logFile     = "raft.db"
	snapshotDir = "snapshots"
)

const (
	// keepSnapshots on disk: one more than needed, should the newest be damaged.
	keepSnapshots = 2
	// minFree is the room a store must find: a few snapshots and some growth of the log.
	minFree = 32 << 20
	// lockWait is how long an old process may take to let go of the log.
	lockWait = 3 * time.Second
)

// files are the parts of a store that outlive the process.
type files struct {
	log    raft.LogStore
	stable raft.StableStore
	snaps  raft.SnapshotStore
	close  func() error
}

func openFiles(cfg *Config) (files, error) {
	if cfg.Dir == "" {
		m := memoryLog{cfg.Memory.store, cfg.Memory}
		return files{log: m, stable: m, snaps: &cfg.Memory.snaps, close: func() error { return nil }}, nil
	}
	if err := checkDir(cfg.Dir); err != nil {
		return files{}, err
	}
	bolt, err := openBolt(filepath.Join(cfg.Dir, logFile))
	if err != nil {
		return files{}, err
	}
	snaps, err := raft.NewFileSnapshotStoreWithLogger(cfg.Dir, keepSnapshots, raftLogger(cfg.Log))
	if err != nil {
		bolt.Close()
		return files{}, fmt.Errorf("open %s: %w", filepath.Join(cfg.Dir, snapshotDir), err)
	}
	return files{log: bolt, stable: bolt, snaps: snaps, close: bolt.Close}, nil
}

// checkDir makes the directory, and finds what would go wrong later.
func checkDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the store's directory: %w", err)
	}
	var room unix.Statfs_t
	if err := unix.Statfs(dir, &room); err == nil && room.Bavail*uint64(room.Bsize) < minFree {
		return fmt.Errorf("%s: %w: %d MiB are free, %d are needed; make room on that file system",
			dir, ErrFull, room.Bavail*uint64(room.Bsize)>>20, minFree>>20)
	}
	log := filepath.Join(dir, logFile)
	if _, err := os.Stat(log); !errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if old, _ := os.ReadDir(filepath.Join(dir, snapshotDir)); len(old) > 0 {
		return fmt.Errorf("%s: %w, while %s holds snapshots: put the file back, or move the whole directory away and let this node join again",
			log, ErrMissing, filepath.Join(dir, snapshotDir))
	}
	return nil
}

// openBolt opens the log, once every page that is in use was seen to be readable: on
// a damaged file bbolt would touch pages that are not there, on a goroutine of its
// own, and take the process with it.
func openBolt(path string) (*raftboltdb.BoltStore, error) {
	if err := readable(path); err != nil {
		return nil, explain(path, err)
	}
	s, err := raftboltdb.New(raftboltdb.Options{Path: path, BoltOptions: &bbolt.Options{
		// The free list is rebuilt at the start: one page less to write for each commit.
		NoFreelistSync: true,
		FreelistType:   bbolt.FreelistMapType,
		Timeout:        lockWait,
	}})
	if err != nil {
		return nil, explain(path, err)
	}
	return s, nil
}

// readable walks through everything in the file, here, where a fault is an error.
func readable(path string) (err error) {
	if info, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0 {
		return nil // bbolt makes it
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	db, err := bbolt.Open(path, 0, &bbolt.Options{ReadOnly: true, Timeout: lockWait})
	if err != nil {
		return err
	}
	defer db.Close()
	return db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(_ []byte, b *bbolt.Bucket) error {
			var sum byte
			return b.ForEach(func(k, v []byte) error {
				for i := 0; i < len(v); i += 4096 {
					sum ^= v[i] // touch the page
				}
				return nil
			})
		})
	})
}

// explain names the cause and the remedy of an error of the log's file.
func explain(path string, err error) error {
	switch {
	case errors.Is(err, bbolterrors.ErrTimeout):
		return fmt.Errorf("%s: %w: is another systoled running?", path, ErrLocked)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%s: %w: make room on that file system", path, ErrFull)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return fmt.Errorf("open the store: %w: the daemon needs to write there", err)
	default:
		return corrupt(path, err)
	}
}

func corrupt(path string, err error) error {
	return fmt.Errorf("%s: %w (%v): move the directory %s away, remove this node from the cluster and let it join again; the other nodes have everything",
		path, ErrCorrupt, err, filepath.Dir(path))
}

// raftID is the id this store has, or gets for ever. It names the incarnation of the
// store, so a node that lost its store is another server to the cluster: the old one
// may have promised or voted what this one does not know (V5).
func raftID(cfg *Config, f files) (raft.ServerID, error) {
	id, err := f.stable.Get(keyID)
	if err != nil && !isNotFound(err) {
		return "", err
	}
	if len(id) > 0 {
		if node, _, _ := strings.Cut(string(id), "/"); node != cfg.Node {
			return "", fmt.Errorf("the store in %s belongs to node %s, not %s: start the daemon with the right directory or node name", cfg.Dir, node, cfg.Node)
		}
		return raft.ServerID(id), nil
	}
	if last, err := f.log.LastIndex(); err != nil || last > 0 {
		return "", fmt.Errorf("the log in %s was not written by this program: %w", cfg.Dir, ErrCorrupt)
	}
	incarnation := cfg.Incarnation
	if incarnation == "" {
		incarnation = strings.ToLower(rand.Text()[:13]) // 65 bits
	}
	id = []byte(cfg.Node + "/" + incarnation)
	if err := f.stable.Set(keyID, id); err != nil {
		return "", explain(filepath.Join(cfg.Dir, logFile), err)
	}
	return raft.ServerID(id), nil
}

// begin writes the first two entries of a new cluster's log: itself as the only
// voter, and the first CIB. A crash between the two is made good by the next start.
func begin(cfg *Config, rc *raft.Config, f files, t raft.Transport) error {
	last, err := f.log.LastIndex()
	if err != nil || last > 1 {
		return err
	}
	snaps, err := f.snaps.List()
	if err != nil || len(snaps) > 0 {
		return err
	}
	if last == 0 {
		self := raft.Server{ID: rc.LocalID, Address: t.LocalAddr()}
		if err := raft.BootstrapCluster(rc, f.log, f.stable, f.snaps, t, raft.Configuration{Servers: []raft.Server{self}}); err != nil {
			return fmt.Errorf("begin the cluster: %w", err)
		}
	}
	entry, err := command.Encode(command.Entry{
		Kind: command.KindCIB, Time: time.Now(), User: "root", Client: "systoled", Origin: cfg.Node,
		Change: &command.Change{Ops: []command.Op{{Kind: cib.OpReplace, Data: string(cfg.Bootstrap.Root().AppendXML(nil))}}},
	})
	if err != nil {
		return fmt.Errorf("begin the cluster: %w", err)
	}
	return f.log.StoreLog(&raft.Log{Index: 2, Term: 1, Type: raft.LogCommand, Data: entry, AppendedAt: time.Now()})
}

// raftConfig derives raft's settings from the timing.
func raftConfig(cfg *Config, id raft.ServerID, notify chan<- bool) *raft.Config {
	rc := raft.DefaultConfig()
	rc.LocalID = id
	rc.HeartbeatTimeout = cfg.Timing.Heartbeat
	rc.ElectionTimeout = cfg.Timing.Heartbeat
	rc.LeaderLeaseTimeout = cfg.Timing.Heartbeat
	rc.CommitTimeout = cfg.Timing.CommitTimeout
	rc.MaxAppendEntries = maxAppend
	// Raft answers nobody whose entry still waits in a buffered channel when it stops;
	// those who wait on an unbuffered one are batched all the same.
	rc.BatchApplyCh = false
	rc.ShutdownOnRemove = false
	rc.NotifyCh = notify
	rc.TrailingLogs = trailingLogs
	rc.SnapshotThreshold = snapshotEvery
	rc.SnapshotInterval = 30 * time.Second
	rc.NoLegacyTelemetry = true
	rc.Logger = raftLogger(cfg.Log)
	return rc
}

const (
	// maxAppend entries go into one message and one apply, which must stay below a
	// quarter of a heartbeat (I10): 128 results take some 10 ms.
	maxAppend = 128
	// snapshotEvery entries a snapshot is taken; trailingLogs stay for nodes that were
	// away: some minutes of a busy cluster.
	snapshotEvery = 8192
	trailingLogs  = 4096
)

// maxNode bounds a node's name, so that its raft id fits the wire's 255 bytes.
const maxNode = 200

func (c *Config) check() error {
	var problems []error
	miss := func(bad bool, what string) {
		if bad {
			problems = append(problems, errors.New("store: "+what))
		}
	}
	miss(c.Node == "" || strings.ContainsAny(c.Node, "/@"), "the node's name is empty or contains a slash or an at-sign")
	miss(len(c.Node) > maxNode, "the node's name is too long")
	miss(c.Fabric == nil, "there is no fabric")
	miss(c.Clock == nil, "there is no clock")
	miss(c.Timing.Promise == 0, "there is no timing")
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Dir == "" && c.Memory == nil {
		c.Memory = NewMemory()
	}
	return errors.Join(problems...)
}
