package node

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"systole/crm/controller"
	"systole/crm/lease"
	"systole/resources"
	"systole/resources/executor"
)

// orderMessage is one order on the wire (POST /rpc/order).
type orderMessage struct {
	DC          string        `json:"dc"`
	Term        uint64        `json:"term"`
	Transition  int           `json:"transition"`
	Action      int           `json:"action"`
	Key         string        `json:"key"`
	Op          resources.Op  `json:"op"`
	StopTimeout time.Duration `json:"stop_timeout_ns,omitempty"`
	StartDelay  time.Duration `json:"start_delay_ns,omitempty"`
	// Shutdown asks the node to leave; there is no operation then.
	Shutdown bool `json:"shutdown,omitempty"`
	// Incarnation is the run of the node's daemon that the plan was made for; 0 is unknown.
	// An order that was still under way when the node was fenced must not be taken
	// by the next run.
	Incarnation uint64 `json:"incarnation,omitempty"`
	// Beat is the newest beat of the node that its DC had when it sent the order, which ends
	// with the lease of that beat; 0 in the DC's orders to itself.
	Beat uint64 `json:"beat,omitempty"`
}

// refusal is an order that had no effect. Later says that it may be taken when repeated.
type refusal struct {
	Reason string `json:"reason"`
	Later  bool   `json:"later"`
	Term   uint64 `json:"term,omitempty"` // the newer term that was acknowledged
}

func (r *refusal) Error() string { return r.Reason }

// Patience with orders. A node that has just come in gets its first lease one
// beat later, and one that is overloaded takes orders when results are recorded.
const (
	orderRetry    = 20 * time.Millisecond
	orderPatience = 5 * time.Second
	orderTimeout  = 5 * time.Second // one attempt; the node answers at once or not at all
)

// order sends an order until it is accepted or refused for good, the node is
// lost or the office ends. In the last two cases nobody needs to be told.
func (d *director) order(o controller.Order) {
	if d.gone[o.Node] {
		d.post(controller.OrderRefused{Transition: o.Transition, Action: o.Action, Reason: o.Node + " is lost"})
		return
	}
	ctx := d.toNode(o.Node)
	m := orderMessage{
		Incarnation: recordedIncarnation(d.n.CIB(), o.Node),
		DC:          d.n.cfg.Name, Term: o.Term, Transition: o.Transition, Action: int(o.Action), Key: o.Key.String(),
		Op: o.Op, Shutdown: o.Shutdown, StopTimeout: stopTimeout(d.n.CIB(), o.Op),
		StartDelay: time.Duration(number(o.Op.Meta["start_delay"])) * time.Millisecond,
	}
	losses := d.losses[o.Node]
	d.wait.Go(func() {
		giveUp := time.Now().Add(orderPatience)
		for {
			err := d.n.relyOn(&m, o.Node, losses)
			if err == nil {
				err = d.n.sendOrder(ctx, o.Node, m)
			}
			if err == nil || ctx.Err() != nil {
				return
			}
			r, refused := errors.AsType[*refusal](err)
			if refused && (!r.Later || time.Now().After(giveUp)) {
				d.post(controller.OrderRefused{Transition: o.Transition, Action: o.Action, Reason: err.Error()})
				return
			}
			if !sleep(ctx, orderRetry) {
				return
			}
		}
	})
}

// relyOn binds an order to the newest beat of its node. The node may have been lost
// since the order was planned, and be back: then nobody may send it any more, and the
// director will soon know.
func (n *Node) relyOn(m *orderMessage, node string, losses int) error {
	if node == n.cfg.Name {
		return nil
	}
	if heard := n.heard.Load(); heard != nil {
		if h, ok := (*heard)[node]; ok && h.losses == losses {
			m.Beat = h.beat
			return nil
		}
	}
	return &refusal{Reason: node + " has not been heard since", Later: true}
}

