package cluster

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"time"

	"systole/crm/api"
	"systole/crm/transport"
)

// Run looks after everything at its start and then after 1, 2, 4, … up to 15
// seconds: a node that has just come wants its keys soon, and one that was cut off
// has missed them for at most the longest.
const (
	firstInterval = time.Second
	keepInterval  = 15 * time.Second
)

// Run keeps certificate and trust in order until ctx is done. What
// fails is logged once and tried again.
func (s *Server) Run(ctx context.Context) error {
	if sentence := transport.Expiry(s.o.Dir.Certificate(), s.o.Now()); sentence != "" {
		s.o.Log.Warn("own certificate", "reason", sentence)
	}
	said := ""
	for interval := firstInterval; ; interval = min(2*interval, keepInterval) {
		if err := s.keep(ctx); err == nil {
			said = ""
		} else if ctx.Err() == nil && err.Error() != said {
			said = err.Error()
			s.o.Log.Warn("cluster upkeep", "err", err)
		}
		select {
		case <-time.After(interval):
		case <-ctx.Done():
			return nil
		}
	}
}

// keep is one round.
func (s *Server) keep(ctx context.Context) error {
	var errs []error
	members, err := s.o.Host.Members(ctx)
	if err == nil && len(members) > 0 {
		err = s.o.Dir.setMembers(members)
	}
	errs = append(errs, err, s.pull(ctx), s.tidy(ctx))
	return errors.Join(errs...)
}

// tidy fetches the CA key if this node should hold it, and renews the certificate if that is due.
func (s *Server) tidy(ctx context.Context) error {
	return errors.Join(s.fetchCAKey(ctx), s.renew(ctx))
}

// renew replaces this node's certificate when that is due: by its own CA key, or by asking around.
func (s *Server) renew(ctx context.Context) error {
	issuer, ca := s.o.Dir.issuer()
	now, node := s.o.Now(), s.o.Dir.Identity().Node
	if !renewalDue(s.o.Dir.Certificate(), issuer, now) {
		return nil
	}
	key, err := newKey()
	if err != nil {
		return err
	}
	csr, err := request(node, key)
	if err != nil {
		return err
	}
	var der []byte
	if ca != nil {
		der, err = ca.issue(csr, node, s.o.Dir.Trust().Generation, now)
	} else {
		der, err = s.askForCertificate(ctx, csr)
	}
	if err != nil {
		return fmt.Errorf("renew the certificate: %w", err)
	}
	return s.install(der, key)
}

// install uses a new certificate.
func (s *Server) install(der []byte, key *ecdsa.PrivateKey) error {
	if err := s.o.Dir.setCertificate(der, key); err != nil {
		return err
	}
	s.o.Log.Info("certificate renewed", "until", s.o.Dir.Certificate().NotAfter)
	return s.reload()
}

type renewRequest struct {
	Request []byte `json:"request"`
}

type renewReply struct {
	Certificate []byte `json:"certificate"`
}

// askForCertificate tries the DC, then everybody: any node with the CA key can sign.
func (s *Server) askForCertificate(ctx context.Context, csr []byte) ([]byte, error) {
	dc, _ := s.o.Host.DC()
	var errs []error
	for _, node := range s.askable(dc) {
		var r renewReply
		err := s.peer(ctx, node, verbRenew, renewRequest{csr}, &r)
		if err == nil {
			return r.Certificate, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// renewFor signs for the asking node. That it could ask, with a certificate of
// this cluster however old, is its right to a new one.
func (s *Server) renewFor(ctx context.Context, r renewRequest) (renewReply, error) {
	_, ca := s.o.Dir.issuer()
	if ca == nil {
		return renewReply{}, refuse(api.CodeUnavailable, "node %s does not hold the CA key", s.o.Dir.Identity().Node)
	}
	der, err := ca.issue(r.Request, asker(ctx), s.o.Dir.Trust().Generation, s.o.Now())
	return renewReply{der}, err
}

type caKeyReply struct {
	Key Secret `json:"key"`
}

// fetchCAKey gets the CA key if this node votes and does not have it.
func (s *Server) fetchCAKey(ctx context.Context) error {
	if _, ca := s.o.Dir.issuer(); ca != nil {
		return nil
	}
	self, ok := find(s.o.Dir.Members(), s.o.Dir.Identity().Node)
	if !ok || !self.Voter {
		return nil
	}
	dc, _ := s.o.Host.DC()
	var errs []error
	for _, node := range s.askable(dc) {
		var r caKeyReply
		err := s.peer(ctx, node, verbCAKey, struct{}{}, &r)
		if err == nil && len(r.Key) > 0 {
			err = s.o.Dir.setCAKey(r.Key)
			if err == nil {
				return nil
			}
		}
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("fetch the CA key: %w", err)
	}
	return nil
}

// giveCAKey hands the CA key to a voter.
func (s *Server) giveCAKey(ctx context.Context, _ struct{}) (caKeyReply, error) {
	members, err := s.o.Host.Members(ctx)
	if err != nil {
		return caKeyReply{}, err
	}
	if m, ok := find(members, asker(ctx)); !ok || !m.Voter {
		return caKeyReply{}, refuse(api.CodePrivilege, "node %s does not vote; only voters hold the CA key", asker(ctx))
	}
	key, err := s.o.Dir.caKey()
	return caKeyReply{key}, err
}
