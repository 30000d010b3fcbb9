package mysql

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"systole/agents/internal/ocferr"
	"systole/resources"
)

// replica is one operation on one instance of a promotable clone.
type replica struct {
	server
	op       resources.Op
	cluster  Cluster
	log      *slog.Logger
	peer     account
	port     string
	tls      tlsOptions
	semiSync bool
	accept   bool
	maxLag   int
	evict    bool
	reader   string
}

func (r *replica) execute(ctx context.Context) resources.Result {
	if r.op.Action == resources.ActionPromote || r.op.Action == resources.ActionDemote {
		if _, running := r.running(); !running {
			return resources.Result{Code: resources.NotRunning, Reason: "no server process in " + r.pidfile}
		}
	}
	var err error
	switch r.op.Action {
	case resources.ActionStart:
		err = r.begin(ctx)
	case resources.ActionStop:
		err = r.end(ctx)
	case resources.ActionMonitor, "status":
		return r.watchOver(ctx)
	case resources.ActionPromote:
		err = r.promote(ctx)
	case resources.ActionDemote:
		err = r.demote(ctx)
	case resources.ActionNotify:
		err = r.notified(ctx)
	case resources.ActionValidateAll:
	default:
		err = r.unknown()
	}
	return ocferr.Result(ctx, err)
}

// The promotion scores: of the primary, of a replica that lacks nothing, of
// one that may lack something, of one that cannot be promoted.
const (
	scorePrimary = 1000
	scoreIn      = 100
	scoreBehind  = 10
)

// notes reads what all nodes have on record.
func (r *replica) notes(ctx context.Context) (notes map[string]Note, kept map[string]map[string]string, err error) {
	if r.cluster == nil {
		return nil, nil, ocferr.Errorf(resources.ErrConfigured, "a promotable clone of mysql needs a cluster around it")
	}
	if kept, err = r.cluster.Kept(ctx, r.op); err != nil {
		return nil, nil, err
	}
	notes = map[string]Note{}
	for node, attrs := range kept {
		text, ok := attrs[r.lineageAttr()]
		if !ok {
			continue
		}
		if notes[node], err = ParseNote(text); err != nil {
			return nil, nil, fmt.Errorf("attribute %s of node %s: %w", r.lineageAttr(), node, err)
		}
	}
	return notes, kept, nil
}

func (r *replica) keep(ctx context.Context, n Note) error {
	return r.cluster.Keep(ctx, r.op, r.lineageAttr(), n.String())
}

// begin starts the instance read-only. What it had received and not applied is
// lost with a restart, so its word does not count any more: that goes on record first.
func (r *replica) begin(ctx context.Context) error {
	notes, _, err := r.notes(ctx)
	if err != nil {
		return err
	}
	if _, running := r.running(); !running {
		if own := notes[r.op.Node]; own.Role == RoleReplica && own.State != StateOut {
			own.State = StateOut
			if err := r.keep(ctx, own); err != nil {
				return err
			}
		}
	}
	if err := r.start(ctx); err != nil {
		return err
	}
	if err := r.prepareAccount(ctx); err != nil {
		return err
	}
	err = r.follow(ctx)
	if _, diverged := errors.AsType[DivergedError](err); diverged {
		return errors.Join(ocferr.With(resources.ErrPerm, err), r.stop(context.WithoutCancel(ctx), stopGrace(r.op)))
	}
	if err != nil {
		r.log.Info("not following yet", "reason", err.Error())
	}
	return r.score(ctx)
}

// scoreWithin bounds what a stop says to the cluster, which may have no DC.
const scoreWithin = 2 * time.Second

// end stops the server. That the score stays when nobody takes it is no failure of a stop.
func (r *replica) end(ctx context.Context) error {
	if err := r.stop(ctx, stopGrace(r.op)); err != nil {
		return err
	}
	if r.cluster != nil {
		ctx, cancel := context.WithTimeout(ctx, scoreWithin)
		defer cancel()
		if err := r.cluster.Score(ctx, r.op, -1); err != nil {
			r.log.Info("promotion score not removed", "err", err)
		}
	}
	return nil
}

