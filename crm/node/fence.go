package node

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"time"

	"systole/crm/api"
	"systole/crm/cib"
	"systole/crm/controller"
	"systole/crm/fencing"
	"systole/crm/isotime"
	"systole/resources"
)

// fence performs the controller's effect; the outcome comes back as an event.
func (d *director) fence(f controller.Fence) {
	office := d.office
	d.wait.Go(func() {
		done := controller.FenceDone{Target: f.Target, Transition: f.Transition, Action: f.ID, On: f.Action == "on"}
		if !done.On && !d.entitled(office, f.Target) {
			if office.Err() == nil {
				done.Reason = f.Target + " is heard again"
				d.post(done)
			}
			return
		}
		_, err := d.n.fenceNode(office, fencing.Event{Target: f.Target, Action: f.Action, Client: "systoled", Origin: d.n.cfg.Name, Reason: f.Reason},
			fencing.Request{Target: f.Target, Action: f.Action, Timeout: f.Timeout, Delay: f.Delay})
		if office.Err() != nil {
			return
		}
		done.OK = err == nil
		if err != nil {
			done.Reason = err.Error()
		}
		d.post(done)
	})
}

// entitled waits while this DC hears beats from a minority of the voters only, and says
// whether the target is to be fenced after that. Raft's lease proves that a majority
// lives; a DC that takes it for lost is itself what is deaf (its machine stalls, its
// datagrams are filtered), and would kill the cluster one by one.
func (d *director) entitled(office context.Context, target string) bool {
	if !d.n.deaf() {
		return true
	}
	d.n.log.Warn("not fencing: this DC hears no majority of the voters; is UDP filtered, or this machine overloaded?", "target", target)
	for deaf := true; deaf; {
		deaf = d.n.deaf()
		// Once a majority is heard, a whole time of detection more: the others' first beats are on their way.
		if !sleep(office, d.n.cfg.Timing.DetectWithin) {
			return false
		}
		deaf = deaf || d.n.deaf()
	}
	return d.n.silent(target)
}

// deaf says whether fewer than a majority of the voters beat in the last half of the
// detection time. Half: when all datagrams stop, the last beats of all came within some
// two beats of each other, and the first node to be silent for the whole time must find
// the others as doubtful; a living one would have to lose four beats in a row for that.
func (n *Node) deaf() bool {
	voters, heard := 0, 0
	for _, s := range n.store.Servers() {
		if !s.Voter {
			continue
		}
		voters++
		if s.Node == n.cfg.Name || !n.silentFor(s.Node, n.cfg.Timing.DetectWithin/2) {
			heard++
		}
	}
	return 2*heard <= voters
}

// fencedRun is a run of a node's daemon that fencing has ended.
type fencedRun struct {
	node        string
	incarnation uint64
}

// lastRun is the run of a node's daemon that was heard last.
func (n *Node) lastRun(node string) fencedRun {
	if heard := n.heard.Load(); heard != nil {
		if h, ok := (*heard)[node]; ok {
			return fencedRun{node, h.incarnation}
		}
	}
	return fencedRun{node, recordedIncarnation(n.CIB(), node)}
}

// fenceNode fences and keeps the history. Only nil means that the target is down. Then
// beats of the run that was heard before are no sign of life any more.
func (n *Node) fenceNode(ctx context.Context, e fencing.Event, r fencing.Request) (delegate string, err error) {
	e.Requested = time.Now()
	end := n.fenced.Begin(e)
	run := n.lastRun(r.Target)
	defer func() {
		if err == nil && r.Action != "on" {
			n.dead.post(run)
		}
		end(delegate, err, time.Now())
	}()
	c := n.CIB()
	if r.Timeout == 0 {
		r.Timeout, _ = isotime.ParseInterval(option(c, "stonith-timeout"))
	}
	r.Share = share(n.cfg.Name, r.Target)
	delegate, err = fencing.Fence(ctx, c, r, fenceRunner{n, c})
	if errors.Is(err, fencing.ErrNoDevice) && r.Action != "on" {
		if wait := watchdogTimeout(c); wait > 0 {
			// The target resets itself within this time of losing its lease: its own
			// watchdog is the device.
			n.log.Info("waiting for the target's watchdog", "target", r.Target, "wait", wait)
			if !sleep(ctx, wait) {
				return "", context.Cause(ctx)
			}
			return "watchdog", nil
		}
	}
	return delegate, err
}

