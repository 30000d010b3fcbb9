package store

import (
	"systole/crm/lease"
	"systole/crm/transport"
)

// Renew asks all servers for their promise by datagram, while this node leads: the lease rests on
// it. Whoever runs the store calls it every [lease.Timing.Beat], where no leader has been heard
// for longer than that too. It never waits.
func (s *Store) Renew() {
	s.reignMu.Lock()
	r := s.reign
	s.reignMu.Unlock()
	if r.term == 0 || s.LeaseEnd(r.term)-s.cfg.Clock() < s.soon() {
		nudge(s.near)
	}
	if r.term == 0 || r.over || !s.gate.mayRenew() {
		s.gate.goOn() // what was answered here now goes out, or fails
		return
	}
	ask := lease.Encode(lease.Renew{Leader: string(s.id), Term: r.term, Sent: s.cfg.Clock()})
	for _, v := range s.members().all {
		if v.ID != string(s.id) {
			s.cfg.Fabric.Send(v.Addr, transport.ChannelBeat, ask) // lost is lost
		}
	}
	s.gate.beaten()
}

// Promise answers a leader's Renew, if this voter may; send the answer back at once.
func (s *Store) Promise(m lease.Renew) (lease.Renewed, bool) { return s.gate.renew(m) }

// Promised takes the answer to a Renew of this node's.
func (s *Store) Promised(m lease.Renewed) { s.gate.renewed(m) }
