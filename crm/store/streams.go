package store

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"systole/crm/lease"
	"systole/crm/transport"
)

// Every stream of ProtoRaft begins with a prelude of the dialler: version, purpose,
// the DC lease it would count on, and the raft id it wants to talk to. A voter whose
// promise is too short for that lease refuses the stream: such two must not form a
// quorum (I1). So does a server with another id: raft itself never looks who answers
// at an address, and would count the vote of a node that has lost its store (V5).
const (
	preludeVersion byte = 1
	purposeRaft    byte = 'r'
	purposeRelease byte = 'l'
	preludeHead         = 11 // and the id, whose length is the last byte of the head
)

// preludeTime bounds how long an accepted stream may stay silent before its prelude.
const preludeTime = 5 * time.Second

// streams is raft's stream layer over the fabric.
type streams struct {
	fabric  transport.Fabric
	self    raft.ServerID
	in      net.Listener
	timing  lease.Timing
	log     *slog.Logger
	release func(net.Conn) // serves purposeRelease
	ready   chan net.Conn

	mu   sync.Mutex
	open map[net.Conn]bool // accepted: raft's transport does not end them
	done chan struct{}
	once sync.Once
	wg   sync.WaitGroup
}

func newStreams(f transport.Fabric, self raft.ServerID, t lease.Timing, log *slog.Logger) *streams {
	return &streams{
		fabric: f, self: self, in: f.Listener(transport.ProtoRaft), timing: t, log: log,
		ready: make(chan net.Conn), open: make(map[net.Conn]bool), done: make(chan struct{}),
	}
}

// serve sorts incoming streams by their prelude until Close.
func (s *streams) serve() {
	for {
		c, err := s.in.Accept()
		if err != nil {
			return // the fabric was closed
		}
		c = &accepted{Conn: c, of: s}
		s.mu.Lock()
		if isDone(s.done) {
			s.mu.Unlock()
			c.Close()
			return
		}
		s.open[c] = true
		s.wg.Go(func() { s.sort(c) })
		s.mu.Unlock()
	}
}

func (s *streams) sort(c net.Conn) {
	purpose, err := s.readPrelude(c)
	switch {
	case err != nil:
		s.log.Warn("raft stream refused", "peer", transport.PeerName(c), "err", err)
	case purpose == purposeRelease:
		s.release(c)
	default:
		select {
		case s.ready <- c:
			return
		case <-s.done:
		}
	}
	c.Close()
}

func (s *streams) readPrelude(c net.Conn) (purpose byte, err error) {
	c.SetReadDeadline(time.Now().Add(preludeTime))
	defer c.SetReadDeadline(time.Time{})
	var b [preludeHead]byte
	if _, err := io.ReadFull(c, b[:]); err != nil {
		return 0, err
	}
	if b[0] != preludeVersion || b[1] != purposeRaft && b[1] != purposeRelease {
		return 0, fmt.Errorf("store protocol %d/%d is unknown here: upgrade the older node", b[0], b[1])
	}
	id := make([]byte, b[10])
	if _, err := io.ReadFull(c, id); err != nil {
		return 0, err
	}
	if string(id) != string(s.self) {
		return 0, fmt.Errorf("the peer wants server %q, this is %q: a store that was lost joins again as a new server; remove the old one", id, s.self)
	}
	theirs := time.Duration(binary.BigEndian.Uint64(b[2:]))
	if theirs < 0 || lease.Stretch(theirs+lease.Grain) > s.timing.Promise {
		return 0, fmt.Errorf("the peer would count on a DC lease of %v, too long for this node's promise of %v: give both the same detect-within", theirs, s.timing.Promise)
	}
	return b[1], nil
}

// target is the address that raft's transport dials: the server's id and where it is.
func target(id raft.ServerID, addr raft.ServerAddress) raft.ServerAddress {
	return raft.ServerAddress(id) + "@" + addr
}

// dial opens a stream to a target and says what it is for.
func (s *streams) dial(ctx context.Context, to raft.ServerAddress, purpose byte) (net.Conn, error) {
	id, addr, _ := strings.Cut(string(to), "@")
	c, err := s.fabric.Dial(ctx, addr, nodeOf(raft.ServerID(id)), transport.ProtoRaft)
	if err != nil {
		return nil, err
	}
	prelude := binary.BigEndian.AppendUint64([]byte{preludeVersion, purpose}, uint64(s.timing.DCLease))
	prelude = append(append(prelude, byte(len(id))), id...)
	if deadline, ok := ctx.Deadline(); ok {
		c.SetWriteDeadline(deadline)
	}
	if _, err := c.Write(prelude); err != nil {
		c.Close()
		return nil, err
	}
	c.SetWriteDeadline(time.Time{})
	return c, nil
}

// Dial implements raft.StreamLayer.
func (s *streams) Dial(a raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		select {
		case <-s.done:
			cancel()
		case <-stop:
		}
	}()
	return s.dial(ctx, a, purposeRaft)
}

// Accept implements raft.StreamLayer.
func (s *streams) Accept() (net.Conn, error) {
	select {
	case c := <-s.ready:
		return c, nil
	case <-s.done:
		return nil, net.ErrClosed
	}
}

// Close implements raft.StreamLayer. It ends the accepted streams too.
func (s *streams) Close() error {
	s.once.Do(func() {
		close(s.done)
		s.in.Close()
		s.mu.Lock()
		open := s.open
		s.open = nil
		s.mu.Unlock()
		for c := range open {
			c.Close()
		}
		s.wg.Wait()
	})
	return nil
}

// Addr implements raft.StreamLayer.
func (s *streams) Addr() net.Addr { return fabricAddr(s.fabric.Addr()) }

type fabricAddr string

func (a fabricAddr) Network() string { return "fabric" }
func (a fabricAddr) String() string  { return string(a) }

// accepted forgets itself when it is closed.
type accepted struct {
	net.Conn
	of *streams
}

func (a *accepted) Close() error {
	a.of.mu.Lock()
	delete(a.of.open, net.Conn(a))
	a.of.mu.Unlock()
	return a.Conn.Close()
}

// PeerName is the verified name of the other end.
func (a *accepted) PeerName() string { return transport.PeerName(a.Conn) }

func isDone(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