// prepareAccount makes the replication user on this server alone: every
// instance has its own, and no replica is needed to get it.
func (r *replica) prepareAccount(ctx context.Context) error {
	c := r.local()
	defer c.Close()
	version, err := c.word(ctx, "SELECT VERSION()")
	if err != nil {
		return err
	}
	if !strings.Contains(version, "MariaDB") {
		return ocferr.Errorf(resources.ErrConfigured, "replication of %s is not managed: use MariaDB, or run it as an ordinary resource", version)
	}
	if r.peer.password == "" {
		return ocferr.Errorf(resources.ErrConfigured, "parameter replication_passwd of mysql is required in a promotable clone: set it (crm resource secret set)")
	}
	who := quote(r.peer.user) + "@'%'"
	return c.exec(ctx, "SET SESSION sql_log_bin=0",
		"CREATE USER IF NOT EXISTS "+who,
		"ALTER USER "+who+" IDENTIFIED BY "+quote(r.peer.password),
		"GRANT REPLICATION SLAVE, SLAVE MONITOR ON *.* TO "+who,
		"GRANT SELECT ON systole.* TO "+who,
		"SET SESSION sql_log_bin=1")
}

// ask asks the instance of a node.
func (r *replica) askNode(ctx context.Context, node string, kept map[string]map[string]string) (Instance, error) {
	c := r.local()
	if node != r.op.Node {
		c = open("tcp", r.address(node, kept), r.peer, r.tls)
	}
	defer c.Close()
	return c.instance(ctx, node)
}

// follow makes this instance a replica of the present primary, if there is one.
func (r *replica) follow(ctx context.Context) error {
	notes, kept, err := r.notes(ctx)
	if err != nil {
		return err
	}
	node, last, known := Latest(notes)
	if !known || last.Role != RolePrimary || node == r.op.Node {
		return nil
	}
	c := r.local()
	defer c.Close()
	now, err := c.replication(ctx)
	if err != nil {
		return err
	}
	if now.source == r.address(node, kept) && (now.connected && now.applying || now.fetchErrno == lostPlace) {
		return nil // also where it is refused: asking again would make the server forget that
	}
	primary, err := r.askNode(ctx, node, kept)
	if err != nil {
		return err
	}
	if primary.ReadOnly || !last.Is(primary.Term, primary.Nonce) {
		return fmt.Errorf("the server on %s is not the primary now", node)
	}
	return r.fetch(ctx, primary, kept)
}

// fetch has this instance fetch from another, whose history must hold its own.
func (r *replica) fetch(ctx context.Context, from Instance, kept map[string]map[string]string) error {
	self, err := r.askNode(ctx, r.op.Node, nil)
	if err != nil {
		return err
	}
	if err := Joins(self, from); err != nil {
		return err
	}
	c := r.local()
	defer c.Close()
	now, err := c.replication(ctx)
	if err != nil {
		return err
	}
	addr := r.address(from.Node, kept)
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return ocferr.Errorf(resources.ErrConfigured, "address of %s: %w", from.Node, err)
	}
	if now.source == addr && now.fetching && now.applying {
		return nil
	}
	// What was fetched before is thrown away in any case, and after a power cut its files may be
	// damaged: then no CHANGE MASTER succeeds before RESET SLAVE (error 1201).
	if err := c.exec(ctx, "STOP SLAVE", "RESET SLAVE", "SET GLOBAL gtid_slave_pos="+quote(self.Applied.String()), r.changeMaster(host, port), "START SLAVE"); err != nil {
		return err
	}
	r.log.Info("following", "primary", from.Node, "from", self.Applied.String())
	return nil
}

