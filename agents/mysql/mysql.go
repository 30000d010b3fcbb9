// Package mysql is the agent ocf:systole:mysql for MariaDB and MySQL.
//
// The server named in the pid file, or started with it, is the service; the
// agent keeps no state of its own beside it. Alone it starts, asks, watches
// and stops the server. As a promotable clone it also keeps replication by
// GTID (replica.go), by decisions that are functions of values: who may be
// promoted and who may follow (judge.go), and whose confirmation counts
// (members.go). DESIGN.md says which facts prove what.
package mysql

import (
	"cmp"
	"context"
	"fmt"
	"hash/fnv"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"systole/agents/internal/ocferr"
	"systole/agents/internal/proc"
	"systole/agents/process"
	"systole/resources"
)

// Cluster is what the agent says to the other nodes, through the CIB.
type Cluster interface {
	// Score sets the instance's promotion score on this node; a negative one removes it.
	Score(ctx context.Context, op resources.Op, score int) error
	// Set sets a transient attribute of this node.
	Set(ctx context.Context, op resources.Op, name, value string) error
	// Transient are the transient attributes of all nodes, by node and name.
	Transient(ctx context.Context, op resources.Op) (map[string]map[string]string, error)
	// Keep sets a permanent attribute of this node. When it returns, the cluster has it.
	Keep(ctx context.Context, op resources.Op, name, value string) error
	// Kept are the permanent attributes of all nodes, by node and name, as
	// committed when it is called.
	Kept(ctx context.Context, op resources.Op) (map[string]map[string]string, error)
	// Active are the nodes on which the instance is not on record as stopped, in
	// order or with the proof that the node is gone.
	Active(ctx context.Context, op resources.Op) ([]string, error)
}

// Agent keeps no state and is safe for concurrent use.
type Agent struct {
	// Cluster is needed by promotable clones only.
	Cluster Cluster
	// Log; nil discards.
	Log *slog.Logger
}

// MetaData is the OCF document.
func (Agent) MetaData(context.Context) ([]byte, error) { return Metadata.XML(), nil }

// Execute runs one operation.
func (a Agent) Execute(ctx context.Context, op resources.Op) resources.Result {
	s, err := read(op)
	if err != nil {
		return ocferr.Absent(op, err)
	}
	if promotable(op) {
		return a.replica(s, op).execute(ctx)
	}
	switch op.Action {
	case resources.ActionStart:
		err = s.start(ctx)
	case resources.ActionStop:
		err = s.stop(ctx, stopGrace(op))
	case resources.ActionMonitor, "status":
		err = s.monitor(ctx, op.CheckLevel)
	case resources.ActionValidateAll, resources.ActionNotify:
	default:
		err = ocferr.Errorf(resources.ErrUnimplemented, "mysql has no action %s outside of a promotable clone", op.Action)
	}
	return ocferr.Result(ctx, err)
}

// promotable tells whether the instance is of a promotable clone.
func promotable(op resources.Op) bool {
	n, _ := strconv.Atoi(cmp.Or(op.Meta["promoted_max"], op.Meta["master_max"]))
	return n > 0
}

// stopGrace is how long a clean shutdown may take: most of the stop's timeout,
// so that killing the server is still part of it.
func stopGrace(op resources.Op) time.Duration {
	timeout := cmp.Or(op.Timeout, resources.DefaultTimeout)
	return timeout - min(timeout/4, 10*time.Second)
}

// server is one database server as configured.
type server struct {
	program, config, datadir, log, pidfile, socket string
	user, group                                    string
	args                                           []string // the user's own, last
	clone                                          []string // of a promotable clone
	create                                         bool
	account                                        account
	table                                          string
}

// account is how to come to a server.
type account struct{ user, password string }

// programs are where distributions have the server.
var programs = []string{"/usr/sbin/mariadbd", "/usr/libexec/mariadbd", "/usr/sbin/mysqld", "/usr/libexec/mysqld"}

