package ipvs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"reflect"
	"sync"
	"time"

	"systole/agents/check"
	"systole/agents/check/runner"
	"systole/agents/ipvs/config"
	"systole/agents/ipvs/control"
	"systole/agents/ipvs/director"
	"systole/agents/ipvs/table"
)

// kernelTable is the kernel's table as the keeper sees it (kernel.Handle).
type kernelTable interface {
	Services() ([]table.Entry, error)
	Apply(table.Op) error
	ApplyAll([]table.Op) error
	Daemons() ([]table.Daemon, error)
	StartDaemon(table.Daemon) error
	StopDaemon(table.DaemonState) error
	Timeouts() (table.Timeouts, error)
	SetTimeouts(table.Timeouts) error
}

// Bounds of the period in which the kernel is looked at.
const (
	lookMin = 250 * time.Millisecond
	lookMax = 2 * time.Second
)

// keeper keeps the kernel as the director decides. Run's goroutine owns it.
type keeper struct {
	resource    string
	recordPath  string
	kernel      kernelTable
	sysctls     sysctls
	synced      func() (int, error) // connections that came from the active director
	connections func() ([]table.Connection, error)
	quietUntil  time.Time // no new connections before
	runner      *runner.Runner
	log         *slog.Logger
	began       time.Time

	group sync.WaitGroup // of what run starts

	record     record
	configured bool // setup and cfg say what is wanted
	setup      control.Setup
	cfg        config.Config
	director   director.Director
	checks     map[string]*runner.Subscription
	nodes      map[string]director.Weight
	own        map[director.ServerID]director.Weight
	feedStop   context.CancelFunc
	feedArgv   []string
	feedSays   string

	wanted   *[]table.Virtual // what the last round brought about; nil if it failed or something else was asked for since
	status   control.Status
	warmth   warmth
	hooks    *hooks
	events   events
	waiting  []waiter
	stopped  bool
	farewell bool // programs are to hear of the stop

	requests chan request
	changed  chan struct{}                   // a check's verdict
	tables   chan map[string]director.Weight // of the feed
	says     chan string                     // state of the feed
}

// request is one that waits for its answer.
type request struct {
	control.Request
	answer chan control.Answer
}

// waiter is a request answered when the checks have said enough.
type waiter struct {
	request
	until time.Time
}

func newKeeper(resource, recordPath string, k kernelTable, log *slog.Logger) *keeper {
	kp := &keeper{
		resource: resource, recordPath: recordPath, kernel: k, sysctls: sysctls{"/proc/sys"}, log: log,
		runner: runner.New(runner.Options{}), checks: map[string]*runner.Subscription{},
		own:      map[director.ServerID]director.Weight{},
		requests: make(chan request), changed: make(chan struct{}, 1),
		tables: make(chan map[string]director.Weight), says: make(chan string),
	}
	kp.events.log = log
	kp.hooks = newHooks(kp.events.add)
	return kp
}

// run keeps the kernel until a request says stop, or ctx is done: then all
// stays as it is, for the next process.
func (k *keeper) run(ctx context.Context) error {
	k.began = time.Now()
	ctx, cancel := context.WithCancel(ctx)
	defer k.group.Wait()
	defer cancel()
	k.group.Go(func() { k.runner.Run(ctx) })
	k.group.Go(func() { k.hooks.run(ctx) })
	tick := time.NewTimer(lookMin)
	defer tick.Stop()
	for !k.stopped {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case r := <-k.requests:
			k.obey(ctx, r)
		case k.nodes = <-k.tables:
			k.round(time.Now())
		case says := <-k.says:
			if says != k.feedSays {
				k.feedSays = says
				k.events.add("cluster weights: " + says)
			}
		case <-k.changed:
			k.round(time.Now())
		case <-tick.C: // however often the others come
			k.round(time.Now())
			tick.Reset(k.period())
		}
		k.answerWaiting(time.Now())
	}
	if k.farewell {
		k.hooks.finish(lastHooks)
	}
	return nil
}

