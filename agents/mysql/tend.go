package mysql

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"systole/agents/internal/ocferr"
	"systole/resources"
)

// tend is the primary's look after its members (members.go decides).
func (r *replica) tend(ctx context.Context, c *session, notes map[string]Note) error {
	note := notes[r.op.Node]
	if note.Role != RolePrimary {
		return fmt.Errorf("%s accepts writes and is not on record as primary: demote it", r)
	}
	if err := r.publish(ctx, scorePrimary, "0", true); err != nil {
		return err
	}
	if !r.semiSync {
		return nil
	}
	sight, err := r.look(ctx, c, notes)
	if err != nil {
		return err
	}
	plan := PlanMembers(note, sight)
	if plan.Probe {
		if err := r.probe(ctx, c); err != nil {
			return fmt.Errorf("no replica confirms: %w", err)
		}
	}
	if plan.Note.String() != note.String() {
		if err := r.keep(ctx, plan.Note); err != nil {
			return err
		}
		r.log.Info("replicas that confirm", "with", fmt.Sprint(plan.Note.With))
	}
	if plan.Wait != sight.Waiting {
		return c.exec(ctx, "SET GLOBAL rpl_semi_sync_master_enabled="+onOff(plan.Wait))
	}
	return nil
}

func onOff(on bool) string {
	if on {
		return "ON"
	}
	return "OFF"
}

func (r *replica) look(ctx context.Context, c *session, notes map[string]Note) (Sight, error) {
	s := Sight{Notes: notes}
	hosts, err := c.rows(ctx, "SHOW SLAVE HOSTS")
	if err != nil {
		return s, err
	}
	for _, h := range hosts {
		s.Connected = append(s.Connected, h["Host"])
	}
	missing := func(m Member) bool { return !slices.Contains(s.Connected, m.Node) }
	if absent := slices.DeleteFunc(slices.Clone(notes[r.op.Node].With), func(m Member) bool { return !missing(m) }); len(absent) > 0 {
		active, err := r.cluster.Active(ctx, r.op)
		if err != nil {
			return s, err
		}
		for _, m := range absent {
			if !slices.Contains(active, m.Node) {
				s.Stopped = append(s.Stopped, m.Node)
			}
		}
	}
	clients, err := c.status(ctx, "Rpl_semi_sync_master_clients")
	if err != nil {
		return s, err
	}
	s.Confirming, _ = strconv.Atoi(clients)
	on, err := c.word(ctx, "SELECT @@global.rpl_semi_sync_master_enabled")
	s.Waiting = on == "1"
	return s, err
}

// probeWithin bounds the wait for a confirmation.
const probeWithin = 3 * time.Second

// probe writes something: when the commit returns, a replica has everything
// written before.
func (r *replica) probe(ctx context.Context, c *session) error {
	ctx, cancel := context.WithTimeout(ctx, probeWithin)
	defer cancel()
	return c.exec(ctx, "INSERT INTO "+beatTable+" VALUES (1, 1) ON DUPLICATE KEY UPDATE beat = beat + 1")
}

// publish sets promotion score, lag and whether clients may read here, as far
// as that is news.
func (r *replica) publish(ctx context.Context, score int, lag string, readable bool) error {
	all, err := r.cluster.Transient(ctx, r.op)
	if err != nil {
		return err
	}
	now := all[r.op.Node]
	var errs []error
	if now["master-"+r.name()] != strconv.Itoa(score) { // as crm_attribute --promotion calls it
		errs = append(errs, r.cluster.Score(ctx, r.op, score))
	}
	reader := "0"
	if readable {
		reader = "1"
	}
	for name, value := range map[string]string{r.name() + "-lag": lag, r.reader: reader} {
		if now[name] != value {
			errs = append(errs, r.cluster.Set(ctx, r.op, name, value))
		}
	}
	return errors.Join(errs...)
}

