package transport

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"
)

// receiveOne waits for a datagram; loopback delivers or the test times out.
func receiveOne(t *testing.T, s *Secure, ch Channel) Datagram {
	t.Helper()
	select {
	case d := <-s.Datagrams(ch):
		return d
	case <-time.After(10 * time.Second):
		t.Fatalf("no datagram on channel %d", ch)
		panic("unreachable")
	}
}

func TestDatagrams(t *testing.T) {
	ca := newTestCA(t)
	a, b := open(t, ca.node("a")), open(t, ca.node("b"))
	for _, ch := range []Channel{ChannelBeat, ChannelGossip} {
		for _, payload := range [][]byte{{}, []byte("x"), bytes.Repeat([]byte("y"), MaxDatagram)} {
			if err := a.Send(b.Addr(), ch, payload); err != nil {
				t.Fatal(err)
			}
			d := receiveOne(t, b, ch)
			if d.From != a.Addr() || !bytes.Equal(d.Payload, payload) {
				t.Errorf("channel %d: got %d bytes from %s, want %d from %s", ch, len(d.Payload), d.From, len(payload), a.Addr())
			}
		}
	}
	if err := a.Send(b.Addr(), ChannelBeat, make([]byte, MaxDatagram+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
	if err := a.Send("node2:1", ChannelBeat, nil); err == nil {
		t.Error("a host name was taken for an address")
	}
	if err := a.Send(b.Addr(), 9, nil); err == nil {
		t.Error("an unknown channel was sent on")
	}
}

// A key is replaced in three steps; beats pass in both directions throughout,
// whichever node takes a step first.
func TestKeyRotation(t *testing.T) {
	ca := newTestCA(t)
	oldKey, newKey := ca.keys[0], bytes.Repeat([]byte{7}, KeySize)
	a, b := open(t, ca.node("a")), open(t, ca.node("b"))
	both := func(step string) {
		t.Helper()
		for _, way := range [][2]*Secure{{a, b}, {b, a}} {
			if err := way[0].Send(way[1].Addr(), ChannelBeat, []byte(step)); err != nil {
				t.Fatal(err)
			}
			if d := receiveOne(t, way[1], ChannelBeat); string(d.Payload) != step {
				t.Errorf("%s: got %q", step, d.Payload)
			}
		}
	}
	with := func(s *Secure, keys ...[]byte) {
		t.Helper()
		c := s.trust.Load().Credentials
		c.Keys = keys
		if err := s.Reload(c); err != nil {
			t.Fatal(err)
		}
	}
	both("before")
	for _, step := range []struct {
		name string
		keys [][]byte
	}{{"install", [][]byte{oldKey, newKey}}, {"use", [][]byte{newKey, oldKey}}, {"remove", [][]byte{newKey}}} {
		with(a, step.keys...)
		both(step.name + " on a")
		with(b, step.keys...)
		both(step.name + " on both")
	}

	with(a, oldKey)
	if err := a.Send(b.Addr(), ChannelBeat, []byte("old")); err != nil {
		t.Fatal(err)
	}
	if err := b.Send(b.Addr(), ChannelBeat, []byte("marker")); err != nil {
		t.Fatal(err)
	}
	if d := receiveOne(t, b, ChannelBeat); string(d.Payload) != "marker" {
		t.Errorf("a beat under the removed key was accepted: %q", d.Payload)
	}
	if got := b.Stats().Refused; got != 1 {
		t.Errorf("refused: %d, want 1", got)
	}
}

func TestFullQueueDropsOldest(t *testing.T) {
	s := &Secure{beats: make(chan Datagram, beatQueue)}
	for i := range beatQueue + 3 {
		s.deliver(ChannelBeat, Datagram{From: fmt.Sprint(i)})
	}
	if d := <-s.beats; d.From != "3" {
		t.Errorf("oldest kept: %s, want 3", d.From)
	}
	if got := s.Stats().Dropped; got != 3 {
		t.Errorf("dropped: %d, want 3", got)
	}
}

func TestNonceNeverRepeats(t *testing.T) {
	key := bytes.Repeat([]byte{1}, KeySize)
	seen := map[string]bool{}
	for range 4 {
		s := newSealer(key)
		for range 1000 {
			out := s.seal([]byte{1}, nil)
			id := string(out[1 : 1+saltSize+nonceSize])
			if seen[id] {
				t.Fatal("salt and nonce came twice")
			}
			seen[id] = true
		}
	}
}

// FuzzOpen feeds packets from the wire: nothing opens but what was sealed, with
// its channel byte, and nothing panics.
func FuzzOpen(f *testing.F) {
	key := bytes.Repeat([]byte{1}, KeySize)
	s := newSealer(key)
	f.Add([]byte{})
	f.Add([]byte{1})
	f.Add([]byte{2, 3})
	f.Add([]byte{9, 9, 9})
	f.Add(s.seal([]byte{1}, []byte("beat")))
	f.Add(newSealer(bytes.Repeat([]byte{2}, KeySize)).seal([]byte{1}, []byte("foreign")))
	f.Fuzz(func(t *testing.T, packet []byte) {
		o := newOpener([][]byte{bytes.Repeat([]byte{3}, KeySize)})
		ch, payload, ok := o.unwrap(packet)
		if ok && ch != ChannelGossip {
			t.Fatalf("opened %q on channel %d without the key", payload, ch)
		}
		if ok && !bytes.Equal(payload, packet[1:]) {
			t.Fatalf("gossip payload %q of packet %q", payload, packet)
		}
		// Any changed byte of a good packet spoils it.
		good := s.seal([]byte{1}, packet)
		mine := newOpener([][]byte{key})
		if _, got, ok := mine.unwrap(good); !ok || !bytes.Equal(got, packet) {
			t.Fatalf("round trip: got %q, %v", got, ok)
		}
		if len(packet) > 0 {
			good[int(packet[0])%len(good)] ^= 0x10
			if ch, _, ok := mine.unwrap(good); ok && ch == ChannelBeat {
				t.Fatal("a spoiled packet opened")
			}
		}
	})
}
