package node

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"systole/crm/command"
	"systole/crm/controller"
	"systole/crm/exit"
)

// director drives the controller: it feeds events and the newest CIB, and
// performs the effects. It owns the controller; everything that may wait is done
// by goroutines that end with the office.
type director struct {
	n      *Node
	log    *slog.Logger
	ctl    *controller.Controller
	events *queue[controller.Event]

	// office is the context of the present term; its cancelling ends every order
	// and fencing under way. wait counts them.
	office context.Context
	end    context.CancelCauseFunc
	wait   sync.WaitGroup
	// proposals of the present term, in order.
	proposals *queue[controller.Propose]
	orders    map[string]orders // by node
	// gone are nodes that were lost or left and have not been ready since: nothing is sent to them.
	gone map[string]bool
	// losses counts how often each was lost in this term, as far as this goroutine knows.
	losses map[string]int
}

// orders are those to one node: losing it ends their sending.
type orders struct {
	ctx    context.Context
	cancel context.CancelFunc
}

func newDirector(n *Node) *director {
	return &director{n: n, log: n.log, ctl: controller.New(n.cfg.Name, n.cfg.Planner), events: newQueue[controller.Event]()}
}

// post hands an event over; it never waits.
func (d *director) post(e controller.Event) { d.events.post(e) }

// run steps until ctx is done.
func (d *director) run(ctx context.Context) {
	defer func() {
		d.leaveOffice("the node stops")
		d.wait.Wait()
	}()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		snap := d.n.store.Snapshot()
		events := d.events.take()
		for _, e := range events {
			d.beforeStep(ctx, e)
			if p, ok := e.(controller.Proposed); ok && p.OK {
				// The CIB with the proposal in it comes first: what it changed is then
				// known to be the controller's own doing.
				snap = d.n.store.Snapshot()
				d.step(controller.CIBChanged{CIB: snap.CIB, Index: snap.Index})
			}
			d.step(e)
		}
		d.step(controller.CIBChanged{CIB: snap.CIB, Index: snap.Index})
		if at := d.ctl.Wake(); !at.IsZero() && !time.Now().Before(at) {
			d.step(controller.Tick{})
		}
		d.publish()
		if at := d.ctl.Wake(); !at.IsZero() {
			timer.Reset(max(time.Millisecond, time.Until(at)))
		} else {
			timer.Reset(time.Hour)
		}
		select {
		case <-ctx.Done():
			return
		case <-d.events.more:
		case <-snap.Next:
		case <-timer.C:
		}
	}
}

// beforeStep begins and ends what lives as long as an office, or as a node is there.
func (d *director) beforeStep(ctx context.Context, e controller.Event) {
	switch e := e.(type) {
	case controller.Elected:
		d.leaveOffice("another term began")
		d.office, d.end = context.WithCancelCause(ctx)
		d.orders, d.gone, d.losses = map[string]orders{}, map[string]bool{}, map[string]int{}
		d.proposals = newQueue[controller.Propose]()
		office, proposals := d.office, d.proposals
		d.wait.Go(func() { d.commit(office, proposals) })
	case controller.Deposed:
		d.leaveOffice(e.Cause)
	case controller.NodeReady:
		delete(d.gone, e.Node)
	case controller.NodeLost:
		d.losses[e.Node]++
		d.giveUpOn(e.Node)
	case controller.NodeLeft:
		d.giveUpOn(e.Node)
	}
}

func (d *director) leaveOffice(cause string) {
	if d.end != nil {
		d.end(fmt.Errorf("no longer DC: %s", cause))
		d.end = nil
	}
}

// giveUpOn ends the sending of orders to a node that is gone.
func (d *director) giveUpOn(node string) {
	d.gone[node] = true
	if o, ok := d.orders[node]; ok {
		o.cancel()
		delete(d.orders, node)
	}
}

// step runs the machine once and performs what it wants, in order.
func (d *director) step(e controller.Event) {
	for _, effect := range d.ctl.Step(e, time.Now()) {
		switch f := effect.(type) {
		case controller.Propose:
			d.proposals.post(f)
		case controller.Order:
			d.order(f)
		case controller.Fence:
			d.fence(f)
		case controller.SaveInput:
			d.save(f)
		case controller.Decided:
			d.log.Log(context.Background(), level(f.Level), f.Message, f.Facts...)
		}
	}
}

func level(l controller.Level) slog.Level {
	switch l {
	case controller.Debug:
		return slog.LevelDebug
	case controller.Warn:
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

func (d *director) publish() {
	s := d.ctl.Snapshot()
	old := d.n.snapshot.Swap(&s)
	if old == nil || old.State != s.State || old.Index != s.Index {
		d.n.changed()
	}
}

// commit makes the proposals of one office, one after the other. Whatever is not
// committed when the office ends is forgotten: the next DC finds out anew.
func (d *director) commit(office context.Context, proposals *queue[controller.Propose]) {
	for {
		batch, ok := proposals.next(office)
		if !ok {
			return
		}
		for _, p := range batch {
			done := controller.Proposed{ID: p.ID, OK: true}
			for _, e := range controller.Entries(p.Change, d.n.entry("")) {
				reply, err := d.n.store.Propose(office, e)
				if err == nil {
					err = reply.Err()
				}
				if err != nil && !harmless(p.Change, err) {
					done.OK, done.Reason = false, err.Error()
					break
				}
			}
			if office.Err() != nil {
				return
			}
			d.post(done)
		}
	}
}

// harmless says that a change was refused because it was made already.
func harmless(ch controller.Change, err error) bool {
	switch ch.(type) {
	case controller.ForgetHistory, controller.ForgetFailures, controller.NodeState:
		return exit.Of(err) == exit.NoSuch
	}
	return false
}

// save keeps the scheduler's input on this node's disk, beside the decision.
func (d *director) save(f controller.SaveInput) {
	if d.n.cfg.Inputs == nil {
		return
	}
	name := fmt.Sprintf("input-%d-%d", d.ctl.Snapshot().Term, f.Transition)
	root := f.CIB.Root().With("execution-date", strconv.FormatInt(f.Now.Unix(), 10))
	d.n.inputs.post(savedInput{name: name, cib: root})
}

// entry stamps an entry as the daemon's own.
func (n *Node) entry(kind command.Kind) command.Entry {
	return command.Entry{Kind: kind, Time: time.Now(), User: "hacluster", Client: "systoled", Origin: n.cfg.Name}
}
