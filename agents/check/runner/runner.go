// Package runner runs health checks on time: it asks each distinct check once
// per slot, however many subscribe to it, and tells them what changed.
//
// [Runner.Run] owns all jobs in one goroutine with one timer; each probe has a
// goroutine while it runs. A probe that does not return by its timeout counts
// as failed and is not repeated until it has returned, so that nothing a server
// or disk does stops the clock of the others.
package runner

import (
	"container/heap"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"systole/agents/check"
	"systole/agents/check/probe"
	"systole/agents/process"
)

const (
	// maxProbes run at once: as many as there are sockets in reason. It is far
	// above a thousand servers that all fall silent, so that the silent ones never
	// keep the others from being asked.
	maxProbes = 4096
	// maxScripts run at once, as each is a process or several.
	maxScripts = 64
	// grace is what a probe has to return after its timeout. A UDP server's
	// silence is good news that comes at the timeout exactly: our own overload must
	// not turn it into bad.
	grace = time.Second
	// lastWait is how long Run waits at its end for probes to notice: as long as
	// a script has between TERM and KILL, and the grace. What is stuck in the
	// kernel is left behind.
	lastWait = process.TermGrace + grace
)

// Options are what a Runner needs. The zero value is what a daemon wants.
type Options struct {
	// New makes the prober of a check; nil is probe.New.
	New func(check.Check) (probe.Prober, error)
	// Started, if not nil, is told as each probe starts how late it is. It is
	// called from many goroutines.
	Started func(late time.Duration)
}

// Runner runs checks. Its methods are safe for concurrent use, before, during
// and after Run.
type Runner struct {
	options Options

	mu    sync.Mutex
	inbox []func() // for Run's goroutine
	wake  chan struct{}

	// Owned by Run's goroutine.
	ctx     context.Context // of the probes
	jobs    map[string]*job // by check.Key
	queue   timetable
	pools   [2]pool // of network probes and of scripts
	probing sync.WaitGroup
}

// pool bounds how many probes run at once; the rest wait in order.
type pool struct {
	running, most int
	waiting       []*job
}

// New makes a runner without checks. It starts nothing.
func New(o Options) *Runner {
	if o.New == nil {
		o.New = probe.New
	}
	return &Runner{
		options: o, wake: make(chan struct{}, 1), jobs: map[string]*job{},
		pools: [2]pool{{most: maxProbes}, {most: maxScripts}},
	}
}

// Run probes until ctx is done, and returns when the probes under way have
// ended, but for stuck ones. It is called once.
func (r *Runner) Run(ctx context.Context) error {
	var cancel context.CancelFunc
	r.ctx, cancel = context.WithCancel(ctx)
	defer func() {
		cancel()
		r.await()
	}()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		r.takeInbox()
		for len(r.queue) > 0 && !r.queue[0].at.After(time.Now()) {
			r.due(r.queue[0])
		}
		if len(r.queue) > 0 {
			timer.Reset(time.Until(r.queue[0].at))
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-r.wake:
		case <-timer.C:
		}
	}
}

func (r *Runner) await() {
	ended := make(chan struct{})
	go func() {
		r.probing.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(lastWait):
	}
}

// Subscribe adds a check. An equal one that runs already is shared, and its
// state kept: to replace subscriptions, subscribe to the new ones before
// cancelling the old. A new one starts from the verdict known from before, if any.
//
// notify, if not nil, is called from Run's goroutine after each change that the
// server's weight depends on, and once at the start if something is known
// already; it must not block.
func (r *Runner) Subscribe(c check.Check, from check.Verdict, notify func(check.Status)) (*Subscription, error) {
	ask, err := r.options.New(c)
	if err != nil {
		return nil, err
	}
	s := &Subscription{runner: r, key: c.Key(), notify: notify}
	first := check.NewState(c, from, time.Now()).Status()
	s.status.Store(&first) // until the job is there
	r.post(func() {
		j := r.jobs[s.key]
		if j == nil {
			j = &job{check: c, ask: ask, state: check.NewState(c, from, time.Now())}
			r.jobs[s.key] = j
			j.at = j.state.Due()
			heap.Push(&r.queue, j)
		}
		j.subscriptions = append(j.subscriptions, s)
		s.publish(j.state.Status(), j.state.Status().Verdict != check.Unknown)
	})
	return s, nil
}

