package executor

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"time"

	"systole/resources"
)

// machine decides what runs next. It is pure: the loop in executor.go feeds it
// events with the time they happened, then performs launch and interrupt, saves
// the record when dirty, and delivers from the head of out.
type machine struct {
	parallel    int
	incarnation string

	call      int // number of the last report
	seq       int // last activation, for the order of start
	resources map[string]*resource
	queue     []*job // accepted and not begun, in order
	flying    int    // in flight, without policy operations
	out       []pending
	keys      keyRing
	frozen    bool
	policy    *policyRun
	idle      []func() // callers of Settled

	launch    []*job    // to begin
	interrupt []*job    // to end early
	dirty     bool      // the record must be saved before anything else is done
	stale     time.Time // the record names reports already delivered, since then; zero if not
	encoded   bytes.Buffer
}

// resource is one instance on this node.
type resource struct {
	id string
	standing
	stopTimeout time.Duration
	last        resources.Result
	monitors    []*monitor
	current     *job
	watchAfter  time.Time // a watch that just cried wolf waits until then
	noticed     bool      // a watch has ended; its monitor has not answered yet
	saved       []byte    // its part of the record; nil when changed (see touch)
}

// monitor is one recurring operation.
type monitor struct {
	order    Order
	due      time.Time
	again    bool // something was noticed while it ran, maybe after it looked
	job      *job // waiting or in flight
	reported bool // last was reported
	last     resources.Result
	since    time.Time // when last became so
}

// job is one execution of an operation.
type job struct {
	res       *resource
	order     Order
	monitor   *monitor // nil for a one-shot operation
	cause     string   // why this node does it by itself
	adopting  bool     // a probe after a restart: reported only if it finds something else
	queued    time.Time
	began     time.Time
	before    standing               // of the resource, if this turns out not to have been run
	abandoned string                 // why its result does not count any more
	answer    func(resources.Result) // takes the result of a try instead of a report; never blocks
}

// standing is what is believed of a resource.
type standing struct {
	op   resources.Op // the newest operation that may have made it active: its parameters
	role Role
	seq  int
}

func newMachine(incarnation string, parallel int) *machine {
	return &machine{
		parallel: parallel, incarnation: incarnation,
		resources: map[string]*resource{}, keys: keyRing{known: map[string]bool{}},
	}
}

// submit accepts an order or says why not. It is idempotent by the order's key.
func (m *machine) submit(o Order, leased bool, now time.Time) error {
	if err := o.check(); err != nil {
		return err
	}
	id := instanceID(o.Op)
	if m.keys.has(id, o.Key) {
		return nil
	}
	if err := m.may(o.Op.Action, leased); err != nil {
		return err
	}
	if len(m.out) >= MaxUndelivered {
		return ErrBusy
	}
	m.keys.add(id, o.Key)
	r := m.resource(id, o.Op)
	m.touch(r)
	if o.StopTimeout > 0 {
		r.stopTimeout = o.StopTimeout
	}
	switch {
	case o.Op.Action == resources.ActionCancel:
		m.cancel(r, o, now)
	case o.Op.Interval > 0:
		m.repeat(r, o, now)
	default:
		if endsRecurring(o.Op.Action) {
			m.dropMonitors(r)
		}
		m.queue = append(m.queue, &job{res: r, order: o, queued: now})
	}
	return nil
}

// may says why an action must not be run now; nil when it may.
func (m *machine) may(a resources.Action, leased bool) error {
	switch {
	case m.policy != nil:
		return ErrStopping
	case activates(a) && !leased:
		return ErrLease
	case activates(a) && m.frozen:
		return ErrFrozen
	}
	return nil
}

// try accepts a one-shot operation that is not an order; answer gets its result.
func (m *machine) try(op resources.Op, leased bool, now time.Time, answer func(resources.Result)) error {
	o := Order{Op: op}
	if err := o.check(); err != nil {
		return err
	}
	if op.Interval > 0 || op.Action == resources.ActionCancel {
		return fmt.Errorf("%w: only a one-shot operation can be tried", ErrInvalid)
	}
	if err := m.may(op.Action, leased); err != nil {
		return err
	}
	r := m.resource(instanceID(op), op)
	m.touch(r)
	m.queue = append(m.queue, &job{res: r, order: o, queued: now, answer: answer})
	return nil
}

func (o Order) check() error {
	switch {
	case instanceID(o.Op) == "" || o.Op.Action == "":
		return fmt.Errorf("%w: it names no resource or no action", ErrInvalid)
	case o.Op.Interval < 0 || o.Op.Timeout < 0 || o.StartDelay < 0 || o.StopTimeout < 0:
		return fmt.Errorf("%w: %s of %s has a negative time", ErrInvalid, o.Op.Action, instanceID(o.Op))
	}
	return nil
}

// touch notes that what the record says of a resource is not true any more.
func (m *machine) touch(r *resource) {
	r.saved = nil
	m.dirty = true
}

