package executor

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"systole/resources"
)

const (
	// hungGrace is how long after its deadline an agent may still be cleaning up
	// (TERM, KILL, reap). Later the operation counts as timed out although the
	// agent has not returned, so that one stuck in the kernel cannot block the
	// stop that must follow.
	hungGrace = 3 * time.Second
	// retryFirst and retryMost bound the wait between deliveries that failed.
	retryFirst = 20 * time.Millisecond
	retryMost  = time.Second
	// eventsAtOnce are taken in before the record is written and effects are performed.
	eventsAtOnce = 256
)

// loop is the state of Run: the machine and what it set in motion.
type loop struct {
	*Executor
	m          *machine
	ctx        context.Context
	events     chan func(now time.Time) // from goroutines of this loop
	running    map[*job]context.CancelCauseFunc
	watching   map[string]watch
	delivering bool
	tasks      sync.WaitGroup
}

type watch struct {
	since int
	stop  context.CancelFunc
}

// Run adopts what the state names, then serves until ctx is done. Ending it
// stops no resource; operations in flight are interrupted and are on record.
// It may be called once. Its error is that of a record that cannot be read.
func (e *Executor) Run(ctx context.Context) error {
	defer close(e.closed)
	l := &loop{
		Executor: e, m: newMachine(e.cfg.Incarnation, e.cfg.Parallel), ctx: ctx,
		events: make(chan func(time.Time)), running: map[*job]context.CancelCauseFunc{}, watching: map[string]watch{},
	}
	if e.cfg.State != nil {
		data, err := e.cfg.State.Load()
		if err == nil && len(data) > 0 {
			err = l.m.adopt(data, time.Now())
		}
		if err != nil {
			return err
		}
		if n := len(l.m.resources); n > 0 {
			e.log.Info("adopting resources", "count", n, "undelivered", len(l.m.out))
		}
	}
	l.serve()
	l.tasks.Wait()
	if l.m.dirty || !l.m.stale.IsZero() {
		l.save()
	}
	return nil
}

func (l *loop) serve() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var answers []chan struct{}
	for {
		answers = l.perform(answers)
		if at, ok := l.m.next(); ok {
			timer.Reset(time.Until(at))
		} else {
			timer.Stop()
		}
		select {
		case <-l.ctx.Done():
			return
		case <-timer.C:
		case c := <-l.calls:
			answers = append(answers, l.take(c))
		case f := <-l.events:
			f(time.Now())
		}
		for range eventsAtOnce {
			select {
			case c := <-l.calls:
				answers = append(answers, l.take(c))
				continue
			case f := <-l.events:
				f(time.Now())
				continue
			default:
			}
			break
		}
	}
}

func (l *loop) take(c call) (ended chan struct{}) {
	c.do(l.m, time.Now())
	return c.ended
}

// perform carries out what the machine has decided: first the record, then
// answers, then actions. What is begun or promised is on record before.
func (l *loop) perform(answers []chan struct{}) []chan struct{} {
	m, now := l.m, time.Now()
	m.tick(now)
	wanted := m.watches(now)
	if m.dirty {
		l.save()
	}
	for _, ended := range answers {
		close(ended)
	}
	for _, j := range m.interrupt {
		if cancel := l.running[j]; cancel != nil {
			cancel(errors.New(j.abandoned))
		}
	}
	for _, j := range m.launch {
		l.begin(j)
	}
	m.interrupt, m.launch = nil, nil
	l.watchOnly(wanted)
	l.deliver()
	active := m.active()
	l.active.Store(&active)
	if len(m.idle) > 0 && m.settled() {
		for _, idle := range m.idle {
			idle()
		}
		m.idle = nil
	}
	return answers[:0]
}

// save writes the record. A record that cannot be written costs the adoption of
// the newest changes, not service: it is logged and tried again at the next.
func (l *loop) save() {
	l.m.dirty, l.m.stale = false, time.Time{}
	if l.cfg.State == nil {
		return
	}
	data, err := l.m.encode()
	if err == nil {
		err = l.cfg.State.Save(data)
	}
	if err != nil {
		l.m.dirty = true
		l.log.Error("record of active resources not written; a restart of the daemon would not know the newest changes", "err", err)
	}
}

// send hands an event to the owner, or drops it when Run has ended.
func (l *loop) send(f func(now time.Time)) {
	select {
	case l.events <- f:
	case <-l.ctx.Done():
	}
}