// Subscription is one interest in a check.
type Subscription struct {
	runner    *Runner
	key       string
	notify    func(check.Status)
	status    atomic.Pointer[check.Status]
	cancelled atomic.Bool
}

// Status is the newest result, also where notify had no reason to be called.
func (s *Subscription) Status() check.Status {
	if known := s.status.Load(); known != nil {
		return *known
	}
	return check.Status{}
}

// Cancel ends it. A notification under way may still arrive.
func (s *Subscription) Cancel() {
	if s.cancelled.Swap(true) {
		return
	}
	s.runner.post(func() { s.runner.leave(s) })
}

func (s *Subscription) publish(status check.Status, notify bool) {
	s.status.Store(&status)
	if notify && s.notify != nil && !s.cancelled.Load() {
		s.notify(status)
	}
}

// post hands work to Run's goroutine. The inbox holds at most one result for
// each check and what subscribers have asked since the last turn.
func (r *Runner) post(f func()) {
	r.mu.Lock()
	r.inbox = append(r.inbox, f)
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func (r *Runner) takeInbox() {
	r.mu.Lock()
	inbox := r.inbox
	r.inbox = nil
	r.mu.Unlock()
	for _, f := range inbox {
		f()
	}
}

// due starts a probe, or counts one that is still out as failed.
func (r *Runner) due(j *job) {
	if j.cancel != nil {
		j.late = true
		r.observe(j, check.Result{Reason: "no answer within " + j.check.Spec.Timeout.String() + ", and the probe itself is stuck", Took: time.Since(j.began)})
		return
	}
	heap.Remove(&r.queue, j.index)
	p := r.pool(j)
	p.waiting = append(p.waiting, j)
	r.serve(p)
}

// serve starts what waits, while there is room.
func (r *Runner) serve(p *pool) {
	for len(p.waiting) > 0 && p.running < p.most {
		j := p.waiting[0]
		p.waiting = p.waiting[1:]
		p.running++
		r.start(j)
	}
}

func (r *Runner) start(j *job) {
	slot := j.at
	j.began, j.late = time.Now(), false
	var ctx context.Context
	ctx, j.cancel = context.WithTimeout(r.ctx, j.check.Spec.Timeout)
	j.at = j.began.Add(j.check.Spec.Timeout + grace)
	heap.Push(&r.queue, j)
	r.probing.Go(func() {
		if r.options.Started != nil {
			r.options.Started(time.Since(slot))
		}
		began := time.Now()
		result := j.ask(ctx)
		result.Took = time.Since(began)
		r.post(func() { r.finish(j, result) })
	})
}

// finish takes a probe's result, unless its time was over already.
func (r *Runner) finish(j *job, result check.Result) {
	j.cancel()
	j.cancel = nil
	if !j.left() && !j.late && r.ctx.Err() == nil {
		r.observe(j, result)
	}
	p := r.pool(j)
	p.running--
	r.serve(p)
}

func (r *Runner) observe(j *job, result check.Result) {
	changed := j.state.Observe(result, time.Now())
	j.at = j.state.Due()
	heap.Fix(&r.queue, j.index)
	for _, s := range j.subscriptions {
		s.publish(j.state.Status(), changed)
	}
}

// leave removes a subscription, and the check with its last one.
func (r *Runner) leave(s *Subscription) {
	j := r.jobs[s.key]
	j.subscriptions = slices.DeleteFunc(j.subscriptions, func(other *Subscription) bool { return other == s })
	if !j.left() {
		return
	}
	delete(r.jobs, s.key)
	p := r.pool(j)
	if i := slices.Index(p.waiting, j); i >= 0 {
		p.waiting = slices.Delete(p.waiting, i, i+1)
		return
	}
	heap.Remove(&r.queue, j.index)
	if j.cancel != nil {
		j.cancel() // finish will come
	}
}

func (r *Runner) pool(j *job) *pool {
	if j.check.Spec.Kind == check.Script {
		return &r.pools[1]
	}
	return &r.pools[0]
}