// toNode is the context of orders to one node.
func (d *director) toNode(node string) context.Context {
	o, ok := d.orders[node]
	if !ok {
		o.ctx, o.cancel = context.WithCancel(d.office)
		d.orders[node] = o
	}
	return o.ctx
}

// sendOrder makes one attempt. Its error is a *refusal when the node had no
// effect of it; any other error leaves that open, and repeating is harmless
// because the executor knows the key.
func (n *Node) sendOrder(ctx context.Context, node string, m orderMessage) error {
	if node == n.cfg.Name {
		if r := n.accept(ctx, m); r != nil {
			return r
		}
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, orderTimeout)
	defer cancel()
	return n.call(ctx, node, "/rpc/order", m, nil)
}

// accept takes an order on this node, or refuses it.
func (n *Node) accept(ctx context.Context, m orderMessage) *refusal {
	if m.Incarnation != 0 && m.Incarnation != n.incarnation {
		return &refusal{Reason: fmt.Sprintf("the order is for run %d of systoled on %s, and this is run %d", m.Incarnation, n.cfg.Name, n.incarnation)}
	}
	if err := n.right.order(m.DC, m.Term, m.Beat); err != nil && !(n.cfg.rules.endless && errors.Is(err, lease.ErrStale)) {
		if old, ok := errors.AsType[lease.OldTermError](err); ok {
			return &refusal{Reason: err.Error(), Term: old.Acknowledged}
		}
		return &refusal{Reason: err.Error(), Later: true}
	}
	if m.Shutdown {
		n.shutdownOrdered()
		return nil
	}
	if n.cfg.Witness {
		return &refusal{Reason: fmt.Sprintf("%s is a witness: it runs no resources", n.cfg.Name)}
	}
	if m.Op.Action == resources.ActionCancel && m.Op.Meta["operation"] == "" {
		m.Op.Meta["operation"] = string(resources.ActionMonitor)
	}
	if !n.stopIsCovered(m) {
		return &refusal{Reason: "the DC has not yet recorded how long the stop of this resource may take", Later: true}
	}
	n.manuals.ask(m.Op.Agent, true)
	if m.Op.Action == resources.ActionReloadAgent && n.manuals.of(ctx, m.Op.Agent).reload == resources.ActionReload {
		m.Op.Action = resources.ActionReload
	}
	err := n.exec.Execute(ctx, executor.Order{Op: m.Op, Key: m.Key, StopTimeout: m.StopTimeout, StartDelay: m.StartDelay})
	switch {
	case err == nil:
		return nil
	case errors.Is(err, executor.ErrLease), errors.Is(err, executor.ErrBusy), errors.Is(err, executor.ErrStopping):
		return &refusal{Reason: err.Error(), Later: true}
	}
	return &refusal{Reason: err.Error()}
}

// call makes one request to another node. A status of 409 or 412 comes back as a
// *refusal, any other failure as an error that leaves the effect open.
func (n *Node) call(ctx context.Context, node, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("request %s to %s: %w", path, node, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+node+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("request %s to %s: %w", path, node, err)
	}
	resp, err := n.rpc.Do(req)
	if err != nil {
		return fmt.Errorf("request %s to %s: %w", path, node, err)
	}
	defer resp.Body.Close()
	dec := json.NewDecoder(io.LimitReader(resp.Body, maxMessage))
	switch resp.StatusCode {
	case http.StatusOK:
		if out == nil {
			return nil
		}
		if err := dec.Decode(out); err != nil {
			return fmt.Errorf("answer of %s to %s: %w", node, path, err)
		}
		return nil
	case http.StatusConflict, http.StatusPreconditionFailed:
		r := &refusal{}
		if err := dec.Decode(r); err != nil {
			return fmt.Errorf("answer of %s to %s: %w", node, path, err)
		}
		return r
	}
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	return fmt.Errorf("%s answered %s to %s: %s", node, resp.Status, path, bytes.TrimSpace(text))
}

// maxMessage bounds a message between nodes: the largest log entry as JSON.
const maxMessage = 32 << 20

// sleep waits, or until ctx is done: then false.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
