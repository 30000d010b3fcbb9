package executor

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"systole/resources"
)

// recordVersion is raised when a newer daemon could not adopt an older record.
const recordVersion = 1

// record is what the state file holds. It exists before the operation it names
// begins, so whatever may be active here is in it.
type record struct {
	Version     int
	Incarnation string
	Call        int
	Seq         int
	Resources   []resourceRecord
	Undelivered []Report `json:",omitempty"`
}

type resourceRecord struct {
	ID          string
	Op          resources.Op
	Role        Role
	Seq         int
	StopTimeout time.Duration
	Last        resources.Result
	Monitors    []monitorRecord `json:",omitempty"`
	Jobs        []jobRecord     `json:",omitempty"`
}

type monitorRecord struct {
	Order    Order
	Reported bool             `json:",omitempty"`
	Last     resources.Result `json:"Last"`
	Since    time.Time        `json:",omitzero"`
}

// jobRecord is a one-shot operation without a result yet.
type jobRecord struct {
	Order  Order
	Queued time.Time
	Began  time.Time `json:",omitzero"`
	Cause  string    `json:",omitempty"`
}

// pending is a report on its way to the log.
type pending struct {
	Report
	saved []byte // its part of the record
}

// encode is the record of the machine as it is, valid until the next call. It is
// written many times a second when a whole node's resources start, so the parts
// and the buffer are kept.
func (m *machine) encode() ([]byte, error) {
	b := &m.encoded
	b.Reset()
	incarnation, err := json.Marshal(m.incarnation)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(b, `{"Version":%d,"Incarnation":%s,"Call":%d,"Seq":%d,"Resources":[`, recordVersion, incarnation, m.call, m.seq)
	for i, r := range m.ordered() {
		if r.saved == nil {
			saved, err := json.Marshal(m.recordOf(r))
			if err != nil {
				return nil, fmt.Errorf("record of %s: %w", r.id, err)
			}
			r.saved = saved
		}
		comma(b, i)
		b.Write(r.saved)
	}
	b.WriteString(`],"Undelivered":[`)
	for i := range m.out {
		p := &m.out[i]
		if p.saved == nil {
			saved, err := json.Marshal(p.Report)
			if err != nil {
				return nil, fmt.Errorf("record of report %d: %w", p.Call, err)
			}
			p.saved = saved
		}
		comma(b, i)
		b.Write(p.saved)
	}
	b.WriteString("]}")
	return b.Bytes(), nil
}

func comma(b *bytes.Buffer, i int) {
	if i > 0 {
		b.WriteByte(',')
	}
}

func (m *machine) recordOf(r *resource) resourceRecord {
	rr := resourceRecord{ID: r.id, Op: r.op, Role: r.role, Seq: r.seq, StopTimeout: r.stopTimeout, Last: r.last}
	for _, mon := range r.monitors {
		rr.Monitors = append(rr.Monitors, monitorRecord{Order: mon.order, Reported: mon.reported, Last: mon.last, Since: mon.since})
	}
	if j := r.current; j != nil && j.monitor == nil && !j.adopting {
		rr.Jobs = append(rr.Jobs, j.record())
	}
	for _, j := range m.queue {
		if j.res == r && j.monitor == nil && !j.adopting {
			rr.Jobs = append(rr.Jobs, j.record())
		}
	}
	return rr
}

func (j *job) record() jobRecord {
	return jobRecord{Order: j.order, Queued: j.queued, Began: j.began, Cause: j.cause}
}

// adopt takes over what an earlier executor left: everything recorded is
// probed, by its recurring monitors where it has some; nothing is started.
func (m *machine) adopt(data []byte, now time.Time) error {
	var rec record
	if err := json.Unmarshal(data, &rec); err != nil {
		return fmt.Errorf("read the record of active resources: %w", err)
	}
	if rec.Version > recordVersion {
		return fmt.Errorf("the record of active resources is of version %d, this program knows %d: use the newer program", rec.Version, recordVersion)
	}
	m.call, m.seq, m.dirty = rec.Call, rec.Seq, true
	for _, rep := range rec.Undelivered {
		m.out = append(m.out, pending{Report: rep})
		m.keys.add(instanceID(rep.Op), rep.Key)
	}
	for _, rr := range rec.Resources {
		r := m.resource(rr.ID, rr.Op)
		r.standing = standing{op: rr.Op, role: rr.Role, seq: rr.Seq}
		r.stopTimeout, r.last = rr.StopTimeout, rr.Last
		for _, mr := range rr.Monitors {
			r.monitors = append(r.monitors, &monitor{
				order: mr.Order, due: now, reported: mr.Reported, last: mr.Last, since: mr.Since,
			})
			m.keys.add(r.id, mr.Order.Key)
		}
		for _, jr := range rr.Jobs {
			m.keys.add(r.id, jr.Order.Key)
			m.adoptJob(r, jr, now)
		}
		redone := slices.ContainsFunc(m.queue, func(j *job) bool { return j.res == r }) // and reported
		if r.role != RoleStopped && len(r.monitors) == 0 && !redone {
			m.queue = append(m.queue, r.adoptingProbe(now))
		}
		m.forget(r)
	}
	return nil
}

// adoptJob gives an operation without result an end. What only takes away or
// only looks is done again; what may have made the resource active is reported
// as failed, because nobody knows, and the DC decides what follows.
func (m *machine) adoptJob(r *resource, jr jobRecord, now time.Time) {
	rep := Report{Key: jr.Order.Key, Extra: jr.Order.Extra, Op: jr.Order.Op, Cause: jr.Cause, Queued: jr.Queued, Began: jr.Began, Ended: now}
	switch a := jr.Order.Op.Action; {
	case a == resources.ActionStop || (!jr.Began.IsZero() && (a == resources.ActionDemote || a == resources.ActionMonitor)):
		m.queue = append(m.queue, &job{res: r, order: jr.Order, cause: jr.Cause, queued: jr.Queued})
		return
	case jr.Began.IsZero():
		rep.Result = resources.Result{Status: resources.StatusCancelled, Code: resources.CodeNone, Reason: "not begun: the daemon was restarted"}
	default:
		r.role = RoleUnknown
		rep.Result = resources.Result{
			Status: resources.StatusError, Code: resources.ErrGeneric,
			Reason: "interrupted by a restart of the daemon: not known whether it took effect",
		}
	}
	m.report(rep)
}

// adoptingProbe asks whether what was recorded is still so.
func (r *resource) adoptingProbe(now time.Time) *job {
	op := r.op
	op.Action, op.Interval, op.Timeout, op.CheckLevel = resources.ActionMonitor, 0, resources.DefaultTimeout, 0
	return &job{res: r, order: Order{Op: op}, cause: "", adopting: true, queued: now}
}

// undelivered is the next batch for the sink.
func (m *machine) undelivered() []Report {
	batch := make([]Report, min(len(m.out), MaxBatch))
	for i := range batch {
		batch[i] = m.out[i].Report
	}
	return batch
}
