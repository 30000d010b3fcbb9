package cluster

import (
	"context"
	"errors"
	"slices"
	"time"

	"systole/crm/api"
	"systole/crm/exit"
	"systole/crm/transport"
)

// enterReply says who can answer when the asked node is not the DC.
type enterReply struct {
	Admitted bool   `json:"admitted"`
	DC       string `json:"dc,omitempty"`
}

// enterInterval is the pause between rounds of asking; a cluster that is being
// started has no DC for a second or two.
const enterInterval = time.Second

// Enter asks the DC, through any known node, to take this node in, and tries
// again until that is done or ctx ends. Call it at start when the store's
// configuration does not hold this node with this address. A refusal that
// trying again cannot mend is returned: an *[api.Error], or one that wraps
// transport.ErrRevoked.
func (s *Server) Enter(ctx context.Context, e Entrant) error {
	hint := ""
	said := ""
	for {
		var last error
		for _, node := range s.askable(hint) {
			var r enterReply
			err := s.peer(ctx, node, verbEnter, e, &r)
			if refusal, ok := errors.AsType[*api.Error](err); ok && final(refusal) {
				return refusal
			}
			if errors.Is(err, transport.ErrRevoked) {
				return err
			}
			if err == nil && r.Admitted {
				return nil
			}
			if r.DC != "" && r.DC != hint {
				hint = r.DC
				last = nil
				break // ask it at once
			}
			last = errors.Join(last, err)
		}
		if last != nil && last.Error() != said {
			said = last.Error()
			s.o.Log.Warn("waiting to enter the cluster", "err", last)
		}
		select {
		case <-time.After(enterInterval):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// final refusals do not go away by waiting.
func final(e *api.Error) bool {
	return slices.Contains([]int{api.CodeExists, api.CodeConfig, int(exit.Protocol)}, e.Code)
}

// askable are the other nodes, first the one that is probably the DC.
func (s *Server) askable(first string) []string {
	self := s.o.Dir.Identity().Node
	var names []string
	for _, m := range s.o.Dir.Members() {
		if m.Name != self && m.Name != first {
			names = append(names, m.Name)
		}
	}
	if first != "" && first != self {
		names = slices.Insert(names, 0, first)
	}
	return names
}

// admit answers Enter.
func (s *Server) admit(ctx context.Context, e Entrant) (enterReply, error) {
	if from := asker(ctx); from != e.Name {
		return enterReply{}, refuse(api.CodeConfig, "node %s asks to be taken in as %s", from, e.Name)
	}
	dc, self := s.o.Host.DC()
	if !self {
		return enterReply{DC: dc}, nil
	}
	if err := Compatible(e.Protocol); err != nil {
		return enterReply{}, refuse(int(exit.Protocol), "node %s (release %s) cannot enter: %v", e.Name, e.Version, err)
	}
	members, err := s.o.Host.Members(ctx)
	if err != nil {
		return enterReply{}, err
	}
	// A node whose store was lost comes with a new raft id from its old address.
	// The same name from elsewhere while it is alive is a second machine.
	if m, ok := find(members, e.Name); ok && m.Online && m.RaftID != "" && m.RaftID != e.RaftID && m.Addr != e.Addr {
		return enterReply{}, refuse(api.CodeExists, "a node %s is running already at %s, this one is at %s: two machines have one name; take this one out (delete its cluster directory) and join it under another", e.Name, m.Addr, e.Addr)
	}
	if err := s.o.Host.Admit(ctx, e); err != nil {
		return enterReply{}, err
	}
	s.o.Log.Info("node entered", "node", e.Name, "addr", e.Addr)
	return enterReply{Admitted: true}, nil
}

// leave drains this node, has the DC take it out and ends the daemon.
func (s *Server) leave(ctx context.Context, _ struct{}) (Report, error) {
	self := s.o.Dir.Identity()
	members, err := s.o.Host.Members(ctx)
	if err != nil {
		return Report{}, err
	}
	if len(members) < 2 {
		return Report{}, refuse(api.CodeUnsafe, "node %s is the last one of cluster %s: to end the cluster, stop systoled and delete %s", self.Node, self.Cluster, s.o.Dir.Path())
	}
	if err := s.o.Host.Drain(ctx); err != nil {
		return Report{}, err
	}
	if _, isDC := s.o.Host.DC(); isDC {
		if err := s.o.Host.HandOver(ctx); err != nil {
			return Report{}, err
		}
	}
	if err := s.askToDepart(ctx); err != nil {
		return Report{}, err
	}
	if err := s.record(ctx, "leave", "node %s left cluster %s", self.Node, self.Cluster); err != nil {
		return Report{}, err
	}
	if err := s.o.Dir.retire("node " + self.Node + " left cluster " + self.Cluster + " on " + s.o.Now().UTC().Format(time.DateOnly)); err != nil {
		return Report{}, err
	}
	api.AfterAnswer(ctx, func() { s.o.Host.Stop("this node left the cluster") })
	return Report{Done: []string{
		"Node " + self.Node + " runs nothing any more and is out of cluster " + self.Cluster + "; its keys are deleted.",
		"systoled ends now: systemctl disable systoled keeps it from starting again.",
	}}, nil
}

// The wait for a DC that takes this node out: some 15 s, for after a hand-over there is none at first.
const (
	departAttempts = 75
	departInterval = 200 * time.Millisecond
)

// askToDepart asks until a node says that this one is out. From that moment on the
// nodes close its connections, so the answer is often lost with the one it was to
// come on, and raft tells it no more who is DC. So the DC it knew is asked again, and
// the others with it: to be refused as removed says the same as the answer.
func (s *Server) askToDepart(ctx context.Context) error {
	dc := ""
	var errs error
	for range departAttempts {
		if name, self := s.o.Host.DC(); !self && name != "" {
			dc = name
		}
		errs = nil
		for _, node := range s.askable(dc) {
			err := s.peer(ctx, node, verbDepart, struct{}{}, nil)
			if err == nil || errors.Is(err, transport.ErrRevoked) {
				return nil
			}
			errs = errors.Join(errs, err)
		}
		select {
		case <-time.After(departInterval):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return refuse(api.CodeNoDC, "no DC took this node out, and it runs nothing any more; \"crm cluster status\" on another node says whether it is still a member; try again, or remove it there: %v", errs)
}

// depart (DC) takes the asking node out.
func (s *Server) depart(ctx context.Context, _ struct{}) (Report, error) {
	return s.takeOut(ctx, asker(ctx))
}

// remove (DC) takes another node out, on a person's word.
func (s *Server) remove(ctx context.Context, r RemoveRequest) (Report, error) {
	return onDC(ctx, s, verbRemove, r, func(ctx context.Context, r RemoveRequest) (Report, error) {
		members, err := s.o.Host.Members(ctx)
		if err != nil {
			return Report{}, err
		}
		m, ok := find(members, r.Node)
		switch {
		case !ok:
			return Report{}, refuse(api.CodeNoSuch, "there is no node %s: \"crm cluster status\" lists them", r.Node)
		case r.Node == s.o.Dir.Identity().Node:
			return Report{}, refuse(api.CodeUnsafe, "node %s is the DC: run \"crm cluster leave\" on it, or stop it and remove it from another node", r.Node)
		case m.Online && !r.Force:
			return Report{}, refuse(api.CodeUnsafe, "node %s is online: run \"crm cluster leave\" on it, or force this; it then stops its resources by itself when its lease ends", r.Node)
		}
		report, err := s.takeOut(ctx, r.Node)
		if err != nil || !r.Distrust {
			return report, err
		}
		rotation, err := s.rotate(ctx, RotateRequest{CA: true, Force: true})
		report.Done = append(report.Done, rotation.Done...)
		return report, err
	})
}

// takeOut (DC) removes a node and stops believing its certificates.
func (s *Server) takeOut(ctx context.Context, node string) (Report, error) {
	if _, self := s.o.Host.DC(); !self {
		return Report{}, refuse(api.CodeNoDC, "node %s is not the DC any more: try again", s.o.Dir.Identity().Node)
	}
	if !s.changing.TryLock() {
		return Report{}, errChanging
	}
	defer s.changing.Unlock()
	if err := s.o.Host.Remove(ctx, node); err != nil {
		return Report{}, err
	}
	if err := s.record(ctx, "remove", "node %s", node); err != nil {
		return Report{}, err
	}
	late, err := s.spread(ctx, s.o.Dir.Trust().revoking(node), node)
	if err != nil {
		return Report{}, err
	}
	s.o.Log.Info("node removed", "node", node)
	done := []string{"Node " + node + " is out of the cluster and its certificate is refused."}
	for _, l := range late {
		done = append(done, "Node "+l.node+" does not answer; it learns of it when it is back.")
	}
	return Report{Done: done}, nil
}

var errChanging = refuse(api.CodeTemporary, "keys or members are being changed at this moment: try again when that is done")