// read works out what is configured.
func read(op resources.Op) (server, error) {
	v, err := Metadata.Resolve(op.Params)
	if err != nil {
		return server{}, ocferr.With(resources.ErrConfigured, err)
	}
	s := server{
		config: v.String("config"), datadir: v.String("datadir"), log: v.String("log"), pidfile: v.String("pid"), socket: v.String("socket"),
		user: v.String("user"), group: v.String("group"), create: v.Bool("enable_creation"), table: v.String("test_table"),
		account: account{v.String("test_user"), v.String("test_passwd")},
	}
	if filepath.Ext(s.log) == "" {
		s.log += ".err" // as the server does
	}
	if s.program, err = program(v.String("binary")); err != nil {
		return server{}, err
	}
	if s.args, err = process.Words(v.String("additional_parameters")); err != nil {
		return server{}, ocferr.Errorf(resources.ErrConfigured, "parameter additional_parameters of mysql: %w", err)
	}
	if !tableName.MatchString(s.table) {
		return server{}, ocferr.Errorf(resources.ErrConfigured, "parameter test_table of mysql: %q is not a table; write it like mysql.user", s.table)
	}
	if promotable(op) {
		s.clone = cloneOptions(cmp.Or(op.Node, op.Meta["on_node"]))
	}
	return s, nil
}

// program is the server itself, also where its watching script is named.
func program(configured string) (string, error) {
	candidates := programs
	switch filepath.Base(configured) {
	case ".", "mysqld_safe", "mariadbd-safe":
	default:
		candidates = []string{configured}
	}
	i := slices.IndexFunc(candidates, func(p string) bool { _, err := os.Stat(p); return err == nil })
	if i < 0 {
		return "", ocferr.Errorf(resources.ErrInstalled, "no server program: none of %q exists; install mariadb-server or set binary", candidates)
	}
	return candidates[i], nil
}

// cloneOptions are what replication needs of every instance, whatever its
// configuration file says. It begins read-only and confirms nothing for others.
func cloneOptions(node string) []string {
	return []string{
		"--server-id=" + strconv.FormatUint(uint64(serverID(node)), 10), "--report-host=" + node,
		"--log-bin=mysql-bin", "--relay-log=relay-bin", "--log-slave-updates=ON", "--gtid-strict-mode=ON",
		"--sync-binlog=1", "--innodb-flush-log-at-trx-commit=1", // what is confirmed survives a power cut
		"--read-only=ON", "--skip-slave-start",
		"--rpl-semi-sync-master-enabled=OFF", "--rpl-semi-sync-slave-enabled=OFF",
		"--rpl-semi-sync-master-wait-point=AFTER_SYNC", // nobody reads what no replica has
		"--rpl-semi-sync-master-wait-no-slave=ON", "--rpl-semi-sync-master-timeout=4294967295",
	}
}

// serverID is a number for a node, never 0. Two nodes of one number refuse each other.
func serverID(node string) uint32 {
	h := fnv.New32a()
	h.Write([]byte(node))
	return max(h.Sum32(), 1)
}

// Watch notices the end of the server.
func (a Agent) Watch(ctx context.Context, op resources.Op) bool {
	s, err := read(op)
	if err != nil {
		<-ctx.Done()
		return false
	}
	p, running := s.running()
	if !running {
		return ctx.Err() == nil
	}
	h, err := proc.Open(p.PID)
	if err != nil {
		return ctx.Err() == nil
	}
	defer h.Close()
	return h.Wait(ctx)
}

// replica puts together what a promotable clone's operations need.
func (a Agent) replica(s server, op resources.Op) *replica {
	v, _ := Metadata.Resolve(op.Params) // checked by read
	log := a.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	op.Node = cmp.Or(op.Node, op.Meta["on_node"])
	return &replica{
		server: s, op: op, cluster: a.Cluster, log: log.With("rsc", op.Resource, "node", op.Node),
		peer: account{v.String("replication_user"), v.String("replication_passwd")}, port: v.String("replication_port"),
		tls: tlsOptions{v.Bool("replication_require_ssl"), v.String("replication_master_ssl_ca"),
			v.String("replication_master_ssl_cert"), v.String("replication_master_ssl_key")},
		semiSync: v.Bool("semi_sync"), accept: v.Bool("accept_data_loss"),
		maxLag: v.Int("max_slave_lag"), evict: v.Bool("evict_outdated_slaves"), reader: v.String("reader_attribute"),
	}
}

// address is where a node's instance answers: the node's name, or the attribute
// that ocf:heartbeat:mysql has for it.
func (r *replica) address(node string, kept map[string]map[string]string) string {
	return net.JoinHostPort(cmp.Or(kept[node][r.name()+"_mysql_master_IP"], node), r.port)
}

func (r *replica) name() string { return cmp.Or(r.op.Instance, r.op.Resource) }

// lineageAttr is the node attribute that holds the [Note].
func (r *replica) lineageAttr() string { return r.name() + "-lineage" }

func (r *replica) unknown() error {
	return ocferr.Errorf(resources.ErrUnimplemented, "mysql has no action %s", r.op.Action)
}

func (r *replica) String() string { return fmt.Sprintf("%s on %s", r.name(), r.op.Node) }
