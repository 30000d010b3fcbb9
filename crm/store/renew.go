package store

import (
	"context"
	"time"

	"systole/crm/lease"
	"systole/crm/transport"
)

// renew asks the voters for their promise by datagram, every beat while this node
// leads, until ctx is done.
func (s *Store) renew(ctx context.Context) {
	beat := time.NewTicker(s.cfg.Timing.Beat)
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-beat.C:
		}
		s.reignMu.Lock()
		r := s.reign
		s.reignMu.Unlock()
		if r.term == 0 || r.over || !s.gate.mayRenew() {
			continue
		}
		ask := lease.Encode(lease.Renew{Leader: string(s.id), Term: r.term, Sent: s.cfg.Clock()})
		for _, v := range s.Servers() {
			if v.Voter && v.ID != string(s.id) {
				s.cfg.Fabric.Send(v.Addr, transport.ChannelBeat, ask) // lost is lost
			}
		}
	}
}

// Receive takes the datagrams of ChannelBeat that are the store's: a Renew or a
// Renewed from a fabric address. Others it ignores. It never waits.
func (s *Store) Receive(from string, m lease.Message) {
	switch m := m.(type) {
	case lease.Renew:
		if answer, ok := s.gate.renew(m); ok {
			s.cfg.Fabric.Send(from, transport.ChannelBeat, lease.Encode(answer))
		}
	case lease.Renewed:
		s.gate.renewed(m)
	}
}