// changeMaster is the statement that says where to fetch from, and how.
func (r *replica) changeMaster(host, port string) string {
	change := fmt.Sprintf("CHANGE MASTER TO MASTER_HOST=%s, MASTER_PORT=%s, MASTER_USER=%s, MASTER_PASSWORD=%s, MASTER_USE_GTID=slave_pos, MASTER_CONNECT_RETRY=2",
		quote(host), port, quote(r.peer.user), quote(r.peer.password))
	if !r.tls.require {
		return change
	}
	change += ", MASTER_SSL=1"
	for _, file := range []struct{ name, path string }{{"CA", r.tls.ca}, {"CERT", r.tls.cert}, {"KEY", r.tls.key}} {
		if file.path != "" {
			change += ", MASTER_SSL_" + file.name + "=" + quote(file.path)
		}
	}
	return change
}

// peersOf are the nodes where the cluster says instances run, but for this one.
func (r *replica) peersOf(notes map[string]Note) (nodes []string) {
	list := func(name string) []string { return strings.Fields(r.op.Meta["notify_"+name+"_uname"]) }
	stopping := list("stop")
	all := slices.Concat(list("active"), list("promoted"), list("master"), list("unpromoted"), list("slave"), list("start"))
	if len(all) == 0 {
		for node := range notes {
			all = append(all, node)
		}
	}
	slices.Sort(all)
	for _, n := range slices.Compact(all) {
		if n != r.op.Node && !slices.Contains(stopping, n) {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// promote makes this instance the primary, after it is shown to hold everything.
func (r *replica) promote(ctx context.Context) error {
	c := r.local()
	defer c.Close()
	notes, kept, err := r.notes(ctx)
	if err != nil {
		return err
	}
	self, err := r.drain(ctx, c)
	if err != nil {
		return err
	}
	if own := notes[r.op.Node]; !self.ReadOnly && own.Role == RolePrimary && own.Is(self.Term, self.Nonce) {
		return r.score(ctx)
	}
	instances := append(r.askPeers(ctx, notes, kept), self)
	v, err := Judge(Facts{Self: r.op.Node, Instances: instances, Notes: notes, Accept: r.accept})
	if err != nil {
		return fmt.Errorf("not promoted: %w", err)
	}
	if v.Source != r.op.Node {
		i := slices.IndexFunc(instances, func(i Instance) bool { return i.Node == v.Source })
		if err := r.fetch(ctx, instances[i], kept); err != nil {
			return fmt.Errorf("not promoted: %s holds more, and cannot be followed: %w", v.Source, err)
		}
		if err := c.reach(ctx, v.Target, remaining(ctx)/2); err != nil {
			return fmt.Errorf("not promoted: %s holds more: %w", v.Source, err)
		}
		if self, err = r.drain(ctx, c); err != nil {
			return err
		}
	}
	if v.Loss {
		r.log.Warn("promoted without proof", "reason", v.Proof, "term", v.Term)
	} else {
		r.log.Info("promoted", "reason", v.Proof, "term", v.Term)
	}
	return r.ascend(ctx, c, self, v)
}

// askPeers asks all other instances; one that does not answer within a third of
// the time is left out, and then proves nothing.
func (r *replica) askPeers(ctx context.Context, notes map[string]Note, kept map[string]map[string]string) (out []Instance) {
	wait, cancel := context.WithTimeout(ctx, remaining(ctx)/3)
	defer cancel()
	silent := r.peersOf(notes)
	tick := time.NewTicker(askAgain)
	defer tick.Stop()
	for {
		silent = slices.DeleteFunc(silent, func(node string) bool {
			i, err := r.askNode(wait, node, kept)
			if err == nil {
				out = append(out, i)
			} else if wait.Err() != nil {
				r.log.Warn("instance does not answer", "peer", node, "err", err)
			}
			return err == nil
		})
		if len(silent) == 0 || wait.Err() != nil {
			return out
		}
		select {
		case <-wait.Done():
		case <-tick.C:
		}
	}
}

const askAgain = 200 * time.Millisecond

// remaining is what is left of an operation's time.
func remaining(ctx context.Context) time.Duration {
	if end, ok := ctx.Deadline(); ok {
		return time.Until(end)
	}
	return resources.DefaultTimeout
}

// drain stops fetching and applies what was received.
func (r *replica) drain(ctx context.Context, c *session) (Instance, error) {
	now, err := c.replication(ctx)
	if err != nil {
		return Instance{}, err
	}
	if now.configured {
		if err := c.exec(ctx, "STOP SLAVE IO_THREAD"); err != nil {
			return Instance{}, err
		}
		if now, err = c.replication(ctx); err != nil {
			return Instance{}, err
		}
	}
	if now.applying {
		if err := c.reach(ctx, now.received, remaining(ctx)/2); err != nil {
			return Instance{}, err
		}
	}
	self, err := c.instance(ctx, r.op.Node)
	self.Received = nil
	return self, err
}

// ascend makes a judged instance the primary. Its row comes first: a crash
// between row and record leaves a row that nobody else has, on this node alone;
// the other way round there would be a term of which nobody could say whether
// something was written in it.
func (r *replica) ascend(ctx context.Context, c *session, self Instance, v Verdict) error {
	nonce := make([]byte, 4)
	rand.Read(nonce) // never fails
	note := Note{Role: RolePrimary, Term: v.Term, Nonce: hex.EncodeToString(nonce), At: self.Applied}
	err := c.exec(ctx,
		"STOP SLAVE", "RESET SLAVE ALL",
		"SET GLOBAL rpl_semi_sync_master_enabled=OFF", "SET GLOBAL rpl_semi_sync_slave_enabled=OFF",
		"CREATE DATABASE IF NOT EXISTS systole",
		"CREATE TABLE IF NOT EXISTS "+termTable+" (term BIGINT UNSIGNED PRIMARY KEY, node VARCHAR(64) NOT NULL, nonce CHAR(8) NOT NULL, at TEXT NOT NULL) ENGINE=InnoDB",
		"CREATE TABLE IF NOT EXISTS "+beatTable+" (id INT PRIMARY KEY, beat BIGINT UNSIGNED NOT NULL) ENGINE=InnoDB",
		fmt.Sprintf("INSERT INTO %s VALUES (%d, %s, %s, %s)", termTable, note.Term, quote(r.op.Node), quote(note.Nonce), quote(note.At.String())))
	if err != nil {
		return err
	}
	if err := r.keep(ctx, note); err != nil {
		return err
	}
	if err := c.exec(ctx, "SET GLOBAL read_only=OFF"); err != nil {
		return err
	}
	return r.score(ctx)
}

// demote ends writing: that must succeed, with or without a cluster that
// listens. Then it says good-bye, if it can; without it this stays the last
// primary on record, which is the safe side.
func (r *replica) demote(ctx context.Context) error {
	c := r.local()
	defer c.Close()
	if err := r.closeWrites(ctx, c); err != nil {
		return err
	}
	if err := r.farewell(ctx, c); err != nil {
		r.log.Warn("demoted, and not on record", "err", err)
	}
	return nil
}

// farewell sees that somebody holds everything, and puts the end on record.
func (r *replica) farewell(ctx context.Context, c *session) error {
	notes, kept, err := r.notes(ctx)
	if err != nil {
		return err
	}
	self, err := c.instance(ctx, r.op.Node)
	if err != nil {
		return err
	}
	own := notes[r.op.Node]
	if own.Role == RolePrimary && own.Is(self.Term, self.Nonce) {
		heir := r.awaitHeir(ctx, self.Applied, notes, kept)
		r.log.Info("demoted", "position", self.Applied.String(), "peer", heir)
		if err := r.keep(ctx, Note{Role: RoleDemoted, Term: own.Term, Nonce: own.Nonce, At: self.Applied}); err != nil {
			return err
		}
		if err := c.exec(ctx, "SET GLOBAL rpl_semi_sync_master_enabled=OFF"); err != nil {
			return err
		}
	}
	return r.score(ctx)
}

// lockWait is how long, in seconds, writers may hold locks before their
// connections are ended.
const lockWait = 2

// closeWrites makes the server read-only. Whoever still holds locks after a
// moment, or waits for a confirmation, is disconnected.
func (r *replica) closeWrites(ctx context.Context, c *session) error {
	if err := c.exec(ctx, fmt.Sprintf("SET SESSION lock_wait_timeout=%d", lockWait)); err != nil {
		return err
	}
	for {
		err := c.exec(ctx, "SET GLOBAL read_only=ON")
		if !timedOut(err) || ctx.Err() != nil {
			return err
		}
		users, err := c.rows(ctx, "SELECT id FROM information_schema.processlist WHERE id <> CONNECTION_ID() AND user <> 'system user' AND command NOT LIKE 'Binlog Dump%' AND command <> 'Daemon'")
		if err != nil {
			return err
		}
		for _, u := range users {
			_ = c.exec(ctx, "KILL "+u["id"]) // it may just have ended
		}
	}
}

// awaitHeir waits until some replica has received everything; "" if none has in
// half of the time left.
func (r *replica) awaitHeir(ctx context.Context, p Position, notes map[string]Note, kept map[string]map[string]string) string {
	wait, cancel := context.WithTimeout(ctx, remaining(ctx)/2)
	defer cancel()
	peers := r.peersOf(notes)
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for len(peers) > 0 && wait.Err() == nil {
		for _, node := range peers {
			if i, err := r.askNode(wait, node, kept); err == nil && i.reach().Covers(p) {
				return node
			}
		}
		select {
		case <-wait.Done():
		case <-tick.C:
		}
	}
	return ""
}

// notified reacts at once to what a monitor would see later.
func (r *replica) notified(ctx context.Context) error {
	if r.op.Meta["notify_type"] != "post" {
		return nil
	}
	if _, running := r.running(); !running {
		return nil
	}
	if res := r.watchOver(ctx); res.Code != resources.OK && res.Code != resources.RunningPromoted {
		r.log.Info("after "+r.op.Meta["notify_operation"]+" of another instance", "reason", res.Reason)
	}
	return nil // the cluster ignores it, and a monitor follows
}

// watchOver is the monitor: it looks, and does what is due.
func (r *replica) watchOver(ctx context.Context) resources.Result {
	if err := r.monitor(ctx, r.op.CheckLevel); err != nil {
		return ocferr.Result(ctx, err)
	}
	c := r.local()
	defer c.Close()
	self, err := c.instance(ctx, r.op.Node)
	if err != nil {
		return ocferr.Result(ctx, err)
	}
	if r.op.IsProbe() {
		if !self.ReadOnly {
			return resources.Result{Code: resources.RunningPromoted}
		}
		return resources.Result{}
	}
	notes, kept, err := r.notes(ctx)
	if err != nil {
		return ocferr.Result(ctx, err)
	}
	if !self.ReadOnly {
		res := resources.Result{Code: resources.RunningPromoted}
		if err := r.tend(ctx, c, notes); err != nil {
			res.Reason = err.Error()
		}
		return res
	}
	return ocferr.Result(ctx, r.serve(ctx, c, notes, kept))
}

// score sets the promotion score that fits the instance now.
func (r *replica) score(ctx context.Context) error {
	self, err := r.askNode(ctx, r.op.Node, nil)
	if err != nil {
		return err
	}
	notes, _, err := r.notes(ctx)
	if err != nil {
		return err
	}
	return r.cluster.Score(ctx, r.op, scoreOf(self, notes))
}

func scoreOf(self Instance, notes map[string]Note) int {
	_, last, known := Latest(notes)
	own := notes[self.Node]
	switch {
	case !self.ReadOnly:
		return scorePrimary
	case known && !last.Is(self.Term, self.Nonce) && self.Term <= last.Term:
		return 1 // only with accept_data_loss
	case own.Role == RoleReplica && own.State == StateIn && last.Is(own.Term, own.Nonce):
		return scoreIn
	case own.Role != RoleReplica && own.Role != "" && last.Is(own.Term, own.Nonce):
		return scoreIn // it was the last primary
	}
	return scoreBehind
}

func seconds(lag string) (int, bool) {
	n, err := strconv.Atoi(lag)
	return n, err == nil
}