// resource finds or makes the resource's entry.
func (m *machine) resource(id string, op resources.Op) *resource {
	r := m.resources[id]
	if r == nil {
		r = &resource{id: id, standing: standing{op: op}, stopTimeout: resources.DefaultTimeout}
		m.resources[id] = r
	}
	return r
}

// repeat sets up a recurring operation; it replaces the one with the same
// action and interval.
func (m *machine) repeat(r *resource, o Order, now time.Time) {
	m.dropMonitor(r, o.Op.Action, o.Op.Interval)
	mon := &monitor{order: o, due: now.Add(o.StartDelay)}
	if !o.Origin.IsZero() {
		mon.due = onGrid(o.Origin, o.Op.Interval, mon.due)
	}
	r.monitors = append(r.monitors, mon)
}

// cancel ends a recurring operation and confirms it, also if there was none.
func (m *machine) cancel(r *resource, o Order, now time.Time) {
	action := resources.Action(cmp.Or(o.Op.Meta["operation"], string(resources.ActionMonitor)))
	m.dropMonitor(r, action, o.Op.Interval)
	op := o.Op
	op.Action = action
	m.report(Report{
		Key: o.Key, Extra: o.Extra, Op: op, Queued: now, Ended: now,
		Result: resources.Result{Status: resources.StatusCancelled, Code: resources.OK},
	})
	m.forget(r)
}

func (m *machine) dropMonitor(r *resource, a resources.Action, interval time.Duration) {
	r.monitors = slices.DeleteFunc(r.monitors, func(mon *monitor) bool {
		if mon.order.Op.Action != a || mon.order.Op.Interval != interval {
			return false
		}
		m.endMonitor(r, mon)
		return true
	})
}

func (m *machine) dropMonitors(r *resource) {
	for _, mon := range r.monitors {
		m.endMonitor(r, mon)
	}
	r.monitors = nil
}

// endMonitor takes a waiting run out of the queue; one in flight is let finish,
// since an interrupted monitor may leave things behind, and is then ignored.
func (m *machine) endMonitor(r *resource, mon *monitor) {
	m.touch(r)
	if mon.job == nil {
		return
	}
	mon.job.abandoned = "cancelled"
	m.queue = slices.DeleteFunc(m.queue, func(j *job) bool { return j == mon.job })
}

// tick queues the monitors that are due, then begins what may begin.
func (m *machine) tick(now time.Time) {
	if !m.stale.IsZero() && now.Sub(m.stale) >= staleMost {
		m.dirty = true
	}
	if len(m.out) < MaxUndelivered && m.policy == nil {
		for _, r := range m.ordered() {
			for _, mon := range r.monitors {
				if mon.job == nil && !mon.due.After(now) {
					mon.job = &job{res: r, order: mon.order, monitor: mon, queued: now}
					m.queue = append(m.queue, mon.job)
				}
			}
		}
	}
	m.queue = slices.DeleteFunc(m.queue, func(j *job) bool {
		if j.res.current != nil || (j.cause == "" && m.flying >= m.parallel) {
			return false
		}
		j.began = now
		j.before = j.res.standing
		j.res.current = j
		if j.cause == "" {
			m.flying++
		}
		if j.monitor == nil {
			m.touch(j.res)
		}
		if activates(j.order.Op.Action) {
			m.seq++
			j.res.standing = standing{op: j.order.Op, role: RoleUnknown, seq: m.seq}
		}
		m.launch = append(m.launch, j)
		return true
	})
}

// next is the earliest time at which tick or watches has something new to do.
func (m *machine) next() (at time.Time, ok bool) {
	see := func(t time.Time) {
		if !ok || t.Before(at) {
			at, ok = t, true
		}
	}
	if !m.stale.IsZero() {
		see(m.stale.Add(staleMost))
	}
	paused := len(m.out) >= MaxUndelivered || m.policy != nil
	for _, r := range m.resources {
		for _, mon := range r.monitors {
			if mon.job == nil && !paused {
				see(mon.due)
			}
		}
		if !r.watchAfter.IsZero() {
			see(r.watchAfter)
		}
	}
	return at, ok
}

// done takes in the result of a job. outlived says that the operation made the
// resource active and the lease ended meanwhile: then it is stopped again.
func (m *machine) done(j *job, res resources.Result, outlived bool, now time.Time) {
	r := j.res
	r.current = nil
	if j.cause == "" {
		m.flying--
	}
	if mon := j.monitor; mon != nil {
		mon.job = nil
		mon.due = mon.nextDue(now)
		if mon.again {
			mon.again, mon.due = false, now
		}
	}
	if j.abandoned != "" && (j.monitor != nil || j.adopting) {
		m.policyStep(now)
		m.forget(r)
		return
	}
	was := r.role
	switch {
	case j.abandoned != "":
		res = resources.Result{Status: resources.StatusCancelled, Code: resources.CodeNone, Reason: j.abandoned}
		r.role = RoleUnknown
	case res.Status == resources.StatusCancelled || res.Status == resources.StatusNotInstalled:
		r.standing = j.before // it was not run
	default:
		r.role = roleAfter(r.role, j.order.Op, res)
		if reloaded(j.order.Op, res) {
			r.op.Params = j.order.Op.Params // a stop by policy goes by what the resource runs with now
		}
	}
	r.noticed = false
	if j.monitor == nil {
		r.watchAfter = time.Time{}
	}
	if r.role != was || j.monitor == nil {
		m.touch(r)
	}
	if r.role > RoleUnknown && r.seq == 0 { // found running by a probe
		m.seq++
		r.seq, r.op = m.seq, j.order.Op
	}
	m.record(j, res, was, now)
	if outlived && r.role != RoleStopped && m.policy == nil {
		m.dropMonitors(r)
		m.queue = slices.Insert(m.queue, 0, m.policyJob(r, resources.ActionStop, "the node lease ended during "+string(j.order.Op.Action), now))
	}
	m.policyStep(now)
	m.forget(r)
}