// serve is the monitor of a replica: it follows, says how far it is behind, and
// does its duty as a member.
func (r *replica) serve(ctx context.Context, c *session, notes map[string]Note, kept map[string]map[string]string) error {
	if err := r.follow(ctx); err != nil {
		if _, diverged := errors.AsType[DivergedError](err); diverged {
			return errors.Join(ocferr.With(resources.ErrPerm, err), r.cluster.Score(ctx, r.op, -1))
		}
		r.log.Debug("not following", "reason", err.Error()) // the primary may be dead: no fault of this one
	}
	now, err := c.replication(ctx)
	if err != nil {
		return err
	}
	if now.fetchErrno == lostPlace {
		return errors.Join(ocferr.Errorf(resources.ErrPerm, "fenced out: the primary does not have what %s asks for next (%s): rebuild it from a copy of the primary", r, now.fetchError),
			r.cluster.Score(ctx, r.op, -1))
	}
	if now.applyError != "" {
		return fmt.Errorf("replication of %s has stopped: %s", r, now.applyError)
	}
	lag, known := seconds(now.lag)
	readable := !known || lag <= r.maxLag
	self, err := c.instance(ctx, r.op.Node)
	if err != nil {
		return err
	}
	if err := r.publish(ctx, scoreOf(self, notes), lagText(now.lag), readable); err != nil {
		return err
	}
	if r.evict && !readable {
		return fmt.Errorf("%s is %d seconds behind, more than max_slave_lag", r, lag)
	}
	return r.duty(ctx, c, now, notes, kept)
}

func lagText(lag string) string {
	if lag == "" {
		return "unknown"
	}
	return lag
}

// duty does what the primary's record asks of this replica.
func (r *replica) duty(ctx context.Context, c *session, now replication, notes map[string]Note, kept map[string]map[string]string) error {
	node, primary, known := Latest(notes)
	if !known || primary.Role != RolePrimary || node == r.op.Node {
		return nil
	}
	m, _ := primary.Member(r.op.Node)
	own := Note{Role: RoleReplica, Term: primary.Term, Nonce: primary.Nonce, Gen: m.Gen}
	switch ReplicaDuty(r.op.Node, primary, notes[r.op.Node]) {
	case DutyConfirm:
		own.State = StateAcking // on record before it confirms anything
		if err := r.keep(ctx, own); err != nil {
			return err
		}
		again, _, err := r.notes(ctx)
		if is, _ := again[node].Member(r.op.Node); err != nil || is != m {
			return err // the primary has thought better of it
		}
		return r.confirm(ctx, c, true)
	case DutyCatchUp:
		if err := r.confirm(ctx, c, true); err != nil || !now.connected {
			return err
		}
		own.State = StateIn
		return r.catchUp(ctx, c, r.address(node, kept), own)
	case DutyResign:
		if err := r.confirm(ctx, c, false); err != nil {
			return err
		}
		own.State = StateOut
		return r.keep(ctx, own)
	}
	if m.Node == "" {
		return r.confirm(ctx, c, false)
	}
	return nil
}

// confirm makes this replica confirm transactions, or not. The connection to
// the primary has to be made anew for it.
func (r *replica) confirm(ctx context.Context, c *session, on bool) error {
	is, err := c.word(ctx, "SELECT @@global.rpl_semi_sync_slave_enabled")
	if err != nil || (is == "1") == on {
		return err
	}
	return c.exec(ctx, "SET GLOBAL rpl_semi_sync_slave_enabled="+onOff(on), "STOP SLAVE IO_THREAD", "START SLAVE IO_THREAD")
}

// catchUp puts on record that this replica lacks nothing, if the primary waits
// for confirmations and everything it had then is here.
func (r *replica) catchUp(ctx context.Context, c *session, addr string, in Note) error {
	p := open("tcp", addr, r.peer, r.tls)
	defer p.Close()
	waits, err := p.word(ctx, "SELECT @@global.rpl_semi_sync_master_enabled")
	if err != nil || waits != "1" {
		return err
	}
	at, err := p.word(ctx, "SELECT @@global.gtid_binlog_pos")
	if err != nil {
		return err
	}
	target, err := ParsePosition(at)
	if err != nil {
		return err
	}
	if err := c.reach(ctx, target, catchUpWithin); err != nil {
		r.log.Debug("not caught up yet", "reason", err.Error())
		return nil
	}
	if err := r.keep(ctx, in); err != nil {
		return err
	}
	r.log.Info("holds everything that was confirmed", "from", target.String())
	return nil
}

// catchUpWithin bounds the wait of one monitor; the next one tries again.
const catchUpWithin = 5 * time.Second
