package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"systole/crm/command"
	"systole/crm/lease"
	"systole/crm/store"
)

// Times of a good end.
const (
	// leavePatience bounds the move of everything to other nodes
	// (Pacemaker's shutdown-escalation).
	leavePatience = 20 * time.Minute
	// goodbyes is how many beats say that this node leaves; all may be lost, then
	// its silence is noticed a moment later.
	goodbyes = 3
	// restartPatience bounds the wait for a restart grant, in times of detection:
	// several elections.
	restartPatience = 20
)

// Leave ends this node's part in the cluster in good order: the DC moves what
// runs here, then the node says good-bye. Without a DC it stops everything
// itself. Cancel Run's context afterwards.
func (n *Node) Leave(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, leavePatience, errors.New("the cluster did not move everything away in time"))
	defer cancel()
	if inMaintenance(n.CIB()) && n.Ignoring() && len(n.exec.Active()) > 0 {
		return n.slipAway(ctx)
	}
	if err := n.drain(ctx); err != nil {
		n.log.Warn("stopping what still runs here", "cause", err)
		return n.stopAlone(context.WithoutCancel(ctx))
	}
	return n.farewell(ctx)
}

// slipAway ends the daemon and nothing else: what runs here goes on. The DC is not told
// that this node leaves, as it would take what runs here for stopped; it holds the node for
// lost, without proof, until the daemon is back.
func (n *Node) slipAway(ctx context.Context) error {
	n.log.Warn("leaving without a stop: the cluster is in maintenance; what runs here is managed again once the daemon is back")
	settle, cancel := context.WithTimeout(ctx, 2*n.cfg.Timing.DetectWithin)
	defer cancel()
	if err := n.exec.Settled(settle); err != nil {
		n.log.Warn("some results were not recorded", "err", err)
	}
	n.handOver(ctx)
	return nil
}

// drain asks the DC to move everything away and returns when it has.
func (n *Node) drain(ctx context.Context) error {
	n.draining.Store(true)
	n.log.Info("leaving: asking the DC to move what runs here")
	e := n.entry(command.KindAttrs)
	e.Attrs = &command.Attrs{Node: n.cfg.Name, Changes: []command.AttrChange{
		{Name: "shutdown", Value: strconv.FormatInt(time.Now().Unix(), 10)},
	}}
	asked, end := context.WithTimeoutCause(ctx, 10*n.cfg.Timing.DetectWithin, errNoDC)
	defer end()
	if _, err := n.insist(asked, e); err != nil {
		return err
	}
	select {
	case <-n.ordered:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// stopAlone stops everything without the cluster's help.
func (n *Node) stopAlone(ctx context.Context) error {
	if err := n.exec.StopAll(ctx, "the daemon leaves"); err != nil {
		return fmt.Errorf("stop everything on %s: %w", n.cfg.Name, err)
	}
	return n.farewell(ctx)
}

// farewell gives the office away and says good-bye.
func (n *Node) farewell(ctx context.Context) error {
	settle, cancel := context.WithTimeout(ctx, 2*n.cfg.Timing.DetectWithin)
	defer cancel()
	if err := n.exec.Settled(settle); err != nil {
		n.log.Warn("some results were not recorded", "err", err)
	}
	n.handOver(ctx)
	n.leaving.Store(true)
	for range goodbyes {
		nudge(n.hurry)
		if !sleep(ctx, n.cfg.Timing.Beat) {
			break
		}
	}
	return nil
}

// handOver gives leadership to another voter, if this node has it and there is one.
func (n *Node) handOver(ctx context.Context) {
	if !n.store.DC().Active {
		return
	}
	if err := n.store.HandOver(ctx); err != nil {
		n.log.Warn("no hand-over: the others will elect a DC by themselves", "err", err)
	}
}

// onlyVoter says whether nobody but this node can be DC.
func (n *Node) onlyVoter() bool {
	return !slices.ContainsFunc(n.store.Servers(), func(s store.Server) bool { return s.Voter && s.Node != n.cfg.Name })
}

// shutdownOrdered notes that the DC has emptied this node.
func (n *Node) shutdownOrdered() {
	n.leaveNow.Do(func() { close(n.ordered) })
	if !n.draining.Load() {
		n.cfg.Stop("the DC ordered this node to shut down")
	}
}

// Restart prepares the end of the daemon without the end of its resources: it
// asks the DC for a grant long enough for the pause, and returns once that is
// committed and held. Cancel Run's context afterwards and start again in time;
// too late, and the resources have been started elsewhere. The only voter waits
// for nothing; without a DC it is an error after a while.
func (n *Node) Restart(ctx context.Context, pause time.Duration) error {
	if pause <= 0 || pause > lease.MaxRestart {
		return fmt.Errorf("a restart may take up to %v, not %v", lease.MaxRestart, pause)
	}
	if n.onlyVoter() {
		n.log.Info("restarting without a grant: no other node could give one, or start elsewhere what runs here")
		return nil
	}
	n.handOver(ctx)
	ctx, cancel := context.WithTimeoutCause(ctx, restartPatience*n.cfg.Timing.DetectWithin, errNoDC)
	defer cancel()
	n.restart.Store(int64(pause))
	nudge(n.hurry)
	for n.Remaining() <= pause-pause/8 {
		if !sleep(ctx, n.cfg.Timing.Beat/2) {
			n.restart.Store(0)
			nudge(n.hurry)
			return fmt.Errorf("the DC has not granted a restart of %v: %w", pause, context.Cause(ctx))
		}
	}
	n.log.Info("restart granted", "pause", pause, "lease", n.Remaining())
	return nil
}
