package node

import (
	"context"
	"errors"
	"fmt"

	"systole/crm/command"
	"systole/crm/store"
)

// proposal is the answer of POST /rpc/propose.
type proposal struct {
	Reply command.Reply `json:"reply"`
	// Index has the entry in it.
	Index uint64 `json:"index"`
	// Maybe says that the outcome is unknown, NotLeader that nothing happened here.
	Maybe     string `json:"maybe,omitempty"`
	NotLeader string `json:"not_leader,omitempty"`
	Error     string `json:"error,omitempty"`
}

// propose commits one entry, here or at the leader. It makes one attempt at the
// leader known now; callers that must not give up try again. An error that wraps
// [store.ErrMaybe] leaves the outcome open, any other means that nothing happened.
// It does not wait until this node has applied the entry: raft tells a follower what
// is committed only with its next message. Reads see to that ([Node.caughtUp]).
func (n *Node) propose(ctx context.Context, e command.Entry) (proposal, error) {
	reply, err := n.store.Propose(ctx, e)
	if err == nil {
		return proposal{Reply: reply, Index: n.store.Snapshot().Index}, nil
	}
	away, ok := errors.AsType[*store.NotLeaderError](err)
	if !ok {
		return proposal{}, err
	}
	if away.Leader == "" || away.Leader == n.cfg.Name {
		return proposal{}, errNoDC
	}
	var p proposal
	if err := n.callLeader(ctx, away.Leader, "/rpc/propose", e, &p); err != nil {
		return proposal{}, fmt.Errorf("%w: %w", store.ErrMaybe, err)
	}
	switch {
	case p.Maybe != "":
		return proposal{}, fmt.Errorf("%w: %s", store.ErrMaybe, p.Maybe)
	case p.NotLeader != "":
		return proposal{}, errNoDC
	case p.Error != "":
		return proposal{}, errors.New(p.Error)
	}
	n.tell(p.Index)
	return p, nil
}

// tell notes that this node's users know of everything up to index.
func (n *Node) tell(index uint64) {
	for told := n.told.Load(); index > told && !n.told.CompareAndSwap(told, index); told = n.told.Load() {
	}
}

// caughtUp is this node's own copy, with everything that its users were told is
// committed. Should that take long, it is the copy as it is.
func (n *Node) caughtUp(ctx context.Context) store.Snapshot {
	s := n.store.Snapshot()
	told := n.told.Load()
	if s.Index >= told {
		return s
	}
	ctx, cancel := context.WithTimeout(ctx, n.cfg.Timing.DetectWithin)
	defer cancel()
	if s, err := n.store.WaitIndex(ctx, told); err == nil {
		return s
	}
	return n.store.Snapshot()
}

// callLeader is call to a node that leads, given up when it leads no more.
func (n *Node) callLeader(ctx context.Context, leader, path string, in, out any) error {
	ctx, cancel := n.whileLeading(ctx, leader)
	defer cancel()
	return n.call(ctx, leader, path, in, out)
}

// whileLeading is a context that ends when the leader changes: one that died
// answers nobody, and the next one is waiting to be asked.
func (n *Node) whileLeading(ctx context.Context, leader string) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		for {
			d := n.store.DC()
			if d.Leader != leader {
				cancel(fmt.Errorf("%s leads no more", leader))
				return
			}
			select {
			case <-d.Next:
			case <-ctx.Done():
				return
			}
		}
	}()
	return ctx, func() { cancel(nil) }
}

// proposeHere answers another node that takes this one for the leader.
func (n *Node) proposeHere(ctx context.Context, e command.Entry) proposal {
	reply, err := n.store.Propose(ctx, e)
	if err == nil {
		return proposal{Reply: reply, Index: n.store.Snapshot().Index}
	}
	if _, ok := errors.AsType[*store.NotLeaderError](err); ok {
		return proposal{NotLeader: err.Error()}
	}
	if errors.Is(err, store.ErrMaybe) {
		return proposal{Maybe: err.Error()}
	}
	return proposal{Error: err.Error()}
}

// insist proposes until it is committed, refused by the CIB, or ctx is done. Only
// for entries that may be committed twice without harm.
func (n *Node) insist(ctx context.Context, e command.Entry) (proposal, error) {
	for {
		p, err := n.propose(ctx, e)
		if err == nil {
			return p, p.Reply.Err()
		}
		if !sleep(ctx, proposeRetry) {
			return p, fmt.Errorf("%w (%w)", context.Cause(ctx), err)
		}
	}
}