// watchdogTimeout is stonith-watchdog-timeout when the cluster has a watchdog
// everywhere (have-watchdog), else 0. Negative values, which ask for twice the
// device's own time, are not known here and count as 0.
func watchdogTimeout(c *cib.CIB) time.Duration {
	if option(c, "have-watchdog") != "true" {
		return 0
	}
	d, err := isotime.ParseInterval(option(c, "stonith-watchdog-timeout"))
	if err != nil {
		return 0
	}
	return max(0, d)
}

// share draws the random part of a fencing delay from who shoots at whom: two
// nodes never draw the same, and a replay draws as the first time.
func share(from, target string) float64 {
	h := fnv.New32a()
	fmt.Fprintf(h, "%s>%s", from, target)
	return float64(h.Sum32()) / (1 << 32)
}

// fenceRunner runs devices on this node, or on another that may use them.
type fenceRunner struct {
	n *Node
	c *cib.CIB
}

// Run implements fencing.Runner.
func (f fenceRunner) Run(ctx context.Context, call fencing.Call) (resources.Result, string) {
	tried := resources.Result{Status: resources.StatusNoFenceDevice, Reason: "no node can use the device"}
	for _, node := range f.candidates(call) {
		var res resources.Result
		if node == f.n.cfg.Name {
			res = f.n.fenceHere(ctx, call)
		} else if err := f.n.call(ctx, node, "/rpc/fence", call, &res); err != nil {
			res = resources.Result{Status: resources.StatusNotConnected, Reason: err.Error()}
		}
		if res.Status == resources.StatusNotInstalled || res.Status == resources.StatusNotConnected {
			tried = res
			continue
		}
		return res, node
	}
	return tried, ""
}

// candidates are the nodes to run a device on: this one first, then the others
// that are online, never the target.
func (f fenceRunner) candidates(call fencing.Call) []string {
	names := []string{f.n.cfg.Name}
	for s := range f.c.Status().Each("node_state") {
		if name := s.Get("uname"); name != f.n.cfg.Name && s.Get("crmd") == "online" {
			names = append(names, name)
		}
	}
	return slices.DeleteFunc(names, func(name string) bool {
		return name == call.Target || slices.Contains(call.Device.Banned, name)
	})
}

// fenceHere runs a device on this node.
func (n *Node) fenceHere(ctx context.Context, call fencing.Call) resources.Result {
	if n.cfg.Fencer == nil {
		return resources.Result{Status: resources.StatusNotInstalled, Reason: "this node runs no fence devices"}
	}
	ctx, cancel := context.WithTimeout(ctx, call.Timeout)
	defer cancel()
	return n.cfg.Fencer.Fence(ctx, call)
}

// What the API does with fencing; all of it belongs to the DC.

func (b backend) Fence(ctx context.Context, r api.FenceRequest) (api.FenceEvent, error) {
	return ask(ctx, b, func() (api.FenceEvent, error) {
		if r.Action == "" {
			r.Action = "reboot"
		}
		if e, ok := b.n.fencedWithin(r.Target, r.Action, r.Tolerance.Duration()); ok {
			return fenceEvent(e), nil
		}
		e := fencing.Event{Target: r.Target, Action: r.Action, Client: api.PeerFrom(ctx).User, Origin: b.n.cfg.Name, Reason: r.Reason}
		delegate, err := b.n.fenceNode(ctx, e, fencing.Request{Target: r.Target, Action: r.Action, Timeout: r.Timeout.Duration(), Delay: r.Delay.Duration()})
		if err != nil {
			return api.FenceEvent{}, &api.Error{Code: api.CodeError, Message: err.Error()}
		}
		b.n.director.post(controller.FenceDone{Target: r.Target, OK: true, On: r.Action == "on"})
		return api.FenceEvent{Target: r.Target, Action: r.Action, State: string(fencing.Success), Delegate: delegate,
			Client: e.Client, Origin: e.Origin, Reason: r.Reason, Completed: time.Now()}, nil
	}, func(ctx context.Context, dc *api.Client) (api.FenceEvent, error) { return dc.Fence(ctx, r) })
}

