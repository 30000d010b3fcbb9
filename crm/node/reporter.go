package node

import (
	"cmp"
	"context"
	"errors"
	"time"

	"systole/crm/cib"
	"systole/crm/command"
	"systole/crm/controller"
	"systole/crm/transition"
	"systole/resources"
	"systole/resources/executor"
)

// report is the executor's sink: it returns once the batch is in the log. The
// executor keeps what is not, and delivers it again; the log knows a result that
// comes twice by incarnation and call.
func (n *Node) report(ctx context.Context, batch []executor.Report) error {
	c := n.CIB()
	e := n.entry(command.KindResult)
	for _, r := range batch {
		e.Results = append(e.Results, n.result(ctx, c, r))
		n.note(r)
	}
	for {
		p, err := n.propose(ctx, e)
		if err == nil {
			if refused := p.Reply.Err(); refused != nil {
				n.log.Error("results refused by the CIB; their actions end when their time is over", "count", len(batch), "err", refused)
			}
			for _, r := range batch {
				n.tellEnd(ctx, r)
			}
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		n.log.Debug("results wait for a DC", "count", len(batch), "err", err)
		if !sleep(ctx, proposeRetry) {
			return context.Cause(ctx)
		}
	}
}

// tellEnd lets the DC know of an end that the log does not keep: of a notification, and of
// what it ordered and this node's own policy has ended, or dropped before it was begun.
// If the word is lost, the action is over when its time is.
func (n *Node) tellEnd(ctx context.Context, r executor.Report) {
	k, err := transition.ParseKey(r.Key)
	done := controller.Done{Key: k}
	if r.Op.Interval == 0 && r.Result.Status == resources.StatusCancelled {
		done.Reason = cmp.Or(r.Result.Reason, "cancelled")
	}
	if err != nil || done.Reason == "" && r.Op.Action != resources.ActionNotify {
		return
	}
	d := n.store.DC()
	if d.Active {
		n.director.post(done)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, orderTimeout)
	defer cancel()
	if err := n.callLeader(ctx, d.Leader, "/rpc/done", done, nil); err != nil && ctx.Err() == nil {
		n.log.Debug("the DC does not know of an action's end", "rsc", r.Op.Instance, "err", err)
	}
}

// note logs what matters to people: what began to serve, and what failed.
func (n *Node) note(r executor.Report) {
	rsc := r.Op.Instance
	switch {
	case r.Op.Action == resources.ActionStart && r.Result.Code == resources.OK && r.Result.Status == resources.StatusDone:
		n.log.Info("resource started", "rsc", rsc, "took", r.Ended.Sub(r.Began))
	case r.Op.IsProbe() || r.Result.Status == resources.StatusCancelled:
	case r.Result.Code != resources.OK && r.Result.Code != resources.RunningPromoted || r.Result.Status != resources.StatusDone:
		n.log.Warn("operation failed", "rsc", rsc, "op", r.Op.Action, "rc", int(r.Result.Code), "status", int(r.Result.Status), "reason", r.Result.Reason)
	}
}

// result makes the log's form of a report.
func (n *Node) result(ctx context.Context, c *cib.CIB, r executor.Report) command.Result {
	if r.Key == "" {
		r.Key = ownKey(r)
	}
	out := controller.ResultOf(r.Op, r.Key)
	out.Node, out.Incarnation, out.Call = n.cfg.Name, r.Incarnation, r.Call
	out.RC, out.Status, out.Reason = int(r.Result.Code), int(r.Result.Status), r.Result.Reason
	out.LastChange = r.Ended
	if !r.Began.IsZero() {
		out.ExecMS = r.Ended.Sub(r.Began).Milliseconds()
		out.QueueMS = r.Began.Sub(r.Queued).Milliseconds()
		if r.Op.Interval > 0 {
			out.ExecMS = max(0, out.ExecMS)
		}
	}
	if out.LastChange.IsZero() {
		out.LastChange = time.Now()
	}
	out.Failure = failure(c, r)
	out.Extra = extra(r.Op, n.manuals.of(ctx, r.Op.Agent))
	if r.Op.Action == resources.ActionReload || r.Op.Action == resources.ActionReloadAgent {
		out.Operation = string(afterReload(r.Result))
	}
	return out
}

// afterReload is the operation a reload stands for in the history: the resource is as if it had just been
// started with its new parameters, or it was found failed.
func afterReload(r resources.Result) resources.Action {
	if r.Status == resources.StatusDone && r.Code == resources.OK {
		return resources.ActionStart
	}
	return resources.ActionMonitor
}

// ownKey is the transition key of an operation that no DC ordered: the node's own
// policy, or what it found when it took over from an earlier run of the daemon. The
// scheduler believes no result without one. What was found was expected.
func ownKey(r executor.Report) string {
	k := transition.Key{UUID: "00000000-0000-0000-0000-000000000000"}
	if r.Op.IsProbe() && r.Result.Status == resources.StatusDone {
		k.TargetRC = r.Result.Code
	}
	return k.String()
}

// failure decides what a result does to the fail count (Pacemaker Explained,
// "Handling resource failure"): what was expected never counts, a probe finds
// and does not fail, a failed stop and, unless start-failure-is-fatal=false, a
// failed start bar the node.
func failure(c *cib.CIB, r executor.Report) command.Failure {
	switch r.Result.Status {
	case resources.StatusCancelled, resources.StatusPending:
		return command.NotFailed
	}
	code, want := r.Result.Code, resources.OK
	if k, err := transition.ParseKey(r.Key); err == nil {
		want = k.TargetRC
	}
	switch code {
	case resources.Degraded:
		code = resources.OK
	case resources.DegradedPromoted:
		code = resources.RunningPromoted
	}
	done := r.Result.Status == resources.StatusDone
	switch {
	case done && code == want:
		return command.NotFailed
	case r.Op.IsProbe() && done && (code == resources.OK || code == resources.NotRunning || code == resources.RunningPromoted):
		return command.NotFailed
	case r.Op.IsProbe(), r.Op.Meta["on_fail"] == "ignore":
		return command.HistoryOnly
	case r.Op.Action == resources.ActionStop:
		return command.Fatal
	case r.Op.Action == resources.ActionStart && startFailureIsFatal(c):
		return command.Fatal
	}
	return command.Counted
}

func startFailureIsFatal(c *cib.CIB) bool {
	switch option(c, "start-failure-is-fatal") {
	case "false", "off", "no", "n", "0":
		return false
	}
	return true
}

// proposeRetry is how soon a proposal is tried again when there was no DC.
const proposeRetry = 50 * time.Millisecond

var errNoDC = errors.New("there is no DC now: no node holds the lease of a majority")
