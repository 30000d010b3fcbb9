package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/hashicorp/raft"

	"systole/crm/transport"
)

// HandOver gives leadership away (D3), if there is another voter: it commits that this node's services go on
// with the rest of the lease, ends the right to order, releases the voters from their
// promises and asks the most advanced one to be elected. Stop ordering before. After
// an error this node no longer orders either, and a successor is found by election.
func (s *Store) HandOver(ctx context.Context) error {
	dc := s.DC()
	if dc.Elected == 0 {
		return fmt.Errorf("hand over: %w", s.notLeader())
	}
	if len(s.voterIDs()) < 2 {
		return errors.New("hand over: no other node has a vote")
	}
	if err := s.mark(ctx, ""); err != nil {
		return fmt.Errorf("hand over: %w", err)
	}
	s.gate.giveBack()
	// Should nobody take over, this node must not go on as a leader that may not order.
	time.AfterFunc(2*s.cfg.Timing.Heartbeat, func() { s.gate.quit(dc.Term) })
	s.reignMu.Lock()
	if s.reign.term == dc.Term {
		s.reign.over = true
	}
	s.reignMu.Unlock()
	s.assess()

	target, err := s.releaseVoters(ctx, dc.Term)
	if err != nil {
		return fmt.Errorf("hand over: %w", err)
	}
	if err := s.raft.LeadershipTransferToServer(target.ID, target.Address).Error(); err != nil {
		return fmt.Errorf("hand over to %s: %w", nodeOf(target.ID), err)
	}
	return nil
}

// releaseVoters frees the voters from their promise to this node, and returns the one
// with the longest log. A majority, this node included, must have answered: fewer
// could not elect anybody sooner.
func (s *Store) releaseVoters(ctx context.Context, term uint64) (raft.Server, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timing.Heartbeat)
	defer cancel()
	f := s.raft.GetConfiguration()
	if err := f.Error(); err != nil {
		return raft.Server{}, err
	}
	type answer struct {
		voter raft.Server
		last  uint64
		err   error
	}
	answers := make(chan answer, len(f.Configuration().Servers))
	voters, asked := 0, 0
	for _, v := range f.Configuration().Servers {
		if v.Suffrage != raft.Voter {
			continue
		}
		voters++
		if v.ID == s.id {
			continue
		}
		asked++
		go func() {
			last, err := s.askRelease(ctx, target(v.ID, v.Address), term)
			answers <- answer{v, last, err}
		}()
	}
	var best answer
	free := 1
	var problems []error
	for range asked {
		a := <-answers
		if a.err != nil {
			problems = append(problems, a.err)
			continue
		}
		free++
		if best.voter.ID == "" || a.last > best.last {
			best = a
		}
	}
	if free <= voters/2 || best.voter.ID == "" {
		return raft.Server{}, fmt.Errorf("no majority of voters could be released: %w", errors.Join(problems...))
	}
	return best.voter, nil
}

// A release is the term and this node's raft id; the answer is one byte, 1 for done,
// and the last index of the voter's log.
func (s *Store) askRelease(ctx context.Context, to raft.ServerAddress, term uint64) (last uint64, err error) {
	c, err := s.streams.dial(ctx, to, purposeRelease)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	if deadline, ok := ctx.Deadline(); ok {
		c.SetDeadline(deadline)
	}
	msg := binary.BigEndian.AppendUint64(nil, term)
	msg = append(append(msg, byte(len(s.id))), s.id...)
	if _, err := c.Write(msg); err != nil {
		return 0, err
	}
	var b [9]byte
	if _, err := io.ReadFull(c, b[:]); err != nil {
		return 0, fmt.Errorf("release by %s: %w", to, err)
	}
	if b[0] != 1 {
		return 0, fmt.Errorf("%s was bound to another leader", to)
	}
	return binary.BigEndian.Uint64(b[1:]), nil
}

// serveRelease answers one release. Only the leader itself may ask for it.
func (s *Store) serveRelease(c net.Conn) {
	c.SetDeadline(time.Now().Add(preludeTime))
	var head [9]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		return
	}
	id := make([]byte, head[8])
	if _, err := io.ReadFull(c, id); err != nil {
		return
	}
	if peer := transport.PeerName(c); peer != "" && peer != nodeOf(raft.ServerID(id)) {
		s.log.Warn("release refused: not from the leader", "peer", peer)
		return
	}
	answer := []byte{0}
	if s.gate.release(string(id), binary.BigEndian.Uint64(head[:8])) {
		answer[0] = 1
	}
	c.Write(binary.BigEndian.AppendUint64(answer, s.raft.LastIndex()))
}
