package executor

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"systole/resources"
)

// TestMachineKeepsItsPromises drives the machine with whatever can happen, with
// the daemon killed at any point, and holds it to the rules of DESIGN.md.
func TestMachineKeepsItsPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := &play{t: t, m: newMachine("i0", 3), now: time.Unix(1e9, 0), answers: map[string]int{}}
		t.Repeat(map[string]func(*rapid.T){
			"order":   p.order,
			"done":    p.done,
			"time":    func(t *rapid.T) { p.pass(time.Duration(rapid.IntRange(1, 3000).Draw(t, "ms")) * time.Millisecond) },
			"deliver": p.deliver,
			"notice":  func(t *rapid.T) { p.m.notice(resourceName(t), p.now) },
			"stopAll": func(t *rapid.T) { p.policy(rapid.Bool().Draw(t, "demote")) },
			"crash":   p.crash,
			"":        func(*rapid.T) { p.settleAndCheck() },
		})
		p.drain()
	})
}

// play is a machine, and what has been asked of it and told by it.
type play struct {
	t        *rapid.T
	m        *machine
	now      time.Time
	inFlight []*job
	accepted []string       // keys of one-shot orders
	answers  map[string]int // reports by key
	lastCall int
	boots    int
	adopted  bool // since the last order: nothing may be started
}

func resourceName(t *rapid.T) string {
	return fmt.Sprintf("r%d", rapid.IntRange(0, 4).Draw(t, "resource"))
}

func (p *play) order(t *rapid.T) {
	action := rapid.SampledFrom([]resources.Action{
		resources.ActionStart, resources.ActionStop, resources.ActionMonitor, resources.ActionPromote, resources.ActionDemote,
		resources.ActionNotify, resources.ActionCancel,
	}).Draw(t, "action")
	o := Order{Op: resources.Op{Resource: resourceName(t), Action: action}, Key: fmt.Sprintf("k%d", len(p.accepted))}
	if rapid.Bool().Draw(t, "promotable") {
		o.Op.Meta = map[string]string{"promoted_max": "1"}
	}
	if (action == resources.ActionMonitor && rapid.Bool().Draw(t, "recurring")) || action == resources.ActionCancel {
		o.Op.Interval = time.Duration(rapid.IntRange(1, 2).Draw(t, "interval")) * time.Second
	}
	if p.m.submit(o, true, p.now) != nil {
		return
	}
	p.adopted = false
	if o.Op.Interval == 0 || action == resources.ActionCancel {
		p.accepted = append(p.accepted, o.Key)
	} else {
		p.accepted = append(p.accepted, "") // any number of reports
	}
	if err := p.m.submit(o, true, p.now); err != nil {
		t.Fatalf("a repeated order is refused: %v", err)
	}
}

// settleAndCheck performs what the machine decided.
func (p *play) settleAndCheck() {
	p.m.tick(p.now)
	for _, j := range p.m.launch {
		if p.adopted && activates(j.order.Op.Action) {
			p.t.Fatalf("%s of %s is begun by itself", j.order.Op.Action, j.res.id)
		}
	}
	p.inFlight = append(p.inFlight, p.m.launch...)
	p.m.launch, p.m.interrupt = nil, nil
	perResource, counted := map[string]int{}, 0
	for _, j := range p.inFlight {
		perResource[j.res.id]++
		if j.cause == "" {
			counted++
		}
	}
	for id, n := range perResource {
		if n > 1 {
			p.t.Fatalf("%d operations of %s at once", n, id)
		}
	}
	if counted > p.m.parallel {
		p.t.Fatalf("%d operations in flight, at most %d are allowed", counted, p.m.parallel)
	}
}

func (p *play) done(t *rapid.T) {
	if len(p.inFlight) == 0 {
		return
	}
	i := rapid.IntRange(0, len(p.inFlight)-1).Draw(t, "which")
	res := rapid.SampledFrom([]resources.Result{
		{}, {}, {}, {Code: resources.NotRunning}, {Code: resources.ErrGeneric}, {Code: resources.RunningPromoted},
		{Status: resources.StatusTimeout, Code: resources.ErrGeneric}, {Status: resources.StatusCancelled, Code: resources.CodeNone},
		{Status: resources.StatusNotInstalled, Code: resources.ErrInstalled},
	}).Draw(t, "result")
	p.finish(i, res, rapid.IntRange(0, 9).Draw(t, "outlived") == 0)
}

