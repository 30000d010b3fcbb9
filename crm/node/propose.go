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

// propose commits one entry, here or at the leader, and waits until this node
// has applied it, so that who asked sees what it did. It makes one attempt at the
// leader known now; callers that must not give up try again. An error that wraps
// [store.ErrMaybe] leaves the outcome open, any other means that nothing happened.
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
	if _, err := n.store.WaitIndex(ctx, p.Index); err != nil {
		return p, fmt.Errorf("the change is committed, but not yet here: %w", err)
	}
	return p, nil
}

// callLeader is call to a node that leads, given up when it leads no more: a
// leader that died answers nobody, and the next one is waiting to be asked.
func (n *Node) callLeader(ctx context.Context, leader, path string, in, out any) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
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
	return n.call(ctx, leader, path, in, out)
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
