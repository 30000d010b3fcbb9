package cluster

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"systole/crm/api"
	"systole/crm/transport"
)

// Trust travels two ways: the DC pushes a new document to every node at once,
// and each node asks the others now and then, for what it missed.

// peerTimeout bounds one question to a node: a renewal in the answer included.
const peerTimeout = 10 * time.Second

// lateNode did not take a pushed trust.
type lateNode struct {
	node string
	err  error
}

// spread adopts a new trust here and pushes it to all other members but except.
// Nodes that did not take it are named; they will ask for it.
func (s *Server) spread(ctx context.Context, t Trust, except string) ([]lateNode, error) {
	if err := s.believe(ctx, t); err != nil {
		return nil, err
	}
	members, err := s.o.Host.Members(ctx)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	var late []lateNode
	s.each(ctx, members, func(ctx context.Context, m Member) {
		if m.Name == except {
			return
		}
		if err := s.peer(ctx, m.Name, verbAdopt, json.RawMessage(t.encode()), nil); err != nil {
			mu.Lock()
			defer mu.Unlock()
			late = append(late, lateNode{m.Name, err})
		}
	})
	slices.SortFunc(late, func(a, b lateNode) int { return cmp.Compare(a.node, b.node) })
	return late, nil
}

// each calls f for all members but this node, at once, and waits.
func (s *Server) each(ctx context.Context, members []Member, f func(context.Context, Member)) {
	self := s.o.Dir.Identity().Node
	var wg sync.WaitGroup
	for _, m := range members {
		if m.Name == self {
			continue
		}
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, peerTimeout)
			defer cancel()
			f(ctx, m)
		})
	}
	wg.Wait()
}

// believe takes a newer trust with all that follows: new connections use it, the
// certificate is renewed if its CA is on the way out, the CA key is fetched. Even
// if this node's own certificate is not good any more, it may be able to renew it.
func (s *Server) believe(ctx context.Context, t Trust) error {
	changed, err := s.o.Dir.adopt(t)
	if err != nil || !changed {
		return err
	}
	s.o.Log.Info("trust changed", "generation", t.Generation)
	return errors.Join(s.reload(), s.tidy(ctx))
}

// takeTrust answers a push.
func (s *Server) takeTrust(ctx context.Context, raw json.RawMessage) (struct{}, error) {
	t, err := parseTrust(raw)
	if err != nil {
		return struct{}{}, refuse(api.CodeConfig, "%v", err)
	}
	return struct{}{}, s.believe(ctx, t)
}

// trustRequest asks for a trust newer than the one described.
type trustRequest struct {
	Generation uint64 `json:"generation"`
	Digest     Secret `json:"digest"`
}

type trustReply struct {
	Trust json.RawMessage `json:"trust,omitempty"` // nothing when there is none newer
}

// tellTrust answers a node that asks.
func (s *Server) tellTrust(_ context.Context, r trustRequest) (trustReply, error) {
	t := s.o.Dir.Trust()
	if t.order(r.Generation, r.Digest) <= 0 {
		return trustReply{}, nil
	}
	return trustReply{t.encode()}, nil
}

// pull asks all others for a newer trust. When those that answer all refuse this
// node as removed, that is its error.
func (s *Server) pull(ctx context.Context) error {
	var mu sync.Mutex
	newest := s.o.Dir.Trust()
	question := trustRequest{newest.Generation, newest.digest()}
	heard, refused := 0, 0
	s.each(ctx, s.o.Dir.Members(), func(ctx context.Context, m Member) {
		var r trustReply
		err := s.peer(ctx, m.Name, verbTrust, question, &r)
		mu.Lock()
		defer mu.Unlock()
		switch {
		case errors.Is(err, transport.ErrRevoked):
			refused++
			return
		case err != nil:
			return
		}
		heard++
		if r.Trust == nil {
			return
		}
		t, err := parseTrust(r.Trust)
		if err != nil {
			s.o.Log.Warn("trust not understood", "peer", m.Name, "err", err)
			return
		}
		if t.newerThan(newest) {
			newest = t
		}
	})
	s.removed.Store(refused > 0 && heard == 0)
	if s.removed.Load() {
		return fmt.Errorf("all nodes that answer refuse this one: %w", transport.ErrRevoked)
	}
	return s.believe(ctx, newest)
}

// rotate (DC) replaces the cluster key, and the CA if asked, in three steps.
// After each, what every node sends is understood by every other; it may stop
// after any of them and be begun again.
func (s *Server) rotate(ctx context.Context, r RotateRequest) (Report, error) {
	return onDC(ctx, s, verbRotate, r, func(ctx context.Context, r RotateRequest) (Report, error) {
		if !s.changing.TryLock() {
			return Report{}, errChanging
		}
		defer s.changing.Unlock()
		if err := s.pull(ctx); err != nil { // a former DC may have made a newer one
			return Report{}, err
		}
		var ca *authority
		var caDER []byte
		if r.CA {
			var err error
			if ca, err = newAuthority(s.o.Dir.Identity().Cluster, s.o.Now()); err != nil {
				return Report{}, err
			}
			caDER = ca.cert.Raw
		}
		return s.rotateSteps(ctx, r, ca, []trustStep{
			{"install", func(t Trust) Trust { return t.installing(random(32), caDER) }},
			{stepUse, func(t Trust) Trust { return t.using(r.CA, s.o.Now()) }},
			{"remove", Trust.removing},
		})
	})
}

const stepUse = "use"

// trustStep makes the next trust of a rotation.
type trustStep struct {
	name string
	make func(Trust) Trust
}

func (s *Server) rotateSteps(ctx context.Context, r RotateRequest, ca *authority, steps []trustStep) (Report, error) {
	var report Report
	for i, step := range steps {
		if step.name == stepUse && ca != nil { // not before: it replaces the key that still issues
			key, err := encodeKey(ca.key)
			if err != nil {
				return report, err
			}
			if err := s.o.Dir.setCAKey(key); err != nil {
				return report, err
			}
		}
		late, err := s.spread(ctx, step.make(s.o.Dir.Trust()), "")
		if err != nil {
			return report, err
		}
		last := i == len(steps)-1 // whoever misses this one only believes too much for a while
		if len(late) > 0 && !r.Force && !last {
			return report, refuse(api.CodeTemporary, "%s: the rotation stopped after step %d of %d (%s), old and new keys both work; run it again when all nodes answer, or force it",
				describeLate(late), i+1, len(steps), step.name)
		}
		for _, l := range late {
			report.Done = append(report.Done, fmt.Sprintf("Step %s: node %s does not answer; it fetches the new keys when it is back.", step.name, l.node))
		}
	}
	what := "cluster key"
	if r.CA {
		what = "cluster key, CA and all certificates"
	}
	report.Done = append(report.Done, fmt.Sprintf("Replaced the %s on all nodes (generation %d).", what, s.o.Dir.Trust().Generation))
	return report, s.record(ctx, "rotate-keys", "%s", what)
}

func describeLate(late []lateNode) string {
	var parts []string
	for _, l := range late {
		parts = append(parts, fmt.Sprintf("node %s: %v", l.node, l.err))
	}
	return strings.Join(parts, "; ")
}