// period is how often the kernel is looked at: as often as the most impatient check.
func (k *keeper) period() time.Duration {
	p := lookMax
	for _, v := range k.cfg.Virtuals {
		for _, r := range v.Reals {
			for _, s := range r.Checks {
				if s.Kind != check.None {
					p = min(p, s.Interval)
				}
			}
		}
	}
	return max(p, lookMin)
}

// obey carries out one request and answers it, now or later.
func (k *keeper) obey(ctx context.Context, r request) {
	err := k.do(ctx, r.Request)
	if err == nil && r.Wait > 0 && !k.status.Ready {
		k.waiting = append(k.waiting, waiter{r, time.Now().Add(r.Wait)})
		return
	}
	r.answer <- k.reply(err)
}

func (k *keeper) reply(err error) control.Answer {
	if err != nil {
		return control.Answer{Error: err.Error()}
	}
	s := k.status
	s.Resource, s.PID, s.Since = k.resource, os.Getpid(), k.began
	s.Role, s.Promotable, s.Warm, s.Feed = k.record.Role, k.record.Promotable, k.warmth.warm || k.setup.Sync == nil, k.feedSays
	s.Events = k.events.last()
	return control.Answer{Status: &s}
}

func (k *keeper) answerWaiting(now time.Time) {
	var left []waiter
	for _, w := range k.waiting {
		if k.status.Ready || now.After(w.until) {
			w.answer <- k.reply(nil)
		} else {
			left = append(left, w)
		}
	}
	k.waiting = left
}

func (k *keeper) do(ctx context.Context, r control.Request) error {
	switch r.Do {
	case control.Show:
		return nil
	case control.Configure:
		if r.Setup == nil {
			return errors.New("configure without a setup")
		}
		if k.configured && r.Setup.File == "" && reflect.DeepEqual(*r.Setup, k.setup) {
			return nil // a promotion says it again, and the address waits for that; a file may have changed
		}
		return k.configure(ctx, *r.Setup)
	case control.Reload:
		return k.configure(ctx, k.setup)
	case control.SetRole:
		return k.setRole(r.Role)
	case control.Drain:
		return k.setOwn(r.Server, r.Service, director.Weight{Drain: true})
	case control.Undrain:
		return k.setOwn(r.Server, r.Service, director.Weight{})
	case control.SetWeight:
		if r.Weight < 0 || r.Weight > table.MaxWeight {
			return fmt.Errorf("weight %d: give 0 to %d", r.Weight, table.MaxWeight)
		}
		return k.setOwn(r.Server, r.Service, director.Weight{Set: true, N: r.Weight})
	case control.Quiesce:
		return k.quiesce(r.Address)
	case control.Stop:
		return k.stop()
	}
	return fmt.Errorf("request %q is not known", r.Do)
}

// configure takes a new setup; a faulty one changes nothing.
func (k *keeper) configure(ctx context.Context, s control.Setup) error {
	cfg, err := load(s)
	if err != nil {
		return err
	}
	kernel, err := k.kernel.Services()
	if err != nil {
		return err
	}
	if err := k.subscribe(cfg, kernel); err != nil {
		return err
	}
	if !reflect.DeepEqual(s.Sync, k.setup.Sync) {
		k.warmth.reset()
	}
	k.setup, k.cfg, k.wanted, k.configured = s, cfg, nil, true
	k.warmth.bound = s.Warmup
	k.record.Promotable = s.Promotable
	k.follow(ctx)
	if k.record.Role == "" {
		return nil // the role comes next
	}
	if err := k.record.write(k.recordPath); err != nil {
		return err
	}
	k.round(time.Now())
	return nil
}