func (l *loop) begin(j *job) {
	ctx, cancel := context.WithCancelCause(l.ctx)
	l.running[j] = cancel
	l.tasks.Go(func() {
		defer cancel(nil)
		res := l.execute(ctx, j.order.Op)
		if l.ctx.Err() != nil {
			return // interrupted by the end of the daemon: the record says it was begun, the next one sees to it
		}
		outlived := activates(j.order.Op.Action) && res.Status != resources.StatusCancelled && !l.leased()
		l.send(func(now time.Time) {
			delete(l.running, j)
			l.m.done(j, res, outlived, now)
		})
	})
}

// execute runs one operation within its timeout.
func (l *loop) execute(ctx context.Context, op resources.Op) resources.Result {
	agent, err := l.cfg.Lookup(op.Agent)
	if err != nil {
		return resources.Result{Status: resources.StatusNotInstalled, Code: resources.ErrInstalled, Reason: err.Error()}
	}
	timeout := op.Timeout
	if timeout == 0 {
		timeout = resources.DefaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	ended := make(chan resources.Result, 1)
	// The last look at the lease before the act. A pause between the two is what
	// the kernel guard, fencing and the stop after an outlived start are for.
	if activates(op.Action) && !l.leased() {
		return resources.Result{Status: resources.StatusCancelled, Code: resources.CodeNone, Reason: "not begun: the node lease has ended"}
	}
	go func() { ended <- agent.Execute(ctx, op) }() // waited for below, but not for ever
	select {
	case res := <-ended:
		return timedOut(ctx, res, timeout)
	case <-ctx.Done():
	}
	grace := time.NewTimer(hungGrace)
	defer grace.Stop()
	select {
	case res := <-ended:
		return timedOut(ctx, res, timeout)
	case <-grace.C:
		l.log.Error("agent does not return", "rsc", instanceID(op), "op", string(op.Action), "timeout", timeout)
		return timedOut(ctx, resources.Result{Status: resources.StatusTimeout, Code: resources.ErrGeneric}, timeout)
	}
}

// timedOut keeps a clear answer, however late, and names the timeout otherwise.
func timedOut(ctx context.Context, res resources.Result, timeout time.Duration) resources.Result {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) && res.Status != resources.StatusDone {
		res.Status = resources.StatusTimeout
		if res.Reason == "" {
			res.Reason = fmt.Sprintf("did not end within %v", timeout)
		}
	}
	return res
}

// watchOnly ends the watches that are not wanted and begins the missing ones.
func (l *loop) watchOnly(wanted map[string]watched) {
	for id, w := range l.watching {
		if want, ok := wanted[id]; !ok || want.since != w.since {
			w.stop()
			delete(l.watching, id)
		}
	}
	for id, want := range wanted {
		if _, ok := l.watching[id]; ok {
			continue
		}
		ctx, stop := context.WithCancel(l.ctx)
		l.watching[id] = watch{want.since, stop}
		agent, err := l.cfg.Lookup(want.op.Agent)
		watcher, ok := agent.(resources.Watcher)
		if err != nil || !ok {
			stop() // the empty entry stays, so that the agent is not looked up again
			continue
		}
		l.tasks.Go(func() {
			defer stop()
			if watcher.Watch(ctx, want.op) && ctx.Err() == nil {
				l.send(func(now time.Time) {
					if w, ok := l.watching[id]; ok && w.since == want.since {
						l.m.notice(id, now)
					}
				})
			}
		})
	}
}

// deliver hands the oldest reports to the sink, one batch at a time.
func (l *loop) deliver() {
	if l.delivering || len(l.m.out) == 0 {
		return
	}
	l.delivering = true
	batch := l.m.undelivered()
	l.tasks.Go(func() {
		for wait := retryFirst; ; wait = min(2*wait, retryMost) {
			err := l.cfg.Sink(l.ctx, batch)
			if err == nil {
				break
			}
			l.log.Debug("results not recorded yet", "count", len(batch), "err", err)
			retry := time.NewTimer(wait)
			select {
			case <-retry.C:
			case <-l.ctx.Done():
				retry.Stop()
				return
			}
		}
		l.send(func(now time.Time) {
			l.delivering = false
			l.m.delivered(len(batch), now)
		})
	})
}
