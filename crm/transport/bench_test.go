package transport

import (
	"bytes"
	"context"
	"testing"
	"time"
)

// What a beat costs to send and to hear, and a new stream until both ends are sure.

func BenchmarkSealAndOpen(b *testing.B) {
	key := bytes.Repeat([]byte{1}, KeySize)
	s, o := newSealer(key), newOpener([][]byte{key})
	payload := make([]byte, 120) // about a beat
	for b.Loop() {
		if _, _, ok := o.unwrap(s.seal([]byte{byte(ChannelBeat)}, payload)); !ok {
			b.Fatal("not opened")
		}
	}
}

func BenchmarkForgedDatagram(b *testing.B) {
	o := newOpener([][]byte{bytes.Repeat([]byte{1}, KeySize), bytes.Repeat([]byte{2}, KeySize)})
	forged := make([]byte, 1+sealOverhead+120)
	forged[0] = byte(ChannelBeat)
	for b.Loop() {
		if _, _, ok := o.unwrap(forged); ok {
			b.Fatal("opened")
		}
	}
}

func BenchmarkDial(b *testing.B) {
	ca := newTestCA(b)
	near, far := open(b, ca.node("a")), open(b, ca.node("b"))
	l := far.Listener(ProtoRPC)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for b.Loop() {
		c, err := near.Dial(ctx, far.Addr(), "b", ProtoRPC)
		if err != nil {
			b.Fatal(err)
		}
		c.Close()
	}
}
