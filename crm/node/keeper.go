package node

import (
	"context"
	"log/slog"
	"time"

	"systole/crm/lease"
	"systole/resources/executor"
)

// keeper does what this node has promised to do when its lease ends (N2). It
// waits for the end with a timer of its own: the policy is acted on also when
// every other part hangs. Kernel guards have silenced addresses by then.
type keeper struct {
	log    *slog.Logger
	clock  lease.Clock
	right  *right
	exec   *executor.Executor
	kicked <-chan struct{} // the end of the lease has moved
	die    func(reason string)
	ended  bool // acted upon
}

func (k *keeper) run(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		left := k.right.end() - k.clock()
		switch {
		case left > 0:
			if k.ended {
				k.ended = false
				k.resume(ctx)
			}
			timer.Reset(left)
		case k.right.end() > 0 && !k.ended:
			if !k.act(ctx) {
				timer.Reset(actAgain)
				break
			}
			k.ended = true
			k.right.settle()
			continue // the timer is not set yet
		default:
			timer.Reset(time.Hour)
		}
		select {
		case <-ctx.Done():
			return
		case <-k.kicked:
		case <-timer.C:
		}
	}
}

// actAgain is how soon a policy that could not be carried out is tried again.
// Until it is, the node stays out of the cluster: what may still run here must
// not be woken by a new lease.
const actAgain = 5 * time.Second

// act carries the policy out that the DC may be relying on, and says whether it could.
func (k *keeper) act(ctx context.Context) bool {
	policy := k.right.policy()
	k.log.Warn("node lease ended: no DC has answered", "policy", policy)
	const reason = "the node lease ended"
	var err error
	switch policy {
	case lease.PolicyIgnore:
		return true
	case lease.PolicyFreeze:
		err = k.exec.Freeze(ctx)
	case lease.PolicyDemote:
		err = k.exec.DemoteAll(ctx, reason)
	case lease.PolicySuicide:
		if k.die != nil {
			k.die(reason)
		}
		err = k.exec.StopAll(ctx, reason)
	default:
		err = k.exec.StopAll(ctx, reason)
	}
	if err != nil && ctx.Err() == nil {
		k.log.Error("not everything is known to be stopped: this node stays out of the cluster; stop it by hand, or reboot",
			"policy", policy, "err", err)
	}
	return err == nil
}

func (k *keeper) resume(ctx context.Context) {
	k.log.Info("node lease is back")
	if err := k.exec.Thaw(ctx); err != nil && ctx.Err() == nil {
		k.log.Warn("resources stay frozen", "err", err)
	}
}