// record reports a result, unless it tells nothing new.
func (m *machine) record(j *job, res resources.Result, was Role, now time.Time) {
	rep := Report{
		Key: j.order.Key, Extra: j.order.Extra, Op: j.order.Op, Result: res, Cause: j.cause,
		Queued: j.queued, Began: j.began, Ended: now,
	}
	mon := j.monitor
	switch {
	case j.answer != nil:
		j.res.last = res
		j.answer(res)
		return
	case j.adopting:
		if j.res.role == was && res.Status == resources.StatusDone {
			return
		}
	case mon != nil:
		if mon.reported && mon.last.Code == res.Code && mon.last.Status == res.Status {
			return
		}
		mon.reported, mon.last, mon.since = true, res, now
	}
	j.res.last = res
	m.touch(j.res)
	m.report(rep)
}

func (m *machine) report(r Report) {
	m.call++
	r.Incarnation, r.Call = m.incarnation, m.call
	r.Result.Stdout = nil
	r.Result.Output = clip(r.Result.Output)
	r.Result.Reason = clip(r.Result.Reason)
	m.out = append(m.out, pending{Report: r})
	m.dirty = true
}

// staleMost is how long the record may name delivered reports: they would only
// be delivered once more, so that need not be saved at once.
const staleMost = 50 * time.Millisecond

// delivered drops the n oldest reports.
func (m *machine) delivered(n int, now time.Time) {
	m.out = slices.Delete(m.out, 0, n)
	if m.stale.IsZero() {
		m.stale = now
	}
}

// forget drops a resource about which there is nothing left to know.
func (m *machine) forget(r *resource) {
	if r.role != RoleStopped || r.current != nil || len(r.monitors) > 0 ||
		slices.ContainsFunc(m.queue, func(j *job) bool { return j.res == r }) {
		return
	}
	delete(m.resources, r.id)
	m.dirty = true
}

// settled tells whether nothing is waiting, in flight or undelivered.
func (m *machine) settled() bool {
	if len(m.queue) > 0 || len(m.out) > 0 || m.policy != nil {
		return false
	}
	for _, r := range m.resources {
		if r.current != nil {
			return false
		}
	}
	return true
}

// ordered is all resources in the order of start, then by id.
func (m *machine) ordered() []*resource {
	rs := make([]*resource, 0, len(m.resources))
	for _, r := range m.resources {
		rs = append(rs, r)
	}
	slices.SortFunc(rs, func(a, b *resource) int { return cmp.Or(cmp.Compare(a.seq, b.seq), cmp.Compare(a.id, b.id)) })
	return rs
}

// active is the snapshot for Active.
func (m *machine) active() []Active {
	var as []Active
	for _, r := range m.ordered() {
		if r.role == RoleStopped {
			continue
		}
		a := Active{ID: r.id, Op: r.op, Role: r.role, LastResult: r.last}
		for _, mon := range r.monitors {
			a.Recurring = append(a.Recurring, mon.order.Op.Interval)
		}
		if r.current != nil {
			a.InFlight = r.current.order.Op.Action
		}
		as = append(as, a)
	}
	return as
}

// nextDue is when the monitor runs again, having ended now.
func (mon *monitor) nextDue(now time.Time) time.Time {
	if o := mon.order; !o.Origin.IsZero() {
		return onGrid(o.Origin, o.Op.Interval, now.Add(1))
	}
	return now.Add(mon.order.Op.Interval)
}

// onGrid is the first instant origin + n·step (n an integer) not before t.
func onGrid(origin time.Time, step time.Duration, t time.Time) time.Time {
	past := t.Sub(origin) % step
	if past < 0 {
		past += step
	}
	if past == 0 {
		return t
	}
	return t.Add(step - past)
}

// instanceID names the resource on this node. Instances of an anonymous clone
// are one resource whatever number the scheduler gave them today.
func instanceID(op resources.Op) string { return cmp.Or(op.Instance, op.Resource) }

// clip bounds text to MaxText bytes, whole runes.
func clip(s string) string {
	if len(s) <= MaxText {
		return s
	}
	cut := MaxText
	for cut > 0 && s[cut]&0xC0 == 0x80 {
		cut--
	}
	return s[:cut]
}
