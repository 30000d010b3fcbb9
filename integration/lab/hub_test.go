package lab

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// frame is a broadcast or unicast of 64 bytes; hosts are known by one byte.
func frame(to, from byte) []byte {
	f := make([]byte, 64)
	copy(f, []byte{2, 0, 0, 0, 0, to, 2, 0, 0, 0, 0, from, 0x88, 0xb5})
	if to == 0xff {
		copy(f, bytes.Repeat([]byte{0xff}, 6))
	}
	return f
}

// reached are the names of the ports a frame goes to.
func (s *Segment) reached(from string, f []byte) []string {
	var names []string
	for _, p := range s.route(from, f) {
		names = append(names, p.name)
	}
	slices.Sort(names)
	return names
}

func TestSegmentRoutes(t *testing.T) {
	s := newSegment("test", 0, nil)
	for _, name := range []string{"a", "b", "c"} {
		s.ports[name] = &port{name: name}
	}
	const a, b, c, all = 1, 2, 3, 0xff
	for _, step := range []struct {
		what string
		do   func()
		from string
		f    []byte
		want []string
	}{
		{"a broadcast reaches all others", nil, "a", frame(all, a), []string{"b", "c"}},
		{"an unknown address reaches all others", nil, "a", frame(b, a), []string{"b", "c"}},
		{"b is heard for the first time", nil, "b", frame(a, b), []string{"a"}},
		{"b is known now", nil, "a", frame(b, a), []string{"b"}},
		{"to itself", nil, "a", frame(a, a), nil},
		{"one way is cut", func() { s.block("a", "b") }, "a", frame(b, a), nil},
		{"the other is not", nil, "b", frame(a, b), []string{"a"}},
		{"a broadcast loses one", nil, "a", frame(all, a), []string{"c"}},
		{"a cable is pulled: nothing goes in", func() { s.pull("c", true) }, "a", frame(all, a), nil},
		{"and nothing comes out", nil, "c", frame(all, c), nil},
		{"mending c leaves the cut", func() { s.mend("c") }, "a", frame(all, a), []string{"c"}},
		{"mending b ends it", func() { s.mend("b") }, "a", frame(all, a), []string{"b", "c"}},
		{"an address moves with its first word", func() { s.route("c", frame(all, b)) }, "a", frame(b, a), []string{"c"}},
		{"mending all", func() { s.pull("a", true); s.block("b", "c"); s.mend("") }, "b", frame(all, b), []string{"a", "c"}},
	} {
		if step.do != nil {
			step.do()
		}
		if got := s.reached(step.from, step.f); !slices.Equal(got, step.want) {
			t.Errorf("%s: %q, want %q", step.what, got, step.want)
		}
	}
}

func TestSegmentCarriesFrames(t *testing.T) {
	s := newSegment("test", 0, nil)
	t.Cleanup(s.close)
	var cards []*os.File
	for _, name := range []string{"a", "b"} {
		card, err := s.plug(name)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { card.Close() })
		cards = append(cards, card)
	}
	if _, err := s.plug("a"); err == nil {
		t.Error("two cables in one port")
	}
	sent := frame(0xff, 1)
	if _, err := cards[0].Write(sent); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 100)
	n, err := cards[1].Read(got)
	if err != nil || !bytes.Equal(got[:n], sent) {
		t.Errorf("got %x, %v", got[:n], err)
	}
	s.unplug("b")
	if _, err := cards[1].Write(frame(0xff, 2)); err == nil {
		t.Error("a card without a port sent a frame")
	}
}

func TestCaptureIsPcap(t *testing.T) {
	path := filepath.Join(t.TempDir(), "wire.pcap")
	c, err := newCapture(path)
	if err != nil {
		t.Fatal(err)
	}
	c.frame(frame(2, 1))
	c.frame(make([]byte, captureFrame+100))
	c.close()
	c.frame(frame(2, 1)) // after the end: nothing
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if want := 24 + 16 + 64 + 16 + captureFrame; len(b) != want {
		t.Fatalf("%d bytes, want %d", len(b), want)
	}
	second := b[24+16+64:]
	if kept, full := binary.LittleEndian.Uint32(second[8:]), binary.LittleEndian.Uint32(second[12:]); kept != captureFrame || full != captureFrame+100 {
		t.Errorf("a long frame is kept as %d of %d bytes", kept, full)
	}
}