func (p *play) finish(i int, res resources.Result, outlived bool) {
	j := p.inFlight[i]
	p.inFlight = slices.Delete(p.inFlight, i, i+1)
	p.m.done(j, res, outlived && activates(j.order.Op.Action) && res.Status != resources.StatusCancelled, p.now)
}

func (p *play) pass(d time.Duration) { p.now = p.now.Add(d) }

func (p *play) deliver(t *rapid.T) {
	n := rapid.IntRange(0, len(p.m.undelivered())).Draw(t, "reports")
	p.take(n)
}

func (p *play) take(n int) {
	for _, r := range p.m.undelivered()[:n] {
		if r.Call != p.lastCall+1 {
			p.t.Fatalf("report %d follows report %d", r.Call, p.lastCall)
		}
		p.lastCall = r.Call
		p.answers[r.Key]++
	}
	p.m.delivered(n, p.now)
}

func (p *play) policy(demote bool) {
	p.m.stopAll("policy", demote, p.now, func(error) {})
}

// crash is a SIGKILL after the record was written, as it is before any effect.
func (p *play) crash(*rapid.T) {
	p.settleAndCheck()
	data, err := p.m.encode()
	if err != nil {
		p.t.Fatal(err)
	}
	data = slices.Clone(data)
	for _, r := range p.m.resources {
		r.saved = nil
	}
	if fresh, err := p.m.encode(); err != nil || string(fresh) != string(data) {
		p.t.Fatalf("the record is stale: %v\n%s\nis now\n%s", err, data, fresh)
	}
	p.boots++
	p.m = newMachine(fmt.Sprint("i", p.boots), 3)
	if err := p.m.adopt(data, p.now); err != nil {
		p.t.Fatal(err)
	}
	p.inFlight, p.adopted = nil, true
}

// drain lets everything end well, then stops all and looks at what is left.
func (p *play) drain() {
	p.adopted = false
	p.run()
	stopped := false
	p.m.stopAll("end", false, p.now, func(err error) {
		if stopped = true; err != nil {
			p.t.Fatalf("stop of all: %v", err)
		}
	})
	p.run()
	if !stopped || len(p.m.active()) != 0 {
		p.t.Fatalf("stop of all ended: %t; left %+v", stopped, p.m.active())
	}
	for _, key := range p.accepted {
		if key != "" && p.answers[key] != 1 {
			p.t.Fatalf("order %s has %d reports", key, p.answers[key])
		}
	}
}

// run lets every operation succeed until nothing is left but recurring monitors.
func (p *play) run() {
	for range 10000 {
		p.settleAndCheck()
		p.take(len(p.m.undelivered()))
		if len(p.inFlight) > 0 {
			p.finish(0, resources.Result{}, false)
		} else if len(p.m.queue) == 0 && p.m.policy == nil && len(p.m.out) == 0 {
			return
		}
	}
	p.t.Fatalf("no end: %d waiting, %d in flight, policy %v", len(p.m.queue), len(p.inFlight), p.m.policy)
}

func BenchmarkRecord(b *testing.B) {
	m := newMachine("i", DefaultParallel)
	now := time.Unix(1e9, 0)
	for i := range 100 {
		for _, s := range []string{"start r%d", "monitor r%d 10s"} {
			o := op(fmt.Sprintf(s, i))
			o.Params = map[string]string{"state": "/run/x", "fake": "dummy"}
			o.Meta = map[string]string{"on_node": "n1", "timeout": "20000"}
			if err := m.submit(Order{Op: o, Key: "12:3:0:0e7c1b1e-0000-0000-0000-000000000000"}, true, now); err != nil {
				b.Fatal(err)
			}
		}
	}
	i := 0
	for b.Loop() {
		m.touch(m.resources[fmt.Sprint("r", i%100)]) // as an operation ends
		i++
		if _, err := m.encode(); err != nil {
			b.Fatal(err)
		}
	}
}
