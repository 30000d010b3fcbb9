package cluster

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"systole/crm/api"
	"systole/crm/transport"
)

// Age at which status asks for a new cluster key: gossip's cipher bounds it (crm/membership).
const keyLife = 180 * 24 * time.Hour

// token makes a join token here, or on the DC if this node cannot sign.
func (s *Server) token(ctx context.Context, r TokenRequest) (TokenReply, error) {
	life := time.Duration(r.ValidSeconds) * time.Second
	switch {
	case r.ValidSeconds == 0:
		life = DefaultTokenLife
	case life < 0 || life > MaxTokenLife:
		return TokenReply{}, refuse(api.CodeUsage, "a token can be valid for up to %v, not %v", MaxTokenLife, life)
	}
	if _, ca := s.o.Dir.issuer(); ca == nil {
		return onDC(ctx, s, verbToken, r, func(context.Context, TokenRequest) (TokenReply, error) {
			return TokenReply{}, refuse(api.CodeUnavailable, "the DC does not hold the CA key yet: try again in a minute")
		})
	}
	text, expires, err := s.o.Dir.issueToken(s.o.Now(), life)
	if err != nil {
		return TokenReply{}, err
	}
	return TokenReply{text, expires}, s.record(ctx, "token", "valid until %s", expires.Format(time.RFC3339))
}

// status answers "crm cluster status".
func (s *Server) status(ctx context.Context, _ struct{}) (Status, error) {
	members, err := s.known(ctx)
	if err != nil {
		return Status{}, err
	}
	id, trust := s.o.Dir.Identity(), s.o.Dir.Trust()
	issuer, ca := s.o.Dir.issuer()
	dc, _ := s.o.Host.DC()
	removed := s.removed.Load()
	if dc == "" && s.seeForItself(ctx, members) {
		removed = true
	}
	st := Status{
		Cluster: id.Cluster, ClusterID: id.ClusterID, Node: id.Node, DC: dc, Members: members,
		CertEnds: s.o.Dir.Certificate().NotAfter, CAEnds: issuer.NotAfter,
		KeyAge: int(s.o.Now().Sub(trust.KeyMade).Hours() / 24), Generation: trust.Generation, HasCAKey: ca != nil,
	}
	for _, m := range members {
		if m.Voter {
			st.Voters++
			if m.Online {
				st.Online++
			}
		}
	}
	st.Majority = st.Voters/2 + 1
	if removed {
		// Nothing else counts, least of all that the majority is missing: a recovery here would make a second cluster.
		st.Warnings = []string{fmt.Sprintf("Node %s was removed from the cluster, which goes on without it: the others refuse it. Stop systoled, delete %s, and join again with a new token.", id.Node, s.o.Dir.Path())}
		return st, nil
	}
	st.Warnings = warnings(st, trust, s.o.Dir.Certificate(), s.o.Now())
	return st, nil
}

// known are the members as the node knows them. One that was started without a
// majority has nothing of its log applied and would wait for a DC: then what was
// written down last has to do, so that status can say who is missing.
func (s *Server) known(ctx context.Context) ([]Member, error) {
	short, cancel := context.WithTimeout(ctx, helloTimeout)
	defer cancel()
	members, err := s.o.Host.Members(short)
	if err == nil || ctx.Err() != nil {
		return members, err
	}
	if last := s.o.Dir.Members(); len(last) > 0 {
		return last, nil
	}
	return nil, err
}

// helloTimeout is how long a node may take to show that it lives.
const helloTimeout = time.Second

// seeForItself asks all nodes whether they live. Without a DC nobody writes down
// who is gone, and what the CIB says of it is old. One that lives and refuses
// this node has removed it, or has recovered without it.
func (s *Server) seeForItself(ctx context.Context, members []Member) (refused bool) {
	ctx, cancel := context.WithTimeout(ctx, helloTimeout)
	defer cancel()
	var mu sync.Mutex
	alive := map[string]bool{s.o.Dir.Identity().Node: true}
	s.each(ctx, members, func(ctx context.Context, m Member) {
		err := s.peer(ctx, m.Name, verbHello, struct{}{}, nil)
		mu.Lock()
		defer mu.Unlock()
		if errors.Is(err, transport.ErrRevoked) {
			refused = true
		}
		if err == nil {
			alive[m.Name] = true
		}
	})
	for i := range members {
		members[i].Online = alive[members[i].Name]
	}
	return refused
}

// Warnings are whole sentences for status, each with its remedy.
func (s *Server) Warnings(ctx context.Context) []string {
	st, err := s.status(ctx, struct{}{})
	if err != nil {
		return nil
	}
	return st.Warnings
}

// warnings judges a status.
func warnings(st Status, t Trust, cert *x509.Certificate, now time.Time) []string {
	var w []string
	add := func(format string, args ...any) { w = append(w, fmt.Sprintf(format, args...)) }
	if st.DC == "" {
		if lost := absentVoters(st); len(lost) > 0 && st.Voters-len(lost) < st.Majority {
			add("Quorum is lost: of %d voters %s do not answer. Bring them back. Only if they are gone for ever, stop systoled here and run \"crm cluster recover --lost %s\".",
				st.Voters, strings.Join(lost, ", "), strings.Join(lost, " --lost "))
		} else {
			add("There is no DC at the moment.")
		}
	}
	if len(st.Members) > 1 && st.Voters == 2 {
		add("Two nodes vote: the loss of either stops the cluster. Add a third, or a witness (crm cluster join --witness).")
	}
	if left := cert.NotAfter.Sub(now); left < warnBefore {
		add("The certificate of node %s ends on %s and its renewal does not work: see the log of systoled; nothing stops because of it.", st.Node, cert.NotAfter.UTC().Format(time.DateOnly))
	}
	if now.Before(cert.NotBefore) {
		add("The certificate of node %s is valid only from %s: the clock is wrong; set it (chronyc makestep).", st.Node, cert.NotBefore.UTC().Format(time.RFC3339))
	}
	if st.CAEnds.Sub(now) < renewBefore {
		add("The cluster's CA ends on %s: run \"crm cluster rotate-keys --ca\".", st.CAEnds.UTC().Format(time.DateOnly))
	}
	if now.Sub(t.KeyMade) > keyLife {
		add("The cluster key is %d days old: run \"crm cluster rotate-keys\".", st.KeyAge)
	}
	if len(t.Keys) > 1 || len(t.Authorities) > 1 {
		add("A rotation of keys was not finished: run \"crm cluster rotate-keys\" again.")
	}
	return w
}

func absentVoters(st Status) []string {
	var lost []string
	for _, m := range st.Members {
		if m.Voter && !m.Online && m.Name != st.Node {
			lost = append(lost, m.Name)
		}
	}
	return lost
}