// subscribe follows the checks of a configuration. Those that stay keep their
// subscription: of a new one nothing is known for an instant, and in that
// instant nobody would serve.
func (k *keeper) subscribe(cfg config.Config, kernel []table.Entry) error {
	serving := map[director.ServerID]bool{}
	for _, e := range kernel {
		for _, s := range e.Servers {
			serving[director.ServerID{Virtual: e.Key, Addr: s.Addr}] = s.Weight > 0
		}
	}
	next := map[string]*runner.Subscription{}
	for _, v := range cfg.Virtuals {
		for _, r := range v.Reals {
			from := check.Unknown
			if serving[director.ServerID{Virtual: v.Key, Addr: r.Addr}] {
				from = check.Up // an earlier process knew
			}
			for _, c := range director.Checks(r) {
				if next[c.Key()] != nil {
					continue
				}
				if s := k.checks[c.Key()]; s != nil {
					next[c.Key()] = s
					continue
				}
				s, err := k.runner.Subscribe(c, from, func(check.Status) { k.wake() })
				if err != nil {
					cancelBut(next, k.checks)
					return fmt.Errorf("line %d: %w", r.Line, err)
				}
				next[c.Key()] = s
			}
		}
	}
	cancelBut(k.checks, next)
	k.checks = next
	return nil
}

// cancelBut ends the subscriptions that are not among those kept.
func cancelBut(some, kept map[string]*runner.Subscription) {
	for key, s := range some {
		if kept[key] != s {
			s.Cancel()
		}
	}
}

// wake asks for a round; it never blocks.
func (k *keeper) wake() {
	select {
	case k.changed <- struct{}{}:
	default:
	}
}

// follow runs the feed while some server has a node.
func (k *keeper) follow(ctx context.Context) {
	needed := len(k.setup.Feed) > 0 && hasNodes(k.cfg)
	if needed && reflect.DeepEqual(k.feedArgv, k.setup.Feed) {
		return
	}
	if k.feedStop != nil {
		k.feedStop()
		k.feedStop, k.feedArgv, k.feedSays = nil, nil, ""
	}
	if !needed {
		k.nodes = nil
		return
	}
	ctx, k.feedStop = context.WithCancel(ctx)
	k.feedArgv = k.setup.Feed
	f := feed{
		argv: k.setup.Feed, env: k.setup.FeedEnv,
		table: func(t map[string]director.Weight) { send(ctx, k.tables, t) },
		state: func(s string) { send(ctx, k.says, s) },
	}
	k.group.Go(func() { f.run(ctx) })
}

func send[T any](ctx context.Context, to chan<- T, v T) {
	select {
	case to <- v:
	case <-ctx.Done():
	}
}

func hasNodes(c config.Config) bool {
	for _, v := range c.Virtuals {
		for _, r := range v.Reals {
			if r.Node != "" {
				return true
			}
		}
	}
	return false
}

// setRole makes the director active or standby.
func (k *keeper) setRole(r control.Role) error {
	if r != control.Active && r != control.Standby {
		return fmt.Errorf("role %q is not known: use active or standby", r)
	}
	if !k.configured {
		return errors.New("a role before a configuration")
	}
	before := k.record.Role
	k.record.Role = r
	if err := k.record.write(k.recordPath); err != nil {
		return err
	}
	k.wanted = nil
	if before != r {
		k.events.add("now " + string(r))
	}
	k.round(time.Now())
	if k.status.Problem != "" {
		return errors.New(k.status.Problem)
	}
	return nil
}

// setOwn sets an operator's weight for the servers that fit.
func (k *keeper) setOwn(server, service string, w director.Weight) error {
	found := false
	for _, v := range k.cfg.Virtuals {
		if service != "" && service != v.Key.String() {
			continue
		}
		for _, r := range v.Reals {
			if server != r.Addr.String() && server != r.Addr.Addr().String() && (server != r.Node || r.Node == "") {
				continue
			}
			found = true
			id := director.ServerID{Virtual: v.Key, Addr: r.Addr}
			delete(k.own, id)
			if w != (director.Weight{}) {
				k.own[id] = w
			}
		}
	}
	if !found {
		return fmt.Errorf("no real server %q in service %q: name one as the status shows it, or its node", server, service)
	}
	k.wanted = nil
	k.round(time.Now())
	return nil
}