// fencedWithin finds a success of the action that was reached within the given time; none for 0.
// What has become of the target since is for who asks to judge (stonith_admin --tolerance).
func (n *Node) fencedWithin(target, action string, tolerance time.Duration) (fencing.Event, bool) {
	for _, e := range n.fenced.List(target) {
		if tolerance > 0 && e.State == fencing.Success && e.Action == action && time.Since(e.Completed) <= tolerance {
			return e, true
		}
	}
	return fencing.Event{}, false
}

func fenceEvent(e fencing.Event) api.FenceEvent {
	return api.FenceEvent{Target: e.Target, Action: e.Action, State: string(e.State), Delegate: e.Delegate,
		Client: e.Client, Origin: e.Origin, Reason: e.Reason, Requested: e.Requested, Completed: e.Completed}
}

// ConfirmFence takes a human's word. It is the one way without a device.
func (b backend) ConfirmFence(ctx context.Context, target string) error {
	_, err := ask(ctx, b, func() (struct{}, error) {
		if !slices.Contains(nodeNames(b.n.CIB()), target) {
			return struct{}{}, &api.Error{Code: api.CodeNoSuch, Message: fmt.Sprintf("node %s is not in this cluster", target)}
		}
		if !b.n.silent(target) {
			return struct{}{}, &api.Error{Code: api.CodeUnsafe, Message: fmt.Sprintf("node %s beats: it is not down", target)}
		}
		e := fencing.Event{Target: target, Action: "off", Client: api.PeerFrom(ctx).User, Origin: b.n.cfg.Name,
			Reason: "confirmed by hand", Requested: time.Now()}
		b.n.fenced.Begin(e)("a human", nil, time.Now())
		b.n.dead.post(b.n.lastRun(target))
		b.n.director.post(controller.FenceDone{Target: target, OK: true})
		return struct{}{}, nil
	}, func(ctx context.Context, dc *api.Client) (struct{}, error) {
		return struct{}{}, dc.ConfirmFence(ctx, target)
	})
	return err
}

// silent says whether the DC has not heard a node for the detection time.
func (n *Node) silent(node string) bool { return n.silentFor(node, n.cfg.Timing.DetectWithin) }

// silentFor says whether the DC has not heard a node for the time given.
func (n *Node) silentFor(node string, span time.Duration) bool {
	heard := n.heard.Load()
	if heard == nil {
		return false
	}
	h, ok := (*heard)[node]
	return !ok || h.silent >= span
}

func (b backend) FenceHistory(ctx context.Context, target string) ([]api.FenceEvent, error) {
	return ask(ctx, b, func() ([]api.FenceEvent, error) {
		out := []api.FenceEvent{}
		for _, e := range b.n.fenced.List(target) {
			out = append(out, fenceEvent(e))
		}
		return out, nil
	}, func(ctx context.Context, dc *api.Client) ([]api.FenceEvent, error) {
		return dc.FenceHistory(ctx, target)
	})
}

func (b backend) ForgetFenceHistory(ctx context.Context, target string) error {
	_, err := ask(ctx, b, func() (struct{}, error) {
		b.n.fenced.Forget(target)
		return struct{}{}, nil
	}, func(ctx context.Context, dc *api.Client) (struct{}, error) {
		return struct{}{}, dc.ForgetFenceHistory(ctx, target)
	})
	return err
}

func (b backend) FenceDevices(_ context.Context, target string) ([]api.FenceDevice, error) {
	c := b.n.CIB()
	level := map[string]int{}
	levels, _ := fencing.Levels(c, target)
	for _, l := range levels {
		for _, d := range l.Devices {
			level[d.ID] = l.Index
		}
	}
	out := []api.FenceDevice{}
	for _, d := range fencing.Devices(c) {
		if target != "" && d.Knows(target) == fencing.No && level[d.ID] == 0 {
			continue
		}
		dev := api.FenceDevice{Name: d.ID, Agent: "stonith:" + d.Agent, Level: level[d.ID]}
		for _, name := range nodeNames(c) {
			if d.Knows(name) == fencing.Yes {
				dev.Targets = append(dev.Targets, name)
			}
		}
		out = append(out, dev)
	}
	return out, nil
}
